//! Each way to get a file wrong, with the code, the line and the key that it is reported with.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use nixbox_config::{HookEvent, KeySource, McpTool};
use support::Scene;

fn fails(text: &str, expected: &[(&str, usize, &str)]) {
    Scene::new(&format!("version = 1\n{text}")).fails(expected);
}

fn help(text: &str) -> String {
    Scene::new(&format!("version = 1\n{text}")).failures().remove(0).help.unwrap()
}

#[test]
fn all_problems_come_at_once_and_in_the_order_of_the_file() {
    let text = "data_dir = 5\nlog_level = \"loud\"\nextra = 1\n[instances.a]\nenable = \"yes\"\nmount = { port = 1 }\n\
                [instances.B]\n[instances.a.http]\nport = 70000\n";
    fails(
        text,
        &[
            ("type", 2, "data_dir"),
            ("type", 3, "log_level"),
            ("unknown-key", 4, "extra"),
            ("type", 6, "instances.a.enable"),
            ("unknown-key", 7, "instances.a.mount.port"),
            ("instance-name", 8, "instances.B"),
            ("value", 10, "instances.a.http.port"),
        ],
    );
}

#[test]
fn every_syntax_error_has_its_line() {
    let text = "[instances.a]\ndescription = \"x\nenable = maybe\n[instances.a]\n";
    let table = "instances.a";
    fails(text, &[("syntax", 3, "instances.a.description"), ("syntax", 4, "instances.a.enable"), ("syntax", 5, table)]);
}

#[test]
fn text_that_is_not_utf8_says_where() {
    let scene = Scene::bare();
    scene.write("nixbox.toml", b"version = 1\n[instances.a]\ndescription = \"\xff\"\n");
    scene.fails(&[("syntax", 3, "instances.a.description")]);
}

#[test]
fn json_problems_have_line_and_key() {
    let scene = Scene::bare().with(|sources, _| sources.config = Some("nixbox.json".into()));
    scene.write("nixbox.json", "{\n\"version\": 1,\n\"instances\": {\n\"a\": {\n\"enable\": 1,\n\"bsae\": null } } }");
    scene.fails(&[("type", 5, "instances.a.enable"), ("unknown-key", 6, "instances.a.bsae")]);
    scene.write("nixbox.json", "{\n\"version\": 1,\n\"version\": 1,\n\"data_dir\": \"\\ud800\" }");
    scene.fails(&[("syntax", 3, "version"), ("syntax", 4, "data_dir")]);
    scene.write("nixbox.json", "{ \"version\": 1,\n oops }");
    scene.fails(&[("syntax", 2, "")]);
    scene.write("nixbox.json", "[]");
    scene.fails(&[("syntax", 1, "")]);
}

#[test]
fn the_version_is_asked_for_and_checked() {
    Scene::new("").fails(&[("version", 1, "version")]);
    Scene::new("[instances.a]\nx = 1\n").fails(&[("version", 1, "version"), ("unknown-key", 2, "instances.a.x")]);
    Scene::new("\nversion = \"1\"\n").fails(&[("version", 2, "version")]);
    // Of another version nothing else can be said.
    Scene::new("version = 2\nnew_key = 1\n").fails(&[("version", 1, "version")]);
}

#[test]
fn unknown_keys_are_answered_with_the_nearest_or_with_where_they_belong() {
    assert_eq!(help("log_levle = \"info\""), "did you mean `log_level`?");
    assert_eq!(help("[instances.a.mount]\nreadOnly = true"), "did you mean `read_only`?");
    assert_eq!(help("[instances.a]\nport = 1"), "`port` belongs into [instances.NAME.http]");
    assert_eq!(help("mount = {}"), "`mount` belongs into [instances.NAME]");
    assert_eq!(help("[instances.a]\nlog_level = \"info\""), "`log_level` belongs into the top of the file");
    assert_eq!(help("[instances.a.http]\nzzz = 1"), "leave it out; possible here are bind, port, expose, hosts");
    assert_eq!(
        help("log_level = \"warning\""),
        "did you mean \"warn\"? possible are \"error\", \"warn\", \"info\", \"debug\", \"trace\""
    );
    assert_eq!(
        help("log_level = \"Debug\""),
        "did you mean \"debug\"? possible are \"error\", \"warn\", \"info\", \"debug\", \"trace\""
    );
}

#[test]
fn every_type_is_asked_for() {
    let types = [
        "data_dir = 1",
        "instances = 1",
        "[instances]\na = []",
        "[instances.a]\nmount = true",
        "[instances.a]\nlabels = \"x\"",
        "[instances.a.env]\nA = 8080",
        "[instances.a.http]\nport = \"80\"",
        "[instances.a.mount]\nuid = 1.0",
        "[instances.a.mount]\ncreate = 1979-05-27",
    ];
    for text in types {
        let failures = Scene::new(&format!("version = 1\n{text}")).failures();
        assert_eq!(failures.len(), 1, "{text}: {failures:?}");
        assert_eq!(failures[0].code.id, "nixbox::config::type", "{text}");
    }
}

