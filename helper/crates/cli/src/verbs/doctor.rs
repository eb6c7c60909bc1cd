use nixbox_config::{Backend, Engine, Instance, Mount};
use nixbox_report::{Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::{DONE, instance};
use crate::context::Context;
use crate::doctor::machine::Needs;
use crate::doctor::{Finding, Grade, machine, project};
use crate::output::Tone;

/// Look for everything that can be wrong, and say what to do about it
///
/// Changes nothing. Exit 0 when nothing will fail, else the code of the first thing that will. Without a
/// configuration it looks at the machine alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper doctor\n  nixbox-helper doctor --json | jq '.findings[] | select(.grade == \"fail\")'"
)]
pub struct Args {}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub findings: Vec<Finding>,
}

pub fn run(_: Args, context: &Context) -> Result<u8, Report> {
    let findings = look(context);
    let exit = findings.iter().find_map(|finding| finding.class).map_or(DONE, |code| code.exit as u8);
    match context.output.json {
        true => context.output.json(Answer { findings })?,
        false => context.output.data(page(&findings, context))?,
    }
    Ok(exit)
}

fn look(context: &Context) -> Vec<Finding> {
    let mut findings = vec![machine::kernel(), machine::owner()];
    match context.project() {
        Ok(project) => {
            let file = project.file.display();
            findings.push(Finding::ok("configuration", format!("{file}, {} enabled", project.enabled().count())));
            let mounts: Vec<_> = project.enabled().filter_map(|instance| instance.mount.as_ref()).collect();
            let any = |is_so: fn(&Mount) -> bool| mounts.iter().any(|mount| is_so(mount));
            if !mounts.is_empty() {
                findings.extend(machine::mounting(Needs {
                    shared: any(|mount| mount.allow_other || mount.allow_root),
                    auto: any(|mount| mount.backend == Backend::Auto),
                    fuse: any(|mount| mount.backend == Backend::Fuse),
                    nfs: any(|mount| mount.backend == Backend::Nfs),
                }));
            }
            if project.enabled().any(|instance| instance.engine == Engine::Agentfs) {
                findings.push(machine::upstream(project.agentfs_program.as_deref()));
            }
            let recorded = |one: &Instance| instance::recorded_base(context, &project, one);
            findings.extend(project::findings(&project, &recorded));
        }
        Err(report) => {
            findings.extend(machine::mounting(Needs { auto: true, ..Needs::default() }));
            findings.extend(report.failures.iter().map(unconfigured));
        }
    }
    findings.extend(machine::companions());
    findings
}

/// No configuration is nothing wrong: there may be no project yet.
fn unconfigured(failure: &nixbox_report::Failure) -> Finding {
    const SUBJECT: &str = "configuration";
    if failure.code == &codes::CONFIG_MISSING && failure.place.is_none() {
        return Finding::warn(SUBJECT, failure.what.clone(), "make one with `nixbox-helper new plain`");
    }
    let mut finding = Finding::of(SUBJECT, failure);
    if let Some(place) = &failure.place {
        let line = place.line.map(|line| format!(":{line}")).unwrap_or_default();
        finding.found = format!("{}{line}: {}", place.file.display(), finding.found);
    }
    finding
}

fn page(findings: &[Finding], context: &Context) -> String {
    let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let mut page = String::new();
    for finding in findings {
        let (word, tone) = match finding.grade {
            Grade::Ok => ("ok  ", Tone::Good),
            Grade::Info => ("info", Tone::Dim),
            Grade::Warn => ("warn", Tone::Odd),
            Grade::Fail => ("FAIL", Tone::Bad),
        };
        let word = context.output.paint(tone, word);
        page += &format!("{word}  {:<width$}  {}\n", finding.subject, finding.found);
        if let Some(help) = &finding.help {
            page += &format!("      {:<width$}  help: {help}\n", "");
        }
    }
    let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
    page + &format!("\n{} ok, {} to note, {} failing\n", count(Grade::Ok), count(Grade::Warn), count(Grade::Fail))
}
