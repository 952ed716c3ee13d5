//! Calls to addresses that users of the installation choose. Whoever names an address must not reach by it what only this machine
//! reaches: its own services, those of its network, and the cloud's metadata.
//!
//! The address that is connected to is checked, not the name: a name is resolved here, once, and the connection goes to what was found
//! and allowed, so that a second answer of the name server changes nothing. Redirects are checked like the first address. Proxies of the
//! environment are passed by, for behind one nothing could be checked.

mod addresses;

use std::{
    error::Error as StdError,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use plasma_kernel::{Code, Error, Result};
use reqwest::{
    ClientBuilder, Method, Request, RequestBuilder, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::{Attempt, Policy},
};
use url::{Host, Url};

/// Ports above 1023 of services that speak no HTTP: what browsers refuse (the fetch standard's list), databases and queues.
const REFUSED_PORTS: &[u16] = &[
    1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672,
    5900, 6000, 6379, 6380, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9092, 10080, 10250, 11211, 27017,
];

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why an address is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAddress {
    what: String,
}

impl RefusedAddress {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }

    fn special(host: &str, what: &str) -> Self {
        // A host's name is at most 253 characters, but nobody has checked that yet.
        let shown: String = host.chars().take(253).collect();
        Self::new(format!("`{shown}` is not called: its address is {what}"))
    }

    /// The refusal of an address that is called now, in words that name its owner.
    pub fn into_upstream_error(self, owner: &str) -> Error {
        let message = format!("{owner}: {self}");
        let advice = Error::from(self);
        Error::new(Code::Upstream, "outbound_address_refused", message).remedy(advice.remedy_text().unwrap_or_default())
    }
}

impl fmt::Display for RefusedAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

impl StdError for RefusedAddress {}

impl From<RefusedAddress> for Error {
    /// The refusal of an address that somebody gives, before it is called.
    fn from(refused: RefusedAddress) -> Self {
        Error::new(Code::Invalid, "outbound_address_refused", refused.what).remedy(
            "name a public address; or let whoever runs this installation allow the network (the setting \
             outbound_allowed_networks) or enter the address themselves",
        )
    }
}

/// The refusal that lies behind an error of a request, if one does.
pub fn refusal<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a RefusedAddress> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        next = error.source();
    }
    None
}

/// What an error of a request means, for callers that have no words of their own for it. `owner` says whose address it is, as in
/// `the identity provider`. The address itself is left out: its query may hold a secret.
pub fn failure(owner: &str, error: reqwest::Error) -> Error {
    if let Some(refused) = refusal(&error) {
        return refused.clone().into_upstream_error(owner);
    }
    let error = error.without_url();
    if error.is_timeout() {
        return Error::new(Code::Timeout, "outbound_timeout", format!("{owner} did not answer in time")).source(error);
    }
    let what = if error.is_connect() { "cannot be reached" } else { "broke the connection or answered nonsense" };
    Error::new(Code::Upstream, "outbound_failed", format!("{owner} {what}"))
        .remedy("check that its address is right and that this server reaches it")
        .source(error)
}

/// Which addresses may be called. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    allowed: Arc<[IpNet]>,
    /// For addresses that whoever runs the installation chose.
    everything: bool,
}

impl Outbound {
    /// Public addresses, and those in `allowed`.
    pub fn guarded(allowed: Vec<IpNet>) -> Self {
        Self { allowed: allowed.into(), everything: false }
    }

    /// Every address: only for those that come from whoever runs the installation (a setting, or somebody who holds
    /// `installation:manage`), who may reach all of this machine anyway.
    pub fn unguarded() -> Self {
        Self { allowed: Arc::default(), everything: true }
    }

    /// Whether every address may be called.
    pub fn is_unguarded(&self) -> bool {
        self.everything
    }

