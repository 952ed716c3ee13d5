//! OpenAI Responses (`POST /v1/responses`), as in OpenAI's API reference: "Create a model response", "The response
//! object" and "Streaming events".
//!
//! - Without the provider's state: `previous_response_id`, `conversation`, `prompt`, `item_reference` and `background`
//!   are refused, and what is sent to a provider says `store: false`.
//! - Thoughts travel sealed in `encrypted_content`; a seal of another maker is marked (`Signature`).
//! - Consecutive items of one side are one message of the middle form: reasoning, function calls and a message of the
//!   model are parts of one turn. Ids of items mean nothing without the provider's state, but for those of reasoning.
//! - Tools that run at the provider (web search, code interpreter, …) and free-form (`custom`) tools are refused: no
//!   other protocol has them.

mod answer;
mod error;
mod input;
mod items;
mod reply;
mod request;
mod send;
mod send_items;
mod stream_items;
mod stream_reader;
mod stream_writer;
mod tools;

#[cfg(test)]
mod tests;

pub use answer::read_answer;
pub use error::read_error;
pub use reply::write_answer;
pub use request::read_request;
pub use send::write_request;
pub use stream_reader::StreamReader;
pub use stream_writer::StreamWriter;

/// Both of OpenAI's protocols write errors alike.
pub use crate::openai_chat::write_error;

use crate::{
    Protocol,
    chat::{Reasoning, Signature},
};

const HERE: Protocol = Protocol::OpenAiResponses;

/// Marks thoughts that only their maker can read (`redacted_thinking`) where `encrypted_content` otherwise holds the
/// seal over thoughts: `plasma.encrypted.<maker>.<text>`. Their makers tell the two apart.
const ENCRYPTED: &str = "plasma.encrypted.";

/// What `encrypted_content` says of thoughts.
fn write_seal(reasoning: &Reasoning) -> Option<String> {
    match (&reasoning.encrypted, &reasoning.signature) {
        (Some(encrypted), _) if encrypted.maker == HERE => Some(encrypted.text.clone()),
        (Some(encrypted), _) => Some(format!("{ENCRYPTED}{}.{}", encrypted.maker, encrypted.text)),
        (None, Some(signature)) => Some(signature.write(HERE)),
        (None, None) => None,
    }
}

/// Takes what a client's `encrypted_content` says. Some servers write an empty one.
fn read_seal(text: &str, reasoning: &mut Reasoning) {
    let encrypted = text.strip_prefix(ENCRYPTED).and_then(|rest| rest.split_once('.'));
    if let Some((maker, text)) = encrypted
        && let Ok(maker) = maker.parse()
    {
        reasoning.encrypted = Some(Signature { maker, text: text.to_owned() });
    } else if !text.is_empty() {
        reasoning.signature = Some(Signature::read(HERE, text));
    }
}
