//! Where a remote is: what a person writes, and what is asked.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address that was looked at: its scheme is one that is spoken, and it has a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `http` or `https`, host, port and path, without a slash at the end.
    base: String,
    plain: bool,
    loopback: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it begins with none of `libsql://`, `https://` and `http://`")]
    Scheme,
    #[error("it names no host")]
    Host,
    #[error("`{0}` is no port")]
    Port(String),
    /// It would end up in configuration files, and in the messages about them.
    #[error("it holds a user or a password")]
    Credentials,
    #[error("it holds a query, a fragment, or a character that no address has")]
    Characters,
}

impl Address {
    /// What is sent can be read and changed on its way.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// It never leaves this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// What is asked: `http` or `https`, host, port and path, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        let plain = match scheme {
            "libsql" | "https" => false,
            "http" => true,
            _ => return Err(AddressError::Scheme),
        };
        let rest = rest.trim_end_matches('/');
        let odd = |c: char| c.is_whitespace() || c.is_control() || !c.is_ascii() || "?#\"<>\\^`{|}".contains(c);
        if rest.contains(odd) {
            return Err(AddressError::Characters);
        }
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
        if authority.contains('@') {
            return Err(AddressError::Credentials);
        }
        let (host, port) = split_port(authority)?;
        if host.is_empty() {
            return Err(AddressError::Host);
        }
        let scheme = if plain { "http" } else { "https" };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let path = path.map(|path| format!("/{path}")).unwrap_or_default();
        Ok(Self { base: format!("{scheme}://{host}{port}{path}"), plain, loopback: is_loopback(host) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// An IPv6 address stands in brackets, and has colons of its own.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), AddressError> {
    let after = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority[after..].find(':').map(|colon| after + colon) else { return Ok((authority, None)) };
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    let number = port.parse().ok().filter(|port| *port != 0);
    Ok((host, Some(number.ok_or_else(|| AddressError::Port(port.to_owned()))?)))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_people_write_becomes_what_is_asked() {
        for (written, asked) in [
            ("libsql://work-me.turso.io", "https://work-me.turso.io"),
            ("https://sync.example.org:8443/team/", "https://sync.example.org:8443/team"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            (" http://[::1]:80// ", "http://[::1]:80"),
        ] {
            assert_eq!(written.parse::<Address>().unwrap().base(), asked);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (written, error) in [
            ("work.turso.io", AddressError::Scheme),
            ("HTTPS://a", AddressError::Scheme),
            ("file:///etc/passwd", AddressError::Scheme),
            ("http://", AddressError::Host),
            ("https://:80", AddressError::Host),
            ("http://a:b", AddressError::Port("b".into())),
            ("http://a:0", AddressError::Port("0".into())),
            ("http://a:99999", AddressError::Port("99999".into())),
            ("https://me:secret@a", AddressError::Credentials),
            ("https://a?authToken=x", AddressError::Characters),
            ("https://a b", AddressError::Characters),
        ] {
            assert_eq!(written.parse::<Address>(), Err(error), "{written}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |text: &str| text.parse::<Address>().unwrap().is_loopback();
        assert!(loopback("http://localhost:1") && loopback("http://127.9.9.9") && loopback("http://[::1]"));
        assert!(
            !loopback("http://localhost.example.org") && !loopback("http://10.0.0.1") && !loopback("http://0.0.0.0")
        );
    }
}
