//! The part of Jinja that prompts may use, checked before a template is compiled.
//!
//! The engine counts instructions, not what one of them costs: `x * 100000000`, a variable that doubles itself thirty times or
//! a chain of ten thousand filters (compiled by recursion) would each cost far more than their steps. So a template has only
//! what cannot grow: insertions with the filters of [`super::filters`], `if` and `for`. There are no assignments, macros,
//! includes, calls, no lists and objects but of constants, no arithmetic but `-`, and tags are short.

use super::filters::{FILTERS, TESTS};

/// Tokens between two braces.
const TOKENS_MAX: usize = 200;
/// Tags and insertions of a template.
const TAGS_MAX: usize = 2_000;
/// `if` and `for` within each other.
const DEPTH_MAX: usize = 20;
/// `elif` after one `if`: each is compiled inside the one before.
const BRANCHES_MAX: usize = 50;

/// Why a template is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// From 1.
    pub(super) line: usize,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Text,
    Number,
    /// One of `. , ( ) [ ] | == != <= >= < > = -`.
    Sign(&'a str),
}

const SIGNS: [&str; 15] = ["==", "!=", "<=", ">=", "<", ">", "=", ".", ",", "(", ")", "[", "]", "|", "-"];
const KEYWORDS: [&str; 9] = ["and", "or", "not", "in", "is", "if", "else", "elif", "for"];
const CONSTANTS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];
/// Names by which templates could reach themselves.
const RESERVED: [&str; 4] = ["self", "super", "caller", "recursive"];

/// Refuses a template that uses more than prompts may.
pub(super) fn check(source: &str) -> Result<(), Fault> {
    let mut reader = Reader { source, at: 0, tags: 0, open: Vec::new() };
    reader.read().map_err(|message| {
        let read = source.get(..reader.at).unwrap_or(source);
        Fault { line: read.matches('\n').count() + 1, message }
    })
}

/// A block that waits for its end.
struct Block {
    name: &'static str,
    branches: usize,
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
    tags: usize,
    open: Vec<Block>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or("")
    }

    fn read(&mut self) -> Result<(), String> {
        while let Some(brace) = self.rest().find('{') {
            self.at += brace;
            let end = match self.rest().as_bytes().get(1) {
                Some(b'{') => "}}",
                Some(b'%') => "%}",
                Some(b'#') => "#}",
                _ => {
                    self.at += 1;
                    continue;
                }
            };
            self.at += 2;
            if self.rest().starts_with(['-', '+']) {
                self.at += 1;
            }
            if end == "#}" {
                let length = self.rest().find(end).ok_or("a comment does not end")?;
                self.at += length + end.len();
                continue;
            }
            self.tags += 1;
            if self.tags > TAGS_MAX {
                return Err(format!("has more than {TAGS_MAX} tags"));
            }
            let tokens = self.tokens(end)?;
            if end == "}}" {
                expression(&tokens, &[])?;
            } else {
                self.tag(&tokens)?;
            }
        }
        match self.open.last() {
            Some(block) => Err(format!("`{}` has no end", block.name)),
            None => Ok(()),
        }
    }

    /// The tokens up to `end`.
    fn tokens(&mut self, end: &str) -> Result<Vec<Token<'a>>, String> {
        let mut tokens = Vec::new();
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_whitespace()).len();
            let rest = self.rest();
            if rest.starts_with(end) {
                self.at += end.len();
                return Ok(tokens);
            }
            if rest.strip_prefix(['-', '+']).is_some_and(|rest| rest.starts_with(end)) {
                self.at += end.len() + 1;
                return Ok(tokens);
            }
            if tokens.len() == TOKENS_MAX {
                return Err(format!("a tag has more than {TOKENS_MAX} words and signs"));
            }
            let (token, length) = token(rest)?;
            self.at += length;
            tokens.push(token);
        }
    }

    fn tag(&mut self, tokens: &[Token<'a>]) -> Result<(), String> {
        let (Some(Token::Name(name)), rest) = (tokens.first(), tokens.get(1..).unwrap_or_default()) else {
            return Err("a tag must begin with `if`, `elif`, `else`, `endif`, `for` or `endfor`".to_owned());
        };
        match *name {
            "if" => {
                expression(rest, &[])?;
                self.opens("if")
            }
            "for" => {
                let at = rest.iter().position(|token| *token == Token::Name("in")).ok_or("`for` needs an `in`")?;
                let (targets, values) = rest.split_at(at);
                for token in targets {
                    match token {
                        Token::Name(name) if !KEYWORDS.contains(name) && !RESERVED.contains(name) => {}
                        Token::Sign("," | "(" | ")") => {}
                        _ => return Err("`for` needs names before its `in`".to_owned()),
                    }
                }
                expression(values.get(1..).unwrap_or_default(), &["if"])?;
                self.opens("for")
            }
            "elif" => {
                expression(rest, &[])?;
                let block = self.open.last_mut().filter(|block| block.name == "if").ok_or("`elif` without `if`")?;
                block.branches += 1;
                if block.branches > BRANCHES_MAX {
                    return Err(format!("an `if` has more than {BRANCHES_MAX} branches"));
                }
                Ok(())
            }
            "else" if rest.is_empty() => {
                self.open.last().map(drop).ok_or_else(|| "`else` without `if` or `for`".to_owned())
            }
            "endif" if rest.is_empty() => self.closes("if"),
            "endfor" if rest.is_empty() => self.closes("for"),
            "else" | "endif" | "endfor" => Err(format!("`{name}` has nothing after it")),
            other => Err(format!("`{}` is no tag of prompts: they have `if` and `for`", shown(other))),
        }
    }

    fn opens(&mut self, name: &'static str) -> Result<(), String> {
        if self.open.len() == DEPTH_MAX {
            return Err(format!("`if` and `for` are nested more than {DEPTH_MAX} deep"));
        }
        self.open.push(Block { name, branches: 0 });
        Ok(())
    }

    fn closes(&mut self, name: &'static str) -> Result<(), String> {
        match self.open.pop() {
            Some(block) if block.name == name => Ok(()),
            Some(block) => Err(format!("`end{name}` where `end{}` was expected", block.name)),
            None => Err(format!("`end{name}` without `{name}`")),
        }
    }
}

