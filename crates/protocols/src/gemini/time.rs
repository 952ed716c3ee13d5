//! Times as `ProtoJSON` writes them (RFC 3339) from and to seconds since 1970 UTC.

use plasma_kernel::{date_of_day, day_of_date};

const DAY_SECONDS: i64 = 86_400;

/// The seconds of a time such as `2026-11-26T18:59:24.5Z` or `…+01:00`; `None` when it is no such time.
pub(super) fn to_seconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, offset) = split_offset(time)?;
    let mut clock = clock.split('.').next()?.splitn(3, ':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let day = day_of_date(year, month, day)?;
    (year >= 1 && hour < 24 && minute < 60 && second <= 60)
        .then(|| day * DAY_SECONDS + hour * 3_600 + minute * 60 + second - offset)
}

/// The time as text; `None` outside of the years 1 to 9999.
pub(super) fn from_seconds(seconds: i64) -> Option<String> {
    let (year, month, day) = date_of_day(seconds.div_euclid(DAY_SECONDS));
    if !(1..=9_999).contains(&year) {
        return None;
    }
    let second = seconds.rem_euclid(DAY_SECONDS);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// The time of day, and the seconds by which it is ahead of UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let (clock, offset, sign) = match time.split_once('+') {
        Some((clock, offset)) => (clock, offset, 1),
        None => time.split_once('-').map(|(clock, offset)| (clock, offset, -1))?,
    };
    let (hours, minutes) = offset.split_once(':')?;
    Some((clock, sign * (digits(hours)? * 3_600 + digits(minutes)? * 60)))
}

/// A number of one to four digits.
fn digits(text: &str) -> Option<i64> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}
