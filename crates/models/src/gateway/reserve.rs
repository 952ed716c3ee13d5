//! What must hold before a candidate is asked: its price is known, limits let the call through, budgets cover its worst case.

use plasma_kernel::{Ctx, Result};
use plasma_protocols::{
    Protocol,
    chat::{Content, MediaSource, Part, Request},
};

use super::{Asked, Question};
use crate::{
    Models, budgets::Reservation, catalog::RemoteModel, limits::Admission, prices::require_price, upstream::RawObject,
};

/// Tokens of an answer at most, where a budget applies and the caller sets no limit: a worst case must have an end.
pub(super) const OUTPUT_TOKENS_MAX: u64 = 16_384;
/// Tokens that an image counts at most. Providers say some thousands for the largest.
const IMAGE_TOKENS_MAX: u64 = 20_000;
/// Tokens for the structure of a request beyond its text: roles, names, the template.
const STRUCTURE_TOKENS: u64 = 1_000;

/// What was set aside for one candidate.
pub(super) struct Ready {
    pub(super) reservation: Option<Reservation>,
    pub(super) admission: Admission,
    /// The limit of the answer that the reservation reckons with, where the caller set none.
    pub(super) output_tokens_max: Option<u64>,
}

impl Models {
    /// Sets everything aside that one question to `remote` may need.
    ///
    /// # Errors
    /// `conflict` (`price_unknown`), `rate_limited` (`model_limit_reached`), `over_budget`, `conflict`
    /// (`budget_currency_differs`), `unavailable`.
    pub(super) async fn set_aside(
        &self,
        ctx: &Ctx,
        question: &Question,
        remote: &RemoteModel,
        route: Option<&str>,
    ) -> Result<Ready> {
        let price = require_price(remote)?;
        let input = question.input_tokens_max()?;
        let asked = question.output_tokens_asked()?;
        let output = question.output_tokens_max()?;
        let admission = self.admit_provider(ctx, remote.provider_id, question.tokens_about()?).await?;
        // A price that is complete has a worst case.
        let reservation = match price.worst_case(input, output) {
            Some(worst_case) => self.reserve(ctx, route, &worst_case).await?,
            None => None,
        };
        let output_tokens_max = (reservation.is_some() && asked.is_none()).then_some(OUTPUT_TOKENS_MAX);
        Ok(Ready { reservation, admission, output_tokens_max })
    }
}

impl Models {
    /// Whether the caller's budgets would cover the question. Nothing stays set aside.
    ///
    /// # Errors
    /// As [`Models::set_aside`], but for limits.
    pub(super) async fn check_covered(
        &self,
        ctx: &Ctx,
        question: &Question,
        remote: &RemoteModel,
        route: Option<&str>,
    ) -> Result<()> {
        let price = require_price(remote)?;
        if let Some(worst_case) = price.worst_case(question.input_tokens_max()?, question.output_tokens_max()?) {
            drop(self.reserve(ctx, route, &worst_case).await?);
        }
        Ok(())
    }
}

impl Question {
    /// More tokens than the prompt can have: a token has at least one byte, but for media.
    pub(super) fn input_tokens_max(&self) -> Result<u64> {
        // Without media every byte of the request's own text is bound enough, and nothing has to be translated.
        if let Asked::Client { body, .. } = &self.asked
            && !self.may_have_media()
        {
            return Ok(body.values().map(str::len).sum::<usize>() as u64 + STRUCTURE_TOKENS);
        }
        let (request, _) = self.translated()?;
        Ok(tokens_max(request))
    }

    /// Whether a client's request may carry pictures, recordings or documents in its text.
    pub(super) fn may_have_media(&self) -> bool {
        match &self.asked {
            Asked::Client { body, .. } => body.values().any(|text| text.contains("base64") || text.contains("ata\"")),
            Asked::Ours(_) => true,
        }
    }

    /// The caller's own limit of the answer. A client's own request is not translated for it: it may pass through unread.
    fn output_tokens_asked(&self) -> Result<Option<u64>> {
        let (protocol, body) = match &self.asked {
            Asked::Ours(request) => return Ok(request.max_output_tokens),
            Asked::Client { protocol, body, .. } => (*protocol, body),
        };
        match protocol {
            Protocol::OpenAiChat => match body.get("max_completion_tokens")? {
                Some(tokens) => Ok(Some(tokens)),
                None => body.get("max_tokens"),
            },
            Protocol::Gemini => gemini_config(body)?.get_either("maxOutputTokens", "max_output_tokens"),
            Protocol::OpenAiResponses => body.get("max_output_tokens"),
            Protocol::Anthropic | Protocol::Bedrock => body.get("max_tokens"),
        }
    }

    /// Tokens of all answers at most.
    pub(super) fn output_tokens_max(&self) -> Result<u64> {
        Ok(self.output_tokens_asked()?.unwrap_or(OUTPUT_TOKENS_MAX).saturating_mul(self.choices_asked()?))
    }

    /// How many answers are asked for.
    fn choices_asked(&self) -> Result<u64> {
        let choices = match &self.asked {
            Asked::Ours(request) => request.choices.map(u64::from),
            Asked::Client { protocol: Protocol::OpenAiChat, body, .. } => body.get("n")?,
            Asked::Client { protocol: Protocol::Gemini, body, .. } => {
                gemini_config(body)?.get_either("candidateCount", "candidate_count")?
            }
            Asked::Client { .. } => None,
        };
        Ok(choices.unwrap_or(1).max(1))
    }
}

fn gemini_config(body: &RawObject) -> Result<RawObject> {
    Ok(body.get_either("generationConfig", "generation_config")?.unwrap_or_default())
}

impl RawObject {
    /// A field that has two spellings.
    fn get_either<T: for<'a> serde::Deserialize<'a>>(&self, name: &str, other: &str) -> Result<Option<T>> {
        match self.get(name)? {
            Some(value) => Ok(Some(value)),
            None => self.get(other),
        }
    }
}

fn tokens_max(request: &Request) -> u64 {
    let tools: usize = request
        .tools
        .iter()
        .map(|tool| {
            tool.name.len()
                + tool.description.as_ref().map_or(0, String::len)
                + tool.parameters.as_ref().map_or(0, |schema| schema.to_string().len())
        })
        .sum();
    let parts = request.system.iter().chain(request.messages.iter().flat_map(|message| &message.parts));
    parts.map(part_tokens_max).sum::<u64>() + tools as u64 + STRUCTURE_TOKENS
}

fn part_tokens_max(part: &Part) -> u64 {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => text.len() as u64,
        Content::Reasoning(reasoning) => {
            let sealed = [&reasoning.signature, &reasoning.encrypted].into_iter().flatten();
            (reasoning.text.len() + sealed.map(|seal| seal.text.len()).sum::<usize>()) as u64
        }
        Content::ToolCall(call) => (call.name.len() + call.arguments.len()) as u64,
        Content::ToolResult(result) => result.parts.iter().map(part_tokens_max).sum(),
        Content::Image(_) => IMAGE_TOKENS_MAX,
        Content::Audio(media) | Content::Video(media) | Content::Document(media) => match &media.source {
            MediaSource::Base64(text) | MediaSource::Text(text) => text.len() as u64,
            // As long as a book: what the provider fetches itself cannot be measured here.
            MediaSource::Url(_) | MediaSource::File(_) => 1_000_000,
        },
    }
}
