//! By what a question is known.
//!
//! All that decides the answer goes into a hash: the model and its provider's address, and the question in the middle form,
//! so that clients of different protocols ask the same. What of a client's request the middle form does not carry in full
//! goes in as the client wrote it, for a provider of the same protocol reads it. The cache lives in memory, so the hashed text
//! need not be the same in the next version: it is Rust's debug form, which names every field, also those to come.

use std::fmt::{self, Write as _};

use plasma_kernel::TenantId;
use plasma_protocols::{
    Losses, Protocol,
    chat::{Content, Part, Request, Role},
};
use sha2::{Digest as _, Sha256};

use super::{RouteCache, semantic::ScopeKey};
use crate::{
    catalog::Target,
    gateway::{Asked, Question},
    upstream::RawObject,
};

/// Bytes of a last message that is compared. Longer ones are more than an embedding model reads.
const COMPARED_BYTES_MAX: usize = 8_000;

/// SHA-256.
pub(crate) type Hash = [u8; 32];

/// A question of a tenant to a model, or a text that one embeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AnswerKey {
    pub(crate) tenant: TenantId,
    pub(crate) hash: Hash,
}

/// A question, whatever model it goes to.
#[derive(Clone, Debug)]
pub(crate) struct QuestionKey {
    tenant: TenantId,
    hash: Hash,
    /// All of it but the last message's text, and that text; `None` where the last message is not a person's text.
    last: Option<(Hash, String)>,
    /// Whether the caller set a limit for the answer.
    pub(crate) limited: bool,
}

impl QuestionKey {
    /// `None` where the question has no place in the cache: it is Plasma's own, it wants chance, or it says what only its own
    /// protocol can say.
    pub(crate) fn of(tenant: TenantId, question: &Question, rule: &RouteCache) -> Option<Self> {
        let Asked::Client { protocol, body, header } = &question.asked else { return None };
        let (request, losses) = question.translated().ok()?;
        if !rule.any_temperature && wants_chance(request) {
            return None;
        }
        let limited = request.max_output_tokens.is_some();
        let request = without_what_does_not_matter(request);
        let own = own_words(*protocol, body, &losses);
        let own = (!own.is_empty()).then_some((protocol, own));
        let hash = digest(&(&request, &own, header));
        let last = without_last_text(request).map(|(rest, text)| (digest(&(rest, &own, header, figures(&text))), text));
        Some(Self { tenant, hash, last, limited })
    }

    /// The question to this model.
    pub(crate) fn to(&self, target: &Target) -> AnswerKey {
        AnswerKey { tenant: self.tenant, hash: digest(&(ModelKey(target), self.hash)) }
    }

    /// Among which questions to this model similar ones are looked for, and the text that is compared.
    pub(crate) fn scope(&self, target: &Target) -> Option<(ScopeKey, &str)> {
        let (hash, text) = self.last.as_ref()?;
        Some((ScopeKey { tenant: self.tenant, hash: digest(&(ModelKey(target), hash)) }, text))
    }
}

/// What answers: a model under another address or name of the provider is another one, and so are other weights.
struct ModelKey<'a>(&'a Target);

impl fmt::Debug for ModelKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Two workspaces, or two days, may have other weights under the same name.
            Target::Local(entry) => write!(formatter, "{:?}", entry.key()),
            // The endpoint's debug form hides its credential.
            Target::Remote(remote) => write!(formatter, "{:?}", (&remote.id, &remote.upstream_name, &remote.endpoint)),
        }
    }
}

struct Hashing(Sha256);

impl fmt::Write for Hashing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

pub(super) fn digest(value: &impl fmt::Debug) -> Hash {
    let mut hashing = Hashing(Sha256::new());
    // Writing into a hash does not fail.
    let _ = write!(hashing, "{value:?}");
    hashing.0.finalize().into()
}

/// Whether the caller asks for an answer that may come out differently each time. An absent temperature asks for nothing.
fn wants_chance(request: &Request) -> bool {
    let varied = request.temperature.is_some_and(|temperature| temperature > 0.0) && request.seed.is_none();
    varied || request.choices.is_some_and(|choices| choices > 1)
}

/// The names of models and callers, and how the answer travels.
fn without_what_does_not_matter(request: &Request) -> Request {
    let mut request = request.clone();
    request.model.clear();
    request.user = None;
    request.stream = false;
    request.stream_usage = false;
    let parts = request.messages.iter_mut().flat_map(|message| &mut message.parts);
    request.system.iter_mut().chain(parts).for_each(unmark);
    request.tools.iter_mut().for_each(|tool| tool.cache = None);
    request
}

