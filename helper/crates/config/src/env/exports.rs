use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::project::{Instance, Project};

/// `my-box` → `AGENTFS_MY_BOX_`
pub fn prefix(name: &str) -> String {
    format!("AGENTFS_{}_", name.to_ascii_uppercase().replace('-', "_"))
}

/// Where an owner listens, as far as it is known: for what the system picked, out of the owner's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addresses {
    pub http: Option<SocketAddr>,
    pub nfs: Option<SocketAddr>,
}

/// The variables that a shell of this project has. Unprefixed names mean the default instance and prefixed ones
/// exist for every enabled instance; with `only`, both mean that one alone.
///
/// `recorded` is asked about instances one of whose ports the system picked.
pub fn exports(
    project: &Project,
    only: Option<&str>,
    recorded: impl Fn(&Instance) -> Addresses,
) -> BTreeMap<String, String> {
    // Sorted once, and not at every insertion. Of two values the later one holds.
    let mut all = vec![
        ("NIXBOX_CONFIG".to_owned(), text(&project.file)),
        ("AGENTFS_DATA_DIR".to_owned(), text(&project.data_dir)),
        ("AGENTFS_LOG_LEVEL".to_owned(), project.log_level.to_string()),
    ];
    let main = project.instance(only);
    // A made one has variables where it is the only one, or the one that is meant.
    let main_made = main.filter(|main| main.made.is_some());
    let declared = project.enabled().filter(|instance| only.is_none_or(|name| name == instance.name));
    for instance in declared.chain(main_made) {
        let addresses = addresses(instance, &recorded);
        let prefix = prefix(&instance.name);
        let is_main = main.is_some_and(|main| main.name == instance.name);
        if is_main {
            all.extend(instance.env.clone());
        }
        for (suffix, value) in variables(project, instance, addresses) {
            if is_main {
                all.push((["AGENTFS_", suffix].concat(), value.clone()));
            }
            all.push(([&prefix, suffix].concat(), value));
        }
    }
    all.into_iter().collect()
}

fn variables(
    project: &Project,
    instance: &Instance,
    Addresses { http, nfs }: Addresses,
) -> impl Iterator<Item = (&'static str, String)> {
    let name = &instance.name;
    [
        ("ENABLED", Some("1".to_owned())),
        ("ID", Some(name.clone())),
        ("DATA_DIR", Some(text(&project.data_dir))),
        ("DB_NAME", Some(format!("{name}.db"))),
        ("DB", Some(text(&instance.paths.db))),
        ("MOUNT", instance.mount.as_ref().map(|mount| text(&mount.path))),
        ("HOST", http.map(|address| address.ip().to_string())),
        ("PORT", http.map(|address| address.port().to_string())),
        ("URL", http.map(|address| format!("http://{address}"))),
        ("NFS", nfs.map(|address| address.to_string())),
        ("SOCKET", Some(text(&instance.paths.socket))),
        ("TOKEN_FILE", instance.http.as_ref().map(|_| text(&instance.paths.token))),
        ("LOG_LEVEL", Some(project.log_level.to_string())),
    ]
    .into_iter()
    .filter_map(|(suffix, value)| Some((suffix, value?)))
}

fn addresses(instance: &Instance, recorded: impl Fn(&Instance) -> Addresses) -> Addresses {
    let http = instance.http.as_ref().map(|http| SocketAddr::new(http.bind, http.port));
    let nfs = instance.nfs.as_ref().map(|nfs| SocketAddr::new(nfs.bind, nfs.port));
    let is_picked = |address: Option<SocketAddr>| address.is_some_and(|address| address.port() == 0);
    if !is_picked(http) && !is_picked(nfs) {
        return Addresses { http, nfs };
    }
    let recorded = recorded(instance);
    let known = |address: Option<SocketAddr>, picked| if is_picked(address) { picked } else { address };
    Addresses { http: known(http, recorded.http), nfs: known(nfs, recorded.nfs) }
}

/// Every path of a project is UTF-8; `load` has seen to that.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
