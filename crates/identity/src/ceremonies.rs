//! Challenges for passkeys (WebAuthn) and their answers. The state of a challenge stays here, is answered once at most, and
//! ends after five minutes.

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use plasma_kernel::{Code, Ctx, Error, Result, UserId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey as Credential, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::{
    Ceremony, Identity, PasskeyAnswer,
    begin::passkey_refused,
    events,
    store::{
        self,
        passkeys::{StoredCeremony, StoredPasskey},
        users::Account,
    },
    tokens::{self, CEREMONY_PREFIX, Fingerprint},
};

const CEREMONY_MICROS: i64 = 5 * 60 * 1_000_000;
/// An answer as JSON. Attestations are the longest part, a few kilobytes; we ask for none.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Who asks: shown by the browser.
const RELYING_PARTY: &str = "Plasma";

/// What a challenge is for. An answer to one is none to another.
#[derive(Clone, Copy)]
enum Purpose {
    /// A new passkey.
    Register,
    /// A login, by whoever answers.
    Login,
    /// A second factor, or a proof for a dangerous action, of a known person.
    Prove,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Login => "login",
            Self::Prove => "prove",
        }
    }
}

/// A new credential that was verified and is not kept yet.
pub(crate) struct NewCredential {
    pub(crate) id: Vec<u8>,
    /// As JSON.
    pub(crate) credential: String,
}

/// A passkey whose answer was right.
pub(crate) struct UsedPasskey {
    pub(crate) before: StoredPasskey,
    /// The credential with its new counter, as JSON.
    pub(crate) after: String,
}

/// What a browser says about where it made the answer.
#[derive(Deserialize)]
struct ClientData {
    /// Whether the page was in a frame of another site.
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
}

impl Identity {
    /// A challenge to make a passkey for `user`.
    pub(crate) async fn begin_registration(&self, ctx: &Ctx, account: &Account, base: &Url) -> Result<Ceremony> {
        let webauthn = webauthn(base)?;
        let user = account.user.id;
        let mut tx = self.inner.store.read(ctx).await?;
        let known = store::passkeys::stored_of(&mut tx, user).await?;
        drop(tx);
        let known = known.iter().map(credential_id).collect::<Result<Vec<_>>>()?;
        let (options, state) = webauthn
            .start_passkey_registration(handle_of(user), &account.user.email, &account.user.name, Some(known))
            .map_err(failed)?;
        let mut options = public_key(&options)?;
        // A passkey that names its person lets them log in without typing anything. Authenticators that cannot keep one are
        // good as a second factor all the same.
        if let Some(selection) = options.get_mut("authenticatorSelection").and_then(Value::as_object_mut) {
            selection.insert("residentKey".to_owned(), json!("preferred"));
        }
        self.keep_ceremony(ctx, Purpose::Register, Some(user), write(&state)?, options).await
    }

    /// The credential that a browser made for `user`.
    ///
    /// # Errors
    /// `unauthenticated` (`passkey_refused`, `ceremony_expired`), `invalid` for what is no credential.
    pub(crate) async fn finish_registration(
        &self,
        ctx: &Ctx,
        user: UserId,
        answer: &PasskeyAnswer,
        base: &Url,
    ) -> Result<NewCredential> {
        let webauthn = webauthn(base)?;
        let credential: RegisterPublicKeyCredential = parsed(&answer.credential)?;
        let ceremony = self.take_ceremony(ctx, Purpose::Register, &answer.ceremony).await?;
        if ceremony.user != Some(user) {
            return Err(ceremony_expired());
        }
        check_client_data(&credential.response.client_data_json)?;
        let state: PasskeyRegistration = read(&ceremony.state)?;
        let made = webauthn.finish_passkey_registration(&credential, &state).map_err(|error| refused(&error))?;
        Ok(NewCredential { id: made.cred_id().to_vec(), credential: write(&made)? })
    }

    /// A challenge for a login: with whichever passkey for this place the browser has, if `user` is `None`; else with one of
    /// the person's.
    pub(crate) async fn begin_assertion(&self, ctx: &Ctx, user: Option<UserId>, base: &Url) -> Result<Ceremony> {
        let webauthn = webauthn(base)?;
        let (options, state) = webauthn.start_discoverable_authentication().map_err(failed)?;
        let mut options = public_key(&options)?;
        let purpose = match user {
            None => Purpose::Login,
            Some(user) => {
                let mut tx = self.inner.store.read(ctx).await?;
                let known = store::passkeys::stored_of(&mut tx, user).await?;
                let allowed: Vec<Value> = known.iter().map(descriptor).collect::<Result<_>>()?;
                if let Some(options) = options.as_object_mut() {
                    options.insert("allowCredentials".to_owned(), Value::Array(allowed));
                }
                Purpose::Prove
            }
        };
        self.keep_ceremony(ctx, purpose, user, write(&state)?, options).await
    }

