//! Files and folders copied between the machine and instances, without a mount.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::support::Test;

/// Two instances, and a folder of the machine with something of every kind.
fn scene() -> Test {
    let test = Test::bare(&["a", "b"]);
    fs::create_dir_all(test.path("src/in")).unwrap();
    fs::write(test.path("src/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(test.path("src/run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::hard_link(test.path("src/run.sh"), test.path("src/in/same")).unwrap();
    symlink("in/same", test.path("src/link")).unwrap();
    fs::write(test.path("src/in/large"), vec![7; 3 << 20]).unwrap();
    let old = fs::File::options().write(true).open(test.path("src/in/large")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789)).unwrap();
    test.run("init a").success();
    test.run("init b").success();
    test
}

fn assert_same(test: &Test, copy: &str) {
    let of = |path: String| fs::symlink_metadata(test.path(&path)).unwrap();
    for file in ["run.sh", "in/same", "in/large", "in", "link"] {
        let (before, after) = (of(format!("src/{file}")), of(format!("{copy}/{file}")));
        assert_eq!((before.mode(), before.len()), (after.mode(), after.len()), "{file}");
        assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()), "{file}");
    }
    assert_eq!(of(format!("{copy}/run.sh")).ino(), of(format!("{copy}/in/same")).ino());
    assert_eq!(fs::read(test.path(&format!("{copy}/in/large"))).unwrap(), vec![7; 3 << 20]);
    assert_eq!(fs::read_link(test.path(&format!("{copy}/link"))).unwrap().to_str(), Some("in/same"));
}

#[test]
fn a_folder_goes_in_across_and_out_as_it_is() {
    let test = scene();
    test.run("cp src a:/").success();
    test.run("cp a:/src b:/renamed").success();
    test.run("cp b:/renamed .").success();
    assert_same(&test, "renamed");
    // Into a folder that is there under its own name, and what is in it with a dot.
    test.run("cp b:renamed a:src").success();
    test.run("fs ls -i a /src/renamed/in").stdout("large\nsame\n").success();
    fs::create_dir(test.path("flat")).unwrap();
    test.run("cp a:/src/renamed/. flat").success();
    assert_same(&test, "flat");
    let answer = test.run("cp a:/src out --json").success().json();
    assert!(answer["bytes"].as_u64().unwrap() > 3 << 20 && answer["target"].as_str().unwrap().ends_with("/out"));
    let schema = test.run("schema cp").success().json();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&answer), "{answer}");
}

#[test]
fn one_file_gets_the_name_that_is_meant() {
    let test = scene();
    test.run("cp src/run.sh a:/").success();
    test.run("cp src/run.sh a:/other").success();
    test.run("cp a:/run.sh copy.sh").success();
    let copy = fs::metadata(test.path("copy.sh")).unwrap();
    assert_eq!(
        (copy.permissions().mode() & 0o7777, copy.mtime()),
        (0o750, fs::metadata(test.path("src/run.sh")).unwrap().mtime())
    );
    test.run("cp a:other src/in").success();
    assert!(test.path("src/in/other").is_file());
    test.run("cp a:/run.sh b:/there").success();
    test.run("fs cat -i b /there").stdout("#!/bin/sh\n").success();
    test.run("cp src/link a:/").success();
    assert_eq!(test.run("fs stat -i a /link --json").success().json()["target"], "in/same");
    test.run("cp a:/nothing .").stderr("nixbox::file::missing").code(3);
    test.run("cp nothing a:/").stderr("nixbox::import::missing").code(3);
    test.run("cp src elsewhere").stderr("neither of the two is NAME:PATH").code(2);
    test.run("cp none:/x .").stderr("nixbox::instance::unknown").code(3);
    test.run("cp a:/run.sh no/such/folder").stderr("nixbox::file::kind").code(2);
    test.run("cp src a:/run.sh").stderr("nixbox::file::kind").code(2);
    test.run("cp src/run.sh a:/no/such").stderr("nixbox::file::missing").code(3);
}

