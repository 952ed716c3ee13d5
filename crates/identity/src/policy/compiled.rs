//! A tenant's policies, ready to decide.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use cedar_policy as cedar;
use plasma_kernel::{Error, Permission, Permissions, PolicyId, Result};

use super::{
    facts::Scene,
    text::{Statement, parse},
};
use crate::{PolicyEffect, PolicyMatch, types::INSTALLATION};

/// A policy that is in force.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) id: PolicyId,
    pub(crate) name: String,
    pub(crate) text: String,
}

/// What is said about a permission. The numbers name statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The role allows it, and nothing forbids it.
    Role,
    /// Statements allow it, and nothing forbids it.
    Permitted(Vec<usize>),
    /// Statements forbid it.
    Forbidden(Vec<usize>),
    /// Neither the role nor a statement allows it.
    Missing,
}

impl Decision {
    pub(crate) fn is_allowed(&self) -> bool {
        matches!(self, Self::Role | Self::Permitted(_))
    }

    /// The statements that decided.
    pub(crate) fn statements(&self) -> &[usize] {
        match self {
            Self::Permitted(statements) | Self::Forbidden(statements) => statements,
            Self::Role | Self::Missing => &[],
        }
    }
}

/// A statement as it is told to people.
struct Known {
    policy: PolicyId,
    name: Arc<str>,
    number: u32,
    effect: PolicyEffect,
    text: String,
}

/// Permissions for which the same statements matter, and for which these say the same.
struct Class {
    actions: Permissions,
    /// The action that is asked for in place of all.
    action: Permission,
    forbids: Option<cedar::PolicySet>,
    permits: Option<cedar::PolicySet>,
    /// No statement looks at the resource's kind.
    any_kind: bool,
}

/// All policies of a tenant that are in force.
pub(crate) struct Compiled {
    statements: Vec<Known>,
    classes: Vec<Class>,
    /// The class of each permission, in the order of [`Permission::ALL`].
    class_of: Vec<Option<usize>>,
    /// The statement that stands for a policy that cannot be read.
    unreadable: Option<usize>,
}

/// What is left to everybody who holds it when a policy cannot be read: to look at policies and to mend them.
const MENDING: [Permission; 2] = [Permission::PoliciesRead, Permission::PoliciesWrite];

impl Compiled {
    /// A text that cannot be read (it was checked when it was kept, so by a program that understood more) forbids all but mending
    /// it.
    ///
    /// # Errors
    /// `internal` when Cedar does not take the statements.
    pub(crate) fn of(sources: Vec<Source>) -> Result<Self> {
        let mut statements = Vec::new();
        let mut parsed = Vec::new();
        let mut unreadable = None;
        for Source { id, name, text } in sources {
            let name: Arc<str> = name.into();
            match parse(&text) {
                Ok(read) => {
                    for statement in read {
                        statements.push(Known {
                            policy: id,
                            name: Arc::clone(&name),
                            number: statement.number,
                            effect: statement.effect,
                            text: statement.text.clone(),
                        });
                        parsed.push(Some(statement));
                    }
                }
                Err(problems) => {
                    tracing::error!(policy = %id, ?problems, "an access policy cannot be read");
                    unreadable = Some(statements.len());
                    let text = "(cannot be read)".to_owned();
                    statements.push(Known { policy: id, name, number: 1, effect: PolicyEffect::Forbid, text });
                    parsed.push(None);
                }
            }
        }
        let (classes, class_of) = classes(&parsed)?;
        Ok(Self { statements, classes, class_of, unreadable })
    }

    /// What is decided about one permission. `more`: statements may add to what is `granted`.
    ///
    /// # Errors
    /// `internal` when it cannot be decided; then it must be refused.
    pub(crate) fn decide(
        &self,
        action: Permission,
        granted: Permissions,
        more: bool,
        scene: &mut Scene<'_>,
    ) -> Result<Decision> {
        let held = granted.contains(action);
        if let (Some(statement), false) = (self.unreadable, MENDING.contains(&action)) {
            return Ok(if held { Decision::Forbidden(vec![statement]) } else { Decision::Missing });
        }
        let class = self.class_of.get(usize::from(action as u8)).copied().flatten();
        let Some(class) = class.and_then(|class| self.classes.get(class)) else {
            return Ok(if held { Decision::Role } else { Decision::Missing });
        };
        let permitted = match (held, more && !INSTALLATION.contains(&action)) {
            (true, _) | (false, false) => Vec::new(),
            (false, true) => class.satisfied(class.permits.as_ref(), action, scene)?,
        };
        if !held && permitted.is_empty() {
            return Ok(Decision::Missing);
        }
        let forbidden = class.satisfied(class.forbids.as_ref(), action, scene)?;
        Ok(match (forbidden.is_empty(), held) {
            (false, _) => Decision::Forbidden(forbidden),
            (true, true) => Decision::Role,
            (true, false) => Decision::Permitted(permitted),
        })
    }

