//! Prompts: messages for models under a name, in numbered versions that never change, inserted into calls of every protocol.

mod apply;
mod check;
mod choose;
mod diff;
mod filters;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod types;
mod variables;

use std::{collections::BTreeMap, sync::Arc};

use moka::future::Cache;
use plasma_kernel::{Ctx, Error, Page, PageRequest, Permission, PromptId, Result, TenantId};
use plasma_store::NewEvent;
use serde_json::json;

pub(crate) use apply::insert;
pub use diff::{PromptDiff, PromptDiffHunk, PromptDiffLine, PromptDiffLineKind};
pub use types::{
    Prompt, PromptAlias, PromptCall, PromptDefinition, PromptMessage, PromptParameters, PromptReference, PromptRole,
    PromptShare, PromptUse, PromptVariable, PromptVersion, PromptVersionSummary, RenderedMessage, RenderedPrompt,
    VariableLimits, VariableType,
};

use self::{template::Templates, variables::Bound};
use crate::{Models, definitions::TenantCache, events, near_names::near, store};

/// For fuzzing only.
#[cfg(fuzzing)]
pub(crate) fn fuzz_template(source: &str) {
    let _ = syntax::check(source);
}

/// Prompts of one tenant.
const PROMPTS_MAX: usize = 1_000;
/// Versions of one prompt.
const VERSIONS_MAX: u32 = 10_000;
/// Aliases of one prompt.
const ALIASES_MAX: usize = 20;
/// Bytes of variables that are inserted at once.
const INLINE_BYTES_MAX: usize = 10_000;
/// Bytes of versions in memory, about; what was used longest ago goes first.
const CACHE_BYTES_MAX: u64 = 64 << 20;
/// A compiled template is about so many times as large as its text.
const COMPILED_FACTOR: usize = 8;
const NAME_CHARS_MAX: usize = 63;

/// What calls read of prompts without SQL.
pub(crate) struct PromptCache {
    index: TenantCache<BTreeMap<String, Prompt>>,
    /// Versions never change and ids are never used again, so nothing here grows old.
    versions: Cache<(TenantId, PromptId, u32), Arc<Compiled>>,
}

/// A version, ready to be rendered.
struct Compiled {
    definition: PromptDefinition,
    templates: Arc<Templates>,
    bytes: usize,
}

impl PromptCache {
    pub(crate) fn new() -> Self {
        let weigh = |_: &(TenantId, PromptId, u32), version: &Arc<Compiled>| {
            u32::try_from(version.bytes.saturating_mul(COMPILED_FACTOR)).unwrap_or(u32::MAX)
        };
        let versions = Cache::builder().max_capacity(CACHE_BYTES_MAX).weigher(weigh).build();
        Self { index: TenantCache::new(), versions }
    }
}

/// A definition that is not stored takes the place of a version in a dry run.
pub enum RenderedVersion {
    /// A stored version.
    Stored(PromptReference),
    /// One that is being written.
    Draft(Box<PromptDefinition>),
}

fn not_found(name: &str, names: &[String]) -> Error {
    // A name comes from outside and may be long.
    let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
    let mut message = format!("there is no prompt `{shown}`");
    let near = near(name, names);
    if !near.is_empty() {
        message.push_str(&format!("; near names: `{}`", near.join("`, `")));
    }
    Error::not_found("prompt_not_found", message)
}

/// Inserts variables. Long ones take milliseconds: not on the threads that serve calls.
async fn rendered(templates: Arc<Templates>, bound: Bound) -> Result<Vec<RenderedMessage>> {
    if bound.bytes <= INLINE_BYTES_MAX {
        return templates.render(&bound);
    }
    tokio::task::spawn_blocking(move || templates.render(&bound))
        .await
        .map_err(|error| Error::from_source("the rendering was interrupted", error))?
}

