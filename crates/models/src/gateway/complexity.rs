//! How hard a question is, before anybody answers it: a logistic regression over a dozen plain features of the request.
//!
//! The weights stand in `models/complexity.json` and are trained by `scripts/train_complexity.py` on questions that a small
//! model did or did not answer rightly; `docs/complexity.md` shows how well that works, and where it does not.

use std::sync::OnceLock;

use plasma_kernel::{Error, Result};
use plasma_protocols::chat::{Content, OutputFormat, Part, Request, Role, ToolChoice};
use serde::{Deserialize, Serialize};

/// Characters of a question that are looked at; the rest of a longer one counts by its length only.
const CHARACTERS_MAX: usize = 20_000;
/// Words that ask for more than a fact.
const REASONING_WORDS: [&str; 16] = [
    "why",
    "explain",
    "prove",
    "compare",
    "derive",
    "analyse",
    "analyze",
    "step",
    "steps",
    "because",
    "evaluate",
    "design",
    "plan",
    "difference",
    "justify",
    "consider",
];
/// Verbs that open an instruction.
const INSTRUCTION_WORDS: [&str; 24] = [
    "write",
    "list",
    "give",
    "answer",
    "reply",
    "translate",
    "summarise",
    "summarize",
    "name",
    "count",
    "sort",
    "choose",
    "find",
    "use",
    "do",
    "return",
    "make",
    "include",
    "avoid",
    "start",
    "end",
    "rewrite",
    "extract",
    "classify",
];
/// The commonest words of English: few of them in a long text mean another language, a table, or code.
const ENGLISH_WORDS: [&str; 20] = [
    "the", "of", "and", "a", "to", "in", "is", "it", "that", "for", "on", "with", "as", "are", "this", "what", "which",
    "you", "be", "or",
];

/// What is measured, in the order of [`features`].
const NAMES: [&str; 14] = [
    "question_length",
    "context_length",
    "turns",
    "code",
    "digits",
    "operators",
    "instructions",
    "questions",
    "reasoning_words",
    "proper_names",
    "word_length",
    "other_language",
    "other_script",
    "tools_or_schema",
];

/// What the classifier thinks of a question.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Complexity {
    /// The estimated probability that a small model answers wrongly: 0 to 1.
    pub score: f64,
    /// From this score on the question counts as complex, unless a route sets its own threshold.
    pub threshold: f64,
    /// What the score is made of, in a fixed order.
    pub features: Vec<Feature>,
}

/// One feature of a question.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Feature {
    /// Its name, explained on the documentation's page about complexity.
    pub name: &'static str,
    /// What was measured.
    pub value: f64,
    /// What it adds to the logarithm of the odds.
    pub contribution: f64,
}

#[derive(Deserialize)]
struct Weights {
    bias: f64,
    threshold: f64,
    features: Vec<Weight>,
}

#[derive(Deserialize)]
struct Weight {
    name: String,
    mean: f64,
    scale: f64,
    weight: f64,
}

fn weights() -> Result<&'static Weights> {
    static WEIGHTS: OnceLock<Option<Weights>> = OnceLock::new();
    let read = || {
        let weights: Weights = serde_json::from_str(include_str!("../../../../models/complexity.json")).ok()?;
        weights.features.iter().map(|weight| weight.name.as_str()).eq(NAMES).then_some(weights)
    };
    let weights = WEIGHTS.get_or_init(read).as_ref();
    weights.ok_or_else(|| Error::internal("models/complexity.json does not fit the program's features"))
}

impl Complexity {
    /// # Errors
    /// `internal` when the weights do not fit the program.
    pub(crate) fn of(request: &Request) -> Result<Self> {
        let weights = weights()?;
        let values = features(request);
        let features: Vec<Feature> = NAMES
            .into_iter()
            .zip(values)
            .zip(&weights.features)
            .map(|((name, value), weight)| {
                let contribution = weight.weight * (value - weight.mean) / weight.scale.max(f64::MIN_POSITIVE);
                Feature { name, value, contribution }
            })
            .collect();
        let odds = weights.bias + features.iter().map(|feature| feature.contribution).sum::<f64>();
        Ok(Self { score: 1.0 / (1.0 + (-odds).exp()), threshold: weights.threshold, features })
    }

    /// The two features that speak loudest, in words.
    pub(crate) fn reason(&self) -> String {
        let mut loudest: Vec<&Feature> = self.features.iter().collect();
        loudest.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
        let told: Vec<String> = loudest
            .iter()
            .take(2)
            .map(|feature| format!("{} {:+.2}", feature.name.replace('_', " "), feature.contribution))
            .collect();
        format!("complexity {:.2} ({})", self.score, told.join(", "))
    }
}

