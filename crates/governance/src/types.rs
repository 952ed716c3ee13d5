use plasma_kernel::{Actor, AuditSinkId, Ctx, EventId, Origin, Permission, Result, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// The tenant under which the installation's own log is kept; no workspace has this id.
pub const INSTALLATION: TenantId = TenantId::from_bits(0);

/// Which audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditLogName)]
pub enum Log {
    /// The workspace's own.
    #[default]
    Workspace,
    /// What happened outside of any workspace; for those who manage the installation.
    Installation,
}

impl Log {
    /// The caller's context, bound to the tenant under which the log is kept.
    ///
    /// # Errors
    /// `forbidden` without `own`, for the installation's log also without `installation`.
    pub(crate) fn bind(self, ctx: &Ctx, own: Permission, installation: Permission) -> Result<Ctx> {
        ctx.require(own)?;
        if self == Self::Workspace {
            return Ok(ctx.clone());
        }
        ctx.require(installation)?;
        let (clock, random) = (ctx.clock().clone(), ctx.random().clone());
        let bound = Ctx::new(INSTALLATION, ctx.actor().clone(), *ctx.permissions(), clock, random);
        Ok(bound.with_request(ctx.request()).with_origin_of(ctx))
    }
}

/// One entry of an audit log.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AuditRecord {
    /// Its id, which is that of the event that it tells of.
    pub id: EventId,
    /// Its place in the log, from 0.
    pub leaf: u64,
    /// When it happened, in microseconds since 1970 UTC.
    pub at: Timestamp,
    /// What happened, as in `identity.user.updated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id of the thing that it happened to.
    pub subject: String,
    /// Who did it.
    pub actor: Actor,
    /// The request or background run in which it happened.
    pub request_id: String,
    /// From where the request came; null for work that no request began.
    #[schema(required)]
    pub origin: Option<Origin>,
    /// Details; what a change changed is in `before` and `after`.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
    /// The record that tells of the erasure of this one's details; null when they are here.
    #[schema(required)]
    pub erased_by: Option<EventId>,
}

/// Which records a search finds. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Who did it: the id of a person, an API key or an application, or `system`.
    pub actor: Option<String>,
    /// What happened: a type, or a prefix that ends in `.*`.
    pub action: Option<String>,
    /// The id of the thing that it happened to.
    pub subject: Option<String>,
    /// The address from which the request came.
    pub address: Option<String>,
    /// Not before this time, in microseconds since 1970 UTC.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Words that all occur, each as a whole or as the beginning of one.
    pub text: Option<String>,
}

/// A checkpoint that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AuditCheckpoint {
    /// Records under it.
    pub size: u64,
    /// The root of the tree over them, in base64.
    pub root: String,
    /// The signed note (C2SP tlog-checkpoint).
    pub note: String,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

/// A record with the proof that it is in the log.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AuditDetail {
    /// The record.
    pub record: AuditRecord,
    /// Exactly the text whose hash is the leaf; that of an erased record is not what was hashed.
    pub canonical: String,
    /// The leaf's hash, in base64.
    pub leaf_hash: String,
    /// Null as long as no checkpoint covers the record: at most a minute.
    #[schema(required)]
    pub proof: Option<CheckedProof>,
}

/// The proof that a leaf is in the log, and what came of checking it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditCheckedProof)]
pub struct CheckedProof {
    /// The newest checkpoint.
    pub checkpoint: AuditCheckpoint,
    /// The hashes that lead from the leaf to the root, in base64.
    pub path: Vec<String>,
    /// Whether the record's hash is the leaf's, the path leads to the checkpoint's root, and its signature is right.
    pub verified: bool,
}

/// A proof that a leaf is in a tree.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditInclusionProof)]
pub struct InclusionProof {
    /// The leaf's place, from 0.
    pub leaf: u64,
    /// Leaves of the tree.
    pub size: u64,
    /// The leaf's hash, in base64.
    pub leaf_hash: String,
    /// The hashes that lead from the leaf to the root (RFC 9162, section 2.1.3), in base64.
    pub path: Vec<String>,
    /// The root to which they lead, in base64.
    pub root: String,
}

/// A proof that a tree is the beginning of a larger one.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditConsistencyProof)]
pub struct ConsistencyProof {
    /// Leaves of the smaller tree.
    pub from: u64,
    /// Leaves of the larger one.
    pub to: u64,
    /// The hashes that lead from one root to the other (RFC 9162, section 2.1.4), in base64.
    pub path: Vec<String>,
    /// The smaller tree's root, in base64.
    pub from_root: String,
    /// The larger tree's root, in base64.
    pub to_root: String,
}

/// Where a log stands.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditLogState)]
pub struct LogState {
    /// Names the log in its checkpoints.
    pub origin: String,
    /// Records in it, those included that have been removed because of their age.
    pub size: u64,
    /// Records before this one have been removed because of their age; their hashes stay.
    pub retained_from: u64,
    /// For how many days records are kept; null means for ever.
    #[schema(required)]
    pub retention_days: Option<u32>,
    /// The newest checkpoint; null before the first.
    #[schema(required)]
    pub checkpoint: Option<AuditCheckpoint>,
}

