use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    ServerArgs,
    api::{Api, describe},
    printable,
    search::parse_filter,
};

/// The longest line of a stream that is taken, in bytes: a passage is far smaller.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// `plasma ask`
#[derive(Debug, Args)]
#[command(after_help = "Example: plasma ask -c handbook \"How long is the notice period?\"")]
pub struct AskArgs {
    /// The question
    question: String,
    /// The collection's name or id
    #[arg(short, long)]
    collection: String,
    /// The model that answers; the default chat model when absent
    #[arg(short, long)]
    model: Option<String>,
    /// Passages that the model reads at most (1 to 8)
    #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..=8))]
    limit: Option<u32>,
    /// Only documents with this metadata, as JSON
    #[arg(long, value_name = "JSON", value_parser = parse_filter)]
    filter: Option<Value>,
    #[command(flatten)]
    server: ServerArgs,
}

impl AskArgs {
    fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("collection".to_owned(), json!(self.collection));
        body.insert("question".to_owned(), json!(self.question));
        if let Some(model) = &self.model {
            body.insert("model".to_owned(), json!(model));
        }
        if let Some(limit) = self.limit {
            body.insert("limit".to_owned(), json!(limit));
        }
        if let Some(filter) = &self.filter {
            body.insert("filter".to_owned(), filter.clone());
        }
        Value::Object(body)
    }
}

/// Asks, prints the answer as it comes, then its sources as footnotes.
///
/// # Errors
/// What the server, the model or the connection says.
pub async fn ask(arguments: AskArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let body = arguments.body();
    let mut response = api.send(|api| Ok(api.request(Method::POST, &["api", "v1", "ask"])?.json(&body))).await?;
    let mut events = EventReader::default();
    let mut passages: Vec<Value> = Vec::new();
    let mut screen = Screen { json: arguments.server.json, ..Screen::default() };
    while let Some(bytes) = response.chunk().await.context("the connection broke before the answer was complete")? {
        for (name, data) in events.push(&bytes)? {
            match name.as_str() {
                "passage" => passages.push(data),
                "progress" => screen.progress(&data),
                "token" => screen.token(&data)?,
                "error" => {
                    screen.clear();
                    return Err(anyhow!(describe(&data).unwrap_or_else(|| "the answer broke off".to_owned())));
                }
                "done" => {
                    screen.done(&data, &passages)?;
                    return Ok(true);
                }
                // Citations come once more with `done`; newer servers may send further kinds.
                _ => {}
            }
        }
    }
    Err(anyhow!("the connection ended before the answer was complete"))
}

/// What is on the terminal.
#[derive(Default)]
struct Screen {
    json: bool,
    progress_shown: bool,
    token_shown: bool,
}

impl Screen {
    /// What the server is doing, on the error stream and only for people.
    fn progress(&mut self, data: &Value) {
        if self.json || self.token_shown || !std::io::stderr().is_terminal() {
            return;
        }
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        let part = match (data.get("done").and_then(Value::as_u64), data.get("total").and_then(Value::as_u64)) {
            (Some(done), Some(total)) => format!(" {done} of {total}"),
            _ => String::new(),
        };
        eprint!("\r\u{1b}[K{}{part} {}", printable(text("stage")), printable(text("detail")));
        self.progress_shown = true;
    }

    fn clear(&mut self) {
        if self.progress_shown {
            eprint!("\r\u{1b}[K");
            self.progress_shown = false;
        }
    }

    fn token(&mut self, data: &Value) -> Result<()> {
        if self.json {
            return Ok(());
        }
        self.clear();
        self.token_shown = true;
        let mut output = std::io::stdout();
        output.write_all(printable(data.get("text").and_then(Value::as_str).unwrap_or_default()).as_bytes())?;
        output.flush()?;
        Ok(())
    }

    fn done(&mut self, done: &Value, passages: &[Value]) -> Result<()> {
        self.clear();
        if self.json {
            let mut answer = done.clone();
            if let Some(fields) = answer.as_object_mut() {
                fields.insert("passages".to_owned(), Value::Array(passages.to_vec()));
            }
            println!("{}", serde_json::to_string_pretty(&answer)?);
            return Ok(());
        }
        if !self.token_shown {
            print!("{}", printable(done.get("answer").and_then(Value::as_str).unwrap_or_default()));
        }
        println!();
        print!("{}", footnotes(done, passages));
        Ok(())
    }
}

/// `[1] Title > heading` for each passage that the answer cites.
fn footnotes(done: &Value, passages: &[Value]) -> String {
    let number_of = |value: &Value| value.get("number").and_then(Value::as_u64);
    let mut cited: Vec<u64> =
        done.get("citations").and_then(Value::as_array).into_iter().flatten().filter_map(number_of).collect();
    cited.sort_unstable();
    cited.dedup();
    let mut lines = String::new();
    for number in cited {
        let Some(passage) = passages.iter().find(|passage| number_of(passage) == Some(number)) else { continue };
        let text = |name: &str| passage.get(name).and_then(Value::as_str).map(printable).unwrap_or_default();
        let heading = match text("heading") {
            heading if heading.is_empty() => String::new(),
            heading => format!(" > {heading}"),
        };
        let place = match (passage.get("start"), passage.get("end")) {
            (Some(start), Some(end)) => format!(" (characters {start} to {end} of {})", text("document_id")),
            _ => String::new(),
        };
        lines.push_str(&format!("\n[{number}] {}{heading}{place}", text("title")));
    }
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines
}

/// Puts server-sent events together from whatever pieces arrive.
#[derive(Default)]
struct EventReader {
    buffer: Vec<u8>,
}

impl EventReader {
    /// The events that are complete now: name and data.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<(String, Value)>> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(|value| value.strip_prefix(' ').unwrap_or(value))
            };
            // A block of comments only keeps the connection alive.
            let (Some(name), Some(data)) = (field("event:"), field("data:")) else { continue };
            let data = serde_json::from_str(data).context("the server sent an event that is not JSON")?;
            events.push((name.to_owned(), data));
        }
        if self.buffer.len() > EVENT_BYTES_MAX {
            return Err(anyhow!("the server sent an event of more than 4 MiB"));
        }
        Ok(events)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_from_any_pieces() {
        let stream = ": hello\n\nevent: token\ndata: {\"text\":\"ä\"}\n\nevent: done\ndata: {}\n\n".as_bytes();
        for size in 1..stream.len() {
            let mut reader = EventReader::default();
            let mut events = Vec::new();
            for piece in stream.chunks(size) {
                events.extend(reader.push(piece).unwrap());
            }
            assert_eq!(events, [("token".to_owned(), json!({"text": "ä"})), ("done".to_owned(), json!({}))]);
        }
    }

    #[test]
    fn only_what_the_answer_cites_is_a_footnote() {
        let passages = [
            json!({"number": 1, "title": "Budget", "heading": null, "document_id": "kdoc_a", "start": 3, "end": 9}),
            json!({"number": 2, "title": "Plan", "heading": "Goals", "document_id": "kdoc_b", "start": 0, "end": 5}),
        ];
        let done = json!({"citations": [{"number": 2}, {"number": 2}, {"number": 7}]});
        assert_eq!(footnotes(&done, &passages), "\n[2] Plan > Goals (characters 0 to 5 of kdoc_b)\n");
    }
}
