//! Shell entry waits for this crate: fifty instances must cost next to nothing.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::fmt::Write;
use std::time::{Duration, Instant};

use nixbox_config::env::{Addresses, exports};
use support::Scene;

#[test]
fn fifty_instances_are_loaded_and_exported_within_the_budget() {
    let mut text = String::from("version = 1\n");
    for at in 0..50 {
        let port = 7000 + at;
        write!(text, "[instances.box-{at}]\ndescription = \"box\"\nhttp.port = {port}\nenv.A = \"{at}\"\n").unwrap();
    }
    let scene = Scene::new(&text);
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let start = Instant::now();
            let project = scene.project();
            assert!(exports(&project, None, |_| Addresses::default()).len() > 500);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("p50 {:?}, p95 {:?}", times[100], times[190]);
    // A debug build; released it is a tenth. The whole of `env` has 5 ms. In the best of them nobody else was busy.
    let budget = if cfg!(debug_assertions) { 50 } else { 3 };
    assert!(times[0] < Duration::from_millis(budget), "{:?}", times[0]);
}
