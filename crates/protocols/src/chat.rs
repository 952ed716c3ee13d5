//! What all chat protocols can say, in one form: the middle of every translation.
//!
//! A reader of one protocol makes these types, a writer of another reads them. What a writer cannot say becomes a
//! [`Loss`](crate::Loss) or an error, never silence.

mod stream;

use serde_json::Value;

pub use stream::{Collector, Delta, PartStart};

/// What a model is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The model's name as the caller wrote it; for a provider, the name that the provider knows.
    pub model: String,
    /// Instructions before the conversation.
    pub system: Vec<Part>,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Functions that the model may call.
    pub tools: Vec<Tool>,
    /// Whether and which tool it must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several tools at once; `None` is the provider's default (yes, everywhere).
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    pub output: OutputFormat,
    /// Tokens to write at most, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Randomness: 0 to 2 (Anthropic: to 1).
    pub temperature: Option<f64>,
    /// Nucleus sampling, above 0 to 1.
    pub top_p: Option<f64>,
    /// Only the so many likeliest tokens.
    pub top_k: Option<u64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// For answers that can be repeated.
    pub seed: Option<i64>,
    /// The answer ends before the first of these.
    pub stop: Vec<String>,
    /// Number of answers; `None` is one.
    pub choices: Option<u32>,
    /// How many alternatives of each token are wanted with their log probabilities (0: only the chosen token's).
    pub logprobs: Option<u32>,
    /// How much the model should think before it answers.
    pub reasoning: Option<ReasoningRequest>,
    /// An opaque name of the person behind the caller, for the provider's abuse detection.
    pub user: Option<String>,
    /// Whether the answer should come in pieces.
    pub stream: bool,
    /// Whether a stream should tell the tokens used at its end, where the protocol lets the caller choose.
    pub stream_usage: bool,
}

/// How much a model thinks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReasoningRequest {
    /// In words; mutually exclusive with `budget_tokens` in most protocols.
    pub effort: Option<Effort>,
    /// In tokens; 0 switches thinking off. `None` leaves it to `effort` or the model.
    pub budget_tokens: Option<u64>,
    /// Whether the thoughts (or their summary) are wanted in the answer.
    pub visible: Option<bool>,
}

/// How hard a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as it can.
    Minimal,
    /// Little.
    Low,
    /// The middle.
    Medium,
    /// Much.
    High,
    /// As much as it can.
    Max,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Whose it is. The results of tools are parts of a [`Role::User`] message.
    pub role: Role,
    /// A name that tells participants of one role apart.
    pub name: Option<String>,
    /// In order.
    pub parts: Vec<Part>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions in the middle of a conversation.
    System,
    /// The person, or the program that answers tool calls.
    User,
    /// The model.
    Assistant,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// The provider should keep its computation up to here.
    pub cache: Option<CacheControl>,
}

impl Part {
    /// A part without a cache mark.
    pub fn new(content: Content) -> Self {
        Self { content, cache: None }
    }

    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(text.into()))
    }
}

/// A mark up to which the provider should cache the prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// How long, as in `5m` or `1h`; `None` is the provider's default.
    pub ttl: Option<String>,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text.
    Text(String),
    /// An image.
    Image(Media),
    /// Sound.
    Audio(Media),
    /// A moving picture.
    Video(Media),
    /// A file to read, such as a PDF or a plain text.
    Document(Media),
    /// What the model thought.
    Reasoning(Reasoning),
    /// The model wants a function called.
    ToolCall(ToolCall),
    /// What a function answered.
    ToolResult(ToolResult),
    /// The model declined to answer, in its own words.
    Refusal(String),
}

/// An image, a sound, a video or a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Its MIME type, as far as it is known.
    pub media_type: Option<String>,
    /// Where its bytes are.
    pub source: MediaSource,
    /// A file name or title.
    pub name: Option<String>,
    /// How closely an image is looked at: `low`, `high`, `auto`.
    pub detail: Option<String>,
}

/// Where the bytes of a medium are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaSource {
    /// Here, in standard base64.
    Base64(String),
    /// Here, as text (a plain text document).
    Text(String),
    /// At an address that the provider fetches.
    Url(String),
    /// In the provider's own file store.
    File(String),
}

/// What a model thought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// The thoughts or their summary; empty when they are hidden. An empty text with a signature right before another part
    /// is that part's signature (Gemini signs function calls and texts).
    pub text: String,
    /// Whether `text` is a summary and not the thoughts themselves.
    pub summary: bool,
    /// The provider's seal over the thoughts: it must come back unchanged in the next turn.
    pub signature: Option<Signature>,
    /// Thoughts that only the provider can read (`redacted_thinking`, `encrypted_content`). They come back unchanged as well.
    pub encrypted: Option<Signature>,
    /// The provider's id of the thoughts.
    pub id: Option<String>,
}

/// Something opaque that only its maker understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The protocol of the provider that made it. Sent to another, it would be refused.
    pub maker: crate::Protocol,
    /// As the maker wrote it.
    pub text: String,
}

