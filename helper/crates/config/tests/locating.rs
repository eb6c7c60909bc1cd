//! Which file is read, which folder it speaks of, and which source wins.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use nixbox_config::{LogLevel, Origin};
use nixbox_report::codes;
use support::Scene;

const ONE: &str = "version = 1\n[instances.sandbox]\n";
const HASH: &str = "0c5b8vw40dy178xlpddw65q9gf1h2186";

#[test]
fn the_file_is_searched_upward() {
    let scene = Scene::new(ONE).with(|sources, dir| sources.cwd = dir.join("src/deep"));
    fs::create_dir_all(&scene.sources.cwd).unwrap();
    let loaded = scene.loaded();
    assert_eq!(loaded.project.file, scene.dir.join("nixbox.toml"));
    assert_eq!(loaded.project.root, scene.dir);
    assert_eq!(loaded.origins.file, Origin::Default);
}

#[test]
fn a_folder_of_that_name_is_not_the_file() {
    let scene = Scene::new(ONE).with(|sources, dir| sources.cwd = dir.join("src"));
    fs::create_dir_all(scene.dir.join("src/nixbox.toml")).unwrap();
    assert_eq!(scene.project().file, scene.dir.join("nixbox.toml"));
}

#[test]
fn a_flag_beats_the_variable_and_the_variable_beats_the_search() {
    let scene = Scene::new(ONE);
    let (flag, variable) = (scene.write("flag.toml", ONE), scene.write("variable.toml", ONE));
    let scene = scene.variable("NIXBOX_CONFIG", &variable);
    assert_eq!(scene.project().file, variable);
    assert_eq!(scene.loaded().origins.file, Origin::Environment("NIXBOX_CONFIG"));
    let scene = scene.with(|sources, _| sources.config = Some("flag.toml".into()));
    assert_eq!(scene.project().file, flag);
    assert_eq!(scene.loaded().origins.file, Origin::Flag);
}

#[test]
fn a_missing_or_unreadable_file_has_a_code_of_its_own() {
    assert_eq!(*Scene::bare().failures()[0].code, codes::CONFIG_MISSING);
    let named = Scene::new(ONE).with(|sources, _| sources.config = Some("other.toml".into()));
    assert_eq!(*named.failures()[0].code, codes::CONFIG_MISSING);
    let folder = Scene::new(ONE).with(|sources, dir| sources.config = Some(dir.to_owned()));
    assert_eq!(*folder.failures()[0].code, codes::CONFIG_UNREADABLE);
    assert_eq!(folder.load().unwrap_err().exit(), 2);
}

#[test]
fn an_empty_variable_is_none() {
    assert_eq!(Scene::new(ONE).variable("NIXBOX_CONFIG", "").loaded().origins.file, Origin::Default);
}

#[test]
fn a_file_in_the_store_speaks_of_the_project_it_is_used_in() {
    let scene = Scene::bare();
    let file = scene.write(&format!("store/{HASH}-nixbox.toml"), ONE);
    let scene = scene.variable("NIXBOX_CONFIG", &file).with(|sources, dir| sources.cwd = dir.join("work"));
    assert_eq!(scene.project().root, scene.dir.join("work"));

    let devenv = scene.dir.join("project");
    let scene = scene.variable("DEVENV_ROOT", &devenv);
    assert_eq!(scene.project().root, devenv);
    assert_eq!(scene.loaded().origins.root, Origin::Environment("DEVENV_ROOT"));

    let scene = scene.variable("NIXBOX_ROOT", "elsewhere");
    assert_eq!(scene.project().root, scene.dir.join("work/elsewhere"));
    let scene = scene.with(|sources, dir| sources.root = Some(dir.to_owned()));
    assert_eq!(scene.project().root, scene.dir);
    assert_eq!(scene.loaded().origins.root, Origin::Flag);
}

#[test]
fn devenv_does_not_move_a_root_that_the_file_already_tells() {
    let scene = Scene::new(ONE).variable("DEVENV_ROOT", "/elsewhere");
    assert_eq!(scene.project().root, scene.dir);
}

#[test]
fn the_data_folder_is_flag_then_variable_then_file_then_devenv_then_default() {
    let key = "data_dir";
    let scene = Scene::new(ONE);
    assert_eq!(scene.project().data_dir, scene.dir.join(".agentfs"));
    assert_eq!(scene.origin(key), Origin::Default);

    let scene = scene.variable("DEVENV_STATE", "/state");
    assert_eq!(scene.project().data_dir, Path::new("/state/agentfs"));
    assert_eq!(scene.origin(key), Origin::Environment("DEVENV_STATE"));

    scene.write("nixbox.toml", "version = 1\ndata_dir = \"./x/../data\"\n");
    assert_eq!(scene.project().data_dir, scene.dir.join("data"));
    assert_eq!(scene.origin(key), Origin::File { line: 2 });

    let scene = scene.variable("AGENTFS_DATA_DIR", "fs");
    assert_eq!(scene.project().data_dir, scene.dir.join("fs"));
    assert_eq!(scene.origin(key), Origin::Environment("AGENTFS_DATA_DIR"));

    let scene = scene.with(|sources, dir| {
        sources.cwd = dir.join("src");
        sources.data_dir = Some("here".into());
    });
    assert_eq!(scene.project().data_dir, scene.dir.join("src/here"));
    assert_eq!(scene.origin(key), Origin::Flag);
}

