//! The layer over a base as a side of a sync: its own entries, and what it says of the base's. What one machine says is
//! said on the other by path, whatever its base has there; the view is then that base and the layer.

use std::collections::BTreeMap;

use nixbox_engine::{Beneath, Delta, Error as Engine, Kind, Notes, Time, Touched};

use crate::error::{Error, Result};
use crate::look::{Key, Look, Over, What, pair};
use crate::order::Order;
use crate::scan::{Looks, Scan};

/// Adds to a scan of the layer's tree what is said beside it. `live`: asked for what is not known yet of the base.
pub(crate) fn annotate(scan: &mut Scan, delta: &Delta, live: Option<&Delta>) -> Result<()> {
    let notes = delta.notes()?;
    for (key, mark) in &scan.marks {
        let (Key::File(path), Some(look)) = (key, scan.looks.get_mut(key)) else { continue };
        if look.what == What::Folder && notes.opaque.contains(&mark.ino) {
            look.what = What::Opaque;
        }
        let Some(kind) = kind_of(&look.what) else { continue };
        let Some((mut beneath, is_kept)) = delta.beneath(&notes, mark.ino, path, kind)? else { continue };
        if let Some(live) = live {
            let is_unknown = kind == Kind::File && beneath.hash.is_none();
            if is_unknown {
                beneath.hash = live.learn(path, &beneath)?;
            }
            if !is_kept || (is_unknown && beneath.hash.is_some()) {
                live.keep(mark.ino, path, &beneath)?;
            }
        }
        look.over = Some(over(kind, beneath));
    }
    let said = notes.gone.iter().map(|path| (path.clone(), Look::bare(What::Gone)));
    let said = said.chain(notes.touched.iter().map(|(path, touched)| (path.clone(), look_of(touched))));
    // In a folder that hides the base, whiteouts only tell upstream's programs the same.
    let said: Vec<_> = said.filter(|(path, _)| !path.is_empty() && !is_covered(&scan.looks, path)).collect();
    for (path, look) in said {
        scan.looks.entry(Key::File(path)).or_insert(look);
    }
    Ok(())
}

/// Whether nothing of the base shows at a path, because of what is above it.
fn is_covered(looks: &Looks, path: &str) -> bool {
    let covers = |look: &Look| !matches!(look.what, What::Folder | What::Touched { .. });
    Key::File(path.to_owned()).above().any(|folder| looks.get(&folder).is_some_and(covers))
}

fn over(kind: Kind, beneath: Beneath) -> Over {
    let Beneath { size, mtime, hash } = beneath;
    match kind {
        // A folder's size is its disk's business.
        Kind::Directory => Over { size: 0, hash: None, mtime: (0, 0) },
        _ => Over { size, hash, mtime: pair(mtime) },
    }
}

/// None of what has no inode of its own.
fn kind_of(what: &What) -> Option<Kind> {
    Some(match what {
        What::Folder | What::Opaque => Kind::Directory,
        What::File { .. } => Kind::File,
        What::Link { .. } => Kind::Symlink,
        What::Fifo => Kind::Fifo,
        What::Socket => Kind::Socket,
        What::CharDevice { .. } => Kind::CharDevice,
        What::BlockDevice { .. } => Kind::BlockDevice,
        What::Same { .. } | What::Value { .. } | What::Gone | What::Touched { .. } => return None,
    })
}

fn look_of(touched: &Touched) -> Look {
    let Touched { kind, perm, uid, gid, mtime, size, .. } = *touched;
    Look::bare(What::Touched { kind: kind.mode_bits(), perm, uid, gid, mtime: mtime.map(pair), size })
}

/// What is said of the base's at a path. `looks`: of the layer.
pub(crate) fn said_at(notes: &Notes, looks: &Looks, path: &str) -> Option<Look> {
    match notes.touched.get(path) {
        _ if is_covered(looks, path) => None,
        _ if notes.gone.contains(path) => Some(Look::bare(What::Gone)),
        touched => touched.map(look_of),
    }
}

/// As the engine keeps it. The other machine's base is not known here: of other content than this one's it says so.
pub(crate) fn touched(look: &Look) -> Option<Touched> {
    let What::Touched { kind, perm, uid, gid, mtime, size } = look.what else { return None };
    let time = |(sec, nsec)| Time { sec, nsec };
    let kind = Kind::of_mode(kind)?;
    Some(Touched { kind, perm, uid, gid, mtime: mtime.map(time), size, base_mtime: Time::default() })
}

/// What `order` puts in the place of something of the base, as this machine's base knows that. Large files are read for it, so
/// it is done before anybody is made to wait.
pub(crate) fn recognised(delta: &Delta, order: &Order) -> Result<BTreeMap<String, Beneath>> {
    let mut known = BTreeMap::new();
    for (key, look) in order.put() {
        let (Key::File(path), Some(over), Some(kind)) = (key, &look.over, kind_of(&look.what)) else { continue };
        let mtime = Time { sec: over.mtime.0, nsec: over.mtime.1 };
        let beneath = Beneath { size: over.size, mtime, hash: over.hash.clone() };
        known.insert(path.clone(), delta.recognise(path, kind, &beneath)?);
    }
    Ok(known)
}

/// What comes to a path that the view leaves out could be seen by nobody.
pub(crate) fn refuse_hidden(delta: &Delta, order: &Order) -> Result<()> {
    let keys = order.keys().filter_map(|key| if let Key::File(path) = key { Some(path) } else { None });
    match keys.into_iter().find(|path| delta.hides(path)) {
        Some(path) => Err(Error::Hidden(path.clone())),
        None => Ok(()),
    }
}

/// The base's at that path has come or gone meanwhile.
pub(crate) fn moved(error: Engine) -> Error {
    match error {
        Engine::Errno(libc::ENOTEMPTY | libc::ENOENT | libc::ESTALE | libc::EEXIST) => Error::Moved,
        error => error.into(),
    }
}
