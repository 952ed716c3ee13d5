use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{
    api, browser,
    credentials::Credentials,
    oauth::{self, Refused, Tokens, at, unreachable},
    printable,
};

/// How long a device's person has when the server does not say.
const DEVICE_SECONDS: u64 = 600;
/// How long a command waits between two questions when the server does not say.
const INTERVAL_SECONDS: u64 = 5;
const SLOWER_BY: Duration = Duration::from_secs(5);

/// `plasma login`
#[derive(Debug, Args)]
#[command(
    after_help = "The login is kept in plasma/credentials.json in the user's configuration directory (XDG_CONFIG_HOME) and used by the \
                  other commands when no API key is given. It acts with your own permissions until `plasma logout`."
)]
pub struct LoginArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Show a code to type in a browser anywhere; the default on machines without a display
    #[arg(long, conflicts_with = "browser")]
    device: bool,
    /// Let a browser on this machine bring the login here; the default on machines with a display
    #[arg(long)]
    browser: bool,
}

/// `plasma logout`
#[derive(Debug, Args)]
pub struct LogoutArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Where to log in.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// The server's address
    #[arg(long, env = "PLASMA_URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// Certificates (PEM) that the server's is checked with, when a private authority signed it
    #[arg(long, env = "PLASMA_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// What the server says of itself.
#[derive(Deserialize)]
pub(super) struct Server {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
}

#[derive(Deserialize)]
struct Device {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Option<u64>,
    interval: Option<u64>,
}

/// Logs in and keeps the login.
///
/// # Errors
/// What the server or the connection says, or that the person refused.
pub async fn login(arguments: LoginArgs) -> Result<bool> {
    let PlaceArgs { url: base, ca_file } = arguments.place;
    let credentials = kept()?;
    let http = api::client(ca_file.as_deref())?;
    let by_device = arguments.device || !(arguments.browser || browser::has_display());
    let tokens = if by_device {
        by_device_code(&http, &base).await?
    } else {
        browser::tokens(&http, &base, &server(&http, &base).await?).await?
    };
    let login = tokens.into_login()?;
    let who = who(&http, &base, &login.access_token).await?;
    let held = credentials.hold().await?;
    credentials.put(&held, &base, Some(login))?;
    println!("logged in at {base} as {who}");
    Ok(true)
}

/// Gives the login back and forgets it.
///
/// # Errors
/// When the file cannot be changed. A server that does not answer is told of, and the login is forgotten all the same.
pub async fn logout(arguments: LogoutArgs) -> Result<bool> {
    let PlaceArgs { url: base, ca_file } = arguments.place;
    let credentials = kept()?;
    let held = credentials.hold().await?;
    let Some(login) = credentials.get(&base)? else {
        println!("nobody is logged in at {base}");
        return Ok(true);
    };
    let revoked =
        oauth::post(&api::client(ca_file.as_deref())?, &base, "revoke", &[("token", &login.refresh_token)]).await;
    credentials.put(&held, &base, None)?;
    if let Err(refused) = revoked {
        eprintln!(
            "plasma: the server could not be told ({:#}); end the login under Settings, Security as well",
            refused.into_error()
        );
    }
    println!("logged out of {base}");
    Ok(true)
}

fn kept() -> Result<Credentials> {
    Credentials::of_user().ok_or_else(|| anyhow!("no place to keep the login: set HOME or XDG_CONFIG_HOME"))
}

async fn server(http: &reqwest::Client, base: &Url) -> Result<Server> {
    let url = at(base, &[".well-known", "openid-configuration"])?;
    let response = http.get(url).send().await.map_err(|error| unreachable(base, &error))?;
    if !response.status().is_success() {
        bail!("{base} does not say where to log in (it answered {}): is it a Plasma?", response.status());
    }
    let server: Server = response.json().await.with_context(|| format!("{base} does not say where to log in"))?;
    // A page that the browser opens.
    if !matches!(server.authorization_endpoint.scheme(), "http" | "https") {
        bail!("{base} names {} as the place to log in", printable(server.authorization_endpoint.as_str()));
    }
    Ok(server)
}

/// The person's name and workspace.
async fn who(http: &reqwest::Client, base: &Url, access_token: &str) -> Result<String> {
    let request = http.get(at(base, &["api", "v1", "me"])?).bearer_auth(access_token);
    let response = request.send().await.map_err(|error| unreachable(base, &error))?;
    if !response.status().is_success() {
        return Err(api::problem(response).await);
    }
    let me: Value = response.json().await.context("the server does not say who logged in")?;
    let text = |pointer: &str| me.pointer(pointer).and_then(Value::as_str).map(printable).unwrap_or_default();
    Ok(format!("{} ({}), workspace {}", text("/user/name"), text("/user/email"), text("/tenant/name")))
}

async fn by_device_code(http: &reqwest::Client, base: &Url) -> Result<Tokens> {
    let begun = oauth::post(http, base, "device", &[]).await.map_err(Refused::into_error)?;
    let device: Device = serde_json::from_value(begun)
        .map_err(|_| anyhow!("the server's answer is not what this version of plasma expects"))?;
    println!("Open {} and enter the code {}", printable(&device.verification_uri), printable(&device.user_code));
    if let Some(complete) = &device.verification_uri_complete {
        println!("or open {}", printable(complete));
    }
    eprintln!("waiting for your decision there …");
    let deadline = Instant::now() + Duration::from_secs(device.expires_in.unwrap_or(DEVICE_SECONDS).min(3_600));
    let mut interval = Duration::from_secs(device.interval.unwrap_or(INTERVAL_SECONDS).clamp(1, 60));
    let form =
        [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", device.device_code.as_str())];
    while Instant::now() < deadline {
        tokio::time::sleep(interval).await;
        match oauth::tokens(http, base, &form).await {
            Ok(tokens) => return Ok(tokens),
            Err(Refused::ByName(name, description)) => match name.as_str() {
                "authorization_pending" | "temporarily_unavailable" => {}
                "slow_down" => interval += SLOWER_BY,
                "access_denied" => bail!("the login was refused there"),
                _ => return Err(Refused::ByName(name, description).into_error()),
            },
            Err(refused) => return Err(refused.into_error()),
        }
    }
    bail!("nobody decided in time: run `plasma login` again")
}
