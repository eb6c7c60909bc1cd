//! What is in an instance and nowhere else.

use nixbox_config::Instance;
use nixbox_control::{Change, KvEntry, KvRequest, Request, ReviewRequest};
use nixbox_report::{Failure, Report, codes};

use crate::asking::Asked;
use crate::review::answer::Totals;
use crate::verbs::status;

#[derive(Debug, Clone)]
pub struct Work {
    /// Against its base.
    pub changes: u64,
    /// Keys with a value.
    pub values: u64,
    told: String,
}

impl Work {
    /// Of one that was never brought up there is nothing.
    pub fn of(asked: &Asked) -> Result<Self, Report> {
        let instance = asked.instance();
        if !instance.paths.db.exists() {
            return Ok(Self { changes: 0, values: 0, told: String::new() });
        }
        let (mut totals, mut values) = (Totals::default(), 0);
        asked.ask(&Request::Review(ReviewRequest::Changes { paths: Vec::new() }))?.lines(|change: Change| {
            totals.count(&change);
            Ok(true)
        })?;
        asked.ask(&Request::Kv(KvRequest::List { prefix: String::new() }))?.lines(|_: KvEntry| {
            values += 1;
            Ok(true)
        })?;
        let base = instance.base.as_ref().map(|base| base.path.display().to_string());
        let mut told = status::summary(&totals, base.as_deref(), false);
        if values > 0 {
            told += &format!("; {values} values");
        }
        Ok(Self { changes: totals.all(), values, told })
    }

    pub fn is_nothing(&self) -> bool {
        self.changes == 0 && self.values == 0
    }

    /// As a person is told of it.
    pub fn told(&self) -> &str {
        &self.told
    }

    /// What to do with it.
    pub fn advice(instance: &Instance) -> String {
        let name = &instance.name;
        format!(
            "see it with `nixbox-helper diff {name}`, take it over with `nixbox-helper diff {name} | git apply`, or drop it \
             with `nixbox-helper instance rm {name} --force`"
        )
    }

    pub fn in_the_way(&self, instance: &Instance) -> Failure {
        Failure::new(&codes::INSTANCE_CHANGED, format!("`{}` holds work that is nowhere else", instance.name))
            .why(&self.told)
            .help(Self::advice(instance))
    }
}