    /// What can be told of an address before its name is resolved: scheme, credentials, port, and the host where it is an address or
    /// `localhost`. A client of [`Outbound::client`] does it for each request; do it too when somebody enters an address.
    ///
    /// # Errors
    /// What is wrong; [`From`] makes an `invalid` (`outbound_address_refused`) of it.
    pub fn check(&self, url: &Url) -> Result<(), RefusedAddress> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RefusedAddress::new("only addresses that begin with http:// or https:// are called"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RefusedAddress::new("an address that holds credentials is not called"));
        }
        let Some(host) = url.host() else { return Err(RefusedAddress::new("the address names no host")) };
        if self.everything {
            return Ok(());
        }
        let literal = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(name) if is_localhost(name) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Host::Domain(_) => None,
        };
        if let Some(what) = literal.and_then(|address| self.refuses(address)) {
            return Err(RefusedAddress::special(&host.to_string(), what));
        }
        // An address in an allowed network is there on purpose, whatever its port.
        let on_purpose = literal.is_some_and(|address| self.is_allowed(addresses::canonical(address)));
        match url.port_or_known_default() {
            Some(port) if is_port_of_something_else(port) && !on_purpose => Err(RefusedAddress::new(format!(
                "port {port} is not called: 80, 443 and ports above 1023 are, but for those of databases and the like"
            ))),
            _ => Ok(()),
        }
    }

    /// What an address is, if it may not be called.
    fn refuses(&self, address: IpAddr) -> Option<&'static str> {
        let address = addresses::canonical(address);
        if self.everything || self.is_allowed(address) { None } else { addresses::special(address) }
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(&address))
    }

    /// The addresses of a host that may be connected to, for protocols other than HTTP. Connect to one of these, not to the name.
    ///
    /// # Errors
    /// `upstream`: `outbound_address_refused` when it has only others, `outbound_failed` when it has none.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        self.lookup(host, port).await.map_err(|error| match refusal(&*error) {
            Some(refused) => refused.clone().into_upstream_error("the host"),
            None => Error::new(Code::Upstream, "outbound_failed", "the host has no address")
                .remedy("check the host's name")
                .source(std::io::Error::other(error)),
        })
    }

    async fn lookup(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, BoxError> {
        let (mut found, mut refused) = (Vec::new(), None);
        for address in tokio::net::lookup_host((host, port)).await? {
            match self.refuses(address.ip()) {
                None => found.push(address),
                Some(what) => refused = Some(what),
            }
        }
        match refused {
            Some(what) if found.is_empty() => Err(RefusedAddress::special(host, what).into()),
            _ => Ok(found),
        }
    }

    /// A client that calls only what may be called, and follows at most `redirects_max` redirects, each checked. Timeouts and
    /// the like are the builder's; its own redirects, resolver and proxies are overruled.
    ///
    /// # Errors
    /// `internal` when the client cannot be made.
    pub fn client(&self, builder: ClientBuilder, redirects_max: usize) -> Result<OutboundClient> {
        let guard = self.clone();
        let builder = builder.redirect(match redirects_max {
            0 => Policy::none(),
            _ => Policy::custom(move |attempt| match guard.check_redirect(&attempt, redirects_max) {
                Ok(()) => attempt.follow(),
                Err(refused) => attempt.error(refused),
            }),
        });
        let builder = if self.everything { builder } else { builder.no_proxy().dns_resolver(self.clone()) };
        let http = builder.build().map_err(|error| Error::from_source("the HTTP client could not be made", error))?;
        Ok(OutboundClient { http, guard: self.clone() })
    }

    fn check_redirect(&self, attempt: &Attempt<'_>, redirects_max: usize) -> Result<(), RefusedAddress> {
        // The first of the previous addresses is the one that was asked for.
        if attempt.previous().len() > redirects_max {
            return Err(RefusedAddress::new(format!("more than {redirects_max} redirects are not followed")));
        }
        let was_secure = attempt.previous().last().is_some_and(|previous| previous.scheme() == "https");
        if was_secure && attempt.url().scheme() != "https" {
            return Err(RefusedAddress::new("a redirect from https:// to http:// is not followed"));
        }
        self.check(attempt.url())
    }
}

impl Resolve for Outbound {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses: Addrs = Box::new(guard.lookup(name.as_str(), 0).await?.into_iter());
            Ok(addresses)
        })
    }
}

/// `localhost` and what is below it (RFC 6761), also with the root's dot.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_port_of_something_else(port: u16) -> bool {
    (port < 1_024 && !matches!(port, 80 | 443)) || REFUSED_PORTS.contains(&port)
}

/// Calls addresses that [`Outbound`] allows. Its pool of connections is its own: one that another client may open is never used here.
#[derive(Clone, Debug)]
pub struct OutboundClient {
    http: reqwest::Client,
    guard: Outbound,
}

impl OutboundClient {
    /// A request to an address.
    ///
    /// # Errors
    /// That it may not be called, as far as that is known before its name is resolved. Sending it may fail for the same reason:
    /// see [`refusal`] and [`failure`].
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, RefusedAddress> {
        self.guard.check(&url)?;
        Ok(self.http.request(method, url))
    }

    /// What it may call.
    pub fn guard(&self) -> &Outbound {
        &self.guard
    }

    /// Sends a request that was made elsewhere. `owner` says whose address it is, for errors.
    ///
    /// # Errors
    /// `upstream` (`outbound_address_refused`, `outbound_failed`), `timeout` (`outbound_timeout`).
    pub async fn execute(&self, owner: &str, request: Request) -> Result<Response> {
        self.guard.check(request.url()).map_err(|refused| refused.into_upstream_error(owner))?;
        self.http.execute(request).await.map_err(|error| failure(owner, error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
