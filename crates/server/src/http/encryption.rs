//! The keys that seal secrets: what there is, and changing them.

use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::Timestamp;
use plasma_store::{DataKeyVersion, MasterKeyKind, MasterKeyUse, RotationState};
use serde::Serialize;

use crate::{
    backup::{self, LastBackup},
    encryption,
    system::System,
};

/// Where a master key is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MasterKeyPlace {
    /// In a file of the server.
    File,
    /// In Vault, which it does not leave.
    Vault,
}

impl From<MasterKeyKind> for MasterKeyPlace {
    fn from(kind: MasterKeyKind) -> Self {
        match kind {
            MasterKeyKind::File => Self::File,
            MasterKeyKind::Vault => Self::Vault,
        }
    }
}

/// A key that seals secrets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DataKey {
    /// Its number, from 1.
    version: u32,
    /// Whether it seals; older ones only open, until nothing is sealed under them.
    active: bool,
    /// When it was made, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// When a newer one took over; null for the active one.
    #[schema(required)]
    retired_at: Option<Timestamp>,
    /// Where the master key is that wraps it.
    wrapped_by: MasterKeyPlace,
}

impl From<DataKeyVersion> for DataKey {
    fn from(key: DataKeyVersion) -> Self {
        let DataKeyVersion { version, created_at, retired_at, wrapped_by } = key;
        Self { version, active: retired_at.is_none(), created_at, retired_at, wrapped_by: wrapped_by.into() }
    }
}

/// How far a rotation is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyRotationState {
    /// Values are being sealed again.
    Resealing,
    /// Nothing is under the old key any more; it is about to be destroyed.
    Destroying,
    /// The old key is destroyed.
    Done,
    /// It does not go on by itself; rotating once more takes it up again.
    Stuck,
}

/// The change to a new key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct KeyRotation {
    /// The key that took over.
    version: u32,
    /// How far it is.
    state: KeyRotationState,
    /// When the key took over, in microseconds since 1970 UTC.
    started_at: Timestamp,
    /// Values that are sealed under it.
    done: u64,
    /// Of how many.
    total: u64,
    /// Values that do not open under any key.
    unreadable: u64,
    /// When the old key was destroyed; null until then.
    #[schema(required)]
    finished_at: Option<Timestamp>,
    /// Why it is stuck; null when it is not.
    #[schema(required)]
    error: Option<String>,
}

impl From<plasma_store::KeyRotation> for KeyRotation {
    fn from(rotation: plasma_store::KeyRotation) -> Self {
        let state = match rotation.state {
            RotationState::Resealing => KeyRotationState::Resealing,
            RotationState::Destroying => KeyRotationState::Destroying,
            RotationState::Done => KeyRotationState::Done,
            RotationState::Stuck => KeyRotationState::Stuck,
        };
        let plasma_store::KeyRotation { version, started_at, done, total, unreadable, finished_at, error, .. } =
            rotation;
        Self { version, state, started_at, done, total, unreadable, finished_at, error }
    }
}

/// A workspace's keys.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct EncryptionStatus {
    /// The keys, newest first; none before the first secret is kept.
    keys: Vec<DataKey>,
    /// The last 20 rotations, newest first.
    rotations: Vec<KeyRotation>,
    /// Where the master key is that wraps new keys.
    master_key: MasterKeyPlace,
}

impl From<encryption::Status> for EncryptionStatus {
    fn from(status: encryption::Status) -> Self {
        Self {
            keys: status.versions.into_iter().map(DataKey::from).collect(),
            rotations: status.rotations.into_iter().map(KeyRotation::from).collect(),
            master_key: status.master_key.into(),
        }
    }
}

/// How many data keys a master key wraps.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MasterKey {
    /// Where it is.
    place: MasterKeyPlace,
    /// Names it without telling it; null when it was not written down which key wrapped them.
    #[schema(required, example = "transit/plasma:v3")]
    key: Option<String>,
    /// Whether it wraps now.
    current: bool,
    /// Data keys that it wraps.
    data_keys: u64,
}

impl From<MasterKeyUse> for MasterKey {
    fn from(used: MasterKeyUse) -> Self {
        let MasterKeyUse { kind, key, current, data_keys } = used;
        Self { place: kind.into(), key, current, data_keys }
    }
}

/// The installation's keys.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct InstallationEncryption {
    /// Master keys that are in use.
    master_keys: Vec<MasterKey>,
    /// Why it is not known which of them is the current one; null when it is known.
    #[schema(required)]
    problem: Option<String>,
    /// The keys in the key file, by name, newest first.
    file_keys: Vec<String>,
    /// The key of what belongs to no workspace.
    own: EncryptionStatus,
    /// The last backup that `plasma backup create` made of this data directory; null when none is known.
    #[schema(required)]
    last_backup: Option<LastBackup>,
}

