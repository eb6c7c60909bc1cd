//! A thousand damaged files: never a panic, always told where.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use nixbox_report::codes;
use support::{Scene, mutation};

#[test]
fn the_undamaged_file_loads() {
    assert_eq!(Scene::new(mutation::WHOLE).project().instances.len(), 6);
}

#[test]
fn a_thousand_damaged_files_are_refused_with_file_line_and_key() {
    let scene = Scene::bare();
    let file = scene.dir.join("nixbox.toml");
    let (mut refused, mut seed) = (0, 0);
    let (mut of_syntax, mut without_key) = (0, 0);
    while refused < 1_000 {
        seed += 1;
        assert!(seed < 3_000, "the damages do no harm: {refused} of {seed}");
        let text = mutation::mutated(seed);
        scene.write("nixbox.toml", &text);
        let Err(report) = scene.load() else { continue };
        refused += 1;
        let shown = String::from_utf8_lossy(&text);
        assert_eq!(report.exit(), 2, "seed {seed}\n{shown}");
        assert!(!report.failures.is_empty());
        for failure in &report.failures {
            let place = failure.place.as_ref().unwrap_or_else(|| panic!("seed {seed}: {failure:?}\n{shown}"));
            assert_eq!(place.file, file);
            assert!(place.line.is_some_and(|line| line >= 1), "seed {seed}: {failure:?}\n{shown}");
            assert!(place.line <= Some(1 + shown.matches('\n').count()), "seed {seed}: {failure:?}\n{shown}");
            assert!(failure.help.is_some(), "seed {seed}: {failure:?}");
            if *failure.code == codes::CONFIG_SYNTAX {
                of_syntax += 1;
                without_key += usize::from(place.key.is_none());
            } else {
                assert!(place.key.is_some(), "seed {seed}: {failure:?}\n{shown}");
            }
        }
    }
    // Text that is no TOML need not stand on a key; it nearly always stands in a table at least.
    println!("{seed} files, {refused} refused, {of_syntax} problems of syntax, {without_key} of them without a key");
    assert!(without_key * 10 < of_syntax, "{without_key} of {of_syntax}");
}

#[test]
fn random_bytes_do_no_harm_in_either_format() {
    let scene = Scene::bare().with(|sources, dir| sources.config = Some(dir.join("nixbox.json")));
    for seed in 0..500_u64 {
        let json = br#"{"version": 1, "instances": {"a": {"env": {"A": "\ud83d\ude00"}, "mount": {"uid": 5}}}}"#;
        let at = (seed as usize * 7) % json.len();
        let mut text = json.to_vec();
        text[at] = (seed.wrapping_mul(0x9e37_79b9) >> 8) as u8;
        scene.write("nixbox.json", &text);
        if let Err(report) = scene.load() {
            assert_eq!(report.exit(), 2);
            assert!(report.failures.iter().all(|f| f.place.as_ref().is_some_and(|place| place.line == Some(1))));
        }
    }
}

#[test]
fn nesting_without_end_is_refused_and_not_followed() {
    for (name, text) in [
        ("nixbox.json", format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000))),
        ("nixbox.json", format!("{{\"version\":{}", "[".repeat(100_000))),
        ("nixbox.toml", format!("version = {}", "[".repeat(100_000))),
        ("nixbox.toml", format!("version = 1\n{}x = 1", "a.".repeat(100_000))),
    ] {
        let scene = Scene::bare().with(|sources, dir| sources.config = Some(dir.join(name)));
        scene.write(name, &text);
        assert_eq!(scene.load().expect_err("refused").exit(), 2);
    }
}
