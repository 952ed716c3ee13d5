//! Asking a provider who somebody is, and believing only what it has signed.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use chrono::{DateTime, Utc};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthType, AuthUrl, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, IssuerUrl, LoginHint, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    TokenResponse as _, TokenUrl,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet,
        CoreTokenResponse,
    },
};
use plasma_kernel::{Code, Error, Result, Timestamp};
use url::Url;

use super::{
    claims::{self, Claims},
    provider::{ALGORITHMS, Need, Provider, Providers, excerpt, nonsense},
    types::RequiredClaim,
};

/// Clocks may differ by so much.
pub(crate) const SKEW_SECONDS: i64 = 60;
/// OpenID Connect Core 1.0, section 2, bounds it so.
pub(super) const SUBJECT_CHARS_MAX: usize = 255;
/// A code that no provider has given out.
const NO_CODE: &str = "plasma-looks-whether-the-client-secret-is-right";

type ProviderClient =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;

/// Who Plasma is at a provider, for one login.
pub(crate) struct Client<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) client_id: &'a str,
    pub(crate) client_secret: Option<&'a str>,
    pub(crate) redirect_uri: &'a str,
}

/// What binds an answer to the question: known to the browser's cookie and made anew from it.
pub(crate) struct Binding {
    pub(crate) nonce: String,
    /// 43 to 128 letters, digits, `-` and `_`.
    pub(crate) verifier: String,
}

/// What the provider has proven of a person.
pub(crate) struct Proof {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// The provider's name of its session.
    pub(crate) provider_session: Option<String>,
    pub(crate) claims: Claims,
    /// The signed token, to log out with.
    pub(crate) id_token: String,
}

