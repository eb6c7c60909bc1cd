//! The JSON Schema and the parser say the same.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::Validator;
use nixbox_config::schema;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use serde_json::{Map, Value, json};
use support::{Scene, mutation};

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&schema()).unwrap());

/// The tables of the schema: how a file opens one, and what may stand in it.
fn tables() -> Vec<(String, Map<String, Value>)> {
    fn walk(path: &str, schema: &Value, found: &mut Vec<(String, Map<String, Value>)>) {
        let Some(keys) = schema["properties"].as_object() else { return };
        for (key, below) in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            walk(&path, below, found);
            // A job is not called as an instance is.
            let name = match path.as_str() {
                "jobs" => "z",
                "schedules" => "q",
                _ => "x",
            };
            walk(&format!("{path}.{name}"), &below["additionalProperties"], found);
        }
        found.push((path.to_owned(), keys.clone()));
    }
    let mut found = Vec::new();
    walk("", &schema(), &mut found);
    found
}

/// `line` in the table at `path`, as a whole file.
fn in_table(path: &str, line: &str) -> Scene {
    let header = if path.is_empty() { String::new() } else { format!("[{path}]\n") };
    let version = if line.starts_with("version") { "" } else { "version = 1\n" };
    Scene::new(&if path.is_empty() { format!("{line}\n{version}") } else { format!("{version}{header}{line}\n") })
}

const INSTANCE: &str = "\n[instances.i]";
const JOB: &str = "\n[jobs.z]\nexec = [\"true\"]\n[instances.i]";
const HTTP: &str = "\nhttp = \"http://a\"";
const EXEC: &str = "\nexec = [\"true\"]";
const WITH_HTTP: &str = "\nhttp = \"http://a\"\n[jobs.z]\nexec = [\"true\"]\n[instances.i]";
const WITH_EXEC: &str = "\nexec = [\"true\"]\n[jobs.z]\nexec = [\"true\"]\n[instances.i]";

/// What must stand in a table beside `key`.
fn beside(path: &str, key: &str) -> &'static str {
    match (path, key) {
        ("remotes.x", "url") | ("remotes.x.serve", _) => return "",
        ("remotes.x", _) => return "\nurl = \"https://a\"",
        (path, _) if path.ends_with(".partial") => {
            return "\n[instances.x.sync]\nremote = \"r\"\n[remotes.r]\nurl = \"https://a\"";
        }
        (path, key) if path.ends_with(".sync") && key != "remote" => {
            return "\nremote = \"r\"\n[remotes.r]\nurl = \"https://a\"";
        }
        ("schedules.q", "run" | "exec") => return "\ncron = \"@daily\"\n[instances.i]",
        ("schedules.q", "cron" | "at") => return "\nrun = [\"status\"]",
        ("schedules.q", "instance") => return "\ncron = \"@daily\"\nexec = [\"true\"]\n[instances.i]",
        ("schedules.q", _) => return "\ncron = \"@daily\"\nrun = [\"status\"]",
        ("jobs.z", "exec") => return INSTANCE,
        ("jobs.z", _) => return "\nexec = [\"true\"]\n[instances.i]",
        (path, "exec") if path.ends_with(".health") => return if path.starts_with("jobs") { WITH_HTTP } else { HTTP },
        (path, _) if path.ends_with(".health") => return if path.starts_with("jobs") { WITH_EXEC } else { EXEC },
        (path, _) if path.starts_with("jobs.z.") => return JOB,
        _ => {}
    }
    match (path.ends_with(".encryption"), key) {
        (true, "key_file") => "\nkey_env = \"K\"",
        (true, _) => "\nkey_file = \"k\"",
        _ => "",
    }
}

#[test]
fn the_schema_has_the_keys_that_the_reader_asks_for_and_no_others() {
    let tables = tables();
    assert_eq!(tables.len(), 24);
    for (path, keys) in tables {
        let failures = in_table(&path, &format!("zzzzzzzzzzzz = 1{}", beside(&path, ""))).failures();
        let help = failures[0].help.clone().unwrap();
        let asked: BTreeSet<_> = help.strip_prefix("leave it out; possible here are ").unwrap().split(", ").collect();
        assert_eq!(asked, keys.keys().map(String::as_str).collect(), "[{path}]");
    }
}

