use std::collections::BTreeMap;

use super::{given, text};
use crate::document::{
    At, BackoffDocument, HealthDocument, JobDocument, LogDocument, RestartDocument, ShareDocument, WatchDocument,
};
use crate::unit::{Health, Job, Probe, Restart, Share, Watch};
use crate::words::Condition;

pub(super) fn job(job: &Job) -> JobDocument {
    JobDocument {
        enable: given(job.enable),
        instance: given(job.instance.clone()),
        exec: words(&job.exec),
        cwd: job.cwd.as_deref().and_then(|cwd| given(text(cwd))),
        env: job.env.iter().map(|(name, value)| (name.clone(), At::nowhere(value.clone()))).collect(),
        depends_on: depends_on(&job.depends_on),
        restart: given(restart(&job.restart)),
        health: job.health.as_ref().map(|it| At::nowhere(health(it))),
        watch: job.watch.as_ref().map(|it| At::nowhere(watch(it))),
        user: job.user.clone().map(At::nowhere),
        stdin: job.stdin.as_deref().and_then(|stdin| given(text(stdin))),
        log: given(LogDocument { max_size: given(job.log_limits.max_size), keep: given(job.log_limits.keep) }),
        limits: (job.limits != Share::default()).then(|| At::nowhere(share(&job.limits))),
    }
}

fn watch(watch: &Watch) -> WatchDocument {
    WatchDocument {
        paths: watch.paths.iter().map(|path| At::nowhere(text(path))).collect(),
        ignore: words(&watch.ignore),
        debounce: given(watch.debounce),
    }
}

pub(super) fn depends_on(needs: &BTreeMap<String, Condition>) -> BTreeMap<String, At<Condition>> {
    needs.iter().map(|(name, condition)| (name.clone(), At::nowhere(*condition))).collect()
}

pub(super) fn restart(restart: &Restart) -> RestartDocument {
    let backoff = &restart.backoff;
    RestartDocument {
        on: given(restart.on),
        max: given(restart.max),
        window: given(restart.window),
        backoff: given(BackoffDocument {
            min: given(backoff.min),
            max: given(backoff.max),
            factor: given(backoff.factor),
        }),
    }
}

pub(super) fn health(health: &Health) -> HealthDocument {
    let (exec, http) = match &health.probe {
        Probe::Exec(exec) => (words(exec), None),
        Probe::Http(address) => (Vec::new(), given(address.clone())),
    };
    HealthDocument {
        exec,
        http,
        interval: given(health.interval),
        timeout: given(health.timeout),
        retries: given(health.retries),
        start_period: given(health.start_period),
    }
}

pub(super) fn share(share: &Share) -> ShareDocument {
    ShareDocument {
        cpu: share.cpu.map(At::nowhere),
        memory: share.memory.map(At::nowhere),
        pids: share.pids.map(At::nowhere),
        timeout: share.timeout.map(At::nowhere),
    }
}

fn words(words: &[String]) -> Vec<At<String>> {
    words.iter().cloned().map(At::nowhere).collect()
}
