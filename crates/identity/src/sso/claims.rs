//! What a provider says of a person, and what rules make of it.

use plasma_kernel::{Error, Result, Role, RoleId, TeamId};
use serde_json::{Map, Value};

use super::types::{MadeRule, RequiredClaim};
use crate::MappingRule;

pub(crate) type Claims = Map<String, Value>;

const RULES_MAX: usize = 100;
const CLAIM_CHARS_MAX: usize = 200;
const VALUE_CHARS_MAX: usize = 500;
const REQUIRED_CLAIMS_MAX: usize = 20;
/// A claim with more values than this (somebody's groups) is looked at no further.
const VALUES_MAX: usize = 2_000;

/// What the rules of a connection give somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// The built-in role of the first rule that fits and gives a role.
    pub(crate) role: Option<Role>,
    /// Or its own role of the workspace.
    pub(crate) custom_role: Option<RoleId>,
    /// The teams of all rules that fit, each once.
    pub(crate) teams: Vec<TeamId>,
}

impl Given {
    pub(crate) fn has_role(&self) -> bool {
        self.role.is_some() || self.custom_role.is_some()
    }
}

/// The claim that `path` names: by its whole name, as a JSON pointer, or through nested objects with dots between.
pub(crate) fn find<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (steps, unescape): (Vec<&str>, bool) = match path.strip_prefix('/') {
        Some(pointer) => (pointer.split('/').collect(), true),
        None => (path.split('.').collect(), false),
    };
    let (last, outer) = steps.split_last()?;
    let step = |step: &str| if unescape { step.replace("~1", "/").replace("~0", "~") } else { step.to_owned() };
    let mut inside = claims;
    for name in outer {
        inside = inside.get(&step(name))?.as_object()?;
    }
    inside.get(&step(last))
}

/// The claim's text, for claims that are one.
pub(crate) fn text<'a>(claims: &'a Claims, path: &str) -> Option<&'a str> {
    find(claims, path)?.as_str().filter(|text| !text.is_empty())
}

/// Whether the claim is true, also in the words of providers that have no booleans.
pub(crate) fn is_true(claims: &Claims, path: &str) -> bool {
    match find(claims, path) {
        Some(Value::Bool(is_true)) => *is_true,
        Some(Value::String(text)) => text == "true" || text == "1",
        Some(Value::Number(number)) => number.as_u64() == Some(1),
        _ => false,
    }
}

/// Whether the claim is `value`, or has it among its values.
pub(crate) fn fits(claims: &Claims, path: &str, value: &str) -> bool {
    match find(claims, path) {
        Some(Value::Array(values)) => values.iter().take(VALUES_MAX).any(|one| is_value(one, value)),
        Some(one) => is_value(one, value),
        None => false,
    }
}