#[test]
fn nothing_is_replaced_unasked() {
    let test = scene();
    test.run("cp src a:/").success();
    test.run("cp a:/src copy").success();
    fs::write(test.path("copy/run.sh"), "mine\n").unwrap();
    fs::write(test.path("copy/own"), "own\n").unwrap();
    // Neither here, with all of it as it was,
    test.run("cp a:/src/. copy").stderr("nixbox::copy::exists").code(5);
    test.run("cp a:/src/run.sh copy").stderr("nixbox::copy::exists").code(5);
    assert_eq!(fs::read_to_string(test.path("copy/run.sh")).unwrap(), "mine\n");
    // nor there.
    test.run("cp copy/. a:/src").stderr("nixbox::copy::exists").code(5);
    test.run("cp copy/run.sh a:/src").stderr("nixbox::copy::exists").code(5);
    test.run("fs cat -i a /src/run.sh").stdout("#!/bin/sh\n").success();
    // With --force folders become one, and what only one of them has stays.
    test.run("fs write -i a /src/theirs").stdin("theirs\n").success();
    test.run("cp --force copy/. a:/src").success();
    test.run("fs cat -i a /src/run.sh").stdout("mine\n").success();
    test.run("fs ls -i a /src").stdout("in\nlink\nown\nrun.sh\ntheirs\n").success();
    test.run("fs ls -i a /src/in").stdout("large\nsame\n").success();
    test.run("fsck a").success();
    fs::write(test.path("copy/run.sh"), "again\n").unwrap();
    fs::write(test.path("copy/in/mine"), "stays\n").unwrap();
    test.run("cp -f a:/src/. copy").success();
    assert_eq!(fs::read_to_string(test.path("copy/run.sh")).unwrap(), "mine\n");
    assert!(test.path("copy/in/mine").is_file() && test.path("copy/theirs").is_file());
    // A file is no folder's place, forced or not.
    fs::remove_dir_all(test.path("copy/in")).unwrap();
    fs::write(test.path("copy/in"), "file").unwrap();
    test.run("cp -f a:/src/. copy").stderr("gives way to no file").code(5);
    test.run("cp -f copy/. a:/src").code(2);
    let left = fs::read_dir(test.root())
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains("part"));
    assert_eq!(left.count(), 0);
}

#[test]
fn an_archive_may_be_either_end() {
    let test = scene();
    test.run("cp src a:/").success();
    let tar = {
        let mut command = test.command(crate::support::helper());
        command.args(["cp", "a:/src", "-"]);
        command.output().unwrap().stdout
    };
    test.run("cp - b:/unpacked").stdin(tar.clone()).success();
    test.run("cp b:/unpacked out").success();
    assert_same(&test, "out");
    test.run("cp - b:/half").stdin(&tar[..tar.len() / 2]).stderr("nixbox::archive::broken").code(2);
    test.run("fs ls -i b").stdout("unpacked\n").success();
    test.run("cp a:/src - --json").code(2);
    test.run("cp - -").code(2);
}

#[test]
fn the_folder_below_is_written_to_only_by_force() {
    let test = Test::new().config("[instances.a]\nbase = \"base\"\nmount.backend = \"none\"\n");
    fs::create_dir(test.path("base")).unwrap();
    crate::support::owner();
    test.run("init a").success();
    test.run("fs write /new").stdin("work\n").success();
    for target in ["base", "base/other", "base/new"] {
        test.args(["cp", ":/new", target]).stderr("nixbox::copy::into-base").code(7);
    }
    assert_eq!(fs::read_dir(test.path("base")).unwrap().count(), 0);
    test.run("cp :/new base --force").success();
    test.run("cp :/new beside").success();
    assert_eq!(fs::read_to_string(test.path("base/new")).unwrap(), "work\n");
}
