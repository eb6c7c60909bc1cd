//! `rekey NAME`: the instance's database written anew with another key, another cipher, or none.

use std::path::Path;

use nixbox_config::{Cipher, KeySource};
use nixbox_engine::{Backing, Encryption, cipher_of};
use nixbox_report::{Failure, Report, codes};
use serde_json::json;

use crate::args::Rekey;
use crate::failure;
use crate::held;
use crate::key;
use crate::moment;
use crate::plan::Plan;

/// Prints what was done as one line of JSON.
pub(crate) fn run(plan: &Plan, args: &Rekey) -> Result<(), Report> {
    let db = &plan.instance.paths.db;
    if !db.exists() {
        return Err(failure::never_brought_up(&plan.instance).into());
    }
    let lock = held::take(&plan.instance, moment::now(), None)?;
    let found = cipher_of(db).map_err(|error| failure::database(db, error))?;
    let from = present(plan, found)?;
    let to = wanted(plan, args, &from)?;
    if from == to {
        return Err(nothing_to_do(db, "it has that cipher and that key already").into());
    }
    let done = nixbox_engine::rekey(db, &from, &to).map_err(|error| failure::database(db, error))?;
    drop(lock);
    let cipher = |backing: &Backing| backing.encryption().map(|encryption| encryption.cipher().name());
    let answer = json!({
        "from": cipher(&from), "to": cipher(&to), "tables": done.tables, "rows": done.rows, "bytes": done.bytes,
    });
    let mut out = std::io::stdout().lock();
    Ok(std::io::Write::write_all(&mut out, format!("{answer}\n").as_bytes())?)
}

/// The key is read for the cipher that the file has: the configuration may name the new one already.
fn present(plan: &Plan, found: Option<nixbox_engine::Cipher>) -> Result<Backing, Report> {
    match (found, &plan.instance.encryption) {
        (None, _) => Ok(Backing::Sqlite),
        (Some(cipher), Some(declared)) => key::read(&declared.key, known(cipher), &plan.root).map(Backing::Encrypted),
        (Some(cipher), None) => {
            let path = plan.instance.paths.db.clone();
            let error = nixbox_engine::Error::Encrypted { path, cipher };
            Err(failure::database(&plan.instance.paths.db, error).into())
        }
    }
}

fn wanted(plan: &Plan, args: &Rekey, from: &Backing) -> Result<Backing, Report> {
    let db = &plan.instance.paths.db;
    if args.decrypt {
        return match from {
            Backing::Sqlite => Err(nothing_to_do(db, "it is not encrypted").into()),
            _ => Ok(Backing::Sqlite),
        };
    }
    let declared = plan.instance.encryption.as_ref();
    let cipher = args.cipher.or(declared.map(|declared| declared.cipher)).unwrap_or_default();
    let source = match (&args.new_key_file, &args.new_key_command, &args.new_key_env) {
        (Some(path), _, _) => Some(KeySource::File(plan.root.join(path))),
        (_, Some(line), _) => Some(KeySource::Command(["sh", "-c", line].map(str::to_owned).into())),
        (_, _, Some(name)) => Some(KeySource::Variable(name.clone())),
        _ => None,
    };
    match (source, from.encryption(), declared) {
        (Some(source), _, _) => key::read(&source, cipher, &plan.root).map(Backing::Encrypted),
        // As it is declared.
        (None, None, Some(declared)) => key::read(&declared.key, cipher, &plan.root).map(Backing::Encrypted),
        (None, Some(present), _) if present.cipher().name() != cipher.as_str() => same_key(present, cipher),
        _ => Err(Failure::new(&codes::USAGE, "nothing says where the new key is")
            .help("name it with --new-key-file, --new-key-command or --new-key-env")
            .into()),
    }
}

fn same_key(present: &Encryption, cipher: Cipher) -> Result<Backing, Report> {
    match present.with(key::engine_cipher(cipher)?) {
        Ok(encryption) => Ok(Backing::Encrypted(encryption)),
        Err(error) => Err(Failure::new(&codes::KEY_INVALID, format!("the present key is none for {cipher}"))
            .why(error)
            .help("name a new one with --new-key-file, --new-key-command or --new-key-env")
            .into()),
    }
}

/// Both lists are Turso's.
fn known(cipher: nixbox_engine::Cipher) -> Cipher {
    Cipher::ALL.iter().copied().find(|known| known.as_str() == cipher.name()).unwrap_or_default()
}

fn nothing_to_do(db: &Path, why: &str) -> Failure {
    Failure::new(&codes::USAGE, format!("there is nothing to do for {}", db.display()))
        .why(why)
        .help("`nixbox-helper rekey --help` shows what can be asked for")
}
