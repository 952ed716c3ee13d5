//! Counting a prompt's tokens without asking the model.

use plasma_kernel::{Ctx, Error, Permission, Result};
use plasma_protocols::{Protocol, anthropic, gemini};

use tokio_util::sync::CancellationToken;

use super::{
    Asked, Question,
    local_source::{interrupted, into_local_request},
};
use crate::{
    ModelKind, Models, Purpose,
    catalog::{RemoteModel, Target},
    local,
    upstream::{Operation, Outgoing, RawObject},
};

impl Models {
    /// How many tokens the prompt of a client's chat has: by the model's own provider, or by a local model's tokenizer.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`, `not_found` (`model_not_found`), `invalid` where the provider cannot count, and
    /// what the provider says.
    pub(crate) async fn count_chat_tokens(
        &self,
        ctx: &Ctx,
        protocol: Protocol,
        model: Option<&str>,
        body: RawObject,
    ) -> Result<u64> {
        ctx.require(Permission::ModelsInvoke)?;
        let question = Question::new(Purpose::Api, Asked::Client { protocol, body, header: None }, false);
        match self.resolve(ctx, model, ModelKind::Chat).await? {
            Target::Local(entry) => {
                let (request, losses) = question.translated()?;
                let request = into_local_request(request, &losses, &entry)?;
                self.count_locally(&entry.key(), request).await
            }
            Target::Remote(remote) => self.count_remotely(&question, &remote).await,
        }
    }

    /// A local model tells the length of the prompt when it begins to read; dropped then, it stops.
    async fn count_locally(&self, id: &str, request: local::ChatRequest) -> Result<u64> {
        let mut events = self.inner.local.chat(id, request, CancellationToken::new())?;
        while let Some(event) = events.recv().await {
            match event {
                local::ChatEvent::Reading { total, .. } => return Ok(total as u64),
                local::ChatEvent::Done(end) => return Ok(end.input_tokens as u64),
                local::ChatEvent::Error(error) => return Err(error),
                local::ChatEvent::Queued { .. } | local::ChatEvent::Loading | local::ChatEvent::Token { .. } => {}
            }
        }
        Err(interrupted())
    }

    async fn count_remotely(&self, question: &Question, remote: &RemoteModel) -> Result<u64> {
        let (request, mut losses) = question.translated()?;
        let mut request = request.clone();
        request.model.clone_from(&remote.upstream_name);
        let (protocol, body) = match remote.endpoint.protocol_for(Protocol::OpenAiChat) {
            Protocol::Anthropic => (Protocol::Anthropic, anthropic::count_tokens_request(&request, &mut losses)?),
            Protocol::Gemini => (Protocol::Gemini, gemini::count_tokens_request(&request, &mut losses)?),
            _ => {
                return Err(Error::invalid("model", format!("the provider of `{}` cannot count tokens", remote.id))
                    .remedy("name a local model, or one of a provider of the kind anthropic or gemini"));
            }
        };
        let outgoing = Outgoing {
            endpoint: &remote.endpoint,
            operation: Operation::CountTokens(protocol),
            model: &remote.upstream_name,
            body: body.to_string(),
            header: None,
        };
        let answer = self.inner.client.post_whole(outgoing).await?;
        let count = match protocol {
            Protocol::Anthropic => anthropic::read_count(&answer),
            _ => gemini::read_count(&answer),
        };
        count.map_err(|wrong| remote.endpoint.wrong(wrong))
    }
}
