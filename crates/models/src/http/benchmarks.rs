use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{BenchmarkId, Error, Page, Result};
use serde::{Deserialize, Serialize};

use crate::{
    Models,
    benchmarks::{Benchmark, CaseResult, NewBenchmark, Report, ResultFilter, Suite},
};

/// A run to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBenchmark)]
pub struct NewBenchmarkBody {
    /// At most 200 characters; the suite's name when absent.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// 1 to 10 names of chat models, routes or aliases.
    models: Vec<String>,
    /// What they are asked; the suite that is part of the program when absent.
    suite: Option<Suite>,
    /// Cases that one model is asked at the same time: 1 to 16, 4 when absent. Models of this process are asked one at a time.
    #[schema(minimum = 1, maximum = 16)]
    concurrency: Option<u32>,
    /// Whether temperature 0 is asked for. False for models that refuse the field.
    #[serde(default = "yes")]
    #[schema(default = true)]
    greedy: bool,
}

fn yes() -> bool {
    true
}

/// A run with its results summed up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BenchmarkWithReport)]
pub struct BenchmarkWithReport {
    #[serde(flatten)]
    benchmark: Benchmark,
    /// Its results so far.
    report: Report,
}

/// `?ids=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CompareQuery {
    /// 1 to 5 ids of benchmarks, separated by commas.
    ids: String,
}

/// `?case=&model=&limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ResultsQuery {
    /// Only results of this case.
    case: Option<String>,
    /// Only results of this model.
    model: Option<String>,
    /// Rows on the page: 1 to 200, 50 when absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List benchmarks
///
/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/models/benchmarks", tag = "models", params(PageQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Page<Benchmark>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_model_benchmarks(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Benchmark>>, Problem> {
    Ok(Json(models.benchmarks(&ctx, &page.into_request()?).await?))
}

/// Begin a benchmark
///
/// Puts every case of a suite to every model, in the background. The calls are priced and count in the budgets of whoever
/// begins it; when a budget is spent the run ends as `failed`.
#[utoipa::path(
    post, path = "/api/v1/models/benchmarks", tag = "models", request_body = NewBenchmarkBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 202, body = Benchmark),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_model_benchmark(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(body): Json<NewBenchmarkBody>,
) -> Result<impl IntoResponse, Problem> {
    let NewBenchmarkBody { name, models: asked, suite, concurrency, greedy } = body;
    let new = NewBenchmark { name, models: asked, suite, concurrency, greedy };
    let benchmark = models.create_benchmark(&ctx, new).await?;
    let location = format!("/api/v1/models/benchmarks/{}", benchmark.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(benchmark)))
}

/// Compare benchmarks
///
/// The models of several runs side by side, and each two of them on the cases that both have answered. Cases are the same
/// when they have the same id, question and check.
#[utoipa::path(
    get, path = "/api/v1/models/benchmarks/compare", tag = "models", params(CompareQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Report),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn compare_model_benchmarks(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(query): Query<CompareQuery>,
) -> Result<Json<Report>, Problem> {
    let parse = |id: &str| id.parse::<BenchmarkId>().map_err(|error| Error::invalid("ids", error.to_string()));
    let ids = query.ids.split(',').map(parse).collect::<Result<Vec<_>>>()?;
    Ok(Json(models.benchmark_report(&ctx, &ids).await?))
}

/// Get a benchmark
///
/// With quality, speed and cost of each model, and the score of each case.
#[utoipa::path(
    get, path = "/api/v1/models/benchmarks/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = BenchmarkId, Path, description = "The benchmark")),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = BenchmarkWithReport),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_model_benchmark(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<BenchmarkId>,
) -> Result<Json<BenchmarkWithReport>, Problem> {
    let benchmark = models.benchmark(&ctx, id).await?;
    let report = models.benchmark_report(&ctx, &[id]).await?;
    Ok(Json(BenchmarkWithReport { benchmark, report }))
}

/// List results of a benchmark
///
/// What each model answered to each case, in the order of cases and models.
#[utoipa::path(
    get, path = "/api/v1/models/benchmarks/{id}/results", tag = "models", security(("bearer" = [])),
    params(("id" = BenchmarkId, Path, description = "The benchmark"), ResultsQuery),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Page<CaseResult>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_model_benchmark_results(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<BenchmarkId>,
    Query(query): Query<ResultsQuery>,
) -> Result<Json<Page<CaseResult>>, Problem> {
    let page = PageQuery::request(query.limit, query.cursor)?;
    let filter = ResultFilter { case: query.case, model: query.model };
    Ok(Json(models.benchmark_results(&ctx, id, &filter, &page).await?))
}

/// Cancel a benchmark
///
/// Running calls are broken off; results so far stay. One that has ended stays as it is.
#[utoipa::path(
    post, path = "/api/v1/models/benchmarks/{id}/cancel", tag = "models", security(("bearer" = [])),
    params(("id" = BenchmarkId, Path, description = "The benchmark")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = Benchmark),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn cancel_model_benchmark(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<BenchmarkId>,
) -> Result<Json<Benchmark>, Problem> {
    Ok(Json(models.cancel_benchmark(&ctx, id).await?))
}

/// Remove a benchmark
///
/// With its results; one that runs is stopped. The records of its calls stay.
#[utoipa::path(
    delete, path = "/api/v1/models/benchmarks/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = BenchmarkId, Path, description = "The benchmark")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_model_benchmark(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<BenchmarkId>,
) -> Result<StatusCode, Problem> {
    models.delete_benchmark(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
