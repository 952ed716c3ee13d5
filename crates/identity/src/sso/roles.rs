//! From what a provider says to roles and teams: at the first login and at each one after it.

use plasma_kernel::{Code, ConnectionId, Ctx, Error, Result, Role, RoleId, TeamId, UserId};
use plasma_store::Tx;
use serde_json::json;

use super::claims::Given;
use crate::{
    Connection, MappingRule, User, events as identity_events, store, teams, types::nearest_built_in, users::require_all,
};

/// Who makes a rule, and whether they are an owner.
pub(super) async fn maker(tx: &mut Tx, ctx: &Ctx) -> Result<(Option<UserId>, bool)> {
    let Some(person) = ctx.person() else { return Ok((None, false)) };
    let person = store::users::get(tx, person).await?;
    Ok((Some(person.id), person.role == Role::Owner && !person.disabled))
}

/// Whether the caller may make a rule: nobody gives more than they hold, and only an owner makes owners.
///
/// # Errors
/// `forbidden`, or `not_found` for a role or team that is not there.
pub(super) async fn check_given(tx: &mut Tx, ctx: &Ctx, rule: &MappingRule, by_owner: bool) -> Result<()> {
    if let Some(role) = rule.role {
        require_all(ctx, role.permissions(), "make a rule")?;
        if role == Role::Owner && !by_owner {
            return Err(Error::forbidden("only an owner makes a rule that makes owners")
                .field("role")
                .remedy("ask an owner of your workspace to make it"));
        }
    }
    if let Some(id) = rule.custom_role {
        let permissions = store::sso::custom_role(tx, id).await?.ok_or_else(|| {
            Error::not_found("role_not_found", format!("there is no role {id} in this workspace")).field("custom_role")
        })?;
        require_all(ctx, permissions, "make a rule")?;
    }
    if let Some(team) = rule.team {
        store::teams::get(tx, team).await.map_err(|error| error.field("team"))?;
    }
    Ok(())
}

/// The role that somebody has after a login: what the rules give, or else the connection's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entitled {
    pub(super) role: Role,
    pub(super) custom_role: Option<RoleId>,
    /// Whether a rule said so, and not only the default.
    pub(super) by_rule: bool,
}

/// `None`: nobody like this is let in.
pub(super) async fn entitled(tx: &mut Tx, connection: &Connection, given: &Given) -> Result<Option<Entitled>> {
    if let Some(id) = given.custom_role {
        // A role that was deleted since gives nothing.
        if let Some(permissions) = store::sso::custom_role(tx, id).await? {
            let role = nearest_built_in(permissions);
            return Ok(Some(Entitled { role, custom_role: Some(id), by_rule: true }));
        }
    }
    if let Some(role) = given.role {
        return Ok(Some(Entitled { role, custom_role: None, by_rule: true }));
    }
    Ok(connection.default_role.map(|role| Entitled { role, custom_role: None, by_rule: false }))
}

/// Whether the connection says who has which role. One whose rules only name teams leaves roles to people.
pub(super) fn decides_roles(connection: &Connection) -> bool {
    connection.rules.iter().any(|rule| rule.role.is_some() || rule.custom_role.is_some())
}

/// Gives a member the role that the connection says, where it says one. Three keep what they have: the last owner, whoever is
/// kept for emergencies, and an owner whom no rule but only the default would make something else.
pub(super) async fn give(tx: &mut Tx, connection: &Connection, user: &User, entitled: Entitled) -> Result<()> {
    if !decides_roles(connection) {
        return Ok(());
    }
    let custom_role = store::sso::custom_role_of(tx, user.id).await?;
    if user.role == entitled.role && custom_role == entitled.custom_role {
        return Ok(());
    }
    if user.role == Role::Owner && custom_role.is_none() && keeps_ownership(tx, user, entitled).await? {
        return Ok(());
    }
    store::sso::give_role(tx, user.id, entitled.role, entitled.custom_role).await?;
    let event = identity_events::user_updated(user.id, &["role"], entitled.role, user.disabled);
    let state = |role: Role, custom_role: Option<RoleId>| json!({ "role": role, "custom_role": custom_role });
    tx.emit(event.changed(state(user.role, custom_role), state(entitled.role, entitled.custom_role))).await?;
    Ok(())
}

async fn keeps_ownership(tx: &mut Tx, user: &User, entitled: Entitled) -> Result<bool> {
    if !entitled.by_rule || store::users::count_other_enabled_owners(tx, user.id).await? == 0 {
        return Ok(true);
    }
    let tenant = tx.tenant()?;
    Ok(store::connections::settings(tx, tenant).await?.break_glass.contains(&user.id))
}

/// Puts a member into the teams that the rules name, and takes them out of those into which only a rule had put them.
pub(super) async fn give_teams(tx: &mut Tx, connection: ConnectionId, user: UserId, wanted: &[TeamId]) -> Result<()> {
    let mapped = store::sso::mapped_teams(tx, user, connection).await?;
    for team in mapped.iter().filter(|team| !wanted.contains(team)) {
        if store::teams::leave(tx, *team, user).await? {
            tx.emit(identity_events::team_member_removed(*team, user)).await?;
        }
    }
    let now = tx.ctx().now();
    for team in wanted.iter().filter(|team| !mapped.contains(team)) {
        match store::teams::get(tx, *team).await {
            // It was deleted since.
            Err(error) if error.code() == Code::NotFound => continue,
            found => found.map(drop)?,
        }
        // In which they are by somebody's hand, they stay.
        if store::teams::member(tx, *team, user).await?.is_some() {
            continue;
        }
        let is_default = store::teams::default_of(tx, user).await?.is_none();
        store::teams::join(tx, *team, user, is_default, now).await?;
        store::sso::note_mapped_team(tx, user, *team, connection).await?;
        tx.emit(identity_events::team_member_added(*team, user, is_default)).await?;
    }
    teams::give_defaults(tx).await
}
