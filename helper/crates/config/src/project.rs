//! What a configuration means once every default is applied: absolute paths, no options left open.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::address::Address;
use crate::made;
use crate::paths::short_hash;
use crate::schedule::Schedule;
use crate::size::Size;
use crate::span::Span;
use crate::unit::{Health, Job, Restart, Share};
use crate::words::{Backend, Cipher, Condition, Engine, HookEvent, LogLevel, McpTool, Mode, Offline, SyncMode};

/// A project: one `nixbox.toml` and the folder its relative paths start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The configuration file, absolute.
    pub file: PathBuf,
    pub root: PathBuf,
    pub data_dir: PathBuf,
    pub runtime_dir: PathBuf,
    /// Where upstream's program was said to be.
    pub agentfs_program: Option<PathBuf>,
    /// The instance that unprefixed `AGENTFS_*` names mean.
    pub default_instance: Option<String>,
    pub log_level: LogLevel,
    /// What instances can be synced with.
    pub remotes: BTreeMap<String, Remote>,
    /// Every declared instance, disabled ones too, and those that were made without being declared.
    pub instances: BTreeMap<String, Instance>,
    /// Every declared job, likewise.
    pub jobs: BTreeMap<String, Job>,
    /// Every declared schedule, likewise.
    pub schedules: BTreeMap<String, Schedule>,
}

/// One declared AgentFS database with everything around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub name: String,
    pub enable: bool,
    pub description: String,
    pub engine: Engine,
    /// The folder that it lies over.
    pub base: Option<Base>,
    pub mode: Mode,
    pub limits: Limits,
    pub labels: BTreeMap<String, String>,
    /// Extra variables that `env` exports for this instance.
    pub env: BTreeMap<String, String>,
    pub mount: Option<Mount>,
    pub http: Option<Http>,
    pub nfs: Option<Nfs>,
    pub encryption: Option<Encryption>,
    /// With what it is synced, and when.
    pub sync: Option<Sync>,
    /// Of what comes from there, content when it is read.
    pub partial: Option<Partial>,
    /// What is run, one command after another, when something has happened.
    pub hooks: BTreeMap<HookEvent, Vec<Vec<String>>>,
    /// The tools that may be called over MCP.
    pub mcp_tools: Vec<McpTool>,
    /// What has to be there before it is brought up, by the name of a job or an instance.
    pub depends_on: BTreeMap<String, Condition>,
    pub restart: Restart,
    pub health: Option<Health>,
    /// How it came to be, where it is not declared.
    pub made: Option<Made>,
    pub paths: Paths,
}

/// Of an instance that a verb has made, and that a file of its own describes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Made {
    /// Milliseconds since 1970.
    pub created: u64,
    /// Somebody has said that it is to stay.
    pub keep: bool,
    /// What it was made for.
    pub command: Vec<String>,
}

/// Where an instance keeps what it keeps. Derived, never configured one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `DATA_DIR/NAME.db`: upstream's tools can open it when no owner runs.
    pub db: PathBuf,
    /// `DATA_DIR/NAME.d`: snapshots, operations, trash.
    pub dir: PathBuf,
    /// `DATA_DIR/NAME.d/owner.lock`: held by the one owner, beside the database so that two
    /// environments with different runtime folders still meet here.
    pub lock: PathBuf,
    /// `DATA_DIR/NAME.d/hooks.log`: commands of `hooks` that have failed.
    pub hooks: PathBuf,
    /// `RUNTIME_DIR/NAME.sock`
    pub socket: PathBuf,
    /// `RUNTIME_DIR/NAME.json`: the owner's published status.
    pub record: PathBuf,
    /// `RUNTIME_DIR/NAME.token`
    pub token: PathBuf,
    /// `RUNTIME_DIR/NAME.log`: where a detached owner's output goes.
    pub log: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub path: PathBuf,
    pub backend: Backend,
    pub read_only: bool,
    pub allow_root: bool,
    pub allow_other: bool,
    /// Show every file as owned by this user.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Create the mountpoint where it is missing, and remove it again after unmounting.
    pub create: bool,
}

/// The real folder under an instance's overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub path: PathBuf,
    /// Patterns, as in a `.gitignore`, of what is not seen of it.
    pub exclude: Vec<String>,
}

/// How much an instance may hold itself, and a command in it take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of content.
    pub size: Option<Size>,
    /// Files, folders and links.
    pub files: Option<u64>,
    pub commands: Share,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    pub bind: IpAddr,
    /// 0: the system picks one and the owner records it.
    pub port: u16,
    /// `bind` may be an address that other machines reach.
    pub expose: bool,
    /// What this machine may be called by, beside `localhost` and the address that a caller connects to.
    pub hosts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nfs {
    pub bind: IpAddr,
    /// 0: the system picks one and the owner records it.
    pub port: u16,
    /// `bind` may be an address that other machines reach.
    pub expose: bool,
    pub read_only: bool,
    /// Show every file as owned by this user.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    pub cipher: Cipher,
    pub key: KeySource,
}

/// What of the content comes before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The rest comes by itself.
    pub prefetch: bool,
    pub segment_size: Size,
    pub bootstrap_query: Option<String>,
    pub bootstrap_length: Option<Size>,
}

/// How an instance is synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// The name of the remote.
    pub remote: String,
    pub mode: SyncMode,
    /// From one sync to the next, where time makes one.
    pub interval: Span,
    /// From the last change to the push, where changes make one.
    pub debounce: Span,
    pub pull_on_start: bool,
    pub push_on_stop: bool,
    pub offline: Offline,
    /// How long the remote's lease is good for without being renewed.
    pub lease: Span,
}

