//! Instances taken out and trees brought in, with and without an owner that serves them.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Test, fuse, helper, until};

fn tool(program: &str, args: &[&str], at: &Path) -> String {
    let done = Command::new(program).args(args).current_dir(at).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Something of every kind that survives everywhere.
fn sample(test: &Test) -> PathBuf {
    let at = test.path("sample");
    std::fs::create_dir_all(at.join("dir/empty")).unwrap();
    std::fs::write(at.join("dir/data"), vec![5; 300_000]).unwrap();
    std::fs::write(at.join("run"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(at.join("run"), PermissionsExt::from_mode(0o4751)).unwrap();
    std::fs::hard_link(at.join("run"), at.join("dir/again")).unwrap();
    symlink("../run", at.join("dir/link")).unwrap();
    nix::unistd::mkfifo(&at.join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o620)).unwrap();
    for (name, sec, nsec) in
        [("run", 1_600_000_000, 123_456_789), ("dir/empty", 1_500_000_000, 1), ("dir", 1_400_000_000, 999_999_999)]
    {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(sec, nsec);
        std::fs::File::open(at.join(name)).unwrap().set_modified(time).unwrap();
    }
    at
}

/// All that a program can see, but for inode numbers.
fn shape(folder: &Path) -> Vec<String> {
    let mut shape = Vec::new();
    let mut next: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
    while let Some(path) = next.pop() {
        let real = folder.join(&path);
        let meta = real.symlink_metadata().unwrap();
        let kind = meta.file_type();
        let mut line = format!(
            "{} {:o} {}:{} {}.{}",
            path.display(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        if kind.is_dir() {
            next.extend(real.read_dir().unwrap().map(|entry| path.join(entry.unwrap().file_name())));
        } else {
            line += &format!(" {}", meta.nlink());
        }
        if kind.is_symlink() {
            line += &format!(" -> {}", std::fs::read_link(&real).unwrap().display());
        } else if kind.is_file() {
            line += &format!(
                " {:?}",
                std::fs::read(&real)
                    .unwrap()
                    .iter()
                    .fold((0u64, 0u64), |(n, sum), byte| (n + 1, sum.wrapping_mul(31) + u64::from(*byte)))
            );
        }
        shape.push(line);
    }
    shape.sort();
    shape
}

/// Every way in and out, whoever answers.
fn there_and_back(test: &Test, round: &str) {
    let sample = sample(test);
    let expected = shape(&sample);
    let at = |name: &str| test.path(&format!("{round}-{name}"));
    let word = |path: &Path| path.display().to_string();

    test.args(["import", "a", "sample", "--into", "/folder"]).success();
    tool("tar", &["-cf", &word(&at("in.tar")), "--format=pax", "."], &sample);
    test.args(["import", "a", &word(&at("in.tar")), "--into", "/tar"]).success();
    tool("tar", &["-czf", &word(&at("in.tar.gz")), "--format=pax", "."], &sample);
    test.args(["import", "a", &word(&at("in.tar.gz")), "--into", "/gz"]).success();
    let stream = std::fs::read(at("in.tar")).unwrap();
    test.args(["import", "a", "-", "--into", "/stdin"]).stdin(stream).success();

    for from in ["/folder", "/tar", "/gz", "/stdin"] {
        let out = at(&from[1..]);
        test.args(["export", "a", "--from", from, "--dir", &word(&out)]).success();
        assert_eq!(shape(&out), expected, "{from} as a folder");
    }
    std::fs::create_dir(at("real")).unwrap();
    test.args(["export", "a", "--from", "/tar", "--tar", &word(&at("out.tar"))]).success();
    tool("tar", &["-xpf", &word(&at("out.tar"))], &at("real"));
    assert_eq!(shape(&at("real")), expected, "unpacked by tar");
    let mut piped = test.command(helper());
    let mut piped = piped.args(["export", "a", "--from", "/tar", "--tar", "-"]).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = piped.stdout.take().unwrap();
    std::fs::create_dir(at("piped")).unwrap();
    let unpacked = Command::new("tar").args(["-xpf", "-"]).current_dir(at("piped")).stdin(stdout).status().unwrap();
    assert!(unpacked.success() && piped.wait().unwrap().success());
    assert_eq!(shape(&at("piped")), expected, "through a pipe");

    test.args(["export", "a", "--db", &word(&at("out.db"))]).success();
    test.args(["fsck", &word(&at("out.db"))]).success();
    assert!(!Path::new(&format!("{}-wal", at("out.db").display())).exists());
    test.args(["import", "a", &word(&at("out.db")), "--into", "/db"]).success();
    test.args(["export", "a", "--from", "/db/gz", "--dir", &word(&at("db"))]).success();
    assert_eq!(shape(&at("db")), expected, "by way of a database");
    test.run("fs rm -r /folder /tar /gz /stdin /db").success();
    std::fs::remove_dir_all(&sample).unwrap();
}

#[test]
fn what_goes_in_comes_out_whoever_answers() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    there_and_back(&test, "alone");
    test.run("up -d").success();
    there_and_back(&test, "served");
    test.run("down").success();
    test.run("fsck").stdout("a: nothing wrong\n").success();
    let left: Vec<_> = test.path(".agentfs/a.d").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn beside_a_mount_it_is_seen_at_once_and_told_as_it_is() {
    if !fuse() {
        return;
    }
    let test = Test::new().config("[instances.a]\nmount.path = \"mnt\"\n");
    test.run("up -d").success();
    let sample = sample(&test);
    assert!(!test.path("mnt/new").exists());
    test.args(["import", "a", "sample", "--into", "/new"]).success();
    // Through the mount, as rsync sees it: nothing to do.
    let differs = tool("rsync", &["-aHn", "--delete", "--itemize-changes", "sample/", "mnt/new/"], &test.root());
    assert_eq!(differs, "");
    let expected = shape(&sample);
    assert_eq!(shape(&test.path("mnt/new")), expected);
    std::fs::write(test.path("mnt/late"), "written by a program").unwrap();
    test.args(["export", "a", "--dir", "out"]).success();
    assert_eq!(std::fs::read(test.path("out/late")).unwrap(), b"written by a program");
    tool("cp", &["-a", "mnt/new", "copied"], &test.root());
    assert_eq!(shape(&test.path("copied")), shape(&test.path("out/new")));
}

#[test]
fn over_a_base_all_that_is_seen_comes_out_or_what_differs() {
    let test = Test::new()
        .config("[instances.a]\nbase = \"b\"\nmount.backend = \"none\"\n[instances.plain]\nmount.backend = \"none\"\n");
    std::fs::create_dir_all(test.path("b/sub")).unwrap();
    std::fs::write(test.path("b/sub/base"), "base").unwrap();
    std::fs::write(test.path("b/gone"), "gone").unwrap();
    test.run("init a").success();
    test.run("fs rm gone -i a").success();
    test.run("fs write sub/mine -i a").stdin("mine").success();
    test.run("kv set k 1 -i a").success();
    test.run("export a --dir out").success();
    assert_eq!(std::fs::read(test.path("out/sub/base")).unwrap(), b"base");
    assert_eq!(std::fs::read(test.path("out/sub/mine")).unwrap(), b"mine");
    assert!(!test.path("out/gone").exists());

    test.run("export a --db delta.db").success();
    // It holds only what differs, which is no tree of its own.
    test.run("import plain delta.db").stderr("nixbox::database::overlay").code(7);
    assert!(!test.path(".agentfs/plain.db").exists());
    test.run("export a --db --flatten flat.db").success();
    test.run("fsck flat.db").success();
    let made = test.run("import plain flat.db --json").success().json();
    assert_eq!(made["adopted"], true);
    test.run("fs cat sub/base -i plain").stdout("base").success();
    test.run("kv get k -i plain").stdout("1\n").success();
    test.run("fs ls -i plain").stdout("sub\n").success();
}

#[test]
fn nothing_is_replaced_unasked() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("fs write f").stdin("mine").success();
    for target in ["t.tar", "t.db"] {
        std::fs::write(test.path(target), "mine").unwrap();
        let form = if target.ends_with("db") { "--db" } else { "--tar" };
        test.args(["export", form, target]).stderr("nixbox::export::exists").code(5);
        assert_eq!(std::fs::read(test.path(target)).unwrap(), b"mine");
        test.args(["export", form, target, "--force"]).success();
        assert!(std::fs::read(test.path(target)).unwrap().len() > 512);
    }
    std::fs::create_dir_all(test.path("full/mine")).unwrap();
    std::fs::create_dir(test.path("empty")).unwrap();
    test.run("export --dir full").stderr("nixbox::export::exists").code(5);
    assert!(test.path("full/mine").exists());
    test.run("export --dir empty").success();
    test.run("export --dir full --force").success();
    for folder in ["full", "empty"] {
        let names: Vec<_> = test.path(folder).read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["f"], "{folder}");
    }
    test.run("import a t.tar").stderr("nixbox::file::exists").stderr("/f is there already").code(5);
    test.run("import a t.db").stderr("nixbox::file::exists").code(5);
    test.run("fs write f").stdin("still mine").success();
    test.run("fs ls").stdout("f\n").success();
    let parts: Vec<_> = test
        .root()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains(".part"))
        .collect();
    assert!(parts.is_empty(), "{parts:?}");
}

#[test]
fn words_that_make_no_sense_are_usage_and_what_is_not_there_is_missing() {
    let test = Test::bare(&["a"]);
    test.run("import a none").stderr("nixbox::import::missing").code(3);
    std::fs::create_dir(test.path("src")).unwrap();
    test.run("import a src").stderr("nixbox::database::missing").stderr("init").code(3);
    test.run("init").success();
    test.run("export out").code(2);
    test.run("export --tar --db out").code(2);
    test.run("export --tar out --flatten").code(2);
    test.run("export --dir -").stderr("nixbox::usage").code(2);
    test.run("export --tar - --json").stderr("nixbox::usage").code(2);
    test.run("export --tar out --from /none").stderr("nixbox::file::missing").code(3);
    test.run("fs write f").stdin("x").success();
    test.run("export --tar out --from /f").stderr("nixbox::file::kind").code(2);
    test.run("import a src --into /f").stderr("nixbox::file::kind").code(2);
    test.run("import a src --into /none/deep").stderr("nixbox::file::missing").code(3);
    assert!(!test.path("out").exists());
}

/// Archives made by Python, which makes what tar itself would not.
fn hostile(test: &Test, name: &str, make: &str) -> String {
    let program = format!(
        "import io, sys, tarfile\nt = tarfile.open(sys.argv[1], 'w')\n\
         def add(name, type=tarfile.REGTYPE, link='', data=b'x'):\n    i = tarfile.TarInfo(name); i.type = type; i.linkname = link; i.size = len(data) if type == tarfile.REGTYPE else 0\n    t.addfile(i, io.BytesIO(data))\n\
         {make}\nt.close()"
    );
    let path = test.path(name);
    let done = Command::new("python3").args(["-c", &program]).arg(&path).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    path.display().to_string()
}

#[test]
fn a_hostile_archive_leaves_nothing() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("fs write mine").stdin("mine").success();
    let hostile_ones = [
        ("absolute", "add('ok'); add('/etc/passwd')"),
        ("up", "add('ok'); add('a/../../up')"),
        ("through a link", "add('ok'); add('way', tarfile.SYMTYPE, '/'); add('way/f')"),
        ("through a file", "add('ok'); add('ok/f')"),
        ("twice", "add('ok'); add('ok')"),
        ("a link to outside", "add('ok'); add('l', tarfile.LNKTYPE, '../mine')"),
        ("a link to what is not in it", "add('ok'); add('l', tarfile.LNKTYPE, 'mine')"),
        ("a device", "add('ok'); add('null', tarfile.CHRTYPE)"),
        ("of another kind", "add('ok'); add('x', b'Z')"),
    ];
    for (what, make) in hostile_ones {
        let archive = hostile(&test, "hostile.tar", make);
        test.args(["import", "a", &archive]).stderr("nixbox::archive::refused").stderr("help:").code(7);
        assert_eq!(test.run("fs ls").success().stdout, "mine\n", "{what}");
    }
    let archive = hostile(&test, "whole.tar", "add('ok', data=b'y' * 100000); add('also')");
    let whole = std::fs::read(&archive).unwrap();
    for length in [0, 300, 1024, 50_000, 100_000, 100_864, 101_376] {
        test.args(["import", "a", "-"]).stdin(&whole[..length]).stderr("nixbox::archive::broken").code(2);
        assert_eq!(test.run("fs ls").success().stdout, "mine\n", "cut at {length}");
    }
    test.args(["import", "a", "-"]).stdin("this is no archive".repeat(100)).stderr("nixbox::archive::broken").code(2);
    let names = hostile(&test, "names.tar", "add('n' * 256)");
    test.args(["import", "a", &names]).stderr("nixbox::file::name").code(2);
    let zipped = test.path("cut.tar.gz");
    tool("tar", &["-czf", "cut.tar.gz", "whole.tar"], &test.root());
    let bytes = std::fs::read(&zipped).unwrap();
    std::fs::write(&zipped, &bytes[..bytes.len() / 2]).unwrap();
    test.args(["import", "a", "cut.tar.gz"]).stderr("help:").try_codes(&[1, 2]);
    assert_eq!(test.run("fs ls").success().stdout, "mine\n");
    test.args(["import", "a", "whole.tar"]).success();
    test.run("fs ls").stdout("also\nmine\nok\n").success();
}

