//! A project written out again with nothing left to defaults.

mod schedules;
mod units;

use std::collections::BTreeMap;
use std::path::Path;

use nixbox_report::{Failure, Report, codes};

use crate::document::{
    At, Document, EncryptionDocument, HooksDocument, HttpDocument, InstanceDocument, LimitsDocument, McpDocument,
    MountDocument, NfsDocument, PartialDocument, RemoteDocument, ServeDocument, ShareDocument, SyncDocument,
};
use crate::project::{Encryption, Http, Instance, KeySource, Limits, Nfs, Partial, Project, Remote, Served, Sync};
use crate::reader::VERSION;
use crate::words::{Backend, HookEvent, SyncMode};

/// TOML that means the same project wherever it is read with the same root.
pub fn to_toml(project: &Project) -> Result<String, Report> {
    toml::to_string(&document(project)).map_err(failed)
}

/// The same as JSON.
pub fn to_json(project: &Project) -> Result<String, Report> {
    let mut text = serde_json::to_string_pretty(&document(project)).map_err(failed)?;
    text.push('\n');
    Ok(text)
}

fn failed(error: impl std::fmt::Display) -> Report {
    Failure::new(&codes::UNEXPECTED, "The configuration could not be written out").why(error).into()
}

fn document(project: &Project) -> Document {
    Document {
        version: At::nowhere(VERSION),
        data_dir: given(text(&project.data_dir)),
        runtime_dir: given(text(&project.runtime_dir)),
        agentfs_program: project.agentfs_program.as_deref().and_then(|program| given(text(program))),
        default_instance: project.default_instance.clone().map(At::nowhere),
        log_level: given(project.log_level),
        remotes: project.remotes.iter().map(|(name, it)| (name.clone(), At::nowhere(remote(it)))).collect(),
        jobs: project.jobs.iter().map(|(name, it)| (name.clone(), At::nowhere(units::job(it)))).collect(),
        schedules: project
            .schedules
            .iter()
            .map(|(name, it)| (name.clone(), At::nowhere(schedules::schedule(it))))
            .collect(),
        instances: project.declared().map(|it| (it.name.clone(), At::nowhere(instance(it)))).collect(),
    }
}

fn instance(instance: &Instance) -> InstanceDocument {
    let mount = match &instance.mount {
        None => {
            let nfs = instance.nfs.as_ref();
            MountDocument {
                backend: given(Backend::None),
                // What is not mounted can still be read-only over NFS.
                read_only: nfs.and_then(|nfs| given(nfs.read_only)),
                uid: nfs.and_then(|nfs| nfs.uid).map(At::nowhere),
                gid: nfs.and_then(|nfs| nfs.gid).map(At::nowhere),
                ..MountDocument::default()
            }
        }
        Some(mount) => MountDocument {
            path: given(text(&mount.path)),
            backend: given(mount.backend),
            read_only: given(mount.read_only),
            allow_root: given(mount.allow_root),
            allow_other: given(mount.allow_other),
            uid: mount.uid.map(At::nowhere),
            gid: mount.gid.map(At::nowhere),
            create: given(mount.create),
        },
    };
    let all = |table: &BTreeMap<String, String>| {
        table.iter().map(|(name, value)| (name.clone(), At::nowhere(value.clone()))).collect()
    };
    InstanceDocument {
        enable: given(instance.enable),
        description: given(instance.description.clone()),
        engine: given(instance.engine),
        base: instance.base.as_ref().and_then(|base| given(text(&base.path))),
        exclude: instance.base.iter().flat_map(|base| &base.exclude).cloned().map(At::nowhere).collect(),
        mode: given(instance.mode),
        limits: (instance.limits != Limits::default()).then(|| At::nowhere(limits(&instance.limits))),
        labels: all(&instance.labels),
        env: all(&instance.env),
        mount: given(mount),
        http: instance.http.as_ref().map(|http| At::nowhere(self::http(http))),
        nfs: instance.nfs.as_ref().map(|nfs| At::nowhere(self::nfs(nfs))),
        encryption: instance.encryption.as_ref().map(|it| At::nowhere(encryption(it))),
        sync: instance.sync.as_ref().map(|it| {
            let partial = instance.partial.as_ref().map(|it| At::nowhere(partial(it)));
            At::nowhere(SyncDocument { partial, ..sync(it) })
        }),
        depends_on: units::depends_on(&instance.depends_on),
        restart: given(units::restart(&instance.restart)),
        health: instance.health.as_ref().map(|it| At::nowhere(units::health(it))),
        hooks: (!instance.hooks.is_empty()).then(|| At::nowhere(hooks(&instance.hooks))),
        mcp: given(McpDocument { tools: Some(instance.mcp_tools.iter().copied().map(At::nowhere).collect()) }),
    }
}

