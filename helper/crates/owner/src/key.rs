//! The key of an encrypted database: had when it is needed, from where the configuration says, and kept nowhere but in
//! the memory of this process.

mod command;
mod variable;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nixbox_config::{Cipher, Instance, KeySource};
use nixbox_engine::{Backing, Encryption};
use nixbox_report::{Failure, Report, codes};
use zeroize::Zeroizing;

/// A key and the white space around it.
const LONGEST: u64 = 4096;

/// How the instance's database is kept. Reads its key, where there is one; may take as long as the command does.
pub(crate) fn backing(instance: &Instance, root: &Path) -> Result<Backing, Report> {
    match &instance.encryption {
        None => Ok(Backing::Sqlite),
        Some(declared) => read(&declared.key, declared.cipher, root).map(Backing::Encrypted),
    }
}

pub(crate) fn read(source: &KeySource, cipher: Cipher, root: &Path) -> Result<Encryption, Report> {
    let text = text_of(source, root)?;
    Encryption::new(engine_cipher(cipher)?, &text).map_err(|error| {
        Failure::new(&codes::KEY_INVALID, format!("{} holds no key for {cipher}", named(source)))
            .why(error)
            .help(format!("a new one is made with `openssl rand -hex {}`", cipher.key_bytes()))
            .into()
    })
}

/// What is there. Its failures speak of a key.
pub(crate) fn text_of(source: &KeySource, root: &Path) -> Result<Zeroizing<String>, Report> {
    match source {
        KeySource::File(path) => from_file(path),
        KeySource::Command(words) => command::output(words, root),
        KeySource::Variable(name) => variable::take(name),
    }
}

pub(crate) fn engine_cipher(cipher: Cipher) -> Result<nixbox_engine::Cipher, Report> {
    let unknown = |error| Failure::new(&codes::UNEXPECTED, format!("the cipher {cipher} is not known")).why(error);
    Ok(cipher.as_str().parse().map_err(unknown)?)
}

/// For messages.
pub(crate) fn named(source: &KeySource) -> String {
    match source {
        KeySource::File(path) => path.display().to_string(),
        KeySource::Command(words) => format!("the output of `{}`", words.join(" ")),
        KeySource::Variable(name) => format!("${name}"),
    }
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, Report> {
    let missing = |why: &dyn std::fmt::Display| {
        Failure::new(&codes::KEY_MISSING, format!("the key cannot be read from {}", path.display()))
            .why(why)
            .help("see to it that the file is there and that this user may read it")
    };
    let file = File::open(path).map_err(|error| missing(&error))?;
    let meta = file.metadata().map_err(|error| missing(&error))?;
    if !meta.is_file() {
        return Err(missing(&"it is not a regular file").into());
    }
    let mode = meta.mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(Failure::new(&codes::KEY_EXPOSED, format!("the key in {} is open to everybody", path.display()))
            .why(format_args!("its mode is {mode:04o}"))
            .help(format!(
                "close it with `chmod 600 {}`; a key that others may have seen is worth a new one",
                path.display()
            ))
            .into());
    }
    if mode & 0o070 != 0 {
        tracing::warn!(file = %path.display(), mode = format_args!("{mode:04o}"), "the key can be read by a group");
    }
    text(file).map_err(|error| missing(&error).into())
}

/// Room for all of it at once: a buffer that grows would leave copies behind.
fn text(from: impl Read) -> std::io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    from.take(LONGEST).read_to_end(&mut bytes)?;
    let mut text = Zeroizing::new(String::with_capacity(bytes.len()));
    // Whatever is not UTF-8 is no hexadecimal digit either, and is told of as that.
    text.push_str(std::str::from_utf8(&bytes).unwrap_or("?"));
    Ok(text)
}
