use std::fs;

use crate::support::{Test, fuse};

const WITHOUT_MOUNT: &str = "mount.backend = \"none\"\n";

fn over(test: Test, base: &str) -> Test {
    test.config(&format!("[instances.a]\nbase = \"{base}\"\n{WITHOUT_MOUNT}"))
}

#[test]
fn a_base_that_is_gone_or_another_is_refused_and_the_database_untouched() {
    let test = over(Test::new(), "b");
    fs::create_dir(test.path("b")).unwrap();
    test.run("init").success();
    let database = || fs::read(test.path(".agentfs/a.db")).unwrap();
    let before = database();

    fs::rename(test.path("b"), test.path("c")).unwrap();
    test.run("serve a").stderr("nixbox::base::missing").code(3);
    let test = over(test, "c");
    test.run("serve a").stderr("nixbox::database::base-moved").stderr("/b").code(7);
    let test = test.config(&format!("[instances.a]\n{WITHOUT_MOUNT}"));
    test.run("serve a").stderr("nixbox::database::overlay").stderr("/b").code(7);
    assert_eq!(fs::read(test.path(".agentfs/a.db")).unwrap(), before);
}

#[test]
fn verbs_and_the_mount_show_the_base_and_never_write_to_it() {
    let test = over(Test::new(), "b");
    fs::create_dir(test.path("b")).unwrap();
    fs::write(test.path("b/file"), "base").unwrap();
    test.run("init").success();
    test.run("fs cat file").stdout("base").success();
    test.run("fs write file").stdin("mine").success();
    test.run("fs cat file").stdout("mine").success();
    assert_eq!(fs::read(test.path("b/file")).unwrap(), b"base");
    if !fuse() {
        return;
    }
    // The mount inside its own base.
    let test = test.config("[instances.a]\nbase = \"b\"\nmount.path = \"b/mnt\"\n");
    test.run("up -d").success();
    assert_eq!(fs::read(test.path("b/mnt/file")).unwrap(), b"mine");
    fs::write(test.path("b/mnt/new"), "x").unwrap();
    assert!(!test.path("b/new").exists() && !test.path("b/mnt/mnt").exists());
    test.run("down").success();
    assert_eq!(fs::read(test.path("b/file")).unwrap(), b"base");
}

#[test]
fn a_base_that_was_moved_is_told_where_it_is_now() {
    let test = over(Test::new(), "b");
    fs::create_dir_all(test.path("b/d")).unwrap();
    fs::write(test.path("b/d/file"), "base").unwrap();
    test.run("init").success();
    test.run("fs write -a d/file").stdin("+mine").success();
    fs::rename(test.path("b"), test.path("c")).unwrap();
    fs::create_dir(test.path("other")).unwrap();
    let said = test.run("doctor").code(3).stdout;
    assert!(said.contains("its base") && said.contains("instance relocate"), "{said}");

    let test = over(test, "c");
    test.run("fs cat d/file").stderr("instance relocate").code(7);
    let said = test.run("doctor").code(7).stdout;
    assert!(said.contains("nixbox-helper instance relocate a"), "{said}");
    let database = || fs::read(test.path(".agentfs/a.db")).unwrap();
    let before = database();
    test.run("instance relocate a nowhere").stderr("nixbox::base::missing").code(3);
    test.run("instance relocate a c/d/file").stderr("nixbox::base::missing").code(3);
    test.run("instance relocate a .agentfs").stderr("nixbox::config::base-in-mount").code(2);
    test.run("instance relocate a other").stderr("nixbox::base::another").stderr("--force").code(5);
    assert!(database() == before, "the database changed");

    let run = test.run("instance relocate a c --json").success();
    assert_eq!(run.json()["differing"], 0);
    let schema = test.run("schema instance relocate").success().json();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&run.json()), "{}", run.stdout);
    test.run("fs cat d/file").stdout("base+mine").success();
    test.run("doctor --json").success();
    test.run("instance relocate a other --force").stderr("2 of 2 entries").stderr("base =").success();
    test.run("serve a").stderr("nixbox::database::base-moved").code(7);
    // Back, by content: a copy has other times.
    fs::create_dir_all(test.path("copy/d")).unwrap();
    fs::write(test.path("copy/d/file"), "base").unwrap();
    assert_eq!(test.run("instance relocate a copy --json").success().json()["differing"], 0);
    fs::write(test.path("copy/d/file"), "else").unwrap();
    let run = test.run("instance relocate a copy --json").success();
    assert_eq!((&run.json()["origins"], &run.json()["differing"]), (&2.into(), &1.into()));
}