#[test]
fn numbers_have_their_range() {
    for (key, table, value) in [
        ("port", "http", "-1"),
        ("port", "http", "65536"),
        ("uid", "mount", "4294967295"),
        ("gid", "mount", "-1"),
        ("gid", "mount", "99999999999999999999999999999999999999999999"),
    ] {
        let text = format!("[instances.a.{table}]\n{key} = {value}\n");
        fails(&text, &[("value", 3, &format!("instances.a.{table}.{key}"))]);
    }
}

#[test]
fn instance_names_are_those_that_are_safe_everywhere() {
    let long = "a".repeat(64);
    for name in ["\"\"", "A", "-a", "_a", "\"a.b\"", "\"a b\"", "\"ä\"", "\"a/b\"", &long] {
        fails(&format!("[instances.{name}]\n"), &[("instance-name", 2, &format!("instances.{name}"))]);
    }
    for name in ["0", "a-b_c", &long[1..]] {
        Scene::new(&format!("version = 1\n[instances.{name}]\n")).project();
    }
}

#[test]
fn names_that_share_a_prefix_clash() {
    fails("[instances.a-b]\n[instances.a_b]\n", &[("name-clash", 3, "instances.a_b")]);
    Scene::new("version = 1\n[instances.a-b]\n[instances.a_b]\nenable = false\n").project();
}

#[test]
fn the_default_instance_must_be_there_and_enabled() {
    fails("default_instance = \"b\"\n[instances.a]\n", &[("default-instance", 2, "default_instance")]);
    fails("default_instance = \"a\"\n[instances.a]\nenable = false\n", &[("default-instance", 2, "default_instance")]);
}

#[test]
fn two_instances_cannot_have_one_mountpoint() {
    let text = "[instances.a.mount]\npath = \"m\"\n[instances.b.mount]\npath = \"./x/../m/\"\n";
    fails(text, &[("mount-clash", 5, "instances.b.mount.path")]);
    let scene =
        Scene::new("version = 1\n[instances.a.mount]\npath = \"m/x\"\n[instances.b.mount]\npath = \"link/x\"\n");
    fs::create_dir(scene.dir.join("m")).unwrap();
    std::os::unix::fs::symlink("m", scene.dir.join("link")).unwrap();
    scene.fails(&[("mount-clash", 5, "instances.b.mount.path")]);
}

#[test]
fn a_mountpoint_cannot_lie_in_another_mount() {
    let text = "[instances.a.mount]\npath = \"m\"\n[instances.b.mount]\npath = \"m/b\"\n[instances.c]\n[instances.d.mount]\npath = \"m-d\"\n";
    fails(text, &[("mount-nested", 5, "instances.b.mount.path")]);
    let sub = "[instances.a.mount]\npath = \".agentfs/mnt\"\n[instances.b]\n";
    fails(sub, &[("mount-nested", 4, "instances.b.mount.path")]);
}

#[test]
fn a_mountpoint_must_not_be_a_file() {
    let scene = Scene::new("version = 1\n[instances.a.mount]\npath = \"README\"\n");
    scene.write("README", "x");
    scene.fails(&[("mount-is-file", 3, "instances.a.mount.path")]);
}

#[test]
fn a_mount_may_cover_nothing_that_is_needed() {
    let scene = Scene::new("version = 1\n");
    let above = scene.dir.parent().unwrap().display().to_string();
    let here = scene.dir.display().to_string();
    for path in ["/", ".", &above, &here, ".agentfs", ".agentfs/a.d", ".agentfs/a.d/x", ".agentfs/a.db", "/run/nb"] {
        scene.write("nixbox.toml", format!("version = 1\n[instances.a]\nmount.path = \"{path}\"\n[instances.b]\n"));
        scene.fails(&[("mount-covers", 3, "instances.a.mount.path")]);
    }
    let scene = Scene::bare().with(|sources, dir| {
        sources.root = Some(dir.to_owned());
        sources.config = Some("conf/nixbox.toml".into());
    });
    scene.write("conf/nixbox.toml", "version = 1\n[instances.a.mount]\npath = \"conf\"\n");
    scene.fails(&[("mount-covers", 3, "instances.a.mount.path")]);
}

#[test]
fn one_address_and_port_is_for_one_instance() {
    let text =
        "[instances.a.http]\nport = 80\n[instances.b.http]\nport = 80\n[instances.c.http]\nport = 80\nbind = \"::1\"\n";
    fails(text, &[("port-clash", 5, "instances.b.http.port")]);
    Scene::new("version = 1\n[instances.a.http]\n[instances.b.http]\n").project();
}

#[test]
fn only_loopback_is_listened_on_unless_more_is_asked_for() {
    for bind in ["0.0.0.0", "::", "192.168.1.1"] {
        fails(&format!("[instances.a.http]\nbind = \"{bind}\"\n"), &[("exposed", 3, "instances.a.http.bind")]);
    }
    fails("[instances.a.http]\nbind = \"localhost\"\n", &[("value", 3, "instances.a.http.bind")]);
    fails("[instances.a.http]\nexpose = false\nbind = \"::\"\n", &[("exposed", 4, "instances.a.http.bind")]);
    let asked = Scene::new("version = 1\n[instances.a.http]\nbind = \"0.0.0.0\"\nexpose = true\n").project();
    assert!(asked.instances["a"].http.as_ref().is_some_and(|http| http.expose));
    Scene::new("version = 1\n[instances.a.http]\nbind = \"::1\"\n[instances.b.http]\nbind = \"127.0.0.2\"\n").project();
}

