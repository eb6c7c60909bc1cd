use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::project::{Instance, Project};

/// `my-box` → `AGENTFS_MY_BOX_`
pub fn prefix(name: &str) -> String {
    format!("AGENTFS_{}_", name.to_ascii_uppercase().replace('-', "_"))
}

/// The variables that a shell of this project has. Unprefixed names mean the default instance and prefixed ones
/// exist for every enabled instance; with `only`, both mean that one alone.
///
/// `port_of` answers for instances whose port the system picked, out of the owner's record.
pub fn exports(
    project: &Project,
    only: Option<&str>,
    port_of: impl Fn(&Instance) -> Option<SocketAddr>,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("NIXBOX_CONFIG".to_owned(), text(&project.file)),
        ("AGENTFS_DATA_DIR".to_owned(), text(&project.data_dir)),
        ("AGENTFS_LOG_LEVEL".to_owned(), project.log_level.to_string()),
    ]);
    let main = project.instance(only);
    for instance in project.enabled().filter(|instance| only.is_none_or(|name| name == instance.name)) {
        let address = address(instance, &port_of);
        let prefix = prefix(&instance.name);
        let is_main = main.is_some_and(|main| main.name == instance.name);
        if is_main {
            all.extend(instance.env.clone());
        }
        for (suffix, value) in variables(project, instance, address) {
            if is_main {
                all.insert(format!("AGENTFS_{suffix}"), value.clone());
            }
            all.insert(format!("{prefix}{suffix}"), value);
        }
    }
    all
}

fn variables(
    project: &Project,
    instance: &Instance,
    address: Option<SocketAddr>,
) -> impl Iterator<Item = (&'static str, String)> {
    let name = &instance.name;
    [
        ("ENABLED", Some("1".to_owned())),
        ("ID", Some(name.clone())),
        ("DATA_DIR", Some(text(&project.data_dir))),
        ("DB_NAME", Some(format!("{name}.db"))),
        ("DB", Some(text(&instance.paths.db))),
        ("MOUNT", instance.mount.as_ref().map(|mount| text(&mount.path))),
        ("HOST", address.map(|address| address.ip().to_string())),
        ("PORT", address.map(|address| address.port().to_string())),
        ("URL", address.map(|address| format!("http://{address}"))),
        ("SOCKET", Some(text(&instance.paths.socket))),
        ("TOKEN_FILE", instance.http.as_ref().map(|_| text(&instance.paths.token))),
        ("LOG_LEVEL", Some(project.log_level.to_string())),
    ]
    .into_iter()
    .filter_map(|(suffix, value)| Some((suffix, value?)))
}

fn address(instance: &Instance, port_of: impl Fn(&Instance) -> Option<SocketAddr>) -> Option<SocketAddr> {
    let http = instance.http.as_ref()?;
    match http.port {
        0 => port_of(instance),
        port => Some(SocketAddr::new(http.bind, port)),
    }
}

/// Every path of a project is UTF-8; `load` has seen to that.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
