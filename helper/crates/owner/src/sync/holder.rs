//! Who this instance is for a remote. A copy of the database is somebody else, since the name lies beside it.

use std::io::Read;
use std::path::Path;

use nix::unistd::{User, geteuid, gethostname};
use nixbox_report::Report;

use crate::failure;

const FILE: &str = "holder";

/// Made when it is first needed.
pub(super) fn id(folder: &Path) -> Result<String, Report> {
    let path = folder.join(FILE);
    let failed = |error: std::io::Error| Report::from(failure::io(&path, &error));
    if let Ok(id) = std::fs::read_to_string(&path)
        && id.trim().len() == 32
    {
        return Ok(id.trim().to_owned());
    }
    let mut random = [0u8; 16];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).map_err(failed)?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::create_dir_all(folder).map_err(failed)?;
    nixbox_state::write_atomic(&path, id.as_bytes(), 0o600).map_err(failed)?;
    Ok(id)
}

/// For people.
pub(super) fn who(instance: &str) -> String {
    let user = User::from_uid(geteuid()).ok().flatten().map_or_else(|| geteuid().to_string(), |user| user.name);
    format!("{user} ({instance})")
}

pub(super) fn host() -> String {
    gethostname().map_or_else(|_| "an unnamed host".into(), |name| name.to_string_lossy().into_owned())
}