fn token(rest: &str) -> Result<(Token<'_>, usize), String> {
    let Some(first) = rest.chars().next() else { return Err("a tag does not end".to_owned()) };
    let while_ = |allowed: fn(char) -> bool| rest.find(|letter| !allowed(letter)).unwrap_or(rest.len());
    if first.is_ascii_alphabetic() || first == '_' {
        let length = while_(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        return Ok((Token::Name(rest.get(..length).unwrap_or("")), length));
    }
    if first.is_ascii_digit() {
        let whole = while_(|letter| letter.is_ascii_digit());
        let after = rest.get(whole..).unwrap_or("");
        let fraction = after
            .strip_prefix('.')
            .map_or(0, |digits| digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len()));
        let length = if fraction == 0 { whole } else { whole + 1 + fraction };
        if rest
            .get(length..)
            .is_some_and(|next| next.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_'))
        {
            return Err("numbers are written with digits and at most one point".to_owned());
        }
        return Ok((Token::Number, length));
    }
    if first == '"' || first == '\'' {
        let mut escaped = false;
        for (at, letter) in rest.char_indices().skip(1) {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if letter == first => return Ok((Token::Text, at + 1)),
                _ => {}
            }
        }
        return Err("a text in quotes does not end".to_owned());
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err(format!("`{}` has no place in a tag of prompts", first.escape_debug())),
    }
}

/// What an opened bracket is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// Around a part of an expression.
    Group,
    /// Around the arguments of a filter or test.
    Arguments,
    /// Around an index.
    Index,
    /// Around constants.
    Constants,
}