#[test]
fn nfs_is_for_this_machine_unless_it_is_said_twice() {
    let exposed = [("exposed", 3, "instances.a.nfs.bind")];
    for bind in ["0.0.0.0", "::", "192.168.1.1"] {
        fails(&format!("[instances.a.nfs]\nbind = \"{bind}\"\n"), &exposed);
        fails(&format!("[instances.a.nfs]\nbind = \"{bind}\"\nenable = false\n"), &exposed);
        let scene = Scene::new(&format!("version = 1\n[instances.a.nfs]\nbind = \"{bind}\"\nexpose = true\n"));
        assert!(scene.project().instances["a"].nfs.as_ref().unwrap().expose);
    }
    fails("[instances.a.nfs]\nbind = \"localhost\"\n", &[("value", 3, "instances.a.nfs.bind")]);
    let clash = "[instances.a]\nhttp.port = 80\nnfs.port = 80\n[instances.b]\nnfs.port = 80\n";
    fails(clash, &[("port-clash", 4, "instances.a.nfs.port"), ("port-clash", 6, "instances.b.nfs.port")]);
}

#[test]
fn what_holds_for_the_mount_holds_for_nfs_also_where_nothing_is_mounted() {
    let text = "version = 1\n[instances.a]\nmount = { backend = \"none\", read_only = true, uid = 7 }\nnfs = {}\n";
    let project = Scene::new(text).project();
    let instance = &project.instances["a"];
    let nfs = instance.nfs.as_ref().unwrap();
    assert_eq!((nfs.port, nfs.read_only, nfs.uid, nfs.gid), (0, true, Some(7), None));
    assert!(instance.mount.is_none() && instance.is_read_only());
    let off = Scene::new("version = 1\n[instances.a]\nnfs.enable = false\n").project();
    assert!(off.instances["a"].nfs.is_none());
}

#[test]
fn upstreams_program_is_not_asked_for_what_it_does_not_have() {
    let with = |lines: &str| format!("[instances.a]\nengine = \"agentfs\"\n{lines}\n");
    for (lines, key) in [
        ("mount.read_only = true", "mount.read_only"),
        ("mount.uid = 7", "mount.uid"),
        ("mount.gid = 7", "mount.gid"),
        ("mount.backend = \"nfs\"", "mount.backend"),
        ("nfs.port = 2049", "nfs"),
        ("limits.files = 7", "limits"),
        ("mode = \"ephemeral\"", "mode"),
    ] {
        fails(&with(lines), &[("engine", 4, &format!("instances.a.{key}"))]);
    }
    fails(&with("base = \"b\"\nexclude = [\"x\"]"), &[("engine", 5, "instances.a.exclude")]);
    fails(&with("mount.backend = \"none\""), &[("engine", 3, "instances.a.engine")]);
    fails(&with("mount.backend = \"none\"\nnfs = {}"), &[("engine", 5, "instances.a.nfs.port")]);
    fails(&with("base = \".\"\nmount.path = \"mnt\""), &[("engine", 5, "instances.a.mount.path")]);
    for good in ["", "mount.allow_other = true", "mount.backend = \"none\"\nnfs.port = 2049", "base = \"src\""] {
        Scene::new(&format!("version = 1\n{}", with(good))).project();
    }
    fails("[instances.a]\nengine = \"turso\"\n", &[("type", 3, "instances.a.engine")]);
}

#[test]
fn upstreams_program_is_where_it_is_said_to_be() {
    let scene = || Scene::new("version = 1\nagentfs_program = \"bin/agentfs\"\n");
    let here = scene();
    assert_eq!(here.project().agentfs_program, Some(here.dir.join("bin/agentfs")));
    let elsewhere = scene().variable("NIXBOX_AGENTFS", "/opt/agentfs");
    assert_eq!(elsewhere.project().agentfs_program, Some("/opt/agentfs".into()));
    // One of a Nix store may be used: nothing is written there.
    Scene::new("version = 1\nagentfs_program = \"/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-a/bin/agentfs\"\n")
        .project();
    assert_eq!(Scene::new("version = 1\n").project().agentfs_program, None);
}

#[test]
fn the_control_sockets_path_must_fit() {
    let socket = |bytes: usize| {
        let folder = format!("/{}", "x".repeat(bytes - "//a.sock".len()));
        Scene::new(&format!("version = 1\nruntime_dir = \"{folder}\"\n[instances.a]\n"))
    };
    assert_eq!(socket(107).project().instances["a"].paths.socket.as_os_str().len(), 107);
    socket(108).fails(&[("socket-path", 3, "instances.a")]);
}

