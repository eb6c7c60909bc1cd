//! Who this instance is for a remote. A copy of the database is somebody else, since the name lies beside it; and so is a
//! copy of the name, since it says in which folder it was made.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use nix::unistd::{User, geteuid, gethostname};
use nixbox_report::Report;

use crate::failure;

const FILE: &str = "holder";

/// Made when it is first needed, and anew where it came from elsewhere.
pub(super) fn id(folder: &Path) -> Result<String, Report> {
    let path = folder.join(FILE);
    let failed = |error: std::io::Error| Report::from(failure::io(&path, &error));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let place = place(folder).map_err(failed)?;
    if let Ok(text) = std::fs::read_to_string(&path)
        && let [id, made_in] = text.lines().collect::<Vec<_>>().as_slice()
        && id.len() == 32
    {
        if *made_in == place {
            return Ok((*id).to_owned());
        }
        tracing::info!(folder = %folder.display(), "this was copied from elsewhere: it is another holder from now on");
    }
    let mut random = [0u8; 16];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).map_err(failed)?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    nixbox_state::write_atomic(&path, format!("{id}\n{place}\n").as_bytes(), 0o600).map_err(failed)?;
    Ok(id)
}

/// What no two folders have alike: number and birth. It stays where the folder is renamed.
fn place(folder: &Path) -> std::io::Result<String> {
    let meta = folder.metadata()?;
    let born = meta.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    Ok(format!("{} {}", meta.ino(), born.map_or(0, |born| born.as_nanos())))
}

/// For people.
pub(super) fn who(instance: &str) -> String {
    let user = User::from_uid(geteuid()).ok().flatten().map_or_else(|| geteuid().to_string(), |user| user.name);
    format!("{user} ({instance})")
}

pub(super) fn host() -> String {
    gethostname().map_or_else(|_| "an unnamed host".into(), |name| name.to_string_lossy().into_owned())
}