/// Checks an expression. `allowed` are keywords of tags that may stand in it.
fn expression(tokens: &[Token<'_>], allowed: &[&str]) -> Result<(), String> {
    if tokens.is_empty() {
        return Err("something is missing between the braces".to_owned());
    }
    let mut open: Vec<Bracket> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = |steps: usize| at.checked_sub(steps).and_then(|at| tokens.get(at));
        if open.last() == Some(&Bracket::Constants) {
            match token {
                Token::Text | Token::Number | Token::Sign("," | "-" | "]") => {}
                Token::Name(name) if CONSTANTS.contains(name) => {}
                _ => return Err("a list in a template may hold constants only".to_owned()),
            }
        }
        match token {
            Token::Name(name) => check_name(name, before(1), before(2), allowed)?,
            Token::Sign("(") => open.push(parenthesis(before(1), before(2), before(3))?),
            Token::Sign("[") => {
                open.push(if ends_a_value(before(1), before(2)) { Bracket::Index } else { Bracket::Constants })
            }
            Token::Sign(")") => match open.pop() {
                Some(Bracket::Group | Bracket::Arguments) => {}
                _ => return Err("a `)` closes nothing".to_owned()),
            },
            Token::Sign("]") => match open.pop() {
                Some(Bracket::Index | Bracket::Constants) => {}
                _ => return Err("a `]` closes nothing".to_owned()),
            },
            Token::Sign(",") if !matches!(open.last(), Some(Bracket::Arguments | Bracket::Constants)) => {
                return Err("a `,` stands only between arguments".to_owned());
            }
            Token::Sign("=") if open.last() != Some(&Bracket::Arguments) => {
                return Err("values cannot be assigned; `==` compares".to_owned());
            }
            Token::Text | Token::Number | Token::Sign(_) => {}
        }
    }
    if open.is_empty() { Ok(()) } else { Err("a bracket is not closed".to_owned()) }
}

/// Checks the names of variables, filters and tests; those of a value's fields are free.
fn check_name(
    name: &str,
    before: Option<&Token<'_>>,
    before_that: Option<&Token<'_>>,
    allowed: &[&str],
) -> Result<(), String> {
    let is_test = match (before_that, before) {
        (Some(Token::Sign(".")), Some(Token::Name("is"))) => false,
        (_, Some(Token::Name("is"))) => name != "not",
        (Some(Token::Name("is")), Some(Token::Name("not"))) => true,
        _ => false,
    };
    match before {
        Some(Token::Sign(".")) => Ok(()),
        Some(Token::Sign("|")) if !FILTERS.contains(&name) => {
            Err(format!("there is no filter `{}`; there are {}", shown(name), FILTERS.join(", ")))
        }
        Some(Token::Sign("|")) => Ok(()),
        _ if is_test && !TESTS.contains(&name) => {
            Err(format!("there is no test `{}`; there are {}", shown(name), TESTS.join(", ")))
        }
        _ if RESERVED.contains(&name) => Err(format!("`{name}` has no place in a template of prompts")),
        _ if matches!(name, "for" | "elif") && !allowed.contains(&name) => {
            Err(format!("`{name}` has no place in an expression"))
        }
        _ => Ok(()),
    }
}

/// What a `(` opens, by the three tokens before it, the nearest first.
fn parenthesis(
    first: Option<&Token<'_>>,
    second: Option<&Token<'_>>,
    third: Option<&Token<'_>>,
) -> Result<Bracket, String> {
    let is_call = match (third, second, first) {
        (_, Some(Token::Sign("|")), Some(Token::Name(_))) => return Ok(Bracket::Arguments),
        (Some(Token::Sign(".")), Some(Token::Name("is")), Some(Token::Name(_))) => true,
        (_, Some(Token::Name("is")), Some(Token::Name(name))) if *name != "not" => return Ok(Bracket::Arguments),
        (Some(Token::Name("is")), Some(Token::Name("not")), Some(Token::Name(_))) => return Ok(Bracket::Arguments),
        _ => ends_a_value(first, second),
    };
    if is_call { Err("functions and methods cannot be called".to_owned()) } else { Ok(Bracket::Group) }
}

/// Whether a value may end here, so that a bracket after it calls or indexes it.
fn ends_a_value(last: Option<&Token<'_>>, before: Option<&Token<'_>>) -> bool {
    match last {
        Some(Token::Name(name)) => !KEYWORDS.contains(name) || before == Some(&Token::Sign(".")),
        Some(Token::Text | Token::Number | Token::Sign(")" | "]")) => true,
        _ => false,
    }
}

