//! Reading and checking a policy's text.

use cedar_policy::{self as cedar, ffi::DetailedError};
use plasma_kernel::{Permission, Permissions, Result};

use super::schema::vocabulary;
use crate::{PolicyEffect, PolicyProblem, TextPlace, types::INSTALLATION};

/// Bytes of a text.
pub(crate) const TEXT_BYTES_MAX: usize = 10_000;
/// Statements of a text.
const STATEMENTS_MAX: usize = 50;
/// Words and signs of a statement: a chain of operators is as deep as it is long.
const TOKENS_MAX: usize = 1_000;
/// Brackets in brackets; the parser goes as deep as the text does.
const DEPTH_MAX: usize = 30;
/// `if`s of a statement, which nest without brackets.
const IFS_MAX: usize = 20;
/// Characters of a message of Cedar that are kept.
const MESSAGE_CHARS_MAX: usize = 600;
/// Problems that are told at once.
const PROBLEMS_MAX: usize = 50;

/// One `permit` or `forbid`.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(super) policy: cedar::Policy,
    /// Which of its text, counted from 1.
    pub(super) number: u32,
    pub(super) text: String,
    pub(super) effect: PolicyEffect,
    /// The permissions that its scope matches.
    pub(super) actions: Permissions,
    /// Whether its conditions may look at the action, so that it cannot be decided for several at once.
    pub(super) mentions_action: bool,
    /// Whether its conditions may look at a kind, which differs from permission to permission.
    pub(super) mentions_kind: bool,
}

/// A text that was looked at.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) problems: Vec<PolicyProblem>,
    /// Empty when there is an error.
    pub(super) statements: Vec<Statement>,
}

impl Checked {
    /// The first thing that keeps the text from being kept.
    pub(crate) fn error(&self) -> Option<&PolicyProblem> {
        self.problems.iter().find(|problem| problem.is_error)
    }

    pub(crate) fn count(&self) -> u64 {
        self.statements.len() as u64
    }

    /// All that its `permit`s may give somebody.
    pub(crate) fn permits(&self) -> Permissions {
        let given = self.statements.iter().filter(|statement| statement.effect == PolicyEffect::Permit);
        let given = given.fold(Permissions::none(), |all, statement| all.union(statement.actions));
        given.without(INSTALLATION.into_iter().collect())
    }
}

/// Reads a text and compares it with the schema. It may take some milliseconds.
///
/// # Errors
/// `internal` when the schema itself is wrong.
pub(crate) fn check(text: &str) -> Result<Checked> {
    let statements = match parse(text) {
        Ok(statements) => statements,
        Err(problems) => return Ok(Checked { problems, statements: Vec::new() }),
    };
    let vocabulary = vocabulary()?;
    let mut set = cedar::PolicySet::new();
    for statement in &statements {
        // Two with one id there are not: they are numbered.
        let _ = set.add(statement.policy.clone());
    }
    let result = vocabulary.validator.validate(&set, cedar::ValidationMode::Strict);
    let errors = result.validation_errors().map(|error| problem(text, &DetailedError::from(error), true));
    let warnings = result.validation_warnings().map(|warning| problem(text, &DetailedError::from(warning), false));
    let mut problems: Vec<PolicyProblem> = errors.chain(warnings).collect();
    problems.extend(statements.iter().filter_map(|statement| without_effect(text, statement)));
    // What is wrong for users is wrong for keys too; it is told once.
    let order = |problem: &PolicyProblem| (!problem.is_error, problem.start, problem.message.clone());
    problems.sort_by_cached_key(order);
    problems.dedup();
    problems.truncate(PROBLEMS_MAX);
    let wrong = problems.iter().any(|problem| problem.is_error);
    Ok(Checked { problems, statements: if wrong { Vec::new() } else { statements } })
}

