//! Whether a database is as it is declared, by the first bytes of its file alone, and whether its key can be had,
//! without reading it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nixbox_config::{Cipher, Instance, KeySource};
use nixbox_report::codes;

use super::Finding;

pub fn findings(instance: &Instance) -> Vec<Finding> {
    let subject = format!("instance {}", instance.name);
    [database(&subject, instance), key_file(&subject, instance)].into_iter().flatten().collect()
}

fn database(subject: &str, instance: &Instance) -> Option<Finding> {
    let path = &instance.paths.db;
    let mut head = [0; 7];
    // One that is not there yet, or cannot be read, is the owner's affair.
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).ok()?;
    let declared = instance.encryption.as_ref().map(|encryption| encryption.cipher);
    let rekey = format!("`nixbox-helper rekey {}` encrypts it; or take `encryption` out", instance.name);
    match (Cipher::of_head(&head), declared) {
        (Some(found), Some(declared)) if found == declared => {
            Some(Finding::ok(subject, format!("encrypted with {found}")))
        }
        (Some(found), Some(declared)) => Some(Finding::fail(
            subject,
            &codes::DATABASE_CIPHER,
            format!("{} is encrypted with {found}, and declared with {declared}", path.display()),
            format!("set `encryption.cipher = \"{found}\"`"),
        )),
        (Some(found), None) => Some(Finding::fail(
            subject,
            &codes::DATABASE_ENCRYPTED,
            format!("{} is encrypted with {found}, and declared without `encryption`", path.display()),
            format!("declare `encryption = {{ cipher = \"{found}\", key_file = \"…\" }}`"),
        )),
        (None, Some(_)) if head.starts_with(b"SQLite") => {
            let found = format!("{} is plain, and declared with `encryption`", path.display());
            Some(Finding::fail(subject, &codes::DATABASE_PLAIN, found, rekey))
        }
        _ => None,
    }
}

fn key_file(subject: &str, instance: &Instance) -> Option<Finding> {
    let Some(KeySource::File(path)) = instance.encryption.as_ref().map(|encryption| &encryption.key) else {
        return None;
    };
    Some(match Path::metadata(path) {
        Err(error) => Finding::fail(
            subject,
            &codes::KEY_MISSING,
            format!("the key cannot be read from {}: {error}", path.display()),
            "see to it that the file is there and that this user may read it",
        ),
        Ok(meta) if meta.mode() & 0o007 != 0 => Finding::fail(
            subject,
            &codes::KEY_EXPOSED,
            format!("the key in {} is open to everybody", path.display()),
            format!("close it with `chmod 600 {}`", path.display()),
        ),
        Ok(_) => return None,
    })
}
