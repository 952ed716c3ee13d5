//! Pictures and recordings: requests of OpenAI's format, passed on to providers that have them.
//!
//! Only the model's name is replaced. Such a call has a price for itself, whatever it reads and writes: what a picture, a minute or a
//! character costs is not counted.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use plasma_kernel::{CallId, Ctx, Error, Result};
use reqwest::multipart::Form;

use crate::{
    ModelKind, Models, ProviderKind, Purpose, TokenUsage,
    catalog::{RemoteModel, Target},
    prices::require_price,
    running_call::{CallError, CallStart, RunningCall},
    upstream::{MediaAnswer, Operation, Outgoing, RawObject},
};

/// An answer as bytes, on its way to the caller.
pub(crate) struct MediaBytes {
    pub(crate) call_id: CallId,
    pub(crate) content_type: String,
    call: RunningCall,
    answer: MediaAnswer,
}

impl MediaBytes {
    /// The bytes. The last ones go out when the call's record is durable.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let Self { call, answer, .. } = self;
        let state = (Some(call), answer.body, None::<Bytes>);
        stream::unfold(state, |(call, mut body, mut held)| async move {
            let mut call = call?;
            loop {
                match body.next().await {
                    Some(Ok(piece)) => {
                        call.has_token();
                        if let Some(before) = held.replace(piece) {
                            return Some((Ok(before), (Some(call), body, held)));
                        }
                    }
                    Some(Err(error)) => return Some((Err(call.fail(error).await), (None, body, None))),
                    None => {
                        let end = call.succeed().await.map(|_| held.take().unwrap_or_default());
                        return Some((end, (None, body, None)));
                    }
                }
            }
        })
        // What compresses it may ask again after the end.
        .fuse()
    }
}

impl Models {
    /// Makes pictures; returns the answer's JSON.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`, `not_found` (`model_not_found`), `conflict` (`price_unknown`), `over_budget`,
    /// `rate_limited`, and what the provider says.
    pub(crate) async fn make_images(&self, ctx: &Ctx, mut body: RawObject) -> Result<(CallId, String), CallError> {
        let name: Option<String> = body.get("model")?;
        let (remote, mut call) = self.begin_media(ctx, name.as_deref(), ModelKind::Image).await?;
        let call_id = call.id();
        body.set("model", &remote.upstream_name)?;
        let outgoing = outgoing(&remote, "/images/generations", body.to_json()?);
        match self.inner.client.post_object(outgoing).await.and_then(|answer| answer.to_json()) {
            Ok(json) => {
                call.counts(TokenUsage::default());
                call.succeed().await.map_err(|error| CallError { call_id: Some(call_id), error })?;
                Ok((call_id, json))
            }
            Err(error) => Err(CallError::of(call, error).await),
        }
    }

    /// Speaks a text.
    ///
    /// # Errors
    /// As [`Models::make_images`].
    pub(crate) async fn speak(&self, ctx: &Ctx, mut body: RawObject) -> Result<MediaBytes, CallError> {
        let name: Option<String> = body.get("model")?;
        let (remote, call) = self.begin_media(ctx, name.as_deref(), ModelKind::Speech).await?;
        body.set("model", &remote.upstream_name)?;
        let outgoing = outgoing(&remote, "/audio/speech", body.to_json()?);
        begun(call, self.inner.client.post_for_bytes(outgoing).await).await
    }

    /// Writes down a recording. `form` is the caller's without the model.
    ///
    /// # Errors
    /// As [`Models::make_images`].
    pub(crate) async fn transcribe(&self, ctx: &Ctx, name: Option<&str>, form: Form) -> Result<MediaBytes, CallError> {
        let (remote, call) = self.begin_media(ctx, name, ModelKind::Transcription).await?;
        let form = form.text("model", remote.upstream_name.clone());
        let operation = Operation::OpenAi("/audio/transcriptions");
        let answer = self.inner.client.post_form(&remote.endpoint, operation, &remote.upstream_name, form).await;
        begun(call, answer).await
    }

    /// The model, and a call of it that has passed limits and budgets.
    async fn begin_media(
        &self,
        ctx: &Ctx,
        name: Option<&str>,
        kind: ModelKind,
    ) -> Result<(Arc<RemoteModel>, RunningCall), CallError> {
        ctx.require(Purpose::Api.permission())?;
        let name = name.ok_or_else(|| Error::invalid("model", "is missing"))?;
        let Target::Remote(remote) = self.resolve(ctx, Some(name), kind).await? else {
            return Err(Error::internal("no local model has this kind").into());
        };
        if !matches!(remote.endpoint.kind, ProviderKind::Openai | ProviderKind::Azure) {
            let message = format!("providers of the kind `{}` cannot do this", remote.endpoint.kind.as_str());
            return Err(Error::invalid("model", message).remedy("name a model of another provider").into());
        }
        let start = CallStart {
            model: remote.id.clone(),
            kind,
            purpose: Purpose::Api,
            streamed: false,
            price: remote.price.clone(),
        };
        let mut call = RunningCall::start(&self.inner.calls, ctx, start).await?;
        let ready = async {
            let price = require_price(&remote)?;
            let admission = self.admit(ctx, 0).await?;
            let provider = self.admit_provider(ctx, remote.provider_id, 0).await?;
            let reservation = match price.worst_case(0, 0) {
                Some(cost) => self.reserve(ctx, None, &cost).await?,
                None => None,
            };
            Ok((admission, provider, reservation))
        };
        match ready.await {
            Ok((admission, provider, reservation)) => {
                call.admitted(admission);
                call.reserved(reservation, Some(provider));
                Ok((remote, call))
            }
            Err(error) => Err(CallError::of(call, error).await),
        }
    }
}

fn outgoing<'a>(remote: &'a RemoteModel, path: &'static str, body: String) -> Outgoing<'a> {
    Outgoing {
        endpoint: &remote.endpoint,
        operation: Operation::OpenAi(path),
        model: &remote.upstream_name,
        body,
        header: None,
    }
}

/// The provider answers: from here on the call is paid for, also when the caller goes away.
async fn begun(mut call: RunningCall, answer: Result<MediaAnswer>) -> Result<MediaBytes, CallError> {
    match answer {
        Ok(answer) => {
            call.counts(TokenUsage::default());
            Ok(MediaBytes { call_id: call.id(), content_type: answer.content_type.clone(), call, answer })
        }
        Err(error) => Err(CallError::of(call, error).await),
    }
}
