//! Where the record of an ended call stands between its answer and its transaction, when the database is SQLite.
//!
//! A transaction of SQLite waits for the disk: more than a millisecond, which an answer would wait too. Instead the record is
//! appended to a file first. What has been written to a file outlives the process, also when it is killed, and at the next start
//! what is not in the database yet is put there. Only when the whole machine stops can records be lost that the writer of the
//! call log has not put into the database yet: those of about the last 50 ms. With Postgres there is no journal, for the disk of a
//! process may not come back: there an answer's end waits for the transaction.
//!
//! A file has one record a line. It is removed when all of its records are in the database.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use plasma_kernel::TenantId;
use serde::{Deserialize, Serialize};

use crate::{ModelCall, store::budget_spend::PeriodKey};

/// A file of this length is followed by another.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// A file without records that wait is kept for the next ones up to this length.
const EMPTY_FILE_BYTES_MAX: u64 = 1 << 20;

/// A record as the journal has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record<Call> {
    pub(crate) tenant: TenantId,
    pub(crate) call: Call,
    /// What the call has cost of each budget that applied.
    pub(crate) spent: Vec<Spent>,
}

/// What a call has cost of a budget, in millionths.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) period: PeriodKey,
    pub(crate) micros: i64,
}

/// A record that an earlier process left.
pub(crate) type Left = Record<ModelCall>;

pub(crate) struct CallJournal {
    folder: PathBuf,
    /// Makes the names of this process's files unlike those of others.
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    files: u64,
    /// How many records of each file are not in the database yet.
    waiting: HashMap<u64, usize>,
}

struct Current {
    file: File,
    number: u64,
    bytes: u64,
}

/// The file in which a record stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(u64);

impl CallJournal {
    /// A journal in `folder`, which is made when there is something to write. `name` must be unlike that of any other process.
    pub(crate) fn new(folder: PathBuf, name: String) -> Self {
        Self { folder, name, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}-{number}.jsonl", self.name))
    }

    /// Writes a record. It takes some microseconds: the bytes go to the operating system and not to the disk.
    ///
    /// # Errors
    /// When the file cannot be written, such as on a full disk.
    pub(crate) fn append(&self, record: &Record<&ModelCall>) -> io::Result<Place> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut state = self.state();
        if state.current.as_ref().is_none_or(|current| current.bytes >= FILE_BYTES_MAX) {
            let number = state.files;
            state.current = Some(Current { file: self.create(number)?, number, bytes: 0 });
            state.files += 1;
        }
        let Some(current) = &mut state.current else { return Err(io::ErrorKind::NotFound.into()) };
        let number = current.number;
        if let Err(error) = current.file.write_all(&line) {
            // Half a line may stand there: nothing is written behind it.
            state.current = None;
            if state.waiting.get(&number).is_none_or(|waiting| *waiting == 0) {
                remove(&self.path(number));
            }
            return Err(error);
        }
        current.bytes += line.len() as u64;
        *state.waiting.entry(number).or_default() += 1;
        Ok(Place(number))
    }

    fn create(&self, number: u64) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.path(number))
    }

    /// So many records in `places` are in the database.
    pub(crate) fn written(&self, places: impl IntoIterator<Item = Place>) {
        let mut state = self.state();
        for Place(number) in places {
            let Some(waiting) = state.waiting.get_mut(&number) else { continue };
            *waiting = waiting.saturating_sub(1);
            if *waiting > 0 {
                continue;
            }
            let current = state.current.as_ref().filter(|current| current.number == number);
            if current.is_some_and(|current| current.bytes < EMPTY_FILE_BYTES_MAX) {
                continue;
            }
            if current.is_some() {
                state.current = None;
            }
            state.waiting.remove(&number);
            remove(&self.path(number));
        }
    }

    /// Removes the last file, when nothing of it waits.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        if let Some(current) = state.current.take()
            && state.waiting.get(&current.number).is_none_or(|waiting| *waiting == 0)
        {
            remove(&self.path(current.number));
        }
    }
}

/// Removes a file whose records are in the database.
pub(crate) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, path = %path.display(), "a file of the journal of calls could not be removed");
    }
}

