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