#[test]
fn an_import_that_is_broken_off_leaves_nothing() {
    let test = Test::bare(&["a"]);
    test.run("up -d").success();
    let archive = hostile(&test, "large.tar", "[add(str(n), data=b'y' * 1000000) for n in range(30)]");
    let bytes = std::fs::read(archive).unwrap();
    let mut child = test
        .command(helper())
        .args(["import", "a", "-", "--into", "/new"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &bytes[..20_000_000]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stdin);
    until("what there was is taken away", || test.run("fs ls").success().stdout.is_empty());
    test.run("down").success();
    test.run("fsck").stdout("a: nothing wrong\n").success();
}

#[test]
fn an_export_that_is_interrupted_leaves_no_half_target() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    let archive = hostile(&test, "large.tar", "[add('d/' + str(n), data=b'y' * 1000000) for n in range(40)]");
    test.args(["import", "a", &archive]).success();
    std::fs::remove_file(archive).unwrap();
    let parts = || -> Vec<String> {
        let names =
            test.root().read_dir().unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains(".part") || name.starts_with("out")).collect()
    };
    for form in ["--tar", "--dir", "--db"] {
        let mut interrupted = false;
        // However fast the machine is, one of these comes in the middle.
        for wait in 0..200 {
            let mut child =
                test.command(helper()).args(["export", "a", form, "out"]).stderr(Stdio::null()).spawn().unwrap();
            let pid = nix::unistd::Pid::from_raw(child.id() as i32);
            while parts().is_empty() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            std::thread::sleep(std::time::Duration::from_millis(wait % 10));
            let there = !parts().is_empty();
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
            let ended = child.wait().unwrap();
            let is_done = test.path("out").exists();
            if there && !ended.success() {
                interrupted = true;
                assert_eq!((parts(), is_done), (vec![], false), "{form}");
                break;
            }
            for name in parts() {
                let path = test.path(&name);
                let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            }
        }
        assert!(interrupted, "{form}: it was never in the middle");
    }
}

