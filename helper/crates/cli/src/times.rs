//! Points in time as people write and read them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment(pub f64);

/// RFC 3339, or how long ago: `90s`, `10m`, `2h`, `3d`, `1w`.
pub fn parse(text: &str) -> Result<Moment, String> {
    if let Some(ago) = ago(text) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        return Ok(Moment(now - ago));
    }
    let moment: Timestamp = text
        .parse()
        .map_err(|_| "give a time like 2026-11-21T06:45:00Z, or how long ago: 90s, 10m, 2h, 3d, 1w".to_owned())?;
    Ok(Moment(moment.as_second() as f64 + f64::from(moment.subsec_nanosecond()) / 1e9))
}

fn ago(text: &str) -> Option<f64> {
    let unit = match text.chars().last()? {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        'd' => 86_400.0,
        'w' => 604_800.0,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    number.parse::<f64>().ok().filter(|_| plain).map(|number| number * unit)
}

/// `2026-11-21T06:45:22Z`, with milliseconds where there are some.
pub fn rfc3339(seconds: f64) -> String {
    let Some(moment) = timestamp(seconds) else { return seconds.to_string() };
    match moment.subsec_millisecond() {
        0 => moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        _ => moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    }
}

/// `2026-11-21T06:45:22.120Z`, as logs have it: always with milliseconds, so that text sorts as time does.
pub fn for_logs(seconds: f64) -> String {
    timestamp(seconds).map_or_else(String::new, |moment| format!("{moment:.3}"))
}

/// `2026-11-21 06:45:22`, in UTC.
pub fn for_tables(seconds: f64) -> String {
    timestamp(seconds).map_or_else(|| seconds.to_string(), |moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// A database may hold times that no clock shows.
fn timestamp(seconds: f64) -> Option<Timestamp> {
    let millis = seconds * 1000.0;
    Timestamp::from_millisecond(millis.round() as i64).ok().filter(|_| millis.is_finite())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_read_in_both_ways() {
        assert_eq!(parse("2026-11-21T06:45:00.5+01:00").unwrap(), Moment(1_795_239_900.5));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        for (text, ago) in [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("3d", 259_200.0), ("1w", 604_800.0)] {
            assert!((now - ago - parse(text).unwrap().0).abs() < 5.0, "{text}");
        }
        for text in ["", "m", "-3d", "yesterday", "10", "3 d", "infd", "1e3s"] {
            parse(text).unwrap_err();
        }
    }

    #[test]
    fn whole_seconds_and_fractions_are_both_shown_right() {
        assert_eq!(rfc3339(1_795_243_522.0), "2026-11-21T06:45:22Z");
        assert_eq!(rfc3339(1_795_243_522.25), "2026-11-21T06:45:22.250Z");
        assert_eq!(for_tables(1_795_243_522.25), "2026-11-21 06:45:22");
        assert_eq!(for_tables(f64::MAX), f64::MAX.to_string());
    }
}
