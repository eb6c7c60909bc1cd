//! What is written for other programs.

use std::process::Command;

use crate::support::{Test, helper, owner};

#[test]
fn the_reference_pages_are_current() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference");
    for page in ["cli", "env", "errors", "config"] {
        let made = Test::new().args(["docs", page]).success().stdout;
        let kept = std::fs::read_to_string(folder.join(format!("{page}.md"))).unwrap();
        assert!(made == kept, "docs/reference/{page}.md is out of date: `just docs` makes it anew");
    }
}

#[test]
fn completions_are_code_that_their_shell_takes() {
    let test = Test::new();
    for (shell, check) in
        [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish"), ("nu", ""), ("powershell", ""), ("elvish", "")]
    {
        let text = test.args(["completions", shell]).success().stdout;
        for word in ["quickstart", "--data-dir", "nixbox-helper"] {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(text.contains(word), "{shell} lacks {word}");
        }
        let path = test.path(shell);
        std::fs::write(&path, text).unwrap();
        if !check.is_empty() && Command::new(check).arg("--version").output().is_ok() {
            let output = test.command(check).arg("-n").arg(&path).output().unwrap();
            assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn every_verb_has_a_manual_page() {
    let test = Test::new();
    assert!(test.run("man").success().stdout.contains(".TH nixbox-helper 1"));
    test.run("man pages").success();
    for page in ["nixbox-helper.1", "nixbox-helper-up.1", "nixbox-helper-config-show.1"] {
        assert!(test.path("pages").join(page).is_file(), "{page}");
    }
}

#[test]
fn process_managers_get_commands_that_work_from_anywhere() {
    let test = Test::new().config("[instances.a]\ndescription = \"first\"\n[instances.b]\n");
    insta::assert_snapshot!(test.run("render --to procfile").success().stdout, @r"
    agentfs-a: exec [HELPER] --config [DIR]/nixbox.toml serve a
    agentfs-b: exec [HELPER] --config [DIR]/nixbox.toml serve b
    ");
    insta::assert_snapshot!(test.run("render --to process-compose").success().stdout);
    insta::assert_snapshot!(test.run("render --to systemd --program /usr/bin/nixbox-helper").success().stdout);
    test.run("render --to systemd --output units").success();
    assert!(test.path("units/agentfs-b.service").is_file());
    let other = test.args(["render", "--to", "procfile"]).env("AGENTFS_DATA_DIR", "/elsewhere").success().stdout;
    assert!(other.contains(" --data-dir /elsewhere "), "{other}");
}

/// What was declared, all of it, by each process manager's rules.
#[test]
fn jobs_remotes_and_schedules_are_written_for_whoever_can_say_them() {
    let instances = "[remotes.team.serve]\nport = 9\nprogram = \"/bin/true\"\n\
                     [instances.box]\nmount.path = \"mnt\"\nsync.remote = \"team\"\n\
                     [instances.quiet]\nmount.backend = \"none\"\ndepends_on.box = \"ready\"\n\
                     restart = { on = \"always\", max = 2, window = \"5min\", backoff.min = \"3s\" }\n";
    let web = "[jobs.web]\ninstance = \"box\"\nexec = [\"./serve\"]\nhealth = { exec = [\"true\"], interval = \"1500ms\", retries = 7 }\n\
               limits = { cpu = 1.255, memory = \"1GiB\", pids = 100 }\n[jobs.off]\nenable = false\ninstance = \"box\"\nexec = [\"no\"]\n";
    let ordered = "[jobs.seed]\ninstance = \"box\"\nexec = [\"./seed\"]\nrestart.on = \"always\"\n\
                   [jobs.worker]\ninstance = \"box\"\nexec = [\"./work\"]\nrestart.on = \"never\"\n\
                   depends_on = { seed = \"completed\", web = \"ready\", quiet = \"started\" }\n";
    let times = "[schedules.nightly]\ncron = \"30 3 * * mon-fri\"\ntimezone = \"Europe/Berlin\"\njitter = \"10min\"\ncatch_up = true\n\
                 run = [\"status\"]\n[schedules.once]\nat = \"2036-11-21T06:45:00Z\"\ninstance = \"box\"\nexec = [\"./once\"]\n\
                 [schedules.never]\nenable = false\ncron = \"0 0 15W * *\"\nrun = [\"status\"]\n";
    let test = Test::new().config(&[instances, web, ordered, times].concat());
    insta::assert_snapshot!("process-compose", test.run("render --to process-compose").success().stdout);
    insta::assert_snapshot!("systemd", test.run("render --to systemd --program /bin/nixbox-helper").success().stdout);
    let done = test.run("render --to procfile").stderr("nixbox::render::cannot").stderr("the job seed").code(2);
    assert!(done.stdout.is_empty() && done.stderr.matches("nixbox::render::cannot").count() == 2, "{}", done.stderr);
    test.run("render --to procfile --output made").code(2);
    assert!(!test.path("made").exists());

    let test = Test::new().config(&[instances, web, times].concat());
    let done = test.run("render --to procfile").stderr("the health of the job web is not examined").success();
    insta::assert_snapshot!(done.stdout, @r"
    agentfs-remote-team: exec [HELPER] --config [DIR]/nixbox.toml remote serve team
    agentfs-box: until [HELPER] --config [DIR]/nixbox.toml remote ready team --timeout 2 2>/dev/null; do sleep 1; done; exec [HELPER] --config [DIR]/nixbox.toml serve box
    agentfs-quiet: [HELPER] --config [DIR]/nixbox.toml wait box --timeout 60 && exec [HELPER] --config [DIR]/nixbox.toml serve quiet
    agentfs-job-web: [HELPER] --config [DIR]/nixbox.toml wait box --timeout 60 && exec [HELPER] --config [DIR]/nixbox.toml job web
    agentfs-schedules: exec [HELPER] --config [DIR]/nixbox.toml schedule keep
    ");

    let odd = "[instances.box]\n[schedules.a]\ncron = \"@daily\"\noverlap = \"queue\"\nrun = [\"status\"]\n\
               [schedules.b]\ncron = \"0 0 15W * *\"\nrun = [\"status\"]\n";
    let test = Test::new().config(odd);
    let done = test.run("render --to systemd").stderr("the overlap of the schedule a").stderr("the schedule b").code(2);
    assert!(done.stdout.is_empty());
    test.run("render --to process-compose").stdout_has("schedule keep").success();
    let test = Test::new().config("[instances.a]\n[instances.job-b]\n[jobs.b]\ninstance = \"a\"\nexec = [\"x\"]\n");
    test.run("render --to systemd").stderr("two processes would be called agentfs-job-b").code(2);
}

#[test]
fn what_nix_makes_is_read_as_json() {
    let test = Test::new();
    std::fs::write(test.path("made.json"), r#"{"version":1,"runtime_dir":"run","instances":{"a":{"enable":true}}}"#)
        .unwrap();
    let text = test.run("--config made.json --root . render --to toml").success().stdout;
    assert!(text.contains("[instances.a]"), "{text}");
    assert!(
        test.run("--config made.json --root . render --to procfile")
            .success()
            .stdout
            .contains("made.json --root [DIR]")
    );
}

/// Each `--json` answer against the schema that is published for it.
#[test]
fn answers_are_what_their_schema_says() {
    let test = Test::new().config(
        "[instances.a]\nmount.backend = \"none\"\nhttp.port = 0\n[instances.off]\nenable = false\n\
         [schedules.nightly]\ncron = \"@yearly\"\nrun = [\"kv\", \"list\"]\n",
    );
    owner();
    std::fs::write(test.path("key"), "5e".repeat(32)).unwrap();
    std::fs::set_permissions(test.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let check = |verb: &str, call: &str| {
        let schema = test.args(["schema", verb]).success().json();
        let answer = test.run(&format!("{call} --json")).success().json();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{call}: {errors:?}\n{answer:#}");
        assert_eq!(answer["schema"], 1, "{call}");
        verb.to_owned()
    };
    let mut checked = vec![
        check("config check", "config check"),
        check("config show", "config show"),
        check("env", "env"),
        check("init", "init"),
        check("ps", "ps"),
        check("up", "up -d"),
        check("ready", "ready a"),
        check("wait", "wait --all"),
        check("info", "info"),
        check("hooks", "hooks a"),
        check("schedule ls", "schedule ls"),
        check("schedule run", "schedule run nightly"),
        check("schedule pause", "schedule pause nightly"),
        check("schedule resume", "schedule resume nightly"),
        check("url", "url a"),
        check("port", "port a"),
        check("inspect", "inspect a"),
        check("doctor", "doctor"),
        check("fs mkdir", "fs mkdir -p d/e"),
        check("fs write", "fs write f"),
        check("fs cp", "fs cp f d"),
        check("fs mv", "fs mv f g"),
        check("fs ls", "fs ls -R"),
        check("fs find", "fs find *"),
        check("fs tree", "fs tree"),
        check("fs stat", "fs stat g"),
        check("status", "status"),
        check("diff", "diff"),
        check("fs rm", "fs rm g"),
        check("fs apply", "fs apply"),
        check("export", "export a --tar out.tar"),
        check("import", "import a out.tar --into /again"),
        check("kv set", "kv set k {\"a\":[1,null]}"),
        check("kv get", "kv get k"),
        check("kv list", "kv list"),
        check("kv delete", "kv delete k"),
        check("tool record", "tool record t --error no"),
        check("tool start", "tool start t --params {}"),
        check("tool finish", "tool finish 14 --result 1"),
        check("timeline", "timeline"),
        check("start", "start a"),
        check("restart", "restart a"),
        check("kill", "kill -s WINCH a"),
        check("pause", "pause a"),
        check("unpause", "unpause a"),
        check("stats", "stats --no-stream"),
        check("top", "top --no-stream"),
        check("stop", "stop a"),
        check("down", "down"),
        check("fsck", "fsck a"),
        check("migrate", "migrate a"),
        check("rekey", "rekey a --new-key-file key"),
        check("new", "new plain made"),
    ];
    // These need FUSE, a base or a remote, and have tests of their own.
    let others = [
        "cp",
        "df",
        "exec",
        "instance relocate",
        "instance rm",
        "label",
        "prune",
        "quickstart",
        "rename",
        "run",
        "unmount",
        "update",
    ];
    checked.extend(others.map(String::from));
    checked.extend(crate::syncing::ANSWERS.map(String::from));
    checked.extend(crate::far_content::ANSWERS.map(String::from));
    checked.extend(crate::hosting::ANSWERS.map(String::from));
    checked.sort();
    let published: Vec<String> = test.run("schema").success().stdout.lines().map(str::to_owned).collect();
    assert_eq!(checked, published);
}

#[test]
fn a_missing_owner_program_is_said_so() {
    let test = Test::new().config("[instances.a]\n");
    let alone = test.path("nixbox-helper");
    // By another process: a copy of our own would be open for writing while some other test forks, and then busy.
    assert!(Command::new("cp").arg(helper()).arg(&alone).status().unwrap().success());
    for verb in ["serve", "up", "init"] {
        let output = test.command(&alone).arg(verb).env("PATH", "/nonexistent").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(8), "{said}");
        assert!(said.contains("nixbox::owner::missing") && said.contains("NIXBOX_OWNER"), "{said}");
    }
}
