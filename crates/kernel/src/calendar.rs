//! Days as dates of the proleptic Gregorian calendar.
//!
//! Inside, years count from March, so that the leap day is the last of its year; 400 years have 146,097 days and 5 months (March
//! to July, August to December) 153.

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
const ERA_DAYS: i64 = 146_097;

/// Year, month and day of the month of a day that is counted from 1970-01-01.
pub fn date_of_day(day: i64) -> (i64, i64, i64) {
    let days = day + EPOCH_DAYS;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_month)
}

/// The inverse, in the years 0 to 9999; `None` when the calendar has no such date.
pub fn day_of_date(year: i64, month: i64, day_of_month: i64) -> Option<i64> {
    if !(0..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day_of_month) {
        return None;
    }
    let year_from_march = if month > 2 { year } else { year - 1 };
    let era = year_from_march.div_euclid(400);
    let year_of_era = year_from_march.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day_of_month - 1;
    let day = era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_DAYS;
    // The 30th of February became a day of March.
    (date_of_day(day) == (year, month, day_of_month)).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (day, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (19_782, (2024, 2, 29)),
            (20_779, (2026, 11, 22)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date_of_day(day), date);
        }
        for day in (-719_000..2_900_000).step_by(7) {
            let (year, month, day_of_month) = date_of_day(day);
            assert_eq!(day_of_date(year, month, day_of_month), Some(day));
        }
        for (year, month, day) in [(2026, 2, 29), (2026, 4, 31), (2026, 13, 1), (2026, 0, 1), (2026, 1, 0), (-1, 1, 1)]
        {
            assert_eq!(day_of_date(year, month, day), None);
        }
    }

    #[test]
    fn every_day_has_its_own_date_in_order() {
        let dates: Vec<_> = (-200_000..200_000).map(date_of_day).collect();
        assert!(dates.iter().zip(dates.iter().skip(1)).all(|(a, b)| a < b));
    }
}
