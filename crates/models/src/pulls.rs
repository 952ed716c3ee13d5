//! Fetching weights in the background, for whoever manages the installation: weights are shared by all of its workspaces.

mod work;

use std::str::FromStr;

use plasma_kernel::{Actor, Ctx, Error, Page, PageRequest, Permission, PullId, Result, Timestamp};
use plasma_store::NewEvent;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use work::FetchWeights;

use crate::{
    Models, catalog::model_not_found, events, manifest::ModelEntry, near_names::near, store, types::words,
    weights::PullRequest,
};

/// Those that have not ended.
const UNFINISHED_MAX: usize = 20;
/// Records of those that ended.
const ENDED_KEPT: usize = 500;
const BYTES_DEFAULT: u64 = 50_000_000_000;
const BYTES_MAX: u64 = 10_000_000_000_000;

words! {
    /// Where weights are on their way.
    PullState, "state" {
        /// Waits for a worker, or for the next attempt.
        Queued = "queued",
        /// Files are being fetched.
        Running = "running",
        /// All files are in place.
        Done = "done",
        /// It was given up.
        Failed = "failed",
        /// Somebody stopped it. What was fetched so far is continued by the next one.
        Cancelled = "cancelled",
    }
}

/// Why weights could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ModelPullError)]
pub struct PullFailure {
    /// Stable, such as `not_on_hub`.
    #[schema(example = "hub_unreachable")]
    pub reason: String,
    /// For a person, with what to do.
    pub message: String,
}

/// Weights that are fetched onto the server's machine.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelPull)]
pub struct Pull {
    /// Its id.
    pub id: PullId,
    /// The model of this program (`local/…`), or ORG/REPO of the hub.
    pub name: String,
    /// The files that were named; empty: those that are chosen by themselves.
    pub files: Vec<String>,
    /// The branch, tag or commit that was named.
    #[schema(required)]
    pub revision: Option<String>,
    /// Bytes of all files together at most.
    pub max_bytes: u64,
    /// Where it is.
    pub state: PullState,
    /// Bytes so far.
    pub done_bytes: u64,
    /// Bytes of all files; null before the hub has said it.
    #[schema(required)]
    pub size_bytes: Option<u64>,
    /// SPDX name of the weights' license, where it is known.
    #[schema(required)]
    pub license: Option<String>,
    /// The files' folder in the models directory. The path of a custom model may begin with it.
    #[schema(example = "Qwen--Qwen2.5-0.5B-Instruct-GGUF")]
    pub folder: String,
    /// Why it failed; of one that is `queued` again, why the last attempt did.
    #[schema(required)]
    pub error: Option<PullFailure>,
    /// Who began it.
    pub actor: Actor,
    /// When it was begun, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When a worker took it first.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
}

/// What to fetch: either `name` or `repository`.
#[derive(Clone, Debug, Default)]
pub struct NewPull {
    /// A model of this program, `local/…`.
    pub name: Option<String>,
    /// ORG/REPO of the hub.
    pub repository: Option<String>,
    /// At most 50 paths in the repository. Empty: its only GGUF file, or the files of an embedding model.
    pub files: Vec<String>,
    /// A branch, tag or commit of the repository without slashes; `main` when absent.
    pub revision: Option<String>,
    /// Bytes of all files together: 1 to 10 TB, 50 GB when absent.
    pub max_bytes: Option<u64>,
}

/// The folder of `name` in the models directory.
pub(crate) fn folder_name(name: &str) -> String {
    name.replace('/', "--")
}

impl Models {
    /// Begins to fetch weights in the background, one model after another. They are for all workspaces.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, `invalid` or `too_large` naming the field, `not_found` (`model_not_found`),
    /// `conflict` (`pull_exists`) while the same model is fetched, or (`too_many_pulls`) when 20 have not ended.
    pub async fn create_pull(&self, ctx: &Ctx, new: NewPull) -> Result<Pull> {
        ctx.require(Permission::InstallationManage)?;
        let (request, entry) = self.checked_pull(new)?;
        let pull = Pull {
            id: PullId::new(ctx),
            folder: folder_name(&request.name),
            name: request.name,
            files: request.files,
            revision: request.revision,
            max_bytes: request.bytes_max,
            state: PullState::Queued,
            done_bytes: 0,
            size_bytes: entry.map(ModelEntry::size_bytes),
            license: entry.map(|entry| entry.license.clone()),
            error: None,
            actor: ctx.actor().clone(),
            created_at: ctx.now(),
            started_at: None,
            ended_at: None,
        };
        let mut tx = self.inner.store.begin(ctx).await?;
        if store::pulls::unfinished(&mut tx).await? >= UNFINISHED_MAX {
            let message = format!("{UNFINISHED_MAX} models are being fetched");
            return Err(Error::conflict("too_many_pulls", message).remedy("wait, or cancel one"));
        }
        store::pulls::remove_old(&mut tx, ENDED_KEPT).await?;
        store::pulls::insert(&mut tx, &pull).await.map_err(|error| match error.reason() {
            "already_exists" => Error::conflict("pull_exists", format!("`{}` is being fetched already", pull.name))
                .remedy("wait until it has ended, or cancel it"),
            _ => error,
        })?;
        let subject = pull.id.to_string();
        plasma_workflows::enqueue(&mut tx, &FetchWeights { pull: pull.id }, &subject, None).await?;
        let data = json!({ "name": pull.name, "files": pull.files, "max_bytes": pull.max_bytes });
        tx.emit(NewEvent::new(events::PULL_CREATED, pull.id, data)).await?;
        tx.commit().await?;
        Ok(pull)
    }

