//! A question as one provider's request.

use plasma_kernel::{Error, Result};
use plasma_protocols::{Losses, Protocol, anthropic, bedrock, gemini, openai_chat, openai_responses};

use super::{Asked, Question, callers_words::callers_name};
use crate::{catalog::RemoteModel, upstream::RawObject};

/// A request that is ready to go out.
pub(super) struct Prepared {
    pub(super) protocol: Protocol,
    pub(super) body: RawObject,
    /// What the translation could not carry.
    pub(super) losses: Losses,
    /// Whether the text passes through, and so the answer's.
    pub(super) same_protocol: bool,
}

impl Question {
    /// The request that asks `remote`.
    ///
    /// # Errors
    /// `invalid` when the provider's protocol cannot say what is asked.
    pub(super) fn prepare(
        &self,
        remote: &RemoteModel,
        streamed: bool,
        output_tokens_max: Option<u64>,
    ) -> Result<Prepared> {
        let inbound = self.protocol();
        let protocol = remote.endpoint.protocol_for(inbound.unwrap_or(Protocol::OpenAiChat));
        match &self.asked {
            Asked::Client { body, .. } if inbound == Some(protocol) && !self.never_raw => {
                let mut body = pass_through(protocol, body.clone(), &remote.upstream_name, streamed)?;
                if let Some(tokens) = output_tokens_max {
                    limit_output(protocol, &mut body, tokens)?;
                }
                Ok(Prepared { protocol, body, losses: Losses::default(), same_protocol: true })
            }
            _ => self.translate(remote, protocol, streamed, output_tokens_max),
        }
    }

    fn translate(
        &self,
        remote: &RemoteModel,
        protocol: Protocol,
        streamed: bool,
        output_tokens_max: Option<u64>,
    ) -> Result<Prepared> {
        let (request, losses_of_reading) = self.translated()?;
        let mut request = request.clone();
        let mut losses = Losses::default();
        request.model.clone_from(&remote.upstream_name);
        request.stream = streamed;
        request.stream_usage = streamed;
        request.max_output_tokens = request.max_output_tokens.or(output_tokens_max);
        let value = match protocol {
            Protocol::OpenAiChat => openai_chat::write_request(&request, &mut losses),
            Protocol::OpenAiResponses => openai_responses::write_request(&request, &mut losses),
            Protocol::Anthropic => anthropic::write_request(&request, &mut losses),
            Protocol::Gemini => gemini::write_request(&request, &mut losses),
            Protocol::Bedrock => bedrock::write_request(&request, &mut losses),
        }
        .map_err(|error| self.in_callers_words(error))?;
        let losses = match self.protocol() {
            Some(protocol) => losses.renamed(|field| callers_name(protocol, field)),
            None => losses,
        };
        let body = RawObject::of(&value)?;
        Ok(Prepared { protocol, body, losses: losses_of_reading.and(losses), same_protocol: false })
    }

    /// A refusal to translate, with the caller's name of the field instead of the middle form's.
    pub(super) fn in_callers_words(&self, error: Error) -> Error {
        let mut told = Error::new(error.code(), untranslatable_reason(&error), error.message());
        if let Some(field) = error.field_name() {
            told =
                told.field(self.protocol().map_or_else(|| field.to_owned(), |protocol| callers_name(protocol, field)));
        }
        match error.remedy_text() {
            Some(remedy) => told.remedy(remedy),
            None => told,
        }
    }
}

/// Another candidate may be able to say it; where a local model refused, its own reason says so already.
fn untranslatable_reason(error: &Error) -> &'static str {
    match error.reason() {
        "invalid" => "untranslatable",
        reason => reason,
    }
}

/// A client's own request under the provider's name of the model.
fn pass_through(protocol: Protocol, mut body: RawObject, model: &str, streamed: bool) -> Result<RawObject> {
    // Gemini's clients name the model in the address.
    if protocol != Protocol::Gemini {
        body.set("model", &model)?;
    }
    if protocol == Protocol::OpenAiChat && streamed {
        // The call log needs the tokens; a client that did not ask for them does not see them.
        let mut options: RawObject = body.get("stream_options")?.unwrap_or_default();
        options.set("include_usage", &true)?;
        body.set("stream_options", &options)?;
        body.set("stream", &true)?;
    }
    Ok(body)
}

/// Ends an answer that the caller did not limit where a budget's worst case ends.
fn limit_output(protocol: Protocol, body: &mut RawObject, tokens: u64) -> Result<()> {
    match protocol {
        Protocol::OpenAiChat => body.set("max_tokens", &tokens),
        Protocol::OpenAiResponses => body.set("max_output_tokens", &tokens),
        Protocol::Anthropic => body.set("max_tokens", &tokens),
        Protocol::Gemini => {
            let name = if body.has("generation_config") { "generation_config" } else { "generationConfig" };
            let mut config: RawObject = body.get(name)?.unwrap_or_default();
            config.set("maxOutputTokens", &tokens)?;
            body.set(name, &config)
        }
        // Never passed through.
        Protocol::Bedrock => Ok(()),
    }
}

impl Prepared {
    /// Takes back what we wrote into the request and the server does not know, as its refusal says; each only once.
    pub(super) fn reword(&mut self, question: &Question, refusal: &str) -> Result<bool> {
        if self.protocol != Protocol::OpenAiChat {
            return Ok(false);
        }
        if !question.wants_usage()? && refusal.contains("stream_options") && self.body.has("stream_options") {
            // The call's tokens stay unknown then.
            self.body.remove("stream_options");
            return Ok(true);
        }
        // OpenAI's reasoning models know the limit by its newer name only, many other servers by its older one only.
        if !self.same_protocol && refusal.contains("max_completion_tokens") {
            let limit: Option<u64> = self.body.get("max_tokens")?;
            self.body.remove("max_tokens");
            self.body.set_some("max_completion_tokens", limit)?;
            return Ok(limit.is_some());
        }
        Ok(false)
    }
}

impl Question {
    /// Whether the caller asked for usage in a stream of OpenAI's chat format; elsewhere it is always there.
    pub(crate) fn wants_usage(&self) -> Result<bool> {
        match &self.asked {
            Asked::Client { protocol: Protocol::OpenAiChat, body, .. } => {
                let options: RawObject = body.get("stream_options")?.unwrap_or_default();
                Ok(options.text("include_usage") == Some("true"))
            }
            Asked::Client { .. } | Asked::Ours(_) => Ok(false),
        }
    }
}