fn encryption(encryption: &Encryption) -> EncryptionDocument {
    let cipher = given(encryption.cipher);
    let none = EncryptionDocument { cipher, ..EncryptionDocument::default() };
    match &encryption.key {
        KeySource::File(path) => EncryptionDocument { key_file: given(text(path)), ..none },
        KeySource::Command(words) => {
            EncryptionDocument { key_command: words.iter().cloned().map(At::nowhere).collect(), ..none }
        }
        KeySource::Variable(name) => EncryptionDocument { key_env: given(name.clone()), ..none },
    }
}

fn partial(partial: &Partial) -> PartialDocument {
    PartialDocument {
        prefetch: given(partial.prefetch),
        segment_size: given(partial.segment_size),
        bootstrap_query: partial.bootstrap_query.clone().map(At::nowhere),
        bootstrap_length: partial.bootstrap_length.map(At::nowhere),
    }
}

/// What means nothing in its mode is not written: it would be refused.
fn sync(sync: &Sync) -> SyncDocument {
    let timed = matches!(sync.mode, SyncMode::Periodic | SyncMode::Follow);
    SyncDocument {
        remote: given(sync.remote.clone()),
        mode: given(sync.mode),
        interval: timed.then_some(At::nowhere(sync.interval)),
        debounce: (sync.mode == SyncMode::RealTime).then_some(At::nowhere(sync.debounce)),
        pull_on_start: given(sync.pull_on_start),
        push_on_stop: given(sync.push_on_stop),
        offline: sync.pull_on_start.then_some(At::nowhere(sync.offline)),
        lease: given(sync.lease),
        partial: None,
    }
}

fn remote(remote: &Remote) -> RemoteDocument {
    let none = RemoteDocument {
        url: given(remote.address.to_string()),
        token_file: None,
        token_command: Vec::new(),
        token_env: None,
        insecure: given(remote.insecure),
        serve: remote.serve.as_ref().map(|it| At::nowhere(served(it))),
    };
    match &remote.token {
        None => none,
        Some(KeySource::File(path)) => RemoteDocument { token_file: given(text(path)), ..none },
        Some(KeySource::Command(words)) => {
            RemoteDocument { token_command: words.iter().cloned().map(At::nowhere).collect(), ..none }
        }
        Some(KeySource::Variable(name)) => RemoteDocument { token_env: given(name.clone()), ..none },
    }
}

fn served(served: &Served) -> ServeDocument {
    ServeDocument {
        enable: given(true),
        port: given(served.port),
        program: served.program.as_deref().and_then(|program| given(text(program))),
        hosts: served.hosts.iter().cloned().map(At::nowhere).collect(),
        wal_alarm: given(served.wal_alarm),
    }
}

fn http(http: &Http) -> HttpDocument {
    HttpDocument {
        bind: given(http.bind),
        port: given(http.port),
        expose: given(http.expose),
        hosts: http.hosts.iter().cloned().map(At::nowhere).collect(),
    }
}

fn hooks(hooks: &BTreeMap<HookEvent, Vec<Vec<String>>>) -> HooksDocument {
    let of = |event| {
        let command = |words: &Vec<String>| At::nowhere(words.iter().cloned().map(At::nowhere).collect());
        hooks.get(&event).into_iter().flatten().map(command).collect()
    };
    HooksDocument {
        created: of(HookEvent::Created),
        ready: of(HookEvent::Ready),
        unhealthy: of(HookEvent::Unhealthy),
        restarted: of(HookEvent::Restarted),
        stopped: of(HookEvent::Stopped),
        exec: of(HookEvent::Exec),
        snapshot: of(HookEvent::Snapshot),
        sync: of(HookEvent::Sync),
        conflict: of(HookEvent::Conflict),
    }
}

fn limits(limits: &Limits) -> LimitsDocument {
    let ShareDocument { cpu, memory, pids, timeout } = units::share(&limits.commands);
    let (size, files) = (limits.size.map(At::nowhere), limits.files.map(At::nowhere));
    LimitsDocument { size, files, cpu, memory, pids, timeout }
}

fn nfs(nfs: &Nfs) -> NfsDocument {
    NfsDocument { enable: given(true), bind: given(nfs.bind), port: given(nfs.port), expose: given(nfs.expose) }
}

fn given<T>(value: T) -> Option<At<T>> {
    Some(At::nowhere(value))
}

/// Every path of a project is UTF-8; `load` has seen to that.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
