//! How the requests of each protocol name a prompt, and what becomes of them.
//!
//! By a field of OpenAI's two protocols, by the header `plasma-prompt` in all, or by `prompt:NAME` in the place of a model.

use axum::http::{HeaderMap, HeaderName};
use plasma_kernel::{Ctx, Error, Result};
use plasma_protocols::{Losses, Protocol};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Models, PromptCall, PromptReference, PromptUse, prompts, upstream::RawObject};

pub(super) const PROMPT: HeaderName = HeaderName::from_static("plasma-prompt");
const VARIABLES: HeaderName = HeaderName::from_static("plasma-prompt-variables");
const SUBJECT: HeaderName = HeaderName::from_static("plasma-subject");
/// What a model's name begins with that is a prompt's.
const MODEL_PREFIX: &str = "prompt:";
/// What OpenAI's names of its own stored prompts begin with.
const OPENAI_PREFIX: &str = "pmpt_";
/// Bytes of a subject.
const SUBJECT_BYTES_MAX: usize = 512;

/// What a request's headers say of prompts.
#[derive(Clone, Debug, Default)]
pub(super) struct PromptHeaders {
    prompt: Option<Vec<u8>>,
    variables: Option<Vec<u8>>,
    subject: Option<Vec<u8>>,
}

impl PromptHeaders {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let value = |name: &HeaderName| headers.get(name).map(|value| value.as_bytes().to_vec());
        Self { prompt: value(&PROMPT), variables: value(&VARIABLES), subject: value(&SUBJECT) }
    }
}

/// What became of a request.
#[derive(Default)]
pub(super) struct Prompted {
    /// The model to ask: the caller's, or else the prompt's.
    pub(super) model: Option<String>,
    pub(super) used: Option<PromptUse>,
    /// What of the prompt the protocol has no place for.
    pub(super) losses: Losses,
}

/// Puts the messages of the prompt that a request names, if it names one, into its body.
///
/// # Errors
/// `invalid` or `too_large` naming the field or header, `not_found` (`prompt_not_found`, `prompt_version_not_found`,
/// `prompt_alias_not_found`).
pub(super) async fn apply(
    models: &Models,
    ctx: &Ctx,
    protocol: Protocol,
    model: Option<String>,
    body: &mut RawObject,
    headers: &PromptHeaders,
) -> Result<Prompted> {
    let Some((place, mut call)) = named(protocol, model.as_deref(), body, headers)? else {
        return Ok(Prompted { model, ..Prompted::default() });
    };
    if let Some(variables) = &headers.variables {
        if !call.variables.is_empty() {
            let message = "the request gives variables in its body too";
            return Err(Error::invalid(VARIABLES.as_str(), message).remedy("give them in one place"));
        }
        call.variables = serde_json::from_slice(variables)
            .map_err(|error| Error::invalid(VARIABLES.as_str(), format!("must be a JSON object: {error}")))?;
    }
    call.subject = subject(protocol, body, headers)?;
    let in_header = headers.variables.is_some();
    let rendered = models.use_prompt(ctx, call).await.map_err(|error| placed(error, place, in_header))?;
    if protocol == Protocol::OpenAiChat || protocol == Protocol::OpenAiResponses {
        body.remove("prompt");
    }
    let losses = prompts::insert(protocol, body, &rendered)?;
    let model = model.filter(|model| !model.starts_with(MODEL_PREFIX)).or(rendered.model);
    // Readers of OpenAI's and Anthropic's requests want the name there.
    if let Some(model) = &model
        && protocol != Protocol::Gemini
    {
        body.set("model", model)?;
    }
    Ok(Prompted { model, used: rendered.used, losses })
}

/// Where a request names its prompt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// OpenAI's chat: `{"name", "version", "alias", "variables"}`.
    Chat,
    /// OpenAI's Responses: `{"id", "version", "variables"}`.
    Responses,
    Header,
    Model,
}