/// A word of a template, short enough for a message.
fn shown(word: &str) -> String {
    word.chars().take(40).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(source: &str) -> String {
        check(source).expect_err(source).message
    }

    #[test]
    fn what_prompts_need_is_allowed() {
        for source in [
            "",
            "No { tags } at all, 100 %, {\"json\": {\"a\": 1}}",
            "Hello {{ name }}!",
            "{{- name | trim | default('nobody', true) -}}",
            "{% if tone == 'formal' and not short %}a{% elif x is defined %}b{% else %}c{% endif %}",
            "{% for document in documents %}{{ loop.index }}. {{ document.title }} {{ document['text'][0] }}{% endfor %}",
            "{% for key, value in fields|items %}{{ key }}: {{ value|tojson }}{% endfor %}",
            "{% for x in xs if x.ok is not none %}{{ x }}{% else %}none{% endfor %}",
            "{% if kind in ['a', \"b\", -1, true] %}x{% endif %}",
            "{{ 'a' if (x or y) and n >= 3.5 else \"}} %} \\\" b\" }}",
            "{# a comment {{ x * y }} #}{{ a.is }}{{ items|join(', ') }}{{ n - 1 }}",
            "{{ 'it''s'|replace('s', 't') }}{{ x is divisibleby(3) }}",
        ] {
            assert_eq!(check(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn what_can_grow_or_reach_out_is_refused() {
        for source in [
            "{{ x * 100000000 }}",
            "{{ x ** 9 }}",
            "{{ x ~ x }}",
            "{{ x + x }}",
            "{{ x % 3 }}",
            "{{ x[1:2] }}",
            "{% set x = 1 %}",
            "{% macro m() %}{% endmacro %}",
            "{% include 'other' %}",
            "{% extends 'other' %}",
            "{% import 'other' as x %}",
            "{% block b %}{% endblock %}",
            "{% filter upper %}{% endfilter %}",
            "{% with x = 1 %}{% endwith %}",
            "{% raw %}{{ x }}{% endraw %}",
            "{% do x %}",
            "{{ range(100000000) }}",
            "{{ x.upper() }}",
            "{{ x.is(1) }}",
            "{{ (x)(1) }}",
            "{{ x[0](1) }}",
            "{{ 'a'(1) }}",
            "{{ x|nonsense }}",
            "{{ x|format('%1000000000d') }}",
            "{{ x is nonsense }}",
            "{% for a in [x, x] %}{% endfor %}",
            "{% for a in (x, x) %}{% endfor %}",
            "{% for a in x, x %}{% endfor %}",
            "{{ {'a': 1} }}",
            "{{ [[1], [1]] }}",
            "{% for a in x recursive %}{{ loop(a) }}{% endfor %}",
            "{{ self }}",
            "{{ x = 1 }}",
            "{{ x|default(*y) }}",
            "{{ x|default(y=[x]) }}",
            "{{ 1e9 }}",
            "{{ 0x10 }}",
            "{{ \u{a0} }}",
            "{{ }}",
        ] {
            assert!(check(source).is_err(), "{source}");
        }
    }

    #[test]
    fn what_does_not_close_is_refused_with_its_line() {
        assert_eq!(check("a\nb {{ x").unwrap_err().line, 2);
        assert!(refused("{{ x }").contains('}'));
        assert!(refused("{% if x %}").contains("`if` has no end"));
        assert!(refused("{% if x %}{% endfor %}").contains("endif"));
        assert!(refused("{% endif %}").contains("without"));
        assert!(refused("{{ (x }}").contains("not closed"));
        assert!(refused("{{ x) }}").contains("closes nothing"));
        assert!(refused("{{ 'x }}").contains("does not end"));
        assert!(refused("{# x").contains("does not end"));
        assert!(refused("{{ x|nonsense }}").contains("there is no filter `nonsense`"));
    }

    #[test]
    fn depth_and_length_are_bounded() {
        assert!(check(&format!("{}x{}", "{% if a %}".repeat(20), "{% endif %}".repeat(20))).is_ok());
        assert!(refused(&"{% if a %}".repeat(21)).contains("20 deep"));
        assert!(refused(&"{{ x }}".repeat(2_001)).contains("2000 tags"));
        assert!(refused(&format!("{{{{ x{} }}}}", "|trim".repeat(101))).contains("200 words"));
        assert!(refused(&format!("{{{{ {}x }}}}", "(".repeat(100_000))).contains("200 words"));
        assert!(refused(&format!("{{% if a %}}{}", "{% elif a %}".repeat(51))).contains("50 branches"));
    }
}
