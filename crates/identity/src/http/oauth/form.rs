use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use plasma_kernel::Error;

use super::OAuthProblem;
use crate::oauth::Form;

/// The form-encoded parameters of a request.
pub(crate) struct FormBody(pub(crate) Form);

impl<S: Send + Sync> FromRequest<S> for FormBody {
    type Rejection = OAuthProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthProblem> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthProblem(Error::invalid(
                "content-type",
                "the body must be of the type application/x-www-form-urlencoded",
            )));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            OAuthProblem(if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Error::too_large("body", "the request body is larger than this route accepts")
            } else {
                Error::invalid("body", "the request body could not be read to its end")
            })
        })?;
        Form::parse(&bytes).map(Self).map_err(OAuthProblem)
    }
}
