//! Asking people by mail to join a tenant.
//!
//! Whoever holds the link has read the mail, so the link may tell what the tenant is called and whether the person has an account.
//! Whoever sends the invitation learns neither: they get the same answer for every address that is not in their tenant.

mod accept;
mod letter;

use plasma_kernel::{
    Actor, Ctx, Error, InvitationId, Page, PageRequest, Permission, QuotaResource, Result, Role, UserId,
};
use plasma_store::Tx;

use crate::{
    Identity, Invitation, InvitationState, NewInvitation, Secret, events, store,
    tokens::{self, Fingerprint},
    users::require_all,
    validation,
};

const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// How long a link can be used.
const VALID_MICROS: i64 = 7 * DAY_MICROS;
/// An invitation is sent again after this time at the earliest, and so often at most: nobody is flooded through us.
const AGAIN_MICROS: i64 = 60 * 1_000_000;
const SENT_MAX: u32 = 10;
/// Invitations of one tenant that wait for an answer.
const OPEN_MAX: i64 = 1_000;
/// Mails of one tenant in a day.
const SENT_A_DAY_MAX: i64 = 500;
/// What every token of an invitation begins with.
const TOKEN_PREFIX: &str = "pli_";

impl Identity {
    /// Asks somebody by mail to join the caller's tenant. `base` is the address that the link begins with, such as
    /// `https://plasma.example.com`.
    ///
    /// # Errors
    /// `forbidden` without `users:write` or for a role above the caller's; `invalid` for what is no e-mail; `conflict` when the
    /// person is in the tenant (`already_member`) or was asked already (`invitation_open`), when the plan has no room
    /// (`quota_exceeded`), when too many were asked (`too_many_invitations`), or when no mail can be sent (`mail_not_configured`).
    pub async fn invite(&self, ctx: &Ctx, base: &str, new: NewInvitation) -> Result<Invitation> {
        ctx.require(Permission::UsersWrite)?;
        require_all(ctx, new.role.permissions(), "give a role")?;
        if new.role == Role::Owner {
            ctx.require_recent_authentication()?;
        }
        if !self.mail_works() {
            return Err(Error::conflict("mail_not_configured", "this installation sends no mail")
                .remedy("add the person with a password instead, or let whoever runs the installation set smtp_url and mail_from"));
        }
        let email = validation::email("email", &new.email)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        if store::users::is_member(&mut tx, &email).await? {
            return Err(Error::conflict("already_member", "this person is in the workspace already").field("email"));
        }
        let before = store::invitations::open_of(&mut tx, &email).await?;
        if before.as_ref().is_some_and(|before| before.state == InvitationState::Open) {
            return Err(Error::conflict("invitation_open", "this person was invited already and has not answered yet")
                .field("email")
                .remedy("send the invitation again, or revoke it"));
        }
        check_room(&mut tx).await?;
        let invited_by = person_behind(&mut tx, ctx).await?;
        let token = new_token(ctx);
        let fresh = Invitation {
            id: before.as_ref().map_or_else(|| InvitationId::new(ctx), |before| before.id),
            email,
            role: new.role,
            invited_by,
            state: InvitationState::Open,
            sent_count: 1,
            sent_at: ctx.now(),
            created_at: before.as_ref().map_or(ctx.now(), |before| before.created_at),
            expires_at: ctx.now().saturating_add(VALID_MICROS),
            accepted_at: None,
        };
        let fingerprint = Fingerprint::of(token.expose());
        match before {
            // One that nobody answered in time makes room for this one.
            Some(_) => store::invitations::renew(&mut tx, &fresh, &fingerprint).await?,
            None => store::invitations::insert(&mut tx, &fresh, &fingerprint).await?,
        }
        tx.emit(events::invitation_created(fresh.id, &fresh.email, fresh.role)).await?;
        self.send_invitation(&mut tx, base, &fresh, &token).await?;
        tx.commit().await?;
        Ok(fresh)
    }

