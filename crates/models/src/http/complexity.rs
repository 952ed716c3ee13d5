use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::{Error, Permission};
use plasma_protocols::chat::{Message, Part, Request, Role};
use serde::Deserialize;

use crate::Complexity;

const MESSAGES_MAX: usize = 1_024;

/// A conversation whose last question is measured.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ComplexityRequest {
    /// 1 to 1,024, oldest first; the last one of the user is the question.
    #[schema(max_items = 1024)]
    messages: Vec<ComplexityMessage>,
}

/// One turn.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ComplexityMessage {
    /// Who speaks.
    role: ComplexityRole,
    /// The text.
    content: String,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ComplexityRole {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// Measure a question's complexity
///
/// What the strategy `complexity` would think of it: no model is called, nothing is kept.
#[utoipa::path(
    post, path = "/api/v1/models/complexity", tag = "models", request_body = ComplexityRequest, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Complexity),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn measure_complexity(
    Caller(ctx): Caller,
    Json(body): Json<ComplexityRequest>,
) -> Result<Json<Complexity>, Problem> {
    ctx.require(Permission::ModelsRead)?;
    if !(1..=MESSAGES_MAX).contains(&body.messages.len()) {
        return Err(Error::invalid("messages", format!("must have 1 to {MESSAGES_MAX} entries")).into());
    }
    let mut request = Request::default();
    for message in body.messages {
        let part = Part::text(message.content);
        let role = match message.role {
            ComplexityRole::System => {
                request.system.push(part);
                continue;
            }
            ComplexityRole::User => Role::User,
            ComplexityRole::Assistant => Role::Assistant,
        };
        request.messages.push(Message { role, name: None, parts: vec![part] });
    }
    Ok(Json(Complexity::of(&request)?))
}
