//! What a question needs of the model that answers it.

use plasma_protocols::chat::{Content, Effort, MediaSource, OutputFormat, Part, Request, ToolChoice};
use serde::de::IgnoredAny;

use super::{Asked, Question};
use crate::{Capability, upstream::RawObject};

/// Fields of clients' requests, of whatever protocol, that can ask for more than text.
const FIELDS: [&str; 11] = [
    "tools",
    "functions",
    "response_format",
    "text",
    "output_config",
    "output_format",
    "generationConfig",
    "generation_config",
    "reasoning",
    "reasoning_effort",
    "thinking",
];
/// How names and words begin, of whatever protocol, that stand for parts of messages which are more than text.
const PARTS: [&str; 11] = [
    "image",
    "audio",
    "video",
    "file",
    "document",
    "inline",
    "tool",
    "function",
    "input_image",
    "input_audio",
    "input_file",
];

impl Question {
    /// The capabilities without which a model cannot answer, each once. What cannot be read is not known.
    pub(super) fn needs(&self) -> Vec<Capability> {
        let Asked::Client { body, .. } = &self.asked else {
            return self.translated().map(|(request, _)| needs_of(request)).unwrap_or_default();
        };
        if !may_need_more_than_text(body) {
            return Vec::new();
        }
        match self.translated() {
            Ok((request, _)) => needs_of(request),
            // What only its own protocol can say may pass through to a provider that speaks it; its tools are tools.
            Err(_) if offers_anything(body) => vec![Capability::Tools],
            Err(_) => Vec::new(),
        }
    }
}

/// Whether a client's request has to be read for what it needs: most have only text, and reading all of one takes time.
fn may_need_more_than_text(body: &RawObject) -> bool {
    FIELDS.iter().any(|field| body.has(field)) || body.values().any(names_a_part)
}

fn names_a_part(json: &str) -> bool {
    json.match_indices('"').any(|(at, _)| {
        let word = json.get(at + 1..).unwrap_or("");
        PARTS.iter().any(|part| word.starts_with(part))
    })
}

fn offers_anything(body: &RawObject) -> bool {
    body.get::<Vec<IgnoredAny>>("tools").is_ok_and(|tools| tools.is_some_and(|tools| !tools.is_empty()))
}

fn needs_of(request: &Request) -> Vec<Capability> {
    let mut needs = Needs::default();
    needs.read(&request.system);
    for message in &request.messages {
        needs.read(&message.parts);
    }
    if uses_tools(request) {
        needs.add(Capability::Tools);
    }
    if matches!(request.output, OutputFormat::Schema(_)) {
        needs.add(Capability::JsonSchema);
    }
    if asks_to_think(request) {
        needs.add(Capability::Thinking);
    }
    needs.0
}

#[derive(Default)]
struct Needs(Vec<Capability>);

impl Needs {
    fn add(&mut self, capability: Capability) {
        if !self.0.contains(&capability) {
            self.0.push(capability);
        }
    }

    fn read(&mut self, parts: &[Part]) {
        for part in parts {
            match &part.content {
                Content::Text(_) | Content::Refusal(_) | Content::Reasoning(_) => {}
                // Who sees no image sees no video either.
                Content::Image(_) | Content::Video(_) => self.add(Capability::Vision),
                Content::Audio(_) => self.add(Capability::Audio),
                // A plain text can be sent as such.
                Content::Document(media) if matches!(media.source, MediaSource::Text(_)) => {}
                Content::Document(_) => self.add(Capability::Documents),
                Content::ToolCall(_) => self.add(Capability::Tools),
                Content::ToolResult(result) => {
                    self.add(Capability::Tools);
                    self.read(&result.parts);
                }
            }
        }
    }
}

/// Whether the model may call the tools that it is offered.
pub(super) fn uses_tools(request: &Request) -> bool {
    !request.tools.is_empty() && request.tool_choice != Some(ToolChoice::None)
}

