//! Prompts, their versions and aliases. No statement changes a version.

use plasma_kernel::{Actor, Error, Page, PageRequest, PromptId, Result, Timestamp};
use plasma_store::{Row, Tx, Value};

use crate::prompts::{Prompt, PromptAlias, PromptVersion, PromptVersionSummary};

/// Without its aliases.
fn prompt(row: &Row) -> Result<Prompt> {
    Ok(Prompt {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        newest_version: row.get("newest_version")?,
        aliases: Vec::new(),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn alias(row: &Row) -> Result<(PromptId, PromptAlias)> {
    let alias = PromptAlias { name: row.get("name")?, split: row.json("split")?, updated_at: row.get("updated_at")? };
    Ok((row.get("prompt_id")?, alias))
}

/// All prompts of the tenant with their aliases: some hundreds, which the verbs that add them keep.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Prompt>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT id, name, description, newest_version, created_at, updated_at FROM model_prompts
             WHERE tenant_id = $1 ORDER BY name",
            [tenant.into()],
        )
        .await?;
    let mut prompts = rows.iter().map(prompt).collect::<Result<Vec<_>>>()?;
    let rows = tx
        .fetch_all(
            "SELECT prompt_id, name, split, updated_at FROM model_prompt_aliases WHERE tenant_id = $1 ORDER BY name",
            [tenant.into()],
        )
        .await?;
    for row in &rows {
        let (id, alias) = alias(row)?;
        if let Some(prompt) = prompts.iter_mut().find(|prompt| prompt.id == id) {
            prompt.aliases.push(alias);
        }
    }
    Ok(prompts)
}

/// Locks the prompt until the end of the transaction, on Postgres; SQLite has one writer at a time.
pub(crate) async fn lock(tx: &mut Tx, name: &str) -> Result<Option<Prompt>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "UPDATE model_prompts SET updated_at = updated_at WHERE tenant_id = $1 AND name = $2
             RETURNING id, name, description, newest_version, created_at, updated_at",
            [tenant.into(), name.into()],
        )
        .await?;
    let Some(mut prompt) = row.as_ref().map(prompt).transpose()? else { return Ok(None) };
    let rows = tx
        .fetch_all(
            "SELECT prompt_id, name, split, updated_at FROM model_prompt_aliases
             WHERE tenant_id = $1 AND prompt_id = $2 ORDER BY name",
            [tenant.into(), prompt.id.into()],
        )
        .await?;
    prompt.aliases = rows.iter().map(|row| alias(row).map(|(_, alias)| alias)).collect::<Result<_>>()?;
    Ok(Some(prompt))
}

pub(crate) async fn count(tx: &mut Tx) -> Result<usize> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS prompts FROM model_prompts WHERE tenant_id = $1", [tenant.into()])
        .await?
        .get("prompts")
}

pub(crate) async fn insert(tx: &mut Tx, prompt: &Prompt) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_prompts (tenant_id, id, name, description, newest_version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        [
            tenant.into(),
            prompt.id.into(),
            (&prompt.name).into(),
            (&prompt.description).into(),
            prompt.newest_version.into(),
            prompt.created_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// Removes the prompt with its versions and aliases; `false` when there was none.
pub(crate) async fn delete(tx: &mut Tx, id: PromptId) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted =
        tx.execute("DELETE FROM model_prompts WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(deleted > 0)
}

/// A version that is to be added.
pub(crate) struct NewRow<'a> {
    pub(crate) prompt: PromptId,
    pub(crate) version: u32,
    pub(crate) definition: &'a str,
    pub(crate) note: &'a str,
    pub(crate) actor: &'a Actor,
    pub(crate) created_at: Timestamp,
}

/// Adds a version. The caller holds the prompt's lock, and `version` follows the newest one.
pub(crate) async fn insert_version(tx: &mut Tx, new: NewRow<'_>) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_prompt_versions (tenant_id, prompt_id, version, definition, note, actor, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            tenant.into(),
            new.prompt.into(),
            new.version.into(),
            new.definition.into(),
            new.note.into(),
            Value::json(new.actor)?,
            new.created_at.into(),
        ],
    )
    .await?;
    tx.execute(
        "UPDATE model_prompts SET newest_version = $3, updated_at = $4 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), new.prompt.into(), new.version.into(), new.created_at.into()],
    )
    .await
    .map(drop)
}

pub(crate) async fn version(tx: &mut Tx, id: PromptId, version: u32) -> Result<Option<PromptVersion>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT version, definition, note, actor, created_at FROM model_prompt_versions
             WHERE tenant_id = $1 AND prompt_id = $2 AND version = $3",
            [tenant.into(), id.into(), version.into()],
        )
        .await?;
    row.map(|row| {
        Ok(PromptVersion {
            version: row.get("version")?,
            definition: row.json("definition")?,
            note: row.get("note")?,
            actor: row.json("actor")?,
            created_at: row.get("created_at")?,
        })
    })
    .transpose()
}

/// A page of a prompt's versions, newest first.
pub(crate) async fn versions(tx: &mut Tx, id: PromptId, page: &PageRequest) -> Result<Page<PromptVersionSummary>> {
    let tenant = tx.tenant()?;
    let before = match page.cursor.as_deref().map(str::parse::<u32>) {
        None => u32::MAX,
        Some(Ok(version)) => version,
        Some(Err(_)) => return Err(Error::invalid("cursor", "is not a cursor of this list")),
    };
    let rows = tx
        .fetch_all(
            "SELECT version, note, actor, created_at FROM model_prompt_versions
             WHERE tenant_id = $1 AND prompt_id = $2 AND version < $3 ORDER BY version DESC LIMIT $4",
            [tenant.into(), id.into(), before.into(), page.fetch_limit().into()],
        )
        .await?;
    let summary = |row: &Row| {
        Ok(PromptVersionSummary {
            version: row.get("version")?,
            note: row.get("note")?,
            actor: row.json("actor")?,
            created_at: row.get("created_at")?,
        })
    };
    let versions = rows.iter().map(summary).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(versions, page.limit, |version| version.version.to_string()))
}

pub(crate) async fn put_alias(tx: &mut Tx, id: PromptId, alias: &PromptAlias) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_prompt_aliases (tenant_id, prompt_id, name, split, updated_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, prompt_id, name) DO UPDATE SET split = $4, updated_at = $5",
        [tenant.into(), id.into(), (&alias.name).into(), Value::json(&alias.split)?, alias.updated_at.into()],
    )
    .await
    .map(drop)
}

/// Removes the alias; `false` when there was none.
pub(crate) async fn delete_alias(tx: &mut Tx, id: PromptId, name: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted = tx
        .execute(
            "DELETE FROM model_prompt_aliases WHERE tenant_id = $1 AND prompt_id = $2 AND name = $3",
            [tenant.into(), id.into(), name.into()],
        )
        .await?;
    Ok(deleted > 0)
}
