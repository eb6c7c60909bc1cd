//! Whether a key fits a file, found out without the library's pager: that opens files for writing, and not all of its
//! releases take a wrong key calmly.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use turso_core::{CipherMode, EncryptionContext, EncryptionKey};

use super::edge::guard;
use super::store_error;
use crate::encryption::{Cipher, Encryption};
use crate::error::{Error, Result};
use crate::store::wal_path;

const WAL_HEAD: u64 = 32;
const FRAME_HEAD: u64 = 24;

pub(crate) fn prove(path: &Path, encryption: &Encryption) -> Result<()> {
    let damaged = |reason: &str| Error::Damaged { path: path.to_owned(), reason: reason.into() };
    let mut file = File::open(path)?;
    let mut head = [0; 100];
    file.read_exact(&mut head).map_err(|_| damaged("its header is cut off"))?;
    // 1 stands for 65536, which two bytes cannot say.
    let page_size = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65536,
        size if size >= 512 && size.is_power_of_two() => usize::from(size),
        _ => return Err(damaged("its header names no possible page size")),
    };
    let mut page = vec![0; page_size];
    file.read_exact_at(&mut page, 0).map_err(|_| damaged("its first page is cut off"))?;
    let context = context(encryption, page_size)?;
    let fits = |page: &[u8]| guard(|| Ok(context.decrypt_page(page, 1).is_ok()));
    // A crash may have torn the first page while the log was folded in; the log then has it whole.
    if fits(&page)? || in_log(path, page_size, &mut page, fits)? {
        Ok(())
    } else {
        Err(Error::WrongKey { path: path.to_owned() })
    }
}

/// Whether some first page in the log fits.
fn in_log(path: &Path, page_size: usize, page: &mut [u8], fits: impl Fn(&[u8]) -> Result<bool>) -> Result<bool> {
    let wal = match File::open(wal_path(path)) {
        Ok(wal) => wal,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut number = [0; 4];
    let mut at = WAL_HEAD;
    while wal.read_exact_at(&mut number, at).is_ok() && wal.read_exact_at(page, at + FRAME_HEAD).is_ok() {
        if u32::from_be_bytes(number) == 1 && fits(page)? {
            return Ok(true);
        }
        at += FRAME_HEAD + page_size as u64;
    }
    Ok(false)
}

fn context(encryption: &Encryption, page_size: usize) -> Result<EncryptionContext> {
    guard(|| {
        let key = EncryptionKey::from_hex_string(encryption.hex()).map_err(store_error)?;
        EncryptionContext::new(mode(encryption.cipher()), &key, page_size).map_err(store_error)
    })
}

fn mode(cipher: Cipher) -> CipherMode {
    match cipher {
        Cipher::Aes128Gcm => CipherMode::Aes128Gcm,
        Cipher::Aes256Gcm => CipherMode::Aes256Gcm,
        Cipher::Aegis256 => CipherMode::Aegis256,
        Cipher::Aegis256x2 => CipherMode::Aegis256X2,
        Cipher::Aegis256x4 => CipherMode::Aegis256X4,
        Cipher::Aegis128l => CipherMode::Aegis128L,
        Cipher::Aegis128x2 => CipherMode::Aegis128X2,
        Cipher::Aegis128x4 => CipherMode::Aegis128X4,
    }
}