    /// What is to be fetched, and the manifest's entry of a model of this program.
    fn checked_pull(&self, new: NewPull) -> Result<(PullRequest, Option<&ModelEntry>)> {
        let NewPull { name, repository, files, revision, max_bytes } = new;
        let bytes_max = max_bytes.unwrap_or(BYTES_DEFAULT);
        if !(1..=BYTES_MAX).contains(&bytes_max) {
            return Err(Error::invalid("max_bytes", format!("must be 1 to {BYTES_MAX}")));
        }
        let entry_of = |name: &str| self.inner.local_entries.iter().find(|entry| entry.id == name);
        match (name, repository) {
            (Some(name), None) => {
                let Some(entry) = entry_of(&name) else {
                    let names: Vec<String> = self.inner.local_entries.iter().map(|entry| entry.id.clone()).collect();
                    return Err(model_not_found(&name, &near(&name, &names))
                        .field("name")
                        .remedy("give a repository of the hub as `repository`"));
                };
                if let Some(field) = [("files", !files.is_empty()), ("revision", revision.is_some())]
                    .into_iter()
                    .find_map(|(field, is_given)| is_given.then_some(field))
                {
                    return Err(Error::invalid(field, "a model of this program has its own").remedy("leave it out"));
                }
                Ok((PullRequest { name, files, revision, bytes_max }, Some(entry)))
            }
            (None, Some(name)) => {
                if entry_of(&name).is_some() {
                    let message = format!("`{name}` is a model of this program");
                    return Err(Error::invalid("repository", message).remedy("give it as `name`"));
                }
                let request = PullRequest { name, files, revision, bytes_max };
                request.check().map_err(|error| match error.field_name() {
                    Some("model") => error.field("repository"),
                    Some("file") => error.field("files"),
                    _ => error,
                })?;
                Ok((request, None))
            }
            _ => Err(Error::invalid(
                "name",
                "give either `name`, a model of this program, or `repository`, one of the hub",
            )),
        }
    }

    /// A page of what is or was fetched, newest first: at most 500 of those that ended are kept.
    ///
    /// # Errors
    /// `forbidden` without `installation:read`.
    pub async fn pulls(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Pull>> {
        ctx.require(Permission::InstallationRead)?;
        store::pulls::list(&mut self.inner.store.read(ctx).await?, page).await
    }

    /// One of them.
    ///
    /// # Errors
    /// `forbidden` without `installation:read`, `not_found` (`pull_not_found`).
    pub async fn pull(&self, ctx: &Ctx, id: PullId) -> Result<Pull> {
        ctx.require(Permission::InstallationRead)?;
        store::pulls::get(&mut self.inner.store.read(ctx).await?, id).await
    }

    /// Stops one, within about a second. What was fetched so far stays, and the next one of the same model goes on there. Nothing
    /// happens to one that has ended.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, `not_found` (`pull_not_found`).
    pub async fn cancel_pull(&self, ctx: &Ctx, id: PullId) -> Result<Pull> {
        ctx.require(Permission::InstallationManage)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let pull = store::pulls::get(&mut tx, id).await?;
        work::end(&mut tx, &pull, PullState::Cancelled, None).await?;
        let pull = store::pulls::get(&mut tx, id).await?;
        tx.commit().await?;
        Ok(pull)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::weights::folder_of;

    #[test]
    fn a_pulls_folder_is_where_weights_go() {
        for name in ["local/all-minilm-l6-v2", "Qwen/Qwen2.5-0.5B-Instruct-GGUF"] {
            assert_eq!(folder_of(Path::new("/models"), name).unwrap(), Path::new("/models").join(folder_name(name)));
        }
    }
}
