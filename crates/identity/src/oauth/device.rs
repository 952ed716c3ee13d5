//! The device flow (RFC 8628): a program without a browser shows a short code, and its person types it where they are signed in.

use std::net::IpAddr;

use plasma_kernel::{Code, Ctx, Error, GrantId, Methods, Random, Result};

use super::{
    ClientCredentials, DeviceAuthorization, DeviceRequest, Form, TokenAnswer, acting_as,
    authorization::{person_of, remember, scopes_asked},
    clients::Client,
    invalid_grant,
    issue::{Authorization, Signer, first_tokens},
    unauthorized_client,
};
use crate::{
    Identity, events,
    store::{
        self,
        oauth_devices::{Decision, Device, DeviceState},
    },
    tokens::{self, Fingerprint},
};

/// Without vowels, so that no words come about, and without `L`, which looks like other letters: 34 bits in eight of them.
const ALPHABET: &[u8; 19] = b"BCDFGHJKMNPQRSTVWXZ";
const USER_CODE_CHARS: usize = 8;
/// Codes are good for ten minutes.
const LIFETIME_SECONDS: i64 = 600;
/// A device waits so long between two questions, and so much longer each time that it does not.
const INTERVAL_SECONDS: i64 = 5;
const SLOWER_BY_SECONDS: i64 = 5;
const INTERVAL_SECONDS_MAX: i64 = 60;
/// Clocks and networks are not exact.
const SLACK_MICROS: i64 = 500_000;
/// Requests of all devices that are remembered at most.
const DEVICES_MAX: i64 = 20_000;
/// Two devices rarely draw the same code: 20,000 of 17 thousand million are in use at most.
const DRAWS_MAX: usize = 3;

impl Identity {
    /// A device begins to ask. `ctx` is a system context.
    ///
    /// # Errors
    /// `unauthenticated` (`invalid_client`), `invalid` (`invalid_scope`, `unauthorized_client`), `rate_limited`, `unavailable`
    /// (`too_many_devices`).
    pub async fn begin_device_authorization(
        &self,
        ctx: &Ctx,
        credentials: &ClientCredentials,
        form: &Form,
        address: Option<IpAddr>,
    ) -> Result<DeviceAuthorization> {
        self.inner.oauth.limits.request(ctx.clock(), address)?;
        self.inner.oauth.limits.device(ctx.clock(), address)?;
        let client = self.proven_client(ctx, credentials).await?;
        if !client.application.device {
            return Err(unauthorized_client("the application is not registered for devices"));
        }
        let scopes = scopes_asked(&client, form.get("scope"))?;
        let ctx = self.across_tenants(ctx);
        let device_code = tokens::new_device_code(ctx.random());
        for _ in 0..DRAWS_MAX {
            let user_code = new_user_code(ctx.random());
            let device = Device {
                tenant: client.tenant,
                user_code: user_code.clone(),
                application: client.id(),
                scopes,
                state: DeviceState::Pending,
                user: None,
                grant: None,
                authenticated_at: None,
                methods: Methods::default(),
                interval_seconds: INTERVAL_SECONDS,
                polled_at: None,
                created_at: ctx.now(),
                expires_at: ctx.now() + LIFETIME_SECONDS * 1_000_000,
            };
            if self.insert_device(&ctx, &Fingerprint::of(device_code.expose()), &device).await? {
                let user_code = shown(&user_code);
                let (expires_in, interval) = (LIFETIME_SECONDS, INTERVAL_SECONDS);
                return Ok(DeviceAuthorization { device_code, user_code, expires_in, interval });
            }
        }
        Err(Error::internal("no free code for a device was found"))
    }