impl Client<'_> {
    fn open(&self) -> Result<ProviderClient> {
        let wrong = |error: url::ParseError| Error::from_source("a checked address is no URL", error);
        let auth_type = if self.provider.secret_in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
        // Keys are given to the verifier itself.
        let client = CoreClient::new(
            ClientId::new(self.client_id.to_owned()),
            IssuerUrl::new(self.provider.issuer.clone()).map_err(wrong)?,
            CoreJsonWebKeySet::default(),
        )
        .set_auth_uri(AuthUrl::from_url(self.provider.authorization_endpoint.clone()))
        .set_token_uri(TokenUrl::from_url(self.provider.token_endpoint.clone()))
        .set_redirect_uri(RedirectUrl::new(self.redirect_uri.to_owned()).map_err(wrong)?)
        .set_auth_type(auth_type);
        Ok(match self.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.to_owned())),
            None => client,
        })
    }

    /// Where the browser goes to log in.
    pub(crate) fn login_url(
        &self,
        state: String,
        binding: &Binding,
        scopes: &[String],
        parameters: Vec<(&'static str, String)>,
        login_hint: Option<String>,
    ) -> Result<Url> {
        let client = self.open()?;
        let nonce = Nonce::new(binding.nonce.clone());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(binding.verifier.clone()));
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || CsrfToken::new(state), move || nonce)
            .set_pkce_challenge(challenge)
            // `openid` is there already.
            .add_scopes(scopes.iter().filter(|scope| *scope != "openid").map(|scope| Scope::new(scope.clone())));
        for (name, value) in parameters {
            request = request.add_extra_param(name, value);
        }
        if let Some(hint) = login_hint {
            request = request.set_login_hint(LoginHint::new(hint));
        }
        let (url, _, _) = request.url();
        Ok(url)
    }

    async fn exchange(&self, providers: &Providers, code: &str, verifier: &str) -> Result<CoreTokenResponse, Refusal> {
        let client = self.open()?;
        client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
            .request_async(providers.http()?)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(response) => {
                    let words = excerpt(&response.to_string());
                    Refusal::Refused(response.error().clone(), words)
                }
                RequestTokenError::Request(error) => Refusal::Other(error),
                RequestTokenError::Parse(error, _) => {
                    let place = excerpt(&error.to_string());
                    Refusal::Other(nonsense(format!("the provider's tokens cannot be read: {place}")))
                }
                RequestTokenError::Other(words) => {
                    Refusal::Other(nonsense(format!("the provider gave no tokens: {}", excerpt(&words))))
                }
            })
    }

    /// Exchanges the code for tokens and verifies them.
    ///
    /// # Errors
    /// `upstream` or `timeout` when the provider does not answer as it should; `forbidden` (`sso_code_refused`,
    /// `sso_token_refused`) when it refuses the code or its token does not hold.
    pub(crate) async fn prove(
        &self,
        providers: &Providers,
        code: &str,
        binding: &Binding,
        now: Timestamp,
    ) -> Result<(Proof, AccessToken)> {
        let response = self.exchange(providers, code, &binding.verifier).await.map_err(Refusal::into_error)?;
        let id_token = response.id_token().ok_or_else(|| nonsense("the provider gave no ID token".to_owned()))?;
        let nonce = Nonce::new(binding.nonce.clone());
        let access_token = response.access_token();
        let keys = providers.keys(self.provider).await?;
        let mut verified = self.verify(id_token, &keys, &nonce, access_token, now);
        if verified.as_ref().is_err_and(is_of_an_unknown_key)
            && let Some(newer) = providers.newer_keys(self.provider, Need::Login).await?
        {
            verified = self.verify(id_token, &newer, &nonce, access_token, now);
        }
        verified.map_err(|error| token_refused(in_words(&error)))?;
        let text = id_token.to_string();
        let claims = payload(&text).ok_or_else(|| nonsense("the provider's ID token cannot be read".to_owned()))?;
        self.check_party(&claims)?;
        let subject = claims::text(&claims, "sub").unwrap_or_default().to_owned();
        check_subject(&subject)?;
        let provider_session = claims::text(&claims, "sid").map(str::to_owned);
        let proof = Proof { issuer: self.provider.issuer.clone(), subject, provider_session, claims, id_token: text };
        Ok((proof, access_token.clone()))
    }

    /// Issuer, audience, algorithm, signature, times, nonce, and that the access token came with it.
    fn verify(
        &self,
        id_token: &CoreIdToken,
        keys: &CoreJsonWebKeySet,
        nonce: &Nonce,
        access_token: &AccessToken,
        now: Timestamp,
    ) -> Result<(), ClaimsVerificationError> {
        let other = |what: &str| ClaimsVerificationError::Other(what.to_owned());
        let issuer = IssuerUrl::new(self.provider.issuer.clone()).map_err(|_| other("the issuer is no URL"))?;
        let (earliest, latest) = (at_seconds(now, -SKEW_SECONDS)?, at_seconds(now, SKEW_SECONDS)?);
        // A public client's verifier takes no algorithm whose key is the client's secret.
        let verifier =
            CoreIdTokenVerifier::new_public_client(ClientId::new(self.client_id.to_owned()), issuer, keys.clone())
                .set_allowed_algs(ALGORITHMS)
                .set_time_fn(move || earliest)
                .set_issue_time_verifier_fn(move |issued_at| {
                    if issued_at > latest { Err("it is from the future".to_owned()) } else { Ok(()) }
                });
        let claims = id_token.claims(&verifier, nonce)?;
        if let Some(expected) = claims.access_token_hash() {
            let signature = ClaimsVerificationError::SignatureVerification;
            let algorithm = id_token.signing_alg().map_err(signature)?;
            let key = id_token.signing_key(&verifier).map_err(signature)?;
            let actual = AccessTokenHash::from_token(access_token, algorithm, key)
                .map_err(|_| other("the hash of the access token cannot be made"))?;
            if actual != *expected {
                return Err(other("the access token is not the one that came with it (at_hash)"));
            }
        }
        Ok(())
    }

    /// For fuzzing only: what is believed of a token, with the provider's keys at hand.
    #[cfg(fuzzing)]
    pub(super) fn believed(
        &self,
        token: &str,
        keys: &CoreJsonWebKeySet,
        nonce: &str,
        now: Timestamp,
    ) -> Option<Claims> {
        let token = token.parse::<CoreIdToken>().ok()?;
        let access_token = AccessToken::new("an access token".to_owned());
        self.verify(&token, keys, &Nonce::new(nonce.to_owned()), &access_token, now).ok()?;
        let claims = payload(&token.to_string())?;
        self.check_party(&claims).ok()?;
        check_subject(claims::text(&claims, "sub").unwrap_or_default()).ok()?;
        Some(claims)
    }

    /// For whom the token was made, where the provider says so beside the audience.
    fn check_party(&self, claims: &Claims) -> Result<()> {
        match claims.get("azp") {
            Some(party) if party.as_str() != Some(self.client_id) => {
                Err(token_refused("it was made for another application (azp)".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Whether the provider takes the client's id and secret, asked with a code that does not exist.
    pub(crate) async fn is_known(&self, providers: &Providers) -> Result<ClientKnown> {
        // As long as a verifier must be.
        let verifier = "0".repeat(43);
        match self.exchange(providers, NO_CODE, &verifier).await {
            Err(Refusal::Refused(CoreErrorResponseType::InvalidGrant, _)) => Ok(ClientKnown::Yes),
            Err(Refusal::Refused(
                CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient,
                words,
            )) => Ok(ClientKnown::No(words)),
            Err(Refusal::Refused(_, words)) => Ok(ClientKnown::Unclear(words)),
            Err(Refusal::Other(error)) => Err(error),
            Ok(_) => Ok(ClientKnown::Unclear("it gave tokens for a code that does not exist".to_owned())),
        }
    }
}

/// Whether a provider knows a client.
pub(crate) enum ClientKnown {
    Yes,
    No(String),
    Unclear(String),
}

enum Refusal {
    /// In the protocol's words.
    Refused(CoreErrorResponseType, String),
    Other(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Refusal {
    fn into_error(self) -> Error {
        match self {
            Self::Refused(CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient, words) => {
                Error::new(
                    Code::Forbidden,
                    "sso_client_refused",
                    format!("the identity provider does not take the connection's client id and secret ({words})"),
                )
                .remedy("an owner can test the connection, and enter the secret again, under Settings, Sign-in")
            }
            Self::Refused(_, words) => Error::new(
                Code::Forbidden,
                "sso_code_refused",
                format!("the identity provider refused the login's code ({words})"),
            )
            .remedy("log in again"),
            Self::Other(error) => error,
        }
    }
}

fn token_refused(what: String) -> Error {
    Error::new(Code::Forbidden, "sso_token_refused", format!("the identity provider's token does not hold: {what}"))
        .remedy("log in again; if it lasts, an owner can test the connection under Settings, Sign-in")
}

fn at_seconds(now: Timestamp, more: i64) -> Result<DateTime<Utc>, ClaimsVerificationError> {
    DateTime::from_timestamp(now.div_euclid(1_000_000) + more, 0)
        .ok_or_else(|| ClaimsVerificationError::Other("the time is beyond all calendars".to_owned()))
}

fn is_of_an_unknown_key(error: &ClaimsVerificationError) -> bool {
    matches!(error, ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey))
}

fn in_words(error: &ClaimsVerificationError) -> String {
    match error {
        ClaimsVerificationError::SignatureVerification(signature) => excerpt(&format!("signature: {signature}")),
        error => excerpt(&error.to_string()),
    }
}

/// The claims of a signed token whose signature was verified, or is about to be.
fn payload(token: &str) -> Option<Claims> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn check_subject(subject: &str) -> Result<()> {
    let chars = subject.chars().count();
    if chars == 0 || chars > SUBJECT_CHARS_MAX {
        return Err(token_refused(format!("its subject has {chars} characters, not 1 to {SUBJECT_CHARS_MAX}")));
    }
    Ok(())
}

/// Adds what the provider tells of the person elsewhere, where the token leaves something out that is needed. What the token says
/// counts more.
pub(crate) async fn complete(
    proof: &mut Proof,
    providers: &Providers,
    provider: &Provider,
    access_token: &AccessToken,
    needed: &[&str],
) -> Result<()> {
    let is_complete = needed.iter().all(|claim| claims::find(&proof.claims, claim).is_some());
    let Some(url) = provider.userinfo_endpoint.as_ref().filter(|_| !is_complete) else { return Ok(()) };
    let body = providers.http()?.get(url, Some(access_token.secret())).await?;
    let told: Claims = serde_json::from_slice(&body)
        .map_err(|_| nonsense("what the provider tells of the person (userinfo) is no JSON object".to_owned()))?;
    // OpenID Connect Core 1.0, section 5.3.2: else it may be somebody else's.
    if claims::text(&told, "sub") != Some(proof.subject.as_str()) {
        return Err(token_refused("what the provider tells of the person (userinfo) is of somebody else".to_owned()));
    }
    for (claim, value) in told {
        proof.claims.entry(claim).or_insert(value);
    }
    Ok(())
}

/// Refuses whoever lacks a claim that the connection demands.
pub(crate) fn check_required(claims: &Claims, required: &[RequiredClaim]) -> Result<()> {
    match required.iter().find(|required| !claims::fits(claims, &required.claim, &required.value)) {
        None => Ok(()),
        Some(required) => Err(Error::new(
            Code::Forbidden,
            "sso_claim_missing",
            format!("this connection is only for people whose `{}` is `{}`", required.claim, required.value),
        )
        .remedy("log in at the identity provider with another account")),
    }
}
