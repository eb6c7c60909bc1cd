//! What a program may ask of a file system, and random sequences of it.

use proptest::prelude::*;

pub type Steps = Vec<&'static str>;

#[derive(Debug, Clone)]
pub enum Call {
    Create(Steps, u32),
    Mkdir(Steps, u32),
    Symlink(Steps, &'static str),
    Link(Steps, Steps),
    Unlink(Steps),
    Rmdir(Steps),
    Rename(Steps, Steps, How),
    Chmod(Steps, u32),
    Chown(Steps, u32, u32),
    Times(Steps, i64, i64),
    Cut(Steps, u64),
    Open(usize, Steps, Opening),
    Write(usize, u64, usize, u64),
    Read(usize, u64, usize),
    Truncate(usize, u64),
    Punch(usize, u64, u64),
    Grow(usize, u64, u64),
    Stat(usize),
    Sync(usize),
    Close(usize),
    /// Done to the base, behind the instance's back.
    Below(Below),
    /// Done to one of the files that are edited underneath; from then on it is the instance's.
    Touch(usize, u64),
    /// The same, and only its mode is.
    ChmodUnder(usize, u32),
    /// In order, by TERM.
    Restart,
    /// By KILL, right after an fsync.
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Replace,
    Keep,
    Exchange,
}

#[derive(Debug, Clone, Copy)]
pub enum Opening {
    ReadWrite,
    Append,
    Truncate,
    Create,
}

#[derive(Debug, Clone, Copy)]
pub enum Below {
    Write(usize, usize, u64),
    Remove(usize),
    Rename(usize, usize),
}

pub const HANDLES: usize = 3;
/// The files that are edited underneath, in a folder of their own.
pub const UNDER: [&str; 3] = ["u", "v", "w"];
pub const UNDER_FOLDER: &str = "under";

fn path() -> impl Strategy<Value = Steps> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4)
}

fn offset() -> impl Strategy<Value = u64> {
    // The last one is more than an overlay copies in one piece.
    prop_oneof![30 => 0_u64..40, 30 => 0_u64..5000, 10 => 0_u64..70_000, 1 => Just(4_300_000)]
}

/// What makes a tree, of which an overlay may begin.
pub fn making() -> impl Strategy<Value = Call> {
    let handle = || 0..HANDLES;
    prop_oneof![
        3 => (path(), 0_u32..0o1000).prop_map(|(path, perm)| Call::Create(path, perm)),
        4 => (path(), 0_u32..0o1000).prop_map(|(path, perm)| Call::Mkdir(path, perm | 0o700)),
        1 => (path(), target()).prop_map(|(path, target)| Call::Symlink(path, target)),
        1 => (path(), path()).prop_map(|(from, to)| Call::Link(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Call::Rename(from, to, How::Replace)),
        1 => (path(), 1_i64..900_000_000, 0_i64..1_000_000_000).prop_map(|(path, sec, nsec)| Call::Times(path, sec, nsec)),
        4 => (handle(), path(), opening()).prop_map(|(handle, path, how)| Call::Open(handle, path, how)),
        4 => write(),
    ]
}

fn target() -> impl Strategy<Value = &'static str> {
    // None leads out of the tree.
    prop::sample::select(vec!["nowhere/at/all", "a", "b/c", "./c", "."])
}

fn opening() -> impl Strategy<Value = Opening> {
    prop::sample::select(vec![Opening::ReadWrite, Opening::Append, Opening::Truncate, Opening::Create])
}

fn write() -> impl Strategy<Value = Call> {
    (0..HANDLES, offset(), 1_usize..300, any::<u64>()).prop_map(|(h, at, n, seed)| Call::Write(h, at, n, seed))
}

fn below() -> impl Strategy<Value = Call> {
    let one = || 0..UNDER.len();
    prop_oneof![
        4 => (one(), 0_usize..20, any::<u64>()).prop_map(|(one, size, seed)| Below::Write(one, size, seed)),
        1 => one().prop_map(Below::Remove),
        1 => (one(), one()).prop_map(|(from, to)| Below::Rename(from, to)),
    ]
    .prop_map(Call::Below)
}

pub fn call() -> impl Strategy<Value = Call> {
    let handle = || 0..HANDLES;
    prop_oneof![
        12 => making(),
        3 => (path(), path()).prop_map(|(from, to)| Call::Link(from, to)),
        4 => path().prop_map(Call::Unlink),
        3 => path().prop_map(Call::Rmdir),
        6 => (path(), path(), how()).prop_map(|(from, to, how)| Call::Rename(from, to, how)),
        2 => (path(), 0_u32..0o10000).prop_map(|(path, perm)| Call::Chmod(path, perm | 0o700)),
        2 => (path(), 0_u32..3, 0_u32..3).prop_map(|(path, uid, gid)| Call::Chown(path, uid, gid)),
        2 => (path(), offset()).prop_map(|(path, size)| Call::Cut(path, size)),
        4 => write(),
        3 => (handle(), offset(), 1_usize..5000).prop_map(|(handle, at, size)| Call::Read(handle, at, size)),
        2 => (handle(), offset()).prop_map(|(handle, size)| Call::Truncate(handle, size)),
        1 => (handle(), offset(), 1_u64..40_000).prop_map(|(handle, at, size)| Call::Punch(handle, at, size)),
        1 => (handle(), offset(), 1_u64..40_000).prop_map(|(handle, at, size)| Call::Grow(handle, at, size)),
        2 => handle().prop_map(Call::Stat),
        1 => handle().prop_map(Call::Sync),
        2 => handle().prop_map(Call::Close),
        2 => below(),
        1 => (0..UNDER.len(), any::<u64>()).prop_map(|(one, seed)| Call::Touch(one, seed)),
        1 => (0..UNDER.len(), 0_u32..0o1000).prop_map(|(one, perm)| Call::ChmodUnder(one, perm | 0o600)),
        1 => prop_oneof![Just(Call::Restart), Just(Call::Kill)],
    ]
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![3 => Just(How::Replace), 1 => Just(How::Keep), 1 => Just(How::Exchange)]
}
