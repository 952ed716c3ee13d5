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

/// A statement of a policy that is in force.
struct Known {
    policy: PolicyId,
    name: Arc<str>,
    number: u32,
    effect: PolicyEffect,
    text: String,
    /// What Cedar needs to decide it; `None` for one that cannot be read.
    rule: Option<Rule>,
}

/// A statement as it is decided.
struct Rule {
    who: cedar::PrincipalConstraint,
    what: cedar::ResourceConstraint,
    actions: Permissions,
    /// The statement alone, when it has conditions: without, its scope decides.
    conditions: Option<cedar::PolicySet>,
    /// The action with which Cedar is asked, when the conditions are the same for all.
    action: Permission,
    mentions_action: bool,
    mentions_kind: bool,
}

impl Rule {
    fn of(statement: &Statement) -> Result<Self> {
        let policy = &statement.policy;
        let conditions = if policy.has_non_scope_constraint() {
            let set = cedar::PolicySet::from_policies([policy.clone()]);
            Some(set.map_err(|error| Error::internal(format!("an access policy cannot be compiled: {error}")))?)
        } else {
            None
        };
        Ok(Self {
            who: policy.principal_constraint(),
            what: policy.resource_constraint(),
            actions: statement.actions,
            conditions,
            action: statement.actions.iter().next().unwrap_or(Permission::CollectionsRead),
            mentions_action: statement.mentions_action,
            mentions_kind: statement.mentions_kind,
        })
    }

    /// Whether it says the same for every action of its scope.
    fn is_the_same_for_all(&self) -> bool {
        !self.mentions_action && !self.mentions_kind
    }
}

/// Permissions for which the same statements matter, and for which these say the same.
struct Class {
    actions: Permissions,
    /// The action that is asked for in place of all.
    action: Permission,
    forbids: Vec<usize>,
    permits: Vec<usize>,
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
        let mut unreadable = None;
        for Source { id, name, text } in sources {
            let name: Arc<str> = name.into();
            let known =
                |number, effect, text, rule| Known { policy: id, name: Arc::clone(&name), number, effect, text, rule };
            match parse(&text) {
                Ok(read) => {
                    for statement in read {
                        let rule = Rule::of(&statement)?;
                        statements.push(known(statement.number, statement.effect, statement.text, Some(rule)));
                    }
                }
                Err(problems) => {
                    tracing::error!(policy = %id, ?problems, "an access policy cannot be read");
                    unreadable = Some(statements.len());
                    statements.push(known(1, PolicyEffect::Forbid, "(cannot be read)".to_owned(), None));
                }
            }
        }
        let (classes, class_of) = classes(&statements);
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
        let mut judge = Judge::new(self, scene);
        let permitted = if !held && more && !INSTALLATION.contains(&action) {
            judge.all(&class.permits, action)?
        } else {
            Vec::new()
        };
        if !held && permitted.is_empty() {
            return Ok(Decision::Missing);
        }
        let forbidden = judge.all(&class.forbids, action)?;
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
        let mut judge = Judge::new(self, scene);
        let mut allowed = granted;
        for class in &self.classes {
            let held = class.actions.intersection(granted);
            let rest = if more { class.actions.without(granted).without(installation) } else { Permissions::none() };
            let permitted = !rest.is_empty() && judge.any(&class.permits, class.action)?;
            if held.is_empty() && !permitted {
                continue;
            }
            if judge.any(&class.forbids, class.action)? {
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

/// One request before a tenant's statements: what is known of one is not asked again.
struct Judge<'s, 'a> {
    set: &'s Compiled,
    scene: &'s mut Scene<'a>,
    /// For each statement that is the same for all actions, whether it holds.
    known: Vec<Option<bool>>,
}

impl<'s, 'a> Judge<'s, 'a> {
    fn new(set: &'s Compiled, scene: &'s mut Scene<'a>) -> Self {
        Self { set, scene, known: vec![None; set.statements.len()] }
    }

    /// Whether one of the statements holds.
    fn any(&mut self, statements: &[usize], action: Permission) -> Result<bool> {
        for statement in statements {
            if self.holds(*statement, action)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The statements that hold.
    fn all(&mut self, statements: &[usize], action: Permission) -> Result<Vec<usize>> {
        let mut holding = Vec::new();
        for statement in statements {
            if self.holds(*statement, action)? {
                holding.push(*statement);
            }
        }
        Ok(holding)
    }

    fn holds(&mut self, number: usize, action: Permission) -> Result<bool> {
        if let Some(Some(known)) = self.known.get(number) {
            return Ok(*known);
        }
        let Some(Known { rule: Some(rule), effect, .. }) = self.set.statements.get(number) else { return Ok(false) };
        let same = rule.is_the_same_for_all();
        let holds = if !self.scene.is_about(&rule.who, &rule.what) {
            false
        } else if let Some(conditions) = &rule.conditions {
            let (request, entities) =
                self.scene.request(if same { rule.action } else { action }, !rule.mentions_kind)?;
            let response = cedar::Authorizer::new().is_authorized(request, conditions, entities);
            let failed = response.diagnostics().errors().next().is_some();
            // One that fails while it is looked at forbids; it does not permit.
            response.diagnostics().reason().next().is_some() || (failed && *effect == PolicyEffect::Forbid)
        } else {
            true
        };
        if same && let Some(known) = self.known.get_mut(number) {
            *known = Some(holds);
        }
        Ok(holds)
    }
}

/// What tells one class from another: its statements, and what they look at beside the caller and the circumstances.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ClassKey {
    statements: Vec<usize>,
    action: Option<Permission>,
    kind: Option<&'static str>,
}

fn classes(statements: &[Known]) -> (Vec<Class>, Vec<Option<usize>>) {
    let mut classes: Vec<Class> = Vec::new();
    let mut known: BTreeMap<ClassKey, usize> = BTreeMap::new();
    let mut class_of = Vec::with_capacity(Permission::ALL.len());
    for action in Permission::ALL.iter().copied() {
        let fitting: Vec<(usize, PolicyEffect, &Rule)> = statements
            .iter()
            .enumerate()
            .filter_map(|(number, statement)| Some((number, statement.effect, statement.rule.as_ref()?)))
            .filter(|(_, _, rule)| rule.actions.contains(action))
            .collect();
        if fitting.is_empty() {
            class_of.push(None);
            continue;
        }
        let key = ClassKey {
            statements: fitting.iter().map(|(number, ..)| *number).collect(),
            action: fitting.iter().any(|(_, _, rule)| rule.mentions_action).then_some(action),
            kind: fitting.iter().any(|(_, _, rule)| rule.mentions_kind).then_some(action.kind()),
        };
        let place = match known.get(&key).copied() {
            Some(place) => place,
            None => {
                let of = |effect| {
                    let those = fitting.iter().filter(|(_, known, _)| *known == effect);
                    those.map(|(number, ..)| *number).collect::<Vec<_>>()
                };
                let (forbids, permits) = (of(PolicyEffect::Forbid), of(PolicyEffect::Permit));
                classes.push(Class { actions: Permissions::none(), action, forbids, permits });
                known.insert(key, classes.len() - 1);
                classes.len() - 1
            }
        };
        if let Some(class) = classes.get_mut(place) {
            class.actions = class.actions.with(action);
        }
        class_of.push(Some(place));
    }
    (classes, class_of)
}