#[test]
fn paths_that_cannot_be_meant_are_refused() {
    for path in ["", "~/x", "$HOME/x", "a\\u0000b", "/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-x/data"] {
        fails(&format!("data_dir = \"{path}\"\n"), &[("value", 2, "data_dir")]);
        fails(&format!("runtime_dir = \"{path}\"\n"), &[("value", 2, "runtime_dir")]);
        fails(&format!("[instances.a.mount]\npath = \"{path}\"\n"), &[("value", 3, "instances.a.mount.path")]);
    }
    // Also where something overrides the file.
    let scene = Scene::new("version = 1\ndata_dir = \"~/x\"\n").variable("AGENTFS_DATA_DIR", "/data");
    scene.fails(&[("value", 2, "data_dir")]);
}

#[test]
fn root_and_others_are_let_in_by_one_key() {
    let text = "[instances.a.mount]\nallow_root = true\nallow_other = true\n";
    fails(text, &[("value", 3, "instances.a.mount.allow_root")]);
}

#[test]
fn variables_have_names_that_a_shell_takes_and_nobody_else_sets() {
    for name in ["\"A-B\"", "1A", "AGENTFS_X", "NIXBOX_CONFIG", "AGENTFS", "DEVENV_ROOT", "\"\""] {
        fails(
            &format!("[instances.a.env]\n{name} = \"x\"\n"),
            &[("env-name", 3, &format!("instances.a.env.{}", plain(name)))],
        );
    }
    fails("[instances.a.env]\nA = \"x\\u0000\"\n", &[("value", 3, "instances.a.env.A")]);
}

/// As `join` writes it: quotes only where they are needed.
fn plain(name: &str) -> &str {
    match name {
        "\"A-B\"" => "A-B",
        name => name,
    }
}

#[test]
fn a_secret_is_refused_and_never_repeated() {
    let canary = "c4n4ry-5d1f";
    let text =
        format!("version = 1\n[instances.a.env]\nGITHUB_TOKEN = \"{canary}\"\nDB = \"postgres://u:{canary}@h/\"\n");
    let scene = Scene::new(&text);
    scene.fails(&[("secret", 3, "instances.a.env.GITHUB_TOKEN"), ("secret", 4, "instances.a.env.DB")]);
    let report = scene.load().unwrap_err();
    assert!(!nixbox_report::text(&report, false).contains(canary));
    assert!(!nixbox_report::json(&report).to_string().contains(canary));
    Scene::new("version = 1\n[instances.a.env]\nGITHUB_TOKEN_FILE = \"/run/secrets/github\"\n").project();
}

#[test]
fn a_disabled_instance_is_read_and_not_compared() {
    let text = "version = 1\n[instances.a]\nenable = false\nmount.path = \"m\"\nhttp.port = 1\n[instances.b]\nmount.path = \"m\"\nhttp.port = 1\n";
    assert!(!Scene::new(text).project().instances["a"].enable);
    Scene::new(&text.replace("\"m\"\nhttp.port = 1\n[", "5\n[")).fails(&[("type", 4, "instances.a.mount.path")]);
}

#[test]
fn a_base_is_a_real_folder_outside_of_every_mount() {
    let scene = |text: &str| Scene::new(&format!("version = 1\n{text}"));
    let base = |path: &str| format!("[instances.a]\nbase = \"{path}\"\nmount.path = \"m\"\n");
    for good in [".", "src", "/", "m/.."] {
        assert!(scene(&base(good)).project().instances["a"].base.is_some());
    }
    for own in ["m", "m/x", "./src/../m"] {
        fails(&base(own), &[("base-in-mount", 3, "instances.a.base")]);
    }
    let of_another = "[instances.b]\nmount.path = \"n\"\n";
    fails(&format!("{}{of_another}", base("n/x")), &[("base-in-mount", 3, "instances.a.base")]);
    scene(&format!("{}{}enable = false\n", base("n/x"), of_another)).project();
    fails(&base(".agentfs/x"), &[("base-in-data", 3, "instances.a.base")]);
    fails(&base("~/x"), &[("value", 3, "instances.a.base")]);
    fails(&base("nixbox.toml"), &[("value", 3, "instances.a.base")]);
    // Nothing is written there.
    scene(&base("/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-source")).project();
}

#[test]
fn patterns_are_read_before_anything_runs() {
    let exclude = |list: &str| format!("[instances.a]\nbase = \".\"\nexclude = {list}\n");
    let project = Scene::new(&format!("version = 1\n{}", exclude("[\"target/\",\n\"*.o\"]"))).project();
    assert_eq!(project.instances["a"].base.as_ref().unwrap().exclude, ["target/", "*.o"]);
    for wrong in ["", "/", "!x", "a[", "a\\u0007"] {
        fails(&exclude(&format!("[\"x\",\n\"{wrong}\"]")), &[("value", 5, "instances.a.exclude")]);
    }
    fails(&exclude("\"x\""), &[("type", 4, "instances.a.exclude")]);
    fails(&exclude("[\"x\", 1]"), &[("type", 4, "instances.a.exclude")]);
    fails("[instances.a]\nexclude = [\"x\"]\n", &[("value", 3, "instances.a.exclude")]);
}

