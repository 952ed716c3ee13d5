//! What is known of the providers that most organizations have.

use plasma_kernel::{Error, Result};
use url::Url;

use super::{domains, types::RequiredClaim};
use crate::Preset;

const ISSUER_BYTES_MAX: usize = 500;
const ACCOUNT_BYTES_MAX: usize = 253;
const GOOGLE: &str = "https://accounts.google.com";
const MICROSOFT: &str = "https://login.microsoftonline.com";
/// What providers put behind their issuer for discovery; people copy it along.
pub(super) const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// What says at most providers whether they have verified an e-mail.
const EMAIL_VERIFIED: &str = "email_verified";
/// The same at Microsoft: an optional claim that the application's registration must ask for.
const EMAIL_DOMAIN_OWNER_VERIFIED: &str = "xms_edov";

impl Preset {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::GoogleWorkspace => "google_workspace",
            Self::EntraId => "entra_id",
            Self::Okta => "okta",
            Self::Auth0 => "auth0",
        }
    }

    pub(crate) fn from_text(text: &str) -> Result<Self> {
        [Self::Custom, Self::GoogleWorkspace, Self::EntraId, Self::Okta, Self::Auth0]
            .into_iter()
            .find(|preset| preset.as_str() == text)
            .ok_or_else(|| Error::internal(format!("`{text}` is no kind of identity provider")))
    }

    /// The issuer that a preset's account stands for, or a checked custom one. Returns the account as it is stored, too.
    ///
    /// # Errors
    /// `invalid` for what is missing, too much, or has a wrong form.
    pub(super) fn issuer(self, account: Option<&str>, issuer: Option<&str>) -> Result<(String, Option<String>)> {
        match (self, account.map(str::trim), issuer.map(str::trim)) {
            (Self::Custom, None, Some(issuer)) => Ok((checked_issuer(issuer)?, None)),
            (Self::Custom, None, None) => Err(Error::invalid("issuer", "a provider without a preset needs its issuer")
                .remedy("give the address before /.well-known/openid-configuration")),
            (Self::Custom, Some(_), _) => {
                Err(Error::invalid("account", "a provider without a preset has no account")
                    .remedy("give `issuer` instead"))
            }
            (_, _, Some(_)) => Err(Error::invalid("issuer", "a preset knows its issuer").remedy("give `account` only")),
            (_, None, None) => Err(Error::invalid("account", self.account_words())),
            (_, Some(account), None) => {
                let account = self.checked_account(account)?;
                Ok((self.issuer_of(&account), Some(account)))
            }
        }
    }

    fn account_words(self) -> &'static str {
        match self {
            Self::Custom => "a provider without a preset has no account",
            Self::GoogleWorkspace => "Google Workspace needs your primary domain, as in example.com",
            Self::EntraId => {
                "Entra ID needs your directory's (tenant's) id, as in 72f988bf-86f1-41af-91ab-2d7cd011db47"
            }
            Self::Okta => "Okta needs your organization's host, as in example.okta.com",
            Self::Auth0 => "Auth0 needs your tenant's host, as in example.eu.auth0.com",
        }
    }

    fn checked_account(self, account: &str) -> Result<String> {
        let wrong = || Error::invalid("account", self.account_words());
        let account = account.to_ascii_lowercase();
        // Whoever copies it from the address bar copies more.
        let account = account.strip_prefix("https://").unwrap_or(&account).trim_end_matches('/').to_owned();
        if account.is_empty() || account.len() > ACCOUNT_BYTES_MAX {
            return Err(wrong());
        }
        let is_fine = match self {
            Self::Custom => false,
            Self::GoogleWorkspace => return domains::checked("account", &account),
            Self::EntraId => is_uuid(&account),
            Self::Okta => {
                let (host, path) = account.split_once('/').unwrap_or((&account, ""));
                is_host(host) && (path.is_empty() || path.strip_prefix("oauth2/").is_some_and(is_name))
            }
            Self::Auth0 => is_host(&account),
        };
        if is_fine { Ok(account) } else { Err(wrong()) }
    }

    fn issuer_of(self, account: &str) -> String {
        match self {
            Self::GoogleWorkspace => GOOGLE.to_owned(),
            Self::EntraId => format!("{MICROSOFT}/{account}/v2.0"),
            // Its slash is part of the name: tokens carry it.
            Self::Auth0 => format!("https://{account}/"),
            Self::Okta | Self::Custom => format!("https://{account}"),
        }
    }

    pub(super) fn scopes(self) -> Vec<String> {
        ["openid", "email", "profile"].map(str::to_owned).to_vec()
    }

    pub(super) fn email_verified_claim(self) -> &'static str {
        match self {
            Self::EntraId => EMAIL_DOMAIN_OWNER_VERIFIED,
            _ => EMAIL_VERIFIED,
        }
    }

    /// What a preset demands of every token, whatever else the connection demands. Google's issuer is one for all of the world's
    /// accounts: only `hd` tells whose a person is.
    pub(super) fn required_claims(self, account: Option<&str>) -> Vec<RequiredClaim> {
        match (self, account) {
            (Self::GoogleWorkspace, Some(account)) => {
                vec![RequiredClaim { claim: "hd".to_owned(), value: account.to_owned() }]
            }
            (Self::EntraId, Some(account)) => {
                vec![RequiredClaim { claim: "tid".to_owned(), value: account.to_owned() }]
            }
            _ => Vec::new(),
        }
    }

    /// What the login's address says beyond the protocol, so that people see the right accounts.
    pub(super) fn login_parameters(self, account: Option<&str>) -> Vec<(&'static str, String)> {
        match (self, account) {
            (Self::GoogleWorkspace, Some(account)) => vec![("hd", account.to_owned())],
            _ => Vec::new(),
        }
    }

    /// Whether the provider itself, and nobody in the organization, says whose a domain is. Only then a login may verify a claimed
    /// domain: whoever runs their own provider can make it say anything.
    pub(super) fn knows_owners_of_domains(self) -> bool {
        matches!(self, Self::GoogleWorkspace | Self::EntraId)
    }
}

