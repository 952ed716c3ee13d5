use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ServerArgs, api::Api, printable};

/// The longest line of a stream that is taken, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// `plasma models try`
#[derive(Debug, Args)]
#[command(after_help = "Example: plasma models try local/qwen2.5-coder-0.5b-instruct \"Name three colours.\"")]
pub struct TryArgs {
    /// The model, route or alias
    model: String,
    /// What to say to it
    prompt: String,
    /// Tokens of the answer at most
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_tokens: u32,
    #[command(flatten)]
    server: ServerArgs,
}

/// Asks a model once, prints the answer as it comes, and then how long it took and what it cost.
///
/// # Errors
/// What the server, the model or the connection says.
pub async fn try_model(arguments: TryArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let body = json!({
        "model": arguments.model,
        "max_tokens": arguments.max_tokens,
        "stream": true,
        "messages": [{ "role": "user", "content": arguments.prompt }],
    });
    let started = Instant::now();
    let mut response =
        api.send(|api| Ok(api.request(Method::POST, &["v1", "chat", "completions"])?.json(&body))).await?;
    let call_id = response.headers().get("plasma-call-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let (mut lines, mut answer, mut first) = (Lines::default(), String::new(), None);
    let mut output = std::io::stdout();
    let mut ended = false;
    while let Some(bytes) = response.chunk().await.context("the connection broke before the answer was complete")? {
        for data in lines.push(&bytes)? {
            if data == "[DONE]" {
                ended = true;
                continue;
            }
            let event: Value = serde_json::from_str(&data).context("the server sent an event that is not JSON")?;
            if let Some(error) = event.pointer("/error/message").and_then(Value::as_str) {
                bail!("{}", printable(error));
            }
            let Some(text) = event.pointer("/choices/0/delta/content").and_then(Value::as_str) else { continue };
            if !text.is_empty() {
                first.get_or_insert_with(|| started.elapsed());
                answer.push_str(text);
            }
            if !arguments.server.json {
                output.write_all(printable(text).as_bytes())?;
                output.flush()?;
            }
        }
    }
    if !ended {
        return Err(anyhow!("the connection ended before the answer was complete"));
    }
    let total = started.elapsed();
    // The answer is complete only when its record is durable.
    let call: Value = match &call_id {
        Some(id) => api.json(Method::GET, &["api", "v1", "models", "calls", id], None).await.unwrap_or(Value::Null),
        None => Value::Null,
    };
    if arguments.server.json {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let answer = json!({
            "model": arguments.model, "answer": answer, "first_token_ms": first.map(milliseconds),
            "duration_ms": milliseconds(total), "call": call,
        });
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(true);
    }
    println!();
    eprintln!("{}", timings(first, total, &call));
    Ok(true)
}

fn timings(first: Option<Duration>, total: Duration, call: &Value) -> String {
    let number = |name: &str| call.get(name).and_then(Value::as_u64);
    let mut line = String::new();
    if let Some(model) = call.get("model").and_then(Value::as_str) {
        line.push_str(&format!("{}: ", printable(model)));
    }
    if let Some(first) = first {
        line.push_str(&format!("first token after {:.2} s, ", first.as_secs_f64()));
    }
    line.push_str(&format!("{:.2} s in all", total.as_secs_f64()));
    if let (Some(read), Some(written)) = (number("input_tokens"), number("output_tokens")) {
        line.push_str(&format!(", {read} tokens read, {written} written"));
        let writing = first.map(|first| total.saturating_sub(first).as_secs_f64()).filter(|time| *time > 0.0);
        if let Some(time) = writing.filter(|_| written > 1) {
            line.push_str(&format!(" ({:.1} a second)", (written - 1) as f64 / time));
        }
    }
    let currency = call.pointer("/cost/currency").and_then(Value::as_str);
    match call.pointer("/cost/amount_micros").and_then(Value::as_i64).zip(currency) {
        Some((micros, currency)) => line.push_str(&format!(", {:.6} {}", micros as f64 / 1e6, printable(currency))),
        None => line.push_str(", cost unknown"),
    }
    line
}

/// Puts the `data:` lines of a stream together from whatever pieces arrive.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>> {
        self.buffer.extend_from_slice(bytes);
        let mut found = Vec::new();
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(data) = line.strip_prefix("data:") {
                found.push(data.trim().to_owned());
            }
        }
        if self.buffer.len() > LINE_BYTES_MAX {
            bail!("the server sent a line of more than 1 MiB");
        }
        Ok(found)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_any_pieces() {
        let stream = ": hello\n\ndata: {\"a\":\"ä\"}\n\nevent: x\ndata:[DONE]\n\n".as_bytes();
        for size in 1..stream.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for piece in stream.chunks(size) {
                found.extend(lines.push(piece).unwrap());
            }
            assert_eq!(found, ["{\"a\":\"ä\"}", "[DONE]"]);
        }
    }

    #[test]
    fn timings_say_speed_and_cost() {
        let call = json!({ "model": "acme/large", "input_tokens": 12, "output_tokens": 21,
                           "cost": { "amount_micros": 250, "currency": "USD" } });
        let line = timings(Some(Duration::from_millis(500)), Duration::from_millis(1_500), &call);
        assert_eq!(
            line,
            "acme/large: first token after 0.50 s, 1.50 s in all, 12 tokens read, 21 written (20.0 a second), 0.000250 USD"
        );
        assert_eq!(timings(None, Duration::from_secs(1), &Value::Null), "1.00 s in all, cost unknown");
    }
}
