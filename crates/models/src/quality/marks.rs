//! Rules that look at the form of an answer. Each gives a mark from 0 to 1, or none where it does not apply.

use std::sync::LazyLock;

use plasma_protocols::chat::{Answer, Choice, Content, OutputFormat, Part, Request, Role, StopReason};
use regex::Regex;
use serde_json::Value;

use super::{
    Score,
    schema_check::{Fault, check},
};
use crate::{Mark, Purpose};

/// What the mark of an answer that was cut is: something is there, something is missing.
const TRUNCATED: f64 = 0.5;
/// Refusals begin with their words.
const REFUSAL_CHARS: usize = 240;
/// Texts shorter than this tell no language.
const LANGUAGE_CHARS_MIN: usize = 40;
/// Characters that the language is told from.
const LANGUAGE_CHARS_MAX: usize = 2_000;
/// Bytes of an answer that are read as JSON.
const JSON_BYTES_MAX: usize = 1 << 20;

/// The combined score: that of the worst mark, for an answer in the wrong form is not saved by its language. `None` without a
/// mark.
pub(super) fn combined(marks: &[Mark]) -> Option<Score> {
    marks.iter().filter_map(|mark| Score::of(mark.value)).min()
}

/// All marks of an answer. `request` is the question in the middle form, where it could be read.
pub(super) fn marks(purpose: Purpose, request: Option<&Request>, answer: &Answer) -> Vec<Mark> {
    let Some(choice) = answer.choices.first() else { return Vec::new() };
    let text = text_of(&choice.parts);
    let mut marks = Vec::new();
    marks.extend(refusal(choice, &text));
    marks.push(truncation(choice));
    if let Some(request) = request {
        marks.extend(schema(&request.output, choice, &text));
        if request.output == OutputFormat::Text {
            marks.extend(question_text(purpose, request).and_then(|question| language(&question, &text)));
        }
    }
    marks
}

/// The mark of an answer from passages: the part of its sentences that cite one.
pub(super) fn citations(cited: usize, sentences: usize) -> Option<Mark> {
    if sentences == 0 || cited > sentences {
        return None;
    }
    Some(mark("citations", cited as f64 / sentences as f64, format!("{cited} of {sentences} sentences cite a passage")))
}

fn mark(name: &str, value: f64, reason: impl Into<String>) -> Mark {
    Mark { name: name.to_owned(), value, reason: reason.into() }
}

/// The texts of parts in one.
pub(super) fn text_of(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.join("\n")
}

fn truncation(choice: &Choice) -> Mark {
    match choice.stop {
        StopReason::MaxTokens => mark("truncation", TRUNCATED, "the limit of tokens cut the answer"),
        _ => mark("truncation", 1.0, "the answer came to its end"),
    }
}

/// How models begin to refuse, in five languages: what they cannot or will not do, and "as an AI". The words are looked for at the
/// beginning of an answer only.
static REFUSALS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?i)\bI(?:['’]m| am)?\s*(?:really |very |so )?(?:sorry|apologi[sz]e)\b.{0,40}\b(?:can(?:no|['’])t|cannot|unable|not able|won['’]t)\b",
        r"(?i)\bI\s*(?:can(?:['’]t|not)|won['’]t|will not|['’]m (?:not able|unable) to|am (?:not able|unable) to|must decline to|have to decline)\s*(?:to\s+)?(?:\w+\s+){0,2}?(?:help|assist|comply|provide|answer|fulfil|fulfill|do that|support|create|write|generate|discuss|engage)",
        r"(?i)^\s*(?:sorry|I apologi[sz]e),?\s+(?:but\s+)?I\s*(?:can|am|['’]m|won)",
        r"(?i)\bas an? (?:AI|artificial intelligence)(?: language)?(?: model| assistant)?,? I\s*(?:can|am not|do not|don['’]t|must)",
        r"(?i)\bes tut mir leid\b.{0,40}\b(?:ich kann|kann ich)\b.{0,60}\b(?:nicht|keine?n?)\b|\bich kann\b.{0,40}\bnicht (?:helfen|beantworten|weiterhelfen|unterstützen)",
        r"(?i)\bje (?:suis désolée?|regrette)\b.{0,40}\bje ne peux pas\b|\bje ne peux pas\b.{0,20}\b(?:aider|répondre|fournir)",
        r"(?i)\blo siento\b.{0,40}\bno puedo\b|\bno puedo\b.{0,20}\b(?:ayudar|responder|proporcionar)",
        r"(?i)\bmi dispiace\b.{0,40}\bnon posso\b|\bnon posso\b.{0,20}\b(?:aiutar|rispondere|fornire)",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

fn refusal(choice: &Choice, text: &str) -> Option<Mark> {
    if choice.stop == StopReason::Refusal {
        return Some(mark("refusal", 0.0, "the provider says that the answer was refused or filtered"));
    }
    if choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_))) {
        return Some(mark("refusal", 0.0, "the model says that it refuses"));
    }
    // A call of a tool is no refusal, and has no text.
    if text.trim().is_empty() {
        return None;
    }
    let beginning: String = text.chars().take(REFUSAL_CHARS).collect();
    if REFUSALS.iter().any(|pattern| pattern.is_match(&beginning)) {
        return Some(mark("refusal", 0.0, "the answer begins as refusals do"));
    }
    Some(mark("refusal", 1.0, "nothing of a refusal is seen"))
}

