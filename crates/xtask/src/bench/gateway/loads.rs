//! What is sent, and what has to come back.

use serde_json::json;

/// Chunks with text in a streamed answer.
pub const CHUNKS: u32 = 200;
/// Between two chunks of a paced stream, in milliseconds: 200 words a second, as a fast provider writes.
pub const CHUNK_PAUSE_MS: u64 = 5;
/// Bytes of the text in a long prompt.
const PROMPT_BYTES: usize = 32 << 10;
/// Streams a second when they are paced. Each takes a second, and every chunk of it is a message of its own.
const PACED_RATE: u32 = 2;

/// A kind of request.
#[derive(Debug)]
pub struct Load {
    /// Its name in reports.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// The model of the mock provider that answers.
    pub model: &'static str,
    /// Whether the answer is a stream.
    pub streamed: bool,
    /// Requests a second of its own; those of the command line when absent.
    pub rate: Option<u32>,
    long_prompt: bool,
}

/// All that is measured, in this order.
pub const LOADS: &[Load] = &[
    Load {
        name: "chat",
        title: "a small chat, answered as a whole",
        model: "instant",
        streamed: false,
        rate: None,
        long_prompt: false,
    },
    Load {
        name: "prompt-32k",
        title: "a prompt of 32 KB, answered as a whole",
        model: "instant",
        streamed: false,
        rate: None,
        long_prompt: true,
    },
    Load {
        name: "stream",
        title: "a small chat, answered as a stream of 200 chunks without a pause",
        model: "instant",
        streamed: true,
        rate: None,
        long_prompt: false,
    },
    Load {
        name: "paced-stream",
        title: "a small chat, answered as a stream of 200 chunks, 5 ms apart",
        model: "paced",
        streamed: true,
        rate: Some(PACED_RATE),
        long_prompt: false,
    },
];

impl Load {
    /// The request's body, for a server that knows the model under this name.
    pub fn body(&self, model: &str) -> String {
        let prompt = match self.long_prompt {
            false => "What is the capital of France? Answer in one sentence.".to_owned(),
            true => long_text(),
        };
        let mut body = json!({
            "model": model,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant that answers briefly."},
                {"role": "user", "content": prompt},
            ],
            "max_tokens": 256,
            "temperature": 0.2,
        });
        if self.streamed
            && let Some(fields) = body.as_object_mut()
        {
            fields.insert("stream".to_owned(), true.into());
            fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        body.to_string()
    }

    /// Says what is wrong with an answer: another status, no text, or a stream that is not whole.
    ///
    /// # Errors
    /// What is wrong, in a few words that are the same for all such answers.
    pub fn check(&self, status: u16, body: &[u8]) -> Result<(), String> {
        if status != 200 {
            return Err(format!("status {status}"));
        }
        if !self.streamed {
            let is_answer = body.first() == Some(&b'{') && contains(body, b"capital of France is Paris");
            return if is_answer { Ok(()) } else { Err("an answer without its text".to_owned()) };
        }
        // Each event ends with an empty line, and the text of these has no line breaks. Whether the role, the usage or the
        // end comes in an event of its own, each gateway decides for itself.
        let events = body.iter().filter(|byte| **byte == b'\n').count() / 2;
        if events <= CHUNKS as usize || !body.trim_ascii_end().ends_with(b"data: [DONE]") {
            return Err("a stream that is not whole".to_owned());
        }
        Ok(())
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Text with what real prompts have: line breaks and quotes, which JSON escapes, and letters beyond ASCII.
fn long_text() -> String {
    let mut text = String::with_capacity(PROMPT_BYTES + 200);
    let mut number = 0;
    while text.len() < PROMPT_BYTES {
        number += 1;
        text.push_str(&format!(
            "{number}. The report of section {} says: \"the café's costs rose by {} %, more than planned\".\n",
            number % 17,
            number * 37 % 101,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str) -> &'static Load {
        LOADS.iter().find(|load| load.name == name).unwrap()
    }

    #[test]
    fn the_long_prompt_is_32_kilobytes() {
        let length = load("prompt-32k").body("instant").len();
        assert!((PROMPT_BYTES..PROMPT_BYTES * 11 / 10).contains(&length), "{length} bytes");
        assert!(load("chat").body("instant").len() < 400);
    }

    #[test]
    fn only_whole_answers_pass() {
        let chat = load("chat");
        assert!(chat.check(200, br#"{"content":"The capital of France is Paris."}"#).is_ok());
        assert!(chat.check(200, b"{}").is_err());
        assert!(chat.check(500, br#"{"content":"The capital of France is Paris."}"#).is_err());
        let stream = load("stream");
        let events = |count: usize| "data: {}\n\n".repeat(count) + "data: [DONE]\n\n";
        assert!(stream.check(200, events(200).as_bytes()).is_ok());
        assert!(stream.check(200, events(199).as_bytes()).is_err());
        assert!(stream.check(200, "data: {}\n\n".repeat(300).as_bytes()).is_err());
    }
}
