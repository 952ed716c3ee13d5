use plasma_kernel::{Actor, PromptId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Messages for models under a name, in numbered versions.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Prompt {
    /// Its id.
    pub id: PromptId,
    /// What callers name.
    #[schema(example = "support-reply")]
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The number of the newest version; 0 while there is none.
    pub newest_version: u32,
    /// In the order of their names.
    pub aliases: Vec<PromptAlias>,
    /// When it was added, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When its newest version was added, or it itself.
    pub updated_at: Timestamp,
}

/// A name for a version, or for several that share the calls by weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PromptAlias {
    /// Unique in the prompt.
    #[schema(example = "production")]
    pub name: String,
    /// The versions that it stands for.
    pub split: Vec<PromptShare>,
    /// When it was set last, in microseconds since 1970 UTC.
    pub updated_at: Timestamp,
}

/// The share of a version in an alias's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptShare {
    /// The version's number.
    #[schema(minimum = 1, example = 1)]
    pub version: u32,
    /// Its part of the sum of all weights: 0 to 1,000,000.
    #[serde(default = "one")]
    #[schema(maximum = 1_000_000)]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

/// What a version says. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptDefinition {
    /// Templates of messages, 1 to 32; those of the system come first.
    pub messages: Vec<PromptMessage>,
    /// What the templates may insert, at most 64.
    #[serde(default)]
    pub variables: Vec<PromptVariable>,
    /// The model, route or alias to ask when the caller names none.
    #[serde(default)]
    pub model: Option<String>,
    /// What callers leave open.
    #[serde(default)]
    pub parameters: PromptParameters,
}

/// A version of a prompt.
#[derive(Clone, Debug)]
pub struct PromptVersion {
    /// From 1, in the order in which they were made.
    pub version: u32,
    /// What it says.
    pub definition: PromptDefinition,
    /// Why it was made.
    pub note: String,
    /// Who made it.
    pub actor: Actor,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A version in a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PromptVersionSummary {
    /// Its number.
    pub version: u32,
    /// Why it was made.
    pub note: String,
    /// Who made it.
    pub actor: Actor,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptRole {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl PromptRole {
    /// The word, as stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A message whose text is a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptMessage {
    /// Who speaks.
    pub role: PromptRole,
    /// The template, at most 65,536 bytes.
    #[schema(example = "Answer in {{ language }}.")]
    pub content: String,
}

/// A message after its variables were inserted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RenderedMessage {
    /// Who speaks.
    pub role: PromptRole,
    /// What goes to the model.
    pub content: String,
}

/// What a variable may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VariableType {
    /// A text.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// One of the variable's `values`.
    Enum,
    /// A JSON array.
    List,
    /// Any JSON.
    Json,
}

/// What a template may insert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptVariable {
    /// Letters, digits and `_`, at most 63, not beginning with a digit.
    #[schema(example = "language")]
    pub name: String,
    /// What it may hold.
    #[serde(rename = "type")]
    pub kind: VariableType,
    /// Whether each call must give it. When absent: yes, unless there is a default.
    #[serde(default)]
    pub required: Option<bool>,
    /// What it holds when a call does not give it. Without one it is then `none`, which is false and writes nothing.
    #[serde(default)]
    pub default: Option<Value>,
    /// What it is for, at most 500 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// The texts that an `enum` allows, 1 to 100.
    #[serde(default)]
    pub values: Vec<String>,
    /// How much of its type it allows.
    #[serde(default)]
    pub limits: VariableLimits,
}

impl PromptVariable {
    /// Whether each call must give it.
    pub fn is_required(&self) -> bool {
        self.required.unwrap_or(self.default.is_none())
    }
}

/// How much a variable allows of its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VariableLimits {
    /// For `integer` and `number`: the least.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// For `integer` and `number`: the most.
    #[serde(default)]
    pub maximum: Option<f64>,
    /// For `string`: characters at most.
    #[serde(default)]
    pub max_length: Option<u32>,
    /// For `list`: entries at most.
    #[serde(default)]
    pub max_items: Option<u32>,
}

/// What callers leave open, set by the prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptParameters {
    /// 0 to 2.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Above 0 up to 1.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// Tokens to write at most: 1 to 1,000,000.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// The answer ends before the first of these, at most 4.
    #[serde(default)]
    pub stop: Vec<String>,
}

/// Which version of a prompt is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PromptReference {
    /// The alias `production`, and where there is none the newest version.
    #[default]
    Unnamed,
    /// The newest version.
    Newest,
    /// This one.
    Version(u32),
    /// What this alias stands for.
    Alias(String),
}

impl PromptReference {
    /// `3` is a version, `latest` the newest one, anything else an alias.
    pub fn of(text: &str) -> Self {
        match (text, text.parse()) {
            ("latest", _) => Self::Newest,
            (_, Ok(version)) => Self::Version(version),
            _ => Self::Alias(text.to_owned()),
        }
    }
}

/// A prompt as a call uses it.
#[derive(Clone, Debug, Default)]
pub struct PromptCall {
    /// The prompt's name.
    pub name: String,
    /// Which version.
    pub reference: PromptReference,
    /// What the templates insert.
    pub variables: serde_json::Map<String, Value>,
    /// Whether texts that spell a number or a boolean are taken for one: OpenAI's clients have only texts.
    pub variables_are_texts: bool,
    /// Calls of one subject get one version of an alias, as long as its weights stay. Absent: each call draws anew.
    pub subject: Option<String>,
}

/// The prompt and version that a call used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PromptUse {
    /// The prompt's name.
    pub name: String,
    /// The version's number.
    pub version: u32,
}

/// A prompt whose variables were inserted.
#[derive(Clone, Debug)]
pub struct RenderedPrompt {
    /// Which; `None` for a definition that is not stored.
    pub used: Option<PromptUse>,
    /// The messages, those of the system first.
    pub messages: Vec<RenderedMessage>,
    /// The model to ask when the caller names none.
    pub model: Option<String>,
    /// What callers leave open.
    pub parameters: PromptParameters,
}

impl RenderedPrompt {
    /// The instructions in one text; `None` when there are none.
    pub(crate) fn system(&self) -> Option<String> {
        let texts: Vec<&str> = self
            .messages
            .iter()
            .filter(|message| message.role == PromptRole::System)
            .map(|message| message.content.as_str())
            .collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    /// The messages after the instructions.
    pub(crate) fn turns(&self) -> impl Iterator<Item = &RenderedMessage> {
        self.messages.iter().filter(|message| message.role != PromptRole::System)
    }
}
