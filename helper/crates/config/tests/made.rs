//! Instances that were made without being declared, beside declared ones and alone.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use nixbox_config::{Instance, Made, made_to_toml, to_toml};
use nixbox_report::codes;
use support::Scene;

const MADE: &str = "version = 1\ncreated = 7\nkeep = true\ncommand = [\"make\", \"test\"]\n[instance]\nbase = \"src\"\nlabels.team = \"a\"\n";

fn with(scene: Scene, name: &str, text: &str) -> Scene {
    scene.write(&format!(".agentfs/.instances/{name}.toml"), text);
    scene
}

#[test]
fn it_is_an_instance_like_any_other_and_not_declared() {
    let scene = with(Scene::new("version = 1\n[instances.own]\n"), "try", MADE);
    let project = scene.project();
    let made = &project.instances["try"];
    assert_eq!(made.made, Some(Made { created: 7, keep: true, command: vec!["make".into(), "test".into()] }));
    assert_eq!((&made.base.as_ref().unwrap().path, &made.labels["team"]), (&scene.dir.join("src"), &"a".to_owned()));
    assert_eq!(project.made_file("try"), scene.dir.join(".agentfs/.instances/try.toml"));
    // What names mean without one does not change while it is there.
    assert_eq!(project.default_instance.as_deref(), Some("own"));
    assert_eq!(project.enabled().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["own"]);
    let none = |_: &Instance| Default::default();
    assert!(nixbox_config::env::exports(&project, None, none).keys().all(|name| !name.contains("TRY")));
    assert_eq!(nixbox_config::env::exports(&project, Some("try"), none)["AGENTFS_ID"], "try");
    assert!(!to_toml(&project).unwrap().contains("try"));
}

#[test]
fn it_is_written_as_it_is_read() {
    let scene = with(Scene::new("version = 1\n"), "try", MADE);
    let before = scene.project();
    // Alone, it is what no name means.
    assert_eq!(before.default_instance.as_deref(), Some("try"));
    scene.write(".agentfs/.instances/try.toml", made_to_toml(&before.instances["try"]).unwrap());
    assert_eq!(scene.project(), before);
}

#[test]
fn what_is_declared_comes_first() {
    let text =
        "version = 1\n[instances.try]\ndescription = \"mine\"\n[jobs.work]\ninstance = \"try\"\nexec = [\"true\"]\n";
    let scene = with(with(Scene::new(text), "try", MADE), "work", MADE);
    let project = scene.project();
    assert_eq!((project.instances["try"].description.as_str(), &project.instances["try"].made), ("mine", &None));
    assert!(!project.instances.contains_key("work"));
}

#[test]
fn a_folder_that_declares_nothing_has_its_configuration_with_its_data() {
    let scene = with(Scene::bare(), "try", MADE);
    assert_eq!(scene.load().unwrap_err().failures[0].code, &codes::CONFIG_MISSING);
    let file = scene.write(".agentfs/nixbox.toml", "version = 1\n");
    let scene = scene.with(|sources, dir| sources.cwd = dir.join("a/b"));
    fs::create_dir_all(&scene.sources.cwd).unwrap();
    let project = scene.project();
    assert_eq!((&project.file, &project.root, project.data_dir), (&file, &scene.dir, scene.dir.join(".agentfs")));
    assert!(project.instances.contains_key("try"));
    // By its name it is found from anywhere, with the same root.
    let scene = scene.with(|sources, _| (sources.config, sources.cwd) = (Some(file.clone()), "/".into()));
    assert_eq!(scene.project().root, scene.dir);
    // One of the project's own comes first, and knows the same instances.
    let scene = scene.with(|sources, dir| (sources.config, sources.cwd) = (None, dir.join("a/b")));
    let own = scene.write("nixbox.toml", "version = 1\n");
    assert_eq!((scene.project().file, scene.project().instances.len()), (own, 1));
}

#[test]
fn what_is_wrong_names_its_own_file() {
    let wrong = [
        ("try", "version = 1\nkeep = 7\n", Some(2), &codes::CONFIG_TYPE),
        ("try", "version = 1\n[instance]\nbase = \"\"\n", Some(3), &codes::CONFIG_VALUE),
        ("try", "version = 1\nwhat = 1\n", Some(2), &codes::CONFIG_UNKNOWN_KEY),
        ("try", "half", None, &codes::CONFIG_SYNTAX),
        ("Try", "version = 1\n[instance]\n", Some(2), &codes::CONFIG_INSTANCE_NAME),
    ];
    for (name, text, line, code) in wrong {
        let scene = with(Scene::new("version = 1\n"), name, text);
        let failures = scene.load().unwrap_err().failures;
        let place = failures[0].place.as_ref().unwrap();
        assert_eq!((failures.len(), failures[0].code), (1, code), "{text}: {failures:?}");
        assert_eq!(place.file, scene.dir.join(format!(".agentfs/.instances/{name}.toml")), "{text}");
        assert!(line.is_none() || place.line == line, "{text}: {place:?}");
    }
    // One that was being written when the machine went off.
    assert!(with(Scene::new("version = 1\n"), ".try.toml.7", "half").load().is_ok());
}
