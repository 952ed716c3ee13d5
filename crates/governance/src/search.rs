//! Finding records: blocks whose filters have all terms, the newest first, and in them the records that really fit.

use std::time::{Duration, Instant};

use plasma_kernel::{
    Ctx, Error, Page, PageRequest,
    Permission::{AuditRead, InstallationRead},
    Result, TenantId, Timestamp,
};
use plasma_store::Tx;

use crate::{
    AuditRecord, Governance, Log, RecordFilter,
    append::BLOCK_RECORDS,
    record::{Record, actor_names, group},
    store,
    words::{About, Term, words_of},
};

/// Filters of one read.
const CANDIDATES: u32 = 64;
/// A search that has looked for so long answers with what it has; the cursor goes on from there.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Words of a query.
const WORDS_MAX: usize = 8;
/// Characters of a filter's value.
const CHARS_MAX: usize = 400;

/// A filter as it is looked up and compared.
#[derive(Debug)]
pub(crate) struct Query {
    filter: RecordFilter,
    terms: Vec<Term>,
    words: Vec<String>,
    /// The times, from inclusive and to exclusive.
    times: (Timestamp, Timestamp),
    only_unerased: bool,
}

impl Query {
    pub(crate) fn new(filter: RecordFilter) -> Result<Self> {
        for (field, value) in [
            ("actor", &filter.actor),
            ("action", &filter.action),
            ("subject", &filter.subject),
            ("address", &filter.address),
            ("text", &filter.text),
        ] {
            if value.as_ref().is_some_and(|value| value.chars().count() > CHARS_MAX) {
                return Err(Error::invalid(field, format!("must be at most {CHARS_MAX} characters")));
            }
        }
        let times = (filter.from.unwrap_or(Timestamp::MIN), filter.to.unwrap_or(Timestamp::MAX));
        if times.0 > times.1 {
            return Err(Error::invalid("from", "must not be after `to`"));
        }
        let words: Vec<String> = filter.text.iter().flat_map(|text| words_of(text).collect::<Vec<_>>()).collect();
        if words.len() > WORDS_MAX {
            return Err(Error::invalid("text", format!("must have at most {WORDS_MAX} words, got {}", words.len())));
        }
        let exact = [
            filter.actor.as_deref().map(|actor| Term::new(About::Actor, actor)),
            filter.subject.as_deref().map(|subject| Term::new(About::Subject, subject)),
            filter.address.as_deref().map(|address| Term::new(About::Address, address)),
            filter.action.as_deref().map(|action| match action.strip_suffix('*') {
                Some(prefix) => group(prefix),
                None => Term::new(About::Action, action),
            }),
        ];
        let terms = exact.into_iter().flatten().chain(words.iter().filter_map(|word| Term::of_query(word)));
        Ok(Self { terms: terms.collect(), words, times, filter, only_unerased: false })
    }

    /// The same without the records whose details are gone.
    pub(crate) fn unerased(mut self) -> Self {
        self.only_unerased = true;
        self
    }

    fn fits(&self, record: &Record) -> bool {
        let filter = &self.filter;
        let (from, to) = self.times;
        (from..to).contains(&record.at)
            && !(self.only_unerased && record.erased_by.is_some())
            && filter.actor.as_ref().is_none_or(|actor| actor_names(&record.actor).contains(actor))
            && filter.subject.as_ref().is_none_or(|subject| *subject == record.subject)
            && filter.address.as_ref().is_none_or(|address| record.address().as_ref() == Some(address))
            && filter.action.as_ref().is_none_or(|action| match action.strip_suffix('*') {
                Some(prefix) => prefix.ends_with('.') && record.kind.starts_with(prefix),
                None => *action == record.kind,
            })
            && self.has_words(record)
    }

    fn has_words(&self, record: &Record) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let words = record.words();
        self.words.iter().all(|wanted| words.iter().any(|word| word.starts_with(wanted.as_str())))
    }
}

/// For fuzzing only: what fits a filter is found by the terms of its block.
#[cfg(fuzzing)]
pub(crate) fn fuzz(record: &Record, filter: RecordFilter) {
    let Ok(query) = Query::new(filter) else { return };
    if !query.fits(record) {
        return;
    }
    let mut block = crate::words::Filter::new();
    record.terms().into_iter().for_each(|term| block.insert(term));
    let block = crate::words::Filter::from_bytes(block.into_bytes());
    assert!(query.terms.iter().all(|term| block.may_have(*term)), "a record that fits is not found");
}

/// What a look through the log has found.
pub(crate) struct Found {
    /// The newest first.
    pub(crate) records: Vec<AuditRecord>,
    /// Leaves below this one were not looked at; `None` when all were.
    pub(crate) below: Option<u64>,
}

/// Records below the leaf `below` that fit, at most `limit`.
pub(crate) async fn look(tx: &mut Tx, log: TenantId, query: &Query, below: u64, limit: usize) -> Result<Found> {
    let begun = Instant::now();
    let mut records = Vec::new();
    let mut below = below;
    while below > 0 {
        let newest = (below - 1) / BLOCK_RECORDS;
        let candidates = store::blocks::candidates(tx, log, newest, query.times, CANDIDATES).await?;
        if candidates.is_empty() {
            return Ok(Found { records, below: None });
        }
        for block in candidates {
            if query.terms.iter().all(|term| block.words.may_have(*term)) {
                let first = block.number * BLOCK_RECORDS;
                let until = below.min(first + BLOCK_RECORDS);
                let rows = store::records::range(tx, log, first, until, BLOCK_RECORDS as u32).await?;
                for row in rows.iter().rev() {
                    let record = Record::read(&row.text)?;
                    if !query.fits(&record) {
                        continue;
                    }
                    if records.len() == limit {
                        return Ok(Found { records, below: Some(row.leaf + 1) });
                    }
                    records.push(record.into());
                }
            }
            below = block.number * BLOCK_RECORDS;
            if begun.elapsed() > TIME_MAX {
                return Ok(Found { records, below: (below > 0).then_some(below) });
            }
        }
    }
    Ok(Found { records, below: None })
}

impl Governance {
    /// Records that fit, the newest first. When they are rare, a page may have few or none and still say that more may follow.
    ///
    /// # Errors
    /// `forbidden` without `audit:read`, for the installation's log also without `installation:read`; `invalid` naming the
    /// field.
    pub async fn records(
        &self,
        ctx: &Ctx,
        log: Log,
        filter: RecordFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditRecord>> {
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        let query = Query::new(filter)?;
        let below = match &page.cursor {
            None => u64::MAX,
            Some(cursor) => cursor.parse().map_err(|_| Error::invalid("cursor", "is not a cursor of this list"))?,
        };
        let mut tx = self.inner.store.read(&ctx).await?;
        let found = look(&mut tx, ctx.tenant()?, &query, below, page.limit as usize).await?;
        let next_cursor = found.below.map(|below| below.to_string());
        Ok(Page { data: found.records, has_more: next_cursor.is_some(), next_cursor })
    }
}
