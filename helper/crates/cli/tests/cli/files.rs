//! Files by path: beside a mount, beside an owner without one, and with no owner at all.

use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Test, fuse, helper, until};

const MOUNTED: &str = "[instances.a]\nmount.path = \"mnt\"\n";

/// Each verb in a row, whoever answers it.
fn every_verb(test: &Test) {
    test.run("fs mkdir -p /src/deep src/empty").success();
    test.run("fs mkdir /src").stderr("nixbox::file::exists").code(5);
    test.run("fs write /src/a.txt").stdin("one\n").stdout("").success();
    test.run("fs write -a src/a.txt").stdin("two\n").success();
    test.run("fs cat /src/../src/./a.txt").stdout("one\ntwo\n").success();
    test.run("fs write /src/b.bin").stdin([0, 0xff, b'\n', 0]).success();
    test.run("fs cp /src/a.txt /src/deep").success();
    test.run("fs cp /src /copy").stderr("nixbox::file::kind").code(2);
    test.run("fs cp -r /src /copy").success();
    test.run("fs mv /copy/b.bin /copy/c.bin").success();
    test.run("fs ls -R /").stdout("copy\ncopy/a.txt\ncopy/c.bin\ncopy/deep\ncopy/deep/a.txt\ncopy/empty\nsrc\nsrc/a.txt\nsrc/b.bin\nsrc/deep\nsrc/deep/a.txt\nsrc/empty\n").success();
    test.run("fs ls src").stdout("a.txt\nb.bin\ndeep\nempty\n").success();
    test.run("fs ls src/a.txt").stdout("src/a.txt\n").success();
    test.run("fs tree /copy").stdout("/copy\n├── a.txt\n├── c.bin\n├── deep/\n│   └── a.txt\n└── empty/\n").success();
    test.args(["fs", "find", "*.txt", "/copy"]).stdout("/copy/a.txt\n/copy/deep/a.txt\n").success();
    test.args(["fs", "find", "src/*.{txt,bin}", "--min-size", "5"]).stdout("/src/a.txt\n").success();
    test.args(["fs", "find", "*", "/copy", "--type", "folder"]).stdout("/copy/deep\n/copy/empty\n").success();
    test.args(["fs", "find", "*", "--newer", "2100-01-01T00:00:00Z"]).stdout("").success();
    test.args(["fs", "find", "a["]).stderr("nixbox::file::pattern").code(2);
    let stat = test.run("fs stat /src/b.bin --json").success().json();
    assert_eq!((&stat["size"], &stat["kind"], &stat["mode"]), (&4.into(), &"file".into(), &"0644".into()));
    test.run("fs rm /copy").stderr("nixbox::file::kind").stderr("-r").code(2);
    test.run("fs rm -r /copy /src/deep").success();
    test.run("fs rm /copy").stderr("nixbox::file::missing").code(3);
    test.run("fs cat /src").stdout("").stderr("nixbox::file::kind").code(2);
    test.run("fs cat /none").stderr("nixbox::file::missing").code(3);
    test.run("fs write /none/f").stdin("x").stderr("nixbox::file::missing").code(3);
    test.run("fs write /").stdin("x").stderr("nixbox::file::kind").code(2);
    test.run("fs ls ../../etc").stderr("nixbox::file::missing").code(3);
    test.run("fs mv /none /src").stderr("/none is not in the instance").code(3);
    test.run("fs rm -r /").stderr("nixbox::file::kind").code(2);
    test.args(["fs", "write", &format!("/{}", "n".repeat(256))]).stderr("nixbox::file::name").code(2);
    let bytes = test.command(helper()).args(["fs", "cat", "/src/b.bin"]).output().unwrap().stdout;
    assert_eq!(bytes, [0, 0xff, b'\n', 0]);
    test.run("fs rm -r src").success();
    test.run("fs ls").stdout("").success();
    let recorded = test.run("timeline --json --path /copy --limit 1000").success().json();
    let names: Vec<_> =
        recorded["calls"].as_array().unwrap().iter().map(|call| call["name"].as_str().unwrap()).collect();
    for name in ["fs.cp", "fs.mv", "fs.rm", "fs.find", "fs.ls"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    // Those were of other paths.
    assert!(!names.contains(&"fs.mkdir") && !names.contains(&"fs.write"), "{names:?}");
    let failed = test.run("timeline --json --tool fs.rm --status error --limit 1").success().json();
    assert!(failed["calls"][0]["duration_ms"].is_number(), "{failed}");
}

#[test]
fn every_verb_does_its_work_whoever_answers() {
    let test = Test::bare(&["a"]);
    test.run("fs ls").stderr("nixbox::database::missing").code(3);
    test.run("init").success();
    every_verb(&test);
    test.run("up -d").success();
    every_verb(&test);
}

#[test]
fn every_verb_works_beside_a_mount_and_is_seen_in_it() {
    if !fuse() {
        return;
    }
    let test = Test::new().config(MOUNTED);
    test.run("up -d").success();
    every_verb(&test);
    let mnt = test.path("mnt");
    assert_eq!(std::fs::read_dir(&mnt).unwrap().count(), 0);
    // What the kernel has learnt is not true any more.
    assert!(!mnt.join("new").exists());
    test.run("fs write new").stdin("from the verb\n").success();
    assert_eq!(std::fs::read(mnt.join("new")).unwrap(), b"from the verb\n");
    std::fs::write(mnt.join("f"), "through the mount").unwrap();
    std::fs::set_permissions(mnt.join("f"), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(std::fs::read(mnt.join("f")).unwrap(), b"through the mount");
    let mut open = std::fs::File::open(mnt.join("f")).unwrap();
    test.run("fs write f").stdin("by the verb, and longer").success();
    assert_eq!(std::fs::read(mnt.join("f")).unwrap(), b"by the verb, and longer");
    assert_eq!(mnt.join("f").metadata().unwrap().permissions().mode() & 0o777, 0o640);
    // Whoever has it open keeps what was replaced, as with every replacement by rename.
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through the mount");
    // What is appended is seen by those who have it open.
    let mut open = std::fs::File::open(mnt.join("f")).unwrap();
    open.read_to_string(&mut String::new()).unwrap();
    test.run("fs write -a f").stdin(" still").success();
    open.rewind().unwrap();
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "by the verb, and longer still");
    assert_eq!(mnt.join("f").metadata().unwrap().len(), 29);
    test.run("fs mv f d").success();
    assert!(!mnt.join("f").exists() && mnt.join("d").exists());
    test.run("fs rm d new").success();
    assert_eq!(std::fs::read_dir(&mnt).unwrap().count(), 0);
    std::fs::create_dir(mnt.join("d")).unwrap();
    std::fs::write(mnt.join("d/x"), "x").unwrap();
    test.run("fs rm -r d").success();
    assert!(std::fs::symlink_metadata(mnt.join("d")).is_err());
    test.run("fs mkdir d").success();
    assert_eq!(std::fs::read_dir(mnt.join("d")).unwrap().count(), 0);
}

/// Appending changes a page that the kernel has already, and holds for a mapping.
#[test]
fn a_mapped_file_shows_what_a_verb_has_changed() {
    if !fuse() {
        return;
    }
    let test = Test::new().config(MOUNTED);
    test.run("up -d").success();
    std::fs::write(test.path("mnt/f"), "abc").unwrap();
    let script = "import mmap, sys\n\
        f = open(sys.argv[1], 'r+b')\n\
        m = mmap.mmap(f.fileno(), 3, access=mmap.ACCESS_READ)\n\
        print(m[:].decode(), flush=True)\n\
        sys.stdin.readline()\n\
        m2 = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)\n\
        print(m2[:].decode(), flush=True)\n";
    let Ok(mut child) = test
        .command("python3")
        .args(["-c", script])
        .arg(test.path("mnt/f"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    else {
        println!("skipped: python3 is not here");
        return;
    };
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "abc\n");
    test.run("fs write -a f").stdin("def").success();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    line.clear();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "abcdef\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_pipe_that_breaks_leaves_the_file_as_it_was() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("fs write f").stdin("before").success();
    for round in ["alone", "served"] {
        if round == "served" {
            test.run("up -d").success();
        }
        let mut command = test.command(helper());
        command.args(["fs", "write", "f"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&vec![b'x'; 1 << 20]).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        drop(input);
        until("what had come is gone", || test.run("fs ls").success().stdout == "f\n");
        test.run("fs cat f").stdout("before").success();
    }
    let broken = test.run("timeline --tool fs.write --status error --json").success().json();
    assert_eq!(broken["calls"].as_array().unwrap().len(), 2, "{broken}");
}

#[test]
fn an_owner_that_stops_does_not_wait_for_a_slow_writer() {
    let test = Test::bare(&["a"]);
    test.run("up -d").success();
    let mut command = test.command(helper());
    command.args(["fs", "write", "f"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&vec![b'x'; 1 << 20]).unwrap();
    let log = test.path(".agentfs/a.db-wal");
    until("it has begun", || log.metadata().is_ok_and(|log| log.len() > 512 << 10));
    // Nobody sees half a file.
    test.run("fs ls").stdout("").success();
    // While it says nothing, others are served.
    test.run("fs write other").stdin("x").success();
    test.run("down").success();
    let _ = input.write_all(&vec![b'x'; 1 << 20]);
    drop(input);
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("nixbox::owner::stopping"), "{said}");
    test.run("fs ls").stdout("other\n").success();
}

/// The most that a process held in memory, in KiB.
fn peak(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_large_file_goes_through_little_memory() {
    const SIZE: usize = 300 << 20;
    let test = Test::bare(&["a"]);
    test.run("up -d").success();
    let owner = test.pid("a");
    let mut write = test.command(helper());
    let mut write = write.args(["fs", "write", "/big"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = write.stdin.take().unwrap();
    let piece = vec![0; 1 << 20];
    for _ in 0..SIZE >> 20 {
        input.write_all(&piece).unwrap();
    }
    let helper_peak = peak(write.id() as i32);
    drop(input);
    assert!(write.wait().unwrap().success());
    let mut cat = test.command(helper());
    let mut cat = cat.args(["fs", "cat", "/big"]).stdout(Stdio::piped()).spawn().unwrap();
    let (mut output, mut buffer, mut length) = (cat.stdout.take().unwrap(), vec![0; 1 << 20], 0);
    loop {
        let read = output.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        assert!(buffer[..read].iter().all(|byte| *byte == 0));
        length += read;
    }
    assert!(cat.wait().unwrap().success());
    assert_eq!(length, SIZE);
    let (owner_peak, most) = (peak(owner), 64 << 10);
    assert!(helper_peak < most && owner_peak < most, "helper {helper_peak} KiB, owner {owner_peak} KiB");
    let call: Value = test.run("timeline --json --tool fs.cat --limit 1").success().json()["calls"][0].clone();
    assert_eq!(call["result"]["bytes"], SIZE);
}

#[test]
fn what_is_read_by_halves_ends_in_order() {
    let test = Test::bare(&["a"]);
    test.run("init").success();
    let content: String = (0..400_000).map(|n| format!("{n}\n")).collect();
    test.run("fs write numbers").stdin(content).success();
    let done = test
        .command("bash")
        .args(["-o", "pipefail", "-c", "\"$0\" fs cat numbers | head -n 2"])
        .arg(helper())
        .output()
        .unwrap();
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stdout).as_ref()), (Some(0), "0\n1\n"));
}

#[test]
fn a_read_only_instance_is_read_and_not_written() {
    if !fuse() {
        return;
    }
    let test = Test::bare(&["a"]);
    test.run("init").success();
    test.run("fs write f").stdin("kept").success();
    let test = test.config("[instances.a]\nmount.path = \"mnt\"\nmount.read_only = true\n");
    for served in [false, true] {
        if served {
            test.run("up -d").success();
        }
        test.run("fs cat f").stdout("kept").success();
        test.run("fs write f").stdin("x").stderr("nixbox::file::read-only").code(7);
        test.run("fs rm f").stderr("nixbox::file::read-only").code(7);
        test.run("kv set k 1").stderr("nixbox::file::read-only").code(7);
    }
}

#[test]
fn names_of_bytes_are_refused_by_name() {
    use std::os::unix::ffi::OsStrExt;
    let test = Test::bare(&["a"]);
    test.run("init").success();
    let mut command = test.command(helper());
    command.args(["fs", "mkdir"]).arg(std::ffi::OsStr::from_bytes(b"/a\xff"));
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("not UTF-8"));
    test.args(["fs", "mkdir", "/new\nline"]).success();
    test.args(["fs", "ls"]).stdout("new\nline\n").success();
    assert!(test.run("fs ls -l").success().stdout.contains("new?line/"));
}
