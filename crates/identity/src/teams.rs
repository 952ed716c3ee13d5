//! Teams: people whose model calls are counted together.
//!
//! A call is counted to one team at most: to the one that the API key names, else to the default team of the person behind it,
//! else to none. Whoever is in a team has exactly one default: the team that they joined first, until somebody chooses another.

use std::sync::Arc;

use plasma_kernel::{Ctx, Error, Page, PageRequest, Permission, Permissions, Result, TeamId, UserId};
use plasma_store::Tx;
use serde_json::Value;

use crate::{Identity, NewTeam, Team, TeamChange, TeamMember, events, store, validation};

/// Teams of one tenant at most.
const TEAMS_MAX: i64 = 1_000;

impl Identity {
    /// The tenant's teams, newest first.
    ///
    /// # Errors
    /// `forbidden` without `teams:read`.
    pub async fn teams(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Team>> {
        ctx.require(Permission::TeamsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::teams::page(&mut tx, page).await
    }

    /// One team.
    ///
    /// # Errors
    /// `forbidden` without `teams:read`, `not_found`.
    pub async fn team(&self, ctx: &Ctx, id: TeamId) -> Result<Team> {
        ctx.require(Permission::TeamsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::teams::get(&mut tx, id).await
    }

    /// All that a person of the tenant may do, and all of their teams: what decides what they may see. For the parts of the
    /// program that act as somebody; they check who may ask.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn access_of(&self, ctx: &Ctx, user: UserId) -> Result<(Permissions, Arc<[TeamId]>)> {
        let mut tx = self.inner.store.read(ctx).await?;
        let person = store::users::get(&mut tx, user).await?;
        let teams = store::teams::of_person(&mut tx, ctx.tenant()?, user).await?;
        Ok((person.permissions(), teams))
    }

    /// Makes a team without members.
    ///
    /// # Errors
    /// `forbidden` without `teams:write`, `invalid` for wrong input, `conflict` (`team_name_taken`, `too_many_teams`).
    pub async fn create_team(&self, ctx: &Ctx, new: NewTeam) -> Result<Team> {
        ctx.require(Permission::TeamsWrite)?;
        let team = Team {
            id: TeamId::new(ctx),
            name: validation::name("name", &new.name)?,
            description: validation::description("description", &new.description)?,
            member_count: 0,
            created_at: ctx.now(),
            updated_at: ctx.now(),
        };
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        if store::teams::count(&mut tx).await? >= TEAMS_MAX {
            return Err(Error::conflict("too_many_teams", format!("a workspace has at most {TEAMS_MAX} teams"))
                .remedy("delete teams that are no longer used"));
        }
        store::teams::insert(&mut tx, &team).await?;
        let event = events::team_created(team.id, &team.name);
        tx.emit(event.changed(Value::Null, events::state_of_team(&team))).await?;
        tx.commit().await?;
        Ok(team)
    }

    /// Changes a team's name or description. What is not in `change` stays.
    ///
    /// # Errors
    /// `forbidden` without `teams:write`, `invalid` for wrong input, `not_found`, `conflict` (`team_name_taken`).
    pub async fn update_team(&self, ctx: &Ctx, id: TeamId, change: TeamChange) -> Result<Team> {
        ctx.require(Permission::TeamsWrite)?;
        let name = change.name.map(|name| validation::name("name", &name)).transpose()?;
        let description = change.description.map(|text| validation::description("description", &text)).transpose()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::teams::get(&mut tx, id).await?;
        let team = Team {
            name: name.unwrap_or_else(|| before.name.clone()),
            description: description.unwrap_or_else(|| before.description.clone()),
            updated_at: ctx.now(),
            ..before.clone()
        };
        let changed: Vec<&str> =
            [("name", before.name != team.name), ("description", before.description != team.description)]
                .into_iter()
                .filter_map(|(field, changed)| changed.then_some(field))
                .collect();
        if changed.is_empty() {
            return Ok(before);
        }
        store::teams::update(&mut tx, &team).await?;
        let event = events::team_updated(id, &changed, &team.name);
        tx.emit(event.changed(events::state_of_team(&before), events::state_of_team(&team))).await?;
        tx.commit().await?;
        Ok(team)
    }

    /// Deletes a team. Its members stay in their other teams, its API keys go on working and count for their person's team, and
    /// what was counted for it keeps its id.
    ///
    /// # Errors
    /// `forbidden` without `teams:write`, `not_found`.
    pub async fn delete_team(&self, ctx: &Ctx, id: TeamId) -> Result<()> {
        ctx.require(Permission::TeamsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let team = store::teams::get(&mut tx, id).await?;
        let keys = store::teams::delete(&mut tx, id).await?;
        let event = events::team_deleted(id, team.member_count, keys);
        tx.emit(event.changed(events::state_of_team(&team), Value::Null)).await?;
        give_defaults(&mut tx).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }

    /// A team's members, the newest people first. Their names and e-mails are there for those who may see people.
    ///
    /// # Errors
    /// `forbidden` without `teams:read`, `not_found`.
    pub async fn team_members(&self, ctx: &Ctx, id: TeamId, page: &PageRequest) -> Result<Page<TeamMember>> {
        ctx.require(Permission::TeamsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::teams::get(&mut tx, id).await?;
        Ok(store::teams::members(&mut tx, id, page).await?.map(|member| as_seen_by(ctx, member)))
    }

    /// Puts a person of the tenant into a team, or changes whether it is their default. With `None` it becomes the default of
    /// those who are in no other team.
    ///
    /// # Errors
    /// `forbidden` without `teams:write`, `not_found` for the team or the user, `conflict` (`default_team_needed`) when the
    /// person would be left without a default.
    pub async fn put_team_member(
        &self,
        ctx: &Ctx,
        id: TeamId,
        user: UserId,
        is_default: Option<bool>,
    ) -> Result<TeamMember> {
        ctx.require(Permission::TeamsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        store::teams::get(&mut tx, id).await?;
        store::users::get(&mut tx, user).await?;
        let before = store::teams::member(&mut tx, id, user).await?;
        let default = store::teams::default_of(&mut tx, user).await?;
        let becomes_default = match default {
            Some(other) if other != id => is_default == Some(true),
            _ if is_default == Some(false) => return Err(default_needed()),
            _ => true,
        };
        let moves = becomes_default && default.is_some_and(|other| other != id);
        match before {
            Some(member) if !moves => return Ok(as_seen_by(ctx, member)),
            before => {
                if moves {
                    store::teams::clear_default(&mut tx, user).await?;
                }
                if before.is_some() {
                    store::teams::set_default(&mut tx, id, user).await?;
                } else {
                    store::teams::join(&mut tx, id, user, becomes_default, ctx.now()).await?;
                    tx.emit(events::team_member_added(id, user, becomes_default)).await?;
                }
                if moves {
                    tx.emit(events::team_default_changed(id, user)).await?;
                }
            }
        }
        let member = store::teams::member(&mut tx, id, user).await?;
        let member = member.ok_or_else(|| Error::internal("a member who was just written is not there"))?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(as_seen_by(ctx, member))
    }

    /// Takes a person out of a team. If it was their default, the one of their other teams that they joined first takes its
    /// place.
    ///
    /// # Errors
    /// `forbidden` without `teams:write`, `not_found` for the team or the membership.
    pub async fn remove_team_member(&self, ctx: &Ctx, id: TeamId, user: UserId) -> Result<()> {
        ctx.require(Permission::TeamsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        store::teams::get(&mut tx, id).await?;
        if !store::teams::leave(&mut tx, id, user).await? {
            return Err(Error::not_found("team_member_not_found", format!("{user} is not in the team {id}"))
                .remedy("GET /api/v1/teams/{id}/members lists the members"));
        }
        tx.emit(events::team_member_removed(id, user)).await?;
        give_defaults(&mut tx).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }
}

/// Takes a person who leaves the tenant out of its teams.
pub(crate) async fn leave_all(tx: &mut Tx, user: UserId) -> Result<()> {
    for team in store::teams::leave_all(tx, user).await? {
        tx.emit(events::team_member_removed(team, user)).await?;
    }
    Ok(())
}

/// Whoever is in teams of which none is their default gets one.
pub(crate) async fn give_defaults(tx: &mut Tx) -> Result<()> {
    for (user, team) in store::teams::give_defaults(tx).await? {
        tx.emit(events::team_default_changed(team, user)).await?;
    }
    Ok(())
}

fn default_needed() -> Error {
    Error::conflict("default_team_needed", "whoever is in a team has one default team, and this is the only choice")
        .field("is_default")
        .remedy("make another of their teams the default instead")
}

fn as_seen_by(ctx: &Ctx, member: TeamMember) -> TeamMember {
    if ctx.permissions().contains(Permission::UsersRead) {
        return member;
    }
    TeamMember { name: None, email: None, ..member }
}
