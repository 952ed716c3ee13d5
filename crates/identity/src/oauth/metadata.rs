//! What others read to find the endpoints (RFC 8414, OpenID Connect Discovery).

use serde::Serialize;

use super::{scopes, signing_keys::ALGORITHM, tokens::DEVICE_CODE_GRANT};

/// The authorization server's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ServerMetadata {
    /// The server's name, which ID tokens and answers to authorization requests repeat.
    #[schema(example = "https://plasma.example.com")]
    pub issuer: String,
    /// Where a person's browser is sent.
    pub authorization_endpoint: String,
    /// Where codes become tokens.
    pub token_endpoint: String,
    /// Where an access token tells who its person is.
    pub userinfo_endpoint: String,
    /// The public keys of ID tokens.
    pub jwks_uri: String,
    /// Where tokens are given back.
    pub revocation_endpoint: String,
    /// Where an application asks about its tokens.
    pub introspection_endpoint: String,
    /// Where a device begins to ask.
    pub device_authorization_endpoint: String,
    /// Every scope.
    pub scopes_supported: Vec<String>,
    /// `code`.
    pub response_types_supported: Vec<String>,
    /// `query`.
    pub response_modes_supported: Vec<String>,
    /// The ways to get tokens.
    pub grant_types_supported: Vec<String>,
    /// `public`: a person has the same id for every application.
    pub subject_types_supported: Vec<String>,
    /// `ES256`.
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// How applications prove who they are.
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// The same for giving tokens back.
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// The same for asking about tokens, which takes a secret.
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// `S256`.
    pub code_challenge_methods_supported: Vec<String>,
    /// What ID tokens and the user's information may hold.
    pub claims_supported: Vec<String>,
    /// The values of `prompt`.
    pub prompt_values_supported: Vec<String>,
    /// True: answers name the issuer (RFC 9207).
    pub authorization_response_iss_parameter_supported: bool,
    /// False.
    pub request_parameter_supported: bool,
    /// False.
    pub request_uri_parameter_supported: bool,
    /// False.
    pub claims_parameter_supported: bool,
}

/// The metadata of the server whose address is `issuer`, without a slash at its end.
pub fn metadata(issuer: &str) -> ServerMetadata {
    let at = |path: &str| format!("{issuer}{path}");
    ServerMetadata {
        issuer: issuer.to_owned(),
        authorization_endpoint: at("/oauth/authorize/"),
        token_endpoint: at("/oauth/token"),
        userinfo_endpoint: at("/oauth/userinfo"),
        jwks_uri: at("/oauth/jwks"),
        revocation_endpoint: at("/oauth/revoke"),
        introspection_endpoint: at("/oauth/introspect"),
        device_authorization_endpoint: at("/oauth/device"),
        scopes_supported: texts(&scopes::all_names()),
        response_types_supported: texts(&["code"]),
        response_modes_supported: texts(&["query"]),
        grant_types_supported: texts(&["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE_GRANT]),
        subject_types_supported: texts(&["public"]),
        id_token_signing_alg_values_supported: texts(&[ALGORITHM]),
        token_endpoint_auth_methods_supported: texts(&["client_secret_basic", "client_secret_post", "none"]),
        revocation_endpoint_auth_methods_supported: texts(&["client_secret_basic", "client_secret_post", "none"]),
        introspection_endpoint_auth_methods_supported: texts(&["client_secret_basic", "client_secret_post"]),
        code_challenge_methods_supported: texts(&["S256"]),
        claims_supported: texts(&[
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "amr",
            "nonce",
            "at_hash",
            "name",
            "email",
            "tenant",
        ]),
        prompt_values_supported: texts(&["none", "login", "consent"]),
        authorization_response_iss_parameter_supported: true,
        request_parameter_supported: false,
        request_uri_parameter_supported: false,
        claims_parameter_supported: false,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
