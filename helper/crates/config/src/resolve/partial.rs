//! What of the content comes before it is read.

use nixbox_report::codes;

use super::Resolver;
use crate::document::{At, InstanceDocument};
use crate::origin::Origin;
use crate::project::Partial;
use crate::size::Size;
use crate::tree::join;

/// What a kernel reads ahead by itself.
const SEGMENT: Size = Size(128 << 10);

impl Resolver<'_> {
    pub(super) fn partial(&mut self, instance: &str, written: &InstanceDocument) -> Option<Partial> {
        let At { value, line } = written.sync.as_ref()?.value.partial.as_ref()?;
        let key = join(&join(instance, "sync"), "partial");
        if written.base.is_some() {
            let what =
                "What an instance over a base has itself is what was changed, and that is not left away".to_owned();
            self.report(&codes::CONFIG_VALUE, *line, &key, what, "leave `partial` out, or `base`");
        }
        let query = value.bootstrap_query.as_ref();
        if let Some(At { value: query, line }) = query.filter(|at| !is_a_question(&at.value)) {
            let what = format!("{query:?} is not one statement that only asks");
            let help = "write one SELECT, without a semicolon, that answers with inode numbers or paths";
            self.report(&codes::CONFIG_VALUE, *line, &join(&key, "bootstrap_query"), what, help);
        }
        let origin = query.map_or(Origin::Default, |at| Origin::File { line: at.line });
        let query = query.map(|at| at.value.clone());
        self.setting(|| (join(&key, "bootstrap_query"), query.clone()), origin);
        Some(Partial {
            prefetch: self.pick(&key, "prefetch", value.prefetch.as_ref(), false),
            segment_size: self.pick(&key, "segment_size", value.segment_size.as_ref(), SEGMENT),
            bootstrap_query: query,
            bootstrap_length: self.optional(&key, "bootstrap_length", value.bootstrap_length.as_ref()),
        })
    }
}

/// Nothing that a pull runs at a remote may change it.
fn is_a_question(query: &str) -> bool {
    let begins = query.get(..6).is_some_and(|verb| verb.eq_ignore_ascii_case("select"));
    begins && query[6..].starts_with(|next: char| next.is_ascii_whitespace()) && !query.contains(';')
}
