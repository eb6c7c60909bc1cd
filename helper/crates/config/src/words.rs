//! The values that are one of a few words.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A type whose values are written as words.
pub(crate) trait Word: Copy + FromStr {
    const WORDS: &'static [&'static str];
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    pub allowed: &'static [&'static str],
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it must be one of {}", self.allowed.join(", "))
    }
}

impl std::error::Error for UnknownWord {}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* }) => {
        impl Word for $type {
            const WORDS: &'static [&'static str] = &[$($word),*];
        }

        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownWord { allowed: Self::WORDS }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// How an instance is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The best one that this machine has.
    #[default]
    Auto,
    Fuse,
    /// By the kernel's own client of NFS, as root.
    Nfs,
    /// No mount.
    None,
}

words!(Backend { Auto = "auto", Fuse = "fuse", Nfs = "nfs", None = "none" });

/// What commands can be run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// Its database was made.
    Created,
    Ready,
    /// Its health check has failed too often.
    Unhealthy,
    /// It is started again because it had ended, or was not well.
    Restarted,
    /// Its owner has ended, and has put everything down.
    Stopped,
    /// A command in it has ended.
    Exec,
    /// What it was is kept.
    Snapshot,
    /// A sync has changed something.
    Sync,
    /// A sync has found something which both sides changed in different ways.
    Conflict,
}

words!(HookEvent {
    Created = "created",
    Ready = "ready",
    Unhealthy = "unhealthy",
    Restarted = "restarted",
    Stopped = "stopped",
    Exec = "exec",
    Snapshot = "snapshot",
    Sync = "sync",
    Conflict = "conflict"
});

/// What works on an instance's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// nixbox's own.
    #[default]
    Builtin,
    /// Upstream's program `agentfs`, looked after.
    Agentfs,
}

words!(Engine { Builtin = "builtin", Agentfs = "agentfs" });

/// Where what is changed in an instance goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Into the database, over the base where there is one.
    #[default]
    Overlay,
    /// Into the base itself.
    Direct,
    /// Nowhere that outlives its owner.
    Ephemeral,
}

words!(Mode { Overlay = "overlay", Direct = "direct", Ephemeral = "ephemeral" });

/// When an instance and its remote are brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SyncMode {
    /// When somebody says so.
    #[default]
    Manual,
    /// Again and again, by the one machine that may write meanwhile.
    Periodic,
    /// Whenever something has changed, by the one machine that may write meanwhile.
    RealTime,
    /// What others write comes here, and nothing is written here.
    Follow,
}

words!(SyncMode { Manual = "manual", Periodic = "periodic", RealTime = "real-time", Follow = "follow" });

/// What an owner does that cannot reach its remote when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Offline {
    /// It does not start.
    #[default]
    Refuse,
    /// It goes on with what is here.
    Allow,
}

words!(Offline { Refuse = "refuse", Allow = "allow" });
/// How far something has to be before what depends on it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    Started,
    Ready,
    /// It has ended, and well.
    Completed,
}

words!(Condition { Started = "started", Ready = "ready", Completed = "completed" });

/// After which ends something is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartOn {
    Never,
    #[default]
    OnFailure,
    Always,
    /// As `always`, but what was stopped by hand stays so until it is named.
    UnlessStopped,
}

words!(RestartOn { Never = "never", OnFailure = "on-failure", Always = "always", UnlessStopped = "unless-stopped" });

/// What happens when the time of something comes while it still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    #[default]
    Skip,
    Queue,
    Allow,
}

words!(Overlap { Skip = "skip", Queue = "queue", Allow = "allow" });

/// How an encrypted database is encrypted: Turso's eight ciphers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    #[default]
    Aegis256,
    Aegis256x2,
    Aegis256x4,
    Aegis128l,
    Aegis128x2,
    Aegis128x4,
}

words!(Cipher {
    Aes128Gcm = "aes128gcm",
    Aes256Gcm = "aes256gcm",
    Aegis256 = "aegis256",
    Aegis256x2 = "aegis256x2",
    Aegis256x4 = "aegis256x4",
    Aegis128l = "aegis128l",
    Aegis128x2 = "aegis128x2",
    Aegis128x4 = "aegis128x4"
});

impl Cipher {
    /// What the first bytes of a database file say, where it is encrypted.
    pub fn of_head(head: &[u8]) -> Option<Self> {
        match head.strip_prefix(b"Turso\0")? {
            // The format counts them in the order in which they stand above.
            [id, ..] => Self::ALL.get(usize::from(*id).checked_sub(1)?).copied(),
            [] => None,
        }
    }

    /// How many bytes a key has.
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aegis128l | Self::Aegis128x2 | Self::Aegis128x4 => 16,
            Self::Aes256Gcm | Self::Aegis256 | Self::Aegis256x2 | Self::Aegis256x4 => 32,
        }
    }
}

/// What agents can call over MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum McpTool {
    ReadFile,
    WriteFile,
    Readdir,
    Mkdir,
    Remove,
    Rename,
    Stat,
    Access,
    Find,
    Status,
    Diff,
    KvGet,
    KvSet,
    KvDelete,
    KvList,
}

words!(McpTool {
    ReadFile = "read_file",
    WriteFile = "write_file",
    Readdir = "readdir",
    Mkdir = "mkdir",
    Remove = "remove",
    Rename = "rename",
    Stat = "stat",
    Access = "access",
    Find = "find",
    Status = "status",
    Diff = "diff",
    KvGet = "kv_get",
    KvSet = "kv_set",
    KvDelete = "kv_delete",
    KvList = "kv_list"
});

/// How much the programs say on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

words!(LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" });

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_same_to_serde_and_to_the_reader() {
        fn agree<T: Word + Serialize + fmt::Display + fmt::Debug + PartialEq>(all: &[T])
        where
            T::Err: fmt::Debug,
        {
            assert_eq!(all.len(), T::WORDS.len());
            for value in all {
                assert_eq!(serde_json::to_value(value).unwrap(), value.to_string());
                assert_eq!(T::from_str(&value.to_string()).unwrap(), *value);
            }
        }
        agree(Backend::ALL);
        agree(HookEvent::ALL);
        agree(Engine::ALL);
        agree(Mode::ALL);
        agree(SyncMode::ALL);
        agree(Offline::ALL);
        agree(Condition::ALL);
        agree(RestartOn::ALL);
        agree(Overlap::ALL);
        agree(Cipher::ALL);
        agree(LogLevel::ALL);
        agree(McpTool::ALL);
    }
}
