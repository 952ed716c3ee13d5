//! `/api/v1/live`: events and progress as they happen, resumable from an event's id.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{Extensions, HeaderMap},
    response::Response,
};
use plasma_http::{Caller, Problem, ProblemBody};
use plasma_identity::AccessRequest;
use plasma_kernel::{Code, Ctx, Error, EventId, PageRequest, Permission, Result, TenantId};
use plasma_knowledge::IngestProgress;
use plasma_store::{Event, EventFilter, EventPosition};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, broadcast::error::RecvError},
    time::{Instant, MissedTickBehavior},
};

use super::events::{EventBody, topic_matches};
use crate::{
    edge::{Token, check_websocket_origin},
    system::System,
};

/// Bytes of a client's message.
const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// Topics of a subscription, and characters of one.
const TOPICS_MAX: usize = 32;
const TOPIC_CHARS_MAX: usize = 100;
/// Bytes that wait for a client's socket.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// A client that takes nothing for this long is closed; it can resume.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// A client must subscribe in this time.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client that does not even answer pings is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A session that has ended, or lost its permission, is noticed in this time.
const RECHECK_INTERVAL: Duration = Duration::from_secs(30);
/// Events of one read when a client resumes.
const BATCH_EVENTS: u32 = 200;
/// Progress has no event and no id; as a topic it has this name.
const PROGRESS_TOPIC: &str = "knowledge.document.progress";

/// Why the server closes a connection: 4000 and above are ours, after HTTP's statuses where one fits.
mod close {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const INTERNAL: u16 = 1011;
    pub(super) const TRY_AGAIN_LATER: u16 = 1013;
    pub(super) const SESSION_ENDED: u16 = 4401;
    pub(super) const FORBIDDEN: u16 = 4403;
    pub(super) const UNKNOWN_EVENT: u16 = 4404;
    pub(super) const NO_SUBSCRIPTION: u16 = 4408;
}

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum ClientMessage {
    /// Wants these topics from now on, or after an event that it has seen.
    Subscribe { topics: Vec<String>, after: Option<EventId> },
}

/// What the server says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerMessage<'a> {
    Event {
        event: EventBody,
    },
    Progress {
        document_id: String,
        collection_id: String,
        state: &'a str,
        done: u64,
        total: u64,
        seconds_left: Option<u64>,
    },
    /// Everything before is sent; `head` is the id to resume from.
    Ready {
        head: Option<EventId>,
    },
    /// Why the connection is about to be closed.
    Error {
        error: ProblemBody,
    },
}

