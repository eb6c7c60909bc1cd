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
