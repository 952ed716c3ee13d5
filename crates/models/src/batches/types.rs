use std::{collections::BTreeMap, str::FromStr};

use plasma_kernel::{Actor, BatchId, Ctx, Error, FileId, Result, TeamId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    files::{Sight, creator_text},
    types::words,
};

words! {
    /// Where a batch is.
    BatchStatus, "status" {
        /// Its file is read and checked.
        Validating = "validating",
        /// Its file was not valid, or the work could not go on; see its errors.
        Failed = "failed",
        /// Its lines are answered.
        InProgress = "in_progress",
        /// Its files are written.
        Finalizing = "finalizing",
        /// Every line has a result.
        Completed = "completed",
        /// It did not end in time. What was done by then is in its files.
        Expired = "expired",
        /// No further line begins.
        Cancelling = "cancelling",
        /// It was cancelled. What was done by then is in its files.
        Cancelled = "cancelled",
    }
}

impl BatchStatus {
    /// Whether nothing changes any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }
}

/// What the lines of a batch ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum BatchEndpoint {
    /// Chats in OpenAI's Chat Completions format.
    #[serde(rename = "/v1/chat/completions")]
    ChatCompletions,
    /// Chats in OpenAI's Responses format.
    #[serde(rename = "/v1/responses")]
    Responses,
    /// Vectors of texts.
    #[serde(rename = "/v1/embeddings")]
    Embeddings,
}

impl BatchEndpoint {
    /// The path, as stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
        }
    }
}

impl FromStr for BatchEndpoint {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self> {
        [Self::ChatCompletions, Self::Responses, Self::Embeddings]
            .into_iter()
            .find(|endpoint| endpoint.as_str() == path)
            .ok_or_else(|| Error::invalid("endpoint", format!("`{path}` is not an endpoint of batches")))
    }
}

/// A batch to create.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// Its lines.
    pub input_file_id: FileId,
    /// What every line asks for.
    pub endpoint: BatchEndpoint,
    /// The caller's own notes: at most 16 texts of at most 512 characters, under names of at most 64.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Calls of models that are made in the background, one for each line of a file.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Its lines.
    pub input_file_id: FileId,
    /// What every line asks for.
    pub endpoint: BatchEndpoint,
    /// The caller's own notes.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whose it is, and in whose name models are called.
    pub creator: Actor,
    /// The team to which its calls are counted: the creator's when it was created.
    pub team: Option<TeamId>,
    /// Where it is.
    pub status: BatchStatus,
    /// Why it failed: the first 100 mistakes.
    pub errors: Vec<BatchError>,
    /// Lines in all; 0 until they are counted.
    pub total: u64,
    /// Lines with an answer.
    pub completed: u64,
    /// Lines with an error.
    pub failed: u64,
    /// The answers, once it has ended and there are any.
    pub output_file_id: Option<FileId>,
    /// The errors of lines, once it has ended and there are any.
    pub error_file_id: Option<FileId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When its lines began to be answered.
    pub in_progress_at: Option<Timestamp>,
    /// When its files began to be written.
    pub finalizing_at: Option<Timestamp>,
    /// When somebody cancelled it.
    pub cancelling_at: Option<Timestamp>,
    /// When it got its last status.
    pub ended_at: Option<Timestamp>,
    /// What it becomes when its files are written.
    pub(crate) outcome: Option<BatchStatus>,
    pub(crate) cursor: Cursor,
    /// The model whose provider answers the batch by its own batch API; `None`: the lines are called one by one.
    pub(crate) provider_model: Option<String>,
    /// The provider's id of its batch.
    pub(crate) provider_batch_id: Option<String>,
}

/// A place in a batch's input: the beginning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Its number, from 1.
    pub(crate) line: u64,
    /// Where it begins, in bytes.
    pub(crate) offset: u64,
}

impl Cursor {
    pub(crate) const START: Self = Self { line: 1, offset: 0 };
}

impl Batch {
    pub(super) fn new(ctx: &Ctx, new: NewBatch, window_micros: i64) -> Self {
        let NewBatch { input_file_id, endpoint, metadata } = new;
        Self {
            id: BatchId::new(ctx),
            input_file_id,
            endpoint,
            metadata,
            creator: ctx.actor().clone(),
            team: ctx.team(),
            status: BatchStatus::Validating,
            errors: Vec::new(),
            total: 0,
            completed: 0,
            failed: 0,
            output_file_id: None,
            error_file_id: None,
            created_at: ctx.now(),
            expires_at: ctx.now().saturating_add(window_micros),
            in_progress_at: None,
            finalizing_at: None,
            cancelling_at: None,
            ended_at: None,
            outcome: None,
            cursor: Cursor::START,
            provider_model: None,
            provider_batch_id: None,
        }
    }

    pub(super) fn seen_by(&self, sight: &Sight) -> bool {
        sight.everything || creator_text(&self.creator).is_ok_and(|creator| creator == sight.creator)
    }
}

/// A mistake for which a batch failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BatchError {
    /// The stable reason.
    pub code: String,
    /// What is wrong, for a person.
    pub message: String,
    /// The field at fault.
    #[schema(required)]
    pub param: Option<String>,
    /// The line of the file, from 1; null when it is about the whole.
    #[schema(required)]
    pub line: Option<u64>,
}

impl From<&Error> for BatchError {
    fn from(error: &Error) -> Self {
        Self {
            code: error.reason().to_owned(),
            message: crate::running_call::public_text(error),
            param: error.field_name().map(str::to_owned),
            line: None,
        }
    }
}
