#![doc = include_str!("../README.md")]

mod calendar;
mod clock;
mod ctx;
mod error;
mod id;
mod money;
mod page;
mod permission;
mod quota;
mod secret;

pub use calendar::{date_of_day, day_of_date};
pub use clock::{Clock, Random, Timestamp};
pub use ctx::{Actor, Authentication, Ctx, Method, Methods, Origin, STEP_UP_AGE_MICROS, Subject};
pub use error::{Code, Error, Result};
pub use id::{
    ApiKeyId, ApplicationId, AuditSinkId, BatchId, BenchmarkId, BudgetId, CallId, ChunkId, CollectionId, ConnectionId,
    DocumentId, EventId, ExportId, FileId, GrantId, InvitationId, JobId, KnowledgeDocumentId, LimitId, ParseIdError,
    PasskeyId, PolicyId, PromptId, ProviderId, PullId, RequestId, RoleId, RouteId, ServiceIdentityId, SessionId,
    TeamId, TenantId, TokenFamilyId, UserId,
};
pub use money::Money;
pub use page::{Page, PageRequest};
pub use permission::{Permission, Permissions, Role};
pub use quota::{QUOTA_WARNING_PERCENT, QuotaResource, is_near_quota};
pub use secret::{Secret, equal_in_constant_time};
