use nix::sys::signal::Signal;
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::{Guarded, Supervisor, guard};

use super::{DONE, checked};
use crate::context::Context;
use crate::supervise::{Places, Session, Turn};
use crate::verbs::up::GRACE;

/// A session with nothing to keep up but the times.
pub fn run(context: &Context) -> Result<u8, Report> {
    let project = checked(context)?;
    if !project.schedules.values().any(|schedule| schedule.enable) {
        return Err(Failure::new(&codes::SCHEDULE_UNKNOWN, "there are no schedules to keep")
            .why(format_args!("{} declares none that is enabled", project.file.display()))
            .help("declare one with a table `[schedules.NAME]`")
            .into());
    }
    let mut places = Places::of(&project);
    // An `up` may be there as well, and has that one.
    places.notices = places.notices.with_extension("times");
    if let Guarded::Over { code } = guard(GRACE)? {
        let _ = std::fs::remove_file(&places.notices);
        return Ok(code);
    }
    let supervisor = Supervisor::new(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?;
    let mut session = Session::new(context, &project, supervisor, &places)?;
    session.keep_schedules()?;
    if !session.keeps_schedules() {
        return Err(Failure::new(&codes::SCHEDULE_HELD, "another process keeps the schedules of this project")
            .why("one at a time, or each would run them")
            .help("`nixbox-helper down` ends an `up` that does")
            .into());
    }
    while session.is_busy() {
        if let Turn::Signal(_) = session.turn(None)? {
            session.end(None)?;
        }
    }
    session.close()?;
    Ok(DONE)
}
