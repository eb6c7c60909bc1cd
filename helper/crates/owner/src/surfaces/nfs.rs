//! The instance over NFS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use nixbox_config::{Instance, Mount, Nfs};
use nixbox_engine::{Database, FileSystem, Witness};
use nixbox_mount::nfs::{Options, Served, serve};
use nixbox_report::Report;

use crate::failure;

/// What is asked for; else, where the kernel is to mount it, what that needs.
pub(crate) fn wanted(instance: &Instance, for_the_kernel: Option<&Mount>) -> Option<Nfs> {
    let own = |mount: &Mount| Nfs {
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
        expose: false,
        read_only: mount.read_only,
        uid: mount.uid,
        gid: mount.gid,
    };
    instance.nfs.clone().or_else(|| for_the_kernel.map(own))
}

/// `witness`: the mount that shows the same tree, if there is one.
pub(crate) fn offer(
    nfs: &Nfs,
    database: &Database,
    tree: Arc<dyn FileSystem>,
    witness: Arc<dyn Witness>,
) -> Result<Served, Report> {
    let address = SocketAddr::new(nfs.bind, nfs.port);
    let options =
        Options { address, database: database.path().to_owned(), read_only: nfs.read_only, uid: nfs.uid, gid: nfs.gid };
    serve(tree, witness, &options).map_err(|error| failure::nfs(address, &error).into())
}