#[test]
fn a_bomb_goes_off_against_the_limits() {
    let test =
        Test::new().config("[instances.a]\nmount.backend = \"none\"\nlimits = { size = \"1MiB\", files = 50 }\n");
    test.run("init").success();
    let large = hostile(&test, "large.tar", "add('ok'); add('zeroes', data=bytes(100000000))");
    tool("gzip", &["large.tar"], &test.root());
    let many = hostile(&test, "many.tar", "[add('d/' + str(n)) for n in range(100)]");
    assert!(test.path("large.tar.gz").metadata().unwrap().len() < 200_000, "{large}");
    for archive in ["large.tar.gz", &many] {
        test.args(["import", "a", archive]).stderr("nixbox::file::limit").stderr("help:").code(8);
        test.run("fs ls").stdout("").success();
    }
    test.run("fsck").stdout("a: nothing wrong\n").success();
    // The room that they took is there again.
    test.run("fs write f").stdin(vec![1; 1_000_000]).success();
}

#[test]
fn each_is_put_on_record() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    std::fs::create_dir(test.path("src")).unwrap();
    test.run("import a src --into /x").success();
    test.run("export a --tar t.tar").success();
    test.run("import a t.tar").code(5);
    let calls = test.run("timeline --json").success().json();
    let calls: Vec<_> = calls["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["name"].as_str().unwrap(), call["status"].as_str().unwrap()))
        .collect();
    assert_eq!(calls, [("import", "error"), ("export", "success"), ("import", "success")]);
}
