//! The load generator. At a fixed rate every request has its time, and its latency counts from that time, also when all
//! connections were waiting for a slow server by then: a stall shows in every request that it held up, and not only in the
//! few that were under way ("coordinated omission", as wrk2 explains it). To saturation, each connection sends its next
//! request as soon as it has an answer.

pub mod http;
pub mod interrupt;

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use self::http::{Answer, Connection};

/// Connections at a fixed rate. More requests than these are never under way; later ones wait, and their latency shows it.
const RATE_CONNECTIONS_MAX: u64 = 256;
/// Each connection is used at least this often: servers close those that are idle for 5 s.
const REUSE_SECONDS: u64 = 2;
/// How long after the last request's time overdue requests are still sent.
const OVERDUE_MAX: Duration = Duration::from_secs(1);
/// The pause between connecting and the first request.
const SETTLE: Duration = Duration::from_millis(200);
/// A rate is held when this share of its requests has been answered …
const HELD_PART: f64 = 0.99;
/// … and no longer than this, in seconds, is needed to catch up after the last one was sent.
const CATCH_UP_MAX: f64 = 1.0;
/// Stack of a connection's thread.
const STACK_BYTES: usize = 256 << 10;

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So many a second, at equal distances.
    Rate(u32),
    /// As fast as the answers come, on so many connections.
    Saturation(usize),
}

/// Says what is wrong with an answer's status and body.
pub type Check<'a> = dyn Fn(u16, &[u8]) -> Result<(), String> + Sync + 'a;

/// What to send, and until when.
pub struct Plan<'a> {
    /// Who is asked.
    pub address: SocketAddr,
    /// Whole requests, head and body, which are sent in turn; at least one.
    pub requests: &'a [&'a [u8]],
    /// Which answers are good.
    pub check: &'a Check<'a>,
    /// When requests are sent.
    pub pace: Pace,
    /// How long requests are sent.
    pub time: Duration,
    /// Requests at most.
    pub requests_max: u64,
}

impl Plan<'_> {
    fn request(&self, ticket: u64) -> &[u8] {
        let count = self.requests.len().max(1) as u64;
        self.requests.get((ticket % count) as usize).copied().unwrap_or_default()
    }
}

/// What came of it. Times are in microseconds, sorted.
#[derive(Debug, Default)]
pub struct Outcome {
    /// From a request's time to the last byte of its answer.
    pub latencies: Vec<u32>,
    /// From a request's time to the first byte of its answer's body.
    pub first: Vec<u32>,
    /// How late the generator itself was: from a request's time to its sending, when a connection was free.
    pub late: Vec<u32>,
    /// What went wrong and how often.
    pub errors: BTreeMap<String, u64>,
    /// From the first request's time to the last answer.
    pub took: Duration,
    /// Requests that the pace asked for; none when it is saturation.
    pub scheduled: Option<u64>,
}

impl Outcome {
    /// Answers that were not as they should be, or did not come.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Whether the server held the rate at which the requests came.
    pub fn is_held(&self, rate: u32) -> bool {
        let (Some(scheduled), Some(fastest)) = (self.scheduled, self.latencies.first()) else { return false };
        let sent_after = scheduled as f64 / f64::from(rate);
        let behind = self.took.as_secs_f64() - sent_after - f64::from(*fastest) / 1e6;
        self.latencies.len() as f64 >= scheduled as f64 * HELD_PART && behind <= CATCH_UP_MAX
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.first.extend(other.first);
        self.late.extend(other.late);
        for (what, count) in other.errors {
            *self.errors.entry(what).or_default() += count;
        }
    }
}

/// The value below which `part` of the sorted values lie (nearest rank).
pub fn percentile(sorted: &[u32], part: f64) -> Option<u32> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// Linux lets sleeping threads oversleep by 50 µs to save wake-ups, as much as some of what is measured here. Threads
/// inherit the setting from the one that starts them.
pub fn exact_sleep() {
    // Where this is not allowed, the report shows how late requests were sent.
    let _ = fs::write("/proc/self/timerslack_ns", "1000");
}

/// Sends a plan's requests and waits for their answers.
///
/// # Errors
/// When no connection can be made. What goes wrong later is counted.
pub fn run(plan: &Plan<'_>) -> Result<Outcome> {
    let (connections, scheduled) = match plan.pace {
        Pace::Rate(rate) => {
            let connections = (u64::from(rate) * REUSE_SECONDS).clamp(1, RATE_CONNECTIONS_MAX);
            let scheduled = (f64::from(rate) * plan.time.as_secs_f64()) as u64;
            (connections as usize, Some(scheduled.min(plan.requests_max)))
        }
        Pace::Saturation(connections) => (connections, None),
    };
    let connections: Vec<Connection> = (0..connections)
        .map(|_| Connection::open(plan.address))
        .collect::<io::Result<_>>()
        .with_context(|| format!("cannot connect to {}", plan.address))?;
    let schedule = Schedule {
        begin: Instant::now() + SETTLE,
        requests: scheduled.unwrap_or(plan.requests_max),
        next: AtomicU64::new(0),
    };
    let sum = Mutex::new(Outcome::default());
    thread::scope(|scope| -> Result<()> {
        for connection in connections {
            let work = || {
                let outcome = send(plan, &schedule, connection);
                sum.lock().unwrap_or_else(PoisonError::into_inner).add(outcome);
            };
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            thread.spawn_scoped(scope, work).context("cannot start a thread")?;
        }
        Ok(())
    })?;
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.took = schedule.begin.elapsed();
    sum.scheduled = scheduled;
    for values in [&mut sum.latencies, &mut sum.first, &mut sum.late] {
        values.sort_unstable();
    }
    interrupt::check()?;
    Ok(sum)
}

