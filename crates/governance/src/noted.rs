//! What happens at the edge of the program and changes nothing: requests that were refused, and readings of personal data.
//! The same by the same is gathered for a minute, in bounded memory, and becomes events.

use std::{
    collections::{HashMap, hash_map::Entry},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use plasma_kernel::{Actor, Ctx, Result, TenantId, Timestamp};
use plasma_store::NewEvent;
use serde_json::json;

use crate::{Governance, INSTALLATION, Inner};

/// Different things that are gathered at the same time.
const NOTED_MAX: usize = 4_096;
/// For how long the same is gathered, in microseconds.
const WINDOW_MICROS: i64 = 60 * 1_000_000;
/// Events of one transaction.
const BATCH: usize = 256;
/// Bytes of an operation and of what it was about.
const TEXT_BYTES_MAX: usize = 200;

const DENIED: &str = "audit.access.denied";
const READ: &str = "audit.personal_data.read";
const LOST: &str = "audit.noted.lost";

/// Who did what how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: Option<TenantId>,
    /// The actor in JSON: it has no order and no hash of its own.
    actor: String,
    kind: &'static str,
    operation: String,
    /// Why it was refused, or what was read.
    about: String,
}

/// The same, some times.
#[derive(Debug)]
struct Repeated {
    /// Of the first time.
    ctx: Ctx,
    window_ends_at: Timestamp,
    first_at: Timestamp,
    last_at: Timestamp,
    /// Times that are not written down yet.
    count: u64,
}

/// What is gathered.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    gathered: Mutex<Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    entries: HashMap<Key, Repeated>,
    /// What found no room.
    lost: u64,
}

/// What is to be written down of one entry.
struct Due {
    ctx: Ctx,
    key: Key,
    first_at: Timestamp,
    last_at: Timestamp,
    count: u64,
}

impl Noted {
    fn lock(&self) -> MutexGuard<'_, Gathered> {
        // Numbers that a panic left behind are still numbers.
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, ctx: &Ctx, kind: &'static str, operation: &str, about: &str) {
        // The program's own work is refused nothing and reads for nobody.
        if matches!(ctx.actor(), Actor::System { .. }) {
            return;
        }
        let now = ctx.now();
        let key = Key {
            tenant: ctx.tenant_scope(),
            actor: serde_json::to_string(ctx.actor()).unwrap_or_default(),
            kind,
            operation: cut(operation),
            about: cut(about),
        };
        let mut guard = self.lock();
        let gathered = &mut *guard;
        let is_full = gathered.entries.len() >= NOTED_MAX;
        match gathered.entries.entry(key) {
            Entry::Occupied(mut entry) => {
                let entry = entry.get_mut();
                if entry.count == 0 {
                    entry.first_at = now;
                }
                entry.count += 1;
                entry.last_at = now;
            }
            Entry::Vacant(_) if is_full => gathered.lost += 1,
            Entry::Vacant(entry) => {
                let window_ends_at = now.saturating_add(WINDOW_MICROS);
                entry.insert(Repeated { ctx: ctx.clone(), window_ends_at, first_at: now, last_at: now, count: 1 });
            }
        }
    }

    /// What is to be written down now: what is new at once, what repeats when its minute is over, everything for `all`.
    fn due(&self, now: Timestamp, all: bool) -> (Vec<Due>, u64) {
        let mut due = Vec::new();
        let mut gathered = self.lock();
        gathered.entries.retain(|key, entry| {
            let is_over = all || now >= entry.window_ends_at;
            // `first_at` of what was never written is the beginning of its window.
            let is_new = entry.first_at.saturating_add(WINDOW_MICROS) == entry.window_ends_at;
            if entry.count > 0 && (is_over || is_new) {
                due.push(Due {
                    ctx: entry.ctx.clone(),
                    key: key.clone(),
                    first_at: entry.first_at,
                    last_at: entry.last_at,
                    count: entry.count,
                });
                entry.count = 0;
                entry.first_at = Timestamp::MIN;
            }
            !is_over
        });
        (due, mem::take(&mut gathered.lost))
    }

    /// Takes back what could not be written.
    fn restore(&self, due: Vec<Due>, lost: u64) {
        let mut gathered = self.lock();
        gathered.lost += lost;
        for Due { ctx, key, first_at, last_at, count } in due {
            match gathered.entries.entry(key) {
                Entry::Occupied(mut entry) => {
                    let entry = entry.get_mut();
                    entry.count += count;
                    entry.last_at = entry.last_at.max(last_at);
                    entry.first_at = first_at;
                    entry.window_ends_at = first_at.saturating_add(WINDOW_MICROS);
                }
                Entry::Vacant(entry) => {
                    let window_ends_at = first_at.saturating_add(WINDOW_MICROS);
                    entry.insert(Repeated { ctx, window_ends_at, first_at, last_at, count });
                }
            }
        }
    }
}

/// Paths may hold what a client made up.
fn cut(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(TEXT_BYTES_MAX).collect()
}

impl Governance {
    /// Notes that `ctx` was refused an operation (as in `GET /api/v1/users/{id}`). It is written down within a second, with
    /// how often it happened in that minute.
    pub fn denied(&self, ctx: &Ctx, operation: &str, reason: &str) {
        self.inner.noted.note(ctx, DENIED, operation, reason);
    }

