use std::collections::VecDeque;

use serde_json::Value;

use super::{
    answer::{completed, created, failed, incomplete, list, text, usage},
    error::told,
    stream_items::{Address, Kind, OpenItem, whole_item},
};
use crate::{
    SseEvent, Wrong,
    chat::{Delta, PartStart},
};

const ITEM_ADDED: &str = "response.output_item.added";
const ITEM_DONE: &str = "response.output_item.done";

/// Items that a stream may have begun and not ended at one time: parallel function calls are some dozens at most.
const ITEMS_OPEN_MAX: usize = 256;
/// Bytes of JSON that may wait for a function call to end, over the whole stream.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Reads a provider's stream.
///
/// OpenAI writes one item after another. Of servers that write several at once, a message or thoughts end where another
/// item begins (llama.cpp tells all ends at the end); function calls are told one after another, the later ones once
/// the first is complete.
#[derive(Debug, Default)]
pub struct StreamReader {
    started: bool,
    complete: bool,
    has_items: bool,
    open: Option<OpenItem>,
    /// Events of items that have begun while a function call was open.
    waiting: VecDeque<(Address, Vec<(String, Value)>)>,
    waited_bytes: usize,
    /// Items that were taken to be at their end; the event that says so is still to come.
    ended: Vec<Address>,
    calls: bool,
    refuses: bool,
}

