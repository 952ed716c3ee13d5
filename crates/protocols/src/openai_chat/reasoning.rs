//! Thoughts in messages, and their seals.
//!
//! What a provider wants back unchanged is kept as the text of a [`Signature`] whose maker is [`Protocol::OpenAiChat`]:
//! of an item of `reasoning_details` the JSON of the item without its text (id, format and place included, as
//! OpenRouter compares them), of `reasoning_content` the field's name. A seal of another maker that passes through a
//! client of this protocol is the `signature` or the `data` of an item of `reasoning_details`.

use serde_json::{Map, Value, json};

use crate::{
    Protocol,
    chat::{Reasoning, Signature},
};

/// The seal of thoughts that came as `reasoning_content`. DeepSeek refuses a conversation with tool calls in which they
/// are missing; other servers refuse the field.
pub(super) const CONTENT_FIELD: &str = "reasoning_content";

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// A client sends back what it was told, seals of other makers included.
    Client,
    /// All that a provider seals is its own.
    Provider,
}

fn own(text: impl Into<String>) -> Signature {
    Signature { maker: Protocol::OpenAiChat, text: text.into() }
}

/// The seal of thoughts that a provider tells as `reasoning_content`.
pub(super) fn content_field_seal() -> Signature {
    own(CONTENT_FIELD)
}

/// Whether thoughts go back as `reasoning_content`.
pub(super) fn is_content_field(reasoning: &Reasoning) -> bool {
    reasoning.signature.as_ref().is_some_and(|seal| seal.maker == Protocol::OpenAiChat && seal.text == CONTENT_FIELD)
}

/// Whether another protocol's provider sealed them.
pub(super) fn is_foreign(reasoning: &Reasoning) -> bool {
    let mut seals = reasoning.signature.iter().chain(&reasoning.encrypted);
    seals.any(|seal| seal.maker != Protocol::OpenAiChat)
}

/// The field that holds an item's text, and whether it is a summary. `None` for what only the provider can read.
pub(super) fn text_field(item: &Map<String, Value>) -> Option<(&'static str, bool)> {
    match item.get("type").and_then(Value::as_str) {
        Some("reasoning.text") => Some(("text", false)),
        Some("reasoning.summary") => Some(("summary", true)),
        _ => None,
    }
}

/// The seal of an item without its text.
pub(super) fn seal(item: Map<String, Value>) -> Signature {
    own(Value::Object(item).to_string())
}

fn text<'a>(item: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The seal in the field `name` when it is another maker's.
fn foreign(item: &Map<String, Value>, name: &str, sender: Sender) -> Option<Signature> {
    if sender == Sender::Provider {
        return None;
    }
    text(item, name)
        .map(|text| Signature::read(Protocol::OpenAiChat, text))
        .filter(|signature| signature.maker != Protocol::OpenAiChat)
}

/// An item of `reasoning_details`.
pub(super) fn read_detail(mut item: Map<String, Value>, sender: Sender) -> Reasoning {
    let Some((field, summary)) = text_field(&item) else {
        return match foreign(&item, "data", sender) {
            Some(data) => {
                Reasoning { encrypted: Some(data), id: text(&item, "id").map(str::to_owned), ..Reasoning::default() }
            }
            // An unknown kind too: it must come back as it was.
            None => Reasoning { encrypted: Some(seal(item)), ..Reasoning::default() },
        };
    };
    let thoughts = match item.shift_remove(field) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let foreign = foreign(&item, "signature", sender);
    let bare = sender == Sender::Client && ["signature", "format"].iter().all(|name| text(&item, name).is_none());
    if foreign.is_some() || bare {
        let id = text(&item, "id").map(str::to_owned);
        return Reasoning { text: thoughts, summary, signature: foreign, encrypted: None, id };
    }
    Reasoning { text: thoughts, summary, signature: Some(seal(item)), ..Reasoning::default() }
}

/// Thoughts of one message: the items, before them `plain` where the items do not say it again.
pub(super) fn read_thoughts(
    details: Vec<Map<String, Value>>,
    plain: Option<Reasoning>,
    sender: Sender,
) -> Vec<Reasoning> {
    let mut thoughts: Vec<Reasoning> = Vec::new();
    for item in details {
        let mut next = read_detail(item, sender);
        // A summary and what is hidden behind it, written as two items.
        if let Some(last) = thoughts.last_mut()
            && next.encrypted.is_some()
            && next.id.is_some()
            && last.id == next.id
            && last.encrypted.is_none()
        {
            last.encrypted = next.encrypted.take();
        } else {
            thoughts.push(next);
        }
    }
    let said = thoughts.iter().any(|thought| !thought.text.is_empty());
    if let Some(plain) = plain.filter(|plain| !said && !plain.text.is_empty()) {
        thoughts.insert(0, plain);
    }
    thoughts
}

/// A seal of this protocol as the item that it was.
fn unseal(seal: &Signature) -> Option<Map<String, Value>> {
    if seal.maker != Protocol::OpenAiChat {
        return None;
    }
    match serde_json::from_str(&seal.text) {
        Ok(Value::Object(item)) => Some(item),
        _ => None,
    }
}

fn item(kind: &str, field: &str, value: &str, id: Option<&str>, index: usize) -> Map<String, Value> {
    let mut item = Map::new();
    item.insert("type".to_owned(), json!(kind));
    item.insert(field.to_owned(), json!(value));
    item.extend(id.map(|id| ("id".to_owned(), json!(id))));
    item.insert("index".to_owned(), json!(index));
    item
}

/// Sealed thoughts as items of `reasoning_details`; none when nothing is sealed or the seal is that of another field.
///
/// `index` is the place of the first item. `call` is the id of the tool call right after a seal without thoughts, which
/// is that call's: as with OpenRouter, the item bears the call's id, so that it finds its place again.
pub(super) fn write_details(reasoning: &Reasoning, call: Option<&str>, index: usize) -> Vec<Value> {
    if is_content_field(reasoning) {
        return Vec::new();
    }
    let id = reasoning.id.as_deref().or(call.filter(|_| reasoning.text.is_empty()));
    let (kind, field) = if reasoning.summary { ("reasoning.summary", "summary") } else { ("reasoning.text", "text") };
    let plain = |index| item(kind, field, &reasoning.text, id, index);
    let mut items = Vec::new();
    if let Some(signature) = &reasoning.signature {
        items.push(match unseal(signature) {
            Some(mut item) => {
                if !reasoning.text.is_empty() {
                    item.insert(field.to_owned(), json!(reasoning.text));
                }
                item
            }
            None => {
                let mut item = plain(index);
                item.insert("signature".to_owned(), json!(signature.write(Protocol::OpenAiChat)));
                item
            }
        });
    } else if reasoning.encrypted.is_some() && !reasoning.text.is_empty() {
        items.push(plain(index));
    }
    if let Some(encrypted) = &reasoning.encrypted {
        let data = || {
            let data = encrypted.write(Protocol::OpenAiChat);
            item("reasoning.encrypted", "data", &data, id, index + items.len())
        };
        items.push(unseal(encrypted).unwrap_or_else(data));
    }
    items.into_iter().map(Value::Object).collect()
}
