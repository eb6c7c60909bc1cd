use nixbox_config::Condition;
use nixbox_report::{Failure, Report};

use super::cannot::cannot;
use super::{Process, Target, What};

/// For honcho, foreman, overmind, hivemind: one line a process. These know no order, so each line waits by itself for
/// instances and remotes; nobody can be asked how far a job is.
pub fn render(target: &Target<'_>) -> Result<String, Report> {
    let processes = target.processes_and_keeper()?;
    let (mut out, mut failures) = (String::new(), Vec::new());
    for process in &processes {
        out += &format!("{}: ", process.name);
        for (name, condition) in &process.needs {
            match processes.iter().find(|other| other.name == *name).map(|other| other.what) {
                Some(What::Instance(instance)) => {
                    out += &format!("{} && ", target.shell(&["wait", &instance.name, "--timeout", "60"]));
                }
                Some(What::Remote(remote)) => {
                    let ready = target.shell(&["remote", "ready", remote, "--timeout", "2"]);
                    out += &format!("until {ready} 2>/dev/null; do sleep 1; done; ");
                }
                Some(What::Job(job)) => failures.push(no_order(process, &job.name, *condition)),
                Some(What::Schedules) | None => {}
            }
        }
        out += &format!("exec {}\n", target.shell(&process.run));
    }
    if failures.is_empty() { Ok(out) } else { Err(failures.into()) }
}

fn no_order(process: &Process<'_>, job: &str, condition: Condition) -> Failure {
    let how_far = match condition {
        Condition::Started => "has started",
        Condition::Ready => "is ready",
        Condition::Completed => "has ended",
    };
    cannot(
        format_args!("a Procfile cannot say that {} waits for the job {job}", process.about()),
        format_args!("what runs it starts everything at once, and nobody can be asked whether {job} {how_far}"),
        "take the dependency out, or render for process-compose or systemd",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::render::fixture;
    use std::process::Command;

    #[test]
    fn a_shell_reads_the_words_that_were_meant() {
        fixture::with(|target| {
            let text = render(target).unwrap();
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 2);
            let call = lines[0].strip_prefix("agentfs-a: exec ").unwrap();
            let output = Command::new("sh").args(["-c", &format!("printf '%s\\n' {call}")]).output().unwrap();
            let words: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().map(str::to_owned).collect();
            assert_eq!(words, target.words(&["serve", "a"]));
        });
    }
}
