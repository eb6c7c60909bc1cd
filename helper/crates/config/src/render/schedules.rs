use super::given;
use crate::document::{At, ScheduleDocument};
use crate::schedule::{Schedule, What, When};

pub(super) fn schedule(schedule: &Schedule) -> ScheduleDocument {
    let words = |words: &[String]| words.iter().cloned().map(At::nowhere).collect();
    let (cron, at, timezone) = match &schedule.when {
        When::Cron { cron, timezone } => (given(cron.clone()), None, timezone.clone().map(At::nowhere)),
        When::At(at) => (None, given(at.clone()), None),
    };
    let (run, exec, instance) = match &schedule.what {
        What::Verb(run) => (words(run), Vec::new(), None),
        What::Exec { instance, words: exec } => (Vec::new(), words(exec), given(instance.clone())),
    };
    ScheduleDocument {
        enable: given(schedule.enable),
        cron,
        at,
        timezone,
        run,
        exec,
        instance,
        overlap: given(schedule.overlap),
        jitter: given(schedule.jitter),
        catch_up: given(schedule.catch_up),
    }
}