#[test]
fn every_key_is_read_and_has_a_description() {
    for (path, keys) in tables() {
        for (key, schema) in keys {
            assert!(schema["description"].as_str().is_some_and(|text| text.len() > 10), "{path} {key}");
            // This is wrong for every key; one that is ignored would let it pass.
            let wrong = if key == "cpu" { "\"1\"" } else { "1.5" };
            let failures = in_table(&path, &format!("{key} = {wrong}{}", beside(&path, &key))).failures();
            assert_eq!(failures.len(), 1, "{path} {key}: {failures:?}");
            assert!(failures[0].code.id.ends_with("::type") || key == "version", "{path} {key}");
        }
    }
}

#[test]
fn the_defaults_of_the_schema_are_the_real_ones() {
    let tables_of = "version = 1\n[instances.x.http]\n[instances.x.nfs]\n[instances.x.encryption]\nkey_env = \"K\"\n\
                     [remotes.x]\nurl = \"https://a\"\n[remotes.x.serve]\n[instances.y.sync]\nremote = \"x\"\n\
                     [instances.x.health]\nexec = [\"true\"]\n[instances.x.restart]\n[jobs.z.restart]\n\
                     [jobs.z]\ninstance = \"x\"\nexec = [\"true\"]\n[jobs.z.health]\nexec = [\"true\"]\n[jobs.z.watch]\n\
                     [schedules.q]\ncron = \"@daily\"\nrun = [\"status\"]\n";
    let scene = Scene::new(tables_of);
    let origins = scene.loaded().origins;
    let mut compared = 0;
    for (path, keys) in tables() {
        for (key, schema) in keys {
            let Some(default) = schema.get("default") else { continue };
            // What is encrypted is not synced.
            let path = if path.ends_with(".sync") { path.replace(".x", ".y") } else { path.clone() };
            let key = if path.is_empty() { key } else { format!("{path}.{key}") };
            let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            assert_eq!(origins.get(&key).unwrap().value.as_ref(), Some(&text), "{key}");
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared}");
}

#[test]
fn the_whole_file_uses_every_key_and_the_schema_takes_it() {
    let whole: Value = serde_json::to_value(toml::from_str::<toml::Value>(mutation::WHOLE).unwrap()).unwrap();
    assert!(VALIDATOR.is_valid(&whole));
    for (path, keys) in tables() {
        // Some keys exclude each other; then another instance has the other one.
        let there = [
            "sandbox", "second", "third", "fourth", "fifth", "sixth", "team", "home", "lan", "worker", "seed",
            "nightly", "once",
        ]
        .into_iter()
        .filter_map(|instance| {
            let table = path
                .replace(".x", &format!("/{instance}"))
                .replace(".z", &format!("/{instance}"))
                .replace(".q", &format!("/{instance}"))
                .replace('.', "/");
            whole.pointer(&if table.is_empty() { table } else { format!("/{table}") })?.as_object()
        });
        assert_eq!(there.flat_map(Map::keys).collect::<BTreeSet<_>>(), keys.keys().collect(), "[{path}]");
    }
}

#[test]
fn numbers_have_the_same_range_in_both() {
    for (table, key, most) in [("http", "port", 65535_i64), ("mount", "uid", 4294967294), ("mount", "gid", 4294967294)]
    {
        for number in [-1, 0, most, most + 1] {
            let document = json!({ "version": 1, "instances": { "x": { table: { key: number } } } });
            let loads = Scene::new(&toml::to_string(&document).unwrap()).load().is_ok();
            assert_eq!(
                (loads, VALIDATOR.is_valid(&document)),
                ((0..=most).contains(&number), loads),
                "{key} = {number}"
            );
        }
    }
}

/// Anything at all. No float without a fraction: to JSON Schema 1.0 is an integer, to TOML it is not.
fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(vec![json!(""), json!(true), json!(0), json!(-1), json!(70_000), json!(1.5), json!([]), json!({})]),
        select(vec![json!(i64::MAX), json!(u32::MAX), json!("x"), json!(["x"]), json!({"a": 1}), json!("1")]),
    ]
}