#[test]
fn limits_are_sizes_and_counts_that_something_fits_into() {
    let limits = |line: &str| format!("[instances.a.limits]\n{line}\n");
    let read = |line: &str| Scene::new(&format!("version = 1\n{}", limits(line))).project().instances["a"].limits;
    assert_eq!(read("size = \"2GiB\"").size.unwrap().0, 2 << 30);
    assert_eq!(read("size = 4096").size.unwrap().0, 4096);
    assert_eq!(read("files = 3").files, Some(3));
    assert_eq!(read("").files, None);
    for wrong in ["0", "\"0\"", "-1", "\"2G\"", "\"\"", "\"1.5GiB\"", "\"9000000TiB\""] {
        fails(&limits(&format!("size = {wrong}")), &[("value", 3, "instances.a.limits.size")]);
    }
    fails(&limits("size = 1.5"), &[("type", 3, "instances.a.limits.size")]);
    fails(&limits("files = 0"), &[("value", 3, "instances.a.limits.files")]);
    fails(&limits("files = \"3\""), &[("type", 3, "instances.a.limits.files")]);
}

#[test]
fn what_a_command_may_take_is_read_and_a_job_speaks_before_its_instance() {
    let text = "version = 1\n[instances.a.limits]\ncpu = 2\nmemory = \"1GiB\"\n[jobs.j]\nexec = [\"x\"]\n\
                limits = { cpu = 0.25, pids = 9, timeout = \"10min\" }\n";
    let project = Scene::new(text).project();
    let share = project.share_of(&project.jobs["j"]);
    assert_eq!(share.cpu.unwrap().thousandths(), 250);
    assert_eq!(share.memory.unwrap().0, 1 << 30);
    assert_eq!((share.pids, share.timeout.unwrap().0.as_secs()), (Some(9), 600));
    assert_eq!(project.instances["a"].limits.commands.cpu.unwrap().thousandths(), 2000);
    for (line, code) in [
        ("cpu = 0", "value"),
        ("cpu = -1.5", "value"),
        ("cpu = nan", "value"),
        ("cpu = inf", "value"),
        ("cpu = \"1\"", "type"),
        ("memory = 0", "value"),
        ("pids = 0", "value"),
        ("timeout = 3", "type"),
        ("timeout = \"0s\"", "value"),
    ] {
        let key = line.split(' ').next().unwrap();
        fails(&format!("[instances.a.limits]\n{line}\n"), &[(code, 3, &format!("instances.a.limits.{key}"))]);
        let job = format!("[instances.a]\n[jobs.j]\nexec = [\"x\"]\nlimits.{line}\n");
        fails(&job, &[(code, 5, &format!("jobs.j.limits.{key}"))]);
    }
    let direct = "[instances.a]\nmode = \"direct\"\nbase = \"src\"\nlimits.cpu = 1\n";
    Scene::new(&format!("version = 1\n{direct}")).project();
}

#[test]
fn a_direct_instance_has_a_base_and_no_limits_and_is_warned_about() {
    let direct = "[instances.a]\nmode = \"direct\"\n";
    fails(direct, &[("value", 3, "instances.a.mode")]);
    fails(&format!("{direct}base = \"src\"\nlimits.files = 1\n"), &[("value", 5, "instances.a.limits")]);
    fails("[instances.a]\nmode = \"drect\"\n", &[("type", 3, "instances.a.mode")]);
    let project = Scene::new(&format!("version = 1\n{direct}base = \"src\"\n")).project();
    let warnings = project.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("instances.a.mode"), "{warnings:?}");
    assert_eq!(Scene::new("version = 1\n[instances.a]\nmode = \"ephemeral\"\n").project().warnings(), [""; 0]);
}

#[test]
fn a_key_is_in_one_place_and_never_in_the_file() {
    let of = |lines: &str| format!("[instances.a.encryption]\n{lines}");
    let key = "instances.a.encryption";
    fails(&of(""), &[("value", 2, key)]);
    let ephemeral = "[instances.a]\nmode = \"ephemeral\"\nencryption.key_env = \"K\"\n";
    fails(ephemeral, &[("value", 4, key)]);
    fails(&of("key_file = \"k\"\nkey_env = \"K\"\n"), &[("value", 2, key)]);
    fails(&of("cipher = \"aes-256\"\nkey_file = \"k\"\n"), &[("type", 3, "instances.a.encryption.cipher")]);
    fails(&of("key_env = \"1K\"\n"), &[("value", 3, "instances.a.encryption.key_env")]);
    fails(&of("key_command = [\"pass\", \"\"]\n"), &[("value", 3, "instances.a.encryption.key_command")]);
    let digits = "00112233445566778899aabbccddeeff";
    fails(&of(&format!("key_file = \"{digits}\"\n")), &[("secret", 3, "instances.a.encryption.key_file")]);
    fails(&of(&format!("key_env = \"A{digits}\"\n")), &[("secret", 3, "instances.a.encryption.key_env")]);
    let command = format!("key_command = [\"echo\", \"key={digits}\"]\n");
    fails(&of(&command), &[("secret", 3, "instances.a.encryption.key_command")]);
    let stored = "key_file = \"/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-key\"\n";
    fails(&of(stored), &[("secret", 3, "instances.a.encryption.key_file")]);
    let said = format!("{:?}", Scene::new(&format!("version = 1\n{}", of(&command))).failures());
    assert!(!said.contains(digits), "{said}");
}

