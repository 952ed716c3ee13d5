//! Whom a limit lets through: rates at once or not at all, places for calls at a time in turn.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use plasma_kernel::{Actor, ApiKeyId, ApplicationId, UserId};
use tokio::sync::oneshot;

use super::rate::{Rate, Refused};

/// Calls that wait in this process for a place.
pub(super) const WAITING_MAX: usize = 1_000;

/// Whose turn it is: nobody waits longer because another has sent more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    User(UserId),
    ApiKey(ApiKeyId),
    Application(ApplicationId),
    System,
}

impl From<&Actor> for Caller {
    fn from(actor: &Actor) -> Self {
        match actor {
            Actor::User { id } | Actor::Application { user: Some(id), .. } => Self::User(*id),
            Actor::ApiKey { id } => Self::ApiKey(*id),
            Actor::Application { id, user: None } => Self::Application(*id),
            Actor::System { .. } => Self::System,
        }
    }
}

/// One limit as this process counts it.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: Rate,
    tokens: Rate,
    /// Calls that have a place now.
    running: u32,
    /// How many may; `None`: any number.
    concurrency: Option<u32>,
    queue: Queue,
}

impl State {
    fn has_room(&self) -> bool {
        self.concurrency.is_none_or(|concurrency| self.running < concurrency)
    }
}

/// Those who wait, each caller in the order of arrival, and the callers by turns.
#[derive(Default)]
struct Queue {
    callers: HashMap<Caller, VecDeque<Waiter>>,
    /// Each caller that waits, once.
    turns: VecDeque<Caller>,
    /// The number of the next waiter.
    next: u64,
}

struct Waiter {
    number: u64,
    place: oneshot::Sender<Place>,
}

impl Queue {
    fn push(&mut self, caller: Caller, place: oneshot::Sender<Place>) -> u64 {
        self.next += 1;
        let waiting = self.callers.entry(caller).or_default();
        if waiting.is_empty() {
            self.turns.push_back(caller);
        }
        waiting.push_back(Waiter { number: self.next, place });
        self.next
    }

    fn pop(&mut self) -> Option<oneshot::Sender<Place>> {
        let caller = self.turns.pop_front()?;
        let waiting = self.callers.get_mut(&caller)?;
        let waiter = waiting.pop_front()?;
        if waiting.is_empty() {
            self.callers.remove(&caller);
        } else {
            self.turns.push_back(caller);
        }
        Some(waiter.place)
    }

    fn remove(&mut self, caller: Caller, number: u64) {
        let Some(waiting) = self.callers.get_mut(&caller) else { return };
        waiting.retain(|waiter| waiter.number != number);
        if waiting.is_empty() {
            self.callers.remove(&caller);
            self.turns.retain(|other| *other != caller);
        }
    }
}