    /// Notes that `ctx` read personal data by an operation: of `subject`, or a list of many.
    pub fn read_personal_data(&self, ctx: &Ctx, operation: &str, subject: Option<&str>) {
        self.inner.noted.note(ctx, READ, operation, subject.unwrap_or("many"));
    }
}

impl Inner {
    /// Writes down what is due, or everything.
    pub(crate) async fn write_noted(&self, all: bool) -> Result<()> {
        let (mut due, lost) = self.noted.due(self.ctx.now(), all);
        // One transaction for what belongs to one tenant: they are bound to it.
        due.sort_by_key(|due| due.key.tenant);
        let mut rest = due.into_iter().peekable();
        let mut failed: Option<plasma_kernel::Error> = None;
        let mut unwritten = Vec::new();
        while let Some(first) = rest.next() {
            let tenant = first.key.tenant;
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Some(next) = rest.next_if(|next| next.key.tenant == tenant)
            {
                batch.push(next);
            }
            if failed.is_none()
                && let Err(error) = Box::pin(self.write_batch(tenant, &batch)).await
            {
                failed = Some(error);
            }
            if failed.is_some() {
                unwritten.extend(batch);
            }
        }
        let mut still_lost = lost;
        if failed.is_none() && lost > 0 {
            match Box::pin(self.write_lost(lost)).await {
                Ok(()) => still_lost = 0,
                Err(error) => failed = Some(error),
            }
        }
        self.noted.restore(unwritten, still_lost);
        failed.map_or(Ok(()), Err)
    }

    async fn write_batch(&self, tenant: Option<TenantId>, batch: &[Due]) -> Result<()> {
        let ctx = self.ctx.for_tenant(tenant.unwrap_or(INSTALLATION), "write down what was noted");
        let mut tx = self.store.begin(&ctx).await?;
        for Due { ctx, key, first_at, last_at, count } in batch {
            let (subject, about) = if key.kind == READ {
                (key.about.as_str(), json!(null))
            } else {
                (key.operation.as_str(), json!(key.about))
            };
            let mut data = json!({
                "operation": key.operation, "count": count, "first_at": first_at, "last_at": last_at,
            });
            if let (Some(fields), false) = (data.as_object_mut(), about.is_null()) {
                fields.insert("reason".to_owned(), about);
            }
            tx.emit(NewEvent::new(key.kind, subject, data).by(ctx)).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn write_lost(&self, lost: u64) -> Result<()> {
        let mut tx = self.store.begin(&self.ctx).await?;
        tx.emit(NewEvent::new(LOST, "audit", json!({ "count": lost }))).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use plasma_kernel::{Clock, Permissions, Random, UserId};

    use super::*;

    fn ctx(clock: &Clock, user: u128) -> Ctx {
        let actor = Actor::User { id: UserId::from_bits(user) };
        Ctx::new(TenantId::from_bits(1), actor, Permissions::none(), clock.clone(), Random::seeded(1))
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_after_a_minute() {
        let clock = Clock::manual(1_000_000_000);
        let noted = Noted::default();
        let ctx = ctx(&clock, 1);
        noted.note(&ctx, DENIED, "GET /a", "forbidden");
        let (due, _) = noted.due(clock.now(), false);
        assert_eq!(due.iter().map(|due| due.count).collect::<Vec<_>>(), [1]);
        for _ in 0..5 {
            clock.advance(Duration::from_secs(2));
            noted.note(&ctx, DENIED, "GET /a", "forbidden");
            assert!(noted.due(clock.now(), false).0.is_empty());
        }
        clock.advance(Duration::from_secs(60));
        let (due, _) = noted.due(clock.now(), false);
        assert_eq!(due.iter().map(|due| due.count).collect::<Vec<_>>(), [5]);
        assert_eq!(due[0].last_at - due[0].first_at, 8_000_000);
        // The minute is over: the next is new again.
        noted.note(&ctx, DENIED, "GET /a", "forbidden");
        assert_eq!(noted.due(clock.now(), false).0.len(), 1);
    }

    #[test]
    fn different_people_operations_and_reasons_are_apart() {
        let clock = Clock::manual(0);
        let noted = Noted::default();
        for user in [1, 2] {
            for operation in ["GET /a", "GET /b"] {
                for reason in ["forbidden", "forbidden_by_policy"] {
                    noted.note(&ctx(&clock, user), DENIED, operation, reason);
                }
            }
        }
        assert_eq!(noted.due(0, false).0.len(), 8);
    }

    #[test]
    fn memory_is_bounded_and_what_is_lost_is_counted() {
        let clock = Clock::manual(0);
        let noted = Noted::default();
        let ctx = ctx(&clock, 1);
        for number in 0..NOTED_MAX + 10 {
            noted.note(&ctx, READ, &format!("GET /{number}"), "many");
        }
        let (due, lost) = noted.due(0, false);
        assert_eq!((due.len(), lost), (NOTED_MAX, 10));
        // What could not be written is told the next time, with what came meanwhile.
        noted.note(&ctx, READ, "GET /0", "many");
        noted.restore(due, lost);
        let (due, lost) = noted.due(0, true);
        assert_eq!((due.iter().map(|due| due.count).sum::<u64>(), lost), (NOTED_MAX as u64 + 1, 10));
    }
}
