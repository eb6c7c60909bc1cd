//! Remotes, and which instance is synced with which.

use std::collections::BTreeMap;
use std::path::Path;

use nixbox_report::{Failure, codes};

use super::Resolver;
use super::secret_source::{Places, TOKEN};
use crate::address::{Address, AddressError};
use crate::document::{At, Document, InstanceDocument, RemoteDocument, SyncDocument};
use crate::origin::Origin;
use crate::project::{Remote, ServedPaths, Sync};
use crate::schema;
use crate::secret;
use crate::span::Span;
use crate::tree::join;
use crate::words::{Engine, Mode, Offline, SyncMode};

const INTERVAL: Span = Span::seconds(30);
const DEBOUNCE: Span = Span::millis(500);
const LEASE: Span = Span::seconds(120);

impl Resolver<'_> {
    pub(super) fn remotes(
        &mut self,
        document: &Document,
        data_dir: &Path,
        runtime_dir: &Path,
    ) -> BTreeMap<String, Remote> {
        let mut remotes = BTreeMap::new();
        for (name, at) in &document.remotes {
            let key = join("remotes", name);
            self.name(name, &key, at.line);
            let paths = ServedPaths::of(name, data_dir, runtime_dir);
            if let Some(remote) = self.remote(&key, at, paths) {
                remotes.insert(name.clone(), remote);
            }
        }
        self.synced_with_what_there_is(document);
        remotes
    }

    fn remote(&mut self, table: &str, At { value, line }: &At<RemoteDocument>, paths: ServedPaths) -> Option<Remote> {
        let places = Places {
            file: value.token_file.as_ref(),
            command: &value.token_command,
            variable: value.token_env.as_ref(),
        };
        let token = self.secret_source(table, *line, &TOKEN, &places);
        let insecure = self.pick(table, "insecure", value.insecure.as_ref(), false);
        let served = value.serve.as_ref().filter(|at| at.value.enable.as_ref().is_none_or(|enable| enable.value));
        let serve = served.map(|at| self.served(&join(table, "serve"), at, paths));
        let key = join(table, "url");
        let address = match (&value.url, &serve) {
            (Some(url), _) => self.address(&key, url, insecure)?,
            (None, Some(served)) => self.here(key, served)?,
            (None, None) => return None,
        };
        let token = match (token, &serve) {
            (None, Some(served)) if places.count() == 0 => Some(self.token_of_its_own(table, served)),
            (token, _) => token,
        };
        Some(Remote { address, token, insecure, serve })
    }

    fn address(&mut self, key: &str, At { value, line }: &At<String>, insecure: bool) -> Option<Address> {
        // What is secret in it must not come up in any message.
        let has_secret = matches!(value.parse::<Address>(), Err(AddressError::Credentials));
        if has_secret || secret::looks_like_one("", value) {
            let failure = Failure::new(&codes::CONFIG_SECRET, "The address holds a token or a password")
                .why("this file and the Nix store are read by others")
                .help("put the token into a file that only you can read, and name that: token_file = \"…\"");
            self.problems.at(*line, key, failure);
            return None;
        }
        let address: Address = match value.parse() {
            Ok(address) => address,
            Err(why) => {
                let failure = Failure::new(&codes::CONFIG_VALUE, format!("{value:?} is no address of a remote"));
                let help = "write \"libsql://HOST\", \"https://HOST\" or \"http://127.0.0.1:PORT\"";
                self.problems.at(*line, key, failure.why(why).help(help));
                return None;
            }
        };
        self.setting(|| (key, Some(address.to_string())), Origin::File { line: *line });
        if address.is_plain() && !address.is_loopback() && !insecure {
            let failure = Failure::new(&codes::CONFIG_EXPOSED, format!("{address} is on another machine"))
                .why("over `http` everybody on the way reads the token, and can change what comes")
                .help("use `https`, or set `insecure = true` where nobody is on the way");
            self.problems.at(*line, key, failure);
        }
        Some(address)
    }

    fn synced_with_what_there_is(&self, document: &Document) {
        for (name, at) in &document.instances {
            let Some(At { value, line }) = at.value.sync.as_ref().and_then(|sync| sync.value.remote.as_ref()) else {
                continue;
            };
            if document.remotes.contains_key(value) {
                continue;
            }
            let names = || document.remotes.keys().map(String::as_str);
            let help = match schema::nearest(value, names()) {
                Some(near) => format!("did you mean {near:?}?"),
                None if document.remotes.is_empty() => format!("declare it with [remotes.{value}] and its `url`"),
                None => format!("declared are {}", names().collect::<Vec<_>>().join(", ")),
            };
            let key = join(&join(&join("instances", name), "sync"), "remote");
            self.report(&codes::CONFIG_REMOTE, *line, &key, format!("No remote is named {value:?}"), &help);
        }
    }

    /// What cannot be synced is refused here, and not in the middle of a sync.
    pub(super) fn sync(&mut self, table: &str, written: &InstanceDocument) -> Option<Sync> {
        let At { value, line } = written.sync.as_ref()?;
        let key = join(table, "sync");
        let refuse = |what: &str, help: &str| self.report(&codes::CONFIG_VALUE, *line, &key, what.into(), help);
        if written.encryption.is_some() {
            let what = "An encrypted instance is not synced: the remote would hold everything in the clear";
            refuse(what, "leave `sync` out, or `encryption`");
        }
        if written.mode.as_ref().is_some_and(|mode| mode.value != Mode::Overlay) {
            refuse(
                "What is synced is kept in the database, and in this `mode` it is not",
                "leave `mode` out, or `sync`",
            );
        }
        if written.engine.as_ref().is_some_and(|engine| engine.value == Engine::Agentfs) {
            let what = "Upstream's program lets nobody else at the database, and so nobody sync it";
            self.report(&codes::CONFIG_ENGINE, *line, &key, what.into(), "leave `engine` out, or `sync`");
        }
        self.fits_its_mode(&key, value);
        let At { value: remote, line } = value.remote.as_ref()?;
        self.setting(|| (join(&key, "remote"), Some(remote.clone())), Origin::File { line: *line });
        let mode = self.pick(&key, "mode", value.mode.as_ref(), SyncMode::default());
        let writes = matches!(mode, SyncMode::Periodic | SyncMode::RealTime);
        Some(Sync {
            remote: remote.clone(),
            mode,
            interval: self.pick(&key, "interval", value.interval.as_ref(), INTERVAL),
            debounce: self.pick(&key, "debounce", value.debounce.as_ref(), DEBOUNCE),
            pull_on_start: self.pick(&key, "pull_on_start", value.pull_on_start.as_ref(), mode != SyncMode::Manual),
            push_on_stop: self.pick(&key, "push_on_stop", value.push_on_stop.as_ref(), writes),
            offline: self.pick(&key, "offline", value.offline.as_ref(), Offline::default()),
            lease: self.pick(&key, "lease", value.lease.as_ref(), LEASE),
        })
    }

    /// What would mean nothing, or something that its mode forbids, was meant otherwise by whoever wrote it.
    fn fits_its_mode(&self, key: &str, written: &SyncDocument) {
        let mode = written.mode.as_ref().map_or(SyncMode::default(), |at| at.value);
        let refuse = |line: usize, name: &str, what: String, help: &str| {
            self.report(&codes::CONFIG_VALUE, line, &join(key, name), what, help);
        };
        if let (Some(At { line, .. }), SyncMode::Manual | SyncMode::RealTime) = (&written.interval, mode) {
            let what = format!("`interval` means nothing in the mode `{mode}`, which no clock drives");
            refuse(*line, "interval", what, "leave it out, or set `mode` to \"periodic\" or \"follow\"");
        }
        if let (Some(At { line, .. }), true) = (&written.debounce, mode != SyncMode::RealTime) {
            let what = format!("`debounce` means nothing in the mode `{mode}`, which waits for no change");
            refuse(*line, "debounce", what, "leave it out, or set `mode = \"real-time\"`");
        }
        if let (Some(At { value: true, line }), SyncMode::Follow) = (&written.push_on_stop, mode) {
            let what = "`push_on_stop` has nothing to push in the mode `follow`, which writes nothing".to_owned();
            refuse(*line, "push_on_stop", what, "leave it out, or set another `mode`");
        }
        if let (Some(At { value: false, line }), SyncMode::Periodic | SyncMode::RealTime) =
            (&written.pull_on_start, mode)
        {
            let what = format!("In the mode `{mode}` nothing may be written before what the remote has is here");
            refuse(*line, "pull_on_start", what, "leave it out, or set `mode` to \"manual\" or \"follow\"");
        }
        let pulls = written.pull_on_start.as_ref().map_or(mode != SyncMode::Manual, |at| at.value);
        if let (Some(At { line, .. }), false) = (&written.offline, pulls) {
            let what = "`offline` says what a start does without the remote, and this one does not ask it".to_owned();
            refuse(*line, "offline", what, "leave it out, or set `pull_on_start = true`");
        }
    }
}
