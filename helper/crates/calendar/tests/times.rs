//! Times in several zones, around the days on which their clocks are set.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nixbox_calendar::{Calendar, Refused};

fn cron(text: &str, zone: &str) -> Calendar {
    Calendar::cron(text, TimeZone::get(zone).unwrap()).unwrap()
}

/// The next ones after that time, as the zone's own clocks show them.
fn times(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let (calendar, tz) = (cron(text, zone), TimeZone::get(zone).unwrap());
    let mut now: Timestamp = after.parse().unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        now = calendar.next(now).unwrap().nominal;
        all.push(now.to_zoned(tz.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string());
    }
    all
}

#[test]
fn fields_are_five_six_or_seven_and_have_names() {
    let after = "2026-11-21T06:45:22Z";
    assert_eq!(times("0 3 * * *", "UTC", after, 1), ["2026-11-22 03:00:00 +00:00"]);
    assert_eq!(times("30 0 3 * * *", "UTC", after, 1), ["2026-11-22 03:00:30 +00:00"]);
    assert_eq!(times("0 0 3 1 jan * 2030", "UTC", after, 1), ["2030-01-01 03:00:00 +00:00"]);
    assert_eq!(times("@weekly", "UTC", after, 1), ["2026-11-22 00:00:00 +00:00"]);
    assert_eq!(times("0 0 L * *", "UTC", after, 2), ["2026-11-30 00:00:00 +00:00", "2026-12-31 00:00:00 +00:00"]);
    // Either of the two, as cron has it.
    assert_eq!(times("0 0 13 * FRI", "UTC", after, 2), ["2026-11-27 00:00:00 +00:00", "2026-12-04 00:00:00 +00:00"]);
    assert_eq!(times("0 12 29 2 *", "UTC", after, 2), ["2028-02-29 12:00:00 +00:00", "2032-02-29 12:00:00 +00:00"]);
    let fraction = cron("* * * * * *", "UTC").next("2026-11-21T06:45:22.7Z".parse().unwrap()).unwrap();
    assert_eq!(fraction.at.to_string(), "2026-11-21T06:45:23Z");
}

#[test]
fn what_is_never_or_is_no_time_is_refused_with_the_reason() {
    let refused = |text: &str| Calendar::cron(text, TimeZone::UTC).unwrap_err();
    for never in ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
        assert_eq!(refused(never), Refused::Never, "{never}");
    }
    for wrong in
        ["", "* * * *", "61 * * * *", "@reboot", "0 0 * * XYZ", "a b c d e", "0 0 3 1 1 * 2030 1", "0/5 * * * *"]
    {
        assert!(matches!(refused(wrong), Refused::Cron(why) if !why.is_empty()), "{wrong}");
    }
    for wrong in [
        "2026-11-21",
        "2026-11-21T06:45Z",
        "2026-02-30T00:00:00Z",
        "2026-11-21T06:45:00",
        "tomorrow",
        "2026-11-21T06:45:00.Z",
    ] {
        assert_eq!(Calendar::at(wrong).unwrap_err(), Refused::At, "{wrong}");
    }
    let once = Calendar::at("2026-11-21T06:45:00.5+01:00").unwrap();
    let due = once.next("2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(due.at.to_string(), "2026-11-21T05:45:00.5Z");
    assert_eq!(once.next(due.at), None);
}

/// In Europe an hour is left out in March, on Lord Howe half an hour in October, in Chile the midnight itself.
#[test]
fn a_time_that_is_left_out_comes_right_after() {
    assert_eq!(
        times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
        ["2026-03-29 03:00:00 +02:00", "2026-03-30 02:30:00 +02:00"]
    );
    assert_eq!(
        times("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T02:00:00Z", 2),
        ["2026-10-04 02:30:00 +11:00", "2026-10-05 02:15:00 +11:00"]
    );
    assert_eq!(
        times("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", 2),
        ["2026-09-06 01:00:00 -03:00", "2026-09-07 00:00:00 -03:00"]
    );
    // Every so often is by the clock that everybody has.
    assert_eq!(
        times("*/30 * * * *", "America/New_York", "2026-03-08T06:15:00Z", 3),
        ["2026-03-08 01:30:00 -05:00", "2026-03-08 03:00:00 -04:00", "2026-03-08 03:30:00 -04:00"]
    );
}

#[test]
fn a_time_that_comes_twice_is_once_and_every_so_often_goes_on() {
    assert_eq!(
        times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25 02:30:00 +02:00", "2026-10-26 02:30:00 +01:00"]
    );
    assert_eq!(
        times("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2),
        ["2026-11-01 01:30:00 -04:00", "2026-11-02 01:30:00 -05:00"]
    );
    assert_eq!(
        times("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 6),
        [
            "2026-10-25 02:00:00 +02:00",
            "2026-10-25 02:30:00 +02:00",
            "2026-10-25 02:00:00 +01:00",
            "2026-10-25 02:30:00 +01:00",
            "2026-10-25 03:00:00 +01:00",
            "2026-10-25 03:30:00 +01:00",
        ]
    );
}

#[test]
fn jitter_is_bounded_and_the_same_each_time() {
    let most = Duration::from_secs(600);
    let jittered = |name: &str| cron("0 * * * *", "UTC").with_jitter(most, name);
    let (one, other) = (jittered("one"), jittered("other"));
    let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let (mut differ, mut sum) = (0, 0);
    for _ in 0..1000 {
        let due = one.next(now).unwrap();
        assert_eq!(Some(due), jittered("one").next(now));
        let late = due.at.duration_since(due.nominal).as_millis();
        assert!((0..=600_000).contains(&late), "{late}");
        sum += late;
        differ += u32::from(other.next(now).unwrap().at != due.at);
        now = due.nominal;
    }
    assert!(differ > 990, "{differ}");
    // Spread evenly: the mean of a thousand is near the middle.
    assert!((270_000..330_000).contains(&(sum / 1000)), "{}", sum / 1000);
}
