//! Days and moments as a query string has them.

use plasma_kernel::{Error, Result, Timestamp};

use crate::calls::{DAY_MICROS, day_of};

/// The day of a date such as `2026-11-22`, counted from 1970-01-01.
///
/// # Errors
/// `invalid`, naming `field`.
pub(crate) fn day_of_text(field: &str, text: &str) -> Result<i64> {
    date(text).ok_or_else(|| Error::invalid(field, "must be a date such as 2026-11-22"))
}

/// The moment of a date, which is its beginning or (`end`) that of the next day, or of a time in UTC such as
/// `2026-11-22T10:30:00Z`.
///
/// # Errors
/// `invalid`, naming `field`.
pub(crate) fn moment_of_text(field: &str, text: &str, end: bool) -> Result<Timestamp> {
    let moment = match text.split_once('T') {
        None => date(text).map(|day| (day + i64::from(end)) * DAY_MICROS),
        Some((day, time)) => date(day).zip(seconds(time)).map(|(day, seconds)| day * DAY_MICROS + seconds * 1_000_000),
    };
    moment.ok_or_else(|| {
        Error::invalid(field, "must be a date such as 2026-11-22 or a time such as 2026-11-22T10:30:00Z")
    })
}

fn date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let mut next = |digits| number(parts.next()?, digits);
    day_of(next(4)?, next(2)?, next(2)?)
}

/// Seconds of the day.
fn seconds(text: &str) -> Option<i64> {
    let mut parts = text.strip_suffix('Z')?.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| number(second, 2))?;
    (hour < 24 && minute < 60 && second < 60).then_some((hour * 60 + minute) * 60 + second)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let fits = text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_and_nonsense_is_refused() {
        assert_eq!(date("2026-11-22"), Some(20_779));
        let at = |text, end| moment_of_text("from", text, end).ok();
        assert_eq!(at("1970-01-02", false), Some(DAY_MICROS));
        assert_eq!(at("1970-01-02", true), Some(2 * DAY_MICROS));
        assert_eq!(at("1970-01-01T01:02:03Z", true), Some(3_723_000_000));
        assert_eq!(at("1970-01-01T01:02Z", false), Some(3_720_000_000));
        for wrong in [
            "",
            "2026-02-30",
            "2026-1-1",
            "26-01-01",
            "2026-01-01-01",
            "+026-01-01",
            "2026-01-01T24:00:00Z",
            "2026-01-01T10:00:00",
            "2026-01-01T10Z",
            "2026-01-01T10:60Z",
            "T",
            "2026-01-01T1:00:00:00Z",
        ] {
            assert_eq!(at(wrong, false), None, "{wrong}");
        }
    }
}