/// Marks a signature that travels through another protocol than its maker's: `plasma.<maker>.<text>`.
const FOREIGN_SIGNATURE: &str = "plasma.";

impl Signature {
    /// As it stands in a message of `protocol`: bare for its maker's, marked with the maker's name elsewhere.
    pub fn write(&self, protocol: crate::Protocol) -> String {
        if self.maker == protocol {
            self.text.clone()
        } else {
            format!("{FOREIGN_SIGNATURE}{}.{}", self.maker.as_str(), self.text)
        }
    }

    /// Of a text that stood in a message of `protocol`.
    pub fn read(protocol: crate::Protocol, text: &str) -> Self {
        let marked = text.strip_prefix(FOREIGN_SIGNATURE).and_then(|rest| rest.split_once('.'));
        if let Some((maker, text)) = marked
            && let Ok(maker) = maker.parse()
        {
            return Self { maker, text: text.to_owned() };
        }
        Self { maker: protocol, text: text.to_owned() }
    }
}

/// A function that the model wants called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Unique in the conversation. A reader of a protocol without ids makes one.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// A JSON object as text, exactly as the model wrote it (it may be invalid JSON, for models err). Empty means `{}`.
    pub arguments: String,
}

/// What a function answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The call that it answers.
    pub call_id: String,
    /// The function's name, where the protocol says it.
    pub name: Option<String>,
    /// Texts, images, documents.
    pub parts: Vec<Part>,
    /// Whether the function failed.
    pub is_error: bool,
}

/// A function that a model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Letters, digits, `_` and `-`, at most 64 in most protocols.
    pub name: String,
    /// When and how to use it.
    pub description: Option<String>,
    /// The JSON schema of its arguments, an object.
    pub parameters: Option<Value>,
    /// Whether arguments must follow the schema exactly.
    pub strict: Option<bool>,
    /// A cache mark.
    pub cache: Option<CacheControl>,
}

/// Whether and which tool a model calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// It decides.
    Auto,
    /// It must not.
    None,
    /// It must call at least one.
    Required,
    /// It must call one of these (one name in most protocols).
    Named(Vec<String>),
}

/// The form of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OutputFormat {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    Schema(OutputSchema),
}

/// A schema for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSchema {
    /// A name, where the protocol has one.
    pub name: Option<String>,
    /// What the answer is.
    pub description: Option<String>,
    /// The JSON schema.
    pub schema: Value,
    /// Whether it must be followed exactly.
    pub strict: Option<bool>,
}

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's id of the answer; empty when it gives none.
    pub id: String,
    /// The provider's name of the model.
    pub model: String,
    /// Seconds since 1970 UTC.
    pub created: Option<i64>,
    /// One for each answer asked for.
    pub choices: Vec<Choice>,
    /// The tokens used; `None` when the provider does not say.
    pub usage: Option<Usage>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its place, from 0.
    pub index: u32,
    /// Reasoning, text, tool calls, in the order in which the model wrote them.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub stop: StopReason,
    /// Which stop sequence ended it.
    pub stop_sequence: Option<String>,
    /// The log probabilities of its tokens; empty when not asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model was done.
    End,
    /// The limit of tokens was reached.
    MaxTokens,
    /// A stop sequence came.
    StopSequence,
    /// Tools are to be called.
    ToolUse,
    /// The provider's safety filter, or the model itself, refused.
    Refusal,
    /// The provider paused a long turn: send the answer back to go on.
    Pause,
    /// Something else, in the provider's word.
    Other(String),
}

/// A token with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// Its text.
    pub token: String,
    /// Its bytes in UTF-8, where known (a token may be a part of a character).
    pub bytes: Option<Vec<u8>>,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// The likeliest tokens at this place; their own `top` is empty.
    pub top: Vec<TokenLogprob>,
}

/// The tokens used. Providers count differently; here every number includes its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens read, from a cache or not, written to a cache or not.
    pub input_tokens: u64,
    /// Those of them that a cache answered.
    pub cached_input_tokens: u64,
    /// Those of them that were written to a cache.
    pub cache_write_tokens: u64,
    /// All tokens written, thoughts included.
    pub output_tokens: u64,
    /// Those of them that were thoughts, where known.
    pub reasoning_tokens: u64,
}

/// No call uses a billion tokens. A provider that says so is held at this, so that sums stay within 64 bits.
const TOKENS_MAX: u64 = 1_000_000_000;

impl Usage {
    /// The same with absurd numbers cut down and parts no greater than their whole. Readers end with it.
    pub fn bounded(self) -> Self {
        let input_tokens = self.input_tokens.min(TOKENS_MAX);
        let cached_input_tokens = self.cached_input_tokens.min(input_tokens);
        let output_tokens = self.output_tokens.min(TOKENS_MAX);
        Self {
            input_tokens,
            cached_input_tokens,
            cache_write_tokens: self.cache_write_tokens.min(input_tokens - cached_input_tokens),
            output_tokens,
            reasoning_tokens: self.reasoning_tokens.min(output_tokens),
        }
    }
}