    /// All that is allowed in a request: what is `granted`, without what statements forbid, and (`more`) with what they permit.
    ///
    /// # Errors
    /// As [`Compiled::decide`].
    pub(crate) fn allowed(&self, granted: Permissions, more: bool, scene: &mut Scene<'_>) -> Result<Permissions> {
        let installation: Permissions = INSTALLATION.into_iter().collect();
        let mut allowed = granted;
        for class in &self.classes {
            let held = class.actions.intersection(granted);
            let rest = if more { class.actions.without(granted).without(installation) } else { Permissions::none() };
            let permitted = !rest.is_empty()
                && class.permits.is_some()
                && !class.satisfied(class.permits.as_ref(), class.action, scene)?.is_empty();
            if held.is_empty() && !permitted {
                continue;
            }
            if !class.satisfied(class.forbids.as_ref(), class.action, scene)?.is_empty() {
                allowed = allowed.without(class.actions);
            } else if permitted {
                allowed = allowed.union(rest);
            }
        }
        if self.unreadable.is_some() {
            allowed = allowed.intersection(MENDING.into_iter().collect());
        }
        Ok(allowed)
    }

    /// How many statements there are.
    pub(crate) fn count(&self) -> usize {
        self.statements.len()
    }

    /// The statements as they are told to people.
    pub(crate) fn matches(&self, statements: &[usize]) -> Vec<PolicyMatch> {
        let known = statements.iter().filter_map(|statement| self.statements.get(*statement));
        known
            .map(|known| PolicyMatch {
                policy: known.policy,
                name: known.name.to_string(),
                statement: known.number,
                effect: known.effect,
                text: known.text.clone(),
            })
            .collect()
    }

    /// The name of the first policy among the statements.
    pub(crate) fn name_of(&self, statements: &[usize]) -> &str {
        statements.first().and_then(|statement| self.statements.get(*statement)).map_or("", |known| known.name.as_ref())
    }
}

impl Class {
    /// The numbers of the statements that hold. One that fails while it is looked at forbids; it does not permit.
    fn satisfied(
        &self,
        set: Option<&cedar::PolicySet>,
        action: Permission,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<usize>> {
        let Some(set) = set else { return Ok(Vec::new()) };
        let (request, entities) = scene.request(action, self.any_kind)?;
        let response = cedar::Authorizer::new().is_authorized(&request, set, entities);
        let mut holding: Vec<usize> = response.diagnostics().reason().filter_map(number_of).collect();
        for error in response.diagnostics().errors() {
            let cedar::AuthorizationError::PolicyEvaluationError(error) = error;
            let forbids = set.policy(error.policy_id()).is_some_and(|policy| policy.effect() == cedar::Effect::Forbid);
            if forbids {
                holding.extend(number_of(error.policy_id()));
            }
        }
        holding.sort_unstable();
        Ok(holding)
    }
}

/// The statement that Cedar knows by this name.
fn number_of(id: &cedar::PolicyId) -> Option<usize> {
    let id: &str = id.as_ref();
    id.parse().ok()
}

/// What tells one class from another: its statements, and what they look at beside the caller and the circumstances.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ClassKey {
    statements: Vec<usize>,
    action: Option<Permission>,
    kind: Option<&'static str>,
}

fn classes(statements: &[Option<Statement>]) -> Result<(Vec<Class>, Vec<Option<usize>>)> {
    let mut classes: Vec<Class> = Vec::new();
    let mut known: BTreeMap<ClassKey, usize> = BTreeMap::new();
    let mut class_of = Vec::with_capacity(Permission::ALL.len());
    for action in Permission::ALL.iter().copied() {
        let fitting: Vec<(usize, &Statement)> = statements
            .iter()
            .enumerate()
            .filter_map(|(number, statement)| Some((number, statement.as_ref()?)))
            .filter(|(_, statement)| statement.actions.contains(action))
            .collect();
        if fitting.is_empty() {
            class_of.push(None);
            continue;
        }
        let any_kind = !fitting.iter().any(|(_, statement)| statement.mentions_kind);
        let key = ClassKey {
            statements: fitting.iter().map(|(number, _)| *number).collect(),
            action: fitting.iter().any(|(_, statement)| statement.mentions_action).then_some(action),
            kind: (!any_kind).then_some(action.kind()),
        };
        let place = match known.get(&key).copied() {
            Some(place) => place,
            None => {
                let forbids = set_of(&fitting, PolicyEffect::Forbid)?;
                let permits = set_of(&fitting, PolicyEffect::Permit)?;
                classes.push(Class { actions: Permissions::none(), action, forbids, permits, any_kind });
                known.insert(key, classes.len() - 1);
                classes.len() - 1
            }
        };
        if let Some(class) = classes.get_mut(place) {
            class.actions = class.actions.with(action);
        }
        class_of.push(Some(place));
    }
    Ok((classes, class_of))
}

/// The statements of one effect; `None` when there is none.
fn set_of(statements: &[(usize, &Statement)], effect: PolicyEffect) -> Result<Option<cedar::PolicySet>> {
    let mut set = cedar::PolicySet::new();
    for (number, statement) in statements.iter().filter(|(_, statement)| statement.effect == effect) {
        set.add(statement.policy.new_id(cedar::PolicyId::new(number.to_string())))
            .map_err(|error| Error::internal(format!("an access policy cannot be compiled: {error}")))?;
    }
    Ok((!set.is_empty()).then_some(set))
}
