//! Who asks at the token endpoint: client authentication by `Authorization: Basic`, by the body, or (public applications) by the id
//! alone.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use plasma_kernel::{ApplicationId, Code, Ctx, Error, Result, TenantId, equal_in_constant_time};
use url::form_urlencoded;

use super::{Application, ApplicationKind, COMMAND_LINE, ClientCredentials, Form, applications, invalid_request};
use crate::{Identity, Secret, store, tokens::Fingerprint};

/// Longer than any id or secret.
const CREDENTIALS_BYTES_MAX: usize = 1_000;

/// An application that asks.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// `None`: built in, of every tenant.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) application: Application,
}

impl Client {
    /// Whether it may act in this tenant.
    pub(crate) fn serves(&self, tenant: TenantId) -> bool {
        self.tenant.is_none_or(|own| own == tenant)
    }

    pub(crate) fn id(&self) -> ApplicationId {
        self.application.id
    }
}

impl ClientCredentials {
    /// Reads them from the header `Authorization` and the body.
    ///
    /// # Errors
    /// `unauthenticated` (`invalid_client`) for a header that cannot be read, `invalid` (`invalid_request`) when both say
    /// who asks and they differ, or both hold a secret.
    pub fn read(authorization: Option<&str>, form: &Form) -> Result<Self> {
        let of_body =
            Self { id: form.get("client_id").map(str::to_owned), secret: form.get("client_secret").map(Secret::new) };
        let Some((scheme, encoded)) = authorization.and_then(|header| header.split_once(' ')) else {
            return Ok(of_body);
        };
        if !scheme.eq_ignore_ascii_case("basic") {
            return Ok(of_body);
        }
        let of_header = basic(encoded.trim()).ok_or_else(invalid_client)?;
        if of_body.secret.is_some() {
            return Err(invalid_request("client_secret", "the client authenticates in the header and in the body"));
        }
        if of_body.id.is_some() && of_body.id != of_header.id {
            return Err(invalid_request("client_id", "the header and the body name different clients"));
        }
        Ok(of_header)
    }
}

/// The id and the secret, each form-encoded before they were joined (RFC 6749, section 2.3.1).
fn basic(encoded: &str) -> Option<ClientCredentials> {
    if encoded.len() > CREDENTIALS_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let secret = Some(decoded(secret)).filter(|secret| !secret.is_empty()).map(Secret::new);
    Some(ClientCredentials { id: Some(decoded(id)), secret })
}

fn decoded(text: &str) -> String {
    // As the value of a parameter, whose own separators stay as they are.
    let pair = format!("v={}", text.replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

pub(super) fn invalid_client() -> Error {
    Error::new(Code::Unauthenticated, "invalid_client", "the client is unknown or disabled, or its secret is wrong")
        .remedy("check the client_id and the client_secret under Settings, Applications")
}

impl Identity {
    /// The application with this `client_id`, whoever's it is; `None` when there is none or it is disabled.
    pub(super) async fn client(&self, ctx: &Ctx, client_id: &str) -> Result<Option<Client>> {
        let Ok(id) = client_id.parse::<ApplicationId>() else { return Ok(None) };
        if id == COMMAND_LINE {
            return Ok(Some(Client { tenant: None, application: applications::command_line() }));
        }
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let found = store::applications::find(&mut tx, id).await?;
        Ok(found
            .filter(|(_, application)| application.disabled_at.is_none())
            .map(|(tenant, application)| Client { tenant: Some(tenant), application }))
    }

    /// The application that these credentials prove.
    ///
    /// # Errors
    /// `unauthenticated` (`invalid_client`).
    pub(super) async fn proven_client(&self, ctx: &Ctx, credentials: &ClientCredentials) -> Result<Client> {
        let id = credentials.id.as_deref().ok_or_else(invalid_client)?;
        let client = self.client(ctx, id).await?.ok_or_else(invalid_client)?;
        match (client.application.kind, &credentials.secret) {
            (ApplicationKind::Public, None) => Ok(client),
            (ApplicationKind::Confidential, Some(secret)) => {
                let tenant = client.tenant.ok_or_else(invalid_client)?;
                let tenant_ctx = ctx.for_tenant(tenant, "check an application's secret");
                let mut tx = self.inner.store.read(&tenant_ctx).await?;
                let known = store::applications::secret_hashes(&mut tx, client.id()).await?;
                let given = Fingerprint::of(secret.expose());
                // All are compared, whichever it is.
                let matches = known.iter().filter(|known| equal_in_constant_time(known, given.as_bytes())).count();
                if matches > 0 { Ok(client) } else { Err(invalid_client()) }
            }
            // A public application that sends a secret is not the one that was registered.
            _ => Err(invalid_client()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(header: Option<&str>, body: &str) -> Result<(Option<String>, Option<String>)> {
        let credentials = ClientCredentials::read(header, &Form::parse(body.as_bytes()).unwrap())?;
        Ok((credentials.id, credentials.secret.map(|secret| secret.expose().to_owned())))
    }

    fn header(text: &str) -> String {
        format!("Basic {}", BASE64.encode(text))
    }

    #[test]
    fn clients_say_who_they_are_in_the_header_or_the_body() {
        let both = (Some("app_1".to_owned()), Some("plc_2".to_owned()));
        assert_eq!(read(Some(&header("app_1:plc_2")), "").unwrap(), both);
        assert_eq!(read(Some(&header("app%5F1:plc%5F2")), "client_id=app_1").unwrap(), both);
        assert_eq!(read(Some(&header("app_1:a%3Ab+c%26=%")), "").unwrap().1.unwrap(), "a:b c&=%");
        assert_eq!(read(None, "client_id=app_1&client_secret=plc_2").unwrap(), both);
        assert_eq!(read(None, "client_id=app_1").unwrap(), (both.0.clone(), None));
        assert_eq!(read(Some("Bearer plk_1"), "client_id=app_1").unwrap(), (both.0.clone(), None));
        assert_eq!(read(Some(&header("app_1:")), "").unwrap(), (both.0, None));
        assert_eq!(read(None, "").unwrap(), (None, None));
    }

    #[test]
    fn two_answers_to_one_question_are_refused() {
        let refused = |header: &str, body: &str| read(Some(header), body).unwrap_err().reason();
        assert_eq!(refused(&header("app_1:plc_2"), "client_id=app_1&client_secret=plc_2"), "invalid_request");
        assert_eq!(refused(&header("app_1:plc_2"), "client_id=app_3"), "invalid_request");
        assert_eq!(refused("Basic !", ""), "invalid_client");
        assert_eq!(refused(&header("no colon"), ""), "invalid_client");
        assert_eq!(refused(&header(&"a".repeat(2_000)), ""), "invalid_client");
    }
}
