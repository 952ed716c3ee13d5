use std::net::IpAddr;

use plasma_kernel::{Actor, Permission, PolicyId, Timestamp};
use serde::{Deserialize, Serialize};

use super::RoleName;

/// What an HTTP request wants, as far as policies look at it.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// The permission that the operation needs; `None` when it is enough to be known.
    pub action: Option<Permission>,
    /// The id of the thing that it is about; `None` when it names none.
    pub id: Option<&'a str>,
    /// The ids of the things that this thing is in, the outermost first.
    pub within: &'a [String],
    /// The path with its parameters decoded, so that another spelling of it is no way around a policy.
    pub path: &'a str,
    /// The method, as in `GET`.
    pub method: &'a str,
}

/// A text of access rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// What people call it; unique in the tenant, whatever the case.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// The rules, in Cedar's language.
    pub text: String,
    /// How many statements the text holds.
    pub statements: u64,
    /// Whether it is in force.
    pub enabled: bool,
    /// 1 at first, and one more with every change.
    pub version: u64,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Actor,
}

/// A policy as it was at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its number.
    pub version: u64,
    /// The name at that time.
    pub name: String,
    /// The description at that time.
    pub description: String,
    /// The rules at that time.
    pub text: String,
    /// Whether it was in force.
    pub enabled: bool,
    /// When this version was made.
    pub changed_at: Timestamp,
    /// Who made it.
    pub changed_by: Actor,
}

/// What a new policy needs.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// 1 to 200 characters, unique in the tenant whatever the case.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
    /// The rules.
    pub text: String,
    /// Whether it is in force at once.
    pub enabled: bool,
}

/// What to change of a policy; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct PolicyChange {
    /// The version that the change was made from.
    pub expected_version: u64,
    /// What people call it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The rules.
    pub text: Option<String>,
    /// Whether it is in force.
    pub enabled: Option<bool>,
}

/// A policy that is tried out before it is kept.
#[derive(Clone, Debug)]
pub struct PolicyDraft {
    /// The policy whose place it takes; `None` for a new one.
    pub id: Option<PolicyId>,
    /// The rules.
    pub text: String,
    /// Whether it is to be in force: without, the test shows what would change if it were not there.
    pub enabled: bool,
}

/// A place in a text, counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct TextPlace {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// What is wrong with a policy's text, or worth a second look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PolicyProblem {
    /// True: the text cannot be kept. False: it can, but may not mean what was meant.
    pub is_error: bool,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub help: Option<String>,
    /// Where it begins.
    pub start: TextPlace,
    /// Where it ends.
    pub end: TextPlace,
}

/// Which way a statement works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyEffect {
    /// It allows what the role does not.
    Permit,
    /// It forbids, whatever else allows.
    Forbid,
}

/// A statement of a policy that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PolicyMatch {
    /// The policy.
    pub policy: PolicyId,
    /// The policy's name.
    pub name: String,
    /// Which of its statements, counted from 1.
    pub statement: u32,
    /// Which way it works.
    pub effect: PolicyEffect,
    /// The statement itself.
    pub text: String,
}

/// What trying a policy out found.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// What is wrong with the text. With an error, the rest is empty.
    pub problems: Vec<PolicyProblem>,
    /// Why the policy would be refused though its text is right.
    pub refusal: Option<String>,
    /// How many different requests were decided anew.
    pub examined: u64,
    /// When the oldest of them was made last.
    pub since: Option<Timestamp>,
    /// How many of them would be refused that were allowed.
    pub newly_refused: u64,
    /// How many of them would be allowed that were refused.
    pub newly_allowed: u64,
    /// Those whose answer would change, the newest first.
    pub changes: Vec<TestedRequest>,
}

/// A recent request whose answer a policy would change.
#[derive(Clone, Debug)]
pub struct TestedRequest {
    /// Who made it.
    pub principal: Actor,
    /// Their name, if they are still there.
    pub name: Option<String>,
    /// The permission that it needed.
    pub action: Permission,
    /// The thing that it was about.
    pub id: Option<String>,
    /// Its path.
    pub path: String,
    /// Its method.
    pub method: &'static str,
    /// Where it came from.
    pub address: IpAddr,
    /// How often it was made.
    pub count: u64,
    /// When it was made last.
    pub last_at: Timestamp,
    /// Whether it would be allowed with the policy.
    pub allowed: bool,
    /// The statements that decide with it.
    pub policies: Vec<PolicyMatch>,
}

/// "May X do Y?"
#[derive(Clone, Debug)]
pub struct AccessQuestion {
    /// A user's or an API key's id; `None`: the one who asks.
    pub principal: Option<String>,
    /// What they want to do.
    pub action: Permission,
    /// With what.
    pub resource: AccessResource,
    /// From where and when.
    pub circumstances: Circumstances,
}

/// A thing that somebody wants to do something with.
#[derive(Clone, Debug, Default)]
pub struct AccessResource {
    /// Its id.
    pub id: Option<String>,
    /// The ids of the things that it is in, the outermost first.
    pub within: Vec<String>,
    /// The path of the request.
    pub path: Option<String>,
}

/// From where, when and how a request comes. `None` means: as the one who asks, now.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// When, in microseconds since 1970 UTC.
    pub at: Option<Timestamp>,
    /// The method, as in `GET`.
    pub method: Option<String>,
    /// Whether the person logged in with two factors.
    pub multi_factor: Option<bool>,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The role allows it, and no policy forbids it.
    Role,
    /// A policy allows it, or forbids it.
    Policy,
    /// Neither the role nor a policy allows it.
    MissingPermission,
    /// The key's role would allow it, but its scopes leave it out.
    Scopes,
    /// The key would allow it, but the person who made it may not do it.
    Creator,
    /// The person is disabled, or the key is revoked, expired or not usable from there.
    NotUsable,
}

/// Why somebody may do something, or may not.
#[derive(Clone, Debug)]
pub struct AccessExplanation {
    /// Whether they may.
    pub allowed: bool,
    /// What decided.
    pub decided_by: DecidedBy,
    /// The whole in words.
    pub text: String,
    /// The role that they have.
    pub role: RoleName,
    /// What people call that role.
    pub role_name: String,
    /// The permission that is missing.
    pub missing: Option<Permission>,
    /// The roles of the tenant that have the permission.
    pub roles_with_it: Vec<String>,
    /// The statements that decided.
    pub policies: Vec<PolicyMatch>,
}
