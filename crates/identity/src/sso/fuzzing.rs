//! What identity providers and the browsers that they send bring, for the program in `fuzz/`.

use std::sync::OnceLock;

use openidconnect::{
    JsonWebKey as _, TokenResponse as _,
    core::{CoreJsonWebKeySet, CoreJsonWebKeyType, CoreTokenResponse},
};
use plasma_kernel::Role;
use url::{Host, Url};

use super::{
    claims::{Claims, Given, check_required, check_rules, fits, given_by, is_true, text},
    domains,
    login::{binding, is_secret, safe_next},
    logout_token::{check_logout_claims, obeyed},
    provider::{ALGORITHMS, Discovery, Provider, checked, discovery_url, excerpt},
    types::{MadeRule, RequiredClaim},
    verify::{self, Client},
};
use crate::{Preset, outbound};

const ISSUER: &str = "https://id.example.org";
const CLIENT_ID: &str = "plasma";
const NONCE: &str = "n1";
const NOW_SECONDS: i64 = 1_800_000_000;
/// The provider's only key, and the two tokens that it signed. Nobody has its private half any more.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","use":"sig","kid":"k1","x":"ozKxAux8QQqiL_LUmzpPaQQ8PfUY2C7XReLKL2L9l4Q","y":"BIjlHsB8WXWUkMYVwH6oqBDFyrKb56fQj-xo0RB53KI"}]}"#;
const ID_TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0",
    ".eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwiYXVkIjoicGxhc21hIiwic3ViIjoiYWRhIiwic2lkIjoiczEiLCJub25jZSI6Im4xIiwiaWF0IjoxNzk5OTk5OTkwLCJleHAiOjE4MDAwMDM2MDAsImVtYWlsIjoiYWRhQGV4YW1wbGUub3JnIn0",
    ".NpexTkvYnkpd9OXilrOw2BTiZDhoM7iIeu0FQvWQpxx5T-jrEiD2Zs-oiJkvQanj8a33VZtXDj9z1rzxEtfO8w",
);
const LOGOUT_TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoibG9nb3V0K2p3dCJ9",
    ".eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwiYXVkIjoicGxhc21hIiwic3ViIjoiYWRhIiwic2lkIjoiczEiLCJqdGkiOiJqMSIsImlhdCI6MTc5OTk5OTk5MCwiZXhwIjoxODAwMDAwMTIwLCJldmVudHMiOnsiaHR0cDovL3NjaGVtYXMub3BlbmlkLm5ldC9ldmVudC9iYWNrY2hhbm5lbC1sb2dvdXQiOnt9fX0",
    ".Iku94rWiMtkKdI4eeRGjJfAfZOSS2l1Yttik7gP98QvX7BtjUVH8_9XofVEiLr-zqc8vAFKENqifNM_usdncIg",
);

fn keys() -> &'static CoreJsonWebKeySet {
    static KNOWN: OnceLock<CoreJsonWebKeySet> = OnceLock::new();
    KNOWN.get_or_init(|| serde_json::from_str(KEYS).unwrap_or_default())
}

/// Everything but the signature.
fn signed(token: &str) -> &str {
    token.rsplit_once('.').map_or(token, |(signed, _)| signed)
}

/// An issuer, a line break, and what its discovery document says.
pub(crate) fn discovery(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let Ok(issuer) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    let Ok(document) = serde_json::from_slice::<Discovery>(parts.next().unwrap_or_default()) else { return };
    let _ = discovery_url(issuer);
    let Ok(provider) = checked(issuer, &document) else { return };
    assert_eq!(provider.issuer, issuer, "a provider under another name");
    let needed = [&provider.authorization_endpoint, &provider.token_endpoint, &provider.jwks_uri];
    let others = provider.userinfo_endpoint.iter().chain(&provider.end_session_endpoint);
    needed.into_iter().chain(others).for_each(check_address);
}

/// What can be forged on its way is not called, but on a developer's own machine.
fn check_address(url: &Url) {
    assert!(outbound::check(url).is_ok() && url.username().is_empty() && url.password().is_none(), "{url}");
    let is_local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.ends_with("localhost"),
        None => false,
    };
    assert!(url.scheme() == "https" || (url.scheme() == "http" && is_local), "{url}");
}

/// The first byte says by which algorithm, the rest is a provider's set of keys.
pub(crate) fn key_set(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let Ok(set) = serde_json::from_slice::<CoreJsonWebKeySet>(rest) else { return };
    let Some(algorithm) = ALGORITHMS.get(usize::from(*which) % ALGORITHMS.len()) else { return };
    for key in set.keys().iter().take(20) {
        for signature in [[1; 64].as_slice(), &[1; 256]] {
            let is_signed = key.verify_signature(algorithm, b"a message", signature).is_ok();
            let is_secret = *key.key_type() == CoreJsonWebKeyType::Symmetric;
            assert!(!(is_signed && is_secret), "a key that the client knows too signs");
        }
    }
}

