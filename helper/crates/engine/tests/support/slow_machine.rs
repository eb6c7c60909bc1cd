//! What tests need of a machine that is slow, busy, or stands still for some seconds: they fail where the program is slow,
//! and not where the machine is.
#![allow(dead_code)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(1);
/// A sleep that ends so much later than it should is nothing that anybody holds up.
const USUAL: Duration = Duration::from_millis(2);

/// How long to look again and again before it is given up. On any machine this is the time of one that hangs.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// So often it is looked at least: a machine that stood still for all of that time gives nobody the chance to do anything.
const LOOKS: u32 = 300;

pub struct Patience {
    until: Instant,
    looks: u32,
}

impl Patience {
    pub fn new() -> Self {
        Self { until: Instant::now() + PATIENCE, looks: 0 }
    }

    /// Asked once for each look.
    pub fn is_over(&mut self) -> bool {
        self.looks += 1;
        self.looks > LOOKS && Instant::now() > self.until
    }
}

/// What the machine itself held up: processors that others had, a disk that did not answer, a moment in which all of it
/// stood still. A promise of time is measured against that. Watched from when it is made until it is dropped.
pub struct HeldUp {
    begun: Instant,
    pressure: Duration,
    /// Microseconds. A machine that stands still does not count that as pressure; whoever sleeps meanwhile is late.
    late: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl HeldUp {
    pub fn watch() -> Self {
        let (late, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counts, is_over) = (late.clone(), over.clone());
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(TICK);
                let by = begun.elapsed() - TICK;
                if by > USUAL {
                    counts.fetch_add(by.as_micros() as u64, Ordering::Relaxed);
                }
            }
        });
        Self { begun: Instant::now(), pressure: pressure(), late, over }
    }

    /// At most: what waited for two things at once counts twice.
    pub fn so_far(&self) -> Duration {
        let late = Duration::from_micros(self.late.load(Ordering::Relaxed));
        pressure().saturating_sub(self.pressure) + late
    }

    /// Since the watch began, less has gone by than that and what the machine has held up.
    #[track_caller]
    pub fn assert_within(&self, limit: Duration, what: &str) {
        let took = self.begun.elapsed();
        // Whoever watches may have to come back first, too.
        thread::sleep(TICK * 3);
        let held_up = self.so_far();
        assert!(took < limit + held_up, "{what}: {took:?}, of which the machine held up {held_up:?}");
    }
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// How long somebody has waited for a processor, for the disk or for memory, ever; nothing where the kernel does not
/// tell.
fn pressure() -> Duration {
    let total = |what: &str| -> Option<u64> {
        let told = fs::read_to_string(format!("/proc/pressure/{what}")).ok()?;
        told.lines().next()?.rsplit_once("total=")?.1.parse().ok()
    };
    Duration::from_micros(["cpu", "io", "memory"].iter().filter_map(|what| total(what)).sum())
}
