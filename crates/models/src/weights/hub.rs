//! What a hub says about a repository and its files.

use std::time::Duration;

use plasma_kernel::{Code, Error, Result};
use reqwest::{Client, Response, StatusCode, header};
use serde::Deserialize;
use url::Url;

use super::safe_path;

/// Hugging Face.
pub const HUB_URL_DEFAULT: &str = "https://huggingface.co";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pieces of a file.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a repository's description.
const DESCRIPTION_BYTES_MAX: usize = 8 << 20;
const FILES_MAX: usize = 5_000;

/// A hub's address and how it is spoken to.
#[derive(Clone)]
pub struct Hub {
    base: Url,
    client: Client,
    /// Does not follow redirects: the hub's own answer names size and hash, that of its storage does not.
    asking: Client,
}

/// A repository at one commit.
#[derive(Debug)]
pub(super) struct Repository {
    /// The commit: what is fetched does not change meanwhile.
    pub(super) revision: String,
    /// SPDX name, where the repository says it.
    pub(super) license: Option<String>,
    /// Paths of its files.
    pub(super) files: Vec<String>,
}

/// What a hub says about a file.
#[derive(Debug)]
pub(super) struct RemoteFile {
    pub(super) size_bytes: Option<u64>,
    /// For large files; small ones are stored without.
    pub(super) sha256: Option<String>,
}

#[derive(Deserialize)]
struct Description {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(default, rename = "cardData")]
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

#[derive(Deserialize)]
struct Card {
    /// A word, or a list of them.
    #[serde(default)]
    license: serde_json::Value,
}

impl Hub {
    /// A hub at `base`.
    ///
    /// # Errors
    /// `invalid` when it is no `http` or `https` URL.
    pub fn new(base: &str) -> Result<Self> {
        let base = Url::parse(base)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| Error::invalid("hub", "the hub's address must be a URL with http or https"))?;
        let client = |policy| {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .redirect(policy)
                .user_agent(concat!("plasma/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|source| Error::from_source("cannot prepare HTTP", source))
        };
        let asking = client(reqwest::redirect::Policy::none())?;
        Ok(Self { base, client: client(reqwest::redirect::Policy::limited(5))?, asking })
    }

    fn url(&self, segments: &[&str]) -> Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::invalid("hub", "the hub's address cannot have a path"))?
            .pop_if_empty()
            .extend(segments.iter().flat_map(|segment| segment.split('/')));
        Ok(url)
    }

    /// # Errors
    /// `not_found`, `forbidden` for a repository whose terms must be accepted first, `upstream`.
    pub(super) async fn repository(&self, repo: &str, revision: &str) -> Result<Repository> {
        let url = self.url(&["api", "models", repo, "revision", revision])?;
        let response = self.client.get(url).send().await.map_err(|error| unreachable(&error))?;
        let mut response = accepted(response, repo)?;
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| unreachable(&error))? {
            text.extend_from_slice(&piece);
            if text.len() > DESCRIPTION_BYTES_MAX {
                return Err(Error::new(
                    Code::Upstream,
                    "hub_failed",
                    "the hub's description of the model is too large",
                ));
            }
        }
        let description: Description = serde_json::from_slice(&text).map_err(|source| {
            Error::new(Code::Upstream, "hub_failed", "the hub's description of the model is not what was expected")
                .source(source)
        })?;
        let mut files = Vec::new();
        for Sibling { rfilename } in description.siblings.into_iter().take(FILES_MAX) {
            // A repository's own hidden files are of no use here; a path that leads elsewhere is a trap.
            if rfilename.starts_with('.') && !rfilename.starts_with("..") {
                continue;
            }
            safe_path(&rfilename)?;
            files.push(rfilename);
        }
        let license = description.card.and_then(|card| match card.license {
            serde_json::Value::String(word) => Some(word),
            serde_json::Value::Array(words) => words.first().and_then(|word| word.as_str()).map(str::to_owned),
            _ => None,
        });
        Ok(Repository { revision: description.sha.unwrap_or_else(|| revision.to_owned()), license, files })
    }

    /// Where a file is.
    pub(super) fn file_url(&self, repo: &str, revision: &str, file: &str) -> Result<Url> {
        self.url(&[repo, "resolve", revision, file])
    }

    /// # Errors
    /// As [`Hub::repository`].
    pub(super) async fn file(&self, url: &Url) -> Result<RemoteFile> {
        let request = self.asking.head(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        let redirected = response.status().is_redirection();
        let response = if redirected { response } else { accepted(response, url.path())? };
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
        // A redirect's own length is that of a page nobody reads.
        let length = if redirected { None } else { number("content-length") };
        let hash = text("x-linked-etag").map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase());
        let sha256 = hash.filter(|hash| hash.len() == 64 && hash.bytes().all(|letter| letter.is_ascii_hexdigit()));
        Ok(RemoteFile { size_bytes: number("x-linked-size").or(length), sha256 })
    }

    /// The file from byte `start` on. The answer's status says whether the hub honours that.
    pub(super) async fn open(&self, url: &Url, start: u64) -> reqwest::Result<Response> {
        let mut request = self.client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        request.send().await
    }
}

pub(super) fn unreachable(error: &reqwest::Error) -> Error {
    // The address may have been redirected to one with a signature in it.
    let what = if error.is_connect() { "cannot be reached" } else { "broke the connection" };
    Error::new(Code::Upstream, "hub_unreachable", format!("the hub {what}"))
        .remedy("check the network, or name another hub with PLASMA_HUB_URL")
}

/// The answer, unless it is a refusal.
pub(super) fn accepted(response: Response, what: &str) -> Result<Response> {
    let shown: String = what.chars().filter(|letter| !letter.is_control()).take(200).collect();
    match response.status() {
        status if status.is_success() => Ok(response),
        StatusCode::NOT_FOUND => Err(Error::not_found("not_on_hub", format!("the hub has no `{shown}`"))),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(Error::forbidden(format!("the hub does not give `{shown}` to everybody"))
                .remedy("it does not exist, is private, or asks to accept terms; fetch its files by hand"))
        }
        status => Err(Error::new(Code::Upstream, "hub_failed", format!("the hub answered {status} for `{shown}`"))),
    }
}