#[test]
fn the_runtime_folder_is_file_then_devenv_then_xdg_then_tmp() {
    let scene = Scene::new(ONE);
    let xdg = scene.project().runtime_dir;
    assert_eq!(xdg.parent(), Some(Path::new("/run/nb/nixbox")));
    let hash = xdg.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(hash.len(), 8);
    assert_eq!(scene.project().instances["sandbox"].paths.socket, xdg.join("sandbox.sock"));

    let scene = scene.variable("XDG_RUNTIME_DIR", "");
    let tmp = scene.project().runtime_dir;
    assert!(tmp.display().to_string().starts_with("/tmp/nixbox-"), "{}", tmp.display());
    assert!(tmp.ends_with(&hash));
    let scene = scene.variable("XDG_RUNTIME_DIR", "not/absolute");
    assert_eq!(scene.project().runtime_dir, tmp);

    let scene = scene.variable("DEVENV_RUNTIME", "/run/devenv-1");
    assert_eq!(scene.project().runtime_dir, Path::new("/run/devenv-1/agentfs"));
    scene.write("nixbox.toml", "version = 1\nruntime_dir = \"run\"\n");
    assert_eq!(scene.project().runtime_dir, scene.dir.join("run"));
}

#[test]
fn a_project_reached_through_a_link_keeps_its_runtime_folder() {
    let scene = Scene::bare();
    scene.write("real/nixbox.toml", ONE);
    std::os::unix::fs::symlink("real", scene.dir.join("link")).unwrap();
    let of = |config: &str| {
        let mut sources = scene.sources.clone();
        sources.config = Some(config.into());
        nixbox_config::load(&sources).unwrap().project.runtime_dir
    };
    assert_eq!(of("real/nixbox.toml"), of("link/nixbox.toml"));
}

#[test]
fn devenv_speaks_only_of_its_own_project() {
    let scene = Scene::new(ONE).variable("DEVENV_STATE", "/state").variable("DEVENV_RUNTIME", "/run/devenv-1");
    let own = scene.dir.clone();
    let scene = scene.variable("DEVENV_ROOT", "/another");
    assert_eq!(scene.project().data_dir, own.join(".agentfs"));
    assert!(scene.project().runtime_dir.starts_with("/run/nb"));

    // The same folder by another path is the same project.
    std::os::unix::fs::symlink(&own, own.join("link")).unwrap();
    let linked = own.join("link");
    assert_eq!(scene.variable("DEVENV_ROOT", linked).project().data_dir, Path::new("/state/agentfs"));
}

#[test]
fn variables_that_another_configuration_exported_are_not_ours() {
    let scene = Scene::new(ONE);
    let other = scene.write("other/nixbox.toml", ONE);
    let scene = scene
        .variable("NIXBOX_CONFIG", &other)
        .variable("AGENTFS_DATA_DIR", other.with_file_name("data"))
        .variable("AGENTFS_LOG_LEVEL", "trace")
        .with(|sources, dir| sources.config = Some(dir.join("nixbox.toml")));
    assert_eq!(scene.project().data_dir, scene.dir.join(".agentfs"));
    assert_eq!(scene.project().log_level, LogLevel::Info);
    let same = scene.with(|sources, _| sources.config = Some(other.clone()));
    assert_eq!(same.project().data_dir, other.with_file_name("data"));
}

#[test]
fn a_shell_older_than_the_last_edit_still_speaks_of_the_project() {
    let scene = Scene::bare();
    let [old, new] = ["0", "1"].map(|first| scene.write(&format!("store/{first}{}-nixbox.toml", &HASH[1..]), ONE));
    let scene = scene.variable("NIXBOX_CONFIG", old).variable("AGENTFS_DATA_DIR", "/data");
    assert_eq!(scene.with(|sources, _| sources.config = Some(new)).project().data_dir, Path::new("/data"));
}

#[test]
fn the_log_level_is_flag_then_variable_then_file_then_default() {
    let scene = Scene::new(ONE);
    assert_eq!(scene.project().log_level, LogLevel::Info);
    scene.write("nixbox.toml", "version = 1\nlog_level = \"error\"\n");
    assert_eq!(scene.project().log_level, LogLevel::Error);
    let scene = scene.variable("AGENTFS_LOG_LEVEL", "debug");
    assert_eq!(scene.project().log_level, LogLevel::Debug);
    let scene = scene.with(|sources, _| sources.log_level = Some(LogLevel::Trace));
    assert_eq!(scene.project().log_level, LogLevel::Trace);
    assert_eq!(scene.origin("log_level"), Origin::Flag);
}

#[test]
fn an_impossible_variable_is_refused_by_name() {
    let failures = Scene::new(ONE).variable("AGENTFS_LOG_LEVEL", "loud").failures();
    assert_eq!(*failures[0].code, codes::CONFIG_ENVIRONMENT);
    assert!(failures[0].what.contains("AGENTFS_LOG_LEVEL"));
    assert!(failures[0].why.as_ref().unwrap().contains("error, warn, info, debug, trace"));
}

#[test]
fn json_means_the_same_as_toml() {
    let scene = Scene::new("version = 1\n[instances.a.mount]\npath = \"m\"\n[instances.a.env]\nA = \"ü\\n\"\n");
    let toml = scene.project();
    let json = r#"{ "version": 1, "instances": { "a": { "mount": { "path": "m" }, "env": { "A": "\u00fc\n" } } } }"#;
    scene.write("nixbox.json", json);
    let mut json = scene.with(|sources, _| sources.config = Some("nixbox.json".into())).project();
    json.file.clone_from(&toml.file);
    assert_eq!(json, toml);
}
