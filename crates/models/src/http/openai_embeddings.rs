use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{CallId, Ctx, Error, Result};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;

use super::{
    openai_chat::OpenAiError,
    protocol::{OpenAiBody, OpenAiCaller, json_text, with_cache_line, with_call_id},
};
use crate::{
    EmbedRequest, Embeddings, ModelKind, Models, Priority, Purpose,
    caches::CacheWish,
    catalog::Target,
    embed::{Embedded, INPUTS_MAX, Passed},
    manifest::ModelEntry,
    running_call::CallError,
    upstream::RawObject,
};

/// Up to so many texts go before what is ingested.
const URGENT_INPUTS_MAX: usize = 8;

/// Texts to embed, in OpenAI's format. A provider's model gets every field as it came, also those not listed here.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // the documentation of a body that is passed on unread
pub struct EmbeddingRequest {
    /// A model's name; the default embedding model when absent.
    #[schema(example = "local/all-minilm-l6-v2")]
    model: Option<String>,
    /// A text or a list of at most 2,048 texts. Local models take no lists of token ids.
    input: Value,
    /// `float` (default) or `base64`: little-endian 32-bit numbers.
    encoding_format: Option<EncodingFormat>,
    /// Numbers in a vector. Local models have a fixed number and refuse another.
    dimensions: Option<u32>,
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodingFormat {
    /// A list of numbers.
    #[default]
    Float,
    /// Little-endian 32-bit numbers in base64.
    Base64,
}

/// Vectors, in OpenAI's format.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EmbeddingList {
    /// Always `list`.
    pub object: &'static str,
    /// One for each text.
    pub data: Vec<EmbeddingItem>,
    /// The model's name.
    pub model: String,
    /// The tokens used.
    pub usage: EmbeddingUsage,
}

/// One text's vector.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EmbeddingItem {
    /// Always `embedding`.
    pub object: &'static str,
    /// The text's place.
    pub index: usize,
    /// The vector.
    pub embedding: EmbeddingVector,
}

/// A vector in the form that was asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum EmbeddingVector {
    /// As numbers.
    Numbers(Vec<f32>),
    /// In base64.
    Base64(String),
}

/// The tokens used.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens read, with those that texts took when they were embedded before.
    pub prompt_tokens: u64,
    /// The same.
    pub total_tokens: u64,
}

/// Embed texts (OpenAI format)
///
/// The header `plasma-call-id` names the call's record. A text that the workspace has had embedded before by the same model is not
/// embedded again, where the cache is on; the header `plasma-cache` says whether all of them were known (`hit`), some (`partial`) or
/// none (`miss`). `cache-control: no-cache` or `no-store` asks the model for all.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "openai", request_body = EmbeddingRequest, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = EmbeddingList),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn create_embedding(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    wish: CacheWish,
    OpenAiBody(body): OpenAiBody,
) -> Response {
    match embedding_answer(&models, &ctx, body, Purpose::Api, wish).await {
        Ok(EmbeddingAnswer { call_id, json, cache }) => {
            with_cache_line(cache.as_deref(), with_call_id(call_id, json_text(json)))
        }
        Err(error) => error.into_response(),
    }
}

/// An answer to a request to embed.
pub(crate) struct EmbeddingAnswer {
    /// The call's record.
    pub(crate) call_id: CallId,
    pub(crate) json: String,
    /// What a header says of the cache.
    cache: Option<String>,
}

/// Embeds the texts of a request in OpenAI's format.
pub(crate) async fn embedding_answer(
    models: &Models,
    ctx: &Ctx,
    body: RawObject,
    purpose: Purpose,
    wish: CacheWish,
) -> Result<EmbeddingAnswer, CallError> {
    ctx.require(purpose.permission())?;
    let model: Option<String> = body.get("model")?;
    match models.resolve(ctx, model.as_deref(), ModelKind::Embedding).await? {
        Target::Remote(remote) => {
            check_count(&body)?;
            // What is none of ours goes to the provider as it is.
            let format = body.get::<EncodingFormat>("encoding_format").ok().flatten().unwrap_or_default();
            // Boxed: it waits for others and for the provider, and callers must not carry its weight.
            match Box::pin(models.pass_embeddings(ctx, &remote, purpose, body, wish)).await? {
                Passed::Raw { call_id, json, cache } => Ok(EmbeddingAnswer { call_id, json, cache }),
                Passed::Embedded(embedded) => written(embedded, format).map_err(CallError::from),
            }
        }
        Target::Local(entry) => {
            let format = body.get::<EncodingFormat>("encoding_format")?.unwrap_or_default();
            let request = EmbedRequest { purpose, ..for_local_model(&body, &entry)? };
            let embedded = models.embed_with(ctx, Target::Local(entry), request, wish).await?;
            written(embedded, format).map_err(CallError::from)
        }
    }
}

