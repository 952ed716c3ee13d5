//! Keeping what models are asked and answer: off, until an administrator turns it on.
//!
//! What is kept is redacted and cut first, then sealed under the tenant's data key, in the transaction that records the call.
//! Embeddings are not kept.

mod payload;
mod redact;
mod settings;

use std::sync::Arc;

use plasma_kernel::{CallId, Ctx, Error, Permission, Result, Timestamp};
use plasma_store::NewEvent;
use serde_json::json;

pub(crate) use payload::Payload;
pub(crate) use settings::Capture;
pub use settings::{BuiltInRedaction, CaptureSettings};

use crate::{Models, Purpose, calls::DAY_MICROS, events, gateway::Question, store};

/// What is kept of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPayload {
    /// The request, in the caller's protocol; `None` when it is not kept.
    pub request: Option<KeptText>,
    /// The answer as one that came whole, in the caller's protocol; `None` when it is not kept, there was none, it was longer
    /// than 4 MiB, or two models wrote it.
    pub answer: Option<KeptText>,
    /// When the call started.
    pub created_at: Timestamp,
    /// When it is removed.
    pub expires_at: Timestamp,
}

/// A request or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptText {
    /// JSON, but for one that was cut at its very end.
    pub text: String,
    /// Whether a part was too long and is left out.
    pub truncated: bool,
}

impl Models {
    /// What is kept of calls.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn capture_settings(&self, ctx: &Ctx) -> Result<CaptureSettings> {
        ctx.require(Permission::ModelsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        Ok(store::capture::get(&mut tx).await?.unwrap_or_default())
    }

    /// Changes what is kept of calls from now on; other processes learn of it within 10 s. A shorter retention holds for what
    /// is kept already, too.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field.
    pub async fn set_capture(&self, ctx: &Ctx, settings: CaptureSettings) -> Result<CaptureSettings> {
        ctx.require(Permission::ModelsWrite)?;
        // Also checks it.
        Capture::new(settings.clone())?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let before = store::capture::get(&mut tx).await?.unwrap_or_default();
        store::capture::put(&mut tx, &settings, ctx.now()).await?;
        store::payloads::shorten(&mut tx, i64::from(settings.retention_days) * DAY_MICROS).await?;
        let data = json!({
            "enabled": settings.enabled,
            "share_percent": settings.share_percent,
            "request": settings.request,
            "answer": settings.answer,
            "built_in_redactions": settings.built_in_redactions,
            "redactions": settings.redactions.len(),
            "retention_days": settings.retention_days,
        });
        let event = NewEvent::new(events::CAPTURE_CHANGED, ctx.tenant()?, data);
        tx.emit(event.changed(json!(before), json!(settings))).await?;
        tx.commit().await?;
        self.inner.capture.changed();
        Ok(settings)
    }

    /// What a call asked and was answered. That it was read is an event.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`payload_not_found`) when nothing was kept or its time is over.
    pub async fn call_payload(&self, ctx: &Ctx, id: CallId) -> Result<CallPayload> {
        ctx.require(Permission::ModelsWrite)?;
        self.inner.calls.flushed().await;
        let mut tx = self.inner.store.begin(ctx).await?;
        let payload = store::payloads::get(&mut tx, &self.inner.store, id, ctx.now()).await?;
        let payload = payload.ok_or_else(|| payload_not_found(id))?;
        tx.emit(NewEvent::new(events::PAYLOAD_READ, id, json!({}))).await?;
        tx.commit().await?;
        Ok(payload)
    }

    /// Removes what was kept of a call; its record stays.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`payload_not_found`).
    pub async fn delete_call_payload(&self, ctx: &Ctx, id: CallId) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        self.inner.calls.flushed().await;
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::payloads::delete(&mut tx, id).await? {
            return Err(payload_not_found(id));
        }
        tx.emit(NewEvent::new(events::PAYLOAD_DELETED, id, json!({}))).await?;
        tx.commit().await.map(drop)
    }

    /// What is to be kept of a call that asks `question`; `None` when nothing is. A workspace whose settings cannot be read
    /// keeps nothing: the call goes on.
    pub(crate) async fn payload_of(&self, ctx: &Ctx, question: &Question) -> Option<Payload> {
        // It holds the question and the answer of another call, which may not be among those that are kept.
        if question.purpose == Purpose::Judge {
            return None;
        }
        let capture = match self.capture(ctx).await {
            Ok(capture) => capture,
            Err(error) => {
                tracing::warn!(?error, "whether calls are kept is not known: nothing is");
                return None;
            }
        };
        capture.draws(ctx.random()).then(|| Payload::asking(capture, question))
    }

    async fn capture(&self, ctx: &Ctx) -> Result<Arc<Capture>> {
        let load = || async {
            let settings = store::capture::get(&mut self.inner.store.read(ctx).await?).await?;
            Capture::new(settings.unwrap_or_default())
        };
        self.inner.capture.get(ctx.tenant()?, load).await
    }
}

fn payload_not_found(id: CallId) -> Error {
    Error::not_found("payload_not_found", format!("nothing is kept of what the call {id} asked and was answered"))
        .remedy("an administrator turns keeping on under /api/v1/models/capture, for calls from then on")
}
