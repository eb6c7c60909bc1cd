//! Jobs, and how they and instances are kept up.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use nixbox_report::{Failure, codes};

use super::Resolver;
use crate::document::{
    At, BackoffDocument, Document, HealthDocument, JobDocument, LogDocument, RestartDocument, ShareDocument,
    WatchDocument,
};
use crate::glob;
use crate::origin::Origin;
use crate::span::Span;
use crate::tree::join;
use crate::unit::{Backoff, Health, Job, LogLimits, Probe, Restart, Share, Watch};
use crate::words::{Condition, RestartOn};

impl Resolver<'_> {
    /// `default` is the instance of those that name none.
    pub(super) fn jobs(
        &mut self,
        document: &Document,
        default: Option<&str>,
        runtime_dir: &Path,
    ) -> BTreeMap<String, Job> {
        let mut jobs = BTreeMap::new();
        for (name, at) in &document.jobs {
            let key = join("jobs", name);
            self.name(name, &key, at.line);
            jobs.insert(name.clone(), self.job(name, &key, at, default, runtime_dir));
        }
        jobs
    }

    fn job(
        &mut self,
        name: &str,
        key: &str,
        At { value, line }: &At<JobDocument>,
        default: Option<&str>,
        runtime_dir: &Path,
    ) -> Job {
        let instance = value.instance.as_ref().map(|at| at.value.clone()).or(default.map(str::to_owned));
        let origin = value.instance.as_ref().map_or(Origin::Default, |at| Origin::File { line: at.line });
        self.setting(|| (join(key, "instance"), instance.clone()), origin);
        if instance.is_none() {
            let what = format!("The job {name} names no instance, and there is no default one");
            let help = "write the instance that it runs in, such as instance = \"sandbox\"";
            self.report(&codes::CONFIG_JOB, *line, &join(key, "instance"), what, help);
        }
        Job {
            name: name.to_owned(),
            enable: self.pick(key, "enable", value.enable.as_ref(), true),
            instance: instance.unwrap_or_default(),
            exec: self.program(&join(key, "exec"), &value.exec),
            cwd: self.text(key, "cwd", value.cwd.as_ref()).map(PathBuf::from),
            env: self.variables(&join(key, "env"), &value.env),
            depends_on: self.depends_on(&join(key, "depends_on"), &value.depends_on),
            restart: self.restart(key, value.restart.as_ref()),
            health: self.health(key, value.health.as_ref()),
            watch: value.watch.as_ref().map(|at| self.watch(&join(key, "watch"), &at.value)),
            user: self.text(key, "user", value.user.as_ref()),
            stdin: self.stdin(key, value),
            log_limits: self.log_limits(&join(key, "log"), value.log.as_ref()),
            limits: self.share(&join(key, "limits"), value.limits.as_ref()),
            log: runtime_dir.join(format!("{name}.log")),
        }
    }

    fn stdin(&mut self, key: &str, written: &JobDocument) -> Option<PathBuf> {
        let key = join(key, "stdin");
        let found = self.readable_path(&key, written.stdin.as_ref());
        let origin = found.as_ref().map_or(Origin::Default, |(_, origin)| *origin);
        self.setting(|| (key, found.as_ref().map(|(path, _)| path.display().to_string())), origin);
        found.map(|(path, _)| path)
    }

    fn watch(&mut self, key: &str, written: &WatchDocument) -> Watch {
        for At { value, line } in &written.paths {
            let outside = |part: Component<'_>| !matches!(part, Component::Normal(_) | Component::CurDir);
            if value.is_empty() || value.contains('\0') || Path::new(value).components().any(outside) {
                let what = format!("{value:?} is not the path of something in the instance");
                let help = "write it from the project folder on, without a leading / and without ..";
                self.report(&codes::CONFIG_VALUE, *line, &join(key, "paths"), what, help);
            }
        }
        for At { value, line } in &written.ignore {
            if let Err(why) = glob::check(value) {
                let failure = Failure::new(&codes::CONFIG_VALUE, format!("{value:?} is no pattern")).why(why);
                let help = "write it as in a .gitignore, such as \"target/\" or \"*.log\"";
                self.problems.at(*line, &join(key, "ignore"), failure.help(help));
            }
        }
        let paths = self.words(&join(key, "paths"), &written.paths);
        Watch {
            paths: paths.iter().map(PathBuf::from).collect(),
            ignore: self.words(&join(key, "ignore"), &written.ignore),
            debounce: self.pick(key, "debounce", written.debounce.as_ref(), Span::millis(300)),
        }
    }

    fn words(&mut self, key: &str, written: &[At<String>]) -> Vec<String> {
        let origin = written.first().map_or(Origin::Default, |at| Origin::File { line: at.line });
        let words: Vec<_> = written.iter().map(|at| at.value.clone()).collect();
        self.setting(|| (key, Some(words.join(" "))), origin);
        words
    }

    fn text(&mut self, table: &str, name: &str, written: Option<&At<String>>) -> Option<String> {
        let key = join(table, name);
        if let Some(At { value, line }) = written.filter(|at| at.value.is_empty() || at.value.contains('\0')) {
            let what = format!("{value:?} is no possible `{name}`");
            self.report(&codes::CONFIG_VALUE, *line, &key, what, "leave the key out to have the default");
        }
        let origin = written.map_or(Origin::Default, |at| Origin::File { line: at.line });
        let value = written.map(|at| at.value.clone());
        self.setting(|| (key, value.clone()), origin);
        value
    }

    pub(super) fn program(&mut self, key: &str, written: &[At<String>]) -> Vec<String> {
        for At { value, line } in written.iter().filter(|at| at.value.is_empty() || at.value.contains('\0')) {
            let what = format!("{value:?} is no possible word of a command");
            self.report(&codes::CONFIG_VALUE, *line, key, what, "leave it out");
        }
        self.words(key, written)
    }

    pub(super) fn depends_on(
        &mut self,
        key: &str,
        written: &BTreeMap<String, At<Condition>>,
    ) -> BTreeMap<String, Condition> {
        for (name, At { value, line }) in written {
            self.setting(|| (join(key, name), Some(value.to_string())), Origin::File { line: *line });
        }
        written.iter().map(|(name, at)| (name.clone(), at.value)).collect()
    }

    pub(super) fn restart(&mut self, unit: &str, written: Option<&At<RestartDocument>>) -> Restart {
        // What nobody wrote has no origin to be told of, and every shell entry comes through here.
        let Some(At { value: table, .. }) = written else { return Restart::default() };
        let key = &join(unit, "restart");
        let none = BackoffDocument::default();
        let backoff = table.backoff.as_ref().map_or(&none, |at| &at.value);
        let inner = join(key, "backoff");
        let found = Restart {
            on: self.pick(key, "on", table.on.as_ref(), RestartOn::default()),
            max: self.pick(key, "max", table.max.as_ref(), 5),
            window: self.pick(key, "window", table.window.as_ref(), Span::seconds(60)),
            backoff: Backoff {
                min: self.pick(&inner, "min", backoff.min.as_ref(), Span::millis(500)),
                max: self.pick(&inner, "max", backoff.max.as_ref(), Span::seconds(30)),
                factor: self.pick(&inner, "factor", backoff.factor.as_ref(), 2),
            },
        };
        if let (true, Some(At { line, .. })) = (found.backoff.max < found.backoff.min, &table.backoff) {
            let what = "The longest wait is shorter than the first".to_owned();
            self.report(&codes::CONFIG_JOB, *line, &join(&inner, "max"), what, "set `max` to `min` or more");
        }
        found
    }

    pub(super) fn health(&mut self, unit: &str, written: Option<&At<HealthDocument>>) -> Option<Health> {
        let At { value, line } = written?;
        let key = &join(unit, "health");
        let refuse = |line: usize, name: &str, what: &str, help: &str| {
            self.report(&codes::CONFIG_VALUE, line, &join(key, name), what.to_owned(), help);
        };
        let probe = match (value.exec.first(), &value.http) {
            (Some(_), None) => Probe::Exec(value.exec.iter().map(|at| at.value.clone()).collect()),
            (None, Some(at)) => {
                if !is_plain_address(&at.value) {
                    let failure = Failure::new(&codes::CONFIG_VALUE, format!("{:?} cannot be asked", at.value));
                    let help = "write \"http://HOST:PORT/PATH\"; for all else there is `exec`";
                    self.problems.at(at.line, &join(key, "http"), failure.help(help));
                }
                Probe::Http(at.value.clone())
            }
            (Some(_), Some(at)) => {
                refuse(at.line, "http", "A health check is one command or one address", "leave `exec` or `http` out");
                Probe::Http(at.value.clone())
            }
            (None, None) => {
                refuse(*line, "exec", "The health check has nothing to check", "write `exec` or `http`");
                Probe::Exec(Vec::new())
            }
        };
        match &probe {
            Probe::Exec(_) => drop(self.program(&join(key, "exec"), &value.exec)),
            Probe::Http(address) => {
                self.setting(|| (join(key, "http"), Some(address.clone())), Origin::File { line: *line });
            }
        }
        Some(Health {
            probe,
            interval: self.pick(key, "interval", value.interval.as_ref(), Span::seconds(10)),
            timeout: self.pick(key, "timeout", value.timeout.as_ref(), Span::seconds(5)),
            retries: self.pick(key, "retries", value.retries.as_ref(), 3),
            start_period: self.pick(key, "start_period", value.start_period.as_ref(), Span::millis(0)),
        })
    }

    fn share(&mut self, key: &str, written: Option<&At<ShareDocument>>) -> Share {
        let Some(At { value, .. }) = written else { return Share::default() };
        Share {
            cpu: self.optional(key, "cpu", value.cpu.as_ref()),
            memory: self.optional(key, "memory", value.memory.as_ref()),
            pids: self.optional(key, "pids", value.pids.as_ref()),
            timeout: self.optional(key, "timeout", value.timeout.as_ref()),
        }
    }

    fn log_limits(&mut self, key: &str, written: Option<&At<LogDocument>>) -> LogLimits {
        let nothing = LogDocument::default();
        let (table, default) = (written.map_or(&nothing, |at| &at.value), LogLimits::default());
        LogLimits {
            max_size: self.pick(key, "max_size", table.max_size.as_ref(), default.max_size),
            keep: self.pick(key, "keep", table.keep.as_ref(), default.keep),
        }
    }
}

/// As the schema says it.
fn is_plain_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://") else { return false };
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
    let digits =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() && !port.starts_with('0');
    let odd = |c: char| c.is_whitespace() || "@?#".contains(c);
    !host.is_empty() && !host.contains(odd) && port.is_none_or(digits) && !path.contains(char::is_whitespace)
}