/// Which of a limit's rates refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Requests,
    Tokens,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete in itself, so a panic elsewhere leaves it sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one request and `tokens`, or nothing.
    pub(super) fn take(
        &self,
        now: i64,
        requests_per_minute: Option<u32>,
        tokens_per_minute: Option<u32>,
        tokens: u64,
    ) -> Result<(), (Kind, Refused)> {
        let mut state = self.state();
        if let Some(per_minute) = requests_per_minute {
            state.requests.take(now, 1, per_minute).map_err(|refused| (Kind::Requests, refused))?;
        }
        if let Some(per_minute) = tokens_per_minute
            && let Err(refused) = state.tokens.take(now, tokens, per_minute)
        {
            if let Some(per_minute) = requests_per_minute {
                state.requests.give_back(now, 1, per_minute);
            }
            return Err((Kind::Tokens, refused));
        }
        Ok(())
    }

    /// Undoes [`Gate::take`]: the call was not made.
    pub(super) fn give_back(
        &self,
        now: i64,
        requests_per_minute: Option<u32>,
        tokens_per_minute: Option<u32>,
        tokens: u64,
    ) {
        let mut state = self.state();
        if let Some(per_minute) = requests_per_minute {
            state.requests.give_back(now, 1, per_minute);
        }
        if let Some(per_minute) = tokens_per_minute {
            state.tokens.give_back(now, tokens, per_minute);
        }
    }

    /// A call that was counted with `estimated` tokens has used `used`.
    pub(super) fn correct(&self, now: i64, per_minute: u32, estimated: u64, used: u64) {
        let mut state = self.state();
        if used > estimated {
            state.tokens.add(now, used - estimated, per_minute);
        } else {
            state.tokens.give_back(now, estimated - used, per_minute);
        }
    }

    /// From now on so many calls may run at a time. Those who wait come in if that is more.
    pub(super) fn set_concurrency(self: &Arc<Self>, concurrency: Option<u32>) {
        self.state().concurrency = concurrency;
        self.let_in();
    }

    /// A place, or the right to wait for one; `None` when too many wait in this process.
    pub(super) fn place(self: &Arc<Self>, caller: Caller, waiting: &Arc<AtomicUsize>) -> Option<Entrance> {
        let mut state = self.state();
        if state.has_room() && state.queue.turns.is_empty() {
            state.running += 1;
            return Some(Entrance::Open(Place { gate: Some(self.clone()) }));
        }
        let counted = waiting
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |waiting| (waiting < WAITING_MAX).then_some(waiting + 1));
        counted.ok()?;
        let (sender, receiver) = oneshot::channel();
        let number = state.queue.push(caller, sender);
        let waiting = waiting.clone();
        Some(Entrance::Queued(Ticket { gate: self.clone(), caller, number, waiting, place: receiver }))
    }

    /// Gives free places to those who wait.
    fn let_in(self: &Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state();
                if !state.has_room() {
                    return;
                }
                let Some(next) = state.queue.pop() else { return };
                state.running += 1;
                next
            };
            // Outside the lock: a place that is not taken locks it again.
            if let Err(mut place) = next.send(Place { gate: Some(self.clone()) }) {
                place.gate = None;
                self.state().running -= 1;
            }
        }
    }

    /// Whether nothing is counted here.
    pub(super) fn is_at_rest(&self, now: i64) -> bool {
        let state = self.state();
        state.running == 0 && state.queue.turns.is_empty() && state.requests.is_full(now) && state.tokens.is_full(now)
    }
}

/// A place now, or later.
pub(super) enum Entrance {
    Open(Place),
    Queued(Ticket),
}

/// The right to run one call at a time; dropped, it goes to whoever's turn it is.
pub(super) struct Place {
    /// `None` when it was not taken.
    gate: Option<Arc<Gate>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.state().running -= 1;
            gate.let_in();
        }
    }
}

/// A place in the queue; dropped, it is given up.
pub(super) struct Ticket {
    gate: Arc<Gate>,
    caller: Caller,
    number: u64,
    waiting: Arc<AtomicUsize>,
    place: oneshot::Receiver<Place>,
}

