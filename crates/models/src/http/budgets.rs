use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{BudgetId, Money, Page, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{BudgetPeriod, BudgetState, BudgetSubject, Models, NewBudget};

const CURRENCY_DEFAULT: &str = "USD";

/// How much calls of models may cost in a period, and how much they have.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Budget)]
pub struct BudgetBody {
    /// Its id.
    pub id: BudgetId,
    /// Whose calls it pays for.
    pub subject: BudgetSubject,
    /// The time that it is for, by the UTC calendar.
    pub period: BudgetPeriod,
    /// What the calls of a period may cost together.
    pub limit: Money,
    /// What the recorded calls of this period have cost.
    pub spent: Money,
    /// What is set aside for running calls; with several processes also what the others hold for their next calls.
    pub reserved: Money,
    /// When this period began, in microseconds since 1970 UTC; 0 for `total`.
    pub period_start_at: Timestamp,
    /// When the next period begins; null for `total`.
    #[schema(required)]
    pub resets_at: Option<Timestamp>,
    /// When it was set.
    pub created_at: Timestamp,
}

impl From<BudgetState> for BudgetBody {
    fn from(state: BudgetState) -> Self {
        let BudgetState { budget, period_start_at, spent_micros, reserved_micros } = state;
        Self {
            id: budget.id,
            limit: budget.money(budget.limit_micros),
            spent: budget.money(spent_micros),
            reserved: budget.money(reserved_micros),
            period_start_at,
            resets_at: budget.period.resets_at(period_start_at),
            period: budget.period,
            created_at: budget.created_at,
            subject: budget.subject,
        }
    }
}

/// A budget to set.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBudget)]
pub struct NewBudgetBody {
    /// Whose calls it pays for. A subject has one budget for each period.
    subject: BudgetSubject,
    /// The time that it is for, by the UTC calendar.
    period: BudgetPeriod,
    /// Millionths of the currency. 50000000 is 50.00. With 0 only calls that cost nothing are allowed.
    #[schema(minimum = 0, maximum = 10_000_000_000_000_000_i64, example = 50_000_000)]
    limit_micros: i64,
    /// ISO 4217 code; USD when absent. Calls of models with a price in another currency are refused.
    currency: Option<String>,
}

/// What to change of a budget.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BudgetChange)]
pub struct BudgetChangeBody {
    /// Millionths of the currency.
    #[schema(minimum = 0, maximum = 10_000_000_000_000_000_i64, example = 50_000_000)]
    limit_micros: i64,
}

/// List budgets
///
/// Newest first, with what was spent in the current period.
#[utoipa::path(
    get, path = "/api/v1/models/budgets", tag = "models", params(PageQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Page<BudgetBody>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_budgets(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<BudgetBody>>, Problem> {
    let page = models.budgets(&ctx, &page.into_request()?).await?;
    Ok(Json(page.map(BudgetBody::from)))
}

/// Set a budget
///
/// Every call of the subject sets aside the worst that it may cost before it starts; what does not fit is refused with 402.
/// Calls that started before are not counted.
#[utoipa::path(
    post, path = "/api/v1/models/budgets", tag = "models", request_body = NewBudgetBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 201, body = BudgetBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_budget(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(body): Json<NewBudgetBody>,
) -> Result<impl IntoResponse, Problem> {
    let NewBudgetBody { subject, period, limit_micros, currency } = body;
    let currency = currency.unwrap_or_else(|| CURRENCY_DEFAULT.to_owned());
    let state = models.create_budget(&ctx, NewBudget { subject, period, limit_micros, currency }).await?;
    let location = format!("/api/v1/models/budgets/{}", state.budget.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(BudgetBody::from(state))))
}

/// Get a budget
#[utoipa::path(
    get, path = "/api/v1/models/budgets/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = BudgetId, Path, description = "The budget's id")),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = BudgetBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_budget(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<BudgetId>,
) -> Result<Json<BudgetBody>, Problem> {
    Ok(Json(models.budget(&ctx, id).await?.into()))
}

/// Change a budget
///
/// Its limit, for the current period too. What running calls have set aside stays so.
#[utoipa::path(
    patch, path = "/api/v1/models/budgets/{id}", tag = "models", request_body = BudgetChangeBody, security(("bearer" = [])),
    params(("id" = BudgetId, Path, description = "The budget's id")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = BudgetBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn change_budget(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<BudgetId>,
    Json(body): Json<BudgetChangeBody>,
) -> Result<Json<BudgetBody>, Problem> {
    Ok(Json(models.change_budget(&ctx, id, body.limit_micros).await?.into()))
}

/// Remove a budget
///
/// And what was counted for it. Running calls go on.
#[utoipa::path(
    delete, path = "/api/v1/models/budgets/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = BudgetId, Path, description = "The budget's id")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_budget(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<BudgetId>,
) -> Result<StatusCode, Problem> {
    models.delete_budget(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