    /// Sends an invitation again, with a new link; the one before does nothing any more.
    ///
    /// # Errors
    /// As [`Identity::invite`]; `not_found`; `conflict` when it was answered or revoked (`invitation_closed`), or was sent a
    /// moment ago or too often (`invitation_sent_lately`).
    pub async fn resend_invitation(&self, ctx: &Ctx, base: &str, id: InvitationId) -> Result<Invitation> {
        ctx.require(Permission::UsersWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let mut invitation = store::invitations::lock(&mut tx, id).await?;
        require_all(ctx, invitation.role.permissions(), "give a role")?;
        if matches!(invitation.state, InvitationState::Accepted | InvitationState::Revoked) {
            return Err(closed());
        }
        let too_soon = ctx.now().saturating_sub(invitation.sent_at) < AGAIN_MICROS;
        if too_soon || invitation.sent_count >= SENT_MAX {
            return Err(Error::conflict(
                "invitation_sent_lately",
                format!("an invitation is sent once a minute at most, and {SENT_MAX} times in all"),
            )
            .remedy("wait a minute, or ask the person to look among their unwanted mail"));
        }
        check_room(&mut tx).await?;
        let token = new_token(ctx);
        invitation.invited_by = person_behind(&mut tx, ctx).await?;
        invitation.state = InvitationState::Open;
        invitation.sent_count += 1;
        invitation.sent_at = ctx.now();
        invitation.expires_at = ctx.now().saturating_add(VALID_MICROS);
        store::invitations::renew(&mut tx, &invitation, &Fingerprint::of(token.expose())).await?;
        tx.emit(events::invitation_sent_again(id, invitation.sent_count)).await?;
        self.send_invitation(&mut tx, base, &invitation, &token).await?;
        tx.commit().await?;
        Ok(invitation)
    }

    /// Takes an invitation back. One that was taken back already stays so.
    ///
    /// # Errors
    /// `forbidden` without `users:write` or for a role above the caller's; `not_found`; `conflict` (`invitation_closed`) when
    /// the person is in the tenant by now.
    pub async fn revoke_invitation(&self, ctx: &Ctx, id: InvitationId) -> Result<()> {
        ctx.require(Permission::UsersWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let invitation = store::invitations::lock(&mut tx, id).await?;
        require_all(ctx, invitation.role.permissions(), "take an invitation back")?;
        match invitation.state {
            InvitationState::Accepted => return Err(closed()),
            InvitationState::Revoked => return Ok(()),
            InvitationState::Open | InvitationState::Expired => {}
        }
        store::invitations::revoke(&mut tx, id).await?;
        tx.emit(events::invitation_revoked(id)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The tenant's invitations, newest first, with those that have ended.
    ///
    /// # Errors
    /// `forbidden` without `users:read`.
    pub async fn invitations(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Invitation>> {
        ctx.require(Permission::UsersRead)?;
        store::invitations::page(&mut self.inner.store.read(ctx).await?, page).await
    }
}

fn new_token(ctx: &Ctx) -> Secret {
    tokens::new_token(ctx.random(), TOKEN_PREFIX)
}

fn closed() -> Error {
    Error::conflict("invitation_closed", "this invitation was answered or taken back")
        .remedy("invite the person anew, if they are not in the workspace")
}

/// Refuses more invitations than fit: those that wait for an answer would all be users. Under the tenant's lock.
async fn check_room(tx: &mut Tx) -> Result<()> {
    let yesterday = tx.ctx().now().saturating_sub(DAY_MICROS);
    let (open, recent) = store::invitations::count(tx, yesterday).await?;
    if open >= OPEN_MAX || recent >= SENT_A_DAY_MAX {
        return Err(Error::conflict(
            "too_many_invitations",
            format!("a workspace has at most {OPEN_MAX} open invitations, and sends at most {SENT_A_DAY_MAX} a day"),
        )
        .remedy("revoke those that nobody will answer, or go on tomorrow"));
    }
    let Some(limit) = tx.quota(QuotaResource::Users).await? else { return Ok(()) };
    let users = store::users::count(tx).await?;
    if u64::try_from(users).unwrap_or(0) >= limit {
        return Err(Error::conflict("quota_exceeded", format!("the workspace's plan allows {limit} users"))
            .remedy("remove somebody, or ask whoever runs this installation for a larger plan"));
    }
    Ok(())
}

/// Who asks: a key's invitations are its person's.
async fn person_behind(tx: &mut Tx, ctx: &Ctx) -> Result<UserId> {
    match ctx.actor() {
        Actor::User { id } => Ok(*id),
        Actor::ApiKey { id } => Ok(store::api_keys::get(tx, *id).await?.created_by),
        Actor::Application { user: Some(id), .. } => Ok(*id),
        Actor::Application { user: None, .. } | Actor::System { .. } => Err(Error::forbidden(
            "an invitation comes from a person; an application that acts for itself cannot send one",
        )),
    }
}
