//! A bearer token. That of the HTTP surface is made at every start, and kept in a file that only its user can read.

use std::io;
use std::path::Path;

#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) const LEAST: usize = 16;

    pub(crate) fn make() -> io::Result<Self> {
        let mut bytes = [0u8; 32];
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = &mut bytes[filled..];
            // SAFETY: the kernel writes at most as many bytes as the slice holds.
            match unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) } {
                got if got > 0 => filled += got as usize,
                _ => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// One that somebody else has made. A short one could be guessed, and what is no graphic character cannot be sent.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let possible = text.len() >= Self::LEAST && text.bytes().all(|byte| byte.is_ascii_graphic());
        possible.then(|| Self(text.to_owned()))
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        nixbox_state::publish(path, format!("{}\n", self.0).as_bytes(), 0o600)
    }

    /// For good: whoever has shown it once shows it again.
    pub(crate) fn keep(&self, path: &Path) -> io::Result<()> {
        nixbox_state::write_atomic(path, format!("{}\n", self.0).as_bytes(), 0o600)
    }

    /// Takes as long for a wrong token as for the right one.
    pub(crate) fn is(&self, offered: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differences = own.iter().zip(offered).fold(0u8, |all, (a, b)| all | (a ^ b));
        own.len() == offered.len() && std::hint::black_box(differences) == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() -> io::Result<()> {
        let token = Token::make()?;
        assert_eq!(token.0.len(), 64);
        assert!(token.is(token.0.as_bytes()));
        assert!(!token.is(&token.0.as_bytes()[..63]));
        assert!(!token.is(b""));
        assert!(!token.is(Token::make()?.0.as_bytes()));
        assert!(!format!("{token:?}").contains(&token.0));
        Ok(())
    }
}