/// The requests of all connections. Whoever is free takes the next.
struct Schedule {
    begin: Instant,
    requests: u64,
    next: AtomicU64,
}

impl Schedule {
    /// The next request's number and when it is to be sent; `None` when all are, or when the time is over.
    fn next(&self, plan: &Plan<'_>) -> Option<(u64, Instant)> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        if ticket >= self.requests || interrupt::is_set() {
            return None;
        }
        let now = Instant::now();
        let due = match plan.pace {
            Pace::Rate(rate) => {
                let due = self.begin + Duration::from_secs_f64(ticket as f64 / f64::from(rate));
                (now < self.begin + plan.time + OVERDUE_MAX).then_some(due)
            }
            Pace::Saturation(_) => (now < self.begin + plan.time).then_some(now.max(self.begin)),
        };
        due.map(|due| (ticket, due))
    }
}

fn send(plan: &Plan<'_>, schedule: &Schedule, connection: Connection) -> Outcome {
    let mut outcome = Outcome::default();
    let mut connection = Some(connection);
    while let Some((ticket, due)) = schedule.next(plan) {
        let was_free = wait_until(due);
        let begun = Instant::now();
        match exchange(plan, ticket, &mut connection) {
            Ok(answer) => {
                outcome.latencies.push(micros(answer.last_at - due));
                outcome.first.push(micros(answer.first_at - due));
                if was_free {
                    outcome.late.push(micros(begun - due));
                }
            }
            Err(what) => *outcome.errors.entry(what).or_default() += 1,
        }
    }
    outcome
}

/// Whether there was time left to wait.
#[allow(clippy::disallowed_methods)] // the thread is this connection's own, and a runtime's timers are not exact enough
fn wait_until(due: Instant) -> bool {
    let left = due.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return false;
    }
    thread::sleep(left);
    true
}

fn exchange(plan: &Plan<'_>, ticket: u64, place: &mut Option<Connection>) -> Result<Answer, String> {
    let mut connection = match place.take() {
        Some(connection) => connection,
        None => Connection::open(plan.address).map_err(|error| format!("cannot connect: {error}"))?,
    };
    // A connection whose exchange failed may have half an answer in it: the next request gets a new one.
    let answer = connection.exchange(plan.request(ticket)).map_err(|error| error.to_string())?;
    let checked = (plan.check)(answer.status, &connection.body);
    if !answer.closes {
        *place = Some(connection);
    }
    checked.map(|()| answer)
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::{TcpListener, TcpStream},
        sync::Arc,
    };

    use super::*;

    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi";

    /// Answers every request with `ok`, all of them one after the other; the one numbered `stall` takes 300 ms.
    fn server(stall: Option<u64>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::new(Mutex::new(0_u64));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let served = Arc::clone(&served);
                thread::spawn(move || serve(stream.unwrap(), &served, stall));
            }
        });
        address
    }

    #[allow(clippy::disallowed_methods)]
    fn serve(stream: TcpStream, served: &Mutex<u64>, stall: Option<u64>) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 0 {
            if line == "\r\n" {
                reader.read_exact(&mut [0; 2]).unwrap();
                let mut served = served.lock().unwrap();
                *served += 1;
                if Some(*served) == stall {
                    thread::sleep(Duration::from_millis(300));
                }
                reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            }
            line.clear();
        }
    }

    fn load(address: SocketAddr, pace: Pace, requests_max: u64) -> Outcome {
        let check = |status: u16, body: &[u8]| match (status, body) {
            (200, b"ok") => Ok(()),
            _ => Err("another answer".to_owned()),
        };
        let time = Duration::from_secs(1);
        run(&Plan { address, requests: &[REQUEST], check: &check, pace, time, requests_max }).unwrap()
    }

    #[test]
    fn one_stall_shows_in_every_request_that_it_held_up() {
        let outcome = load(server(Some(50)), Pace::Rate(200), u64::MAX);
        assert_eq!((outcome.latencies.len(), outcome.failed(), outcome.scheduled), (200, 0, Some(200)));
        // 200 a second, held up for 300 ms: 60 requests, of which the last waited hardly at all.
        let held_up = outcome.latencies.iter().filter(|latency| **latency > 20_000).count();
        assert!((45..=70).contains(&held_up), "{held_up} requests were held up");
        assert!(outcome.took >= Duration::from_millis(990), "{:?}", outcome.took);
    }

    #[test]
    fn saturation_sends_no_more_than_asked_for() {
        let outcome = load(server(None), Pace::Saturation(4), 100);
        assert_eq!((outcome.latencies.len(), outcome.failed(), outcome.scheduled), (100, 0, None));
        assert!(outcome.latencies.is_sorted());
    }

    #[test]
    fn requests_are_sent_in_turn() {
        let check = |_: u16, _: &[u8]| -> Result<(), String> { Ok(()) };
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let (pace, time) = (Pace::Saturation(1), Duration::ZERO);
        let requests: [&[u8]; 2] = [b"a", b"b"];
        let plan = Plan { address, requests: &requests, check: &check, pace, time, requests_max: 1 };
        assert_eq!([0, 1, 2, 3].map(|ticket| plan.request(ticket)), [b"a", b"b", b"a", b"b"]);
        assert!(Plan { requests: &[], ..plan }.request(5).is_empty());
    }

    #[test]
    fn answers_that_are_not_as_they_should_be_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!").unwrap();
            }
        });
        let outcome = load(address, Pace::Saturation(1), 5);
        assert_eq!((outcome.latencies.len(), outcome.errors.get("another answer")), (0, Some(&5)));
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u32> = (1..=200).collect();
        assert_eq!(percentile(&values, 0.5), Some(100));
        assert_eq!(percentile(&values, 0.99), Some(198));
        assert_eq!(percentile(&[7], 0.01), Some(7));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