    /// The passkey that answered rightly: any person's if `user` is `None`, who is then found by it; else that person's.
    /// User verification is required, and a counter that does not rise is refused.
    ///
    /// # Errors
    /// `unauthenticated` (`passkey_refused`, `ceremony_expired`), `invalid` for what is no credential.
    pub(crate) async fn finish_assertion(
        &self,
        ctx: &Ctx,
        user: Option<UserId>,
        answer: &PasskeyAnswer,
        base: &Url,
    ) -> Result<UsedPasskey> {
        let webauthn = webauthn(base)?;
        let credential: PublicKeyCredential = parsed(&answer.credential)?;
        let purpose = if user.is_some() { Purpose::Prove } else { Purpose::Login };
        let ceremony = self.take_ceremony(ctx, purpose, &answer.ceremony).await?;
        if ceremony.user != user {
            return Err(ceremony_expired());
        }
        check_client_data(&credential.response.client_data_json)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let stored = store::passkeys::by_credential(&mut tx, credential.get_credential_id()).await?;
        drop(tx);
        let stored = stored.ok_or_else(passkey_refused)?;
        check_holder(&credential, &stored, user)?;
        let state: DiscoverableAuthentication = read(&ceremony.state)?;
        let mut known: Credential = read(&stored.credential)?;
        // The error of the crate is read before the next `.await`: it need not be `Send`.
        let verified = webauthn
            .finish_discoverable_authentication_v2(&credential, state, &known)
            .map_err(|error| (matches!(error, WebauthnError::CredentialPossibleCompromise), refused(&error)));
        match verified {
            Ok(result) => {
                known.update_credential(&result);
                Ok(UsedPasskey { after: write(&known)?, before: stored })
            }
            Err((is_copy, refusal)) => {
                if is_copy {
                    self.tell_clone(ctx, &stored).await?;
                }
                Err(refusal)
            }
        }
    }

