//! What an event becomes in the audit log: a record in canonical form, and the terms by which it is found.

use std::{borrow::Cow, collections::BTreeSet};

use plasma_kernel::{Actor, Error, EventId, Origin, Result, TenantId, Timestamp};
use plasma_store::{Event, mask_secrets};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    AuditRecord,
    canonical::canonical,
    words::{About, Term, collect_words, terms_of_word, words_of},
};

/// The form of the record, so that later ones can be told from it.
const VERSION: u32 = 1;
/// Bytes of an event's data that a record keeps; of larger ones it keeps the hash.
const DATA_BYTES_MAX: usize = 32 << 10;
/// Characters of a subject; longer than any id.
const SUBJECT_CHARS_MAX: usize = 400;

/// Events that tell how the program's own work goes on and that nobody did: they are no part of the audit.
const NOT_AUDITED: [&str; 6] = [
    "knowledge.document.parsing",
    "knowledge.document.embedding",
    "models.batch.changed",
    "models.call.completed",
    "models.call.judged",
    "models.budget.threshold_reached",
];

/// Events that are appended in the transaction that emits them.
pub(crate) const RECORDS_ERASED: &str = "audit.records.erased";
/// As [`RECORDS_ERASED`].
pub(crate) const RECORDS_EXPIRED: &str = "audit.records.expired";

/// Whether the consumer appends the event.
pub(crate) fn is_audited(event: &Event) -> bool {
    let kind = event.kind.as_str();
    !NOT_AUDITED.contains(&kind) && kind != RECORDS_ERASED && kind != RECORDS_EXPIRED
}

/// The record of `event` as the leaf with this number of `log`, in the form that is hashed.
pub(crate) fn write(event: &Event, log: TenantId, leaf: u64) -> String {
    let mut data = event.data.clone();
    mask_secrets(&mut data);
    let text = data.to_string();
    if text.len() > DATA_BYTES_MAX {
        let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        data = json!({ "too_large_bytes": text.len(), "sha256": hash });
    }
    let mut record = json!({
        "v": VERSION,
        "log": log,
        "leaf": leaf,
        "id": event.id,
        "at": event.at,
        "type": event.kind,
        "subject": subject(&event.subject),
        "actor": event.actor,
        "request_id": event.request_id,
        "data": data,
    });
    if let (Some(origin), Some(fields)) = (&event.origin, record.as_object_mut())
        && *origin != Origin::default()
    {
        fields.insert("origin".to_owned(), json!(origin));
    }
    canonical(&record)
}

fn subject(subject: &str) -> Cow<'_, str> {
    match subject.char_indices().nth(SUBJECT_CHARS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", subject.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(subject),
    }
}

/// The record without what it says of people: neither details nor from where. `erased_by` is the record that tells of it.
pub(crate) fn redacted(record: &str, erased_by: EventId) -> Result<String> {
    let mut value: Value = serde_json::from_str(record).map_err(unreadable)?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("origin");
        fields.insert("data".to_owned(), json!({}));
        fields.insert("erased_by".to_owned(), json!(erased_by));
    }
    Ok(canonical(&value))
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::from_source("a record of the audit log cannot be read", error)
}

/// A record as it is read.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) leaf: u64,
    pub(crate) id: EventId,
    pub(crate) at: Timestamp,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) actor: Actor,
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) origin: Option<Origin>,
    pub(crate) data: Value,
    #[serde(default)]
    pub(crate) erased_by: Option<EventId>,
}

impl Record {
    pub(crate) fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(unreadable)
    }

    pub(crate) fn address(&self) -> Option<String> {
        self.origin.as_ref()?.address.map(|address| address.to_string())
    }

    /// The words by which a search for text finds it.
    pub(crate) fn words(&self) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        let origin = self.origin.as_ref();
        let texts = [
            Some(self.kind.as_str()),
            Some(self.subject.as_str()),
            Some(self.request_id.as_str()),
            origin.and_then(|origin| origin.user_agent.as_deref()),
        ];
        texts.into_iter().flatten().for_each(|text| words.extend(words_of(text)));
        words.extend(words_of(&actor_text(&self.actor)));
        words.extend(self.address().iter().flat_map(|address| words_of(address).collect::<Vec<_>>()));
        collect_words(&self.data, &mut words);
        words
    }

    /// Everything by which the record is found.
    pub(crate) fn terms(&self) -> BTreeSet<Term> {
        let mut terms = BTreeSet::new();
        terms.extend(actor_names(&self.actor).iter().map(|name| Term::new(About::Actor, name)));
        terms.insert(Term::new(About::Subject, &self.subject));
        terms.insert(Term::new(About::Action, &self.kind));
        terms.extend(self.kind.match_indices('.').filter_map(|(dot, _)| Some(group(self.kind.get(..=dot)?))));
        terms.extend(self.address().map(|address| Term::new(About::Address, &address)));
        self.words().iter().for_each(|word| terms_of_word(word, &mut terms));
        terms
    }
}

