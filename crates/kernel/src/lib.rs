#![doc = include_str!("../README.md")]

mod clock;
mod ctx;
mod error;
mod id;
mod money;
mod page;
mod permission;

pub use clock::{Clock, Random, Timestamp};
pub use ctx::{Actor, Ctx};
pub use error::{Code, Error, Result};
pub use id::{
    ApiKeyId, BatchId, BenchmarkId, BudgetId, CallId, ChunkId, CollectionId, DocumentId, EventId, FileId, JobId,
    KnowledgeDocumentId, LimitId, ParseIdError, PromptId, ProviderId, PullId, RequestId, RouteId, SessionId, TeamId,
    TenantId, UserId,
};
pub use money::Money;
pub use page::{Page, PageRequest};
pub use permission::{Permission, Permissions, Role};