/// The files that earlier processes left in `folder`.
pub(crate) fn left_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|name| name == "jsonl")).collect();
    paths.sort();
    paths
}

/// Keeps a file under a name that no start looks at again.
pub(crate) fn set_aside(path: &Path) {
    if let Err(error) = fs::rename(path, path.with_extension("bad")) {
        tracing::warn!(%error, path = %path.display(), "a file of the journal of calls could not be renamed");
    }
}

/// The records of a file, and how many lines cannot be read. A last line without an end is none: the machine stopped, or the disk
/// was full, while it was written, and its caller has not been told that it is safe.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<(Vec<Left>, usize)> {
    let (mut records, mut unreadable) = (Vec::new(), 0);
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        match serde_json::from_slice(&line) {
            Ok(record) => records.push(record),
            Err(_) if !line.ends_with(b"\n") => {}
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a line of the journal of calls cannot be read");
                unreadable += 1;
            }
        }
        line.clear();
    }
    Ok((records, unreadable))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use plasma_kernel::{
        Actor, BudgetId, CallId, Clock, Ctx, PageRequest, Permissions, Random, RequestId, TenantId, UserId,
    };
    use plasma_store::EventFilter;
    use plasma_testkit::TestStore;

    use super::*;
    use crate::{
        Budget, BudgetPeriod, BudgetSubject, CallStatus, LocalModels, LocalSettings, Manifest, ModelKind, Models,
        ModelsConfig, NewBudget, Purpose, TokenUsage, events,
    };

    fn ctx() -> Ctx {
        let system = Ctx::system("test", Clock::system(), Random::system());
        let actor = Actor::User { id: UserId::new(&system) };
        Ctx::new(TenantId::new(&system), actor, Permissions::all(), Clock::system(), Random::system())
    }

    fn call(ctx: &Ctx) -> ModelCall {
        ModelCall {
            id: CallId::new(ctx),
            model: "acme/chat".to_owned(),
            decision: None,
            attempts: Vec::new(),
            kind: ModelKind::Chat,
            purpose: Purpose::Api,
            status: CallStatus::Succeeded,
            streamed: false,
            usage: TokenUsage::default(),
            queued_ms: 0,
            first_token_ms: None,
            duration_ms: 5,
            cost: None,
            error: None,
            cache: None,
            prompt: None,
            actor: ctx.actor().clone(),
            team: ctx.team(),
            request: RequestId::new(ctx),
            created_at: ctx.now(),
        }
    }

    fn append(journal: &CallJournal, ctx: &Ctx, call: &ModelCall, spent: Vec<Spent>) -> Place {
        journal.append(&Record { tenant: ctx.tenant().unwrap(), call, spent }).unwrap()
    }

    #[test]
    fn a_file_goes_when_all_of_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = CallJournal::new(path.clone(), "a".to_owned());
        assert!(left_files(&path).is_empty(), "there is no folder yet");
        let ctx = ctx();
        let mut places = Vec::new();
        while left_files(&path).len() < 2 {
            places.push(append(&journal, &ctx, &call(&ctx), Vec::new()));
        }
        let last = places.pop().unwrap();
        let records: usize = left_files(&path).iter().map(|file| read(file).unwrap().0.len()).sum();
        assert_eq!(records, places.len() + 1);
        journal.written(places);
        assert_eq!(left_files(&path).len(), 1);
        journal.close();
        assert_eq!(left_files(&path).len(), 1, "a record waits in it");
        journal.written([last]);
        assert!(left_files(&path).is_empty());
    }

    #[test]
    fn a_line_that_was_cut_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let journal = CallJournal::new(folder.path().to_owned(), "a".to_owned());
        let ctx = ctx();
        let first = call(&ctx);
        append(&journal, &ctx, &first, Vec::new());
        append(&journal, &ctx, &call(&ctx), Vec::new());
        let file = left_files(folder.path()).remove(0);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, bytes.get(..bytes.len() - 10).unwrap()).unwrap();
        let (left, unreadable) = read(&file).unwrap();
        assert_eq!((left.iter().map(|record| record.call.id).collect::<Vec<_>>(), unreadable), (vec![first.id], 0));
        // One in the middle keeps no others away.
        fs::write(&file, [b"{}\n", bytes.as_slice()].concat()).unwrap();
        let (left, unreadable) = read(&file).unwrap();
        assert_eq!((left.len(), unreadable), (2, 1));
    }

    fn models(test: &TestStore) -> Models {
        let local =
            LocalModels::new(&Manifest::builtin().unwrap(), Path::new("/nonexistent"), &LocalSettings::default());
        let ctx = Ctx::system("test", Clock::system(), Random::system());
        Models::new(&ctx, test.store(), local, ModelsConfig::default()).unwrap()
    }

    /// A budget whose books are open, set by a process that has ended since.
    async fn budget(test: &TestStore, ctx: &Ctx, limit_micros: i64) -> Budget {
        let first = models(test);
        let new = NewBudget {
            subject: BudgetSubject::Tenant {},
            period: BudgetPeriod::Total,
            limit_micros,
            currency: "USD".to_owned(),
        };
        let budget = first.create_budget(ctx, new).await.unwrap().budget;
        // The books of a budget are opened by the first reservation.
        let worst_case = plasma_kernel::Money { amount_micros: 10, currency: "USD".to_owned() };
        drop(first.reserve(ctx, None, &worst_case).await.unwrap());
        first.shutdown().await;
        budget
    }

    fn spent(budget: BudgetId, micros: i64) -> Vec<Spent> {
        vec![Spent { period: PeriodKey { budget, period_start_at: 0 }, micros }]
    }

    /// The thresholds that were told of, oldest first.
    async fn thresholds(test: &TestStore, ctx: &Ctx) -> Vec<i64> {
        let mut tx = test.read(ctx).await.unwrap();
        let filter = EventFilter { kind: Some(events::BUDGET_THRESHOLD_REACHED.to_owned()) };
        let told = tx.events_page(&filter, &PageRequest::default()).await.unwrap().data;
        told.iter().rev().map(|event| event.data["threshold_percent"].as_i64().unwrap()).collect()
    }

    #[tokio::test]
    async fn thresholds_that_left_records_reach_are_told_once() {
        let test = TestStore::sqlite().await;
        let ctx = ctx();
        let budget = budget(&test, &ctx, 1_000).await;
        let folder = test.store().data_dir().join("call-journal");
        let mut sum = 0;
        // What the calls of each round have cost, and what has been told after it.
        let rounds: [(Vec<i64>, Vec<i64>); 4] =
            [(vec![799], vec![]), (vec![1, 50], vec![80]), (vec![100], vec![80]), (vec![50], vec![80, 100])];
        for (round, (costs, told)) in rounds.into_iter().enumerate() {
            let journal = CallJournal::new(folder.clone(), format!("left-{round}"));
            for micros in costs {
                append(&journal, &ctx, &call(&ctx), spent(budget.id, micros));
                sum += micros;
            }
            let file = left_files(&folder).remove(0);
            let bytes = fs::read(&file).unwrap();
            for _ in 0..2 {
                let next = models(&test);
                assert_eq!(next.budget(&ctx, budget.id).await.unwrap().spent_micros, sum);
                next.shutdown().await;
                assert_eq!(thresholds(&test, &ctx).await, told);
                // Killed once more, before the file was removed.
                fs::write(&file, &bytes).unwrap();
            }
            fs::remove_file(&file).unwrap();
        }
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_recorded_once() {
        let test = TestStore::sqlite().await;
        let ctx = ctx();
        let budget = budget(&test, &ctx, 1_000).await;
        let journal = CallJournal::new(test.store().data_dir().join("call-journal"), "left".to_owned());
        let call = call(&ctx);
        append(&journal, &ctx, &call, spent(budget.id, 300));
        let file = left_files(&test.store().data_dir().join("call-journal")).remove(0);
        let bytes = fs::read(&file).unwrap();
        for _ in 0..2 {
            let next = models(&test);
            assert_eq!(next.call(&ctx, call.id).await.unwrap().duration_ms, 5);
            assert_eq!(next.budget(&ctx, budget.id).await.unwrap().spent_micros, 300);
            assert!(!file.exists());
            next.shutdown().await;
            // Killed once more, before the file was removed.
            fs::write(&file, &bytes).unwrap();
        }
    }
}
