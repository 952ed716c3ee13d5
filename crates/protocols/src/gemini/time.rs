//! Times as `ProtoJSON` writes them (RFC 3339) from and to seconds since 1970 UTC.

const DAY_SECONDS: i64 = 86_400;

/// The seconds of a time such as `2026-11-26T18:59:24.5Z` or `…+01:00`; `None` when it is no such time.
pub(super) fn to_seconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, offset) = split_offset(time)?;
    let mut clock = clock.split('.').next()?.splitn(3, ':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let is_sane = (1..=9_999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    (is_sane && hour < 24 && minute < 60 && second <= 60)
        .then(|| days_from_civil(year, month, day) * DAY_SECONDS + hour * 3_600 + minute * 60 + second - offset)
}

/// The time as text; `None` outside of the years 1 to 9999.
pub(super) fn from_seconds(seconds: i64) -> Option<String> {
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS))?;
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

/// Days since 1970 of a date in the Gregorian calendar, by counting eras of 400 years that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> Option<(i64, i64, i64)> {
    // The years 1 to 9999.
    if !(-719_162..=2_932_896).contains(&days) {
        return None;
    }
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some((year, month, day))
}