/// The keys that seal this workspace's secrets, and how far rotations are
#[utoipa::path(
    get, path = "/api/v1/encryption", tag = "encryption", security(("bearer" = [])),
    extensions(("x-permission" = json!("encryption:write"))),
    responses(
        (status = 200, body = EncryptionStatus, description = "Keys and rotations"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn get_encryption(
    State(system): State<System>,
    Caller(ctx): Caller,
) -> Result<Json<EncryptionStatus>, Problem> {
    Ok(Json(system.parts().encryption.status(&ctx).await?.into()))
}

/// Gives this workspace a new data key
///
/// The new key seals from now on. What the old one sealed is sealed again in the background; then the old key is destroyed. A
/// rotation that is stuck is taken up again.
#[utoipa::path(
    post, path = "/api/v1/encryption/rotate", tag = "encryption", security(("bearer" = [])),
    extensions(("x-permission" = json!("encryption:write"))),
    responses(
        (status = 202, body = KeyRotation, description = "It has begun"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn rotate_data_key(
    State(system): State<System>,
    Caller(ctx): Caller,
) -> Result<(StatusCode, Json<KeyRotation>), Problem> {
    let rotation = system.parts().encryption.rotate(&ctx).await?;
    Ok((StatusCode::ACCEPTED, Json(rotation.into())))
}

/// The installation's master keys, its own data key, and its last backup
#[utoipa::path(
    get, path = "/api/v1/installation/encryption", tag = "encryption", security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:read"))),
    responses(
        (status = 200, body = InstallationEncryption, description = "Keys of the installation"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn get_installation_encryption(
    State(system): State<System>,
    Caller(ctx): Caller,
) -> Result<Json<InstallationEncryption>, Problem> {
    let status = system.parts().encryption.installation_status(&ctx).await?;
    Ok(Json(told(status, &system)))
}

fn told(status: encryption::InstallationStatus, system: &System) -> InstallationEncryption {
    InstallationEncryption {
        master_keys: status.uses.into_iter().map(MasterKey::from).collect(),
        problem: status.error.map(|error| error.to_string()),
        file_keys: status.file_keys,
        own: status.own.into(),
        last_backup: backup::last(system.store().data_dir()),
    }
}

/// Gives the installation a new data key, for what belongs to no workspace
#[utoipa::path(
    post, path = "/api/v1/installation/encryption/rotate", tag = "encryption", security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage"))),
    responses(
        (status = 202, body = KeyRotation, description = "It has begun"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn rotate_installation_key(
    State(system): State<System>,
    Caller(ctx): Caller,
) -> Result<(StatusCode, Json<KeyRotation>), Problem> {
    let rotation = system.parts().encryption.rotate_installation(&ctx).await?;
    Ok((StatusCode::ACCEPTED, Json(rotation.into())))
}

/// Makes a new master key
///
/// A new first line of the key file, or a new version of the key in Vault. Every data key is wrapped with it in the background; no
/// secret is touched. The old key stays for backups from before until it is forgotten.
#[utoipa::path(
    post, path = "/api/v1/installation/encryption/rotate-master-key", tag = "encryption", security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage"))),
    responses(
        (status = 202, body = InstallationEncryption, description = "It has begun"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn rotate_master_key(
    State(system): State<System>,
    Caller(ctx): Caller,
) -> Result<(StatusCode, Json<InstallationEncryption>), Problem> {
    let status = system.parts().encryption.rotate_master(&ctx).await?;
    Ok((StatusCode::ACCEPTED, Json(told(status, &system))))
}

/// Wraps every data key with the current master key
///
/// After the configuration names another kind of master key, or a key was added to the file by hand.
#[utoipa::path(
    post, path = "/api/v1/installation/encryption/rewrap", tag = "encryption", security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage"))),
    responses(
        (status = 202, body = InstallationEncryption, description = "It has begun"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn rewrap_data_keys(
    State(system): State<System>,
    Caller(ctx): Caller,
) -> Result<(StatusCode, Json<InstallationEncryption>), Problem> {
    let status = system.parts().encryption.rewrap(&ctx).await?;
    Ok((StatusCode::ACCEPTED, Json(told(status, &system))))
}

/// Names of master keys that are gone.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ForgottenMasterKeys {
    /// Those that were removed from the key file; they wrapped nothing any more.
    forgotten: Vec<String>,
}

/// Removes old master keys from the key file
///
/// Only those that wrap no data key any more. Backups from the time when they did cannot be used after that, and copies of destroyed
/// data keys in such backups are destroyed with them.
#[utoipa::path(
    post, path = "/api/v1/installation/encryption/forget-old-master-keys", tag = "encryption", security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage"))),
    responses(
        (status = 200, body = ForgottenMasterKeys, description = "Which were removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn forget_old_master_keys(
    State(system): State<System>,
    Caller(ctx): Caller,
) -> Result<Json<ForgottenMasterKeys>, Problem> {
    let forgotten = system.parts().encryption.forget_old(&ctx).await?;
    Ok(Json(ForgottenMasterKeys { forgotten }))
}
