//! What logins, sessions and second factors are made of.

use plasma_kernel::{ConnectionId, Methods, Origin, PasskeyId, SessionId, Timestamp, UserId};
use serde::Serialize;

use crate::{Secret, Tenant, User};

/// Somebody tries to log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Who they say they are.
    pub email: String,
    /// How they prove it.
    pub password: Secret,
    /// Where they come from, to throttle by; without an address for calls that do not come over the network.
    pub origin: Origin,
}

/// Where a login stands after a proof.
#[derive(Clone, Debug)]
pub enum LoginStep {
    /// The session has begun.
    Done(Box<LoggedIn>),
    /// Another proof is needed.
    Continue(PendingLogin),
}

impl LoginStep {
    /// The session, if it has begun.
    pub fn into_logged_in(self) -> Option<LoggedIn> {
        match self {
            Self::Done(logged_in) => Some(*logged_in),
            Self::Continue(_) => None,
        }
    }
}

/// A login that succeeded.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The session's token; only its hash is kept.
    pub token: Secret,
    /// The session.
    pub session: SessionId,
    /// When the session ends at the latest.
    pub expires_at: Timestamp,
    /// By when the person must have set up a second factor, if they must and have none.
    pub enroll_by: Option<Timestamp>,
    /// Who logged in.
    pub user: User,
    /// Into which tenant.
    pub tenant: Tenant,
}

/// A login that needs another proof.
#[derive(Clone, Debug)]
pub struct PendingLogin {
    /// What to send with the proof; it opens nothing by itself.
    pub token: Secret,
    /// Until when.
    pub expires_at: Timestamp,
    /// What is needed: one of these.
    pub needs: Vec<Need>,
    /// With [`Need::Enroll`]: what may be set up.
    pub may_enroll: Vec<Factor>,
}

/// What a login still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LoginNeed)]
pub enum Need {
    /// A code of the person's authenticator application.
    Totp,
    /// One of the person's passkeys.
    Passkey,
    /// One of the person's recovery codes.
    RecoveryCode,
    /// The workspace requires a second factor, and the person has none yet.
    Enroll,
}

/// A second factor that a person can set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SecondFactor)]
pub enum Factor {
    /// An authenticator application.
    Totp,
    /// A passkey.
    Passkey,
}

/// The secret of an authenticator application that is being set up.
#[derive(Clone, Debug)]
pub struct TotpSetup {
    /// The secret, in base32, for those who cannot scan.
    pub secret: Secret,
    /// What the QR code says.
    pub address: Secret,
    /// The QR code, as SVG.
    pub qr_svg: Secret,
    /// Until when it can be confirmed with a code.
    pub expires_at: Timestamp,
}

/// A challenge for a passkey.
#[derive(Clone, Debug)]
pub struct Ceremony {
    /// What to send with the answer.
    pub token: Secret,
    /// For `navigator.credentials.create` or `.get`, with bytes in base64url.
    pub options: serde_json::Value,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
}

/// What a browser answered to a [`Ceremony`].
#[derive(Clone, Debug)]
pub struct PasskeyAnswer {
    /// The ceremony's token.
    pub ceremony: String,
    /// The credential, as `PublicKeyCredential.toJSON()` writes it.
    pub credential: serde_json::Value,
}

/// A passkey of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// Its id.
    pub id: PasskeyId,
    /// What the person calls it.
    pub name: String,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// A factor that was just set up.
#[derive(Clone, Debug)]
pub struct Enrolled<T> {
    /// What was made.
    pub made: T,
    /// With the first factor: codes for the day when it is lost. They cannot be shown again.
    pub recovery_codes: Option<Vec<Secret>>,
}

/// How a person can log in.
#[derive(Clone, Debug)]
pub struct SecurityOverview {
    /// Whether they have a password.
    pub has_password: bool,
    /// Since when they have an authenticator application.
    pub totp_since: Option<Timestamp>,
    /// Recovery codes that were not used yet.
    pub recovery_codes: u64,
    /// Their passkeys, the oldest first.
    pub passkeys: Vec<Passkey>,
    /// Whether the tenant requires a second factor.
    pub mfa_required: bool,
    /// By when they must have set one up, if they must and have none.
    pub enroll_by: Option<Timestamp>,
    /// What the tenant lets count as one.
    pub may_enroll: Vec<Factor>,
}

/// A login session as its person or an administrator sees it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Their name.
    pub user_name: String,
    /// Their login.
    pub user_email: String,
    /// From which address it was opened.
    pub address: Option<String>,
    /// What the client said it is.
    pub user_agent: Option<String>,
    /// How the person proved who they are.
    pub methods: Methods,
    /// When they proved it last.
    pub authenticated_at: Timestamp,
    /// When it was opened.
    pub created_at: Timestamp,
    /// About when it was last used: written at most once a minute.
    pub last_used_at: Timestamp,
    /// When it ends if nobody uses it any more.
    pub expires_at: Timestamp,
}

/// How a person proves again that it is still them.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Their password.
    Password(Secret),
    /// A code of their authenticator application.
    Totp(String),
    /// One of their passkeys.
    Passkey(PasskeyAnswer),
}

/// A session after such a proof.
#[derive(Clone, Debug)]
pub struct SteppedUp {
    /// Its new token.
    pub token: Secret,
    /// The session; it is the same.
    pub session: SessionId,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// What the login page offers.
#[derive(Clone, Debug)]
pub struct LoginMethods {
    /// With what a login can begin.
    pub methods: Methods,
    /// Identity providers.
    pub connections: Vec<LoginConnection>,
    /// Whether only they are offered.
    pub enforced: bool,
    /// Whether a forgotten password can be replaced by mail.
    pub password_reset: bool,
}

/// An identity provider that the login page offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginConnection {
    /// Its id.
    pub id: ConnectionId,
    /// What people call it.
    pub name: String,
}
