use std::io;
use std::path::PathBuf;
use std::sync::mpsc;

use nixbox_config::Project;
use nixbox_report::{Failure, Report, codes};
use serde::Serialize;

use super::DONE;
use crate::context::{Context, io_failure};
use crate::logs::{Chain, Said, Watched, merged};
use crate::output::Tone;
use crate::select;
use crate::supervise::{remote_unit, unknown};
use crate::times::{self, Moment};

/// Show what instances and jobs have said
///
/// Of all of them together, by time. What `up` keeps up is kept in files, also those that were put aside; `--follow` goes
/// on with what comes, until Ctrl-C. With --json each line is an object on a line of its own.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper logs\n  nixbox-helper logs -f --tail 20 web worker\n  nixbox-helper logs --since 10m --json | jq -r .line"
)]
pub struct Args {
    /// The instances and jobs [default: every one that has said something]
    pub names: Vec<String>,
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// Of each, only so many of the last lines
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<usize>,
    /// Only from then on: a time such as 2026-11-21T06:45:00Z, or how long ago, such as 10m
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub since: Option<Moment>,
    /// Show when it was said
    #[arg(short, long)]
    pub timestamps: bool,
}

#[derive(Serialize)]
struct Line<'l> {
    name: &'l str,
    time: &'l str,
    line: &'l str,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let logs = chosen(&project, &select::all_full(&project, &args.names)?, args.follow)?;
    let teller =
        Teller { names: logs.iter().map(|(name, _)| name.clone()).collect(), timestamps: args.timestamps, context };
    let failed = |error: io::Error| io_failure("read the logs in", &project.runtime_dir, error);
    let watched = match args.follow {
        true => Some(Watched::folder(&project.runtime_dir).map_err(failed)?),
        false => None,
    };
    let open = |path: &PathBuf| watched.as_ref().map_or_else(|| Chain::of(path), |watched| watched.chain(path));
    let mut chains: Vec<Chain> = logs.iter().map(|(_, path)| open(path)).collect();
    let since = args.since.map(|moment| times::for_logs(moment.0));
    let mut goes_on = true;
    merged(&mut chains, since.as_deref(), args.tail, |said| {
        goes_on = teller.tell(&said)?;
        Ok(goes_on)
    })
    .map_err(failed)?;
    if args.follow && goes_on {
        follow(chains, &teller).map_err(failed)?;
    }
    Ok(DONE)
}

/// Each from a thread of its own; who does not read us holds up nobody but us.
fn follow(chains: Vec<Chain>, teller: &Teller<'_>) -> io::Result<()> {
    let (tell, told) = mpsc::sync_channel(1024);
    for (from, mut chain) in chains.into_iter().enumerate() {
        let tell = tell.clone();
        std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
            while let Ok(line) = chain.wait() {
                if tell.send(Said::of(from, line)).is_err() {
                    return;
                }
            }
        })?;
    }
    drop(tell);
    while let Ok(said) = told.recv() {
        if !teller.tell(&said)? {
            break;
        }
    }
    Ok(())
}

fn chosen(project: &Project, names: &[String], follow: bool) -> Result<Vec<(String, PathBuf)>, Report> {
    let instances = project.instances.values().map(|one| (one.name.clone(), one.paths.log.clone()));
    let jobs = project.jobs.values().map(|one| (one.name.clone(), one.log.clone()));
    let remotes = project.served().map(|(name, served)| (remote_unit(name), served.paths.log.clone()));
    let schedules = project.schedules.values().map(|one| (one.name.clone(), one.log.clone()));
    let all: Vec<_> = instances.chain(jobs).chain(remotes).chain(schedules).collect();
    let mut found = Vec::new();
    for name in names {
        match all.iter().find(|(known, _)| known == name) {
            Some(one) if !found.contains(one) => found.push(one.clone()),
            Some(_) => {}
            None => return Err(unknown(project, name).into()),
        }
    }
    if !names.is_empty() {
        return Ok(found);
    }
    let there: Vec<_> = all.into_iter().filter(|(_, path)| follow || path.exists()).collect();
    if there.is_empty() {
        return Err(Failure::new(&codes::UNIT_NOT_LOGGED, "there are no logs")
            .why(format_args!("nothing in {} was kept up by `nixbox-helper up`", project.runtime_dir.display()))
            .help("what another process manager runs is logged by that")
            .into());
    }
    Ok(there)
}

struct Teller<'c> {
    names: Vec<String>,
    timestamps: bool,
    context: &'c Context,
}

impl Teller<'_> {
    /// False when whoever reads us has seen enough.
    fn tell(&self, said: &Said) -> io::Result<bool> {
        let output = &self.context.output;
        let name = &self.names[said.from];
        let text = if output.json {
            serde_json::to_string(&Line { name, time: &said.time, line: &said.line })? + "\n"
        } else {
            let width = self.names.iter().map(String::len).max().unwrap_or_default();
            let tone = [Tone::Strong, Tone::Good, Tone::Odd][said.from % 3];
            let time =
                if self.timestamps { format!("{} ", output.paint(Tone::Dim, &said.time)) } else { String::new() };
            format!("{} {time}{}\n", output.paint(tone, &format!("{name:<width$} |")), said.line)
        };
        output.open_data(text).map_err(|_| io::ErrorKind::WriteZero.into())
    }
}
