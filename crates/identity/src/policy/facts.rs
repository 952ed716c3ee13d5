//! Requests in the words of policies.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use cedar_policy as cedar;
use moka::sync::Cache;
use plasma_kernel::{
    Actor, ApiKeyId, ApplicationId, Ctx, Error, Permission, Result, Subject, TeamId, Timestamp, UserId,
};

use super::schema::{uid, vocabulary};

/// Callers and circumstances that are kept in the words of policies, each some hundred bytes.
const CACHED_MAX: u64 = 20_000;
/// Who does not come again in this time is forgotten. What is kept never becomes wrong: it is found by all of its content.
const CACHED_IDLE: Duration = Duration::from_secs(600);
const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;
const HOUR_MICROS: i64 = 3_600 * 1_000_000;

/// Who acts, as a key of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ActorKey {
    User(UserId),
    ApiKey(ApiKeyId),
    Application(ApplicationId, Option<UserId>),
}

impl ActorKey {
    pub(crate) fn actor(self) -> Actor {
        match self {
            Self::User(id) => Actor::User { id },
            Self::ApiKey(id) => Actor::ApiKey { id },
            Self::Application(id, user) => Actor::Application { id, user },
        }
    }
}

/// All that policies may ask about who acts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    pub(crate) actor: ActorKey,
    /// The person behind a key or an application.
    pub(crate) person: Option<UserId>,
    pub(crate) teams: Arc<[TeamId]>,
    pub(crate) subject: Arc<Subject>,
    pub(crate) multi_factor: bool,
}

impl Who {
    /// `None` for the system, which no policy binds.
    pub(crate) fn of(ctx: &Ctx) -> Option<Self> {
        let actor = match *ctx.actor() {
            Actor::User { id } => ActorKey::User(id),
            Actor::ApiKey { id } => ActorKey::ApiKey(id),
            Actor::Application { id, user } => ActorKey::Application(id, user),
            Actor::System { .. } => return None,
        };
        Some(Self {
            actor,
            person: ctx.person(),
            teams: ctx.teams(),
            subject: Arc::clone(ctx.subject()?),
            multi_factor: ctx.authentication().is_some_and(|authentication| authentication.methods.is_multi_factor()),
        })
    }

    /// Whether policies may give them more than their role: a key or an application never gets more than its scopes and the
    /// role of its person.
    pub(crate) fn may_get_more(&self) -> bool {
        matches!(self.actor, ActorKey::User(_))
    }
}

/// Where from, when and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Moment {
    pub(crate) address: IpAddr,
    /// 0 to 23.
    hour: i64,
    /// 1 (Monday) to 7 (Sunday).
    weekday: i64,
    pub(crate) method: &'static str,
}

impl Moment {
    pub(crate) fn new(address: Option<IpAddr>, at: Timestamp, method: &str) -> Self {
        let address = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.to_canonical());
        // The first of January 1970 was a Thursday.
        let weekday = (at.div_euclid(DAY_MICROS) + 3).rem_euclid(7) + 1;
        let hour = at.rem_euclid(DAY_MICROS) / HOUR_MICROS;
        Self { address, hour, weekday, method: known_method(method) }
    }
}

fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"].into_iter().find(|known| *known == method).unwrap_or("OTHER")
}

/// In which kind of network an address is.
fn network_of(address: IpAddr) -> &'static str {
    let private = match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // 100.64.0.0/10 is between providers and their customers.
            address.is_private() || address.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    };
    match address {
        _ if address.is_unspecified() => "unknown",
        _ if address.is_loopback() => "loopback",
        _ if private => "private",
        _ => "public",
    }
}

/// A request that is to be decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) who: &'a Who,
    pub(crate) id: Option<&'a str>,
    pub(crate) within: &'a [String],
    pub(crate) path: &'a str,
    pub(crate) moment: Moment,
}

/// A caller as an entity.
struct Principal {
    uid: cedar::EntityUid,
    /// The role, the teams, and the person of a key or an application.
    above: Vec<cedar::EntityUid>,
    /// Only the caller: what is above them is said of themselves.
    entities: cedar::Entities,
}

/// Makes requests for Cedar, and keeps the parts that come again.
pub(crate) struct Facts {
    principals: Cache<Who, Arc<Principal>>,
    contexts: Cache<Moment, cedar::Context>,
}