/// Takes away the marks for the provider's own cache.
fn unmark(part: &mut Part) {
    part.cache = None;
    if let Content::ToolResult(result) = &mut part.content {
        result.parts.iter_mut().for_each(unmark);
    }
}

/// The fields of a client's request that the middle form does not carry in full, as the client wrote them.
fn own_words<'a>(protocol: Protocol, body: &'a RawObject, losses: &Losses) -> Vec<(&'a str, &'a str)> {
    // These do not decide the answer.
    const IRRELEVANT: [&str; 9] = [
        "model",
        "stream",
        "stream_options",
        "user",
        "safety_identifier",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "store",
    ];
    let carried: &[&str] = match protocol {
        Protocol::OpenAiChat => &[
            "messages",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "max_tokens",
            "max_completion_tokens",
            "temperature",
            "top_p",
            "frequency_penalty",
            "presence_penalty",
            "seed",
            "stop",
            "n",
        ],
        Protocol::OpenAiResponses => &[
            "input",
            "instructions",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "max_output_tokens",
            "temperature",
            "top_p",
        ],
        Protocol::Anthropic => &[
            "messages",
            "system",
            "tools",
            "tool_choice",
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
            "stop_sequences",
        ],
        Protocol::Gemini => {
            &["contents", "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_config"]
        }
        Protocol::Bedrock => &[],
    };
    // Losses are counted up to a limit; the rest may be in any field.
    let any_lost = losses.iter().any(|loss| loss.field == "…");
    let lost = |name: &str| any_lost || losses.iter().any(|loss| first_name(&loss.field) == name);
    body.fields().filter(|(name, _)| !IRRELEVANT.contains(name) && (!carried.contains(name) || lost(name))).collect()
}

/// `messages` of `messages[2].name`.
fn first_name(field: &str) -> &str {
    field.split(['.', '[']).next().unwrap_or(field)
}

/// The question without the text of its last message, and that text.
fn without_last_text(mut request: Request) -> Option<(Request, String)> {
    let last = request.messages.last_mut().filter(|message| message.role == Role::User)?;
    let mut text = String::new();
    for part in std::mem::take(&mut last.parts) {
        let Content::Text(piece) = part.content else { return None };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&piece);
    }
    (!text.trim().is_empty() && text.len() <= COMPARED_BYTES_MAX).then_some((request, text))
}

/// The numbers in a text, in order. Texts with different numbers are never the same question, however similar they are.
pub(super) fn figures(text: &str) -> Vec<&str> {
    text.split(|letter: char| !letter.is_numeric()).filter(|figure| !figure.is_empty()).collect()
}