/// Reads a text without comparing it with the schema.
pub(super) fn parse(text: &str) -> std::result::Result<Vec<Statement>, Vec<PolicyProblem>> {
    if let Some(problem) = beyond_bounds(text) {
        return Err(vec![problem]);
    }
    let set = text.parse::<cedar::PolicySet>().map_err(|errors| {
        let first = errors.iter().take(PROBLEMS_MAX);
        first.map(|error| problem(text, &DetailedError::from(error), true)).collect::<Vec<_>>()
    })?;
    if set.num_of_templates() > 0 {
        return Err(vec![at(text, 0, "a policy cannot have the slots `?principal` and `?resource` of a template")]);
    }
    let mut numbered: Vec<(u32, &cedar::Policy)> =
        set.policies().map(|policy| (number_of(policy.id()), policy)).collect();
    numbered.sort_by_key(|(number, _)| *number);
    if numbered.is_empty() {
        return Err(vec![at(text, 0, "there is no statement: write at least one `permit (…);` or `forbid (…);`")]);
    }
    if numbered.len() > STATEMENTS_MAX {
        let what = format!("a policy has at most {STATEMENTS_MAX} statements, this one has {}", numbered.len());
        return Err(vec![at(text, 0, what)]);
    }
    Ok(numbered.into_iter().map(|(number, policy)| statement(number, policy)).collect())
}

/// Cedar calls them `policy0`, `policy1` … in the order of the text.
fn number_of(id: &cedar::PolicyId) -> u32 {
    let id: &str = id.as_ref();
    id.strip_prefix("policy").and_then(|number| number.parse::<u32>().ok()).unwrap_or(0).saturating_add(1)
}

fn statement(number: u32, policy: &cedar::Policy) -> Statement {
    let text = policy.to_cedar().unwrap_or_default();
    let words = |wanted: &str| {
        Lexer::new(&text).filter(|(_, token)| matches!(token, Token::Word(word) if *word == wanted)).count()
    };
    Statement {
        number,
        effect: match policy.effect() {
            cedar::Effect::Permit => PolicyEffect::Permit,
            cedar::Effect::Forbid => PolicyEffect::Forbid,
        },
        actions: Permission::ALL.iter().copied().filter(|action| matches(policy, *action)).collect(),
        // The scope names it once.
        mentions_action: words("action") > 1,
        // An attribute may also be written as a text, as in `resource["kind"]`.
        mentions_kind: words("kind") > 0 || text.contains("\"kind\""),
        policy: policy.clone(),
        text,
    }
}

fn matches(policy: &cedar::Policy, permission: Permission) -> bool {
    let names = |uid: &cedar::EntityUid| uid.id().unescaped() == permission.as_str();
    match policy.action_constraint() {
        cedar::ActionConstraint::Any => true,
        cedar::ActionConstraint::Eq(action) => names(&action),
        cedar::ActionConstraint::In(actions) => actions.iter().any(names),
    }
}

/// A `permit` for keys or applications says nothing: they never get more than their scopes and their person's role.
fn without_effect(text: &str, statement: &Statement) -> Option<PolicyProblem> {
    if statement.effect == PolicyEffect::Forbid {
        return None;
    }
    let kind = match statement.policy.principal_constraint() {
        cedar::PrincipalConstraint::Is(kind) | cedar::PrincipalConstraint::IsIn(kind, _) => kind,
        cedar::PrincipalConstraint::Eq(uid) => uid.type_name().clone(),
        cedar::PrincipalConstraint::Any | cedar::PrincipalConstraint::In(_) => return None,
    };
    if !matches!(kind.basename(), "ApiKey" | "Application") {
        return None;
    }
    let offset = text.find(&statement.text).unwrap_or(0);
    let mut problem = at(text, offset, "this statement gives nothing: a `permit` holds for people who logged in only");
    problem.is_error = false;
    problem.help = Some("give the key or the application a wider role or scope".to_owned());
    Some(problem)
}

/// What of Cedar's diagnostics a person needs.
fn problem(text: &str, details: &DetailedError, is_error: bool) -> PolicyProblem {
    let (start, end) = details.source_locations.first().map_or((0, 0), |label| (label.loc.start, label.loc.end));
    let help = details.help.as_deref().map(shortened);
    PolicyProblem {
        is_error,
        message: message(&details.message),
        help,
        start: place(text, start),
        end: place(text, end),
    }
}

fn at(text: &str, offset: usize, message: impl Into<String>) -> PolicyProblem {
    let start = place(text, offset);
    PolicyProblem { is_error: true, message: message.into(), help: None, start, end: start }
}

