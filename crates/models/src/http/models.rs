use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Page, ProviderId, Result};
use serde::{Deserialize, Serialize};

use super::model_price::{GivenPrice, PriceBody, PriceSnapshotBody, PriceSourceWord};
use crate::{Capability, Model, ModelKind, ModelState, Models, NewModel, ProviderKind, manifest::Precision};

/// A model that can be called.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Model)]
pub struct ModelBody {
    /// The name to use.
    #[schema(example = "local/all-minilm-l6-v2")]
    pub id: String,
    /// What it does.
    pub kind: ModelKind,
    /// Where it runs.
    pub provider: ModelProvider,
    /// Whether it can answer now: `ready` (in memory), `idle` (the first call loads it), `missing` (its weights are absent,
    /// see `remedy`) or `remote`.
    pub state: ModelState,
    /// What to do when it cannot answer.
    #[schema(required)]
    pub remedy: Option<String>,
    /// Tokens of prompt and answer together at most.
    #[schema(required)]
    pub context_length: Option<u32>,
    /// Numbers in a vector, for embedding models.
    #[schema(required)]
    pub dimensions: Option<u32>,
    /// In which numbers an embedding model of this process multiplies; null for other models.
    #[schema(required)]
    pub precision: Option<Precision>,
    /// SPDX name of the weights' license.
    #[schema(required)]
    pub license: Option<String>,
    /// Bytes of its files.
    #[schema(required)]
    pub size_bytes: Option<u64>,
    /// Bytes in memory now.
    #[schema(required)]
    pub memory_bytes: Option<u64>,
    /// What it costs; null when unknown.
    #[schema(required)]
    pub price: Option<PriceBody>,
    /// Who says so: an administrator of the workspace, or the snapshot of public prices in this program. Null for models in
    /// this process, which cost nothing, and when the price is unknown.
    #[schema(required)]
    pub price_source: Option<PriceSourceWord>,
    /// Where in the snapshot the price stands; null when it is not from there.
    #[schema(required)]
    pub price_snapshot: Option<PriceSnapshotBody>,
    /// All that a chat model can do beyond answering text with text. Null: nobody says, so that routes try it. Models in this
    /// process can do nothing of it.
    #[schema(required)]
    pub capabilities: Option<Vec<Capability>>,
    /// What it is made for, such as `legal`, where somebody said so.
    #[schema(required)]
    pub domain: Option<String>,
    /// For people.
    #[schema(required)]
    pub description: Option<String>,
    /// Whether an administrator added it from weights on the server's machine.
    pub custom: bool,
    /// Whether it is used when a request of its kind names no model.
    pub default: bool,
}

/// Where a model runs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelProvider {
    /// The provider's id; null for models in this process.
    #[schema(required)]
    pub id: Option<ProviderId>,
    /// The provider's name.
    pub name: String,
    /// How it is reached.
    pub kind: ProviderKind,
}

impl From<Model> for ModelBody {
    fn from(model: Model) -> Self {
        // Models of the manifest were never added.
        let custom = model.provider_id.is_none() && model.created_at > 0;
        Self {
            custom,
            id: model.id,
            kind: model.kind,
            provider: ModelProvider { id: model.provider_id, name: model.provider_name, kind: model.provider_kind },
            state: model.state,
            remedy: model.remedy,
            context_length: model.context_length,
            dimensions: model.dimensions,
            precision: model.precision,
            license: model.license,
            size_bytes: model.size_bytes,
            memory_bytes: model.memory_bytes,
            price: model.price.as_ref().map(PriceBody::from),
            price_source: model.price_source.as_ref().map(PriceSourceWord::from),
            price_snapshot: model.price_source.and_then(PriceSnapshotBody::of),
            capabilities: model.capabilities,
            domain: model.domain,
            description: model.description,
            default: model.default,
        }
    }
}