/// A database on another machine, or at another port of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub address: Address,
    /// Where the token is, if that was said.
    pub token: Option<KeySource>,
    /// It may be asked over `http` although it is on another machine.
    pub insecure: bool,
    /// How it is served from here, where it is.
    pub serve: Option<Served>,
}

/// A remote of this project's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// On `127.0.0.1`.
    pub port: u16,
    /// Where `tursodb` was said to be.
    pub program: Option<PathBuf>,
    /// What this machine may be called by, beside the names that it always has.
    pub hosts: Vec<String>,
    /// How large its log may become before somebody is told.
    pub wal_alarm: Size,
    pub paths: ServedPaths,
}

/// Where a served remote keeps what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedPaths {
    /// `DATA_DIR/remotes/NAME`
    pub dir: PathBuf,
    /// `remote.db` in it; its log lies beside it, and is as much part of it.
    pub db: PathBuf,
    pub wal: PathBuf,
    pub token: PathBuf,
    pub lock: PathBuf,
    /// `RUNTIME_DIR/NAME.remote.sock`
    pub socket: PathBuf,
    /// `RUNTIME_DIR/NAME.remote.log`: where a detached one's output goes.
    pub log: PathBuf,
}

/// Where a key or a token is to be had when it is needed. Never the thing itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    File(PathBuf),
    /// A program and its arguments.
    Command(Vec<String>),
    /// The name of a variable.
    Variable(String),
}

impl Project {
    /// The declared instances that are enabled, by name.
    pub fn enabled(&self) -> impl Iterator<Item = &Instance> {
        self.declared().filter(|instance| instance.enable)
    }

    /// What the configuration file says, disabled ones too.
    pub fn declared(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values().filter(|instance| instance.made.is_none())
    }

    /// `DATA_DIR/.instances`: a file for each instance that was made without being declared. No instance's own file can
    /// have this name.
    pub fn made_dir(&self) -> PathBuf {
        made::folder(&self.data_dir)
    }

    /// The file that describes a made instance of that name.
    pub fn made_file(&self, name: &str) -> PathBuf {
        self.made_dir().join([name, made::EXTENSION].concat())
    }

    /// The remotes that are served from here, by name.
    pub fn served(&self) -> impl Iterator<Item = (&String, &Served)> {
        self.remotes.iter().filter_map(|(name, remote)| Some((name, remote.serve.as_ref()?)))
    }

    /// The instance of that name, or the default one.
    pub fn instance(&self, name: Option<&str>) -> Option<&Instance> {
        self.instances.get(name.or(self.default_instance.as_deref())?)
    }
}

impl Project {
    /// What a job may take, by its own words or its instance's.
    pub fn share_of(&self, job: &Job) -> Share {
        let instance = self.instances.get(&job.instance);
        job.limits.or(instance.map(|instance| instance.limits.commands).unwrap_or_default())
    }
}

impl Instance {
    /// Eight hex digits that stand for its database's place, whatever it is called elsewhere.
    pub fn id(&self) -> String {
        short_hash(&[&self.paths.db])
    }

    /// What it is synced with.
    pub fn remote(&self) -> Option<&str> {
        self.sync.as_ref().map(|sync| sync.remote.as_str())
    }

    /// Nothing changes what is in it, whichever way is taken.
    pub fn is_read_only(&self) -> bool {
        self.mount.as_ref().is_some_and(|mount| mount.read_only) || self.nfs.as_ref().is_some_and(|nfs| nfs.read_only)
    }
}

impl Sync {
    /// It writes to the remote by itself, and so has the lease for as long as it runs.
    pub fn writes(&self) -> bool {
        matches!(self.mode, SyncMode::Periodic | SyncMode::RealTime)
    }
}

impl ServedPaths {
    /// Below the data folder. No instance's database can have this name.
    pub const FOLDER: &str = "remotes";

    pub fn of(name: &str, data_dir: &Path, runtime_dir: &Path) -> Self {
        let dir = data_dir.join(Self::FOLDER).join(name);
        let runtime = |extension| runtime_dir.join(format!("{name}.remote.{extension}"));
        Self {
            db: dir.join("remote.db"),
            wal: dir.join("remote.db-wal"),
            token: dir.join("token"),
            lock: dir.join("serve.lock"),
            dir,
            socket: runtime("sock"),
            log: runtime("log"),
        }
    }
}

impl Paths {
    /// What fits into a `sockaddr_un`, less the NUL at its end.
    pub const LONGEST_SOCKET: usize = 107;

    pub fn of(name: &str, data_dir: &Path, runtime_dir: &Path) -> Self {
        let file = |folder: &Path, extension: &str| {
            let mut path = PathBuf::with_capacity(folder.as_os_str().len() + name.len() + 16);
            path.extend([folder, Path::new(name)]);
            path.as_mut_os_string().extend([OsStr::new("."), OsStr::new(extension)]);
            path
        };
        let data = |extension| file(data_dir, extension);
        let runtime = |extension| file(runtime_dir, extension);
        let dir = data("d");
        Self {
            db: data("db"),
            lock: dir.join("owner.lock"),
            hooks: dir.join("hooks.log"),
            dir,
            socket: runtime("sock"),
            record: runtime("json"),
            token: runtime("token"),
            log: runtime("log"),
        }
    }
}