/// Without the name of the statement, which is ours and not the writer's.
fn message(text: &str) -> String {
    let own = text.strip_prefix("for policy `").and_then(|rest| rest.split_once('`'));
    shortened(own.map_or(text, |(_, rest)| rest.trim_start_matches([',', ':', ' '])))
}

fn shortened(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).collect()
}

/// A byte's line and column, both counted from 1.
fn place(text: &str, offset: usize) -> TextPlace {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    let line = before.matches('\n').count() + 1;
    TextPlace { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
}

/// What the parser must not be given: it goes as deep as the text does.
fn beyond_bounds(text: &str) -> Option<PolicyProblem> {
    if text.len() > TEXT_BYTES_MAX {
        return Some(at(text, 0, format!("a policy has at most {TEXT_BYTES_MAX} bytes, this one has {}", text.len())));
    }
    let (mut depth, mut ifs, mut tokens) = (0_usize, 0_usize, 0_usize);
    for (offset, token) in Lexer::new(text) {
        tokens += 1;
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            Token::Word("if") => ifs += 1,
            Token::End => (ifs, tokens) = (0, 0),
            Token::Word(_) | Token::Other => {}
        }
        let too_much = if depth > DEPTH_MAX {
            format!("brackets are nested deeper than {DEPTH_MAX}")
        } else if ifs > IFS_MAX {
            format!("a statement has at most {IFS_MAX} `if`s")
        } else if tokens > TOKENS_MAX {
            format!("a statement has at most {TOKENS_MAX} words and signs")
        } else {
            continue;
        };
        return Some(at(text, offset, too_much));
    }
    None
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Open,
    Close,
    /// The end of a statement.
    End,
    /// Texts, numbers, operators.
    Other,
}