impl Facts {
    pub(crate) fn new() -> Self {
        let principals = Cache::builder().max_capacity(CACHED_MAX).time_to_idle(CACHED_IDLE).build();
        let contexts = Cache::builder().max_capacity(CACHED_MAX).time_to_idle(CACHED_IDLE).build();
        Self { principals, contexts }
    }

    /// # Errors
    /// `internal` when the request cannot be said in the words of policies; then it must be refused.
    pub(crate) fn scene<'a>(&self, question: &Question<'a>) -> Result<Scene<'a>> {
        let kind = &vocabulary()?.resource;
        let resource = question.id.or(question.within.last().map(String::as_str)).unwrap_or(question.path);
        let resource = uid(kind, resource);
        let around = question.within.iter().map(|id| uid(kind, id)).filter(|around| *around != resource).collect();
        Ok(Scene {
            principal: self.principal(question.who)?,
            resource,
            around,
            context: self.context(question.moment)?,
            id: question.id,
            path: question.path,
            entities: None,
            request: None,
        })
    }

    fn principal(&self, who: &Who) -> Result<Arc<Principal>> {
        if let Some(known) = self.principals.get(who) {
            return Ok(known);
        }
        let principal = Arc::new(principal(who)?);
        self.principals.insert(who.clone(), Arc::clone(&principal));
        Ok(principal)
    }

    fn context(&self, moment: Moment) -> Result<cedar::Context> {
        if let Some(known) = self.contexts.get(&moment) {
            return Ok(known);
        }
        let text = |text: &str| cedar::RestrictedExpression::new_string(text.to_owned());
        let context = cedar::Context::from_pairs([
            ("address".to_owned(), cedar::RestrictedExpression::new_ip(moment.address.to_string())),
            ("network".to_owned(), text(network_of(moment.address))),
            ("hour".to_owned(), cedar::RestrictedExpression::new_long(moment.hour)),
            ("weekday".to_owned(), cedar::RestrictedExpression::new_long(moment.weekday)),
            ("method".to_owned(), text(moment.method)),
        ])
        .map_err(unsayable)?;
        self.contexts.insert(moment, context.clone());
        Ok(context)
    }
}

fn principal(who: &Who) -> Result<Principal> {
    let vocabulary = vocabulary()?;
    let (uid_of_who, kind) = match who.actor {
        ActorKey::User(id) => (uid(&vocabulary.user, &id.to_string()), "user"),
        ActorKey::ApiKey(id) => (uid(&vocabulary.api_key, &id.to_string()), "api_key"),
        ActorKey::Application(id, _) => (uid(&vocabulary.application, &id.to_string()), "application"),
    };
    let teams: Vec<cedar::EntityUid> = who.teams.iter().map(|team| uid(&vocabulary.team, &team.to_string())).collect();
    let mut above = teams.clone();
    above.push(uid(&vocabulary.role, &who.subject.role));
    // A person is not above themselves, but above their keys and applications.
    if let (Some(person), true) = (who.person, kind != "user") {
        above.push(uid(&vocabulary.user, &person.to_string()));
    }
    let text = |text: &str| cedar::RestrictedExpression::new_string(text.to_owned());
    let teams =
        cedar::RestrictedExpression::new_set(teams.into_iter().map(cedar::RestrictedExpression::new_entity_uid));
    let attributes = [
        ("kind".to_owned(), text(kind)),
        ("role".to_owned(), text(&who.subject.role)),
        ("email_domain".to_owned(), text(&who.subject.email_domain)),
        ("teams".to_owned(), teams),
        ("multi_factor".to_owned(), cedar::RestrictedExpression::new_bool(who.multi_factor)),
    ];
    let entity =
        cedar::Entity::new(uid_of_who.clone(), attributes.into_iter().collect(), above.iter().cloned().collect())
            .map_err(unsayable)?;
    let entities = cedar::Entities::from_entities([entity], None).map_err(unsayable)?;
    Ok(Principal { uid: uid_of_who, above, entities })
}

/// A request in the words of policies, ready for any action.
pub(crate) struct Scene<'a> {
    principal: Arc<Principal>,
    resource: cedar::EntityUid,
    /// The things that the resource is in.
    around: Vec<cedar::EntityUid>,
    context: cedar::Context,
    id: Option<&'a str>,
    path: &'a str,
    /// The entities with the resource as it is for one kind.
    entities: Option<(&'static str, cedar::Entities)>,
    /// The request for the action that was asked for last.
    request: Option<(Permission, cedar::Request)>,
}