impl StreamReader {
    /// A reader of one stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the provider has said how the answer ended.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes the next event and appends what it means.
    ///
    /// # Errors
    /// When it does not follow the protocol, or is an error that the provider tells.
    pub fn read(&mut self, event: &SseEvent, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        // Some servers end like Chat Completions or keep the connection alive with empty events.
        if self.complete || matches!(event.data.trim(), "" | "[DONE]") {
            return Ok(());
        }
        let data: Value = serde_json::from_str(&event.data)
            .map_err(|error| Wrong::malformed(format!("an event of the stream is not JSON: {error}")))?;
        let kind = match text(&data, "type") {
            "" => event.name.as_deref().unwrap_or(""),
            kind => kind,
        }
        .to_owned();
        let error = data.get("error").filter(|error| !error.is_null());
        let response = data.get("response").unwrap_or(&Value::Null);
        match kind.as_str() {
            "error" => return Err(Wrong::Told(told(error.unwrap_or(&data)))),
            "" => {
                if let Some(error) = error {
                    return Err(Wrong::Told(told(error)));
                }
            }
            "response.failed" => return Err(failed(response)),
            "response.created" | "response.in_progress" | "response.queued" => self.start(response, deltas),
            "response.completed" | "response.incomplete" => {
                // Some servers end every stream with `response.completed`, whatever the status in it.
                let is_incomplete = kind == "response.incomplete" || text(response, "status") == "incomplete";
                self.end(response, is_incomplete, deltas)?;
            }
            _ if is_about_items(&kind) => {
                self.start(&Value::Null, deltas);
                let before = deltas.len();
                self.item_event(&kind, data, event.data.len(), deltas)?;
                self.look(deltas.get(before..).unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, response: &Value, deltas: &mut Vec<Delta>) {
        if !self.started {
            self.started = true;
            let (id, model) = (text(response, "id").to_owned(), text(response, "model").to_owned());
            deltas.push(Delta::Start { id, model, created: created(response) });
        }
    }

    /// Notes what decides why the answer ended.
    fn look(&mut self, deltas: &[Delta]) {
        for delta in deltas {
            match delta {
                Delta::Open { part: PartStart::ToolCall { .. }, .. } => self.calls = true,
                Delta::Open { part: PartStart::Refusal, .. } => self.refuses = true,
                _ => {}
            }
        }
    }

    fn item_event(&mut self, kind: &str, event: Value, bytes: usize, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        self.has_items = true;
        let address = Address::of(&event);
        let of_open = match &self.open {
            Some(open) if kind == ITEM_ADDED => open.address.same(&address) == Some(true),
            Some(open) => open.address.same(&address) != Some(false),
            None => false,
        };
        if !of_open {
            if self.is_late(kind, &address) {
                return Ok(());
            }
            match &self.open {
                Some(open) if open.kind == Kind::Call => {
                    self.waited_bytes += bytes;
                    return self.wait(kind, address, event);
                }
                Some(_) => self.end_early(deltas)?,
                None => {}
            }
        }
        self.take(kind, &event, deltas)?;
        self.take_waiting(deltas)
    }

    /// Whether the event only ends an item that was taken to be at its end. One that goes on begins again.
    fn is_late(&mut self, kind: &str, address: &Address) -> bool {
        let Some(place) = self.ended.iter().position(|ended| ended.same(address) == Some(true)) else { return false };
        let goes_on = kind.ends_with(".delta");
        if goes_on || kind == ITEM_DONE {
            self.ended.swap_remove(place);
        }
        !goes_on
    }

    fn wait(&mut self, kind: &str, address: Address, event: Value) -> Result<(), Wrong> {
        let event = (kind.to_owned(), event);
        match self.waiting.iter_mut().find(|(waiting, _)| waiting.same(&address) == Some(true)) {
            Some((_, events)) => events.push(event),
            None => self.waiting.push_back((address, vec![event])),
        }
        if self.waited_bytes > WAITING_BYTES_MAX {
            return Err(Wrong::malformed(format!("the stream mixes more than {WAITING_BYTES_MAX} bytes of its items")));
        }
        limit(self.waiting.len())
    }

    fn end_early(&mut self, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        if let Some(mut open) = self.open.take() {
            open.close(deltas);
            self.ended.push(open.address);
        }
        limit(self.ended.len())
    }

    /// Takes an event of the open item, or one that opens an item.
    fn take(&mut self, kind: &str, event: &Value, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        let item = event.get("item").unwrap_or(&Value::Null);
        if self.open.is_none() {
            self.open = match kind {
                ITEM_ADDED | ITEM_DONE => OpenItem::begin(Address::of(event), item, deltas)?,
                _ => kind_of_piece(kind).map(|kind| OpenItem::of(kind, Address::of(event))),
            };
        }
        match kind {
            ITEM_ADDED => {}
            ITEM_DONE => match self.open.take() {
                Some(open) => open.finish(item, deltas),
                None => whole_item(item, deltas),
            },
            _ => {
                if let Some(open) = &mut self.open {
                    open.piece(kind, event, deltas);
                }
            }
        }
        Ok(())
    }

    /// Goes on with the items that have waited, as far as they have come.
    fn take_waiting(&mut self, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        while self.open.is_none()
            && let Some((_, events)) = self.waiting.pop_front()
        {
            for (kind, event) in events {
                self.take(&kind, &event, deltas)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, response: &Value, is_incomplete: bool, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        self.start(response, deltas);
        let before = deltas.len();
        if !self.has_items {
            // A server that tells everything at the end.
            for item in list(response, "output") {
                if let Some(open) = OpenItem::begin(Address::of(item), item, deltas)? {
                    open.finish(item, deltas);
                } else {
                    whole_item(item, deltas);
                }
            }
        }
        // Ends that were not told.
        while let Some(mut open) = self.open.take() {
            open.close(deltas);
            self.take_waiting(deltas)?;
        }
        self.look(deltas.get(before..).unwrap_or_default());
        let reason = if is_incomplete { incomplete(response) } else { completed(self.calls, self.refuses) };
        deltas.push(Delta::Stop { choice: 0, reason, sequence: None });
        deltas.extend(usage(response).map(Delta::Usage));
        self.complete = true;
        Ok(())
    }
}

/// The kind of item that a piece belongs to whose item has not been told; `None` for ends, which may come late.
fn kind_of_piece(kind: &str) -> Option<Kind> {
    match kind {
        "response.output_text.delta" | "response.refusal.delta" => Some(Kind::Message),
        "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => Some(Kind::Reasoning),
        _ => None,
    }
}

fn is_about_items(kind: &str) -> bool {
    ["output_item", "content_part", "output_text", "refusal", "function_call_arguments", "reasoning"]
        .iter()
        .any(|about| kind.strip_prefix("response.").is_some_and(|rest| rest.starts_with(about)))
}

fn limit(items: usize) -> Result<(), Wrong> {
    if items > ITEMS_OPEN_MAX {
        return Err(Wrong::malformed(format!("the stream writes more than {ITEMS_OPEN_MAX} items at once")));
    }
    Ok(())
}
