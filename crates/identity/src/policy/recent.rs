//! Requests of the last time, so that a policy can be tried out on them before it is kept. They stand in the memory of this
//! process and go with it.

use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use plasma_kernel::{Permission, TenantId, Timestamp};

use super::facts::{Moment, Question, Who};

/// Different requests of one tenant: twice so many are kept at most, the older half goes at once.
const REQUESTS_MAX: usize = 1_000;
/// Tenants whose requests are kept; who makes none for a day is forgotten.
const TENANTS_MAX: u64 = 500;
const TENANT_IDLE: Duration = Duration::from_secs(24 * 3_600);
/// Longer paths are not kept.
const PATH_BYTES_MAX: usize = 500;

/// What tells one request from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    who: Who,
    action: Permission,
    path: String,
    method: &'static str,
    address: IpAddr,
}

/// A request that was made, perhaps often.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) who: Who,
    pub(crate) action: Permission,
    pub(crate) id: Option<String>,
    pub(crate) within: Vec<String>,
    pub(crate) path: String,
    pub(crate) method: &'static str,
    pub(crate) address: IpAddr,
    pub(crate) count: u64,
    pub(crate) last_at: Timestamp,
}

impl Seen {
    /// The request as it would be now.
    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            who: &self.who,
            id: self.id.as_deref(),
            within: &self.within,
            path: &self.path,
            moment: Moment::new(Some(self.address), self.last_at, self.method),
        }
    }
}

#[derive(Default)]
struct Requests {
    newer: HashMap<Key, Seen>,
    older: HashMap<Key, Seen>,
}

/// The requests of all tenants.
pub(crate) struct Recent {
    tenants: Cache<TenantId, Arc<Mutex<Requests>>>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { tenants: Cache::builder().max_capacity(TENANTS_MAX).time_to_idle(TENANT_IDLE).build() }
    }

    /// Notes a request that was decided. It never waits: while another is noted, this one is left out.
    pub(crate) fn note(&self, tenant: TenantId, action: Permission, question: &Question<'_>, at: Timestamp) {
        if question.path.len() > PATH_BYTES_MAX {
            return;
        }
        let requests = match self.tenants.get(&tenant) {
            Some(requests) => requests,
            None => self.tenants.get_with(tenant, Arc::default),
        };
        let Ok(mut requests) = requests.try_lock() else { return };
        let key = Key {
            who: question.who.clone(),
            action,
            path: question.path.to_owned(),
            method: question.moment.method,
            address: question.moment.address,
        };
        if let Some(seen) = requests.newer.get_mut(&key) {
            seen.count = seen.count.saturating_add(1);
            seen.last_at = at;
            return;
        }
        if requests.newer.len() >= REQUESTS_MAX {
            requests.older = mem::take(&mut requests.newer);
        }
        let before = requests.older.remove(&key).map_or(0, |seen| seen.count);
        let seen = Seen {
            who: key.who.clone(),
            action,
            id: question.id.map(str::to_owned),
            within: question.within.to_vec(),
            path: key.path.clone(),
            method: key.method,
            address: key.address,
            count: before.saturating_add(1),
            last_at: at,
        };
        requests.newer.insert(key, seen);
    }

    /// The tenant's requests, the newest first.
    pub(crate) fn of(&self, tenant: TenantId) -> Vec<Seen> {
        let Some(requests) = self.tenants.get(&tenant) else { return Vec::new() };
        let requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen: Vec<Seen> = requests.newer.values().chain(requests.older.values()).cloned().collect();
        drop(requests);
        seen.sort_by_key(|seen| std::cmp::Reverse(seen.last_at));
        seen
    }
}

#[cfg(test)]
mod tests {
    use plasma_kernel::{Subject, UserId};

    use super::*;
    use crate::policy::ActorKey;

    #[test]
    fn the_newest_requests_are_kept_and_the_same_ones_counted() {
        let recent = Recent::new();
        let who = Who {
            actor: ActorKey::User(UserId::from_bits(1)),
            person: None,
            teams: Arc::default(),
            subject: Arc::new(Subject::default()),
            multi_factor: false,
        };
        let tenant = TenantId::from_bits(1);
        let note = |path: &str, at| {
            let moment = Moment::new(None, at, "GET");
            let question = Question { who: &who, id: None, within: &[], path, moment };
            recent.note(tenant, Permission::UsersRead, &question, at);
        };
        for at in 0..5_000 {
            note(&format!("/{at}"), at);
            note("/again", at);
        }
        let seen = recent.of(tenant);
        assert!(seen.len() <= 2 * REQUESTS_MAX && seen.len() >= REQUESTS_MAX, "{}", seen.len());
        assert!(seen.iter().zip(seen.iter().skip(1)).all(|(newer, older)| newer.last_at >= older.last_at));
        let again = seen.iter().find(|seen| seen.path == "/again");
        assert_eq!(again.map(|seen| (seen.count, seen.last_at)), Some((5_000, 4_999)));
        assert!(recent.of(TenantId::from_bits(2)).is_empty());
        note(&"x".repeat(PATH_BYTES_MAX + 1), 5_000);
        assert!(recent.of(tenant).iter().all(|seen| seen.path.len() < 100));
    }
}