/// A provider's model to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewModel)]
pub struct NewModelBody {
    /// Whose it is.
    provider: ProviderId,
    /// The second part of its name: it is called as `<provider's name>/<name>`.
    #[schema(max_length = 200, example = "large-1")]
    name: String,
    /// What the provider calls it; the same as `name` when absent.
    #[schema(max_length = 200)]
    upstream_name: Option<String>,
    /// What it does.
    kind: ModelKind,
    /// Tokens of prompt and answer together at most.
    context_length: Option<u32>,
    /// Numbers in a vector, for embedding models.
    dimensions: Option<u32>,
    /// Millionths of the currency for a million tokens read. 2500000 is 2.50.
    #[schema(minimum = 0)]
    input_price_micros_per_million: Option<i64>,
    /// The same for those of them that a cache answered; when absent they cost as much as other tokens read.
    #[schema(minimum = 0)]
    cached_input_price_micros_per_million: Option<i64>,
    /// The same for those of them that were written to a cache; when absent they cost as much as other tokens read.
    #[schema(minimum = 0)]
    cache_write_price_micros_per_million: Option<i64>,
    /// Millionths of the currency for a million tokens written.
    #[schema(minimum = 0)]
    output_price_micros_per_million: Option<i64>,
    /// Millionths of the currency for a thousand calls, besides their tokens. Calls that make pictures, write recordings down or
    /// speak have no other price.
    #[schema(minimum = 0)]
    call_price_micros_per_thousand: Option<i64>,
    /// ISO 4217 code; USD when absent.
    currency: Option<String>,
    /// By how many percent a call costs less that the provider's own batch API runs, such as 50; when absent it costs as much.
    #[schema(minimum = 0, maximum = 100)]
    batch_discount_percent: Option<u32>,
    /// Whether it costs nothing; then no price is given.
    #[serde(default)]
    free: bool,
    /// All that a chat model can do beyond answering text with text, each word once; an empty list says that it is nothing.
    /// Routes ask a model only what it can do. When absent or null nobody knows, and routes try it.
    capabilities: Option<Vec<Capability>>,
    /// What it is made for, such as `legal`: lowercase letters, digits and hyphens.
    #[schema(max_length = 40)]
    domain: Option<String>,
    /// For people.
    #[schema(max_length = 500)]
    description: Option<String>,
}

/// `?domain=&limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ModelsQuery {
    /// Only models of this domain.
    domain: Option<String>,
    /// Rows on the page: 1 to 200, 50 when absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl NewModelBody {
    fn into_new(self) -> Result<NewModel> {
        let price = GivenPrice {
            input_price_micros_per_million: self.input_price_micros_per_million,
            cached_input_price_micros_per_million: self.cached_input_price_micros_per_million,
            cache_write_price_micros_per_million: self.cache_write_price_micros_per_million,
            output_price_micros_per_million: self.output_price_micros_per_million,
            call_price_micros_per_thousand: self.call_price_micros_per_thousand,
            currency: self.currency,
            batch_discount_percent: self.batch_discount_percent,
            free: self.free,
        };
        Ok(NewModel {
            provider: self.provider,
            name: self.name,
            upstream_name: self.upstream_name,
            kind: self.kind,
            context_length: self.context_length,
            dimensions: self.dimensions,
            price: price.into_price()?,
            capabilities: self.capabilities,
            domain: self.domain,
            description: self.description,
        })
    }
}

/// List models
///
/// All models that can be called, in the order of their names: those in this process and those of providers.
#[utoipa::path(
    get, path = "/api/v1/models", tag = "models", params(ModelsQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Page<ModelBody>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_models(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(query): Query<ModelsQuery>,
) -> Result<Json<Page<ModelBody>>, Problem> {
    let page = PageQuery::request(query.limit, query.cursor)?;
    let page = models.models_of(&ctx, query.domain.as_deref(), &page).await?;
    Ok(Json(page.map(ModelBody::from)))
}

/// Add a provider's model
///
/// Nothing is sent to the provider. Without prices of your own the snapshot of public prices counts, where it has the model.
#[utoipa::path(
    post, path = "/api/v1/models", tag = "models", request_body = NewModelBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 201, body = ModelBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_model(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(body): Json<NewModelBody>,
) -> Result<impl IntoResponse, Problem> {
    let model = models.create_model(&ctx, body.into_new()?).await?;
    let location = format!("/v1/models/{}", model.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(ModelBody::from(model))))
}

/// Remove a provider's or a custom model
///
/// The records of its calls stay, and so do a custom model's files. Slashes in the id are encoded as `%2F`.
#[utoipa::path(
    delete, path = "/api/v1/models/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = String, Path, description = "The model's name, with slashes as `%2F`", example = "acme%2Flarge-1")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_model(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    models.delete_model(&ctx, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
