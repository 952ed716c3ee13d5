//! The generic cell rate algorithm (ITU-T I.371) with takes of any size, and corrections afterwards.

use std::time::Duration;

/// What is earned in this time may be taken at once.
const WINDOW_NS: i64 = 60_000_000_000;
/// Debts beyond this are not counted: about a year.
const DEBT_NS_MAX: i64 = 1 << 55;

/// How far an allowance of so many a minute is used. Times are nanoseconds since a common start.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// When all that was taken will have been earned again, …
    earned_at: i64,
    /// … at this rate.
    per_minute: u32,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It would fit after this time.
    For(Duration),
    /// It is more than a minute's allowance.
    TooMuch,
}

fn time_of(amount: u64, per_minute: u32) -> i64 {
    let nanoseconds = u128::from(amount) * u128::from(WINDOW_NS.unsigned_abs()) / u128::from(per_minute.max(1));
    i64::try_from(nanoseconds).unwrap_or(DEBT_NS_MAX).min(DEBT_NS_MAX)
}

impl Rate {
    /// Takes `amount`, unless that is more than is there.
    pub(super) fn take(&mut self, now: i64, amount: u64, per_minute: u32) -> Result<(), Refused> {
        self.set(now, per_minute);
        let time = time_of(amount, per_minute);
        if time > WINDOW_NS {
            return Err(Refused::TooMuch);
        }
        let earned_at = self.earned_at.max(now) + time;
        let excess = earned_at - now - WINDOW_NS;
        if excess > 0 {
            return Err(Refused::For(Duration::from_nanos(excess.unsigned_abs())));
        }
        self.earned_at = earned_at;
        Ok(())
    }

    /// Takes `amount`, there or not: what was used cannot be refused.
    pub(super) fn add(&mut self, now: i64, amount: u64, per_minute: u32) {
        self.set(now, per_minute);
        self.earned_at = (self.earned_at.max(now) + time_of(amount, per_minute)).min(now + DEBT_NS_MAX);
    }

    /// Gives back `amount` of what was taken.
    pub(super) fn give_back(&mut self, now: i64, amount: u64, per_minute: u32) {
        self.set(now, per_minute);
        self.earned_at = self.earned_at.saturating_sub(time_of(amount, per_minute)).max(0);
    }

    /// When the rate was changed, what is taken takes another time to be earned.
    fn set(&mut self, now: i64, per_minute: u32) {
        let before = std::mem::replace(&mut self.per_minute, per_minute);
        if before != per_minute && self.earned_at > now {
            let debt = i128::from(self.earned_at - now) * i128::from(before) / i128::from(per_minute.max(1));
            self.earned_at = now + i64::try_from(debt).unwrap_or(DEBT_NS_MAX).min(DEBT_NS_MAX);
        }
    }

    /// Whether all is earned again.
    pub(super) fn is_full(&self, now: i64) -> bool {
        self.earned_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn wait(seconds: i64) -> Result<(), Refused> {
        Err(Refused::For(Duration::from_secs(seconds.unsigned_abs())))
    }

    #[test]
    fn a_minutes_allowance_is_there_at_once_and_comes_back_evenly() {
        let mut rate = Rate::default();
        for _ in 0..60 {
            rate.take(0, 1, 60).unwrap();
        }
        assert_eq!(rate.take(0, 1, 60), wait(1));
        assert_eq!(rate.take(SECOND, 1, 60), Ok(()));
        assert_eq!(rate.take(SECOND, 1, 60), wait(1));
        assert_eq!(rate.take(SECOND, 30, 60), wait(30));
        assert_eq!(rate.take(31 * SECOND, 30, 60), Ok(()));
        assert!(!rate.is_full(90 * SECOND));
        assert!(rate.is_full(91 * SECOND));
    }

    #[test]
    fn no_more_than_the_rate_gets_through_for_long() {
        let (mut rate, mut taken) = (Rate::default(), 0);
        // Ten minutes, asking for 7 tokens every 10 ms.
        for step in 0..60_000 {
            if rate.take(step * SECOND / 100, 7, 1_000).is_ok() {
                taken += 7;
            }
        }
        // The first minute's allowance, and ten minutes of earning.
        assert!((10_993..=11_000).contains(&taken), "{taken}");
    }

    #[test]
    fn estimates_are_corrected_both_ways() {
        let mut rate = Rate::default();
        rate.take(0, 60, 60).unwrap();
        rate.give_back(0, 50, 60);
        assert_eq!(rate.take(0, 50, 60), Ok(()));
        assert_eq!(rate.take(0, 1, 60), wait(1));
        rate.add(0, 30, 60);
        assert_eq!(rate.take(0, 1, 60), wait(31));
    }

    #[test]
    fn a_changed_rate_counts_at_once_for_what_was_taken_before() {
        let mut rate = Rate::default();
        rate.take(0, 60, 60).unwrap();
        // 60 of 600 are taken: 540 are there.
        assert_eq!(rate.take(0, 541, 600), Err(Refused::For(Duration::from_millis(100))));
        assert_eq!(rate.take(0, 540, 600), Ok(()));
        // 600 of 60 are taken.
        assert_eq!(rate.take(0, 1, 60), wait(541));
        assert_eq!(rate.take(541 * SECOND, 1, 60), Ok(()));
    }

    #[test]
    fn more_than_a_minutes_allowance_never_fits_and_takes_nothing() {
        let mut rate = Rate::default();
        assert_eq!(rate.take(0, 61, 60), Err(Refused::TooMuch));
        assert_eq!(rate.take(0, u64::MAX, 1), Err(Refused::TooMuch));
        assert_eq!(rate.take(0, 60, 60), Ok(()));
        for _ in 0..1_000 {
            rate.add(0, u64::MAX, 1);
        }
        assert!(matches!(rate.take(0, 1, 60), Err(Refused::For(_))));
        rate.give_back(0, u64::MAX, 1);
    }
}
