//! Single flight: of the same questions at the same time, one goes to the model, and the others wait for its answer. So with texts
//! that are embedded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{AnswerKey, CachedAnswer};

/// An answer that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) kept: Arc<CachedAnswer>,
    /// `None` when the question was the same.
    pub(crate) similarity: Option<f64>,
}

/// How a flight ended.
#[derive(Clone, Debug)]
enum Landing<F> {
    /// It is under way.
    None,
    Answered(F),
    /// The model answered, but the answer is not for others.
    NotForOthers,
}

/// The questions that are on their way to models. At most one of each. `F` is what is found.
pub(crate) struct Flights<F = Found>(Mutex<HashMap<AnswerKey, watch::Receiver<Landing<F>>>>);

impl<F> Default for Flights<F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// What becomes of a question.
pub(crate) enum Boarding<F = Found> {
    /// It goes to the model, and others may wait for it.
    Leads(Lead<F>),
    /// Another's answer came.
    Found(F),
    /// It goes to the model for itself.
    Alone,
}

/// A question's place, taken at once.
pub(crate) enum Joined<F> {
    /// It goes to the model, and others may wait for it.
    Leads(Lead<F>),
    /// The same question is under way.
    Follows(Follow<F>),
}

/// What came of waiting for another's question.
pub(crate) enum Followed<F> {
    /// Its answer.
    Found(F),
    /// It is gone without an answer: one of those who wait takes over.
    Gone,
    /// No answer for others, or none in time.
    Alone,
}

/// A question of another that is under way.
pub(crate) struct Follow<F>(watch::Receiver<Landing<F>>);

impl<F: Clone> Follow<F> {
    /// Waits for the answer until `deadline`.
    pub(crate) async fn landed(mut self, deadline: Instant) -> Followed<F> {
        let ended = self.0.wait_for(|landing| !matches!(landing, Landing::None));
        match tokio::time::timeout_at(deadline, ended).await {
            Ok(Ok(landing)) => match &*landing {
                Landing::Answered(found) => Followed::Found(found.clone()),
                Landing::None | Landing::NotForOthers => Followed::Alone,
            },
            Ok(Err(_)) => Followed::Gone,
            Err(_) => Followed::Alone,
        }
    }
}

impl<F: Clone> Flights<F> {
    /// Leads, or waits up to `wait_max` for the one that leads. When that fails or its caller goes away, one of those who wait
    /// leads; nobody gets another's error.
    pub(crate) async fn board(self: &Arc<Self>, key: AnswerKey, wait_max: Duration) -> Boarding<F> {
        let deadline = Instant::now() + wait_max;
        loop {
            let follow = match self.join(key) {
                Joined::Leads(lead) => return Boarding::Leads(lead),
                Joined::Follows(follow) => follow,
            };
            match follow.landed(deadline).await {
                Followed::Found(found) => return Boarding::Found(found),
                Followed::Alone => return Boarding::Alone,
                Followed::Gone => {}
            }
        }
    }

    /// Leads, or names the flight of the same question. Waits for nobody.
    pub(crate) fn join(self: &Arc<Self>, key: AnswerKey) -> Joined<F> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landing) = flights.get(&key) {
            return Joined::Follows(Follow(landing.clone()));
        }
        let (sender, receiver) = watch::channel(Landing::None);
        flights.insert(key, receiver);
        Joined::Leads(Lead { flights: self.clone(), key, sender })
    }
}

/// The right to ask the model for all. Dropped without landing, one of those who wait takes over.
pub(crate) struct Lead<F = Found> {
    flights: Arc<Flights<F>>,
    key: AnswerKey,
    sender: watch::Sender<Landing<F>>,
}

impl<F> Lead<F> {
    /// Gives the answer to those who wait.
    pub(crate) fn land(self, found: F) {
        self.sender.send_replace(Landing::Answered(found));
    }

    /// Lets those who wait ask for themselves, all at once: their answers would not be for others either.
    pub(crate) fn land_alone(self) {
        self.sender.send_replace(Landing::NotForOthers);
    }
}

impl<F> Drop for Lead<F> {
    fn drop(&mut self) {
        // Before the sender is gone: whoever wakes finds the place free. There is one lead for a key, so it is our entry.
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use plasma_kernel::{CallId, TenantId};
    use plasma_protocols::chat::Answer;
    use plasma_testkit::system;

    use super::*;

    /// Far longer than these tests take.
    const LONG: Duration = Duration::from_secs(60);

    fn key(number: u8) -> AnswerKey {
        AnswerKey { tenant: TenantId::new(&system()), hash: [number; 32] }
    }

    fn found() -> Found {
        let kept = Arc::new(CachedAnswer::new(Answer::default(), CallId::new(&system()), 0, None));
        Found { kept, similarity: None }
    }

    async fn lead(flights: &Arc<Flights>, key: AnswerKey) -> Lead {
        match flights.board(key, LONG).await {
            Boarding::Leads(lead) => lead,
            _ => panic!("the first one leads"),
        }
    }

    #[tokio::test]
    async fn followers_get_the_answer_and_the_place_is_free_again() {
        let flights = Arc::new(Flights::default());
        let key = key(1);
        let first = lead(&flights, key).await;
        let followers: Vec<_> = (0..20)
            .map(|_| {
                let flights = flights.clone();
                tokio::spawn(async move { matches!(flights.board(key, LONG).await, Boarding::Found(_)) })
            })
            .collect();
        tokio::task::yield_now().await;
        first.land(found());
        for follower in followers {
            assert!(follower.await.unwrap());
        }
        assert!(flights.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn when_the_first_is_gone_exactly_one_takes_over() {
        let flights = Arc::new(Flights::default());
        let key = key(2);
        let first = lead(&flights, key).await;
        let led = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let followers: Vec<_> = (0..20)
            .map(|_| {
                let (flights, led) = (flights.clone(), led.clone());
                tokio::spawn(async move {
                    match flights.board(key, LONG).await {
                        Boarding::Leads(lead) => {
                            led.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            lead.land(found());
                        }
                        Boarding::Found(_) => {}
                        Boarding::Alone => panic!("nobody goes alone"),
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(first);
        for follower in followers {
            follower.await.unwrap();
        }
        assert_eq!(led.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn waiting_is_bounded_and_what_is_not_for_others_holds_nobody_up() {
        let flights = Arc::new(Flights::default());
        let first = lead(&flights, key(3)).await;
        assert!(matches!(flights.board(first.key, Duration::from_millis(20)).await, Boarding::Alone));
        let (waiting, key) = (flights.clone(), first.key);
        let follower = tokio::spawn(async move { waiting.board(key, LONG).await });
        tokio::task::yield_now().await;
        first.land_alone();
        assert!(matches!(follower.await.unwrap(), Boarding::Alone));
    }
}