/// The form in which an issuer is stored: as in the provider's tokens, letter by letter.
fn checked_issuer(text: &str) -> Result<String> {
    let issuer = text.strip_suffix(DISCOVERY_PATH).unwrap_or(text);
    let wrong =
        |what: &str| Error::invalid("issuer", what).remedy("use a form such as https://login.example.com/realm");
    if issuer.is_empty() || issuer.len() > ISSUER_BYTES_MAX {
        return Err(wrong("an issuer has 1 to 500 bytes"));
    }
    // Parsers of URLs leave them out; the issuer is compared letter by letter.
    if issuer.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err(wrong("an issuer has no spaces and no control characters"));
    }
    let url = Url::parse(issuer).map_err(|error| wrong("an issuer is a URL").source(error))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("an issuer has no query and no fragment"));
    }
    crate::outbound::check(&url).map_err(|error| error.field("issuer"))?;
    Ok(issuer.to_owned())
}

fn is_host(text: &str) -> bool {
    domains::in_dns_form(text).is_some()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn issuer(preset: Preset, account: &str) -> Option<String> {
        preset.issuer(Some(account), None).ok().map(|(issuer, _)| issuer)
    }

    #[test]
    fn presets_know_their_issuers() {
        assert_eq!(issuer(Preset::GoogleWorkspace, "Example.com").unwrap(), "https://accounts.google.com");
        let directory = "72f988bf-86f1-41af-91ab-2d7cd011db47";
        assert_eq!(
            issuer(Preset::EntraId, directory).unwrap(),
            format!("https://login.microsoftonline.com/{directory}/v2.0")
        );
        assert_eq!(issuer(Preset::Okta, "https://acme.okta.com/").unwrap(), "https://acme.okta.com");
        assert_eq!(
            issuer(Preset::Okta, "acme.okta.com/oauth2/default").unwrap(),
            "https://acme.okta.com/oauth2/default"
        );
        assert_eq!(issuer(Preset::Auth0, "acme.eu.auth0.com").unwrap(), "https://acme.eu.auth0.com/");
    }

    #[test]
    fn accounts_of_the_wrong_form_are_refused() {
        for (preset, account) in [
            (Preset::GoogleWorkspace, ""),
            (Preset::GoogleWorkspace, "example"),
            // Everybody has an address there.
            (Preset::GoogleWorkspace, "gmail.com"),
            // Issuers for several directories hold a placeholder that no token carries.
            (Preset::EntraId, "common"),
            (Preset::EntraId, "example.com"),
            (Preset::EntraId, "72f988bf-86f1-41af-91ab-2d7cd011db4z"),
            (Preset::Okta, "acme.okta.com/other"),
            (Preset::Okta, "acme.okta.com/oauth2/../x"),
            (Preset::Okta, "acme.okta.com:8443"),
            (Preset::Auth0, "user@acme.auth0.com"),
            (Preset::Auth0, "acme.auth0.com?x"),
        ] {
            assert_eq!(issuer(preset, account), None, "{preset:?} {account}");
        }
        assert!(Preset::Custom.issuer(Some("a"), Some("https://a.example")).is_err());
        assert!(Preset::Okta.issuer(Some("acme.okta.com"), Some("https://a.example")).is_err());
    }

    #[test]
    fn a_custom_issuer_is_kept_letter_by_letter() {
        let stored = |text: &str| Preset::Custom.issuer(None, Some(text)).ok().map(|(issuer, _)| issuer);
        assert_eq!(stored(" https://id.example.org/a/ ").unwrap(), "https://id.example.org/a/");
        assert_eq!(
            stored("https://id.example.org/a/.well-known/openid-configuration").unwrap(),
            "https://id.example.org/a"
        );
        for text in
            ["", "id.example.org", "http://id.example.org", "https://id.example.org/?a=b", "https://x.example/#a"]
        {
            assert_eq!(stored(text), None, "{text}");
        }
        assert!(stored(&format!("https://id.example.org/{}", "a".repeat(500))).is_none());
        assert!(stored("https://id.example.org\u{1}").is_none() && stored("https://id.exa\nmple.org").is_none());
    }

    #[test]
    fn googles_issuer_is_everybodys_so_the_domain_is_demanded() {
        let demanded = Preset::GoogleWorkspace.required_claims(Some("example.com"));
        assert_eq!(demanded, [RequiredClaim { claim: "hd".into(), value: "example.com".into() }]);
        assert!(Preset::Okta.required_claims(Some("acme.okta.com")).is_empty());
    }
}
