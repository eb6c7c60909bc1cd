//! The HTTP surface: whether it answers, or could be offered, and who else can reach it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use nixbox_config::{Http, Instance};
use nixbox_report::codes;
use nixbox_state::Lock;

use super::Finding;
use crate::presence::{Presence, presence};

/// One that is well answers at once.
const PATIENCE: Duration = Duration::from_secs(2);

pub fn findings(instance: &Instance) -> Vec<Finding> {
    let Some(http) = &instance.http else { return Vec::new() };
    let subject = format!("instance {}", instance.name);
    let mut findings: Vec<_> = exposed(http).map(|found| warned(&subject, found)).into_iter().collect();
    match Lock::live_holder(&instance.paths.lock) {
        Some(_) => findings.extend(answers(instance, &subject)),
        None => findings.extend(free(http, &subject)),
    }
    findings
}

fn exposed(http: &Http) -> Option<String> {
    let reached = !http.bind.is_loopback();
    reached
        .then(|| format!("other machines reach its HTTP surface ({}), and nothing on the way is encrypted", http.bind))
}

fn warned(subject: &str, found: String) -> Finding {
    Finding::warn(subject, found, "put a proxy with TLS or a tunnel before it, and bind it to 127.0.0.1")
}

fn answers(instance: &Instance, subject: &str) -> Option<Finding> {
    let Ok(Presence::Here(status)) = presence(instance, PATIENCE) else { return None };
    // One that is starting has none yet, and one that was started for a session has none at all.
    let address = status.http.as_ref()?.address;
    Some(match health(address, PATIENCE) {
        Ok(code) => Finding::ok(subject, format!("http://{address} answers ({code})")),
        Err(error) => Finding::fail(
            subject,
            &codes::OWNER_SILENT,
            format!("http://{address} does not answer: {error}"),
            format!("look at its log, and start it anew with `nixbox-helper down {0}` and `up {0}`", instance.name),
        ),
    })
}

/// The status code of `/healthz`.
pub fn health(address: SocketAddr, patience: Duration) -> std::io::Result<String> {
    // Bound to all addresses, it is here too.
    let here = match (address.ip().is_unspecified(), address) {
        (false, address) => address,
        (true, SocketAddr::V4(_)) => SocketAddr::from(([127, 0, 0, 1], address.port())),
        (true, SocketAddr::V6(_)) => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port())),
    };
    let mut stream = TcpStream::connect_timeout(&here, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut line = [0; 12];
    stream.read_exact(&mut line)?;
    match line.strip_prefix(b"HTTP/1.1 ") {
        Some(code) => Ok(String::from_utf8_lossy(code).into_owned()),
        None => Err(std::io::Error::other("that is not HTTP")),
    }
}

fn free(http: &Http, subject: &str) -> Option<Finding> {
    let address = SocketAddr::new(http.bind, http.port);
    if http.port == 0 {
        return None;
    }
    Some(match TcpListener::bind(address) {
        Ok(_) => Finding::ok(subject, format!("{address} is free")),
        Err(error) => Finding::fail(
            subject,
            &codes::HTTP_BIND,
            format!("{address} cannot be used: {error}"),
            "choose another `http.port`, or 0 for any free one",
        ),
    })
}