/// Whether thoughts are asked for, and not only allowed.
pub(super) fn asks_to_think(request: &Request) -> bool {
    request.reasoning.as_ref().is_some_and(|reasoning| {
        reasoning.effort.is_some_and(|effort| effort != Effort::None)
            || reasoning.budget_tokens.is_some_and(|tokens| tokens > 0)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_protocols::Protocol;

    use super::*;
    use crate::Purpose;

    fn needs(protocol: Protocol, body: &str) -> Vec<&'static str> {
        let asked = Asked::Client { protocol, body: RawObject::parse(body).unwrap(), header: None };
        let question = Question::new(Purpose::Api, asked, false);
        question.needs().into_iter().map(Capability::as_str).collect()
    }

    fn chat(rest: &str) -> Vec<&'static str> {
        let body = format!(r#"{{"model":"r","messages":[{{"role":"user","content":"hi"}}]{rest}}}"#);
        needs(Protocol::OpenAiChat, &body)
    }

    fn parts(parts: &str) -> Vec<&'static str> {
        needs(Protocol::OpenAiChat, &format!(r#"{{"model":"r","messages":[{{"role":"user","content":[{parts}]}}]}}"#))
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn fields_of_a_chat_need_what_they_ask_for() {
        let tool = r#"{"type":"function","function":{"name":"f"}}"#;
        assert_eq!(chat(""), NOTHING);
        assert_eq!(chat(r#","temperature":1,"tools":[]"#), NOTHING);
        assert_eq!(chat(&format!(r#","tools":[{tool}]"#)), ["tools"]);
        assert_eq!(chat(&format!(r#","tools":[{tool}],"tool_choice":"none""#)), NOTHING);
        assert_eq!(chat(r#","functions":[{"name":"f"}]"#), ["tools"]);
        // What only OpenAI can run passes through, and is a tool all the same.
        assert_eq!(chat(r#","tools":[{"type":"custom","custom":{"name":"f"}}]"#), ["tools"]);
        let schema =
            r#","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}"#;
        assert_eq!(chat(schema), ["json_schema"]);
        assert_eq!(chat(r#","response_format":{"type":"json_object"}"#), NOTHING);
        assert_eq!(chat(r#","reasoning_effort":"high""#), ["thinking"]);
        assert_eq!(chat(r#","reasoning_effort":"none""#), NOTHING);
        assert_eq!(chat(r#","grammar":"root ::= 'a'""#), NOTHING);
    }

    #[test]
    fn parts_of_messages_need_what_they_are() {
        assert_eq!(parts(r#"{"type":"text","text":"\"image\" is a word"}"#), NOTHING);
        let image = r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#;
        assert_eq!(parts(&format!("{image},{image}")), ["vision"]);
        assert_eq!(parts(r#"{"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}}"#), ["audio"]);
        let file = r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,aGk="}}"#;
        assert_eq!(parts(&format!("{image},{file}")), ["vision", "documents"]);
        let turns = r#"[{"role":"user","content":"hi"},
            {"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"1","content":"done"}]"#;
        assert_eq!(needs(Protocol::OpenAiChat, &format!(r#"{{"model":"r","messages":{turns}}}"#)), ["tools"]);
    }

    #[test]
    fn other_protocols_say_the_same_in_other_words() {
        let anthropic = |content: &str, rest: &str| {
            let turn = format!(r#"[{{"role":"user","content":[{content}]}}]"#);
            needs(Protocol::Anthropic, &format!(r#"{{"model":"r","max_tokens":9,"messages":{turn}{rest}}}"#))
        };
        let text = r#"{"type":"text","text":"hi"}"#;
        let source = r#"{"type":"base64","media_type":"image/png","data":"aGk="}"#;
        assert_eq!(anthropic(text, ""), NOTHING);
        assert_eq!(anthropic(&format!(r#"{{"type":"image","source":{source}}}"#), ""), ["vision"]);
        let plain = r#"{"type":"text","media_type":"text/plain","data":"hi"}"#;
        assert_eq!(anthropic(&format!(r#"{{"type":"document","source":{plain}}}"#), ""), NOTHING);
        let pdf = r#"{"type":"base64","media_type":"application/pdf","data":"aGk="}"#;
        assert_eq!(anthropic(&format!(r#"{{"type":"document","source":{pdf}}}"#), ""), ["documents"]);
        assert_eq!(anthropic(text, r#","tools":[{"name":"f","input_schema":{"type":"object"}}]"#), ["tools"]);
        assert_eq!(anthropic(text, r#","thinking":{"type":"enabled","budget_tokens":2048}"#), ["thinking"]);
        assert_eq!(anthropic(text, r#","thinking":{"type":"disabled"}"#), NOTHING);

        let gemini = |part: &str, rest: &str| {
            needs(Protocol::Gemini, &format!(r#"{{"contents":[{{"role":"user","parts":[{part}]}}]{rest}}}"#))
        };
        assert_eq!(gemini(r#"{"text":"hi"}"#, ""), NOTHING);
        assert_eq!(gemini(r#"{"inlineData":{"mimeType":"image/png","data":"aGk="}}"#, ""), ["vision"]);
        let schema =
            r#","generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"OBJECT"}}"#;
        assert_eq!(gemini(r#"{"text":"hi"}"#, schema), ["json_schema"]);

        let responses = |input: &str, rest: &str| {
            needs(Protocol::OpenAiResponses, &format!(r#"{{"model":"r","input":{input}{rest}}}"#))
        };
        assert_eq!(responses(r#""hi""#, ""), NOTHING);
        let image = r#"[{"role":"user","content":[{"type":"input_image","image_url":"https://example.com/a.png"}]}]"#;
        assert_eq!(responses(image, ""), ["vision"]);
        assert_eq!(responses(r#""hi""#, r#","tools":[{"type":"function","name":"f","parameters":{}}]"#), ["tools"]);
        assert_eq!(responses(r#""hi""#, r#","tools":[{"type":"web_search"}]"#), ["tools"]);
    }
}