fn schema(output: &OutputFormat, choice: &Choice, text: &str) -> Option<Mark> {
    let calls_tools = choice.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    if *output == OutputFormat::Text || (calls_tools && text.trim().is_empty()) || text.len() > JSON_BYTES_MAX {
        return None;
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => return Some(mark("schema", 0.0, "JSON was asked for, and the answer is none")),
    };
    let outcome = match output {
        OutputFormat::Schema(output) => check(&output.schema, &value),
        _ if value.is_object() => Ok(()),
        _ => Err(Fault::Wrong("the answer is no JSON object".to_owned())),
    };
    match outcome {
        Ok(()) => Some(mark("schema", 1.0, "the answer is the JSON that was asked for")),
        Err(Fault::Wrong(why)) => Some(mark("schema", 0.0, why)),
        Err(Fault::Unchecked) => None,
    }
}

/// What the person asked, without what Plasma's own prompts put around it; `None` where that cannot be told.
fn question_text(purpose: Purpose, request: &Request) -> Option<String> {
    let last = request.messages.iter().rev().find(|message| message.role == Role::User)?;
    let text = text_of(&last.parts);
    match purpose {
        Purpose::Ask | Purpose::Draft => {
            let (_, after) = text.rsplit_once("</passages>")?;
            let (_, after) = after.split_once(": ")?;
            Some(after.rsplit_once("\n\n").map_or(after, |(question, _)| question).to_owned())
        }
        _ => Some(text),
    }
}

/// Words that name another language than the question's own as the one that is wanted. Ends of words are those of ASCII: to look for
/// Unicode's in a long text takes many times longer.
static OTHER_LANGUAGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)translat|übersetz|tradui|traduc|tradu[cz]|(?-u:\b)(?:english|german|french|spanish|italian|portuguese|dutch|polish|russian|chinese|japanese|korean|arabic|turkish|swedish|englisch\w*|deutsch\w*|französisch\w*|spanisch\w*|anglais|allemand|français|espagnol|inglés|alemán|francés|español|language|sprache)(?-u:\b)",
    )
    .ok()
});

fn language(question: &str, answer: &str) -> Option<Mark> {
    if OTHER_LANGUAGE.as_ref().is_none_or(|pattern| pattern.is_match(question)) {
        return None;
    }
    let (asked, answered) = (language_of(question)?, language_of(answer)?);
    if asked == answered {
        return Some(mark("language", 1.0, format!("question and answer are in {}", asked.eng_name())));
    }
    let reason = format!("the question is in {}, the answer in {}", asked.eng_name(), answered.eng_name());
    Some(mark("language", 0.0, reason))
}

