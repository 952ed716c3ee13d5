use std::sync::Arc;

use plasma_kernel::{Code, Error, Page, PageRequest, Result, TeamId, TenantId, Timestamp, UserId};
use plasma_store::{Row, Tx, page_key};

use crate::{Team, TeamMember};

fn from_row(row: &Row) -> Result<Team> {
    Ok(Team {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        member_count: row.get("member_count")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn member_from_row(row: &Row) -> Result<TeamMember> {
    Ok(TeamMember {
        user: row.get("user_id")?,
        name: Some(row.get("name")?),
        email: Some(row.get("email")?),
        is_default: row.get("is_default")?,
        joined_at: row.get("created_at")?,
    })
}

fn not_found(id: TeamId) -> Error {
    Error::not_found("team_not_found", format!("there is no team {id} in this workspace"))
        .remedy("GET /api/v1/teams lists the teams")
}

/// Names are told apart without regard to case.
fn name_key(name: &str) -> String {
    name.to_lowercase()
}

fn name_taken(error: Error, name: &str) -> Error {
    if error.code() != Code::Conflict {
        return error;
    }
    Error::conflict("team_name_taken", format!("there is a team named `{name}` already"))
        .field("name")
        .remedy("choose another name; upper and lower case make no difference")
        .source(error)
}

pub(crate) async fn get(tx: &mut Tx, id: TeamId) -> Result<Team> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT t.id, t.name, t.description, t.created_at, t.updated_at,
               (SELECT COUNT(*) FROM team_members m WHERE m.tenant_id = $1 AND m.team_id = t.id) AS member_count
             FROM teams t WHERE t.tenant_id = $1 AND t.id = $2",
            [tenant.into(), id.into()],
        )
        .await?;
    from_row(&row.ok_or_else(|| not_found(id))?)
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<Team>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT t.id, t.name, t.description, t.created_at, t.updated_at,
               (SELECT COUNT(*) FROM team_members m WHERE m.tenant_id = $1 AND m.team_id = t.id) AS member_count
             FROM teams t WHERE t.tenant_id = $1 AND t.id < $2 ORDER BY t.id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let teams = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(teams, page.limit, |team| team.id.to_string()))
}

pub(crate) async fn count(tx: &mut Tx) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS teams FROM teams WHERE tenant_id = $1", [tenant.into()]).await?.get("teams")
}

pub(crate) async fn insert(tx: &mut Tx, team: &Team) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO teams (tenant_id, id, name, name_key, description, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            tenant.into(),
            team.id.into(),
            team.name.as_str().into(),
            name_key(&team.name).into(),
            team.description.as_str().into(),
            team.created_at.into(),
            team.updated_at.into(),
        ],
    )
    .await
    .map(drop)
    .map_err(|error| name_taken(error, &team.name))
}

/// Writes name and description.
pub(crate) async fn update(tx: &mut Tx, team: &Team) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE teams SET name = $3, name_key = $4, description = $5, updated_at = $6 WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            team.id.into(),
            team.name.as_str().into(),
            name_key(&team.name).into(),
            team.description.as_str().into(),
            team.updated_at.into(),
        ],
    )
    .await
    .map(drop)
    .map_err(|error| name_taken(error, &team.name))
}

/// Removes the team, its memberships, and its name on API keys. Returns how many keys named it.
pub(crate) async fn delete(tx: &mut Tx, id: TeamId) -> Result<u64> {
    let tenant = tx.tenant()?;
    let keys = tx
        .execute("UPDATE api_keys SET team_id = NULL WHERE tenant_id = $1 AND team_id = $2", [tenant.into(), id.into()])
        .await?;
    tx.execute("DELETE FROM team_members WHERE tenant_id = $1 AND team_id = $2", [tenant.into(), id.into()]).await?;
    tx.execute("DELETE FROM teams WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(keys)
}

pub(crate) async fn members(tx: &mut Tx, team: TeamId, page: &PageRequest) -> Result<Page<TeamMember>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT m.user_id, m.is_default, m.created_at, u.name, u.email
             FROM team_members m JOIN users u ON u.id = m.user_id
             WHERE m.tenant_id = $1 AND m.team_id = $2 AND m.user_id < $3 ORDER BY m.user_id DESC LIMIT $4",
            [tenant.into(), team.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let members = rows.iter().map(member_from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(members, page.limit, |member| member.user.to_string()))
}

pub(crate) async fn member(tx: &mut Tx, team: TeamId, user: UserId) -> Result<Option<TeamMember>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT m.user_id, m.is_default, m.created_at, u.name, u.email
             FROM team_members m JOIN users u ON u.id = m.user_id
             WHERE m.tenant_id = $1 AND m.team_id = $2 AND m.user_id = $3",
            [tenant.into(), team.into(), user.into()],
        )
        .await?;
    row.as_ref().map(member_from_row).transpose()
}

