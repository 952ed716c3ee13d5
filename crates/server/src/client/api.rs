//! One place for how the commands speak HTTP.

use std::{
    path::Path,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ServerArgs, credentials::Credentials, oauth};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts when the server says that it is too busy.
const ATTEMPTS_MAX: u32 = 6;
const UNEXPECTED: &str = "the server's answer is not what this version of plasma expects";

/// The way to speak HTTP. Servers' certificates are checked with those of `ca_file`, if it is given.
pub(super) fn client(ca_file: Option<&Path>) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        // A key never follows a redirect to another host.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("plasma/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = ca_file {
        let pem = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem);
        let certificates = certificates.with_context(|| format!("{} holds no certificates", file.display()))?;
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().context("cannot prepare HTTP")
}

pub(super) struct Api {
    http: reqwest::Client,
    base: url::Url,
    /// The API key, or the access token of a login.
    token: RwLock<String>,
    login: Option<KeptLogin>,
}

/// A login that is renewed when it is due.
struct KeptLogin {
    credentials: Credentials,
    /// One task renews; the others wait for what it got.
    renewing: tokio::sync::Mutex<()>,
    /// Whether the access token is about to end.
    is_due: AtomicBool,
}

impl Api {
    /// With the API key that was given, or else with the login that `plasma login` kept.
    pub(super) fn new(server: &ServerArgs) -> Result<Self> {
        if !matches!(server.url.scheme(), "http" | "https") {
            bail!("--url must start with http:// or https://");
        }
        let (http, base) = (client(server.ca_file.as_deref())?, server.url.clone());
        if let Some(api_key) = server.api_key.clone().filter(|key| !key.is_empty()) {
            return Ok(Self { http, base, token: RwLock::new(api_key), login: None });
        }
        let nobody = || {
            anyhow!(
                "nobody is logged in at {base} and no API key is given: run `plasma login`, or set PLASMA_API_KEY (make a key in \
                 the dashboard under Settings, API keys)"
            )
        };
        let credentials = Credentials::of_user().ok_or_else(nobody)?;
        let login = credentials.get(&base)?.ok_or_else(nobody)?;
        let kept = KeptLogin {
            credentials,
            renewing: tokio::sync::Mutex::new(()),
            is_due: AtomicBool::new(!login.is_fresh()),
        };
        Ok(Self { http, base, token: RwLock::new(login.access_token), login: Some(kept) })
    }

    fn token(&self) -> String {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Renews the login if `stale` is still its access token. False when there is no login to renew.
    async fn renew(&self, stale: &str) -> Result<bool> {
        let Some(login) = &self.login else { return Ok(false) };
        let _turn = login.renewing.lock().await;
        if self.token() == stale {
            let token = oauth::renewed(&self.http, &self.base, &login.credentials, stale).await?;
            *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
            login.is_due.store(false, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// A request for the path whose segments are given; they are encoded.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> Result<RequestBuilder> {
        Ok(self.http.request(method, self.url(segments)?).bearer_auth(self.token()))
    }

    /// A GET with a query.
    pub(super) fn get(&self, segments: &[&str], query: &[(&str, String)]) -> Result<RequestBuilder> {
        let mut url = self.url(segments)?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(self.http.get(url).bearer_auth(self.token()))
    }

    fn url(&self, segments: &[&str]) -> Result<url::Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("--url is not a server's address"))?
            .pop_if_empty()
            .extend(segments);
        Ok(url)
    }

    /// Every row of a list.
    pub(super) async fn list(&self, segments: &[&str]) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut url = self.url(segments)?;
            url.query_pairs_mut()
                .append_pair("limit", "200")
                .extend_pairs(cursor.iter().map(|cursor| ("cursor", cursor)));
            let response = self.send(|api| Ok(api.http.get(url.clone()).bearer_auth(api.token()))).await?;
            let page: Value = response.json().await.context(UNEXPECTED)?;
            rows.extend(page.get("data").and_then(Value::as_array).cloned().unwrap_or_default());
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Sends it, and again after the time that a busy server names. `build` makes the request anew for each attempt.
    pub(super) async fn send(&self, build: impl Fn(&Self) -> Result<RequestBuilder>) -> Result<Response> {
        if self.login.as_ref().is_some_and(|login| login.is_due.load(Ordering::Relaxed)) {
            self.renew(&self.token()).await?;
        }
        let mut attempt = 1;
        let mut may_renew = true;
        loop {
            let token = self.token();
            let response = build(self)?.send().await.map_err(|error| oauth::unreachable(&self.base, &error))?;
            // A command may run for longer than an access token is good.
            if response.status() == StatusCode::UNAUTHORIZED && may_renew && self.renew(&token).await? {
                may_renew = false;
                continue;
            }
            let busy = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            let retry_after = response
                .headers()
                .get(reqwest::header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            match retry_after {
                Some(seconds) if busy && attempt < ATTEMPTS_MAX => {
                    tokio::time::sleep(Duration::from_secs(seconds.clamp(1, 30))).await;
                    attempt += 1;
                }
                _ if response.status().is_success() => return Ok(response),
                _ => return Err(problem(response).await),
            }
        }
    }

    /// Sends JSON (or nothing) and reads JSON.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        body: Option<&Value>,
    ) -> Result<T> {
        let response = self
            .send(|api| {
                let request = api.request(method.clone(), segments)?;
                Ok(match body {
                    Some(body) => request.json(body),
                    None => request,
                })
            })
            .await?;
        response.json().await.context(UNEXPECTED)
    }
}

/// What the server said was wrong, with its remedy.
pub(super) async fn problem(response: Response) -> anyhow::Error {
    let status = response.status();
    let body: Value = response.json().await.unwrap_or(Value::Null);
    describe(&body).map_or_else(|| anyhow!("the server answered {status}"), |text| anyhow!(text))
}

/// A problem object in one line.
pub(super) fn describe(problem: &Value) -> Option<String> {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let mut line = String::new();
    if let Some(field) = text("field") {
        line.push_str(field);
        line.push_str(": ");
    }
    line.push_str(text("detail")?);
    if let Some(remedy) = text("remedy") {
        line.push_str(&format!(" ({remedy})"));
    }
    if text("code") == Some("internal")
        && let Some(request) = text("request_id")
    {
        line.push_str(&format!(" [{request}]"));
    }
    Some(super::printable(&line))
}