/// The language of a text, where it is told with confidence. Code says nothing.
fn language_of(text: &str) -> Option<whatlang::Lang> {
    let prose: String = text.split("```").step_by(2).collect::<Vec<_>>().join(" ");
    let prose: String = prose.chars().take(LANGUAGE_CHARS_MAX).collect();
    if prose.trim().chars().count() < LANGUAGE_CHARS_MIN {
        return None;
    }
    whatlang::detect(&prose).filter(whatlang::Info::is_reliable).map(|info| info.lang())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_protocols::chat::{Message, OutputSchema, ToolCall};
    use serde_json::json;

    use super::*;

    fn answer(text: &str, stop: StopReason) -> Answer {
        let choice =
            Choice { index: 0, parts: vec![Part::text(text)], stop, stop_sequence: None, logprobs: Vec::new() };
        Answer { choices: vec![choice], ..Answer::default() }
    }

    fn asked(question: &str, output: OutputFormat) -> Request {
        let message = Message { role: Role::User, name: None, parts: vec![Part::text(question)] };
        Request { messages: vec![message], output, ..Request::default() }
    }

    fn marks_of(question: &str, text: &str) -> Vec<(String, f64)> {
        let request = asked(question, OutputFormat::Text);
        let marks = marks(Purpose::Api, Some(&request), &answer(text, StopReason::End));
        marks.into_iter().map(|mark| (mark.name, mark.value)).collect()
    }

    fn value_of(marks: &[(String, f64)], name: &str) -> Option<f64> {
        marks.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    #[test]
    fn refusals_are_known_by_their_words_and_by_the_protocol() {
        for refused in [
            "I'm sorry, but I can't help with that.",
            "I’m sorry, but I can’t assist with that request.",
            "I cannot provide instructions for this.",
            "Sorry, I can't do that.",
            "As an artificial intelligence, I do not have opinions.",
            "I am unable to answer this question.",
            "Es tut mir leid, aber dabei kann ich nicht helfen.",
            "Je suis désolé, mais je ne peux pas vous aider.",
            "Lo siento, pero no puedo ayudarte con eso.",
        ] {
            assert_eq!(value_of(&marks_of("hi", refused), "refusal"), Some(0.0), "{refused}");
        }
        for answered in [
            "The vault opens with the word marzipan.",
            "You can't divide by zero, so the limit does not exist.",
            "If you cannot log in, ask an administrator to help.",
            "Sorry for the delay: the order has left the warehouse.",
            "I can help with that.",
        ] {
            assert_eq!(value_of(&marks_of("hi", answered), "refusal"), Some(1.0), "{answered}");
        }
        let by_stop = marks(Purpose::Api, None, &answer("", StopReason::Refusal));
        assert_eq!(by_stop.first().map(|mark| (mark.name.as_str(), mark.value)), Some(("refusal", 0.0)));
        let mut by_part = answer("", StopReason::End);
        by_part.choices.first_mut().unwrap().parts = vec![Part::new(Content::Refusal("No.".to_owned()))];
        assert_eq!(combined(&marks(Purpose::Api, None, &by_part)), Score::of(0.0));
    }

    #[test]
    fn a_cut_answer_is_worth_half_and_the_worst_mark_counts() {
        let cut = marks(Purpose::Api, None, &answer("Once upon a", StopReason::MaxTokens));
        assert_eq!(combined(&cut), Score::of(0.5));
        let whole = marks(Purpose::Api, None, &answer("Once upon a time.", StopReason::End));
        assert_eq!(combined(&whole), Score::of(1.0));
        let cut_refusal = marks(Purpose::Api, None, &answer("I can't help with", StopReason::MaxTokens));
        assert_eq!(combined(&cut_refusal), Score::of(0.0));
        assert_eq!((combined(&[]), marks(Purpose::Api, None, &Answer::default())), (None, vec![]));
    }

    #[test]
    fn json_is_checked_only_where_it_was_asked_for() {
        let schema = json!({ "type": "object", "required": ["city"], "properties": { "city": { "type": "string" } } });
        let output = || {
            OutputFormat::Schema(OutputSchema { name: None, description: None, schema: schema.clone(), strict: None })
        };
        let value = |output: OutputFormat, text: &str| {
            let request = asked("Where?", output);
            let marks = marks(Purpose::Api, Some(&request), &answer(text, StopReason::End));
            marks.into_iter().find(|mark| mark.name == "schema").map(|mark| mark.value)
        };
        assert_eq!(value(output(), r#"{"city":"Bern"}"#), Some(1.0));
        assert_eq!(value(output(), r#"{"town":"Bern"}"#), Some(0.0));
        assert_eq!(value(output(), "Bern"), Some(0.0));
        assert_eq!(value(OutputFormat::Json, "{}"), Some(1.0));
        assert_eq!(value(OutputFormat::Json, "[]"), Some(0.0));
        assert_eq!(value(OutputFormat::Text, "Bern"), None);
        // A model that calls a tool has not answered yet.
        let mut calls = answer("", StopReason::ToolUse);
        let call = ToolCall { id: "1".to_owned(), name: "find".to_owned(), arguments: "{}".to_owned() };
        calls.choices.first_mut().unwrap().parts = vec![Part::new(Content::ToolCall(call))];
        let names: Vec<String> =
            marks(Purpose::Api, Some(&asked("Where?", output())), &calls).into_iter().map(|mark| mark.name).collect();
        assert_eq!(names, ["truncation"]);
    }

    #[test]
    fn languages_are_compared_when_both_are_certain() {
        let english = "Please tell me in a few sentences how the backups of this product work and where they are kept.";
        let german = "Die Sicherungen werden jede Nacht angelegt und dreißig Tage lang in einem anderen Rechenzentrum aufbewahrt.";
        let reply =
            "Backups are made every night, and they are kept for thirty days in another data center than the product.";
        assert_eq!(value_of(&marks_of(english, reply), "language"), Some(1.0));
        assert_eq!(value_of(&marks_of(english, german), "language"), Some(0.0));
        // Who asks for a translation wants another language; what is short tells none; code is no language.
        assert_eq!(value_of(&marks_of(&format!("Translate: {english}"), german), "language"), None);
        assert_eq!(value_of(&marks_of(english, "Jede Nacht."), "language"), None);
        let code = format!("```\n{german}\n```");
        assert_eq!(value_of(&marks_of(english, &code), "language"), None);
    }

    #[test]
    fn the_question_is_found_in_plasmas_own_prompts() {
        let prompt = "<passages>\nPassage 1, from \"X\":\nVault: text\n\n</passages>\n\nQuestion: What opens it?\n\nAnswer in complete sentences:";
        let request = asked(prompt, OutputFormat::Text);
        assert_eq!(question_text(Purpose::Ask, &request).as_deref(), Some("What opens it?"));
        assert_eq!(question_text(Purpose::Ask, &asked("What?", OutputFormat::Text)), None);
        assert_eq!(question_text(Purpose::Api, &asked("What?", OutputFormat::Text)).as_deref(), Some("What?"));
        assert_eq!(citations(1, 4).map(|mark| mark.value), Some(0.25));
        assert_eq!((citations(0, 0), citations(2, 1)), (None, None));
    }
}
