use crate::support::Test;

/// Every verb as its help shows it. `INSTA_UPDATE=always cargo test -p nixbox-helper help` writes them anew.
#[test]
fn every_verb_explains_itself_with_examples() {
    let test = Test::new();
    let all = test.run("--help").success().stdout;
    insta::assert_snapshot!("help", all);
    let verbs: Vec<&str> = all
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    // What follows holds for every one of them only if the list was read right, from its first to its last.
    assert_eq!((verbs.first(), verbs.last()), (Some(&"init"), Some(&"schema")), "{verbs:?}");
    let inner = [
        "config check",
        "config show",
        "config schema",
        "instance relocate",
        "instance rm",
        "kv get",
        "kv set",
        "kv list",
        "kv delete",
        "fs ls",
        "fs cat",
        "fs write",
        "fs cp",
        "fs mv",
        "fs rm",
        "fs mkdir",
        "fs stat",
        "fs find",
        "fs tree",
        "fs apply",
        "tool record",
        "tool start",
        "tool finish",
        "schedule ls",
        "schedule run",
        "schedule pause",
        "schedule resume",
        "schedule keep",
        "snapshot ls",
        "snapshot restore",
        "sync status",
        "sync pull",
        "sync push",
        "sync fetch",
        "sync take",
        "sync release",
        "sync conflicts",
        "sync resolve",
        "sync enable",
        "sync disable",
        "sync log",
        "sync checkpoint",
    ];
    for verb in verbs.into_iter().chain(inner) {
        let text = test.run(&format!("{verb} --help")).success().stdout;
        assert!(
            text.contains("Examples:\n  nixbox-helper ")
                || text.contains("Examples:\n  e")
                || text.contains("Examples:\n  c")
                || text.contains("Examples:\n  id=$(nixbox-helper "),
            "{verb}: {text}"
        );
        insta::assert_snapshot!(format!("help-{}", verb.replace(' ', "-")), text);
    }
}

#[test]
fn the_version_is_the_packages() {
    Test::new().run("--version").stdout(concat!("nixbox-helper ", env!("CARGO_PKG_VERSION"), "\n")).success();
}

#[test]
fn colour_is_for_those_who_see_it() {
    // An instance may have a state's name.
    let test = Test::new().config("[instances.stopped]\n");
    assert!(!test.run("ps").success().stdout.contains('\u{1b}'));
    let coloured = test.run("ps --color always").success().stdout;
    assert!(coloured.contains("\nstopped   \u{1b}[2mstopped\u{1b}[0m  "), "{coloured:?}");
    assert!(!test.run("ps --color never").success().stdout.contains('\u{1b}'));
}