/// Across tenants: all teams of a person in one tenant, in the order of their ids.
pub(crate) async fn of_person(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<Arc<[TeamId]>> {
    tx.fetch_all(
        "SELECT team_id FROM team_members WHERE tenant_id = $1 AND user_id = $2 ORDER BY team_id",
        [tenant.into(), user.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("team_id"))
    .collect()
}

/// The team to which the person's calls are counted.
pub(crate) async fn default_of(tx: &mut Tx, user: UserId) -> Result<Option<TeamId>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT team_id FROM team_members WHERE tenant_id = $1 AND user_id = $2 AND is_default = 1",
            [tenant.into(), user.into()],
        )
        .await?;
    row.map(|row| row.get("team_id")).transpose()
}

/// A new member. Nothing else may be their default when this is.
pub(crate) async fn join(tx: &mut Tx, team: TeamId, user: UserId, is_default: bool, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO team_members (tenant_id, team_id, user_id, is_default, created_at) VALUES ($1, $2, $3, $4, $5)",
        [tenant.into(), team.into(), user.into(), is_default.into(), now.into()],
    )
    .await
    .map(drop)
}

/// No team is the person's default any more: another becomes it in the same transaction.
pub(crate) async fn clear_default(tx: &mut Tx, user: UserId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE team_members SET is_default = 0 WHERE tenant_id = $1 AND user_id = $2 AND is_default = 1",
        [tenant.into(), user.into()],
    )
    .await
    .map(drop)
}

pub(crate) async fn set_default(tx: &mut Tx, team: TeamId, user: UserId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE team_members SET is_default = 1 WHERE tenant_id = $1 AND team_id = $2 AND user_id = $3",
        [tenant.into(), team.into(), user.into()],
    )
    .await
    .map(drop)
}

/// False when they were no member.
pub(crate) async fn leave(tx: &mut Tx, team: TeamId, user: UserId) -> Result<bool> {
    let tenant = tx.tenant()?;
    let left = tx
        .execute(
            "DELETE FROM team_members WHERE tenant_id = $1 AND team_id = $2 AND user_id = $3",
            [tenant.into(), team.into(), user.into()],
        )
        .await?;
    Ok(left > 0)
}

/// Takes the person out of all their teams, and returns these.
pub(crate) async fn leave_all(tx: &mut Tx, user: UserId) -> Result<Vec<TeamId>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "DELETE FROM team_members WHERE tenant_id = $1 AND user_id = $2 RETURNING team_id",
        [tenant.into(), user.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("team_id"))
    .collect()
}

/// Whoever is in teams of which none is their default gets the one that they joined first. Returns who got which.
pub(crate) async fn give_defaults(tx: &mut Tx) -> Result<Vec<(UserId, TeamId)>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "UPDATE team_members SET is_default = 1
         WHERE tenant_id = $1
           AND NOT EXISTS (SELECT 1 FROM team_members d
             WHERE d.tenant_id = $1 AND d.user_id = team_members.user_id AND d.is_default = 1)
           AND team_id = (SELECT o.team_id FROM team_members o
             WHERE o.tenant_id = $1 AND o.user_id = team_members.user_id ORDER BY o.created_at, o.team_id LIMIT 1)
         RETURNING user_id, team_id",
        [tenant.into()],
    )
    .await?
    .iter()
    .map(|row| Ok((row.get("user_id")?, row.get("team_id")?)))
    .collect()
}