fn named(
    protocol: Protocol,
    model: Option<&str>,
    body: &RawObject,
    headers: &PromptHeaders,
) -> Result<Option<(Place, PromptCall)>> {
    let in_body = match protocol {
        Protocol::OpenAiChat => of_chat(body)?.map(|call| (Place::Chat, call)),
        Protocol::OpenAiResponses => of_responses(body)?.map(|call| (Place::Responses, call)),
        Protocol::Anthropic | Protocol::Gemini | Protocol::Bedrock => None,
    };
    // OpenAI's own: it would go where this server's takes its place.
    let stored_elsewhere = protocol == Protocol::OpenAiResponses && in_body.is_none() && body.has("prompt");
    let in_header = headers.prompt.as_deref().map(|text| utf8(&PROMPT, text)).transpose()?;
    let in_model = model.and_then(|model| model.strip_prefix(MODEL_PREFIX));
    let of_text = |place, text: &str| {
        let (name, reference) = match text.split_once('@') {
            Some((name, reference)) => (name, PromptReference::of(reference)),
            None => (text, PromptReference::Unnamed),
        };
        (place, PromptCall { name: name.to_owned(), reference, ..PromptCall::default() })
    };
    let mut places =
        [in_body, in_header.map(|text| of_text(Place::Header, text)), in_model.map(|text| of_text(Place::Model, text))]
            .into_iter()
            .flatten();
    let first = places.next();
    if places.next().is_some() || (stored_elsewhere && first.is_some()) {
        return Err(Error::invalid(PROMPT.as_str(), "the request names a prompt in two places").remedy("name it once"));
    }
    if first.is_none() && headers.variables.is_some() {
        let message = "there are variables, but no prompt is named";
        return Err(Error::invalid(VARIABLES.as_str(), message).remedy("name one in the header plasma-prompt"));
    }
    Ok(first)
}

fn of_chat(body: &RawObject) -> Result<Option<PromptCall>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        name: String,
        version: Option<u32>,
        alias: Option<String>,
        #[serde(default)]
        variables: Map<String, Value>,
    }
    let Some(Named { name, version, alias, variables }) = body.get("prompt")? else { return Ok(None) };
    let reference = match (version, alias) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("prompt.alias", "a call names a version or an alias, not both"));
        }
        (Some(version), None) => PromptReference::Version(version),
        (None, Some(alias)) => PromptReference::of(&alias),
        (None, None) => PromptReference::Unnamed,
    };
    Ok(Some(PromptCall { name, reference, variables, ..PromptCall::default() }))
}

/// OpenAI's own field. What it stores itself has ids that are no names here, and passes on.
fn of_responses(body: &RawObject) -> Result<Option<PromptCall>> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
        version: Option<String>,
        variables: Option<Map<String, Value>>,
    }
    let Some(Named { id, version, variables }) = body.get("prompt")? else { return Ok(None) };
    if id.starts_with(OPENAI_PREFIX) {
        return Ok(None);
    }
    Ok(Some(PromptCall {
        name: id,
        reference: version.as_deref().map(PromptReference::of).unwrap_or_default(),
        variables: variables.unwrap_or_default(),
        variables_are_texts: true,
        subject: None,
    }))
}

/// The key by which an alias draws: the header's, or the person that the request names for the provider.
fn subject(protocol: Protocol, body: &RawObject, headers: &PromptHeaders) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Metadata {
        user_id: Option<String>,
    }
    let subject = match &headers.subject {
        Some(text) => Some(utf8(&SUBJECT, text)?.to_owned()),
        None => match protocol {
            Protocol::OpenAiChat | Protocol::OpenAiResponses => body.get("user")?,
            Protocol::Anthropic => body.get::<Metadata>("metadata")?.and_then(|metadata| metadata.user_id),
            Protocol::Gemini | Protocol::Bedrock => None,
        },
    };
    match subject {
        Some(subject) if subject.len() > SUBJECT_BYTES_MAX => {
            Err(Error::too_large(SUBJECT.as_str(), format!("must have at most {SUBJECT_BYTES_MAX} bytes")))
        }
        subject => Ok(subject.filter(|subject| !subject.is_empty())),
    }
}

fn utf8<'a>(name: &HeaderName, text: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(text).map_err(|_| Error::invalid(name.as_str(), "must be UTF-8"))
}

/// A refusal with the name of the caller's own field.
fn placed(error: Error, place: Place, variables_in_header: bool) -> Error {
    let variable = error.field_name().and_then(|field| field.strip_prefix("variables.")).map(str::to_owned);
    match (variable, place) {
        (Some(variable), _) if variables_in_header => error.field(format!("{VARIABLES}.{variable}")),
        (Some(variable), Place::Chat | Place::Responses) => error.field(format!("prompt.variables.{variable}")),
        (Some(variable), Place::Header | Place::Model) => error
            .field(format!("{VARIABLES}.{variable}"))
            .remedy("give the prompt's variables as a JSON object in the header plasma-prompt-variables"),
        (None, Place::Chat | Place::Responses) => error.field("prompt"),
        (None, Place::Header) => error.field(PROMPT.as_str()),
        (None, Place::Model) => error.field("model"),
    }
}