/// The features of a request, in the order of [`NAMES`]; each is between 0 and about 10.
fn features(request: &Request) -> [f64; NAMES.len()] {
    let asked = request.messages.iter().rev().find(|message| message.role == Role::User);
    let question = asked.map(|message| text_of(&message.parts)).unwrap_or_default();
    let all = request.system.iter().chain(request.messages.iter().flat_map(|message| &message.parts));
    let characters: usize = all.map(text_length).sum();
    let context = characters.saturating_sub(question.len());
    let question: String = question.chars().take(CHARACTERS_MAX).collect();
    let words = Words::of(&question);
    let letters = question.chars().filter(|letter| letter.is_alphabetic()).count().max(1) as f64;
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let lines: Vec<&str> = question.lines().filter(|line| !line.trim().is_empty()).collect();
    let code_lines = lines.iter().filter(|line| is_code(line)).count();
    let digits = question.chars().filter(char::is_ascii_digit).count();
    let operators = question.chars().filter(|letter| "+-*/=^%<>×÷".contains(*letter)).count();
    let other_script = question.chars().filter(|letter| letter.is_alphabetic() && !is_latin(*letter)).count();
    let with_tools = !request.tools.is_empty() && request.tool_choice != Some(ToolChoice::None);
    let tools = request.tools.len().min(20) as f64 * f64::from(u8::from(with_tools));
    let shaped = f64::from(u8::from(request.output != OutputFormat::Text));
    [
        logarithm(question.chars().count()),
        logarithm(context),
        logarithm(request.messages.len()),
        share(code_lines, lines.len()),
        share(digits, question.chars().count()) * 10.0,
        logarithm(operators),
        logarithm(words.instructions + lines.iter().filter(|line| is_list_item(line)).count()),
        question.chars().filter(|letter| *letter == '?').count().min(5) as f64,
        words.reasoning.min(5) as f64,
        share(words.proper_names, words.count) * 10.0,
        (letters / words.count.max(1) as f64).min(15.0),
        1.0 - (share(words.english, words.count) * 4.0).min(1.0),
        other_script as f64 / letters * 10.0,
        tools.ln_1p() + shaped,
    ]
}

fn logarithm(count: usize) -> f64 {
    (count as f64).ln_1p()
}

fn text_of(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        if let Content::Text(piece) = &part.content {
            text.push_str(piece);
            text.push('\n');
        }
    }
    text
}

fn text_length(part: &Part) -> usize {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => text.len(),
        Content::ToolResult(result) => result.parts.iter().map(text_length).sum(),
        Content::Reasoning(_) => 0,
        Content::ToolCall(call) => call.arguments.len(),
        // About as much as a page of text.
        Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::Document(_) => 4_000,
    }
}

/// Counts over the words of a question.
#[derive(Default)]
struct Words {
    count: usize,
    english: usize,
    reasoning: usize,
    instructions: usize,
    proper_names: usize,
}

impl Words {
    fn of(text: &str) -> Self {
        let mut words = Self::default();
        let mut opens = true;
        for piece in text.split_whitespace() {
            let word = piece.trim_matches(|letter: char| !letter.is_alphanumeric());
            if word.chars().any(char::is_alphabetic) {
                let lower = word.to_lowercase();
                words.count += 1;
                words.english += usize::from(ENGLISH_WORDS.contains(&lower.as_str()));
                words.reasoning += usize::from(REASONING_WORDS.contains(&lower.as_str()));
                words.instructions += usize::from(INSTRUCTION_WORDS.contains(&lower.as_str()) && opens);
                words.proper_names += usize::from(word.starts_with(char::is_uppercase) && !opens);
            }
            opens = piece.ends_with(['.', '?', '!', ':', ';', ',']);
        }
        words
    }
}

fn is_code(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("```")
        || line.starts_with(">>>")
        || line.ends_with(['{', '}', ';'])
        || line.contains("()")
        || line.contains(" == ")
        || line.contains("->")
        || ["def ", "fn ", "class ", "import ", "return ", "for (", "if (", "SELECT ", "#include", "print("]
            .iter()
            .any(|start| line.starts_with(start))
}

fn is_list_item(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("- ") || line.starts_with("* ") || {
        let rest = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
        rest.len() < line.len() && rest.starts_with(['.', ')'])
    }
}

fn is_latin(letter: char) -> bool {
    // Basic Latin to Latin Extended-B, and Latin Extended Additional.
    matches!(letter, '\u{0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

#[cfg(test)]
mod tests {
    use plasma_protocols::chat::Message;

    use super::*;

    fn asks(text: &str) -> Request {
        let message = Message { role: Role::User, name: None, parts: vec![Part::text(text)] };
        Request { messages: vec![message], ..Request::default() }
    }

    #[test]
    fn the_weights_fit_the_features() {
        assert_eq!(weights().unwrap().features.len(), NAMES.len());
    }

    #[test]
    fn features_measure_what_they_are_called() {
        let of = |text: &str| {
            let values = features(&asks(text));
            move |name: &str| values[NAMES.iter().position(|known| *known == name).unwrap()]
        };
        let code = of("What does this print?\n```\nprint(1 + 2)\n```");
        assert!(code("code") > 0.5 && of("What is the capital of France?")("code") == 0.0);
        assert!(of("What is 17 * 23 + 4?")("operators") > 1.0);
        assert!(of("Write a poem. List three words.\n- short\n- rhymed")("instructions") > 1.5);
        assert!(of("Объясни закон Ома")("other_script") > 9.0);
        assert!(of("Wer schrieb den Faust und wann erschien er zuerst im Druck?")("other_language") > 0.9);
        assert_eq!(of("Why? Explain.")("reasoning_words"), 2.0);
        assert!(of("Was Ada Lovelace born in London?")("proper_names") > 4.0);
    }

    #[test]
    fn every_request_has_a_finite_score() {
        for text in ["", " \n", "?", "\u{0}\u{301}", &"9".repeat(200_000), &"- a\n".repeat(10_000)] {
            let complexity = Complexity::of(&asks(text)).unwrap();
            assert!((0.0..=1.0).contains(&complexity.score), "{}", complexity.score);
        }
    }
}
