//! What is run at certain times.

use std::collections::BTreeMap;
use std::path::Path;

use nixbox_calendar::{Calendar, Refused};
use nixbox_report::{Failure, codes};

use super::Resolver;
use crate::document::{At, Document, ScheduleDocument};
use crate::origin::Origin;
use crate::schedule::{Schedule, What, When};
use crate::secret;
use crate::span::Span;
use crate::tree::join;
use crate::words::Overlap;

impl Resolver<'_> {
    /// `default` is the instance of those that name none.
    pub(super) fn schedules(
        &mut self,
        document: &Document,
        default: Option<&str>,
        runtime_dir: &Path,
    ) -> BTreeMap<String, Schedule> {
        let mut schedules = BTreeMap::new();
        for (name, at) in &document.schedules {
            let key = join("schedules", name);
            self.name(name, &key, at.line);
            schedules.insert(name.clone(), self.schedule(name, &key, at, default, runtime_dir));
        }
        schedules
    }

    fn schedule(
        &mut self,
        name: &str,
        key: &str,
        At { value, line }: &At<ScheduleDocument>,
        default: Option<&str>,
        runtime_dir: &Path,
    ) -> Schedule {
        let when = match (&value.cron, &value.at) {
            (Some(at), _) => {
                let zone = value.timezone.as_ref();
                self.calendar(key, "cron", at, Calendar::cron(&at.value, jiff::tz::TimeZone::UTC).err());
                if let Some(at) = zone {
                    self.calendar(key, "timezone", at, nixbox_calendar::zone(Some(&at.value)).err());
                }
                When::Cron { cron: at.value.clone(), timezone: zone.map(|at| at.value.clone()) }
            }
            (None, Some(at)) => {
                self.calendar(key, "at", at, Calendar::at(&at.value).err());
                When::At(at.value.clone())
            }
            // Which the reader has reported.
            (None, None) => When::At(String::new()),
        };
        let what = match value.run.is_empty() {
            false => What::Verb(self.command(&join(key, "run"), &value.run)),
            true => {
                let instance = value.instance.as_ref().map(|at| at.value.clone()).or(default.map(str::to_owned));
                let origin = value.instance.as_ref().map_or(Origin::Default, |at| Origin::File { line: at.line });
                self.setting(|| (join(key, "instance"), instance.clone()), origin);
                if instance.is_none() && !value.exec.is_empty() {
                    let what = format!("The schedule {name} names no instance, and there is no default one");
                    let help = "write the instance that it runs in, such as instance = \"sandbox\"";
                    self.report(&codes::CONFIG_SCHEDULE, *line, &join(key, "instance"), what, help);
                }
                let words = self.command(&join(key, "exec"), &value.exec);
                What::Exec { instance: instance.unwrap_or_default(), words }
            }
        };
        Schedule {
            name: name.to_owned(),
            enable: self.pick(key, "enable", value.enable.as_ref(), true),
            when,
            what,
            overlap: self.pick(key, "overlap", value.overlap.as_ref(), Overlap::default()),
            jitter: self.pick(key, "jitter", value.jitter.as_ref(), Span::millis(0)),
            catch_up: self.pick(key, "catch_up", value.catch_up.as_ref(), false),
            log: runtime_dir.join(format!("{name}.log")),
        }
    }

    fn calendar(&mut self, key: &str, name: &str, at: &At<String>, refused: Option<Refused>) {
        let key = join(key, name);
        self.setting(|| (key.clone(), Some(at.value.clone())), Origin::File { line: at.line });
        let Some(why) = refused else { return };
        let help = match why {
            Refused::Cron(_) => {
                "write minute, hour, day of the month, month and day of the week, such as \"0 3 * * *\""
            }
            Refused::Never => "write a day that there is, such as \"0 0 L 2 *\" for the last of February",
            Refused::At => "write it so, with the zone at its end",
            Refused::Zone => "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
        };
        let code = if why == Refused::At { &codes::CONFIG_VALUE } else { &codes::CONFIG_SCHEDULE };
        let failure = Failure::new(code, format!("{:?} is no possible `{name}`", at.value));
        self.problems.at(at.line, &key, failure.why(why).help(help));
    }

    fn command(&mut self, key: &str, written: &[At<String>]) -> Vec<String> {
        for At { line, .. } in written.iter().filter(|at| secret::looks_like_one("", &at.value)) {
            // The value itself must not come up in any message.
            let failure = Failure::new(&codes::CONFIG_SECRET, "A command holds what looks like a secret")
                .why("this file and the Nix store are read by others")
                .help("have the command read it from a file that only you can read");
            self.problems.at(*line, key, failure);
        }
        self.program(key, written)
    }
}