fn written(embedded: Embedded, format: EncodingFormat) -> Result<EmbeddingAnswer> {
    let Embedded { embeddings: Embeddings { vectors, model, input_tokens, call_id }, cache } = embedded;
    let item = |(index, vector): (usize, Vec<f32>)| EmbeddingItem {
        object: "embedding",
        index,
        embedding: match format {
            EncodingFormat::Float => EmbeddingVector::Numbers(vector),
            EncodingFormat::Base64 => EmbeddingVector::Base64(base64(&vector)),
        },
    };
    let list = EmbeddingList {
        object: "list",
        data: vectors.into_iter().enumerate().map(item).collect(),
        model,
        usage: EmbeddingUsage { prompt_tokens: input_tokens, total_tokens: input_tokens },
    };
    let json =
        serde_json::to_string(&list).map_err(|error| Error::from_source("vectors could not be written", error))?;
    Ok(EmbeddingAnswer { call_id, json, cache })
}

fn base64(vector: &[f32]) -> String {
    STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

/// What the first item of a list begins with.
fn list_begins(input: &str) -> Option<char> {
    input.strip_prefix('[')?.trim_start().chars().next()
}

fn is_number(begins: Option<char>) -> bool {
    begins.is_some_and(|letter| letter == '-' || letter.is_ascii_digit())
}

/// The limit that holds also for what is passed on. A flat list of token ids is one text.
fn check_count(body: &RawObject) -> Result<()> {
    let begins = body.text("input").and_then(list_begins);
    if begins.is_none() || is_number(begins) {
        return Ok(());
    }
    let inputs: Vec<IgnoredAny> = body.get("input")?.unwrap_or_default();
    if inputs.len() > INPUTS_MAX {
        return Err(Error::too_large(
            "input",
            format!("{} texts, the limit is {INPUTS_MAX} in one call", inputs.len()),
        ));
    }
    Ok(())
}

fn for_local_model(body: &RawObject, entry: &ModelEntry) -> Result<EmbedRequest> {
    const KNOWN: [&str; 5] = ["model", "input", "encoding_format", "dimensions", "user"];
    if let Some(field) = body.fields().find(|(name, _)| !KNOWN.contains(name)).map(|(name, _)| name) {
        return Err(crate::gateway::not_for_local_models(field));
    }
    if let (Some(wanted), Some(fixed)) = (body.get::<usize>("dimensions")?, entry.dimensions)
        && wanted != fixed
    {
        let message = format!("`{}` makes vectors of {fixed} numbers, not {wanted}", entry.id);
        return Err(Error::invalid("dimensions", message).remedy("leave it out"));
    }
    let inputs: Vec<String> = match body.text("input") {
        Some(input) if input.starts_with('"') => body.get("input")?.into_iter().collect(),
        Some(input) if is_number(list_begins(input)) || list_begins(input) == Some('[') => {
            return Err(
                Error::invalid("input", "local models take texts, not token ids").remedy("send the texts themselves")
            );
        }
        Some(input) if input.starts_with('[') => body.get("input")?.unwrap_or_default(),
        _ => return Err(Error::invalid("input", "must be a text or a list of texts")),
    };
    // A few texts are what a person waits for; many are work for later.
    let priority = if inputs.len() <= URGENT_INPUTS_MAX { Priority::Urgent } else { Priority::Ordinary };
    Ok(EmbedRequest { model: None, inputs, purpose: Purpose::Api, priority })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Manifest;

    fn parse(fields: &str) -> Result<Vec<String>> {
        let entry = Manifest::builtin().unwrap().models.into_iter().find(|entry| entry.dimensions.is_some()).unwrap();
        let body = RawObject::parse(&format!(r#"{{"model":"m",{fields}}}"#)).unwrap();
        for_local_model(&body, &entry).map(|request| request.inputs)
    }

    #[test]
    fn inputs_are_texts() {
        assert_eq!(parse(r#""input":"a","dimensions":384,"user":"u""#).unwrap(), ["a"]);
        assert_eq!(parse(r#""input":["a","b"]"#).unwrap(), ["a", "b"]);
        for tokens in ["[1,2]", "[[1,2]]"] {
            let error = parse(&format!("\"input\":{tokens}")).unwrap_err();
            assert!(error.message().contains("token ids"), "{error}");
        }
        for (fields, field) in [
            (r#""input":{"a":1}"#, "input"),
            (r#""input":["a",1]"#, "input"),
            (r#""input":null"#, "input"),
            (r#""inputs":"a""#, "inputs"),
            (r#""input":"a","dimensions":256"#, "dimensions"),
        ] {
            assert_eq!(parse(fields).unwrap_err().field_name(), Some(field));
        }
    }

    #[test]
    fn base64_is_little_endian_floats() {
        assert_eq!(base64(&[1.0, -2.5]), "AACAPwAAIMA=");
    }
}
