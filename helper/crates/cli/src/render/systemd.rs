use std::collections::BTreeSet;

use nixbox_config::{Condition, Job, Restart, RestartOn, Share};
use nixbox_report::Report;

use super::{Process, STOP, Target, What, processes};

/// The file names of units and their texts: as home-manager has them from the modules.
pub fn render(target: &Target<'_>) -> Result<Vec<(String, String)>, Report> {
    let processes = target.processes()?;
    // What somebody waits for the end of: systemd knows that of a oneshot alone.
    let completed = |process: &Process<'_>| {
        let ends = process.needs.clone().into_iter().filter(|(_, wanted)| *wanted == Condition::Completed);
        ends.map(|(name, _)| name).collect::<Vec<_>>()
    };
    let awaited: BTreeSet<String> = processes.iter().flat_map(completed).collect();
    let units = processes.iter().map(|process| {
        let text = match process.what {
            What::Job(job) => of_job(process, job, awaited.contains(&process.name), target),
            What::Instance(instance) => of_server(process, instance.mount.is_some(), target),
            What::Remote(_) | What::Schedules => of_server(process, false, target),
        };
        (format!("{}.service", process.name), text)
    });
    Ok(units.chain(super::systemd_schedule::render(target)?).collect())
}

fn of_server(process: &Process<'_>, is_mounted: bool, target: &Target<'_>) -> String {
    let mut unit = head(process);
    let remote = match process.what {
        What::Instance(instance) => instance.remote().map(processes::remote),
        _ => None,
    };
    for name in process.needs.keys() {
        // It stays while its remote is away, and needs the rest.
        let needs = if Some(name) == remote.as_ref() { "Wants" } else { "Requires" };
        unit += &format!("{needs}={name}.service\nAfter={name}.service\n");
    }
    let confined = match (is_mounted, process.what) {
        (true, _) => String::new(),
        // A remote puts its server into a network of its own.
        (false, What::Remote(_)) => filters("user net"),
        (false, _) => filters("yes"),
    };
    format!(
        "{unit}{}\n[Service]\n# Ready when the owner says so, by sd_notify\nType=notify\nNotifyAccess=main\nExecStart={}\n{}\
         # Wrong configuration, held by another owner, refused: trying again is no help\nRestartPreventExitStatus=2 4 7\n\
         TimeoutStartSec=60\n# The owner unmounts by itself; only what it leaves is killed\n{}KeyringMode=private\n{confined}{INSTALL}",
        start_limit(&process.restart),
        call(target, &process.run),
        restarts(&process.restart, false),
        end(),
    )
}

fn of_job(process: &Process<'_>, job: &Job, is_awaited: bool, target: &Target<'_>) -> String {
    let mut unit = head(process);
    let own = target.name_of(&job.instance);
    // What lives in an instance goes with it.
    unit += &format!("BindsTo={own}.service\nAfter={own}.service\n");
    for name in process.needs.keys().filter(|name| **name != own) {
        unit += &format!("Requires={name}.service\nAfter={name}.service\n");
    }
    let kind = if is_awaited { "Type=oneshot\nRemainAfterExit=yes\n" } else { "Type=exec\n" };
    format!(
        "{unit}{}\n[Service]\n{kind}ExecStart={}\n{}{}{}{INSTALL}",
        start_limit(&process.restart),
        call(target, &process.run),
        restarts(&process.restart, is_awaited),
        end(),
        limits(&target.project.share_of(job)),
    )
}

const INSTALL: &str = "\n[Install]\nWantedBy=default.target\n";

fn head(process: &Process<'_>) -> String {
    let about = process.description.map_or_else(|| process.about(), str::to_owned);
    format!("[Unit]\nDescription={}\n", line(&about))
}

pub fn call(target: &Target<'_>, verb: &[&str]) -> String {
    target.words(verb).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// How it ends, and that what it makes is its user's alone.
pub fn end() -> String {
    format!("KillMode=mixed\nTimeoutStopSec={STOP}\nUMask=0077\n")
}

/// What was stopped by hand stays so under every policy: that is how systemd is. A oneshot is never started again for
/// having ended well.
fn restarts(restart: &Restart, is_oneshot: bool) -> String {
    let on = match restart.on {
        RestartOn::Never => "no",
        RestartOn::OnFailure => "on-failure",
        RestartOn::Always | RestartOn::UnlessStopped if is_oneshot => "on-failure",
        RestartOn::Always | RestartOn::UnlessStopped => "always",
    };
    // It waits as long each time: what is short at first would be short to the end.
    let wait = match restart.backoff.min {
        min if min == Restart::default().backoff.min => "2s".to_owned(),
        min => min.to_string(),
    };
    format!("Restart={on}\nRestartSec={wait}\n")
}

fn start_limit(restart: &Restart) -> String {
    format!("StartLimitIntervalSec={}\nStartLimitBurst={}\n", restart.window, u64::from(restart.max) + 1)
}

/// It may make control groups where the job itself may not. How long it may run the job sees to, which says so.
fn limits(share: &Share) -> String {
    let mut out = String::new();
    if let Some(cpu) = share.cpu {
        out += &format!("CPUQuota={}%\n", cpu.thousandths().div_ceil(10));
    }
    if let Some(memory) = share.memory {
        out += &format!("MemoryMax={}\nMemorySwapMax=0\n", memory.0);
    }
    if let Some(pids) = share.pids {
        out += &format!("TasksMax={pids}\n");
    }
    out
}

/// Each of these sets NoNewPrivileges, and that disarms the setuid fusermount3: only for an owner that does not mount.
fn filters(namespaces: &str) -> String {
    format!(
        "NoNewPrivileges=yes\nRestrictNamespaces={namespaces}\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\n\
         LockPersonality=yes\nSystemCallArchitectures=native\nSystemCallFilter=@system-service\n\
         SystemCallFilter=~@privileged\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n"
    )
}

/// A word of ExecStart: `%` starts a specifier, `$` a variable, the rest is as in C.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '%' => out += "%%",
            '$' => out += "$$",
            c => out.push(c),
        }
    }
    out + "\""
}

fn line(text: &str) -> String {
    text.replace('%', "%%").replace(['\n', '\r'], " ").trim_end_matches('\\').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::render::fixture;

    #[test]
    fn words_are_quoted_for_systemd() {
        fixture::with(|target| {
            let units = render(target).unwrap();
            let names: Vec<_> = units.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["agentfs-a.service", "agentfs-b.service"]);
            let text = &units[0].1;
            assert!(text.contains("it's $$HOME 100%%/nixbox-helper\" --config \"/"), "{text}");
            assert!(text.contains("Description=first: \"a\" $x\n"), "{text}");
        });
    }

    #[test]
    fn what_mounts_may_use_fusermount_and_what_does_not_is_confined() {
        fixture::of("[instances.a]\nmount.path = \"mnt\"\n[instances.b]\nmount.backend = \"none\"\n", |target| {
            let units = render(target).unwrap();
            let is_confined: Vec<_> = units.iter().map(|(_, text)| text.contains("NoNewPrivileges")).collect();
            assert_eq!(is_confined, [false, true]);
        });
    }
}
