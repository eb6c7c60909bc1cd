//! What a short file stands for.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use nixbox_config::{Backend, Mount, Origin};
use support::Scene;

#[test]
fn two_lines_are_a_complete_file() {
    let scene = Scene::new("version = 1\n[instances.sandbox]\n");
    let project = scene.project();
    let data = scene.dir.join(".agentfs");
    assert_eq!(project.default_instance.as_deref(), Some("sandbox"));
    let sandbox = &project.instances["sandbox"];
    let mount = Mount {
        path: data.join("mnt/sandbox"),
        backend: Backend::Auto,
        read_only: false,
        allow_root: false,
        allow_other: false,
        uid: None,
        gid: None,
        create: true,
    };
    assert_eq!(sandbox.mount, Some(mount));
    assert_eq!(sandbox.http, None);
    assert!(sandbox.enable);
    let paths = &sandbox.paths;
    assert_eq!([&paths.db, &paths.dir], [&data.join("sandbox.db"), &data.join("sandbox.d")]);
    assert_eq!(paths.lock, data.join("sandbox.d/owner.lock"));
    let runtime = &project.runtime_dir;
    let names = ["sandbox.sock", "sandbox.json", "sandbox.token", "sandbox.log"].map(|name| runtime.join(name));
    assert_eq!([&paths.socket, &paths.record, &paths.token, &paths.log], [&names[0], &names[1], &names[2], &names[3]]);
}

#[test]
fn a_file_without_instances_is_fine() {
    let project = Scene::new("version = 1\n").project();
    assert!(project.instances.is_empty());
    assert_eq!(project.default_instance, None);
}

#[test]
fn an_http_table_is_loopback_on_a_free_port() {
    let project = Scene::new("version = 1\n[instances.a.http]\n").project();
    let http = project.instances["a"].http.as_ref().unwrap();
    assert_eq!((http.bind.to_string().as_str(), http.port), ("127.0.0.1", 0));
}

#[test]
fn backend_none_is_no_mount() {
    assert_eq!(
        Scene::new("version = 1\n[instances.a]\nmount.backend = \"none\"\n").project().instances["a"].mount,
        None
    );
}

#[test]
fn the_default_instance_is_the_only_enabled_one_else_the_one_of_that_name() {
    let default = |text: &str| Scene::new(&format!("version = 1\n{text}")).project().default_instance;
    let off = "enable = false\n";
    assert_eq!(default("[instances.a]\n[instances.b]\n"), None);
    assert_eq!(default(&format!("[instances.a]\n[instances.b]\n{off}")).as_deref(), Some("a"));
    assert_eq!(default("[instances.a]\n[instances.default]\n").as_deref(), Some("default"));
    assert_eq!(default(&format!("[instances.a]\n[instances.b]\n[instances.default]\n{off}")), None);
    assert_eq!(default("default_instance = \"b\"\n[instances.a]\n[instances.b]\n").as_deref(), Some("b"));
}

#[test]
fn every_setting_says_where_it_came_from() {
    let scene = Scene::new("version = 1\n[instances.a]\nenable = true\n[instances.a.env]\nA = \"x\"\n");
    let origins = scene.loaded().origins;
    let of = |key: &str| {
        let setting = origins.get(key).unwrap_or_else(|| panic!("{key}"));
        (setting.value.as_deref().unwrap_or("-").to_owned(), setting.origin)
    };
    assert_eq!(of("instances.a.enable"), ("true".to_owned(), Origin::File { line: 3 }));
    assert_eq!(of("instances.a.env.A"), ("x".to_owned(), Origin::File { line: 5 }));
    assert_eq!(of("instances.a.mount.uid"), ("-".to_owned(), Origin::Default));
    assert_eq!(of("default_instance"), ("a".to_owned(), Origin::Default));
    let path = scene.dir.join(".agentfs/mnt/a").display().to_string();
    assert_eq!(of("instances.a.mount.path"), (path, Origin::Default));
    let keys: Vec<_> = origins.settings.iter().take(5).map(|setting| setting.key.as_str()).collect();
    assert_eq!(keys, ["data_dir", "runtime_dir", "agentfs_program", "default_instance", "log_level"]);
}

#[test]
fn absolute_paths_stay_and_relative_ones_start_at_the_root() {
    let scene =
        Scene::new("version = 1\n[instances.a.mount]\npath = \"/mnt/a\"\n[instances.b.mount]\npath = \"b/../c\"\n");
    let project = scene.project();
    assert_eq!(project.instances["a"].mount.as_ref().unwrap().path, Path::new("/mnt/a"));
    assert_eq!(project.instances["b"].mount.as_ref().unwrap().path, scene.dir.join("c"));
}
