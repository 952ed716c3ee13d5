//! Decisions in words: "may X do Y?"

use std::{net::IpAddr, sync::Arc};

use plasma_kernel::{
    Actor, ApiKeyId, Code, Ctx, Error, Permission, Permissions, Result, Role, RoleId, Subject, TeamId, Timestamp,
    UserId,
};
use plasma_store::Tx;

use crate::{
    AccessExplanation, AccessQuestion, ApiKey, DecidedBy, Identity, PolicyMatch, RoleName, User, networks,
    policy::{ActorKey, Compiled, Decision, Moment, Question, Who},
    store,
    types::held,
};

/// Bytes of a path or an id that is asked about, and how many things one may be in.
const TEXT_BYTES_MAX: usize = 500;
const WITHIN_MAX: usize = 10;

/// Whom a question is about, with what decides for them.
struct Principal {
    name: String,
    who: Who,
    role: RoleName,
    role_name: String,
    /// Why they can do nothing at all.
    unusable: Option<&'static str>,
    /// Of a key: what its role would allow, what it allows itself, and what its person may do.
    key: Option<KeyBounds>,
}

struct KeyBounds {
    role: Permissions,
    own: Permissions,
    creator: Permissions,
}

impl Identity {
    /// Whether somebody may do something, and what decides it. About oneself everybody may ask; about others those who may see
    /// policies.
    ///
    /// # Errors
    /// `forbidden` without `policies:read` for another person or key, `not_found` for them, `invalid` for a wrong question.
    pub async fn explain_access(&self, ctx: &Ctx, asked: AccessQuestion) -> Result<AccessExplanation> {
        let subject = subject_of(ctx, asked.principal.as_deref())?;
        check_texts(&asked)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let place = &asked.circumstances;
        let at = place.at.unwrap_or_else(|| ctx.now());
        let address = place.address.or_else(|| ctx.origin().and_then(|origin| origin.address));
        let address = address.map(|address| address.to_canonical());
        let mut principal = match subject {
            ActorKey::User(id) => user_principal(&mut tx, id).await?,
            ActorKey::ApiKey(id) => key_principal(&mut tx, id, at, address).await?,
            ActorKey::Application(_, Some(person)) => user_principal(&mut tx, person).await?,
            ActorKey::Application(_, None) => {
                return Err(Error::invalid("principal", "an application that acts for itself has no role"));
            }
        };
        if let Some(who) = Who::of(ctx).filter(|who| who.actor == subject) {
            // As the one who asks is now: with their way to log in, and as an application if it is one.
            principal.who = who;
        }
        if let Some(multi_factor) = place.multi_factor {
            principal.who.multi_factor = multi_factor;
        }
        let tenant = ctx.tenant()?;
        let revision = store::policies::revision(&mut tx).await?;
        let with_it = roles_with(ctx, &mut tx, asked.action).await?;
        drop(tx);
        let set = self.policy_set(tenant, revision).await?;
        let question = Question {
            who: &principal.who,
            id: asked.resource.id.as_deref(),
            within: &asked.resource.within,
            path: asked.resource.path.as_deref().unwrap_or_default(),
            moment: Moment::new(address, at, place.method.as_deref().unwrap_or("GET")),
        };
        let mut scene = self.inner.access.facts.scene(&question)?;
        let granted = principal.who.subject.granted;
        let decision = set.decide(asked.action, granted, principal.who.may_get_more(), &mut scene)?;
        Ok(explained(ctx, &principal, asked.action, &decision, &set, with_it))
    }
}

/// Whom the question is about.
fn subject_of(ctx: &Ctx, principal: Option<&str>) -> Result<ActorKey> {
    let own = match *ctx.actor() {
        Actor::User { id } => Some(ActorKey::User(id)),
        Actor::ApiKey { id } => Some(ActorKey::ApiKey(id)),
        Actor::Application { id, user } => Some(ActorKey::Application(id, user)),
        Actor::System { .. } => None,
    };
    let Some(text) = principal else {
        return own.ok_or_else(|| Error::invalid("principal", "name a user or an API key"));
    };
    let named = read_principal(text).ok_or_else(|| {
        Error::invalid("principal", "is neither a user's nor an API key's id")
            .remedy("send usr_… or key_…, or leave it out to ask about yourself")
    })?;
    if own != Some(named) {
        ctx.require(Permission::PoliciesRead)?;
    }
    Ok(named)
}

