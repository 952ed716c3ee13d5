//! The test of a connection: says in words what is wrong, before anybody has to log in.

use plasma_kernel::{ConnectionId, Ctx, Error, Permission, Result};
use url::Url;

use super::{
    connections, events,
    provider::{ALGORITHM_NAMES, Discovery, Provider, checked, discovery_url},
    verify::{Client, ClientKnown},
};
use crate::{
    Connection, ConnectionCheck, ConnectionCheckState as State, DomainState, Identity, Secret, sso::login::redirect_uri,
};

fn check(name: &'static str, state: State, detail: impl Into<String>) -> ConnectionCheck {
    ConnectionCheck { name, state, detail: detail.into(), remedy: None }
}

fn passed(name: &'static str, detail: impl Into<String>) -> ConnectionCheck {
    check(name, State::Passed, detail)
}

fn warning(name: &'static str, detail: impl Into<String>, remedy: &str) -> ConnectionCheck {
    ConnectionCheck { remedy: Some(remedy.to_owned()), ..check(name, State::Warning, detail) }
}

fn failed(name: &'static str, detail: impl Into<String>, remedy: &str) -> ConnectionCheck {
    ConnectionCheck { remedy: Some(remedy.to_owned()), ..check(name, State::Failed, detail) }
}

fn failed_by(name: &'static str, error: &Error) -> ConnectionCheck {
    let remedy = error.remedy_text().map(str::to_owned);
    ConnectionCheck { remedy, ..check(name, State::Failed, error.message()) }
}

/// Whether logins can work.
pub(crate) fn is_ok(checks: &[ConnectionCheck]) -> bool {
    checks.iter().all(|check| check.state != State::Failed)
}

impl Identity {
    /// Asks the provider for its discovery document and its keys, now, and whether it knows the client.
    ///
    /// # Errors
    /// `forbidden` without `security:write`, `not_found`. What is wrong with the provider is no error but the answer.
    pub(crate) async fn test_connection(
        &self,
        ctx: &Ctx,
        id: ConnectionId,
        public_url: &Url,
    ) -> Result<Vec<ConnectionCheck>> {
        ctx.require(Permission::SecurityWrite)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let stored = connections::with_domains(&mut tx, id).await?;
        let secret = self.client_secret(&mut tx, &stored).await?;
        drop(tx);
        let mut tested = [stored.connection];
        self.mark_taken(ctx, &mut tested).await?;
        let [connection] = tested;
        // What was known may be what is wrong.
        self.providers().forget(&connection.issuer).await;
        let checks = Box::pin(self.checks(&connection, secret.as_ref(), public_url)).await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        tx.emit(events::connection_tested(id, is_ok(&checks))).await?;
        tx.commit().await?;
        Ok(checks)
    }

    async fn checks(
        &self,
        connection: &Connection,
        secret: Option<&Secret>,
        public_url: &Url,
    ) -> Result<Vec<ConnectionCheck>> {
        let issuer = &connection.issuer;
        let discovery = match self.providers().discovery(issuer).await {
            Ok(discovery) => discovery,
            Err(error) => return Ok(vec![failed_by("discovery", &error), domains(connection)]),
        };
        let mut checks =
            vec![passed("discovery", format!("the provider describes itself at `{}`", discovery_url(issuer)?))];
        let provider = match checked(issuer, &discovery) {
            Ok(provider) => provider,
            Err(error) => {
                let name = if discovery.issuer.as_ref() == Some(issuer) { "endpoints" } else { "issuer" };
                checks.extend([failed_by(name, &error), domains(connection)]);
                return Ok(checks);
            }
        };
        checks.push(passed("issuer", format!("it calls itself `{issuer}`, as it should")));
        checks.push(passed("endpoints", "every address that a login needs is there and secure"));
        checks.push(flow(&discovery));
        checks.push(signatures(&discovery));
        checks.push(self.keys(&provider).await);
        checks.push(self.client_check(connection, &provider, secret, public_url).await);
        checks.push(logout(&discovery));
        checks.push(domains(connection));
        Ok(checks)
    }

    async fn keys(&self, provider: &Provider) -> ConnectionCheck {
        match self.providers().fetch_keys(&provider.jwks_uri).await {
            Ok(keys) if keys.keys().is_empty() => failed(
                "keys",
                "the provider has no key of a kind that is known here",
                "let it sign with RSA, P-256, P-384 or Ed25519 keys",
            ),
            Ok(keys) => passed("keys", format!("{} keys to verify tokens with", keys.keys().len())),
            Err(error) => failed_by("keys", &error),
        }
    }

