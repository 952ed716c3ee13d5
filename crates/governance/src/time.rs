//! Times as text.

use plasma_kernel::{Timestamp, date_of_day};

struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

fn parts(at: Timestamp) -> Parts {
    let seconds = at.div_euclid(1_000_000);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of_day(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    Parts { year, month, day, hour, minute, second, micros: at.rem_euclid(1_000_000) }
}

/// As in `2026-11-22T10:09:08.000007Z` (RFC 3339).
pub(crate) fn extended(at: Timestamp) -> String {
    let Parts { year, month, day, hour, minute, second, micros } = parts(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// As in `2026-11-22T10:09:08Z`.
pub(crate) fn whole_seconds(at: Timestamp) -> String {
    let Parts { year, month, day, hour, minute, second, .. } = parts(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// As in `20261122T100908Z` (ISO 8601, basic format).
pub(crate) fn basic(at: Timestamp) -> String {
    let Parts { year, month, day, hour, minute, second, .. } = parts(at);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_moment_in_three_forms() {
        let at = 1_369_353_600_000_007;
        assert_eq!(extended(at), "2013-05-24T00:00:00.000007Z");
        assert_eq!(whole_seconds(at), "2013-05-24T00:00:00Z");
        assert_eq!(basic(at), "20130524T000000Z");
        assert_eq!(extended(-1), "1969-12-31T23:59:59.999999Z");
    }
}