#[test]
fn a_remote_has_an_address_that_is_one_and_no_secret_in_it() {
    let of = |lines: &str| format!("[remotes.r]\n{lines}");
    fails(&of(""), &[("value", 2, "remotes.r.url")]);
    fails(&of("url = \"ftp://a\"\n"), &[("value", 3, "remotes.r.url")]);
    fails(&of("url = \"http://10.0.0.7\"\n"), &[("exposed", 3, "remotes.r.url")]);
    Scene::new(&format!("version = 1\n{}", of("url = \"http://10.0.0.7\"\ninsecure = true\n"))).project();
    fails(&of("url = \"https://a\"\ntoken_file = \"t\"\ntoken_env = \"T\"\n"), &[("value", 2, "remotes.r")]);
    let token = "eyJhbGciOi.eyJzdWIiOi.SflKxwRJSM";
    for (line, key) in [
        (format!("url = \"https://a?authToken={token}\"\n"), "remotes.r.url"),
        (format!("url = \"https://me:{token}@a\"\n"), "remotes.r.url"),
        (format!("token_env = \"{token}\"\nurl = \"https://a\"\n"), "remotes.r.token_env"),
        (format!("token_command = [\"echo\", \"{token}\"]\nurl = \"https://a\"\n"), "remotes.r.token_command"),
    ] {
        fails(&of(&line), &[("secret", 3, key)]);
        let said = format!("{:?}", Scene::new(&format!("version = 1\n{}", of(&line))).failures());
        assert!(!said.contains(token), "{said}");
    }
    let served = |lines: &str| format!("version = 1\n[remotes.r.serve]\n{lines}");
    let project = Scene::new(&served("port = 8080\n")).project();
    let remote = &project.remotes["r"];
    assert_eq!(remote.address.to_string(), "http://127.0.0.1:8080");
    assert_eq!(remote.token, Some(KeySource::File(project.data_dir.join("remotes/r/token"))));
    fails("[remotes.r.serve]\nenable = false\n", &[("value", 2, "remotes.r.url")]);
    fails("[remotes.r.serve]\nport = 0\n", &[("value", 3, "remotes.r.serve.port")]);
    fails("[remotes.r.serve]\nhosts = [\"A\"]\n", &[("value", 3, "remotes.r.serve.hosts")]);
    fails("[remotes.r.serve]\n[remotes.s.serve]\nport = 7440\n", &[("port-clash", 4, "remotes.s.serve.port")]);
    fails("[remotes.r.serve]\n[instances.remote-r]\n", &[("name-clash", 3, "instances.remote-r")]);
    fails("[remotes.R]\nurl = \"https://a\"\n", &[("instance-name", 2, "remotes.R")]);
}

#[test]
fn only_what_can_be_synced_is_declared_so() {
    let with =
        |lines: &str| format!("[remotes.team]\nurl = \"https://a\"\n[instances.a]\n{lines}sync.remote = \"team\"\n");
    Scene::new(&format!("version = 1\n{}", with(""))).project();
    fails(&with("encryption.key_env = \"K\"\n"), &[("value", 6, "instances.a.sync")]);
    fails(&with("mode = \"ephemeral\"\n"), &[("value", 6, "instances.a.sync")]);
    fails(&with("base = \".\"\nmode = \"direct\"\n"), &[("value", 7, "instances.a.sync")]);
    fails(&with("engine = \"agentfs\"\n"), &[("engine", 6, "instances.a.sync")]);
    let unknown = "[remotes.team]\nurl = \"https://a\"\n[instances.a]\nsync.remote = \"taem\"\n";
    fails(unknown, &[("remote", 5, "instances.a.sync.remote")]);
    assert_eq!(help(unknown), "did you mean \"team\"?");
    fails("[instances.a]\nsync = {}\n", &[("value", 3, "instances.a.sync.remote")]);
}

#[test]
fn what_comes_with_a_pull_is_asked_for_and_changes_nothing() {
    let with = |lines: &str| {
        format!(
            "[remotes.team]\nurl = \"https://a\"\n[instances.a]\nsync.remote = \"team\"\n[instances.a.sync.partial]\n{lines}\n"
        )
    };
    for query in ["DELETE FROM fs_data", "SELECT 1; DELETE FROM fs_data", "select", ""] {
        let wrong = with(&format!("bootstrap_query = \"{query}\""));
        fails(&wrong, &[("value", 7, "instances.a.sync.partial.bootstrap_query")]);
    }
    fails(&with("segment_size = \"0\""), &[("value", 7, "instances.a.sync.partial.segment_size")]);
    fails(&with("bootstrap_length = true"), &[("type", 7, "instances.a.sync.partial.bootstrap_length")]);
    let over = with("").replace("sync.remote", "base = \".\"\nsync.remote");
    fails(&over, &[("value", 7, "instances.a.sync.partial")]);
    let right = "prefetch = true\nsegment_size = \"64KiB\"\nbootstrap_query = \"select ino from fs_inode\"\nbootstrap_length = 1";
    let project = Scene::new(&format!("version = 1\n{}", with(right))).project();
    let partial = project.instances["a"].partial.as_ref().unwrap();
    assert!(partial.prefetch);
    assert_eq!((partial.segment_size.0, partial.bootstrap_length.unwrap().0), (64 << 10, 1));
}