/// Mostly `right`, else anything.
fn mostly(right: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![30 => right.boxed(), 1 => anything().boxed()]
}

/// Each key is there or not, and now and then one that is unknown.
fn table(keys: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Value> {
    let keys: Vec<_> =
        keys.into_iter().map(|(key, value)| proptest::option::of(value).prop_map(move |v| (key, v))).collect();
    let unknown = prop_oneof![40 => Just(None), 1 => select(vec!["base", "Enable", "mount_", "uid"]).prop_map(Some)];
    (keys, unknown).prop_map(|(pairs, unknown)| {
        let mut table: Map<_, _> =
            pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        if let Some(key) = unknown {
            table.entry(key).or_insert(json!(1));
        }
        Value::Object(table)
    })
}

fn named(
    names: &'static [&'static str],
    value: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(select(names), value, 0..3)
        .prop_map(|all| Value::Object(all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

fn words(words: &[&str]) -> BoxedStrategy<Value> {
    mostly(select(words.iter().map(|word| json!(word)).collect::<Vec<_>>())).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    mostly(any::<bool>().prop_map(Value::from)).boxed()
}

fn number(most: u32) -> BoxedStrategy<Value> {
    let beyond = Just(i64::from(most) + 1);
    let within = (0..=most).prop_map(i64::from);
    let right = prop_oneof![6 => within, 6 => Just(i64::from(most)), 6 => Just(0), 2 => beyond];
    mostly(right.prop_map(Value::from)).boxed()
}

fn sync() -> impl Strategy<Value = Value> {
    let modes = ["manual", "periodic", "real-time", "follow", "realtime"];
    let all = table(vec![
        ("mode", words(&modes)),
        ("interval", words(&["30s", "1000ms", "0s", "999ms", "1 min", "30"])),
        ("debounce", words(&["500ms", "9ms", "010 ms", "1h"])),
        ("pull_on_start", flag()),
        ("push_on_stop", flag()),
        ("offline", words(&["refuse", "allow", "never"])),
        ("lease", words(&["2min", "1s", "2s", "1999ms", "2000ms", "10 s"])),
        (
            "partial",
            select(vec![
                json!({}),
                json!({ "prefetch": true, "segment_size": "8KiB", "bootstrap_query": "SELECT 1" }),
                json!({ "bootstrap_query": "DELETE", "bootstrap_length": 7 }),
                json!({ "bootstrap_query": "select a; b" }),
            ])
            .boxed(),
        ),
    ]);
    // Mostly only some of it: few keys go together.
    (all, 0..3_u8, 0..8).prop_map(|(mut sync, keep, with)| {
        if let Some(table) = sync.as_object_mut() {
            let mut kept = 0..keep;
            table.retain(|key, _| key == "mode" || kept.next().is_some());
            if with > 0 {
                table.insert("remote".into(), json!("r"));
            }
        }
        sync
    })
}

fn instance() -> impl Strategy<Value = Value> {
    let mount = table(vec![
        ("path", words(&["m/a", "m/b", "c", "/mnt/d", "./e"])),
        ("backend", words(&["auto", "fuse", "nfs", "none", "Auto"])),
        ("read_only", flag()),
        ("allow_root", flag()),
        ("allow_other", flag()),
        ("uid", number(u32::MAX - 1)),
        ("gid", number(u32::MAX - 1)),
        ("create", flag()),
    ]);
    let http = table(vec![
        ("bind", mostly(select(vec![json!("::1"), json!("127.0.0.1")])).prop_filter("", address).boxed()),
        ("port", number(65535)),
        ("expose", flag()),
        ("hosts", mostly(select(vec![json!(["a.example"]), json!([]), json!(["-a"]), json!(["A"])])).boxed()),
    ]);
    let limits = table(
        [
            vec![
                (
                    "size",
                    mostly(select(vec![json!("2GiB"), json!(1), json!("1 kb"), json!("0MiB"), json!("2G")])).boxed(),
                ),
                ("files", mostly(select(vec![json!(1), json!(9007199254740991_u64), json!(0)])).boxed()),
            ],
            share(),
        ]
        .concat(),
    );
    let nfs = table(vec![
        ("enable", flag()),
        ("bind", mostly(select(vec![json!("::1"), json!("127.0.0.1")])).prop_filter("", address).boxed()),
        ("port", number(65535)),
        ("expose", flag()),
    ]);
    let key = |name: &'static str, value: BoxedStrategy<Value>| (name, value);
    let file = || key("key_file", words(&["k", "/run/k"]));
    let command = || key("key_command", mostly(Just(json!(["pass", "show"]))).boxed());
    let variable = || key("key_env", words(&["K", "_k", "1K"]));
    let cipher = || key("cipher", words(&["aegis256", "aes128gcm", "AES-256"]));
    let encryption = prop_oneof![
        table(vec![cipher(), file()]),
        table(vec![cipher(), command()]),
        table(vec![cipher(), variable()]),
        table(vec![file(), command(), variable()]),
    ];
    let tools = select(vec![json!(["stat", "find"]), json!([]), json!(["stat", "stats"]), json!(["kv_get", "mkdir"])]);
    let commands =
        || mostly(select(vec![json!([["true"]]), json!([]), json!([[]]), json!(["true"]), json!([["a", 1]])]));
    let hooks = table(vec![("sync", commands().boxed()), ("created", commands().boxed())]);
    let mcp = table(vec![("tools", mostly(tools).boxed())]);
    table(vec![
        ("enable", flag()),
        ("description", words(&["", "x\ny", "ü"])),
        ("engine", words(&["builtin", "agentfs", "turso"])),
        ("base", words(&["src", "./b/c"])),
        ("exclude", mostly(Just(json!(["target", "*.o"]))).boxed()),
        ("mode", words(&["overlay", "direct", "ephemeral", "Direct"])),
        ("limits", mostly(limits).boxed()),
        ("labels", mostly(named(&["team", "odd name", ""], words(&["x", ""]))).boxed()),
        ("env", mostly(named(&["A", "_b", "1A", "A-B"], words(&["x", ""]))).boxed()),
        ("mount", mostly(mount).boxed()),
        ("http", mostly(http).boxed()),
        ("nfs", mostly(nfs).boxed()),
        ("encryption", mostly(encryption).boxed()),
        ("hooks", mostly(hooks).boxed()),
        ("mcp", mostly(mcp).boxed()),
        ("sync", mostly(sync()).boxed()),
        ("restart", mostly(restart()).boxed()),
        ("health", mostly(health()).boxed()),
        (
            "depends_on",
            mostly(named(&["a", "j"], words(&["ready", "completed", "started", "ready", "started", "done"]))).boxed(),
        ),
    ])
    // Rarely: it goes together with little else.
    .prop_flat_map(|instance| {
        (0..6).prop_map(move |with| {
            let mut instance = instance.clone();
            if let (Some(table), 1..) = (instance.as_object_mut(), with) {
                table.remove("sync");
            }
            if let (Some(table), 3..) = (instance.as_object_mut(), with) {
                for name in ["health", "restart", "depends_on"] {
                    table.remove(name);
                }
            }
            instance
        })
    })
}

fn restart() -> impl Strategy<Value = Value> {
    let backoff = table(vec![("min", span()), ("max", span()), ("factor", number(100))]);
    table(vec![
        ("on", words(&["never", "always", "on-failure", "unless-stopped", "never", "always", "on_failure"])),
        ("max", number(1_000_000)),
        ("window", words(&["1min", "30s", "5m"])),
        ("backoff", mostly(backoff).boxed()),
    ])
}

/// Long enough for whatever asks for one.
fn span() -> BoxedStrategy<Value> {
    words(&["1s", "500ms", "2min", "1h", "3s", "30s", "20 s", "4h", "1.5s"])
}

fn health() -> impl Strategy<Value = Value> {
    let exec = || ("exec", mostly(select(vec![json!(["true"]), json!(["a", "b"]), json!(["c"]), json!([""])])).boxed());
    let urls = [
        "http://a",
        "http://a:1/b",
        "http://127.0.0.1:8080/x",
        "http://a/?b#c",
        "https://a",
        "http://a:0",
        "http://a/ b",
    ];
    let http = move || ("http", words(&urls));
    let rest = || vec![("interval", span()), ("timeout", span()), ("start_period", span())];
    let retries = || ("retries", mostly(select(vec![json!(1), json!(1000), json!(0), json!(1001)])).boxed());
    prop_oneof![
        6 => table([rest(), vec![exec(), retries()]].concat()),
        6 => table([rest(), vec![http()]].concat()),
        1 => table(vec![exec(), http()]),
    ]
}

fn share() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    vec![
        ("cpu", mostly(select(vec![json!(1.5), json!(2), json!(0.01), json!(0.001), json!(-1), json!("2")])).boxed()),
        ("memory", mostly(select(vec![json!("1GiB"), json!(4096), json!("1G")])).boxed()),
        ("pids", mostly(select(vec![json!(1), json!(4194304), json!(0), json!(4194305)])).boxed()),
        ("timeout", span()),
    ]
}

fn job() -> impl Strategy<Value = Value> {
    let log = table(vec![("max_size", words(&["1MiB", "2GB", "5KiB", "0B"])), ("keep", number(100))]);
    let some = |items: &[&'static str]| mostly(select(vec![json!(items), json!([]), json!([""])])).boxed();
    let watch = table(vec![("paths", some(&["src", "."])), ("ignore", some(&["*.o", "/a"])), ("debounce", span())]);
    let job = table(vec![
        ("enable", flag()),
        ("instance", words(&["a", "b"])),
        ("cwd", words(&["src", "a", "b", ""])),
        ("env", mostly(named(&["A", "1A"], words(&["x"]))).boxed()),
        (
            "depends_on",
            mostly(named(&["a", "j"], words(&["ready", "completed", "started", "ready", "started", "done"]))).boxed(),
        ),
        ("restart", mostly(restart()).boxed()),
        ("health", mostly(health()).boxed()),
        ("watch", mostly(watch).boxed()),
        ("user", words(&["nobody", "0"])),
        ("stdin", words(&["in.txt", "in"])),
        ("log", mostly(log).boxed()),
        ("limits", mostly(table(share())).boxed()),
        ("exec", mostly(select(vec![json!(["true"]), json!(["a", "b"]), json!([]), json!([""])])).boxed()),
    ]);
    // Mostly there: nothing is a job without it.
    (job, 0..12).prop_map(|(mut job, with)| {
        if let (Some(table), 1..) = (job.as_object_mut(), with) {
            table.entry("exec").or_insert(json!(["true"]));
        }
        job
    })
}

fn schedule() -> impl Strategy<Value = Value> {
    let command = || mostly(select(vec![json!(["status"]), json!(["a", "b"]), json!([]), json!([""])])).boxed();
    let times = ["2026-11-21T06:45:00Z", "2026-11-21T06:45:00.5+01:00", "2026-11-21", "2026-11-21T06:45Z"];
    let cron = || ("cron", words(&["0 3 * * *", "@daily"]));
    let rest = || {
        vec![
            ("enable", flag()),
            ("overlap", words(&["skip", "queue", "allow", "skip", "queue", "never"])),
            ("jitter", words(&["1min", "0s", "5s", "1h", "5"])),
            ("catch_up", flag()),
        ]
    };
    prop_oneof![
        6 => table([rest(), vec![cron(), ("timezone", words(&["UTC"])), ("run", command())]].concat()),
        4 => table([rest(), vec![cron(), ("exec", command()), ("instance", words(&["a", "b"]))]].concat()),
        2 => table([rest(), vec![("at", words(&times)), ("run", command())]].concat()),
        1 => table(vec![cron(), ("at", words(&times)), ("run", command()), ("exec", command())]),
    ]
    // Mostly there: nothing is a schedule without them.
    .prop_flat_map(|schedule| {
        (0..12).prop_map(move |with| {
            let mut schedule = schedule.clone();
            if let (Some(table), 1..) = (schedule.as_object_mut(), with) {
                if !table.contains_key("at") {
                    table.entry("cron").or_insert(json!("@daily"));
                }
                if !table.contains_key("exec") {
                    table.entry("run").or_insert(json!(["status"]));
                }
            }
            schedule
        })
    })
}

fn remote() -> impl Strategy<Value = Value> {
    let urls = ["libsql://a.example", "https://a:1/b", "http://127.0.0.1:8080", "ftp://a", "https://", "https://a:x"];
    let url = move || ("url", words(&urls));
    let file = || ("token_file", words(&["t"]));
    let variable = || ("token_env", words(&["T", "1T"]));
    let command = || ("token_command", mostly(Just(json!(["pass"]))).boxed());
    let some = prop_oneof![
        6 => table(vec![url(), ("insecure", flag()), file()]),
        6 => table(vec![url(), variable()]),
        6 => table(vec![url(), command()]),
        1 => table(vec![url(), file(), variable(), command()]),
        3 => table(vec![url(), ("serve", mostly(serve()).boxed())]),
    ];
    // Mostly there: nothing is a remote without it.
    (some, 0..12).prop_map(|(mut remote, with)| {
        if let (Some(table), 1..) = (remote.as_object_mut(), with)
            && (with > 6 || !table.contains_key("serve"))
        {
            table.entry("url").or_insert(json!("https://a"));
        }
        remote
    })
}

fn serve() -> impl Strategy<Value = Value> {
    table(vec![
        ("enable", flag()),
        ("port", mostly(select(vec![json!(7440), json!(0), json!(65536)])).boxed()),
        ("program", words(&["bin/tursodb"])),
        ("hosts", mostly(select(vec![json!(["sync.example.org"]), json!(["A:1"]), json!([])])).boxed()),
        ("wal_alarm", mostly(select(vec![json!("2GiB"), json!(100), json!("much")])).boxed()),
    ])
}

/// JSON Schema has no word for an address that tools agree on.
fn address(value: &Value) -> bool {
    !matches!(value.as_str(), Some("" | "x" | "1"))
}

fn document() -> impl Strategy<Value = Value> {
    table(vec![
        ("data_dir", words(&[".agentfs", "d"])),
        ("runtime_dir", words(&["/run/nb"])),
        ("agentfs_program", words(&["bin/agentfs"])),
        ("default_instance", words(&["a", "b"])),
        ("log_level", words(&["info", "trace", "loud"])),
        ("remotes", mostly(named(&["r", "R"], mostly(remote()))).boxed()),
        ("jobs", mostly(named(&["j", "k"], mostly(job()))).boxed()),
        ("schedules", prop_oneof![2 => Just(json!({})), 1 => mostly(named(&["s", "t"], mostly(schedule())))].boxed()),
        ("instances", mostly(named(&["a", "b", "a_b", "B", ""], mostly(instance()))).boxed()),
    ])
    .prop_flat_map(|document| {
        prop_oneof![20 => Just(Some(json!(1))), 1 => anything().prop_map(Some), 1 => Just(None)].prop_map(
            move |version| {
                let mut document = document.clone();
                if let (Some(version), Some(table)) = (version, document.as_object_mut()) {
                    table.insert("version".into(), version);
                }
                document
            },
        )
    })
}

/// What can be said without comparing instances or looking at the machine.
const STRUCTURE: [&str; 6] = ["version", "unknown-key", "type", "value", "instance-name", "env-name"];

fn codes(scene: &Scene) -> Vec<&'static str> {
    let mut codes: Vec<_> = match scene.load() {
        Ok(_) => Vec::new(),
        Err(report) => report.failures.iter().map(|f| f.code.id.trim_start_matches("nixbox::config::")).collect(),
    };
    codes.sort_unstable();
    codes
}

#[test]
fn the_random_documents_are_some_right_and_some_wrong() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let valid = (0..300).filter(|_| VALIDATOR.is_valid(&document().new_tree(&mut runner).unwrap().current())).count();
    println!("{valid} of 300 are valid");
    assert!((60..240).contains(&valid), "{valid}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_schema_accepts_what_the_parser_accepts(document in document()) {
        let json = Scene::bare().with(|sources, _| sources.config = Some("nixbox.json".into()));
        json.write("nixbox.json", serde_json::to_vec_pretty(&document).unwrap());
        let found = codes(&json);
        let broken = found.iter().any(|code| STRUCTURE.contains(code));
        prop_assert_eq!(VALIDATOR.is_valid(&document), !broken, "{:?}", found);

        // And one document means one thing in both formats.
        let toml = Scene::new(&toml::to_string(&document).unwrap());
        prop_assert_eq!(codes(&toml), found);
    }
}