/// The words of a text, as they stand and sorted: hashes, for they are only compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    in_order: Hash,
    sorted: Hash,
}

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        let words = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        let mut words: Vec<&str> = words.collect();
        let in_order = digest(&words);
        words.sort_unstable();
        Self { in_order, sorted: digest(&words) }
    }

    /// Whether both are the same words in another order, as in "from A to B" and "from B to A". Embedding models hardly see
    /// the difference.
    pub(super) fn are_shuffled(&self, other: &Self) -> bool {
        self.sorted == other.sorted && self.in_order != other.in_order
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_testkit::system;

    use super::*;
    use crate::{Manifest, Purpose};

    struct Keys {
        tenant: TenantId,
        target: Target,
    }

    impl Keys {
        fn new() -> Self {
            let entry = Manifest::builtin().unwrap().models.into_iter().next().unwrap();
            Self { tenant: TenantId::new(&system()), target: Target::Local(entry) }
        }

        fn key(&self, protocol: Protocol, body: &str, rule: &RouteCache) -> Option<QuestionKey> {
            let asked = Asked::Client { protocol, body: RawObject::parse(body).unwrap(), header: None };
            let question = Question::new(Purpose::Api, asked, false);
            QuestionKey::of(self.tenant, &question, rule)
        }

        fn chat(&self, fields: &str) -> Option<Hash> {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{fields}}}"#);
            Some(self.key(Protocol::OpenAiChat, &body, &RouteCache::default())?.to(&self.target).hash)
        }
    }

    #[test]
    fn what_decides_the_answer_decides_the_key() {
        let keys = Keys::new();
        let plain = keys.chat("").unwrap();
        for same in [
            r#","user":"u","metadata":{"a":"b"},"stream":true,"stream_options":{"include_usage":true},"store":false"#,
            r#","temperature":null,"safety_identifier":"s","prompt_cache_key":"k""#,
        ] {
            assert_eq!(keys.chat(same), Some(plain), "{same}");
        }
        let others = [
            r#","temperature":0"#,
            r#","seed":1"#,
            r#","max_tokens":5"#,
            r#","stop":"x""#,
            r#","top_p":0.5"#,
            r#","never_heard_of":1"#,
            r#","never_heard_of":2"#,
            r#","response_format":{"type":"json_object"}"#,
            r#","reasoning_effort":"low""#,
            r#","thinking":{"type":"enabled"}"#,
            r#","tools":[{"type":"function","function":{"name":"f"}}]"#,
            r#","tools":[{"type":"function","function":{"name":"f","unheard_of":1}}]"#,
            r#","parallel_tool_calls":false"#,
        ];
        let mut seen = vec![plain];
        for other in others {
            let key = keys.chat(other).unwrap();
            assert!(!seen.contains(&key), "{other}");
            seen.push(key);
        }
        let other_tenant = Keys { tenant: TenantId::new(&system()), ..Keys::new() };
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
        let key = |keys: &Keys| keys.key(Protocol::OpenAiChat, body, &RouteCache::default()).unwrap().to(&keys.target);
        assert_ne!(key(&keys), key(&other_tenant));
        assert_eq!(key(&keys), key(&keys));
    }

    #[test]
    fn protocols_ask_the_same() {
        let keys = Keys::new();
        let rule = RouteCache::default();
        let of = |protocol, body| keys.key(protocol, body, &rule).unwrap().to(&keys.target).hash;
        let chat = r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}],"max_tokens":5}"#;
        let messages = r#"{"model":"m","system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"max_tokens":5,
            "messages":[{"role":"user","content":"hi"}],"metadata":{"user_id":"u"},"stream":true}"#;
        assert_eq!(of(Protocol::OpenAiChat, chat), of(Protocol::Anthropic, messages));
    }

    #[test]
    fn chance_is_kept_only_where_the_rule_says_so() {
        let keys = Keys::new();
        for chance in [r#","temperature":0.7"#, r#","n":2"#] {
            assert_eq!(keys.chat(chance), None, "{chance}");
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{chance}}}"#);
            let rule = RouteCache { any_temperature: true, ..RouteCache::default() };
            assert!(keys.key(Protocol::OpenAiChat, &body, &rule).is_some());
        }
        for repeatable in [r#","temperature":0"#, r#","temperature":0.7,"seed":3"#] {
            assert!(keys.chat(repeatable).is_some(), "{repeatable}");
        }
        // Only providers of this protocol can be asked it.
        assert_eq!(keys.chat(r#","logit_bias":{"1":2}"#), None);
    }

    #[test]
    fn a_scope_is_everything_but_the_last_text() {
        let keys = Keys::new();
        let scope = |messages: &str, fields: &str| {
            let body = format!(r#"{{"model":"m","messages":[{messages}]{fields}}}"#);
            let key = keys.key(Protocol::OpenAiChat, &body, &RouteCache::default()).unwrap();
            key.scope(&keys.target).map(|(scope, text)| (scope.hash, text.to_owned()))
        };
        let user = |text: &str| format!(r#"{{"role":"user","content":"{text}"}}"#);
        let (plain, text) = scope(&user("How do I pay?"), "").unwrap();
        assert_eq!(text, "How do I pay?");
        assert_eq!(scope(&user("Who are you?"), "").unwrap().0, plain);
        let others = [
            scope(&format!(r#"{{"role":"system","content":"s"}},{}"#, user("How do I pay?")), ""),
            scope(&format!(r#"{},{{"role":"assistant","content":"a"}},{}"#, user("q"), user("How do I pay?")), ""),
            scope(&user("How do I pay?"), r#","tools":[{"type":"function","function":{"name":"f"}}]"#),
            scope(&user("How do I pay 5?"), ""),
            scope(&user("How do I pay 6?"), ""),
        ];
        let mut seen = vec![plain];
        for other in others {
            let (hash, _) = other.unwrap();
            assert!(!seen.contains(&hash));
            seen.push(hash);
        }
        let image = r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}]}"#;
        assert_eq!(scope(image, ""), None);
        assert_eq!(scope(&format!(r#"{},{{"role":"assistant","content":"a"}}"#, user("q")), ""), None);
        assert_eq!(figures("a 12.5% of 7b, ٣"), ["12", "5", "7", "٣"]);
        let shuffled = |a: &str, b: &str| Words::of(a).are_shuffled(&Words::of(b));
        assert!(shuffled("From Paris to Rome", "from Rome to Paris?"));
        assert!(!shuffled("From Paris to Rome", "from paris to rome?"));
        assert!(!shuffled("From Paris to Rome", "From Paris to Rom"));
    }
}
