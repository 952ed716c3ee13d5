//! How much of a budget a process holds: the arithmetic, without clock, lock or database.

use crate::store::budget_spend::Books;

/// A lease holds at least this part of what nobody holds, so that a large budget is rarely asked for.
const AHEAD_PART: i64 = 64;
/// Otherwise up to this many calls like the present one, …
const AHEAD_CALLS: i64 = 8;
/// … and never more than this part of what nobody holds: near the end others get their share.
const AHEAD_CALLS_PART: i64 = 8;

/// What a process wants of a budget.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// For one more call; 0 when nothing is asked for.
    pub(super) need: i64,
    /// What other callers of this process wait for.
    pub(super) demand: i64,
    /// What a call like the last ones takes.
    pub(super) usual: i64,
    /// Nothing is to be held that no call needs.
    pub(super) give_back: bool,
}

/// What the process holds afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) granted: bool,
    pub(super) held: i64,
}

/// Decides how much to hold when running calls have taken `taken`. `wanted`: another process found too little.
pub(super) fn plan(books: &Books, taken: i64, wish: Wish, wanted: bool) -> Plan {
    let room = books.room();
    let base = taken.saturating_add(wish.need);
    if wish.need > 0 && base <= room {
        let free = room - base;
        let ahead = if wanted || wish.give_back { 0 } else { ahead(free, wish.need) };
        return Plan { granted: true, held: base + ahead.max(wish.demand.min(free)) };
    }
    // What running calls have taken stays covered. A lease that was lost is taken again as far as there is room, and after the
    // limit was lowered what is held already is not given up before the calls have ended.
    let cover = taken.min(books.held.max(room)).max(0);
    let surplus = books.held.saturating_sub(cover).max(0);
    let keeps_none = wanted || wish.give_back || wish.need > 0 || books.held > room;
    let keep = if keeps_none { 0 } else { surplus.min(ahead(room.saturating_sub(cover), wish.usual).max(wish.demand)) };
    Plan { granted: false, held: cover + keep }
}

fn ahead(free: i64, need: i64) -> i64 {
    let calls = need.saturating_mul(AHEAD_CALLS).min(free / AHEAD_CALLS_PART);
    (free / AHEAD_PART).max(calls).max(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn books(limit: i64, spent: i64, others: i64, held: i64) -> Books {
        Books { limit, spent, others, held, warned_percent: 0, wanted_at: 0 }
    }

    fn lease(books: &Books, taken: i64, need: i64) -> Plan {
        plan(books, taken, Wish { need, ..Wish::default() }, false)
    }

    #[test]
    fn a_large_budget_is_leased_in_large_slices_and_a_small_rest_exactly() {
        assert_eq!(lease(&books(64_001, 0, 0, 0), 0, 1), Plan { granted: true, held: 1 + 1_000 });
        // Eight calls more, of a rest of some hundred.
        assert_eq!(lease(&books(100_000, 0, 0, 0), 0, 1_000), Plan { granted: true, held: 1_000 + 8_000 });
        // An eighth of the rest.
        assert_eq!(lease(&books(9_000, 0, 0, 0), 0, 1_000), Plan { granted: true, held: 1_000 + 1_000 });
        assert_eq!(lease(&books(1_000, 0, 0, 0), 0, 1_000), Plan { granted: true, held: 1_000 });
        assert_eq!(lease(&books(1_000, 1, 0, 0), 0, 1_000), Plan { granted: false, held: 0 });
        assert_eq!(lease(&books(1_000, 0, 1, 0), 0, 1_000), Plan { granted: false, held: 0 });
        assert_eq!(lease(&books(1_000, 0, 0, 1), 1, 1_000), Plan { granted: false, held: 1 });
    }

    #[test]
    fn what_is_wanted_elsewhere_or_idle_is_given_back() {
        let books = books(1_000_000, 0, 0, 5_000);
        let kept = |wish, wanted| plan(&books, 3_000, wish, wanted).held;
        assert_eq!(kept(Wish { usual: 100, ..Wish::default() }, false), 5_000);
        assert_eq!(kept(Wish { usual: 100, ..Wish::default() }, true), 3_000);
        assert_eq!(kept(Wish { usual: 100, give_back: true, ..Wish::default() }, false), 3_000);
    }

    #[test]
    fn a_lowered_limit_leaves_running_calls_and_takes_the_rest() {
        // 20 are held, 15 of them by calls; only 10 are allowed now, of which 5 are spent.
        assert_eq!(plan(&books(10, 5, 0, 20), 15, Wish::default(), false).held, 15);
        assert_eq!(lease(&books(10, 5, 0, 20), 15, 1), Plan { granted: false, held: 15 });
    }

    #[test]
    fn a_lost_lease_is_taken_again_as_far_as_there_is_room() {
        assert_eq!(plan(&books(100, 50, 30, 0), 40, Wish::default(), false).held, 20);
        assert_eq!(plan(&books(100, 90, 30, 0), 40, Wish::default(), false).held, 0);
    }

    proptest! {
        /// The one promise: what is spent and held never passes the limit by a plan, and a call that is granted is covered.
        #[test]
        fn no_plan_passes_the_limit(
            limit in 0..1_000_i64, spent in 0..1_000_i64, others in 0..1_000_i64, held in 0..1_000_i64, taken in 0..1_000_i64,
            need in 0..1_000_i64, demand in 0..5_000_i64, usual in 0..1_000_i64, give_back: bool, wanted: bool,
        ) {
            let before = books(limit, spent, others, held);
            let Plan { granted, held: after } = plan(&before, taken, Wish { need, demand, usual, give_back }, wanted);
            prop_assert!(after >= 0);
            // Where the limit was passed before (it was lowered), at least nothing is added.
            prop_assert!(spent + others + after <= limit.max(spent + others + held.min(taken)), "{after}");
            if granted {
                prop_assert!(need > 0 && after >= taken + need);
            } else if taken <= held {
                prop_assert!(after >= taken && after <= held);
            }
            if need > 0 && taken + need <= limit - spent - others {
                prop_assert!(granted);
            }
        }

        #[test]
        fn absurd_amounts_do_not_overflow(
            limit: i64, spent in 0..i64::MAX, others in 0..i64::MAX, held in 0..i64::MAX, taken in 0..i64::MAX,
            need in 0..i64::MAX, demand in 0..i64::MAX, usual in 0..i64::MAX,
        ) {
            let wish = Wish { need, demand, usual, give_back: false };
            prop_assert!(plan(&books(limit, spent, others, held), taken, wish, false).held >= 0);
        }
    }
}