    async fn tell_clone(&self, ctx: &Ctx, passkey: &StoredPasskey) -> Result<()> {
        let mut tx = self.inner.store.read(&self.system("tell that a passkey may be cloned")).await?;
        let account = store::users::account_by_id(&mut tx, passkey.user).await?;
        drop(tx);
        let Some(account) = account else { return Ok(()) };
        let mut tx = self.inner.store.begin(&ctx.for_tenant(account.tenant.id, "login")).await?;
        tx.emit(events::passkey_cloned(passkey.id, passkey.user)).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn keep_ceremony(
        &self,
        ctx: &Ctx,
        purpose: Purpose,
        user: Option<UserId>,
        state: String,
        options: Value,
    ) -> Result<Ceremony> {
        let token = tokens::new_token(ctx.random(), CEREMONY_PREFIX);
        let expires_at = ctx.now() + CEREMONY_MICROS;
        let mut tx = self.inner.store.begin(ctx).await?;
        let ceremony = StoredCeremony { user, state };
        let fingerprint = Fingerprint::of(token.expose());
        store::passkeys::begin_ceremony(&mut tx, &fingerprint, purpose.as_str(), &ceremony, expires_at).await?;
        tx.commit().await?;
        Ok(Ceremony { token, options, expires_at })
    }

    /// Committed before the answer is looked at: a wrong one uses the challenge up.
    async fn take_ceremony(&self, ctx: &Ctx, purpose: Purpose, token: &str) -> Result<StoredCeremony> {
        if !tokens::has_form(token, CEREMONY_PREFIX) {
            return Err(ceremony_expired());
        }
        let mut tx = self.inner.store.begin(ctx).await?;
        let taken = store::passkeys::take_ceremony(&mut tx, &Fingerprint::of(token), purpose.as_str()).await?;
        tx.commit().await?;
        taken.ok_or_else(ceremony_expired)
    }
}

/// The rules for this installation's address: passkeys are bound to its host, and answers come from its origin.
fn webauthn(base: &Url) -> Result<Webauthn> {
    let host = base.domain().ok_or_else(|| {
        Error::conflict("passkeys_need_a_name", "browsers make passkeys for names of hosts only, not for IP addresses")
            .remedy("open the dashboard at http://localhost with the same port, or set public_url")
    })?;
    WebauthnBuilder::new(host, base).and_then(|builder| builder.rp_name(RELYING_PARTY).build()).map_err(failed)
}

/// What authenticators keep as the person's name for us: the id, which says nothing about them.
fn handle_of(user: UserId) -> Uuid {
    Uuid::from_u128(user.bits())
}

fn credential_id(passkey: &StoredPasskey) -> Result<Vec<u8>> {
    Ok(read::<Credential>(&passkey.credential)?.cred_id().to_vec())
}

fn descriptor(passkey: &StoredPasskey) -> Result<Value> {
    let mut descriptor = json!({ "type": "public-key", "id": URL_SAFE_NO_PAD.encode(credential_id(passkey)?) });
    // How the browser reaches the authenticator, as it said itself when the passkey was made.
    let stored: Value = read(&passkey.credential)?;
    if let (Some(transports @ Value::Array(_)), Some(descriptor)) =
        (stored.pointer("/cred/transports"), descriptor.as_object_mut())
    {
        descriptor.insert("transports".to_owned(), transports.clone());
    }
    Ok(descriptor)
}

/// `webauthn-rs` looks at the credential only; whose it is we must say ourselves.
fn check_holder(credential: &PublicKeyCredential, stored: &StoredPasskey, expected: Option<UserId>) -> Result<()> {
    let named = credential.get_user_unique_id().map(|handle| handle == handle_of(stored.user).as_bytes());
    let is_theirs = match expected {
        Some(user) => user == stored.user && named != Some(false),
        None => named == Some(true),
    };
    if is_theirs { Ok(()) } else { Err(passkey_refused()) }
}

/// `webauthn-rs` checks this for new passkeys only: our pages are in no frame of another site.
fn check_client_data(bytes: &[u8]) -> Result<()> {
    match serde_json::from_slice::<ClientData>(bytes) {
        Ok(data) if !data.cross_origin => Ok(()),
        _ => Err(passkey_refused()),
    }
}

fn parsed<T: DeserializeOwned>(credential: &Value) -> Result<T> {
    if credential.to_string().len() > ANSWER_BYTES_MAX {
        return Err(Error::too_large("credential", format!("must be at most {ANSWER_BYTES_MAX} bytes")));
    }
    T::deserialize(credential).map_err(|_| {
        Error::invalid("credential", "is not the answer of a passkey")
            .remedy("send what PublicKeyCredential.toJSON() gives")
    })
}

/// The part that the browser's call takes, with bytes in base64url.
fn public_key<T: Serialize>(options: &T) -> Result<Value> {
    let mut options = serde_json::to_value(options)
        .map_err(|error| Error::from_source("the options of a passkey cannot be written as JSON", error))?;
    options
        .get_mut("publicKey")
        .map(Value::take)
        .ok_or_else(|| Error::internal("the options of a passkey have no publicKey"))
}

fn write<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::from_source("a passkey cannot be written as JSON", error))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::from_source("a stored passkey is damaged", error))
}

fn failed(error: WebauthnError) -> Error {
    Error::internal(format!("a challenge for a passkey could not be made: {error}"))
}

fn refused(error: &WebauthnError) -> Error {
    // For whoever runs the installation: a wrong public_url is the commonest cause.
    tracing::info!(%error, "the answer of a passkey was refused");
    passkey_refused()
}

pub(crate) fn ceremony_expired() -> Error {
    Error::new(Code::Unauthenticated, "ceremony_expired", "this took too long, or was answered already")
        .remedy("start again")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_need_the_name_of_a_host() {
        for base in ["https://plasma.example.com", "http://localhost:8080/"] {
            webauthn(&Url::parse(base).unwrap()).unwrap();
        }
        for base in ["http://127.0.0.1:8080", "http://[::1]:8080"] {
            assert_eq!(webauthn(&Url::parse(base).unwrap()).unwrap_err().reason(), "passkeys_need_a_name");
        }
    }

    #[test]
    fn answers_from_a_frame_of_another_site_are_refused() {
        assert!(check_client_data(br#"{"type":"webauthn.get"}"#).is_ok());
        assert!(check_client_data(br#"{"type":"webauthn.get","crossOrigin":false}"#).is_ok());
        assert!(check_client_data(br#"{"type":"webauthn.get","crossOrigin":true}"#).is_err());
        assert!(check_client_data(b"nonsense").is_err());
    }

    #[test]
    fn what_is_no_credential_is_named() {
        let error = parsed::<PublicKeyCredential>(&json!({})).unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("credential")));
        let huge = json!({ "id": "a".repeat(ANSWER_BYTES_MAX) });
        assert_eq!(parsed::<PublicKeyCredential>(&huge).unwrap_err().code(), Code::TooLarge);
    }
}