impl Scene<'_> {
    /// Whether a statement about these is about this request. The same as Cedar finds, without asking it: most statements are
    /// about somebody or something else.
    pub(super) fn is_about(&self, who: &cedar::PrincipalConstraint, what: &cedar::ResourceConstraint) -> bool {
        let principal = &self.principal;
        let is = |kind: &cedar::EntityTypeName| principal.uid.type_name() == kind;
        let within = |group: &cedar::EntityUid| principal.uid == *group || principal.above.contains(group);
        let about_who = match who {
            cedar::PrincipalConstraint::Any => true,
            cedar::PrincipalConstraint::Is(kind) => is(kind),
            cedar::PrincipalConstraint::Eq(uid) => principal.uid == *uid,
            cedar::PrincipalConstraint::In(group) => within(group),
            cedar::PrincipalConstraint::IsIn(kind, group) => is(kind) && within(group),
        };
        let is = |kind: &cedar::EntityTypeName| self.resource.type_name() == kind;
        let within = |group: &cedar::EntityUid| self.resource == *group || self.around.contains(group);
        about_who
            && match what {
                cedar::ResourceConstraint::Any => true,
                cedar::ResourceConstraint::Is(kind) => is(kind),
                cedar::ResourceConstraint::Eq(uid) => self.resource == *uid,
                cedar::ResourceConstraint::In(group) => within(group),
                cedar::ResourceConstraint::IsIn(kind, group) => is(kind) && within(group),
            }
    }

    /// The request for an action, and the entities that it speaks of. `any_kind`: the statement does not look at the resource's
    /// kind, so that the entities that are there will do.
    ///
    /// # Errors
    /// As [`Facts::scene`].
    pub(super) fn request(
        &mut self,
        action: Permission,
        any_kind: bool,
    ) -> Result<(&cedar::Request, &cedar::Entities)> {
        let request = match self.request.take() {
            Some((known, request)) if known == action => request,
            _ => cedar::Request::new(
                self.principal.uid.clone(),
                vocabulary()?.action(action)?,
                self.resource.clone(),
                self.context.clone(),
                None,
            )
            .map_err(unsayable)?,
        };
        let kind = action.kind();
        let entities = match self.entities.take() {
            Some((known, entities)) if any_kind || known == kind => (known, entities),
            _ => (kind, self.with_resource(kind)?),
        };
        let (_, request) = &*self.request.insert((action, request));
        let (_, entities) = &*self.entities.insert(entities);
        Ok((request, entities))
    }

    fn with_resource(&self, kind: &str) -> Result<cedar::Entities> {
        let text = |text: &str| cedar::RestrictedExpression::new_string(text.to_owned());
        let attributes = [("kind", kind), ("id", self.id.unwrap_or_default()), ("path", self.path)]
            .map(|(name, value)| (name.to_owned(), text(value)));
        let around = self.around.iter().cloned();
        let resource =
            cedar::Entity::new_with_tags(self.resource.clone(), attributes, around, []).map_err(unsayable)?;
        self.principal.entities.clone().add_entities([resource], None).map_err(unsayable)
    }
}

/// What cannot be decided is refused.
fn unsayable(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("a request cannot be put into the words of access policies: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_hours_and_weekdays() {
        let moment = |at| {
            let moment = Moment::new(None, at, "GET");
            (moment.weekday, moment.hour)
        };
        assert_eq!(moment(0), (4, 0));
        assert_eq!(moment(3 * DAY_MICROS + 23 * HOUR_MICROS), (7, 23));
        assert_eq!(moment(4 * DAY_MICROS), (1, 0));
        assert_eq!(moment(-1), (3, 23));
    }

    #[test]
    fn networks_are_told_apart() {
        for (address, network) in [
            ("0.0.0.0", "unknown"),
            ("127.0.0.1", "loopback"),
            ("::1", "loopback"),
            ("10.1.2.3", "private"),
            ("192.168.0.9", "private"),
            ("100.64.0.1", "private"),
            ("100.128.0.1", "public"),
            ("fd00::1", "private"),
            ("fe80::1", "private"),
            ("2001:db8::1", "public"),
            ("192.0.2.1", "public"),
        ] {
            assert_eq!(network_of(address.parse().unwrap()), network, "{address}");
        }
        let mapped = Moment::new(Some("::ffff:10.0.0.1".parse().unwrap()), 0, "TRACE");
        assert_eq!((mapped.address.to_string().as_str(), mapped.method), ("10.0.0.1", "OTHER"));
    }
}
