//! The environment contract.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use nixbox_config::Project;
use nixbox_config::env::{Addresses, Direction, Owner, REGISTRY, exports};
use support::Scene;

const THREE: &str = r#"
version = 1
data_dir = "/data"
runtime_dir = "/run/nb"
default_instance = "main"
[instances.main]
env = { PIP_CACHE_DIR = "/tmp/pip" }
http = { port = 0 }
nfs = {}
[instances.my-box]
mount.backend = "none"
http = { bind = "::1", port = 7420 }
nfs = { bind = "::1", port = 2049 }
env = { OTHER = "x" }
[instances.off]
enable = false
"#;

fn none(_: &nixbox_config::Instance) -> Addresses {
    Addresses::default()
}

fn project() -> Project {
    Scene::new(THREE).project()
}

#[test]
fn unprefixed_names_are_the_default_instance_and_each_enabled_one_has_its_prefix() {
    let project = project();
    let all = exports(&project, None, none);
    let expected: BTreeMap<&str, &str> = BTreeMap::from([
        ("AGENTFS_ENABLED", "1"),
        ("AGENTFS_ID", "main"),
        ("AGENTFS_DATA_DIR", "/data"),
        ("AGENTFS_DB_NAME", "main.db"),
        ("AGENTFS_DB", "/data/main.db"),
        ("AGENTFS_MOUNT", "/data/mnt/main"),
        ("AGENTFS_SOCKET", "/run/nb/main.sock"),
        ("AGENTFS_TOKEN_FILE", "/run/nb/main.token"),
        ("AGENTFS_LOG_LEVEL", "info"),
        ("AGENTFS_MAIN_ENABLED", "1"),
        ("AGENTFS_MAIN_ID", "main"),
        ("AGENTFS_MAIN_DATA_DIR", "/data"),
        ("AGENTFS_MAIN_DB_NAME", "main.db"),
        ("AGENTFS_MAIN_DB", "/data/main.db"),
        ("AGENTFS_MAIN_MOUNT", "/data/mnt/main"),
        ("AGENTFS_MAIN_SOCKET", "/run/nb/main.sock"),
        ("AGENTFS_MAIN_TOKEN_FILE", "/run/nb/main.token"),
        ("AGENTFS_MAIN_LOG_LEVEL", "info"),
        ("AGENTFS_MY_BOX_ENABLED", "1"),
        ("AGENTFS_MY_BOX_ID", "my-box"),
        ("AGENTFS_MY_BOX_DATA_DIR", "/data"),
        ("AGENTFS_MY_BOX_DB_NAME", "my-box.db"),
        ("AGENTFS_MY_BOX_DB", "/data/my-box.db"),
        ("AGENTFS_MY_BOX_SOCKET", "/run/nb/my-box.sock"),
        ("AGENTFS_MY_BOX_TOKEN_FILE", "/run/nb/my-box.token"),
        ("AGENTFS_MY_BOX_LOG_LEVEL", "info"),
        ("AGENTFS_MY_BOX_HOST", "::1"),
        ("AGENTFS_MY_BOX_PORT", "7420"),
        ("AGENTFS_MY_BOX_URL", "http://[::1]:7420"),
        ("AGENTFS_MY_BOX_NFS", "[::1]:2049"),
        ("NIXBOX_CONFIG", project.file.to_str().unwrap()),
        ("PIP_CACHE_DIR", "/tmp/pip"),
    ]);
    let all: BTreeMap<_, _> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(all, expected);
}

#[test]
fn a_picked_port_comes_from_whoever_knows_it() {
    let all = exports(&project(), None, |instance| {
        assert_eq!(instance.name, "main", "a declared port needs no asking");
        let at = |port| Some((IpAddr::from([127, 0, 0, 1]), port).into());
        Addresses { http: at(40123), nfs: at(40124) }
    });
    assert_eq!([&all["AGENTFS_HOST"], &all["AGENTFS_PORT"]], ["127.0.0.1", "40123"]);
    assert_eq!(all["AGENTFS_MAIN_URL"], "http://127.0.0.1:40123");
    assert_eq!(all["AGENTFS_NFS"], "127.0.0.1:40124");
}

#[test]
fn with_one_name_everything_means_that_instance() {
    let all = exports(&project(), Some("my-box"), none);
    assert_eq!([&all["AGENTFS_ID"], &all["AGENTFS_PORT"], &all["OTHER"]], ["my-box", "7420", "x"]);
    assert_eq!(all["AGENTFS_MY_BOX_ID"], "my-box");
    assert!(!all.keys().any(|name| name.starts_with("AGENTFS_MAIN") || name == "PIP_CACHE_DIR"), "{all:?}");
    assert!(!all.contains_key("AGENTFS_MOUNT"));
}

#[test]
fn without_a_default_instance_there_are_only_prefixed_names() {
    let project = Scene::new("version = 1\n[instances.a]\n[instances.b]\n").project();
    let all = exports(&project, None, none);
    assert!(all.contains_key("AGENTFS_A_ID") && all.contains_key("AGENTFS_B_ID"));
    assert!(!all.contains_key("AGENTFS_ID") && !all.contains_key("AGENTFS_ENABLED"));
}

#[test]
fn what_is_exported_is_what_the_registry_says() {
    let scene = Scene::new("version = 1\n[instances.a]\nhttp.port = 1\nnfs.port = 2\n");
    let all: BTreeSet<_> = exports(&scene.project(), None, none).into_keys().collect();
    let mut registered = BTreeSet::new();
    for variable in REGISTRY.iter().filter(|variable| variable.direction != Direction::Read) {
        assert_eq!(variable.owner, Owner::Ours, "{} keeps upstream's meaning", variable.name);
        registered.insert(variable.name.to_owned());
        if variable.per_instance {
            registered.insert(variable.name.replace("AGENTFS_", "AGENTFS_A_"));
        }
    }
    assert_eq!(all, registered);
}

/// The programs read no variable that the reference does not list.
#[test]
fn every_variable_in_the_sources_is_registered() {
    let known: BTreeSet<_> = REGISTRY.iter().map(|variable| variable.name).collect();
    assert_eq!(known.len(), REGISTRY.len(), "a name stands twice");
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = 0;
    for file in rust_files(crates) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        files += 1;
        for literal in product.split('"').filter(|text| is_variable(text)) {
            assert!(known.contains(literal), "{literal} in {} is not in the registry", file.display());
        }
    }
    assert!(files > 10, "{files}");
}

fn is_variable(text: &str) -> bool {
    let ours =
        ["AGENTFS_", "NIXBOX_", "DEVENV_"].iter().any(|start| text.len() > start.len() && text.starts_with(start));
    ours && !text.ends_with('_') && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

fn rust_files(crates: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found
}