/// An ID token, or the JSON in which one comes. Only the one that the provider signed is believed.
pub(crate) fn id_token(bytes: &[u8]) {
    let Ok(given) = std::str::from_utf8(bytes) else { return };
    let token = match serde_json::from_str::<CoreTokenResponse>(given) {
        Ok(response) => response.id_token().map(ToString::to_string).unwrap_or_default(),
        Err(_) => given.to_owned(),
    };
    let Ok(base) = Url::parse(ISSUER) else { return };
    let provider = Provider {
        issuer: ISSUER.to_owned(),
        authorization_endpoint: base.clone(),
        token_endpoint: base.clone(),
        jwks_uri: base,
        userinfo_endpoint: None,
        end_session_endpoint: None,
        secret_in_body: false,
        names_itself: false,
    };
    let client = Client {
        provider: &provider,
        client_id: CLIENT_ID,
        client_secret: None,
        redirect_uri: "https://plasma.example/api/v1/auth/sso/callback",
    };
    let believed = client.believed(&token, keys(), NONCE, NOW_SECONDS * 1_000_000);
    if token == ID_TOKEN {
        assert!(believed.is_some(), "the provider's own token is refused");
    }
    if let Some(claims) = believed {
        assert_eq!(signed(&token), signed(ID_TOKEN), "a token that nobody signed is believed");
        assert_eq!(text(&claims, "sub"), Some("ada"));
    }
}

/// A logout token. Most bytes are none, for their signature is wrong: what one may say is tried with them as its claims.
pub(crate) fn logout_token(bytes: &[u8]) {
    let Ok(token) = std::str::from_utf8(bytes) else { return };
    let ends = obeyed(token, keys(), ISSUER, CLIENT_ID, NOW_SECONDS);
    assert!(token != LOGOUT_TOKEN || ends.is_some(), "the provider's own token is refused");
    assert!(ends.is_none() || signed(token) == signed(LOGOUT_TOKEN), "a token that nobody signed is obeyed");
    let Ok(claims) = serde_json::from_slice::<Claims>(bytes) else { return };
    if let Ok(ends) = check_logout_claims(&claims, ISSUER, CLIENT_ID, NOW_SECONDS) {
        assert!(ends.subject.is_some() || ends.provider_session.is_some(), "nobody in particular is logged out");
        assert!(text(&claims, "iss") == Some(ISSUER) && fits(&claims, "aud", CLIENT_ID));
        assert!(!claims.contains_key("nonce"), "an ID token passes for a logout token");
    }
}

/// Claims, the rules of a connection, and the claims that it demands, each on a line.
pub(crate) fn claim_rules(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let Ok(claims) = serde_json::from_slice::<Claims>(lines.next().unwrap_or_default()) else { return };
    let rules: Vec<MadeRule> = serde_json::from_slice(lines.next().unwrap_or_default()).unwrap_or_default();
    let required: Vec<RequiredClaim> = serde_json::from_slice(lines.next().unwrap_or_default()).unwrap_or_default();
    let is_required = |one: &RequiredClaim| fits(&claims, &one.claim, &one.value);
    assert_eq!(verify::check_required(&claims, &required).is_ok(), required.iter().all(is_required));
    let _ = check_required(&required);
    let given = given_by(&rules, &claims);
    let fitting: Vec<&MadeRule> =
        rules.iter().filter(|made| fits(&claims, &made.rule.claim, &made.rule.value)).collect();
    if fitting.is_empty() {
        assert_eq!(given, Given::default(), "something is given for nothing");
    }
    if given.role == Some(Role::Owner) {
        assert!(fitting.iter().any(|made| made.rule.role == Some(Role::Owner) && made.by_owner), "an owner by nobody");
    }
    let mut teams = given.teams.clone();
    teams.sort_unstable();
    teams.dedup();
    assert_eq!(teams.len(), given.teams.len(), "a team is given twice");
    let form: Vec<_> = rules.iter().map(|made| made.rule.clone()).collect();
    if check_rules(&form).is_ok() {
        assert!(given.role.is_none() || given.custom_role.is_none(), "two roles are given");
    }
    for path in form.iter().map(|rule| rule.claim.as_str()) {
        assert!(!is_true(&claims, path) || text(&claims, path).is_none_or(|said| matches!(said, "true" | "1")));
    }
}

/// What people enter and browsers bring: where to go next, states, domains, issuers.
pub(crate) fn addresses(bytes: &[u8]) {
    let Ok(given) = std::str::from_utf8(bytes) else { return };
    let next = safe_next(Some(given));
    assert!(next.starts_with('/') && !next.starts_with("//") && next.is_ascii(), "{next}");
    let gone = Url::parse("https://plasma.example/login/").and_then(|page| page.join(&next));
    assert!(gone.is_ok_and(|url| url.host_str() == Some("plasma.example")), "{next} leads to another site");
    if is_secret(given) {
        let made = binding(given, given);
        assert!(made.nonce.len() == 43 && made.verifier.len() == 43 && made.nonce != made.verifier);
    }
    assert!(excerpt(given).chars().count() <= 200 && !excerpt(given).chars().any(char::is_control));
    if let Some(domain) = domains::in_dns_form(given) {
        assert_eq!(domains::in_dns_form(&domain).as_ref(), Some(&domain), "two forms of one domain");
        assert_eq!(domains::of_email(&format!("ada@{domain}")).as_ref(), Some(&domain));
    }
    let _ = domains::checked("domain", given);
    for preset in [Preset::GoogleWorkspace, Preset::EntraId, Preset::Okta, Preset::Auth0] {
        let Ok((issuer, account)) = preset.issuer(Some(given), None) else { continue };
        assert!(issuer.starts_with("https://") && account.is_some(), "{issuer}");
        if let Ok(url) = Url::parse(&issuer) {
            check_address(&url);
        }
    }
    if let Ok((issuer, _)) = Preset::Custom.issuer(None, Some(given)) {
        assert!(discovery_url(&issuer).is_ok_and(|url| outbound::check(&url).is_ok()), "{issuer}");
    }
}