/// The term of all actions that begin with `prefix`, which ends in a dot.
pub(crate) fn group(prefix: &str) -> Term {
    Term::new(About::Action, prefix)
}

/// The names under which somebody is found as an actor: their id, for an application also that of its person, and `system`.
pub(crate) fn actor_names(actor: &Actor) -> Vec<String> {
    match actor {
        Actor::User { id } => vec![id.to_string()],
        Actor::ApiKey { id } => vec![id.to_string()],
        Actor::Application { id, user } => {
            std::iter::once(id.to_string()).chain(user.map(|user| user.to_string())).collect()
        }
        Actor::System { .. } => vec!["system".to_owned()],
    }
}

fn actor_text(actor: &Actor) -> String {
    match actor {
        Actor::System { reason } => format!("system {reason}"),
        _ => actor_names(actor).join(" "),
    }
}

impl From<Record> for AuditRecord {
    fn from(record: Record) -> Self {
        let Record { leaf, id, at, kind, subject, actor, request_id, origin, data, erased_by } = record;
        Self { id, leaf, at, kind, subject, actor, request_id, origin, data, erased_by }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_kernel::UserId;

    use super::*;

    fn event(data: Value) -> Event {
        Event {
            id: EventId::from_bits(1),
            tenant: None,
            kind: "identity.user.updated".to_owned(),
            subject: "usr_1".to_owned(),
            actor: Actor::User { id: UserId::from_bits(2) },
            origin: Some(Origin { address: Some([203, 0, 113, 7].into()), user_agent: Some("curl/8".to_owned()) }),
            request_id: "req_1".to_owned(),
            at: 5,
            data,
            position: plasma_store::EventPosition::START,
        }
    }

    #[test]
    fn a_record_has_one_form_and_no_secret() {
        let text = write(&event(json!({"z": 1, "a": {"password": "hunter2"}})), TenantId::from_bits(3), 7);
        assert_eq!(
            text,
            "{\"actor\":{\"id\":\"usr_00000000000000000000000002\",\"kind\":\"user\"},\"at\":5,\
             \"data\":{\"a\":{\"password\":\"***\"},\"z\":1},\"id\":\"evt_00000000000000000000000001\",\"leaf\":7,\
             \"log\":\"ten_00000000000000000000000003\",\"origin\":{\"address\":\"203.0.113.7\",\"user_agent\":\"curl/8\"},\
             \"request_id\":\"req_1\",\"subject\":\"usr_1\",\"type\":\"identity.user.updated\",\"v\":1}"
        );
        let record = Record::read(&text).unwrap();
        assert_eq!((record.leaf, record.address().as_deref()), (7, Some("203.0.113.7")));
    }

    #[test]
    fn what_is_erased_says_that_it_happened_and_no_more() {
        let text = write(&event(json!({"name": "Ada"})), TenantId::from_bits(3), 7);
        let erased = redacted(&text, EventId::from_bits(9)).unwrap();
        assert!(!erased.contains("Ada") && !erased.contains("203.0.113.7") && !erased.contains("curl"), "{erased}");
        let record = Record::read(&erased).unwrap();
        assert_eq!(record.erased_by, Some(EventId::from_bits(9)));
        assert_eq!((record.kind.as_str(), record.at), ("identity.user.updated", 5));
    }

    #[test]
    fn large_data_is_kept_as_its_hash() {
        let text = write(&event(json!({"text": "x".repeat(DATA_BYTES_MAX)})), TenantId::from_bits(3), 0);
        assert!(text.len() < 1_000 && text.contains("sha256"), "{text}");
    }

    #[test]
    fn a_record_is_found_by_all_that_it_says() {
        let text = write(&event(json!({"after": {"name": "Ada Lovelace"}})), TenantId::from_bits(3), 7);
        let record = Record::read(&text).unwrap();
        let terms = record.terms();
        for term in [
            Term::new(About::Actor, "usr_00000000000000000000000002"),
            Term::new(About::Subject, "usr_1"),
            Term::new(About::Action, "identity.user.updated"),
            group("identity."),
            group("identity.user."),
            Term::new(About::Address, "203.0.113.7"),
            Term::of_query("love").unwrap(),
            Term::of_query("lovelace").unwrap(),
        ] {
            assert!(terms.contains(&term));
        }
        assert!(record.words().contains("ada"));
    }

    #[test]
    fn the_programs_own_work_is_left_out() {
        let mut event = event(json!({}));
        assert!(is_audited(&event));
        event.kind = "models.call.completed".to_owned();
        assert!(!is_audited(&event));
    }
}
