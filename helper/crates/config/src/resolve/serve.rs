//! A remote that is served from this machine.

use nixbox_report::{Failure, codes};

use super::Resolver;
use crate::address::Address;
use crate::document::{At, ServeDocument};
use crate::origin::Origin;
use crate::project::{KeySource, Paths, Served, ServedPaths};
use crate::size::Size;
use crate::tree::join;

const PORT: u16 = 7440;
const WAL_ALARM: Size = Size(1 << 30);

impl Resolver<'_> {
    pub(super) fn served(&mut self, table: &str, At { value, line }: &At<ServeDocument>, paths: ServedPaths) -> Served {
        self.pick(table, "enable", value.enable.as_ref(), true);
        let port = self.pick(table, "port", value.port.as_ref(), PORT);
        let key = join(table, "program");
        let program = self.readable_path(&key, value.program.as_ref());
        let (program, origin) = program.map_or((None, Origin::Default), |(path, origin)| (Some(path), origin));
        self.setting(|| (key, program.as_ref().map(|path| path.display().to_string())), origin);
        let hosts = self.hosts(join(table, "hosts"), &value.hosts);
        let wal_alarm = self.pick(table, "wal_alarm", value.wal_alarm.as_ref(), WAL_ALARM);
        let length = paths.socket.as_os_str().len();
        if length > Paths::LONGEST_SOCKET {
            let why = format!("{} has {length} bytes, {} are allowed", paths.socket.display(), Paths::LONGEST_SOCKET);
            let failure = Failure::new(&codes::CONFIG_SOCKET_PATH, "The socket path of the served remote is too long");
            let help = "set a shorter `runtime_dir`, such as one below /tmp";
            self.problems.at(*line, table, failure.why(why).help(help));
        }
        Served { port, program, hosts, wal_alarm, paths }
    }

    /// The address of one that has no other.
    pub(super) fn here(&mut self, key: String, served: &Served) -> Option<Address> {
        let address: Address = format!("http://127.0.0.1:{}", served.port).parse().ok()?;
        self.setting(|| (key, Some(address.to_string())), Origin::Default);
        Some(address)
    }

    pub(super) fn token_of_its_own(&mut self, table: &str, served: &Served) -> KeySource {
        let path = served.paths.token.clone();
        self.setting(|| (join(table, "token_file"), Some(path.display().to_string())), Origin::Default);
        KeySource::File(path)
    }
}
