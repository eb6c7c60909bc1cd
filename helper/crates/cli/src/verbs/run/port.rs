use std::io::ErrorKind;
use std::net::TcpListener;

use nixbox_report::{Failure, Report, codes};

/// A port that nothing listens on now, on any address of the machine. Nothing holds it for whoever is to listen there.
pub fn free(port: u16) -> Result<u16, Report> {
    let taken = |error: std::io::Error| {
        Report::from(
            Failure::new(&codes::RUN_PORT, format!("port {port} cannot be listened on"))
                .why(error)
                .help("name another with -p, or 0 for any that is free"),
        )
    };
    let four = TcpListener::bind(("0.0.0.0", port)).map_err(taken)?;
    let picked = four.local_addr()?.port();
    drop(four);
    match TcpListener::bind(("::", picked)) {
        // The machine may have no other kind of address.
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(taken(error)),
        _ => Ok(picked),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_that_is_taken_is_refused_whatever_the_address() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        assert_eq!(free(port).unwrap_err().failures[0].code, &codes::RUN_PORT);
        drop(held);
        assert_eq!(free(port).unwrap(), port);
        assert_ne!(free(0).unwrap(), 0);
    }
}
