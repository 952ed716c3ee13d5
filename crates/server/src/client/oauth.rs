//! The authorization server as the command line uses it: where its endpoints are, and tokens from them.

use anyhow::{Context as _, Result, anyhow, bail};
use plasma_identity::oauth::COMMAND_LINE;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{
    credentials::{Credentials, Held, Login, now},
    printable,
};

/// How long an access token is good when the server does not say.
const LIFETIME_SECONDS: i64 = 300;

/// New tokens. Without a `Debug` form: they are secrets.
#[derive(Deserialize)]
pub(super) struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
}

/// Why no tokens came.
pub(super) enum Refused {
    /// By a name of OAuth, with a description.
    ByName(String, String),
    /// The server is not there, or what it says is not understood.
    Otherwise(anyhow::Error),
}

impl Refused {
    pub(super) fn into_error(self) -> anyhow::Error {
        match self {
            Self::ByName(name, description) if description.is_empty() => anyhow!("the server refused: {name}"),
            Self::ByName(_, description) => anyhow!(description),
            Self::Otherwise(error) => error,
        }
    }
}

impl Tokens {
    /// What is kept of them.
    pub(super) fn into_login(self) -> Result<Login> {
        let refresh_token = self.refresh_token.context("the server gave no refresh token")?;
        let expires_at = now() + self.expires_in.unwrap_or(LIFETIME_SECONDS).max(0);
        Ok(Login { access_token: self.access_token, refresh_token, expires_at })
    }
}

/// The server's address with the path whose segments are given.
pub(super) fn at(base: &Url, segments: &[&str]) -> Result<Url> {
    let mut url = base.clone();
    url.path_segments_mut().map_err(|()| anyhow!("--url is not a server's address"))?.pop_if_empty().extend(segments);
    Ok(url)
}

/// Posts a form to an endpoint of the authorization server and reads its JSON.
pub(super) async fn post(
    http: &reqwest::Client,
    base: &Url,
    endpoint: &str,
    form: &[(&str, &str)],
) -> Result<Value, Refused> {
    let url = at(base, &["oauth", endpoint]).map_err(Refused::Otherwise)?;
    let client_id = COMMAND_LINE.to_string();
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.append_pair("client_id", &client_id).extend_pairs(form);
    let request =
        http.post(url).header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.finish());
    let response = request.send().await.map_err(|error| Refused::Otherwise(unreachable(base, &error)))?;
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(answer);
    }
    let said = |name: &str| answer.get(name).and_then(Value::as_str).map(printable);
    match said("error") {
        Some(name) => Err(Refused::ByName(name, said("error_description").unwrap_or_default())),
        None if status == reqwest::StatusCode::NOT_FOUND => {
            Err(Refused::Otherwise(anyhow!("{base} has no logins for programs: is it a Plasma of an older version?")))
        }
        None => Err(Refused::Otherwise(anyhow!("the server answered {status}"))),
    }
}

/// Asks for tokens.
pub(super) async fn tokens(http: &reqwest::Client, base: &Url, form: &[(&str, &str)]) -> Result<Tokens, Refused> {
    let answer = post(http, base, "token", form).await?;
    // The error is not shown: it could quote a token.
    serde_json::from_value(answer)
        .map_err(|_| Refused::Otherwise(anyhow!("the server's answer is not what this version of plasma expects")))
}

/// Renews a login whose access token is `stale`, unless another command has done it meanwhile, and returns the access token.
pub(super) async fn renewed(
    http: &reqwest::Client,
    base: &Url,
    credentials: &Credentials,
    stale: &str,
) -> Result<String> {
    let held = credentials.hold().await?;
    let Some(login) = credentials.get(base)? else { bail!("you are logged out of {base}: run `plasma login`") };
    if login.access_token != stale && login.is_fresh() {
        return Ok(login.access_token);
    }
    let form = [("grant_type", "refresh_token"), ("refresh_token", login.refresh_token.as_str())];
    match tokens(http, base, &form).await {
        Ok(tokens) => keep(&held, base, credentials, tokens.into_login()?),
        Err(Refused::ByName(name, _)) if matches!(name.as_str(), "invalid_grant" | "invalid_client") => {
            credentials.put(&held, base, None)?;
            bail!("your login at {base} has ended: run `plasma login` again")
        }
        Err(refused) => Err(refused.into_error().context("the login could not be renewed")),
    }
}

fn keep(held: &Held, base: &Url, credentials: &Credentials, login: Login) -> Result<String> {
    let access_token = login.access_token.clone();
    credentials.put(held, base, Some(login))?;
    Ok(access_token)
}

/// Why no answer came.
pub(super) fn unreachable(base: &Url, error: &reqwest::Error) -> anyhow::Error {
    if error.is_connect() {
        anyhow!("no server answers at {base}: start one with `plasma serve`, or name another with --url")
    } else {
        anyhow!("the connection to {base} broke: {error}")
    }
}