fn read_principal(text: &str) -> Option<ActorKey> {
    let user = text.parse::<UserId>().ok().map(ActorKey::User);
    user.or_else(|| text.parse::<ApiKeyId>().ok().map(ActorKey::ApiKey))
}

fn check_texts(asked: &AccessQuestion) -> Result<()> {
    let resource = &asked.resource;
    if resource.within.len() > WITHIN_MAX {
        return Err(Error::too_large("resource.within", format!("names more than {WITHIN_MAX} things")));
    }
    let texts = resource.within.iter().chain(&resource.id).chain(&resource.path);
    if texts.map(String::len).any(|bytes| bytes > TEXT_BYTES_MAX) {
        return Err(Error::too_large("resource", format!("holds a text of more than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(())
}

async fn user_principal(tx: &mut Tx, id: UserId) -> Result<Principal> {
    let tenant = tx.tenant()?;
    let user = store::users::get(tx, id).await?;
    let teams = store::teams::of_person(tx, tenant, id).await?;
    let (role, role_name) = role_of(user.role, user.custom_role.as_ref().map(|role| (role.id, role.name.clone())));
    Ok(Principal {
        who: who(ActorKey::User(id), &user, teams, &role, user.permissions()),
        unusable: user.disabled.then_some("the user is disabled"),
        name: user.name,
        role,
        role_name,
        key: None,
    })
}

async fn key_principal(tx: &mut Tx, id: ApiKeyId, at: Timestamp, address: Option<IpAddr>) -> Result<Principal> {
    let tenant = tx.tenant()?;
    let key = store::api_keys::get(tx, id).await?;
    let creator = match store::users::get(tx, key.created_by).await {
        Ok(creator) => creator,
        // Its person has left, and the key was revoked with that.
        Err(error) if error.code() == Code::NotFound => return Err(person_left(id)),
        Err(error) => return Err(error),
    };
    let teams = store::teams::of_person(tx, tenant, creator.id).await?;
    let bounds = KeyBounds {
        role: held(key.role, key.custom_role.as_ref(), key.installation),
        own: key.permissions(),
        creator: creator.permissions(),
    };
    let (role, role_name) = role_of(key.role, key.custom_role.as_ref().map(|role| (role.id, role.name.clone())));
    Ok(Principal {
        who: who(ActorKey::ApiKey(id), &creator, teams, &role, bounds.own.intersection(bounds.creator)),
        unusable: why_unusable(&key, &creator, at, address),
        name: format!("the API key `{}`", key.name),
        role,
        role_name,
        key: Some(bounds),
    })
}

fn person_left(id: ApiKeyId) -> Error {
    Error::not_found("api_key_not_found", format!("the person who made the API key {id} has left the workspace"))
}

fn why_unusable(key: &ApiKey, creator: &User, at: Timestamp, address: Option<IpAddr>) -> Option<&'static str> {
    if key.revoked_at.is_some() {
        Some("the key is revoked")
    } else if key.expires_at.is_some_and(|expires_at| at >= expires_at) {
        Some("the key has expired")
    } else if creator.disabled {
        Some("the person who made the key is disabled")
    } else if !networks::allow(&key.addresses, address) {
        Some("the key may not be used from this address")
    } else {
        None
    }
}

fn role_of(role: Role, custom: Option<(RoleId, String)>) -> (RoleName, String) {
    match custom {
        Some((id, name)) => (RoleName::Custom(id), name),
        None => (RoleName::BuiltIn(role), role.to_string()),
    }
}

fn who(actor: ActorKey, person: &User, teams: Arc<[TeamId]>, role: &RoleName, granted: Permissions) -> Who {
    let email_domain = person.email.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned();
    let subject = Subject { role: role.to_string(), email_domain, granted };
    Who { actor, person: Some(person.id), teams, subject: Arc::new(subject), multi_factor: false }
}

/// The roles that have a permission; the tenant's own for those who may see roles.
async fn roles_with(ctx: &Ctx, tx: &mut Tx, action: Permission) -> Result<Vec<String>> {
    let built_in = [Role::Owner, Role::Admin, Role::Editor, Role::Viewer, Role::Service];
    let mut roles: Vec<String> =
        built_in.into_iter().filter(|role| role.permissions().contains(action)).map(|role| role.to_string()).collect();
    if ctx.permissions().contains(Permission::RolesRead) {
        let own = store::roles::all(tx).await?;
        roles.extend(own.into_iter().filter(|role| role.permissions.contains(action)).map(|role| role.name));
    }
    Ok(roles)
}

fn explained(
    ctx: &Ctx,
    principal: &Principal,
    action: Permission,
    decision: &Decision,
    set: &Compiled,
    roles_with_it: Vec<String>,
) -> AccessExplanation {
    let Principal { name, who, role, role_name, unusable, key } = principal;
    let held = who.subject.granted.contains(action);
    let policies = set.matches(decision.statements());
    let which = statements_in_words(&policies);
    let (decided_by, text) = match (unusable, decision) {
        (Some(why), _) => (DecidedBy::NotUsable, format!("{name} may do nothing: {why}.")),
        (None, Decision::Role) => (
            DecidedBy::Role,
            format!("{name} may do `{action}`: the role {role_name} allows it, and no policy forbids it."),
        ),
        (None, Decision::Permitted(_)) => (
            DecidedBy::Policy,
            format!("{name} may do `{action}`: {which} permits it, though the role {role_name} does not have it."),
        ),
        (None, Decision::Forbidden(_)) => {
            let though = if held { format!(", though the role {role_name} allows it") } else { String::new() };
            (DecidedBy::Policy, format!("{name} may not do `{action}` here: {which} forbids it{though}."))
        }
        (None, Decision::Missing) => missing(name, role_name, action, key.as_ref(), &roles_with_it),
    };
    let allowed = unusable.is_none() && decision.is_allowed();
    AccessExplanation {
        allowed,
        decided_by,
        text,
        role: *role,
        role_name: role_name.clone(),
        missing: (!allowed && *decision == Decision::Missing).then_some(action),
        roles_with_it,
        policies: policies.into_iter().map(|policy| as_seen_by(ctx, policy)).collect(),
    }
}

fn missing(
    name: &str,
    role_name: &str,
    action: Permission,
    key: Option<&KeyBounds>,
    roles_with_it: &[String],
) -> (DecidedBy, String) {
    if let Some(key) = key {
        if key.own.contains(action) && !key.creator.contains(action) {
            let text = format!(
                "{name} may not do `{action}`: the person who made it may not do it, and a key never may more."
            );
            return (DecidedBy::Creator, text);
        }
        if key.role.contains(action) && !key.own.contains(action) {
            let text = format!(
                "{name} may not do `{action}`: its role {role_name} would allow it, but its scopes leave it out."
            );
            return (DecidedBy::Scopes, text);
        }
    }
    // Policies never give a key more.
    let role = match key {
        Some(_) => format!("its role {role_name} does not allow it"),
        None => format!("neither the role {role_name} nor a policy allows it"),
    };
    let who_has_it = match roles_with_it {
        [] => "no role has it; operators of the installation do".to_owned(),
        roles => format!("roles that have it: {}", roles.join(", ")),
    };
    let text = format!("{name} may not do `{action}`: {role} ({who_has_it}).");
    (DecidedBy::MissingPermission, text)
}

/// As in "the policy `Office hours` (statement 2)".
fn statements_in_words(policies: &[PolicyMatch]) -> String {
    let named: Vec<String> = policies
        .iter()
        .map(|policy| format!("the policy `{}` (statement {})", policy.name, policy.statement))
        .collect();
    named.join(" and ")
}

/// What a statement says is for those who may see policies.
fn as_seen_by(ctx: &Ctx, policy: PolicyMatch) -> PolicyMatch {
    if ctx.permissions().contains(Permission::PoliciesRead) {
        return policy;
    }
    PolicyMatch { text: String::new(), ..policy }
}