#[test]
fn only_a_base_that_nobody_serves_is_relocated() {
    let test = over(Test::new(), "b");
    fs::create_dir(test.path("b")).unwrap();
    fs::create_dir(test.path("c")).unwrap();
    test.run("instance relocate a c").stderr("nixbox::database::missing").code(3);
    test.run("up -d").success();
    test.run("instance relocate a c").stderr("nixbox::owner::held").code(4);
    test.run("down").success();
    test.run("instance relocate a c --json").success();
    let plain = test.config(&format!("[instances.p]\n{WITHOUT_MOUNT}"));
    plain.run("init p").success();
    plain.run("instance relocate p c").stderr("nixbox::base::none").code(3);
}

#[test]
fn each_layer_is_seen_by_itself() {
    let test = over(Test::new(), "b");
    fs::create_dir_all(test.path("b/src")).unwrap();
    for (path, content) in [("b/src/main.rs", "base"), ("b/src/lib.rs", "base"), ("b/gone", "base")] {
        fs::write(test.path(path), content).unwrap();
    }
    test.run("init").success();
    test.run("fs write /src/main.rs").stdin("mine").success();
    test.run("fs write /new").stdin("new").success();
    test.run("fs rm /gone").success();
    for served in [false, true] {
        if served {
            test.run("up -d").success();
        }
        test.run("fs ls -R").stdout("new\nsrc\nsrc/lib.rs\nsrc/main.rs\n").success();
        test.run("fs ls -R --layer delta").stdout("new\nsrc\nsrc/main.rs\n").success();
        test.run("fs ls -R --layer base").stdout("gone\nsrc\nsrc/lib.rs\nsrc/main.rs\n").success();
        test.run("fs cat /src/main.rs --layer delta").stdout("mine").success();
        test.run("fs cat --layer base /src/main.rs /gone").stdout("basebase").success();
        test.run("fs cat /gone --layer delta").stderr("nixbox::file::missing").code(3);
        test.run("fs stat /new --layer base").stderr("nixbox::file::missing").code(3);
        assert_eq!(test.run("fs stat /new --layer delta --json").success().json()["size"], 3);
        test.args(["fs", "find", "*.rs", "--layer", "delta"]).stdout("/src/main.rs\n").success();
        test.args(["fs", "find", "*", "--type", "file", "--layer", "base"])
            .stdout("/gone\n/src/lib.rs\n/src/main.rs\n")
            .success();
        test.run("fs tree --layer delta").stdout("/\n├── new\n└── src/\n    └── main.rs\n").success();
        // Looked at in parts, the whole is what it was.
        test.run("fs cat /src/main.rs").stdout("mine").success();
        test.run("fs ls --layer middle").stderr("possible values: delta, base").code(2);
    }
    let calls = test.run("timeline --tool fs.ls --json").success().json();
    let layers = calls["calls"].as_array().unwrap().iter().filter(|call| call["parameters"]["layer"] == "base").count();
    assert_eq!(layers, 2);
    test.run("down").success();
    // Nothing but the database has been written.
    assert_eq!(fs::read(test.path("b/gone")).unwrap(), b"base");
    assert_eq!(fs::read_dir(test.path("b")).unwrap().count(), 2);

    let test = test.config("[instances.plain]\nmount.backend = \"none\"\n[instances.there]\nmount.backend = \"none\"\nbase = \"b\"\nmode = \"direct\"\n");
    for (instance, why) in [("plain", "it has no `base`"), ("there", "mode = \"direct\"")] {
        test.args(["init", instance]).success();
        for layer in ["delta", "base"] {
            let call = test.args(["fs", "ls", "--instance", instance, "--layer", layer]);
            call.stderr("nixbox::file::layer").stderr(why).code(2);
        }
    }
}