    /// False when another device has the same code.
    async fn insert_device(&self, ctx: &Ctx, hash: &Fingerprint, device: &Device) -> Result<bool> {
        let mut tx = self.inner.store.begin(ctx).await?;
        store::oauth_devices::purge(&mut tx, ctx.now()).await?;
        if store::oauth_devices::count(&mut tx).await? >= DEVICES_MAX {
            return Err(Error::unavailable("too_many_devices", "too many devices ask for access at this moment")
                .remedy("try again in a few minutes")
                .retry_after_ms(60_000));
        }
        match store::oauth_devices::insert(&mut tx, hash, device).await {
            Ok(()) => tx.commit().await.map(|_| true),
            Err(error) if error.code() == Code::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What the device with this code asks the person for. Wrong codes are counted.
    ///
    /// # Errors
    /// `not_found` (`device_code_not_found`), `rate_limited` (`too_many_codes`), `forbidden` for keys and applications.
    pub async fn device_request(&self, ctx: &Ctx, user_code: &str, address: Option<IpAddr>) -> Result<DeviceRequest> {
        let (device, client) = self.entered_device(ctx, user_code, address).await?;
        Ok(DeviceRequest { application: client.application, scopes: device.scopes, created_at: device.created_at })
    }

    /// The person allows what the device with this code asks for, or refuses it.
    ///
    /// # Errors
    /// As [`Identity::device_request`].
    pub async fn decide_device(&self, ctx: &Ctx, user_code: &str, allow: bool, address: Option<IpAddr>) -> Result<()> {
        let user = person_of(ctx)?;
        let (device, client) = self.entered_device(ctx, user_code, address).await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let grant: Option<GrantId> =
            if allow { Some(remember(&mut tx, ctx, user, &client, device.scopes).await?) } else { None };
        tx.emit(match grant {
            Some(grant) => events::application_allowed(&client.application, grant, device.scopes, "device"),
            None => events::application_denied(&client.application, "device"),
        })
        .await?;
        tx.commit().await?;
        let authentication = ctx.authentication();
        let decision = Decision {
            tenant: ctx.tenant()?,
            user,
            grant,
            authenticated_at: authentication.map(|authentication| authentication.at),
            methods: authentication.map(|authentication| authentication.methods).unwrap_or_default(),
        };
        // Beyond the tenant: the request of the built-in application becomes the tenant's only now.
        let mut tx = self.inner.store.begin(&self.across_tenants(ctx)).await?;
        if !store::oauth_devices::decide(&mut tx, &device.user_code, &decision).await? {
            return Err(code_not_found());
        }
        tx.commit().await?;
        Ok(())
    }

    /// The request that waits under the code that a person typed.
    async fn entered_device(&self, ctx: &Ctx, user_code: &str, address: Option<IpAddr>) -> Result<(Device, Client)> {
        let (user, tenant) = (person_of(ctx)?, ctx.tenant()?);
        let limits = &self.inner.oauth.limits;
        limits.entry(ctx.clock(), user, address)?;
        let user_code = plain(user_code).ok_or_else(code_not_found)?;
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let device = store::oauth_devices::by_user_code(&mut tx, &user_code).await?.ok_or_else(code_not_found)?;
        drop(tx);
        let waits = device.state == DeviceState::Pending && ctx.now() < device.expires_at;
        let is_ours = device.tenant.is_none_or(|of_device| of_device == tenant);
        let client = self.client(ctx, &device.application.to_string()).await?;
        match client.filter(|client| waits && is_ours && client.serves(tenant)) {
            Some(client) => {
                limits.entered(user, address);
                Ok((device, client))
            }
            None => Err(code_not_found()),
        }
    }

    /// The device asks whether its person has decided.
    ///
    /// # Errors
    /// `invalid` (`authorization_pending`, `slow_down`, `access_denied`, `expired_token`, `invalid_grant`).
    pub(super) async fn device_tokens(
        &self,
        ctx: &Ctx,
        issuer: &str,
        client: &Client,
        form: &Form,
    ) -> Result<TokenAnswer> {
        let hash = Fingerprint::of(form.require("device_code")?);
        let mut tx = self.inner.store.begin(&self.across_tenants(ctx)).await?;
        let device = store::oauth_devices::lock(&mut tx, &hash).await?.ok_or_else(invalid_grant)?;
        if device.application != client.id() {
            return Err(invalid_grant());
        }
        let now = ctx.now();
        let refusal = match device.state {
            _ if now >= device.expires_at => {
                store::oauth_devices::delete(&mut tx, &hash).await?;
                Some(oauth("expired_token", "the code has expired: begin again"))
            }
            DeviceState::Denied => {
                store::oauth_devices::delete(&mut tx, &hash).await?;
                Some(oauth("access_denied", "the person refused"))
            }
            DeviceState::Pending if is_too_early(&device, now) => {
                let interval = (device.interval_seconds + SLOWER_BY_SECONDS).min(INTERVAL_SECONDS_MAX);
                store::oauth_devices::note_poll(&mut tx, &hash, now, interval).await?;
                Some(oauth("slow_down", "the device asks too often: wait 5 seconds longer each time from now on"))
            }
            DeviceState::Pending => {
                store::oauth_devices::note_poll(&mut tx, &hash, now, device.interval_seconds).await?;
                Some(oauth("authorization_pending", "the person has not decided yet"))
            }
            DeviceState::Allowed => None,
        };
        tx.commit().await?;
        match refusal {
            Some(refusal) => Err(refusal),
            None => self.allowed_tokens(ctx, issuer, client, &hash, &device).await,
        }
    }

    async fn allowed_tokens(
        &self,
        ctx: &Ctx,
        issuer: &str,
        client: &Client,
        hash: &Fingerprint,
        device: &Device,
    ) -> Result<TokenAnswer> {
        let tenant = device.tenant.filter(|tenant| client.serves(*tenant)).ok_or_else(invalid_grant)?;
        let key = self.signing_key(ctx).await?;
        let ctx = acting_as(ctx, tenant, client.id(), device.user);
        let mut tx = self.inner.store.begin(&ctx).await?;
        let device = store::oauth_devices::take_allowed(&mut tx, hash).await?.ok_or_else(invalid_grant)?;
        let (Some(user), Some(grant)) = (device.user, device.grant) else { return Err(invalid_grant()) };
        let authorization = Authorization {
            grant,
            application: device.application,
            user,
            scopes: device.scopes,
            authenticated_at: device.authenticated_at,
            methods: device.methods,
            nonce: None,
        };
        // The grant may have been taken back since.
        if store::oauth_grants::remembered(&mut tx, user, device.application)
            .await?
            .is_none_or(|known| known.id != grant)
        {
            return Err(invalid_grant());
        }
        let (_, answer) = first_tokens(&mut tx, &ctx, &Signer { issuer, key: &key }, &authorization).await?;
        tx.commit().await?;
        Ok(answer)
    }
}

fn is_too_early(device: &Device, now: i64) -> bool {
    let interval = device.interval_seconds * 1_000_000 - SLACK_MICROS;
    device.polled_at.is_some_and(|polled_at| now - polled_at < interval)
}

fn oauth(reason: &'static str, what: &str) -> Error {
    Error::new(Code::Invalid, reason, what)
}

fn code_not_found() -> Error {
    Error::not_found("device_code_not_found", "no device waits under this code")
        .field("user_code")
        .remedy("compare it with the code that your device shows, or begin again there: codes are good for ten minutes")
}

/// Each letter is as likely as every other: bytes that would favour some are drawn again.
fn new_user_code(random: &Random) -> String {
    let fair = u8::MAX - u8::MAX % 19;
    let mut code = String::with_capacity(USER_CODE_CHARS);
    while code.len() < USER_CODE_CHARS {
        let bytes: [u8; 16] = random.bytes();
        let letters =
            bytes.iter().filter(|byte| **byte < fair).filter_map(|byte| ALPHABET.get(usize::from(*byte % 19)));
        let missing = USER_CODE_CHARS - code.len();
        code.extend(letters.take(missing).copied().map(char::from));
    }
    code
}

/// `BCDFGHJK` as `BCDF-GHJK`.
fn shown(user_code: &str) -> String {
    let (first, second) = user_code.split_at_checked(USER_CODE_CHARS / 2).unwrap_or((user_code, ""));
    format!("{first}-{second}")
}

/// What a person typed, in capitals and without what they put between; `None` when it cannot be a code.
pub(super) fn plain(typed: &str) -> Option<String> {
    if typed.len() > 100 {
        return None;
    }
    let plain: String = typed
        .chars()
        .filter(|letter| !matches!(letter, ' ' | '-' | '\u{2010}'..='\u{2015}'))
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let is_code = plain.len() == USER_CODE_CHARS && plain.bytes().all(|letter| ALPHABET.contains(&letter));
    is_code.then_some(plain)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_of_the_alphabet_and_evenly_so() {
        let random = Random::seeded(7);
        let mut counts = [0_u32; 256];
        for _ in 0..4_750 {
            let code = new_user_code(&random);
            assert_eq!(plain(&code).unwrap(), code);
            code.bytes().for_each(|letter| counts[usize::from(letter)] += 1);
        }
        for letter in ALPHABET {
            assert!((1_800..2_200).contains(&counts[usize::from(*letter)]), "{}", char::from(*letter));
        }
        assert!(!ALPHABET.iter().any(|letter| b"AEIOULY01".contains(letter)));
    }

    #[test]
    fn people_may_type_codes_in_their_own_way() {
        assert_eq!(shown("BCDFGHJK"), "BCDF-GHJK");
        for typed in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "b-c-d-f-g-h-j-k", "BCDF\u{2013}GHJK"] {
            assert_eq!(plain(typed).as_deref(), Some("BCDFGHJK"), "{typed}");
        }
        for typed in ["", "BCDF-GHJ", "BCDF-GHJKM", "ACDF-GHJK", "BCDF_GHJK", "ßCDFGHJK", &"B".repeat(1_000)] {
            assert_eq!(plain(typed), None, "{typed:.20}");
        }
    }
}