impl Models {
    /// A page of the tenant's prompts in the order of their names.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn prompts(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Prompt>> {
        ctx.require(Permission::ModelsRead)?;
        let known = self.known_prompts(ctx).await?;
        let after = page.cursor.as_deref().unwrap_or("");
        let rows = known.values().filter(|prompt| prompt.name.as_str() > after);
        let rows = rows.take(page.limit as usize + 1).cloned().collect();
        Ok(Page::from_rows(rows, page.limit, |prompt| prompt.name.clone()))
    }

    /// One prompt by its name.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found` (`prompt_not_found`) with near names.
    pub async fn prompt(&self, ctx: &Ctx, name: &str) -> Result<Prompt> {
        ctx.require(Permission::ModelsRead)?;
        self.find_prompt(ctx, name).await
    }

    /// Adds a prompt without a version.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field, `conflict` (`prompt_exists`), `too_large` beyond 1,000
    /// prompts.
    pub async fn create_prompt(&self, ctx: &Ctx, name: &str, description: &str) -> Result<Prompt> {
        ctx.require(Permission::ModelsWrite)?;
        check::prompt_name(name)?;
        check::words("description", description)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if store::prompts::count(&mut tx).await? >= PROMPTS_MAX {
            return Err(Error::too_large("name", format!("a workspace has at most {PROMPTS_MAX} prompts")));
        }
        let now = ctx.now();
        let prompt = Prompt {
            id: PromptId::new(ctx),
            name: name.to_owned(),
            description: description.to_owned(),
            newest_version: 0,
            aliases: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        store::prompts::insert(&mut tx, &prompt).await.map_err(|error| match error.reason() {
            "already_exists" => Error::conflict("prompt_exists", format!("there is a prompt `{name}` already"))
                .field("name")
                .remedy("add a version to it, or choose another name"),
            _ => error,
        })?;
        tx.emit(NewEvent::new(events::PROMPT_CREATED, name, json!({ "description": description }))).await?;
        tx.commit().await?;
        self.inner.prompts.index.changed();
        Ok(prompt)
    }

    /// Removes a prompt with its versions and aliases. The records of calls keep its name.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`prompt_not_found`).
    pub async fn delete_prompt(&self, ctx: &Ctx, name: &str) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let prompt = store::prompts::lock(&mut tx, name).await?.ok_or_else(|| not_found(name, &[]))?;
        store::prompts::delete(&mut tx, prompt.id).await?;
        let data = json!({ "versions": prompt.newest_version });
        tx.emit(NewEvent::new(events::PROMPT_DELETED, name, data)).await?;
        tx.commit().await?;
        self.inner.prompts.index.changed();
        Ok(())
    }

    /// A page of a prompt's versions, newest first.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found` (`prompt_not_found`).
    pub async fn prompt_versions(
        &self,
        ctx: &Ctx,
        name: &str,
        page: &PageRequest,
    ) -> Result<Page<PromptVersionSummary>> {
        let prompt = self.prompt(ctx, name).await?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::prompts::versions(&mut tx, prompt.id, page).await
    }

    /// One version.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found` (`prompt_not_found`, `prompt_version_not_found`).
    pub async fn prompt_version(&self, ctx: &Ctx, name: &str, version: u32) -> Result<PromptVersion> {
        let prompt = self.prompt(ctx, name).await?;
        let mut tx = self.inner.store.read(ctx).await?;
        let found = store::prompts::version(&mut tx, prompt.id, version).await?;
        found.ok_or_else(|| choose::no_version(&prompt, version))
    }

    /// Adds the next version of a prompt. It never changes.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`prompt_not_found`), `invalid` or `too_large` naming the field, also
    /// beyond 10,000 versions.
    pub async fn create_prompt_version(
        &self,
        ctx: &Ctx,
        name: &str,
        definition: PromptDefinition,
        note: &str,
    ) -> Result<PromptVersion> {
        ctx.require(Permission::ModelsWrite)?;
        // First: whether there is such a prompt is known before its body is judged.
        self.find_prompt(ctx, name).await?;
        check::words("note", note)?;
        let (_, json) = check::definition(&definition)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let prompt = store::prompts::lock(&mut tx, name).await?.ok_or_else(|| not_found(name, &[]))?;
        if prompt.newest_version >= VERSIONS_MAX {
            return Err(Error::too_large("messages", format!("a prompt has at most {VERSIONS_MAX} versions")));
        }
        let (version, created_at) = (prompt.newest_version + 1, ctx.now());
        let row = store::prompts::NewRow {
            prompt: prompt.id,
            version,
            definition: &json,
            note,
            actor: ctx.actor(),
            created_at,
        };
        store::prompts::insert_version(&mut tx, row).await?;
        let data = json!({ "version": version, "note": note });
        tx.emit(NewEvent::new(events::PROMPT_VERSION_CREATED, name, data)).await?;
        tx.commit().await?;
        self.inner.prompts.index.changed();
        Ok(PromptVersion { version, definition, note: note.to_owned(), actor: ctx.actor().clone(), created_at })
    }

    /// How two versions of a prompt differ.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found` (`prompt_not_found`, `prompt_version_not_found`).
    pub async fn prompt_diff(&self, ctx: &Ctx, name: &str, from: u32, to: u32) -> Result<PromptDiff> {
        let old = self.prompt_version(ctx, name, from).await?.definition;
        let new = self.prompt_version(ctx, name, to).await?.definition;
        tokio::task::spawn_blocking(move || diff::compare((from, &old), (to, &new)))
            .await
            .map_err(|error| Error::from_source("the comparison was interrupted", error))?
    }

    /// Lets an alias stand for one version, or for several by weight. Calls of this process see it at once, those of others
    /// within 10 s.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`prompt_not_found`, `prompt_version_not_found`), `invalid` naming the
    /// field, `too_large` beyond 20 aliases.
    pub async fn put_prompt_alias(
        &self,
        ctx: &Ctx,
        name: &str,
        alias: &str,
        split: Vec<PromptShare>,
    ) -> Result<PromptAlias> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let prompt = store::prompts::lock(&mut tx, name).await?.ok_or_else(|| not_found(name, &[]))?;
        let alias = PromptAlias { name: alias.to_owned(), split, updated_at: ctx.now() };
        check::alias(&alias, prompt.newest_version)?;
        let previous = prompt.aliases.iter().find(|known| known.name == alias.name);
        if previous.is_none() && prompt.aliases.len() >= ALIASES_MAX {
            return Err(Error::too_large("alias", format!("a prompt has at most {ALIASES_MAX} aliases")));
        }
        store::prompts::put_alias(&mut tx, prompt.id, &alias).await?;
        let previous = previous.map(|previous| &previous.split);
        let data = json!({ "alias": alias.name, "split": alias.split, "previous_split": previous });
        tx.emit(NewEvent::new(events::PROMPT_ALIAS_CHANGED, name, data)).await?;
        tx.commit().await?;
        self.inner.prompts.index.changed();
        Ok(alias)
    }

    /// Removes an alias.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`prompt_not_found`, `prompt_alias_not_found`).
    pub async fn delete_prompt_alias(&self, ctx: &Ctx, name: &str, alias: &str) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let prompt = store::prompts::lock(&mut tx, name).await?.ok_or_else(|| not_found(name, &[]))?;
        if !store::prompts::delete_alias(&mut tx, prompt.id, alias).await? {
            let shown: String = alias.chars().take(NAME_CHARS_MAX).collect();
            let message = format!("the prompt `{}` has no alias `{shown}`", prompt.name);
            return Err(Error::not_found("prompt_alias_not_found", message));
        }
        tx.emit(NewEvent::new(events::PROMPT_ALIAS_DELETED, name, json!({ "alias": alias }))).await?;
        tx.commit().await?;
        self.inner.prompts.index.changed();
        Ok(())
    }

    /// What a call would send: a dry run of a version, or of a definition that is being written.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found`, `invalid` or `too_large` naming the field or the variable.
    pub async fn render_prompt(&self, ctx: &Ctx, version: RenderedVersion, call: PromptCall) -> Result<RenderedPrompt> {
        ctx.require(Permission::ModelsRead)?;
        match version {
            RenderedVersion::Stored(reference) => self.use_prompt(ctx, PromptCall { reference, ..call }).await,
            RenderedVersion::Draft(definition) => {
                self.find_prompt(ctx, &call.name).await?;
                let (templates, _) = check::definition(&definition)?;
                let bound = variables::bind(&definition.variables, call.variables, call.variables_are_texts)?;
                let PromptDefinition { model, parameters, .. } = *definition;
                Ok(RenderedPrompt {
                    used: None,
                    messages: rendered(Arc::new(templates), bound).await?,
                    model,
                    parameters,
                })
            }
        }
    }

    /// The messages of a call. Reads no SQL but once in 10 s, and once for each version.
    ///
    /// # Errors
    /// As [`Models::render_prompt`], without the permission.
    pub(crate) async fn use_prompt(&self, ctx: &Ctx, call: PromptCall) -> Result<RenderedPrompt> {
        let prompt = self.find_prompt(ctx, &call.name).await?;
        let version = choose::version(ctx, &prompt, &call.reference, call.subject.as_deref())?;
        let compiled = self.compiled(ctx, &prompt, version).await?;
        let bound = variables::bind(&compiled.definition.variables, call.variables, call.variables_are_texts)?;
        Ok(RenderedPrompt {
            used: Some(PromptUse { name: prompt.name, version }),
            messages: rendered(Arc::clone(&compiled.templates), bound).await?,
            model: compiled.definition.model.clone(),
            parameters: compiled.definition.parameters.clone(),
        })
    }

    async fn compiled(&self, ctx: &Ctx, prompt: &Prompt, version: u32) -> Result<Arc<Compiled>> {
        let key = (ctx.tenant()?, prompt.id, version);
        if let Some(compiled) = self.inner.prompts.versions.get(&key).await {
            return Ok(compiled);
        }
        let mut tx = self.inner.store.read(ctx).await?;
        let found = store::prompts::version(&mut tx, prompt.id, version).await?;
        let definition = found.ok_or_else(|| choose::no_version(prompt, version))?.definition;
        let (templates, json) = check::definition(&definition)?;
        let compiled = Arc::new(Compiled { definition, templates: Arc::new(templates), bytes: json.len() });
        self.inner.prompts.versions.insert(key, Arc::clone(&compiled)).await;
        Ok(compiled)
    }

    async fn find_prompt(&self, ctx: &Ctx, name: &str) -> Result<Prompt> {
        let known = self.known_prompts(ctx).await?;
        known.get(name).cloned().ok_or_else(|| not_found(name, &known.keys().cloned().collect::<Vec<_>>()))
    }

    async fn known_prompts(&self, ctx: &Ctx) -> Result<Arc<BTreeMap<String, Prompt>>> {
        let load = || async {
            let mut tx = self.inner.store.read(ctx).await?;
            let prompts = store::prompts::all(&mut tx).await?;
            Ok(prompts.into_iter().map(|prompt| (prompt.name.clone(), prompt)).collect())
        };
        self.inner.prompts.index.get(ctx.tenant()?, load).await
    }
}
