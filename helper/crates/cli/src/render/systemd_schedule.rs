use nixbox_calendar::{on_calendar, on_calendar_once};
use nixbox_config::{Overlap, Schedule, What, When};
use nixbox_report::Report;

use super::Target;
use super::cannot::cannot;
use super::systemd::{call, end};

/// A service and a timer for each schedule. All that cannot be said is told at once.
pub fn render(target: &Target<'_>) -> Result<Vec<(String, String)>, Report> {
    let (mut units, mut failures) = (Vec::new(), Vec::new());
    for schedule in target.project.schedules.values().filter(|schedule| schedule.enable) {
        let name = format!("agentfs-schedule-{}", schedule.name);
        match timer(schedule) {
            Ok(timer) => {
                units.push((format!("{name}.service"), service(schedule, target)));
                units.push((format!("{name}.timer"), timer));
            }
            Err(report) => failures.extend(report.failures),
        }
    }
    if failures.is_empty() { Ok(units) } else { Err(failures.into()) }
}

fn service(schedule: &Schedule, target: &Target<'_>) -> String {
    let after = match &schedule.what {
        // It does not start the instance, and fails where that does not run.
        What::Exec { instance, .. } => format!("After={}.service\n", target.name_of(instance)),
        What::Verb(_) => String::new(),
    };
    format!(
        "[Unit]\nDescription=AgentFS schedule {}\n{after}\n[Service]\nType=oneshot\nExecStart={}\n{}",
        schedule.name,
        call(target, &["schedule", "run", "--due", &schedule.name]),
        end(),
    )
}

fn timer(schedule: &Schedule) -> Result<String, Report> {
    let name = &schedule.name;
    if schedule.overlap != Overlap::Skip {
        return Err(cannot(
            format_args!("systemd has no words for the overlap of the schedule {name}"),
            "it starts nothing that still runs",
            "set `overlap = \"skip\"`, or have `nixbox-helper up` keep the times",
        )
        .into());
    }
    let times = match &schedule.when {
        When::Cron { cron, timezone } => on_calendar(cron, timezone.as_deref()),
        When::At(at) => on_calendar_once(at),
    };
    let times = times.map_err(|why| {
        cannot(
            format_args!("systemd cannot be told when the schedule {name} is due"),
            why,
            "write it another way, or have `nixbox-helper up` keep the times",
        )
    })?;
    let times: String = times.iter().map(|time| format!("OnCalendar={time}\n")).collect();
    let jitter = match schedule.jitter {
        jitter if jitter.0.is_zero() => String::new(),
        jitter => format!("RandomizedDelaySec={jitter}\nFixedRandomDelay=yes\n"),
    };
    let persistent = if schedule.catch_up { "yes" } else { "no" };
    Ok(format!(
        "[Unit]\nDescription=The times of the AgentFS schedule {name}\n\n[Timer]\n{times}Persistent={persistent}\n\
         # A minute otherwise\nAccuracySec=1s\n{jitter}\n[Install]\nWantedBy=timers.target\n"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::render::fixture;

    #[test]
    fn all_that_cannot_be_said_is_told() {
        let declared = "[instances.a]\n[schedules.fine]\ncron = \"@daily\"\nrun = [\"status\"]\n\
                        [schedules.odd]\ncron = \"0 0 15W * *\"\nrun = [\"status\"]\n\
                        [schedules.beside]\ncron = \"@daily\"\noverlap = \"allow\"\nrun = [\"status\"]\n";
        fixture::of(declared, |target| {
            let failures = render(target).unwrap_err().failures;
            assert_eq!(failures.len(), 2);
            assert!(failures.iter().all(|failure| failure.code == &nixbox_report::codes::RENDER_CANNOT));
        });
    }
}
