//! The command kept up by whoever keeps the project up: as a unit that is this verb again, in the foreground.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use nixbox_config::RestartOn;
use nixbox_report::Report;
use nixbox_supervisor::{LogFile, On, Readiness, Restart, Spec, Unit};

use super::{Args, bind, port};
use crate::context::{Context, here};
use crate::made::{self, Found, Work};
use crate::supervise::{self, Client, Heard, Order, State, UnitStatus};
use crate::verbs::DONE;

const PATIENCE: Duration = Duration::from_secs(60);
/// Its owner has ten seconds when the command has ended.
const GRACE: Duration = Duration::from_secs(12);
const LOG: u64 = 10 << 20;

pub fn begin(args: Args, context: &Context) -> Result<u8, Report> {
    let binds = bind::all(&args.volume)?;
    let args = Args { port: args.port.map(port::free).transpose()?, ..args };
    let found = args.find_or_make(context)?;
    let name = found.name.clone();
    let words = words(&args, &binds.iter().map(as_word).collect::<Vec<_>>(), &found);
    let done = unit(&args, words, &found, context).and_then(|unit| order(unit, &found, context));
    match done {
        Ok(unit) if unit.state == State::Failed => {
            let report = supervise::unit_failed(&unit, false, false);
            drop_again(&found, context);
            Err(report)
        }
        Ok(unit) if unit.state == State::Completed => {
            context.output.note(format!("{name}: ended already; `nixbox-helper logs {name}` shows what it said"));
            context.output.data(format!("{name}\n"))?;
            Ok(DONE)
        }
        Ok(_) => {
            context.output.note(format!(
                "{name}: running; `nixbox-helper logs -f {name}` shows what it says, `nixbox-helper stop {name}` ends it"
            ));
            context.output.data(format!("{name}\n"))?;
            Ok(DONE)
        }
        Err(report) => {
            drop_again(&found, context);
            Err(report)
        }
    }
}

/// One that was made for this, and in which nothing came about.
fn drop_again(found: &Found, context: &Context) {
    let Ok(instance) = found.instance() else { return };
    let words = context.forwarded(&found.project);
    let is_empty = words.and_then(|words| Work::of(&crate::asking::Asked::of(instance, words)));
    if !found.is_old && is_empty.is_ok_and(|work| work.is_nothing()) {
        let _ = made::remove(&found.project, instance);
    }
}

fn as_word(bind: &nixbox_supervisor::Bind) -> OsString {
    let mut word = bind.from.clone().into_os_string();
    word.push(":");
    word.push(&bind.at);
    word.push(if bind.read_only { ":ro" } else { "" });
    word
}

/// What makes this verb do the same in the foreground, wherever it is started from.
fn words(args: &Args, binds: &[OsString], found: &Found) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["run".into(), "--kept-up".into(), "--name".into(), (&found.name).into()];
    let mut option = |name: &str, value: OsString| words.extend([name.into(), value]);
    let base = found.instance().ok().and_then(|instance| instance.base.clone());
    if let Some(base) = base {
        option("--base", base.path.into());
    }
    for given in &args.flags.env {
        // Ours, which whoever keeps it up does not have.
        let value = |name: &str| std::env::var_os(name).map(|value| [OsString::from(name), value].join("=".as_ref()));
        if let Some(word) = if given.contains('=') { Some(given.into()) } else { value(given) } {
            option("--env", word);
        }
    }
    binds.iter().for_each(|bind| option("--volume", bind.clone()));
    for (name, value) in &args.labels {
        option("--label", format!("{name}={value}").into());
    }
    if let Some(port) = args.port {
        option("--port", port.to_string().into());
    }
    if let Some(folder) = &args.flags.workdir {
        option("--workdir", folder.into());
    }
    if let Some(seconds) = args.flags.timeout {
        option("--timeout", seconds.to_string().into());
    }
    if args.on_failure.is_some() {
        option("--on-failure", "restore".into());
    }
    let flags = [("--rm", args.rm), ("--force", args.force), ("--keep", args.keep), ("--checkpoint", args.checkpoint)];
    words.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.into()));
    words.extend(args.flags.wanted.words());
    words.push("--".into());
    words.extend(args.flags.command.clone());
    words
}

fn unit(args: &Args, words: Vec<OsString>, found: &Found, context: &Context) -> Result<Unit, Report> {
    let log = LogFile { path: found.instance()?.paths.log.clone(), max_size: LOG, keep: 3 };
    let spec = Spec::new(supervise::helper()?).args(context.forwarded(&found.project)?).args(words).cwd(here()?);
    let on = match args.restart {
        None | Some(RestartOn::Never) => On::Never,
        Some(RestartOn::OnFailure) => On::OnFailure,
        Some(RestartOn::Always) => On::Always,
        Some(RestartOn::UnlessStopped) => On::UnlessStopped,
    };
    Ok(Unit {
        name: found.name.clone(),
        spec,
        needs: Vec::new(),
        ready: Readiness::Notified,
        restart: Restart { on, ..Restart::default() },
        health: None,
        grace: GRACE,
        log: Some(log),
        apart: true,
        group: None,
        version: String::new(),
    })
}

/// Has it begun, and answers how it is once that is known.
fn order(unit: Unit, found: &Found, context: &Context) -> Result<UnitStatus, Report> {
    let name = unit.name.clone();
    let (client, mut follow) = Client::reach_or_begin(&found.project, true, context)?;
    client
        .order(&Order::Up { units: vec![unit], names: vec![name.clone()], named: true, whole: false }, &mut follow)?;
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(unit) = follow.unit(&name).filter(|unit| !unit.state.is_coming() || unit.starts > 1) {
            return Ok(unit.clone());
        }
        match follow.next(Some(until), None)? {
            Heard::Changed(_) | Heard::Said(_) => {}
            Heard::Deadline => {
                let _ = client.order(&Order::Stop { names: vec![name.clone()], grace_ms: None }, &mut follow);
                let unit = follow.unit(&name).map(|unit| supervise::late(unit, found.project.instances.get(&name)));
                return Err(unit.unwrap_or_else(|| supervise::not_answering().into()));
            }
            Heard::Also | Heard::Over => return Err(supervise::not_answering().into()),
        }
    }
}
