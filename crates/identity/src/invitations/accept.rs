//! Answering an invitation: as a person who is new here, or as one who has an account.

use plasma_kernel::{Code, Ctx, Error, Method, Methods, Origin, Permission, Result, TenantId, UserId};
use plasma_store::Tx;

use super::TOKEN_PREFIX;
use crate::{
    AcceptInvitation, Identity, Invitation, InvitationPreview, InvitationState, LoginStep, Membership, Secret, User,
    common_passwords, events,
    memberships::person,
    store,
    tokens::{self, Fingerprint},
    users::{admit_user, insert_user},
    validation,
};

impl Identity {
    /// What the holder of a link learns before they answer. `ctx` is a system context: nobody is known yet.
    ///
    /// # Errors
    /// `not_found` (`invitation_invalid`) for a link that is unknown, answered, taken back or too old: all alike.
    pub async fn preview_invitation(&self, ctx: &Ctx, token: &Secret) -> Result<InvitationPreview> {
        let (tenant, invitation, _) = self.open_invitation(ctx, token).await?;
        let has_account = store::users::exists(&mut self.inner.store.read(ctx).await?, &invitation.email).await?;
        let mut tx = self.inner.store.read(&ctx.for_tenant(tenant, "show an invitation")).await?;
        let branding = self.branding(&mut tx).await?;
        Ok(InvitationPreview {
            email: invitation.email,
            tenant_name: branding.name,
            role: invitation.role,
            accent_color: branding.accent_color,
            accent_color_dark: branding.accent_color_dark,
            expires_at: invitation.expires_at,
            has_account,
        })
    }

    /// Makes an account for a person who is new to the installation, in the tenant that invited them, and logs them in. `ctx` is
    /// a system context.
    ///
    /// # Errors
    /// As [`Identity::preview_invitation`]; `invalid` for a wrong name or password; `conflict` when there is an account
    /// with this e-mail (`log_in_first`) or no room (`quota_exceeded`, `too_many_users`); what the tenant's login policy refuses.
    pub async fn accept_invitation(&self, ctx: &Ctx, accept: AcceptInvitation, origin: &Origin) -> Result<LoginStep> {
        let (tenant, invitation, fingerprint) = self.open_invitation(ctx, &accept.token).await?;
        let name = validation::name("name", &accept.name)?;
        common_passwords::check_new("password", &accept.password, &invitation.email)?;
        self.forget_deleted(ctx, &invitation.email).await?;
        if store::users::exists(&mut self.inner.store.read(ctx).await?, &invitation.email).await? {
            return Err(log_in_first());
        }
        let password_hash = self.inner.passwords.hash(ctx.random(), &accept.password).await?;
        let user = User {
            id: UserId::new(ctx),
            email: invitation.email.clone(),
            name,
            role: invitation.role,
            custom_role: None,
            disabled: false,
            operator: false,
            created_at: ctx.now(),
            last_login_at: None,
        };
        // The mail reached them, and the password is theirs from now on.
        let methods = Methods::default().with(Method::Password).with(Method::MagicLink);
        let mut tx = self.inner.store.begin(&Self::login_ctx(ctx, tenant, user.id, origin)).await?;
        store::tenants::lock(&mut tx).await?;
        still_holds(&mut tx, &invitation).await?;
        admit_user(&mut tx).await?;
        insert_user(&mut tx, &user, &password_hash).await.map_err(|error| match error.reason() {
            // Somebody was faster.
            "email_taken" => log_in_first(),
            _ => error,
        })?;
        take_up(&mut tx, &invitation, &fingerprint, user.id).await?;
        let step = Box::pin(self.begin_session(&mut tx, user.id, tenant, methods, origin)).await?;
        tx.commit().await?;
        Ok(step)
    }

    /// Joins the caller, who has an account, to the tenant that invited them. They stay where they are.
    ///
    /// # Errors
    /// As [`Identity::preview_invitation`]; `forbidden` for API keys and applications, and (`invitation_for_another`) when the
    /// mail went to another address than the caller's; `conflict` when they are in the tenant already (`already_member`) or
    /// there is no room (`quota_exceeded`, `too_many_users`).
    pub async fn join_by_invitation(&self, ctx: &Ctx, token: &Secret) -> Result<Membership> {
        let user = person(ctx)?;
        let system = self.system("accept an invitation").with_request(ctx.request());
        let (tenant, invitation, fingerprint) = self.open_invitation(&system, token).await?;
        let email = store::users::get(&mut self.inner.store.read(ctx).await?, user).await?.email;
        if email != invitation.email {
            return Err(Error::new(
                Code::Forbidden,
                "invitation_for_another",
                format!("this invitation went to {}, and you are logged in as {email}", invitation.email),
            )
            .remedy("log out and in again with that address, or ask for an invitation to yours"));
        }
        let origin = ctx.origin().cloned().unwrap_or_default();
        let mut tx = self.inner.store.begin(&Self::login_ctx(ctx, tenant, user, &origin)).await?;
        store::tenants::lock(&mut tx).await?;
        still_holds(&mut tx, &invitation).await?;
        admit_user(&mut tx).await?;
        store::memberships::insert(&mut tx, user, invitation.role, None).await.map_err(|error| match error.code() {
            Code::Conflict => {
                Error::conflict("already_member", "you are in this workspace already").remedy("switch to it")
            }
            _ => error,
        })?;
        tx.emit(events::user_created(user, invitation.role)).await?;
        take_up(&mut tx, &invitation, &fingerprint, user).await?;
        let tenant = store::tenants::get(&mut tx, tenant).await?;
        tx.commit().await?;
        Ok(Membership { tenant, role: invitation.role, last_used_at: None })
    }

    async fn open_invitation(&self, ctx: &Ctx, token: &Secret) -> Result<(TenantId, Invitation, Fingerprint)> {
        if !tokens::has_form(token.expose(), TOKEN_PREFIX) {
            return Err(invalid());
        }
        let fingerprint = Fingerprint::of(token.expose());
        let found = store::invitations::by_token(&mut self.inner.store.read(ctx).await?, &fingerprint).await?;
        match found {
            Some((tenant, invitation)) if invitation.state == InvitationState::Open => {
                Ok((tenant, invitation, fingerprint))
            }
            _ => Err(invalid()),
        }
    }
}

/// Nobody hands out more than they hold, also when time has passed: whoever invited must still be somebody who may.
async fn still_holds(tx: &mut Tx, invitation: &Invitation) -> Result<()> {
    let inviter = match store::users::get(tx, invitation.invited_by).await {
        Ok(inviter) => inviter,
        Err(error) if error.code() == Code::NotFound => return Err(invalid()),
        Err(error) => return Err(error),
    };
    let needed = invitation.role.permissions().with(Permission::UsersWrite);
    if inviter.disabled || !inviter.permissions().contains_all(needed) {
        return Err(invalid());
    }
    Ok(())
}

async fn take_up(tx: &mut Tx, invitation: &Invitation, token: &Fingerprint, user: UserId) -> Result<()> {
    if !store::invitations::accept(tx, invitation.id, token, user).await? {
        return Err(invalid());
    }
    tx.emit(events::invitation_accepted(invitation.id, user, invitation.role)).await.map(drop)
}

fn invalid() -> Error {
    Error::not_found("invitation_invalid", "this invitation is not valid (any more)")
        .remedy("ask whoever invited you to send it again")
}

fn log_in_first() -> Error {
    Error::conflict("log_in_first", "there is an account with this e-mail already")
        .remedy("log in with it, and open the link again")
}
