//! What a thing looks like, so that two sides can tell whether they have the same one: everything that a program in the
//! instance can see of it, but the time at which a folder changed.

use std::fmt;

use nixbox_engine::Time;
use serde::{Deserialize, Serialize};

/// What is synced: a file tree by path, and values by key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// From the root, without the leading slash.
    File(String),
    Value(String),
}

impl Key {
    /// As it is kept.
    pub(crate) fn kept(&self) -> String {
        match self {
            Self::File(path) => format!("f{path}"),
            Self::Value(key) => format!("k{key}"),
        }
    }

    pub(crate) fn of_kept(kept: &str) -> Option<Self> {
        match (kept.get(..1)?, kept.get(1..)?) {
            ("f", path) => Some(Self::File(path.to_owned())),
            ("k", key) => Some(Self::Value(key.to_owned())),
            _ => None,
        }
    }

    pub(crate) fn is_below(&self, folder: &Self) -> bool {
        match (self, folder) {
            (Self::File(path), Self::File(folder)) => {
                path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            _ => false,
        }
    }

    /// The folders above, innermost first.
    pub(crate) fn above(&self) -> impl Iterator<Item = Self> + '_ {
        let path = match self {
            Self::File(path) => path.as_str(),
            Self::Value(_) => "",
        };
        path.rmatch_indices('/').map(|(slash, _)| Self::File(path[..slash].to_owned()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "/{path}"),
            Self::Value(key) => write!(f, "kv:{key}"),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Look {
    pub perm: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime: (i64, u32),
    pub what: What,
    /// What of the base it stands for, in an instance over one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
}

/// Whether a folder was the base's before says nothing of what is in it.
impl PartialEq for Look {
    fn eq(&self, other: &Self) -> bool {
        let attrs = |look: &Self| (look.perm, look.uid, look.gid, look.mtime);
        attrs(self) == attrs(other) && self.what == other.what && (self.is_folder() || self.over == other.over)
    }
}

impl Eq for Look {}

/// What the base had at a path when the instance took it into its own hands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Over {
    pub size: u64,
    pub hash: Option<String>,
    /// By the clock of the machine where it was seen last.
    pub mtime: (i64, u32),
}

/// Two checkouts of one project have the same files at other times.
impl PartialEq for Over {
    fn eq(&self, other: &Self) -> bool {
        (self.size, &self.hash) == (other.size, &other.hash)
    }
}

impl Eq for Over {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Over a base, whose entries show in it.
    Folder,
    /// A folder in which nothing of the base shows.
    Opaque,
    /// What the base has here does not show.
    Gone,
    /// The base's, with attributes of its own where they are said. The size is that of the base's file.
    Touched {
        kind: u32,
        perm: Option<u16>,
        uid: Option<u32>,
        gid: Option<u32>,
        mtime: Option<(i64, u32)>,
        size: u64,
    },
    File {
        size: u64,
        hash: String,
    },
    Link {
        target: String,
    },
    Fifo,
    Socket,
    CharDevice {
        rdev: u32,
    },
    BlockDevice {
        rdev: u32,
    },
    /// Another name for the file at this path, which comes before it.
    Same {
        first: String,
    },
    Value {
        hash: String,
    },
}

impl Look {
    pub(crate) fn of_value(value: &str) -> Self {
        let hash = blake3::hash(value.as_bytes()).to_hex().to_string();
        Self::bare(What::Value { hash })
    }

    /// What has no attributes.
    pub(crate) fn bare(what: What) -> Self {
        Self { perm: 0, uid: 0, gid: 0, mtime: (0, 0), what, over: None }
    }

    pub fn is_folder(&self) -> bool {
        matches!(self.what, What::Folder | What::Opaque)
    }

    pub fn is_gone(&self) -> bool {
        self.what == What::Gone
    }

    /// Of what is the base's, nothing but a time was set.
    pub(crate) fn is_a_time_alone(&self) -> bool {
        matches!(self.what, What::Touched { perm: None, uid: None, gid: None, .. })
    }

    /// A folder that is there only because something in it is.
    pub fn only_leads(&self) -> bool {
        self.what == What::Folder && self.over.is_some()
    }

    /// Who has what it says, and how: what differs in this is not changed into one another, but taken away and made.
    pub(crate) fn sort(&self) -> Sort {
        match self.what {
            What::Folder | What::Opaque => Sort::Folder,
            What::Gone => Sort::Gone,
            What::Touched { .. } => Sort::Touched,
            _ => Sort::Entry,
        }
    }

    /// Whether one becomes the other without being made anew.
    pub(crate) fn is_of_kind(&self, other: &Self) -> bool {
        match (&self.what, &other.what) {
            (What::File { .. }, What::File { .. }) => true,
            (one, two) => one == two,
        }
    }

    /// A look that differs in its time alone, or in what it was made from, is no reason to ask anybody.
    pub(crate) fn differs_only_in_time(&self, other: &Self) -> bool {
        Self { mtime: other.mtime, over: other.over.clone(), ..self.clone() } == *other
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Folder,
    Entry,
    Gone,
    Touched,
}

/// By what a side knows a file again without reading it: no program can change content and leave all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    pub ino: u64,
    pub size: u64,
    pub mtime: (i64, u32),
    pub ctime: (i64, u32),
}

impl Mark {
    pub(crate) fn of(attr: &nixbox_engine::Attr) -> Self {
        Self { ino: attr.ino, size: attr.size, mtime: pair(attr.mtime), ctime: pair(attr.ctime) }
    }
}

pub(crate) fn pair(time: Time) -> (i64, u32) {
    (time.sec, time.nsec)
}

/// One line of what was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) look: Look,
    /// How either side knows it again.
    pub(crate) local: Option<Mark>,
    pub(crate) remote: Option<Mark>,
}
