//! The same times in the words of systemd, or none: what it cannot say exactly is refused. Modules say them where no
//! program runs (`modules/lib/on-calendar.nix`), and are held against the same cases.

/// Why systemd is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wordless {
    #[error("cron has five fields, six or seven")]
    Fields,
    #[error("systemd has no words for this cron, or it is none")]
    Cron,
    #[error("systemd has no words for a day of the month that is also such a day of the week")]
    Both,
    #[error("systemd is told a point in time in UTC, such as 2026-11-21T06:45:00Z")]
    At,
}

const NICKNAMES: [(&str, &str); 6] = [
    ("@YEARLY", "0 0 1 1 *"),
    ("@ANNUALLY", "0 0 1 1 *"),
    ("@MONTHLY", "0 0 1 * *"),
    ("@WEEKLY", "0 0 * * 0"),
    ("@DAILY", "0 0 * * *"),
    ("@HOURLY", "0 * * * *"),
];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// A day of the week, and the days of a month on which it counts.
type Special = (&'static str, String);

/// Each an `OnCalendar=` of its own; any of them is enough.
pub fn on_calendar(cron: &str, zone: Option<&str>) -> Result<Vec<String>, Wordless> {
    let text = numbered(cron);
    let given: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let [second, minute, hour, date, month, weekday, year] = match given[..] {
        [a, b, c, d, e] => ["0", a, b, c, d, e, "*"],
        [a, b, c, d, e, f] => [a, b, c, d, e, f, "*"],
        [a, b, c, d, e, f, g] => [a, b, c, d, e, f, g],
        _ => return Err(Wordless::Fields),
    };
    let open = |text: &'_ str| if text == "?" { "*".to_owned() } else { text.to_owned() };
    let (date, is_both) = (open(date), weekday.starts_with('+'));
    let weekday = open(weekday.strip_prefix('+').unwrap_or(weekday));

    let clock = [field(hour, Some(0))?, field(minute, Some(0))?, field(second, Some(0))?].join(":");
    let (month, year) = (field(month, Some(1))?, field(year, None)?);
    let dates = dates(&date)?;
    let (weekly, special) = weekdays(&weekday)?;

    let zone = zone.map(|zone| format!(" {zone}")).unwrap_or_default();
    let entry = |day: &str, date: &str| {
        let gap = if day.is_empty() { "" } else { " " };
        format!("{day}{gap}{year}-{month}{date} {clock}{zone}")
    };
    let by_date = dates.iter().map(|date| entry("", date));
    let every_week = Some(entry(&weekly, "-*")).filter(|_| !weekly.is_empty());
    let by_day = every_week.into_iter().chain(special.iter().map(|(day, date)| entry(day, date)));
    match (date.as_str(), weekday.as_str()) {
        ("*", "*") => Ok(vec![entry("", "-*")]),
        (_, "*") => Ok(by_date.collect()),
        ("*", _) => Ok(by_day.collect()),
        _ if !is_both => Ok(by_date.chain(by_day).collect()),
        _ if special.is_empty() => Ok(dates.iter().map(|date| entry(&weekly, date)).collect()),
        _ => Err(Wordless::Both),
    }
}

/// Of one point in time, as RFC 3339 has it.
pub fn on_calendar_once(at: &str) -> Result<Vec<String>, Wordless> {
    let is_utc = at.len() == "2026-11-21T06:45:00Z".len() && at.ends_with('Z') && crate::Calendar::at(at).is_ok();
    match is_utc.then(|| at[..at.len() - 1].split_once('T')).flatten() {
        Some((date, time)) => Ok(vec![format!("{date} {time} UTC")]),
        None => Err(Wordless::At),
    }
}

/// Nicknames and names as numbers.
fn numbered(cron: &str) -> String {
    let upper = cron.to_ascii_uppercase();
    let cron = NICKNAMES.iter().find(|(name, _)| *name == upper).map_or(upper.as_str(), |(_, cron)| cron);
    // A week that ends with Sunday ends with its seventh day.
    let text = cron.replace("-SUN", "-7");
    let days = DAYS.iter().enumerate().map(|(at, name)| (name.to_ascii_uppercase(), at));
    let months = MONTHS.iter().enumerate().map(|(at, name)| ((*name).to_owned(), at + 1));
    days.chain(months).fold(text, |text, (name, number)| text.replace(&name, &number.to_string()))
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `from-to` or `from-to/step`
fn range(one: &str) -> Option<(u32, u32, Option<u32>)> {
    let (from, rest) = one.split_once('-')?;
    let (to, step) = match rest.split_once('/') {
        Some((to, step)) => (to, Some(number(step)?)),
        None => (rest, None),
    };
    Some((number(from)?, number(to)?, step))
}

/// One of numbers from `least` on; without that, steps have no beginning.
fn field(text: &str, least: Option<u32>) -> Result<String, Wordless> {
    let item = |one: &str| -> Option<String> {
        match (one, one.strip_prefix("*/"), range(one)) {
            ("*", ..) => Some("*".into()),
            (_, Some(step), _) => Some(format!("{}/{}", least?, number(step)?)),
            (.., Some((from, to, step))) => {
                Some(format!("{from}..{to}{}", step.map(|step| format!("/{step}")).unwrap_or_default()))
            }
            _ => number(one).map(|number| number.to_string()),
        }
    };
    let items = text.split(',').map(item).collect::<Option<Vec<_>>>().ok_or(Wordless::Cron)?;
    Ok(if items.iter().any(|item| item == "*") { "*".into() } else { items.join(",") })
}

/// Days of the month: by number, and the last.
fn dates(text: &str) -> Result<Vec<String>, Wordless> {
    let (last, plain): (Vec<_>, Vec<_>) = text.split(',').partition(|one| *one == "L");
    let plain = match plain.is_empty() {
        true => None,
        false => Some(format!("-{}", field(&plain.join(","), Some(1))?)),
    };
    Ok(plain.into_iter().chain(last.first().map(|_| "~01".to_owned())).collect())
}

/// Days of the week: those of every week, and those of one in the month.
fn weekdays(text: &str) -> Result<(String, Vec<Special>), Wordless> {
    let (mut weekly, mut special) = (Vec::new(), Vec::new());
    for one in text.split(',') {
        match every_week(one) {
            Some(days) => weekly.extend(days),
            None => special.push(once_a_month(one).ok_or(Wordless::Cron)?),
        }
    }
    let mut shown: Vec<&str> = Vec::new();
    for day in weekly.into_iter().filter_map(name) {
        if !shown.contains(&day) {
            shown.push(day);
        }
    }
    Ok((shown.join(","), special))
}

fn name(day: u32) -> Option<&'static str> {
    DAYS.get(day as usize % 7).copied().filter(|_| day <= 7)
}

fn every_week(one: &str) -> Option<Vec<u32>> {
    let (from, to, step) = match (one, one.strip_prefix("*/"), range(one)) {
        ("*", ..) => (0, 6, 1),
        (_, Some(step), _) => (0, 6, number(step)?),
        (.., Some((from, to, step))) => (from, to, step.unwrap_or(1)),
        _ => number(one).map(|day| (day, day, 1))?,
    };
    (from <= to && to <= 7 && step > 0).then(|| (from..=to).step_by(step as usize).collect())
}

/// `5#2`, the second Friday, or `5L`, the last.
fn once_a_month(one: &str) -> Option<Special> {
    if let Some(day) = one.strip_suffix('L') {
        return Some((name(number(day)?)?, "~07/1".into()));
    }
    let (day, nth) = one.split_once('#')?;
    let first = 7 * (number(nth).filter(|nth| (1..=5).contains(nth))? - 1) + 1;
    Some((name(number(day)?)?, format!("-{first}..{}", if first > 25 { 31 } else { first + 6 })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told_the_same_times_or_none() {
        let text = include_str!("on_calendar_cases.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 25);
        for case in cases {
            let word = |key: &str| case[key].as_str();
            let told = match word("cron") {
                Some(cron) => on_calendar(cron, word("timezone")),
                None => on_calendar_once(word("at").unwrap()),
            };
            let expected = case["calendar"].as_array().map(|all| all.iter().map(|one| one.as_str().unwrap()).collect());
            let found: Option<Vec<&str>> = told.as_ref().ok().map(|all| all.iter().map(String::as_str).collect());
            assert_eq!(found, expected, "{case}");
        }
    }
}
