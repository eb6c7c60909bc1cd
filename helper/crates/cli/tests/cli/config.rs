use crate::support::Test;

#[test]
fn every_problem_at_once_with_its_place() {
    let test = Test::new().raw_config(
        "version = 1\ndata_dri = \"x\"\n[instances.A]\n[instances.a]\nmount.path = 3\nmount.backend = \"fuze\"\n",
    );
    let done = test.run("config check").stdout("").code(2);
    insta::assert_snapshot!(done.stderr);
    let json: serde_json::Value = serde_json::from_str(&test.run("config check --json").code(2).stderr).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["exit"], 2);
    let errors = json["errors"].as_array().unwrap();
    assert_eq!(errors.len(), done.stderr.matches("error:").count());
    for error in errors {
        assert!(error["line"].is_u64() && error["file"].is_string() && error["key"].is_string(), "{error}");
    }
}

#[test]
fn check_says_good_on_stderr_and_show_says_what_won() {
    let test = Test::new().config("log_level = \"warn\"\n[instances.a]\n");
    test.run("config check").stdout("").stderr("[DIR]/nixbox.toml: good, 1 declared, 1 enabled").success();
    let origin = |line: &str| {
        let shown = test.args(line.split(' ')).env("AGENTFS_LOG_LEVEL", "debug").success().json();
        let settings = shown["settings"].as_array().unwrap().clone();
        settings.into_iter().find(|one| one["key"] == "log_level").unwrap()
    };
    let by_environment = origin("config show --json");
    assert_eq!(by_environment["value"], "debug");
    assert_eq!(by_environment["origin"], "environment (AGENTFS_LOG_LEVEL)");
    let by_flag = origin("--log-level trace config show --json");
    assert_eq!((by_flag["value"].as_str(), by_flag["origin"].as_str()), (Some("trace"), Some("flag")));
    assert!(test.run("config show --origin").success().stdout.contains("file (line 3)"));
}

#[test]
fn what_is_shown_means_the_same_when_read_again() {
    let test =
        Test::new().config("[instances.a]\nlabels.team = \"x\"\n[instances.b]\nenable = false\nhttp.port = 99\n");
    for (format, name) in [("toml", "again.toml"), ("json", "again.json")] {
        let text =
            test.args(["render", "--to", format]).success().stdout.replace("[DIR]", &test.root().to_string_lossy());
        std::fs::write(test.path(name), text).unwrap();
        let again = test.args(["--config", name, "--root", ".", "render", "--to", format]).success().stdout;
        assert_eq!(again, test.args(["render", "--to", format]).success().stdout);
    }
    assert_eq!(test.run("config show").success().stdout, test.run("render --to toml").success().stdout);
}

/// Promise 7 where a user meets it; the parser's own tests damage a thousand.
#[test]
fn damaged_files_are_refused_with_their_place() {
    let whole = "version = 1\nlog_level = \"info\"\n\n[instances.a]\nenable = true\nmount.path = \"m\"\n\n[instances.b.http]\nport = 8080\n";
    let lines: Vec<&str> = whole.lines().collect();
    let mut damaged: Vec<(usize, String)> = Vec::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let with = |text: String| {
            let mut changed: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            changed[index] = text;
            (index + 1, changed.join("\n") + "\n")
        };
        damaged.push(with(format!("{line} ]")));
        if let Some((key, value)) = line.split_once(" = ") {
            damaged.push(with(format!("{key}x = {value}")));
            damaged.push(with(format!("{key} = [1]")));
            damaged.push(with(format!("{key} = \"\\u00\"")));
            damaged.push(with(format!("{line}\n{line}")));
        }
    }
    assert!(damaged.len() > 25);
    for (line, text) in damaged {
        let test = Test::new().raw_config(&text);
        for verb in ["config check", "env", "ps", "up"] {
            let done = test.run(verb).stdout("").code(2);
            let near = [line, line + 1].map(|line| format!("[DIR]/nixbox.toml:{line}"));
            let version = done.stderr.contains("nixbox::config::version");
            assert!(version || near.iter().any(|place| done.stderr.contains(place)), "{verb}\n{text}\n{}", done.stderr);
            assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        }
    }
}

#[test]
fn a_misspelt_verb_or_flag_gets_a_suggestion() {
    let test = Test::new().config("[instances.a]\n");
    test.run("statsu").stdout("").code(2);
    test.run("qickstart").stderr("'quickstart'").code(2);
    test.run("up --detatch").stderr("'--detach'").code(2);
    let error: serde_json::Value = serde_json::from_str(&test.run("qickstart --json").code(2).stderr).unwrap();
    assert_eq!(error["errors"][0]["code"], "nixbox::usage");
    test.run("ready sandbx").stderr("nixbox::instance::unknown").code(3);
    let test = Test::new().config("[instances.sandbox]\n");
    test.run("ready sandbx").stderr("did you mean `sandbox`?").code(3);
}
