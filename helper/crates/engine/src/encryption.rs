//! Ciphers and keys. The format is Turso's: each page is encrypted by itself and carries its nonce and tag at its end;
//! the first hundred bytes of the file are plain and name the cipher.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

macro_rules! ciphers {
    ($($variant:ident = $id:literal, $name:literal, $key:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Cipher { $($variant),* }

        impl Cipher {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// How many bytes a key has.
            pub fn key_bytes(self) -> usize {
                match self { $(Self::$variant => $key),* }
            }

            /// The number by which a file names it.
            pub fn id(self) -> u8 {
                match self { $(Self::$variant => $id),* }
            }
        }
    };
}

ciphers! {
    Aes128Gcm = 1, "aes128gcm", 16;
    Aes256Gcm = 2, "aes256gcm", 32;
    Aegis256 = 3, "aegis256", 32;
    Aegis256x2 = 4, "aegis256x2", 32;
    Aegis256x4 = 5, "aegis256x4", 32;
    Aegis128l = 6, "aegis128l", 16;
    Aegis128x2 = 7, "aegis128x2", 16;
    Aegis128x4 = 8, "aegis128x4", 16;
}

impl Cipher {
    /// What the head of a file says: `None` where it is not encrypted.
    pub fn of_head(head: &[u8]) -> Option<Result<Self, UnknownCipher>> {
        let [version, id] = *head.strip_prefix(b"Turso")?.first_chunk()?;
        let known = Self::ALL.iter().find(|cipher| version == 0 && cipher.id() == id);
        Some(known.copied().ok_or(UnknownCipher))
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Cipher {
    type Err = UnknownCipher;

    fn from_str(name: &str) -> Result<Self, UnknownCipher> {
        Self::ALL.iter().find(|cipher| cipher.name() == name).copied().ok_or(UnknownCipher)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cipher that this version does not know")]
pub struct UnknownCipher;

/// A cipher and a key of the right length for it. Wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Encryption {
    cipher: Cipher,
    hex: Zeroizing<String>,
}

/// Says nothing of the key but its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it is empty")]
    Empty,
    #[error("it holds something other than the digits 0-9 and a-f")]
    NotHex,
    #[error("it has {got} digits, and {cipher} needs {}", 2 * cipher.key_bytes())]
    Length { cipher: Cipher, got: usize },
}

impl Encryption {
    /// `key`: hexadecimal digits; white space around them, such as the end of a line, does not count.
    pub fn new(cipher: Cipher, key: &str) -> Result<Self, KeyError> {
        let key = key.trim();
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(KeyError::NotHex);
        }
        if key.len() != 2 * cipher.key_bytes() {
            return Err(KeyError::Length { cipher, got: key.len() });
        }
        let mut hex = Zeroizing::new(String::with_capacity(key.len()));
        hex.push_str(key);
        hex.make_ascii_lowercase();
        Ok(Self { cipher, hex })
    }

    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// The same key for another cipher.
    pub fn with(&self, cipher: Cipher) -> Result<Self, KeyError> {
        Self::new(cipher, &self.hex)
    }

    #[cfg(feature = "turso")]
    pub(crate) fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption").field("cipher", &self.cipher).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_must_fit_its_cipher() {
        for cipher in Cipher::ALL {
            let key = "aB".repeat(cipher.key_bytes());
            assert_eq!(Encryption::new(*cipher, &format!(" {key}\n")).unwrap().cipher(), *cipher);
            let got = key.len() - 1;
            assert_eq!(Encryption::new(*cipher, &key[1..]), Err(KeyError::Length { cipher: *cipher, got }));
        }
        let other = "0".repeat(63) + "g";
        assert_eq!(Encryption::new(Cipher::Aegis256, &other), Err(KeyError::NotHex));
        assert_eq!(Encryption::new(Cipher::Aegis256, "\n"), Err(KeyError::Empty));
    }

    #[test]
    fn a_key_in_capitals_is_the_same_key() {
        let key = "aB".repeat(16);
        let of = |key: &str| Encryption::new(Cipher::Aegis128l, key).unwrap();
        assert_eq!(of(&key.to_uppercase()), of(&key.to_lowercase()));
    }

    #[test]
    fn a_key_is_not_shown() {
        let shown = format!("{:?}", Encryption::new(Cipher::Aegis256, &"5e".repeat(32)).unwrap());
        assert!(shown.contains("Aegis256") && !shown.contains("5e5e"), "{shown}");
    }

    #[test]
    fn the_head_of_a_file_names_its_cipher() {
        for cipher in Cipher::ALL {
            let head = [b"Turso\0".as_slice(), &[cipher.id()], &[0; 9]].concat();
            assert_eq!(Cipher::of_head(&head), Some(Ok(*cipher)));
        }
        assert_eq!(Cipher::of_head(b"Turso\0\x09"), Some(Err(UnknownCipher)));
        assert_eq!(Cipher::of_head(b"Turso\x01\x01"), Some(Err(UnknownCipher)));
        assert_eq!(Cipher::of_head(b"SQLite format 3\0"), None);
        assert_eq!(Cipher::of_head(b"Turso"), None);
    }
}
