//! A project that is written out and read again is the same project.

#![allow(clippy::unwrap_used)]

mod support;

use nixbox_config::{Project, to_json, to_toml};
use support::{Scene, mutation};

fn round(text: &str) {
    let scene = Scene::new(text);
    let project = scene.project();
    assert_eq!(scene.loaded().project, project, "whether somebody asks for origins makes no difference");
    for (name, written) in [("again.toml", to_toml(&project).unwrap()), ("again.json", to_json(&project).unwrap())] {
        scene.write(name, &written);
        let mut sources = scene.sources.clone();
        sources.config = Some(name.into());
        sources.environment = std::iter::empty::<(&str, &str)>().collect();
        let again = nixbox_config::load(&sources).unwrap_or_else(|report| panic!("{report:?}\n{written}")).project;
        assert_eq!(Project { file: project.file.clone(), ..again }, project, "{written}");
    }
}

#[test]
fn a_short_file_becomes_a_long_one_with_the_same_meaning() {
    round("version = 1\n[instances.sandbox]\n");
    round("version = 1\n");
    round("version = 1\n[instances.a]\nmount = { backend = \"none\", read_only = true, gid = 7 }\nnfs = {}\n");
    round("version = 1\n[instances.a]\nmount.backend = \"none\"\nhttp = {}\n[instances.b]\nenable = false\n");
}

#[test]
fn each_mode_of_sync_is_written_with_what_means_something_in_it() {
    for sync in ["", "mode = \"periodic\"", "mode = \"real-time\"", "mode = \"follow\"", "pull_on_start = true"] {
        round(&format!("version = 1\n[remotes.r]\nurl = \"https://a\"\n[instances.a.sync]\nremote = \"r\"\n{sync}\n"));
    }
}

#[test]
fn every_key_survives() {
    round(mutation::WHOLE);
}

#[test]
fn nothing_is_left_to_defaults() {
    let text = to_toml(&Scene::new("version = 1\n[instances.a]\n").project()).unwrap();
    for key in ["data_dir", "runtime_dir", "default_instance", "log_level", "enable", "path", "backend", "create"] {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}\n{text}");
    }
}