/// The key with which checkpoints are signed.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AuditKey {
    /// Always `ed25519`.
    #[schema(example = "ed25519")]
    pub algorithm: &'static str,
    /// The key's 32 bytes, in base64.
    pub public_key: String,
    /// The key in PEM, as `openssl` reads it.
    pub pem: String,
    /// The key as verifiers of signed notes want it, with the log's name.
    pub verifier_key: String,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

/// Where a sink sends what to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = AuditSinkTarget)]
pub enum SinkTarget {
    /// Checkpoints, a line each, at the end of a file in the folder that the operator chose (`audit_anchor_dir`).
    AnchorFile {},
    /// Checkpoints as objects that the store does not let anybody change or delete before a time (S3 object lock).
    AnchorS3 {
        /// Where the objects go.
        bucket: Bucket,
        /// How strict the lock is.
        lock: ObjectLock,
        /// For how many days.
        #[schema(minimum = 1, maximum = 36_500)]
        retain_days: u32,
    },
    /// Checkpoints, POSTed as JSON with a signature by the sink's secret.
    AnchorWebhook {
        /// The address.
        #[schema(format = "uri", max_length = 2_000)]
        url: String,
    },
    /// Records by syslog (RFC 5424).
    Syslog {
        /// The collector's name or address.
        #[schema(max_length = 253)]
        host: String,
        /// Its port.
        port: u16,
        /// How they are carried.
        transport: SyslogTransport,
        /// The certificate authority of the collector in PEM, beside those of the system; for `tls`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(max_length = 20_000, nullable = false)]
        ca_pem: Option<String>,
    },
    /// Records as logs of OpenTelemetry (OTLP over HTTP, JSON).
    Otlp {
        /// The collector's address without `/v1/logs`.
        #[schema(format = "uri", max_length = 2_000)]
        endpoint: String,
    },
    /// Records as objects of JSON lines.
    S3 {
        /// Where the objects go.
        bucket: Bucket,
    },
}

/// A bucket of S3, or of what speaks like it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AuditBucket)]
pub struct Bucket {
    /// The store's address; the bucket comes after it in the path.
    #[schema(format = "uri", max_length = 2_000, example = "https://s3.eu-central-1.amazonaws.com")]
    pub endpoint: String,
    /// The store's region.
    #[schema(max_length = 50, example = "eu-central-1")]
    pub region: String,
    /// The bucket's name.
    #[schema(max_length = 63)]
    pub name: String,
    /// What the objects' names begin with; may be empty.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub prefix: String,
    /// Names the key that the sink's secret is.
    #[schema(max_length = 200)]
    pub access_key_id: String,
}

/// How strict an object's lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditObjectLock)]
pub enum ObjectLock {
    /// Whoever has a special permission may lift it.
    Governance,
    /// Nobody may lift it.
    Compliance,
}

/// How syslog is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditSyslogTransport)]
pub enum SyslogTransport {
    /// A datagram for each record (RFC 5426); what is lost is lost.
    Udp,
    /// A stream with the length before each record (RFC 6587).
    Tcp,
    /// The same in TLS (RFC 5425).
    Tls,
}

impl SinkTarget {
    /// Whether it takes checkpoints; the others take records.
    pub fn anchors(&self) -> bool {
        matches!(self, Self::AnchorFile {} | Self::AnchorS3 { .. } | Self::AnchorWebhook { .. })
    }
}

/// A place to which checkpoints are anchored or records are exported.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditSink)]
pub struct Sink {
    /// Its id.
    pub id: AuditSinkId,
    /// What people call it.
    pub name: String,
    /// What it sends where.
    pub target: SinkTarget,
    /// Whether it sends.
    pub enabled: bool,
    /// Whether a secret is kept with it.
    pub has_secret: bool,
    /// The next record to send; of an anchor, the size of the newest checkpoint that was sent.
    pub next_leaf: u64,
    /// Attempts that failed since the last success.
    pub failures: u32,
    /// When it delivered last, in microseconds since 1970 UTC.
    #[schema(required)]
    pub delivered_at: Option<Timestamp>,
    /// Why the last attempt failed; null after a success.
    #[schema(required)]
    pub error: Option<String>,
    /// When it failed last.
    #[schema(required)]
    pub failed_at: Option<Timestamp>,
    /// When it tries again at the earliest.
    pub next_attempt_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a new sink needs.
#[derive(Clone, Debug)]
pub struct NewSink {
    /// What people call it; unique in the log.
    pub name: String,
    /// What it sends where.
    pub target: SinkTarget,
    /// The secret that goes with the target: a webhook's signing secret, a bucket's secret key, a collector's `authorization`.
    pub secret: Option<String>,
    /// Records from this one on; `None` means from now on.
    pub from_leaf: Option<u64>,
}

/// What to change about a sink; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct SinkChange {
    /// What people call it.
    pub name: Option<String>,
    /// What it sends where; the kind stays.
    pub target: Option<SinkTarget>,
    /// The secret.
    pub secret: Option<String>,
    /// Whether it sends.
    pub enabled: Option<bool>,
}

/// What came of trying a sink.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditSinkTest)]
pub struct SinkTest {
    /// Whether it was taken.
    pub ok: bool,
    /// Why not.
    #[schema(required)]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}