#[test]
fn what_means_nothing_in_a_mode_of_sync_is_refused() {
    let with =
        |lines: &str| format!("[remotes.team]\nurl = \"https://a\"\n[instances.a.sync]\nremote = \"team\"\n{lines}\n");
    let wrong = |lines: &str, code: &str, line: usize, key: &str| {
        fails(&with(lines), &[(code, line, &format!("instances.a.sync.{key}"))]);
    };
    wrong("interval = \"1min\"", "value", 6, "interval");
    wrong("mode = \"real-time\"\ninterval = \"1min\"", "value", 7, "interval");
    wrong("mode = \"periodic\"\ndebounce = \"1s\"", "value", 7, "debounce");
    wrong("mode = \"follow\"\npush_on_stop = true", "value", 7, "push_on_stop");
    wrong("mode = \"periodic\"\npull_on_start = false", "value", 7, "pull_on_start");
    wrong("offline = \"allow\"", "value", 6, "offline");
    wrong("mode = \"follow\"\npull_on_start = false\noffline = \"allow\"", "value", 8, "offline");
    wrong("mode = \"periodic\"\ninterval = \"0s\"", "value", 7, "interval");
    wrong("mode = \"periodic\"\ninterval = 30", "type", 7, "interval");
    wrong("mode = \"real-time\"\ndebounce = \"5\"", "value", 7, "debounce");
    wrong("lease = \"1s\"", "value", 6, "lease");
    wrong("mode = \"realtime\"", "type", 6, "mode");
    assert!(help(&with("mode = \"realtime\"")).starts_with("did you mean \"real-time\"?"));
    for right in [
        "mode = \"follow\"\ninterval = \"5s\"\npush_on_stop = false",
        "pull_on_start = true\npush_on_stop = true\noffline = \"allow\"",
        "mode = \"real-time\"\ndebounce = \"50ms\"\noffline = \"allow\"\nlease = \"10s\"",
    ] {
        Scene::new(&format!("version = 1\n{}", with(right))).project();
    }
}

#[test]
fn the_nearest_cipher_is_suggested() {
    let said = help("[instances.a.encryption]\ncipher = \"AES256-GCM\"\nkey_file = \"k\"\n");
    assert!(said.starts_with("did you mean \"aes256gcm\"?"), "{said}");
}

#[test]
fn names_of_this_machine_are_names() {
    let hosts = |list: &str| format!("[instances.a.http]\nhosts = {list}\n");
    let project = Scene::new(&format!("version = 1\n{}", hosts("[\"box.example.org\", \"10.0.0.7\"]"))).project();
    assert_eq!(project.instances["a"].http.as_ref().unwrap().hosts, ["box.example.org", "10.0.0.7"]);
    let long = "a".repeat(254);
    for wrong in ["", "Box", "box:80", "http://box", "-box", "box.", "*.example.org", "b x", &long] {
        fails(&hosts(&format!("[\"a\",\n\"{wrong}\"]")), &[("value", 4, "instances.a.http.hosts")]);
    }
    fails(&hosts("\"box\""), &[("type", 3, "instances.a.http.hosts")]);
}

#[test]
fn tools_that_may_be_called_are_known_ones() {
    let tools = |list: &str| format!("[instances.a.mcp]\ntools = {list}\n");
    let of = |text: &str| {
        let tools = Scene::new(&format!("version = 1\n{text}")).project().instances["a"].mcp_tools.clone();
        tools.into_iter().map(McpTool::as_str).collect::<Vec<_>>()
    };
    assert_eq!(of("[instances.a]\n").len(), McpTool::ALL.len());
    assert_eq!(of("[instances.a.mcp]\n").len(), McpTool::ALL.len());
    assert_eq!(of(&tools("[]")), Vec::<&str>::new());
    assert_eq!(of(&tools("[\"stat\", \"read_file\", \"stat\"]")), ["read_file", "stat"]);
    fails(&tools("[\"stat\",\n\"red_file\"]"), &[("type", 4, "instances.a.mcp.tools")]);
    assert!(help(&tools("[\"red_file\"]")).starts_with("did you mean \"read_file\"? possible are"));
    fails(&tools("[\"zzz\", 1]"), &[("type", 3, "instances.a.mcp.tools"), ("type", 3, "instances.a.mcp.tools")]);
}

