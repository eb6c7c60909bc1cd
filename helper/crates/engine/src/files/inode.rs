use crate::error::{Error, Result, StoreError, StoreErrorKind};
use crate::filesystem::{Attr, Ino, Kind, Time};
use crate::store::{Row, Store, first};

pub(super) const COLUMNS: usize = 13;

/// The thirteen columns of an inode, in the order in which [`attr`] reads them; `i` is `fs_inode`.
macro_rules! columns {
    () => {
        "i.ino, i.mode, i.nlink, i.uid, i.gid, i.size, i.rdev, \
         i.atime, i.atime_nsec, i.mtime, i.mtime_nsec, i.ctime, i.ctime_nsec"
    };
}
pub(super) use columns;

pub(super) fn attr(row: &dyn Row) -> Result<Attr> {
    let mode = row.int(1)? as u32;
    let ino = row.int(0)? as Ino;
    let time = |column| -> Result<Time> {
        let nsec = row.int(column + 1)?;
        // Out of range, the kernel would refuse the whole answer.
        Ok(Time { sec: row.int(column)?, nsec: u32::try_from(nsec).map_or(0, |nsec| nsec.min(999_999_999)) })
    };
    Ok(Attr {
        ino,
        kind: Kind::of_mode(mode).ok_or_else(|| damaged(format!("inode {ino} has the unknown mode {mode:o}")))?,
        perm: (mode & 0o7777) as u16,
        nlink: u32::try_from(row.int(2)?).unwrap_or(0),
        uid: row.int(3)? as u32,
        gid: row.int(4)? as u32,
        size: u64::try_from(row.int(5)?).unwrap_or(0),
        rdev: row.int(6)? as u32,
        atime: time(7)?,
        mtime: time(9)?,
        ctime: time(11)?,
    })
}

pub(super) fn find(store: &mut dyn Store, ino: Ino) -> Result<Option<Attr>> {
    first(store, concat!("SELECT ", columns!(), " FROM fs_inode i WHERE i.ino = ?"), &[ino.into()], attr)
}

pub(super) fn get(store: &mut dyn Store, ino: Ino) -> Result<Attr> {
    find(store, ino)?.ok_or(Error::Errno(libc::ENOENT))
}

pub(super) fn insert(store: &mut dyn Store, attr: &Attr) -> Result<()> {
    store.execute(
        "INSERT INTO fs_inode (ino, mode, nlink, uid, gid, size, rdev, atime, atime_nsec, mtime, mtime_nsec, ctime, \
         ctime_nsec) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &row(attr),
    )?;
    Ok(())
}

pub(super) fn update(store: &mut dyn Store, attr: &Attr) -> Result<()> {
    store.execute(
        "UPDATE fs_inode SET mode = ?2, nlink = ?3, uid = ?4, gid = ?5, size = ?6, rdev = ?7, atime = ?8, \
         atime_nsec = ?9, mtime = ?10, mtime_nsec = ?11, ctime = ?12, ctime_nsec = ?13 WHERE ino = ?1",
        &row(attr),
    )?;
    Ok(())
}

fn row(attr: &Attr) -> [crate::store::Arg<'static>; COLUMNS] {
    [
        attr.ino.into(),
        (attr.kind.mode_bits() | u32::from(attr.perm)).into(),
        attr.nlink.into(),
        attr.uid.into(),
        attr.gid.into(),
        attr.size.into(),
        attr.rdev.into(),
        attr.atime.sec.into(),
        attr.atime.nsec.into(),
        attr.mtime.sec.into(),
        attr.mtime.nsec.into(),
        attr.ctime.sec.into(),
        attr.ctime.nsec.into(),
    ]
}

/// A directory whose entries have changed; `links` is what its count of subdirectories gains.
pub(super) fn entries_changed(store: &mut dyn Store, mut directory: Attr, now: Time, links: i32) -> Result<()> {
    directory.nlink = directory.nlink.saturating_add_signed(links);
    directory.mtime = now;
    directory.ctime = now;
    update(store, &directory)
}

pub(super) fn damaged(reason: String) -> Error {
    StoreError::new(StoreErrorKind::Damaged, reason).into()
}
