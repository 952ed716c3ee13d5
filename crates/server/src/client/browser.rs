//! A login that a browser on this machine brings: authorization code with PKCE, to a port of the loopback address (RFC 8252).

use std::{
    env,
    net::Ipv4Addr,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use plasma_identity::oauth::COMMAND_LINE;
use plasma_kernel::Random;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use url::{Url, form_urlencoded};

use super::{
    login::Server,
    oauth::{self, Refused, Tokens},
    printable,
};

/// How long the person has.
const DECISION: Duration = Duration::from_secs(10 * 60);
/// A browser sends its request at once.
const REQUEST: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The program with which a desktop opens an address.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Whether a browser can probably be opened here.
pub(super) fn has_display() -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("SSH_CONNECTION") && (cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"))
}

/// What the browser brings has to fit to this.
struct Expected<'a> {
    state: &'a str,
    issuer: &'a str,
}

/// Opens the browser, waits until it brings a code, and exchanges that for tokens.
pub(super) async fn tokens(http: &reqwest::Client, base: &Url, server: &Server) -> Result<Tokens> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port of this machine can be used")?;
    let redirect_uri = format!("http://127.0.0.1:{}/callback", listener.local_addr().context("the port")?.port());
    let (verifier, state) = (random(), random());
    let mut url = server.authorization_endpoint.clone();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &COMMAND_LINE.to_string())
        .append_pair("redirect_uri", &redirect_uri)
        .append_pair("state", &state)
        .append_pair("code_challenge", &BASE64URL.encode(Sha256::digest(verifier.as_bytes())))
        .append_pair("code_challenge_method", "S256");
    println!("Log in with your browser at {}", printable(url.as_str()));
    if has_display() {
        open(&url);
    }
    eprintln!("waiting for your decision there …");
    let expected = Expected { state: &state, issuer: &server.issuer };
    let waited = timeout(DECISION, wait(&listener, &expected)).await;
    let code = waited.map_err(|_| anyhow!("nobody decided in time: run `plasma login` again"))??;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", verifier.as_str()),
    ];
    oauth::tokens(http, base, &form).await.map_err(Refused::into_error)
}

/// 256 random bits in 43 characters.
fn random() -> String {
    BASE64URL.encode(Random::system().bytes::<32>())
}

/// Without a browser the person opens the printed address themselves.
fn open(url: &Url) {
    let opened =
        Command::new(OPENER).arg(url.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Ok(mut opener) = opened {
        // It ends by itself; somebody has to notice.
        std::thread::spawn(move || opener.wait());
    }
}

/// The code, once the browser has brought it.
async fn wait(listener: &TcpListener, expected: &Expected<'_>) -> Result<String> {
    loop {
        let (mut stream, _) = listener.accept().await.context("the browser's connection")?;
        let Ok(Some(target)) = timeout(REQUEST, target(&mut stream)).await else { continue };
        // Pages of others may ask here too; only the answer to our own question counts.
        match answer(&target, expected) {
            Some(Ok(code)) => {
                reply(&mut stream, "200 OK", "You are logged in. You can close this window.").await;
                return Ok(code);
            }
            Some(Err(error)) => {
                reply(&mut stream, "200 OK", "The login was refused. You can close this window.").await;
                return Err(error);
            }
            None => reply(&mut stream, "404 Not Found", "There is nothing here.").await,
        }
    }
}

/// The target of a GET request, as in `/callback?code=…`.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut bytes = [0; 1_024];
        let read = stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(bytes.get(..read)?);
        if head.len() > HEAD_BYTES_MAX {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let (target, _) = head.lines().next()?.strip_prefix("GET ")?.rsplit_once(" HTTP/1")?;
    Some(target.to_owned())
}

/// `None` for what is no answer to our question.
fn answer(target: &str, expected: &Expected<'_>) -> Option<Result<String>> {
    let query = target.strip_prefix("/callback?")?;
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let get = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if get("state") != Some(expected.state) {
        return None;
    }
    Some(answered(get("iss"), get("error"), get("error_description"), get("code"), expected))
}

fn answered(
    issuer: Option<&str>,
    error: Option<&str>,
    description: Option<&str>,
    code: Option<&str>,
    expected: &Expected<'_>,
) -> Result<String> {
    // RFC 9207: an answer of another server must not be brought to this one.
    if issuer != Some(expected.issuer) {
        bail!("the login came from another server than {}", printable(expected.issuer));
    }
    match (error, code) {
        (Some("access_denied"), _) => bail!("the login was refused in the browser"),
        (Some(error), _) => bail!("the login failed: {}", printable(description.unwrap_or(error))),
        (None, Some(code)) => Ok(code.to_owned()),
        (None, None) => bail!("the browser brought no code"),
    }
}

/// For fuzzing only: the target of a request to this machine, by whomever it was made.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(target) = std::str::from_utf8(bytes) else { return };
    let expected = Expected { state: "s", issuer: "https://plasma.example" };
    match answer(target, &expected) {
        Some(Ok(code)) => {
            let query = target.strip_prefix("/callback?").unwrap_or_default();
            let first = |wanted: &str| {
                let mut pairs = form_urlencoded::parse(query.as_bytes());
                pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
            };
            // Only this server's answer to this very question brings a code.
            assert_eq!(first("state").as_deref(), Some(expected.state));
            assert_eq!(first("iss").as_deref(), Some(expected.issuer));
            assert!(first("error").is_none() && first("code") == Some(code));
        }
        Some(Err(error)) => {
            let is_harmless = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t');
            assert!(error.to_string().chars().all(is_harmless), "an answer rules the terminal");
        }
        None => {}
    }
}

async fn reply(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Plasma</title>\
         <meta name=\"color-scheme\" content=\"light dark\"><body><p>{text}</p></body></html>"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // A browser that went away needs no page.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EXPECTED: Expected<'_> = Expected { state: "s", issuer: "https://p.example" };

    #[test]
    fn only_the_answer_to_our_question_counts() {
        let read = |target: &str| answer(target, &EXPECTED);
        let issuer = "iss=https%3A%2F%2Fp.example";
        assert_eq!(read(&format!("/callback?code=c%2Bd&state=s&{issuer}")).unwrap().unwrap(), "c+d");
        for target in
            ["/", "/callback", "/callback?code=c", "/callback?code=c&state=t", "/favicon.ico", "/other?state=s"]
        {
            assert!(read(target).is_none(), "{target}");
        }
        for target in [
            "/callback?code=c&state=s".to_owned(),
            "/callback?code=c&state=s&iss=https%3A%2F%2Fevil.example".to_owned(),
            format!("/callback?error=access_denied&state=s&{issuer}"),
            format!("/callback?error=invalid_scope&error_description=no%1B&state=s&{issuer}"),
            format!("/callback?state=s&{issuer}"),
        ] {
            assert!(read(&target).unwrap().is_err(), "{target}");
        }
    }

    #[tokio::test]
    async fn the_browser_brings_a_code_past_other_visitors() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = tokio::spawn(async move { wait(&listener, &EXPECTED).await });
        for (request, expected) in [
            ("POST / HTTP/1.1\r\n\r\n", ""),
            ("GET /favicon.ico HTTP/1.1\r\n\r\n", "HTTP/1.1 404"),
            ("GET /callback?code=x&state=wrong HTTP/1.1\r\n\r\n", "HTTP/1.1 404"),
            ("GET /callback?code=c&state=s&iss=https://p.example HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await.unwrap();
            assert!(reply.starts_with(expected), "{request} was answered with {reply}");
        }
        assert_eq!(waiting.await.unwrap().unwrap(), "c");
    }
}