    async fn client_check(
        &self,
        connection: &Connection,
        provider: &Provider,
        secret: Option<&Secret>,
        public_url: &Url,
    ) -> ConnectionCheck {
        let redirect_uri = redirect_uri(public_url);
        let client = Client {
            provider,
            client_id: &connection.client_id,
            client_secret: secret.map(Secret::expose),
            redirect_uri: &redirect_uri,
        };
        match client.is_known(self.providers()).await {
            Ok(ClientKnown::Yes) => passed("client", "the provider takes the client id and secret"),
            Ok(ClientKnown::No(words)) => failed(
                "client",
                format!("the provider does not take the client id and secret ({words})"),
                "copy both again from the provider's page of this application; a secret may have expired",
            ),
            Ok(ClientKnown::Unclear(words)) => warning(
                "client",
                format!("whether the provider takes the client id and secret could not be told ({words})"),
                "log in by the connection to see",
            ),
            Err(error) => failed_by("client", &error),
        }
    }
}

fn flow(discovery: &Discovery) -> ConnectionCheck {
    let responses = &discovery.response_types_supported;
    if !responses.is_empty() && !responses.iter().any(|kind| kind == "code") {
        return failed(
            "flow",
            "the provider does not offer the authorization code flow",
            "allow the response type `code` there",
        );
    }
    match &discovery.code_challenge_methods_supported {
        Some(methods) if methods.iter().any(|method| method == "S256") => {
            passed("flow", "authorization code with PKCE (S256)")
        }
        Some(_) => warning(
            "flow",
            "the provider does not offer PKCE with S256; it is sent all the same",
            "turn PKCE on at the provider if it can",
        ),
        None => warning(
            "flow",
            "the provider does not say whether it checks PKCE; it is sent all the same",
            "many providers check it without saying so",
        ),
    }
}

fn signatures(discovery: &Discovery) -> ConnectionCheck {
    let offered = &discovery.id_token_signing_alg_values_supported;
    let usable: Vec<&str> =
        ALGORITHM_NAMES.into_iter().filter(|name| offered.iter().any(|other| other == name)).collect();
    if usable.is_empty() {
        return failed(
            "signatures",
            "the provider signs with no algorithm that is allowed here",
            "let it sign ID tokens with RS256, PS256, ES256 or EdDSA; HS256 and none are never believed",
        );
    }
    passed("signatures", format!("tokens may be signed with {}", usable.join(", ")))
}

fn logout(discovery: &Discovery) -> ConnectionCheck {
    match (&discovery.end_session_endpoint, discovery.backchannel_logout_supported) {
        (Some(_), true) => passed("logout", "logging out here ends the provider's session, and the other way round"),
        (Some(_), false) => warning(
            "logout",
            "logging out here ends the provider's session; the provider does not tell when somebody logs out there",
            "sessions here end by their own time",
        ),
        (None, tells) => warning(
            "logout",
            if tells {
                "the provider tells when somebody logs out there; logging out here leaves its session as it is"
            } else {
                "the provider offers no common logout"
            },
            "on shared machines people must log out at the provider, too",
        ),
    }
}

fn domains(connection: &Connection) -> ConnectionCheck {
    let named = |state: DomainState| {
        let domains = connection.domains.iter().filter(|domain| domain.state == state);
        domains.map(|domain| domain.domain.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (verified, pending, taken) =
        (named(DomainState::Verified), named(DomainState::Pending), named(DomainState::Taken));
    if !taken.is_empty() {
        return warning(
            "domains",
            format!("another workspace of this installation has {taken}"),
            "ask an operator of the installation to look whose it is",
        );
    }
    if !pending.is_empty() {
        return warning(
            "domains",
            format!("nobody has verified yet that {pending} is yours"),
            "ask an operator of the installation; at Google Workspace and Entra ID the first login does it",
        );
    }
    if verified.is_empty() {
        return warning(
            "domains",
            "the connection has no e-mail domain: people do not find it by their e-mail, and nobody is let in by it alone",
            "add your organization's domain, or let people link their accounts",
        );
    }
    passed("domains", format!("people with an e-mail of {verified} find the connection"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn algorithms(names: &[&str]) -> Discovery {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Discovery { id_token_signing_alg_values_supported: names, ..Discovery::default() }
    }

    #[test]
    fn what_cannot_work_is_a_failure_and_what_could_be_better_a_warning() {
        assert_eq!(signatures(&algorithms(&["HS256", "none"])).state, State::Failed);
        assert_eq!(signatures(&algorithms(&["HS256", "RS256"])).state, State::Passed);
        assert_eq!(flow(&Discovery::default()).state, State::Warning);
        let implicit = Discovery { response_types_supported: vec!["id_token".to_owned()], ..Discovery::default() };
        assert_eq!(flow(&implicit).state, State::Failed);
        let pkce =
            Discovery { code_challenge_methods_supported: Some(vec!["S256".to_owned()]), ..Discovery::default() };
        assert_eq!(flow(&pkce).state, State::Passed);
        assert_eq!(logout(&Discovery::default()).state, State::Warning);
        assert!(is_ok(&[flow(&pkce), logout(&Discovery::default())]) && !is_ok(&[flow(&implicit)]));
    }
}
