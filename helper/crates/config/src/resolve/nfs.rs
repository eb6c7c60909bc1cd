//! The instance over NFS.

use std::net::{IpAddr, Ipv4Addr};

use nixbox_report::{Failure, codes};

use super::Resolver;
use crate::document::{At, InstanceDocument, MountDocument};
use crate::project::Nfs;
use crate::tree::join;

impl Resolver<'_> {
    pub(super) fn nfs(&mut self, instance: &str, written: &InstanceDocument) -> Option<Nfs> {
        let table = &written.nfs.as_ref()?.value;
        let key = &join(instance, "nfs");
        let nothing = MountDocument::default();
        let mount = written.mount.as_ref().map_or(&nothing, |at| &at.value);
        let enable = self.pick(key, "enable", table.enable.as_ref(), true);
        let bind = self.pick(key, "bind", table.bind.as_ref(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = self.pick(key, "port", table.port.as_ref(), 0);
        let expose = self.pick(key, "expose", table.expose.as_ref(), false);
        if let Some(At { value, line }) = table.bind.as_ref().filter(|at| !at.value.is_loopback() && !expose) {
            let failure = Failure::new(&codes::CONFIG_EXPOSED, format!("{value} is not a loopback address"))
                .why("other machines could reach the instance, and NFS asks nobody for a password")
                .help("write \"127.0.0.1\" or \"::1\"; where every machine that can reach it may, add `expose = true`");
            self.problems.at(*line, &join(key, "bind"), failure);
        }
        let value = |at: &Option<At<u32>>| at.as_ref().map(|at| at.value);
        enable.then(|| Nfs {
            bind,
            port,
            expose,
            read_only: mount.read_only.as_ref().is_some_and(|at| at.value),
            uid: value(&mount.uid),
            gid: value(&mount.gid),
        })
    }
}