impl Ticket {
    /// Waits for the turn.
    pub(super) async fn turn(mut self) -> Option<Place> {
        (&mut self.place).await.ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gate.state().queue.remove(self.caller, self.number);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        // A place that came at the last moment is dropped with the receiver, and goes to the next.
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn gate(concurrency: u32) -> (Arc<Gate>, Arc<AtomicUsize>) {
        let gate = Arc::new(Gate::default());
        gate.set_concurrency(Some(concurrency));
        (gate, Arc::default())
    }

    fn key(number: u128) -> Caller {
        Caller::ApiKey(ApiKeyId::from_bits(number))
    }

    fn open(gate: &Arc<Gate>, waiting: &Arc<AtomicUsize>) -> Place {
        match gate.place(key(0), waiting).unwrap() {
            Entrance::Open(place) => place,
            Entrance::Queued(_) => panic!("there was no place"),
        }
    }

    fn queued(gate: &Arc<Gate>, waiting: &Arc<AtomicUsize>, caller: Caller) -> Ticket {
        match gate.place(caller, waiting).unwrap() {
            Entrance::Queued(ticket) => ticket,
            Entrance::Open(_) => panic!("there was a place"),
        }
    }

    #[test]
    fn places_go_round_the_callers_however_many_each_has_sent() {
        let (gate, waiting) = gate(1);
        let mut running = Some(open(&gate, &waiting));
        // The first key has sent six before the second sends two and the third one.
        let order: [u128; 9] = [1, 1, 1, 1, 1, 1, 2, 2, 3];
        let mut tickets: Vec<_> = order
            .iter()
            .map(|number| Some((*number, Box::pin(queued(&gate, &waiting, key(*number)).turn()))))
            .collect();
        let mut served = Vec::new();
        while served.len() < order.len() {
            running.take();
            for slot in &mut tickets {
                let Some((number, ticket)) = slot else { continue };
                if let Some(place) = ticket.as_mut().now_or_never() {
                    served.push(*number);
                    assert!(running.replace(place.unwrap()).is_none(), "two run at a time");
                    *slot = None;
                }
            }
        }
        assert_eq!(served, [1, 2, 3, 1, 2, 1, 1, 1, 1]);
        drop(running);
        assert_eq!(waiting.load(Ordering::SeqCst), 0);
        assert!(gate.is_at_rest(0));
    }

    #[test]
    fn who_goes_away_while_waiting_leaves_nothing_behind() {
        let (gate, waiting) = gate(1);
        let running = open(&gate, &waiting);
        let first = queued(&gate, &waiting, key(1));
        let second = queued(&gate, &waiting, key(2));
        drop(first);
        assert_eq!(waiting.load(Ordering::SeqCst), 1);
        drop(running);
        // The place is the second's now, who goes away without having looked.
        drop(second);
        assert!(gate.is_at_rest(0));
        let _open = open(&gate, &waiting);
    }

    #[test]
    fn a_raised_limit_lets_in_those_who_wait() {
        let (gate, waiting) = gate(1);
        let running = open(&gate, &waiting);
        let tickets: Vec<_> = (0..4).map(|number| queued(&gate, &waiting, key(number))).collect();
        let mut turns: Vec<_> = tickets.into_iter().map(|ticket| Box::pin(ticket.turn())).collect();
        gate.set_concurrency(Some(3));
        let mut places: Vec<Place> =
            turns.iter_mut().filter_map(|turn| turn.as_mut().now_or_never().flatten()).collect();
        assert_eq!(places.len(), 2);
        // Lowered again: who leaves now lets nobody in before fewer than one run.
        gate.set_concurrency(Some(1));
        places.pop();
        drop(running);
        assert!(turns[2].as_mut().now_or_never().is_none());
        places.pop();
        assert!(turns[2].as_mut().now_or_never().flatten().is_some());
    }

    #[test]
    fn the_queue_is_bounded_in_the_whole_process() {
        let (first, waiting) = gate(1);
        let second = Arc::new(Gate::default());
        second.set_concurrency(Some(1));
        let _running = [open(&first, &waiting), open(&second, &waiting)];
        let mut tickets: Vec<Ticket> = (0..WAITING_MAX - 1).map(|_| queued(&first, &waiting, key(1))).collect();
        tickets.push(queued(&second, &waiting, key(2)));
        assert!(second.place(key(2), &waiting).is_none());
        tickets.pop();
        drop(queued(&second, &waiting, key(2)));
    }

    #[test]
    fn a_refused_token_gives_the_request_back() {
        let gate = Gate::default();
        for _ in 0..3 {
            assert!(matches!(gate.take(0, Some(2), Some(10), 11), Err((Kind::Tokens, Refused::TooMuch))));
        }
        gate.take(0, Some(2), Some(10), 5).unwrap();
        gate.take(0, Some(2), Some(10), 5).unwrap();
        assert!(matches!(gate.take(0, Some(2), Some(10), 0), Err((Kind::Requests, Refused::For(_)))));
    }
}
