//! What a tenant is, besides its people.

use std::{fmt, str::FromStr};

use plasma_kernel::{Actor, Error, ExportId, InvitationId, QuotaResource, Role, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{Secret, Tenant};

/// Where a tenant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// Works.
    Active,
    /// Closed by an operator: nobody works in it, and its background work waits.
    Suspended,
    /// To be erased when the grace period ends; until then its owner may take it back.
    Deleting,
    /// Being erased. There is no way back.
    Erasing,
}

impl TenantState {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
            Self::Erasing => "erasing",
        }
    }
}

impl FromStr for TenantState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Active, Self::Suspended, Self::Deleting, Self::Erasing]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::invalid("state", format!("`{text}` is no state of a workspace")))
    }
}

impl fmt::Display for TenantState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A tenant that a person belongs to.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The tenant.
    pub tenant: Tenant,
    /// The person's role there.
    pub role: Role,
    /// When they entered it last; `None`: never since this is noted.
    pub last_used_at: Option<Timestamp>,
}

/// How a tenant looks and what it is told by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branding {
    /// What people call the tenant.
    pub name: String,
    /// The colour of what can be acted on, on light pages: `#rrggbb`. `None`: the program's own.
    pub accent_color: Option<String>,
    /// The same on dark pages; made from the other when it was not given.
    pub accent_color_dark: Option<String>,
    /// Whom people turn to: an address or a page.
    pub support_contact: Option<String>,
    /// Below every mail; may be empty.
    pub mail_footer: String,
    /// Its picture.
    pub logo: Option<Logo>,
    /// The host name that it asked for.
    pub domain: Option<CustomDomain>,
    /// Whether `accent_color_dark` was given, and not made.
    pub(crate) dark_is_given: bool,
}

/// A tenant's picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    /// What it is by its own first bytes: `image/png`, `image/jpeg` or `image/webp`.
    pub media_type: String,
    /// The SHA-256 of its bytes as base16: another one is another picture.
    pub hash: String,
    pub(crate) blob: String,
}

/// A host name of a tenant's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomDomain {
    /// Such as `knowledge.example.com`.
    pub name: String,
    /// When the tenant asked for it.
    pub requested_at: Timestamp,
    /// When an operator confirmed that it is the tenant's; before, nothing is shown under it.
    pub confirmed_at: Option<Timestamp>,
}

/// How a tenant is to look: all of it, so that what is left out is none.
#[derive(Clone, Debug, Default)]
pub struct NewBranding {
    /// `#rrggbb`, dark enough to be read on light pages.
    pub accent_color: Option<String>,
    /// `#rrggbb`, light enough to be read on dark pages; `None`: made from the other.
    pub accent_color_dark: Option<String>,
    /// An e-mail or an https address.
    pub support_contact: Option<String>,
    /// At most 1,000 characters.
    pub mail_footer: String,
}

/// How much of something a tenant has, and may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// Of what.
    pub resource: QuotaResource,
    /// How much there is.
    pub used: u64,
    /// How much the plan allows; `None`: the plan has no limit.
    pub limit: Option<u64>,
}

/// A tenant's plan and what of it is used.
#[derive(Clone, Debug)]
pub struct Quotas {
    /// What the plan is called.
    pub plan: String,
    /// Each resource.
    pub uses: Vec<QuotaUse>,
}

/// What an operator gives a tenant.
#[derive(Clone, Debug)]
pub struct NewQuotas {
    /// 1 to 60 characters.
    pub plan: String,
    /// The limits; what is left out has none.
    pub limits: Vec<(QuotaResource, u64)>,
}

/// Where an invitation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvitationState {
    /// Waits for an answer.
    Open,
    /// The person is in the tenant.
    Accepted,
    /// Taken back.
    Revoked,
    /// Too old: send it again.
    Expired,
}

/// Somebody was asked to join.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Where the mail went.
    pub email: String,
    /// The role that comes with it.
    pub role: Role,
    /// Who asked.
    pub invited_by: UserId,
    /// Where it is now.
    pub state: InvitationState,
    /// How often it was sent.
    pub sent_count: u32,
    /// When it was sent last.
    pub sent_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on its link does nothing.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
}

/// Whom to invite.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// Where the mail goes.
    pub email: String,
    /// Not higher than the inviter's own.
    pub role: Role,
}

/// What the holder of an invitation's link learns before they answer.
#[derive(Clone, Debug)]
pub struct InvitationPreview {
    /// To whom the mail went.
    pub email: String,
    /// Into which tenant.
    pub tenant_name: String,
    /// With which role.
    pub role: Role,
    /// How the tenant looks.
    pub accent_color: Option<String>,
    /// The same on dark pages.
    pub accent_color_dark: Option<String>,
    /// From when on the link does nothing.
    pub expires_at: Timestamp,
    /// Whether the person has an account: then they log in and accept; else they choose a name and a password.
    pub has_account: bool,
}

/// The answer of a person who is new to the installation.
#[derive(Clone, Debug)]
pub struct AcceptInvitation {
    /// From the link.
    pub token: Secret,
    /// What to call them.
    pub name: String,
    /// Their password from now on.
    pub password: Secret,
}

/// Where an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportState {
    /// Waits for a worker.
    Queued,
    /// Is being written.
    Running,
    /// Can be fetched.
    Ready,
    /// Could not be written.
    Failed,
    /// Was there, and is removed.
    Expired,
}

impl ExportState {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for ExportState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Queued, Self::Running, Self::Ready, Self::Failed, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::invalid("state", format!("`{text}` is no state of an export")))
    }
}

/// A copy of all that a tenant has, to take away.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Where it is.
    pub state: ExportState,
    /// Who asked for it.
    pub requested_by: Actor,
    /// Rows and files written.
    pub done: u64,
    /// Rows and files in all; 0 before they are counted.
    pub total: u64,
    /// The length of the archive.
    pub size_bytes: Option<u64>,
    /// Why it failed: a stable reason, and words.
    pub error: Option<(String, String)>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// From when on it is removed.
    pub expires_at: Option<Timestamp>,
    pub(crate) blob: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_their_text_form() {
        for state in [TenantState::Active, TenantState::Suspended, TenantState::Deleting, TenantState::Erasing] {
            assert_eq!(state.as_str().parse::<TenantState>().unwrap(), state);
        }
        for state in
            [ExportState::Queued, ExportState::Running, ExportState::Ready, ExportState::Failed, ExportState::Expired]
        {
            assert_eq!(state.as_str().parse::<ExportState>().unwrap(), state);
        }
        assert!("gone".parse::<TenantState>().is_err());
    }
}