fn is_value(claim: &Value, value: &str) -> bool {
    match claim {
        Value::String(text) => text == value,
        Value::Bool(is_true) => value == if *is_true { "true" } else { "false" },
        Value::Number(number) => number.to_string() == value,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Goes through the rules in their order. A rule that gives the role of an owner counts only if an owner made it.
pub(crate) fn given_by(rules: &[MadeRule], claims: &Claims) -> Given {
    let mut given = Given::default();
    for MadeRule { rule, by_owner, .. } in rules {
        if !fits(claims, &rule.claim, &rule.value) {
            continue;
        }
        if !given.has_role() && (rule.role != Some(Role::Owner) || *by_owner) {
            (given.role, given.custom_role) = (rule.role, rule.custom_role);
        }
        if let Some(team) = rule.team.filter(|team| !given.teams.contains(team)) {
            given.teams.push(team);
        }
    }
    given
}

/// Checks the form of rules; whether their maker may make them and their teams exist is checked elsewhere.
///
/// # Errors
/// `invalid`, naming the rule at fault.
pub(crate) fn check_rules(rules: &[MappingRule]) -> Result<()> {
    if rules.len() > RULES_MAX {
        return Err(Error::too_large("rules", format!("a connection has at most {RULES_MAX} rules")));
    }
    for (index, rule) in rules.iter().enumerate() {
        check_claim(&format!("rules[{index}].claim"), &rule.claim)?;
        check_value(&format!("rules[{index}].value"), &rule.value)?;
        if rule.role.is_some() && rule.custom_role.is_some() {
            return Err(Error::invalid(
                format!("rules[{index}].custom_role"),
                "a rule gives one role: `role` or `custom_role`",
            ));
        }
        if rule.role.is_none() && rule.custom_role.is_none() && rule.team.is_none() {
            return Err(Error::invalid(format!("rules[{index}].role"), "a rule gives a role or a team"));
        }
        if rule.role == Some(Role::Service) {
            return Err(Error::invalid(format!("rules[{index}].role"), "the role `service` is for programs")
                .remedy("use editor, which allows the same to a person"));
        }
    }
    Ok(())
}

/// Checks the claims that a connection demands beside its preset's.
///
/// # Errors
/// `invalid`, naming the claim at fault.
pub(crate) fn check_required(required: &[RequiredClaim]) -> Result<()> {
    if required.len() > REQUIRED_CLAIMS_MAX {
        return Err(Error::too_large(
            "required_claims",
            format!("a connection demands at most {REQUIRED_CLAIMS_MAX} claims"),
        ));
    }
    for (index, RequiredClaim { claim, value }) in required.iter().enumerate() {
        check_claim(&format!("required_claims[{index}].claim"), claim)?;
        check_value(&format!("required_claims[{index}].value"), value)?;
    }
    Ok(())
}

/// Checks the name of a claim.
pub(crate) fn check_claim(field: &str, claim: &str) -> Result<()> {
    check_text(field, claim, CLAIM_CHARS_MAX)
}

fn check_value(field: &str, value: &str) -> Result<()> {
    check_text(field, value, VALUE_CHARS_MAX)
}

fn check_text(field: &str, text: &str, chars_max: usize) -> Result<()> {
    let chars = text.chars().count();
    if chars == 0 || chars > chars_max {
        return Err(Error::invalid(field, format!("must be 1 to {chars_max} characters, got {chars}")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims() -> Claims {
        json!({
            "email": "ada@example.org",
            "groups": ["writers", "admins"],
            "https://acme.example/roles": ["lead"],
            "realm_access": { "roles": ["editor"], "a/b": "c" },
            "level": 3,
            "staff": true,
        })
        .as_object()
        .unwrap()
        .clone()
    }

    fn rule(claim: &str, value: &str, role: Option<Role>, team: Option<TeamId>, by_owner: bool) -> MadeRule {
        let rule = MappingRule { claim: claim.to_owned(), value: value.to_owned(), role, custom_role: None, team };
        MadeRule { rule, made_by: None, by_owner }
    }

    #[test]
    fn claims_are_found_by_name_by_dots_and_by_pointer() {
        let claims = claims();
        assert!(fits(&claims, "groups", "admins"));
        assert!(fits(&claims, "https://acme.example/roles", "lead"));
        assert!(fits(&claims, "realm_access.roles", "editor"));
        assert!(fits(&claims, "/realm_access/roles", "editor"));
        assert!(fits(&claims, "/realm_access/a~1b", "c"));
        assert!(fits(&claims, "level", "3"));
        assert!(fits(&claims, "staff", "true"));
        for (path, value) in [
            ("groups", "Admins"),
            ("groups", "admin"),
            ("realm_access", "editor"),
            ("missing", ""),
            ("a.b.c", "x"),
            ("/", "x"),
        ] {
            assert!(!fits(&claims, path, value), "{path} {value}");
        }
    }

    #[test]
    fn verified_is_said_in_several_ways_but_never_by_silence() {
        for said in [json!(true), json!("true"), json!("1"), json!(1)] {
            assert!(is_true(json!({ "v": said }).as_object().unwrap(), "v"), "{said}");
        }
        for said in [json!(false), json!("false"), json!("yes"), json!(0), json!(null), json!(["true"]), json!({})] {
            assert!(!is_true(json!({ "v": said }).as_object().unwrap(), "v"), "{said}");
        }
        assert!(!is_true(&claims(), "missing"));
    }

    #[test]
    fn the_first_role_counts_and_every_team() {
        let (one, two) = (TeamId::from_bits(1), TeamId::from_bits(2));
        let rules = [
            rule("groups", "nobody", Some(Role::Admin), Some(two), false),
            rule("groups", "writers", None, Some(one), false),
            rule("groups", "writers", Some(Role::Viewer), None, false),
            rule("groups", "admins", Some(Role::Admin), Some(one), false),
            rule("staff", "true", None, Some(two), false),
        ];
        let given = given_by(&rules, &claims());
        assert_eq!(given, Given { role: Some(Role::Viewer), custom_role: None, teams: vec![one, two] });
        assert!(!given_by(&rules, &Claims::new()).has_role());
    }

    #[test]
    fn a_rule_makes_owners_only_if_an_owner_made_it() {
        let by = |by_owner| {
            let rules = [
                rule("groups", "admins", Some(Role::Owner), None, by_owner),
                rule("groups", "admins", Some(Role::Editor), None, false),
            ];
            given_by(&rules, &claims()).role
        };
        assert_eq!(by(true), Some(Role::Owner));
        assert_eq!(by(false), Some(Role::Editor));
    }

    #[test]
    fn rules_without_an_effect_are_refused() {
        let rules = |role, team| {
            check_rules(&[MappingRule { claim: "a".to_owned(), value: "b".to_owned(), role, custom_role: None, team }])
        };
        assert!(rules(Some(Role::Editor), None).is_ok());
        assert!(rules(None, Some(TeamId::from_bits(1))).is_ok());
        assert_eq!(rules(None, None).unwrap_err().field_name(), Some("rules[0].role"));
        assert_eq!(rules(Some(Role::Service), None).unwrap_err().field_name(), Some("rules[0].role"));
        let empty = MappingRule {
            claim: String::new(),
            value: "b".to_owned(),
            role: Some(Role::Editor),
            custom_role: None,
            team: None,
        };
        assert_eq!(check_rules(&[empty]).unwrap_err().field_name(), Some("rules[0].claim"));
    }
}