/// Words and signs with their offsets, without spaces and comments.
struct Lexer<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = (usize, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.text.get(self.position..)?;
            let first = rest.chars().next()?;
            if first.is_whitespace() {
                self.position += first.len_utf8();
                continue;
            }
            if rest.starts_with("//") {
                self.position += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            let start = self.position;
            let (length, token) = match first {
                '"' => (quoted_bytes(rest), Token::Other),
                '(' | '[' | '{' => (1, Token::Open),
                ')' | ']' | '}' => (1, Token::Close),
                ';' => (1, Token::End),
                _ if is_word(first) => {
                    let length = rest.find(|letter: char| !is_word(letter)).unwrap_or(rest.len());
                    (length, Token::Word(rest.get(..length).unwrap_or_default()))
                }
                _ => (first.len_utf8(), Token::Other),
            };
            self.position += length;
            return Some((start, token));
        }
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Bytes of the text in quotes at the beginning of `text`; all of it when the quotes are not closed.
fn quoted_bytes(text: &str) -> usize {
    let mut escaped = false;
    for (offset, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return offset + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Vec<PolicyProblem> {
        check(text).unwrap().problems
    }

    #[test]
    fn a_right_text_is_read_in_its_order() {
        let checked = check(
            "// Office hours\nforbid (principal, action, resource) when { context.hour < 8 };\n\n\
             permit (principal in Team::\"team_1\", action in [Action::\"users:read\", Action::\"teams:read\"], resource);",
        )
        .unwrap();
        assert!(checked.problems.is_empty(), "{:?}", checked.problems);
        let [first, second] = checked.statements.as_slice() else { panic!("{:?}", checked.statements) };
        assert_eq!((first.number, first.effect), (1, PolicyEffect::Forbid));
        assert_eq!(first.actions, Permissions::all());
        assert_eq!((second.number, second.effect), (2, PolicyEffect::Permit));
        let read = [Permission::UsersRead, Permission::TeamsRead].into_iter().collect();
        assert_eq!(second.actions, read);
        assert_eq!(checked.permits(), read);
        assert!(second.text.starts_with("permit") && second.text.ends_with(';'));
    }

    #[test]
    fn mistakes_are_told_at_their_place() {
        let wrong = problems("forbid (principal, action, resource)\nwhen { principal.colour == \"red\" };");
        assert_eq!((wrong[0].is_error, wrong[0].start.line), (true, 2), "{wrong:?}");
        assert!(wrong[0].message.contains("colour") && !wrong[0].message.contains("policy0"), "{wrong:?}");

        let unknown = problems("permit (principal, action == Action::\"rockets:launch\", resource);");
        assert!(unknown[0].is_error && unknown[0].message.contains("rockets:launch"), "{unknown:?}");

        let broken = problems("forbid (principal, action, resource)\n  whenn { true };");
        assert_eq!(broken[0].start, TextPlace { line: 2, column: 3 }, "{broken:?}");

        let types = problems("forbid (principal, action, resource) when { context.hour == \"noon\" };");
        assert!(types[0].is_error, "{types:?}");
        assert!(problems("").iter().any(|problem| problem.message.contains("no statement")));
        assert!(problems("permit (principal == ?principal, action, resource);")[0].message.contains("slots"));
    }

    #[test]
    fn a_statement_that_can_never_hold_is_a_warning() {
        let never = problems("forbid (principal, action, resource) when { principal.kind == \"a\" && false };");
        assert!(!never.is_empty() && never.iter().all(|problem| !problem.is_error), "{never:?}");
        let key = problems("permit (principal is ApiKey, action, resource);");
        assert!(key.iter().any(|problem| !problem.is_error && problem.message.contains("logged in")), "{key:?}");
    }

    #[test]
    fn every_attribute_of_the_schema_can_be_used() {
        let text = "forbid (principal, action == Action::\"content:write\", resource in Resource::\"col_1\")
            when { principal.kind == \"user\" && principal.role == \"editor\" && principal.email_domain like \"*.example.org\"
              && principal.teams.contains(Team::\"team_1\") && !principal.multi_factor && principal in Role::\"editor\"
              && principal in User::\"usr_1\" }
            when { resource.kind == \"content\" && resource.id == \"doc_1\" && resource.path like \"/api/v1/content/*\" }
            unless { context.address.isInRange(ip(\"10.0.0.0/8\")) || context.hour >= 18 || context.weekday > 5
              || context.network == \"private\" || context.method == \"GET\" };";
        assert!(problems(text).is_empty(), "{:?}", problems(text));
        assert!(check(text).unwrap().statements[0].mentions_kind);
    }

    #[test]
    fn what_a_statement_mentions_is_found_and_not_in_texts_and_comments() {
        let mentions = |text: &str| {
            let statement = parse(text).unwrap().remove(0);
            (statement.mentions_action, statement.mentions_kind)
        };
        assert_eq!(mentions("forbid (principal, action, resource) when { context.hour > 8 };"), (false, false));
        assert_eq!(
            mentions("forbid (principal, action, resource) when { principal.role == \"action\" }; // kind"),
            (false, false)
        );
        assert_eq!(
            mentions("forbid (principal, action, resource) when { action == Action::\"users:read\" };"),
            (true, false)
        );
        assert_eq!(
            mentions("forbid (principal, action, resource) when { resource[\"kind\"] == \"users\" };"),
            (false, true)
        );
    }

    #[test]
    fn a_hostile_text_is_refused_before_it_is_parsed() {
        let deep =
            format!("forbid (principal, action, resource) when {{ {}true{} }};", "(".repeat(2_000), ")".repeat(2_000));
        let long = format!("forbid (principal, action, resource) when {{ true {} }};", "&& true ".repeat(1_200));
        let ifs =
            format!("forbid (principal, action, resource) when {{ {} true }};", "if true then true else ".repeat(30));
        let many = "forbid (principal, action, resource);".repeat(60);
        let huge = " ".repeat(TEXT_BYTES_MAX + 1);
        for text in [deep, long, ifs, many, huge] {
            let problems = problems(&text);
            assert!(problems.len() == 1 && problems[0].is_error, "{problems:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,200}") {
            let _ = check(&text);
        }

        #[test]
        fn pieces_of_policies_get_an_answer(pieces in proptest::collection::vec(prop_oneof![
            Just("permit"), Just("forbid"), Just("("), Just(")"), Just("principal"), Just("action"), Just("resource"), Just(","),
            Just(";"), Just("when"), Just("{"), Just("}"), Just("\""), Just("//"), Just("\n"), Just("=="), Just("ü"),
        ], 0..40)) {
            for problem in problems(&pieces.concat()) {
                prop_assert!(problem.start.line >= 1 && problem.start.column >= 1);
            }
        }
    }
}