/// Watch events live (WebSocket)
///
/// Send `{"type": "subscribe", "topics": ["knowledge.*"], "after": "evt_…"}`; a topic is an event type, `prefix.*` or `*`,
/// and `after` (optional) is the last event that was seen. The answers are `{"type": "event", "event": …}`,
/// `{"type": "progress", "document_id", "collection_id", "state", "done", "total", "seconds_left"}` for documents that are
/// being ingested (topic `knowledge.document.progress`), `{"type": "ready", "head": "evt_…"}` when all earlier events
/// are sent, and `{"type": "error", "error": problem}` before the server closes the connection. Subscribing again replaces the subscription. No event is lost or sent twice between `after` and the end.
///
/// Close codes: 1001 the server stops, 1008 the message was wrong, 1013 the client was too slow (resume), 4401 the session
/// has ended, 4403 the permission was taken away, 4404 `after` is unknown, 4408 no subscription within ten seconds.
#[utoipa::path(
    get, path = "/api/v1/live", tag = "events", security(("bearer" = [])),
    extensions(("x-permission" = json!("events:read"))),
    responses(
        (status = 101, description = "The connection is a WebSocket from here on"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn watch_live(
    State(system): State<System>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    ctx.require(Permission::EventsRead)?;
    let upgrade = upgrade.map_err(|_| {
        Error::invalid("upgrade", "this route speaks WebSocket")
            .remedy("connect with a WebSocket client (ws:// or wss://)")
    })?;
    let token = extensions.get::<Token>().cloned().ok_or_else(|| Error::internal("a caller without a token"))?;
    check_websocket_origin(&headers, &token)?;
    let tenant = ctx.tenant()?;
    let room = Arc::clone(&system.parts().live_room).try_acquire_owned().map_err(|_| {
        Error::unavailable("too_many_live_connections", "the server has as many live connections as it takes")
            .remedy("try again in a minute, or raise live_connections_max")
            .retry_after_ms(60_000)
    })?;
    Ok(upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
        .max_write_buffer_size(WAITING_BYTES_MAX)
        .on_upgrade(move |socket| run(system, ctx, tenant, token, socket, room)))
}

/// Keeps the number of open connections right, however they end.
struct Counted(#[allow(dead_code)] OwnedSemaphorePermit);

impl Counted {
    fn new(room: OwnedSemaphorePermit) -> Self {
        metrics::gauge!("plasma_live_connections").increment(1);
        Self(room)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("plasma_live_connections").decrement(1);
    }
}

async fn run(system: System, ctx: Ctx, tenant: TenantId, token: Token, socket: WebSocket, room: OwnedSemaphorePermit) {
    let _counted = Counted::new(room);
    // Subscribed before the first read of the log, so that nothing falls between the two.
    let events = system.parts().tail.subscribe();
    let progress = system.parts().knowledge.progress_feed();
    let mut session = Session {
        system,
        ctx,
        tenant,
        token,
        socket,
        topics: Vec::new(),
        position: None,
        head: None,
        events,
        progress,
        heard_at: Instant::now(),
    };
    let End { code, reason } = session.follow().await;
    let frame = CloseFrame { code, reason: reason.into() };
    // A client that is gone or takes nothing cannot be told.
    let _ = tokio::time::timeout(Duration::from_secs(1), session.socket.send(Message::Close(Some(frame)))).await;
}

/// Why a session ends.
struct End {
    code: u16,
    reason: &'static str,
}

fn end(code: u16, reason: &'static str) -> End {
    End { code, reason }
}

struct Session {
    system: System,
    ctx: Ctx,
    tenant: TenantId,
    token: Token,
    socket: WebSocket,
    topics: Vec<String>,
    /// Everything up to here was sent or did not concern the client; `None` before the first subscription.
    position: Option<EventPosition>,
    /// The last event up to there, from which the client can resume.
    head: Option<EventId>,
    events: broadcast::Receiver<Arc<Event>>,
    progress: broadcast::Receiver<IngestProgress>,
    heard_at: Instant,
}

impl Session {
    /// Goes on until there is a reason to end.
    async fn follow(&mut self) -> End {
        let stop = self.system.parts().stop.clone();
        let mut ping = tokio::time::interval(PING_INTERVAL);
        let mut recheck = tokio::time::interval(RECHECK_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick of an interval is now.
        ping.tick().await;
        recheck.tick().await;
        let subscribe_until = Instant::now() + SUBSCRIBE_TIMEOUT;
        loop {
            let subscribed = self.position.is_some();
            let step = tokio::select! {
                () = stop.cancelled() => Err(end(close::GOING_AWAY, "the server stops")),
                () = tokio::time::sleep_until(subscribe_until), if !subscribed => {
                    Err(end(close::NO_SUBSCRIPTION, "no subscription within ten seconds"))
                }
                _ = ping.tick() => self.ping().await,
                _ = recheck.tick() => self.recheck().await,
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(_)) => Err(end(close::POLICY, "the message was too large or broken")),
                    None => Err(end(close::GOING_AWAY, "the client left")),
                },
                event = self.events.recv(), if subscribed => match event {
                    Ok(event) => self.deliver(&event).await,
                    // Fallen behind: the rest is in the database.
                    Err(RecvError::Lagged(_)) => self.catch_up().await,
                    Err(RecvError::Closed) => Err(end(close::GOING_AWAY, "the server stops")),
                },
                progress = self.progress.recv(), if subscribed => match progress {
                    Ok(progress) => self.tell_progress(&progress).await,
                    // Newer progress makes the older worthless.
                    Err(RecvError::Lagged(_)) => Ok(()),
                    Err(RecvError::Closed) => Err(end(close::GOING_AWAY, "the server stops")),
                },
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn hear(&mut self, message: Message) -> std::result::Result<(), End> {
        self.heard_at = Instant::now();
        match message {
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(ClientMessage::Subscribe { topics, after }) => self.subscribe(topics, after).await,
                Err(error) => {
                    let mut what = error.to_string();
                    what.truncate(what.char_indices().nth(300).map_or(what.len(), |(index, _)| index));
                    self.refuse(&Error::invalid("message", what), close::POLICY, "the message was wrong").await
                }
            },
            Message::Binary(_) => Err(end(close::POLICY, "messages are JSON texts")),
            Message::Close(_) => Err(end(close::GOING_AWAY, "the client left")),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    async fn subscribe(&mut self, topics: Vec<String>, after: Option<EventId>) -> std::result::Result<(), End> {
        let fits = |topic: &String| !topic.is_empty() && topic.chars().count() <= TOPIC_CHARS_MAX;
        if topics.is_empty() || topics.len() > TOPICS_MAX || !topics.iter().all(fits) {
            let what = format!("must be 1 to {TOPICS_MAX} texts of 1 to {TOPIC_CHARS_MAX} characters");
            return self.refuse(&Error::invalid("topics", what), close::POLICY, "the topics were wrong").await;
        }
        self.topics = topics;
        match self.find_start(after).await {
            Ok((position, head)) => {
                self.position = Some(position);
                self.head = head;
            }
            Err(error) if error.code() == Code::NotFound => {
                return self.refuse(&error, close::UNKNOWN_EVENT, "the event to resume from is unknown").await;
            }
            Err(error) => return Err(broken(&error)),
        }
        self.catch_up().await?;
        self.send(&ServerMessage::Ready { head: self.head }).await
    }

    /// Where a subscription begins, and the event that stands there.
    async fn find_start(&mut self, after: Option<EventId>) -> Result<(EventPosition, Option<EventId>)> {
        let mut tx = self.system.store().read(&self.ctx).await?;
        if let Some(after) = after {
            return Ok((tx.event_position(after).await?, Some(after)));
        }
        let position = tx.events_head().await?;
        // A newer event may be visible already while an older one is still being written: the client must not resume there.
        let newest = PageRequest { limit: PageRequest::LIMIT_MAX, cursor: None };
        let page = tx.events_page(&EventFilter::default(), &newest).await?;
        let head = page.data.iter().find(|event| event.position <= position).map(|event| event.id);
        Ok((position, head))
    }

    /// Sends what is in the log after the client's position.
    async fn catch_up(&mut self) -> std::result::Result<(), End> {
        loop {
            let Some(position) = self.position else { return Ok(()) };
            let read = async { self.system.store().read(&self.ctx).await?.events_after(position, BATCH_EVENTS).await };
            let events = read.await.map_err(|error| broken(&error))?;
            if events.is_empty() {
                return Ok(());
            }
            for event in &events {
                self.deliver(event).await?;
            }
        }
    }

    async fn deliver(&mut self, event: &Event) -> std::result::Result<(), End> {
        let Some(position) = self.position else { return Ok(()) };
        // Seen already while catching up, or another tenant's.
        if event.position <= position || event.tenant != Some(self.tenant) {
            return Ok(());
        }
        self.position = Some(event.position);
        self.head = Some(event.id);
        if !self.wants(&event.kind) {
            return Ok(());
        }
        self.send(&ServerMessage::Event { event: EventBody::from(event) }).await
    }

    async fn tell_progress(&mut self, progress: &IngestProgress) -> std::result::Result<(), End> {
        if progress.tenant != self.tenant || !self.wants(PROGRESS_TOPIC) {
            return Ok(());
        }
        let message = ServerMessage::Progress {
            document_id: progress.document.to_string(),
            collection_id: progress.collection.to_string(),
            state: progress.state.as_str(),
            done: progress.done,
            total: progress.total,
            seconds_left: progress.seconds_left,
        };
        self.send(&message).await
    }

    fn wants(&self, kind: &str) -> bool {
        self.topics.iter().any(|topic| topic_matches(topic, kind))
    }

    async fn ping(&mut self) -> std::result::Result<(), End> {
        if self.heard_at.elapsed() > SILENCE_MAX {
            return Err(end(close::GOING_AWAY, "the client does not answer"));
        }
        in_time(self.socket.send(Message::Ping(bytes::Bytes::new()))).await
    }

    /// The session may have ended, and the role may have changed.
    async fn recheck(&mut self) -> std::result::Result<(), End> {
        match may_still_watch(&self.system, &self.ctx, &self.token).await {
            Ok(()) => Ok(()),
            Err(error) if error.code() == Code::Unauthenticated => {
                Err(end(close::SESSION_ENDED, "the session has ended"))
            }
            Err(error) if error.code() == Code::Forbidden => {
                Err(end(close::FORBIDDEN, "the permission events:read was taken away"))
            }
            // The database does not answer; the next check decides.
            Err(_) => Ok(()),
        }
    }

    async fn refuse(&mut self, error: &Error, code: u16, reason: &'static str) -> std::result::Result<(), End> {
        self.send(&ServerMessage::Error { error: ProblemBody::from(error) }).await?;
        Err(end(code, reason))
    }

    async fn send(&mut self, message: &ServerMessage<'_>) -> std::result::Result<(), End> {
        // Our own types with string keys always serialize.
        let text = serde_json::to_string(message).unwrap_or_default();
        in_time(self.socket.send(Message::Text(text.into()))).await
    }
}

/// As if the connection were asked for now: the key, the role and the policies, with the address that it comes from.
async fn may_still_watch(system: &System, ctx: &Ctx, token: &Token) -> Result<()> {
    let identity = &system.parts().identity;
    let origin = ctx.origin().cloned().unwrap_or_default();
    let mut caller = token.authenticate(identity, origin.address).await?;
    caller.require_address()?;
    caller.require_open(false)?;
    let request = AccessRequest {
        action: Some(Permission::EventsRead),
        id: None,
        within: &[],
        path: "/api/v1/live",
        method: "GET",
    };
    identity.decide(&caller.ctx.with_origin(Arc::new(origin)), &request).await
}

async fn in_time(sending: impl Future<Output = std::result::Result<(), axum::Error>>) -> std::result::Result<(), End> {
    match tokio::time::timeout(SEND_TIMEOUT, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(end(close::GOING_AWAY, "the client left")),
        Err(_) => Err(end(close::TRY_AGAIN_LATER, "the client was too slow; resume from its last event")),
    }
}

fn broken(error: &Error) -> End {
    tracing::warn!(?error, "a live connection could not read the event log");
    end(close::INTERNAL, "the event log could not be read; resume in a moment")
}

/// For fuzzing only: what a client says.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    const KIND: &str = "knowledge.document.ready";
    let Ok(ClientMessage::Subscribe { topics, .. }) = serde_json::from_slice(bytes) else { return };
    for topic in topics.iter().filter(|topic| topic_matches(topic, KIND)) {
        assert!(KIND.starts_with(topic.trim_end_matches('*')), "{topic} is about something else");
    }
}