#[test]
fn jobs_fit_the_instances_that_they_run_in_and_depend_on() {
    fails("[jobs.a]\nexec = [\"x\"]\n", &[("job", 2, "jobs.a.instance")]);
    fails("[instances.i]\n[jobs.i]\nexec = [\"x\"]\n", &[("job", 3, "jobs.i")]);
    fails("[instances.i]\n[jobs.a]\nexec = [\"x\"]\ninstance = \"j\"\n", &[("job", 5, "jobs.a.instance")]);
    fails(
        "[instances.i]\nenable = false\n[jobs.a]\nexec = [\"x\"]\ninstance = \"i\"\n",
        &[("job", 6, "jobs.a.instance")],
    );
    fails(
        "[instances.i]\n[jobs.a]\nexec = [\"x\"]\ndepends_on.i = \"completed\"\ndepends_on.b = \"ready\"\n",
        &[("job", 5, "jobs.a.depends_on.i"), ("job", 6, "jobs.a.depends_on.b")],
    );
    let circle = "[instances.i]\ndepends_on.a = \"started\"\n[jobs.a]\nexec = [\"x\"]\n";
    fails(circle, &[("job", 4, "jobs.a.depends_on")]);
    let typo = "[instances.sandbox]\n[jobs.a]\nexec = [\"x\"]\ninstance = \"sandbux\"\n";
    assert_eq!(help(typo), "did you mean \"sandbox\"?");
}

#[test]
fn what_is_kept_up_is_said_in_words_that_mean_something() {
    let job = |text: &str| format!("[instances.i]\n[jobs.a]\nexec = [\"x\"]\n{text}\n");
    fails("[instances.i]\n[jobs.a]\n", &[("value", 3, "jobs.a.exec")]);
    fails("[instances.i]\n[jobs.a]\nexec = []\n", &[("value", 4, "jobs.a.exec")]);
    fails(&job("restart.on = \"sometimes\""), &[("type", 5, "jobs.a.restart.on")]);
    fails(&job("restart.window = 60"), &[("type", 5, "jobs.a.restart.window")]);
    fails(&job("restart.window = \"60\""), &[("value", 5, "jobs.a.restart.window")]);
    fails(&job("restart.backoff = { min = \"2s\", max = \"1s\" }"), &[("job", 5, "jobs.a.restart.backoff.max")]);
    fails(&job("watch = { paths = [\"src\", \"../x\"] }"), &[("value", 5, "jobs.a.watch.paths")]);
    fails(&job("watch = { paths = [\"/etc\"] }"), &[("value", 5, "jobs.a.watch.paths")]);
    fails(
        &job("watch = { ignore = [\"!a\", \"a[\"] }"),
        &[("value", 5, "jobs.a.watch.ignore"), ("value", 5, "jobs.a.watch.ignore")],
    );
    fails(&job("watch.debounce = \"1ms\""), &[("value", 5, "jobs.a.watch.debounce")]);
    fails(
        &job("watch = {}\n[jobs.b]\nexec = [\"x\"]\ndepends_on.a = \"completed\""),
        &[("job", 8, "jobs.b.depends_on.a")],
    );
    fails(&job("health = {}"), &[("value", 5, "jobs.a.health.exec")]);
    fails(&job("health = { exec = [\"x\"], http = \"http://a\" }"), &[("value", 5, "jobs.a.health.http")]);
    fails(&job("health.http = \"https://a\""), &[("value", 5, "jobs.a.health.http")]);
    fails(&job("env.API_TOKEN = \"sk-live-0123456789abcdefghijklmnop\""), &[("secret", 5, "jobs.a.env.API_TOKEN")]);
}

#[test]
fn hooks_are_commands_and_hold_no_secret() {
    let hooks = |list: &str| format!("[instances.a.hooks]\nsync = {list}\n");
    let of = |text: &str| Scene::new(&format!("version = 1\n{text}")).project().instances["a"].hooks.clone();
    let commands = |words: &[&[&str]]| -> Vec<Vec<String>> {
        words.iter().map(|command| command.iter().map(|word| (*word).to_owned()).collect()).collect()
    };
    assert_eq!(of(&hooks("[[\"a\", \"b c\"], [\"d\"]]"))[&HookEvent::Sync], commands(&[&["a", "b c"], &["d"]]));
    for event in HookEvent::ALL {
        let of = of(&format!("[instances.a.hooks]\n{event} = [[\"a\"]]\n"));
        assert_eq!(of, [(*event, commands(&[&["a"]]))].into());
    }
    assert!(of(&hooks("[]")).is_empty());
    fails(&hooks("[[\"a\"],\n\"b\"]"), &[("type", 4, "instances.a.hooks.sync")]);
    fails(&hooks("[[]]"), &[("value", 3, "instances.a.hooks.sync")]);
    fails(&hooks("[[\"a\", 1]]"), &[("type", 3, "instances.a.hooks.sync")]);
    fails(&hooks("[[\"curl\", \"https://u:pass@h/\"]]"), &[("secret", 3, "instances.a.hooks.sync")]);
    fails("[instances.a.hooks]\nreadied = [[\"a\"]]\n", &[("unknown-key", 3, "instances.a.hooks.readied")]);
}
