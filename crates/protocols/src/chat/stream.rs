//! Answers in pieces.

use super::{Answer, Choice, Content, Part, Reasoning, Signature, StopReason, TokenLogprob, ToolCall, Usage};

/// A piece of an answer that comes as a stream.
///
/// Readers keep this order: one [`Delta::Start`]; then for each choice any number of parts, each opened, appended to and
/// closed before the next one opens; [`Delta::Stop`] for each choice after its last part; [`Delta::Usage`] anywhere, the last
/// one counts. Writers rely on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The answer begins.
    Start {
        /// The provider's id of the answer; empty when it gives none.
        id: String,
        /// The provider's name of the model.
        model: String,
        /// Seconds since 1970 UTC.
        created: Option<i64>,
    },
    /// A part begins.
    Open {
        /// Whose it is.
        choice: u32,
        /// What it is.
        part: PartStart,
    },
    /// More of the open part: text, thoughts, the arguments of a tool call, a refusal.
    Append {
        /// Whose it is.
        choice: u32,
        /// Never empty.
        text: String,
    },
    /// The seal of the open reasoning part.
    Signature {
        /// Whose it is.
        choice: u32,
        /// The seal.
        signature: Signature,
    },
    /// The open part is complete.
    Close {
        /// Whose it is.
        choice: u32,
    },
    /// Probabilities of tokens of the open text.
    Logprobs {
        /// Whose they are.
        choice: u32,
        /// In order.
        tokens: Vec<TokenLogprob>,
    },
    /// A choice has ended.
    Stop {
        /// Whose end it is.
        choice: u32,
        /// Why.
        reason: StopReason,
        /// Which stop sequence ended it.
        sequence: Option<String>,
    },
    /// The tokens used so far.
    Usage(Usage),
}

/// What a part of a stream is.
#[derive(Clone, Debug, PartialEq)]
pub enum PartStart {
    /// Text.
    Text,
    /// Thoughts, or a summary of them.
    Reasoning {
        /// Whether it is a summary.
        summary: bool,
        /// The provider's id of the thoughts.
        id: Option<String>,
    },
    /// A tool call; its arguments are appended.
    ToolCall {
        /// As in [`ToolCall::id`].
        id: String,
        /// The function's name.
        name: String,
    },
    /// A refusal.
    Refusal,
    /// A part that comes as a whole, such as an image or encrypted thoughts. Nothing is appended.
    Whole(Part),
}

/// Puts an answer together from its pieces.
#[derive(Debug, Default)]
pub struct Collector {
    answer: Answer,
}

impl Collector {
    /// Takes the next piece.
    pub fn push(&mut self, delta: Delta) {
        match delta {
            Delta::Start { id, model, created } => {
                self.answer.id = id;
                self.answer.model = model;
                self.answer.created = created;
            }
            Delta::Open { choice, part } => self.choice(choice).parts.push(part.into_part()),
            Delta::Append { choice, text: more } => match self.last(choice) {
                Some(Content::Text(text) | Content::Refusal(text)) => text.push_str(&more),
                Some(Content::Reasoning(reasoning)) => reasoning.text.push_str(&more),
                Some(Content::ToolCall(call)) => call.arguments.push_str(&more),
                _ => {}
            },
            Delta::Signature { choice, signature } => {
                if let Some(Content::Reasoning(reasoning)) = self.last(choice) {
                    reasoning.signature = Some(signature);
                }
            }
            Delta::Close { .. } => {}
            Delta::Logprobs { choice, tokens } => self.choice(choice).logprobs.extend(tokens),
            Delta::Stop { choice, reason, sequence } => {
                let choice = self.choice(choice);
                choice.stop = reason;
                choice.stop_sequence = sequence;
            }
            Delta::Usage(usage) => self.answer.usage = Some(usage),
        }
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let place = match self.answer.choices.iter().position(|choice| choice.index == index) {
            Some(place) => place,
            None => {
                let stop = StopReason::End;
                self.answer.choices.push(Choice {
                    index,
                    parts: Vec::new(),
                    stop,
                    stop_sequence: None,
                    logprobs: Vec::new(),
                });
                self.answer.choices.len() - 1
            }
        };
        #[allow(clippy::indexing_slicing)] // found or pushed above
        &mut self.answer.choices[place]
    }

    fn last(&mut self, choice: u32) -> Option<&mut Content> {
        self.choice(choice).parts.last_mut().map(|part| &mut part.content)
    }

    /// What has come so far.
    pub fn finish(self) -> Answer {
        self.answer
    }
}

impl From<Answer> for Collector {
    /// One that has taken all pieces of `answer`.
    fn from(answer: Answer) -> Self {
        Self { answer }
    }
}

impl PartStart {
    fn into_part(self) -> Part {
        Part::new(match self {
            Self::Text => Content::Text(String::new()),
            Self::Reasoning { summary, id } => Content::Reasoning(Reasoning { summary, id, ..Reasoning::default() }),
            Self::ToolCall { id, name } => Content::ToolCall(ToolCall { id, name, arguments: String::new() }),
            Self::Refusal => Content::Refusal(String::new()),
            Self::Whole(part) => return part,
        })
    }
}

impl Answer {
    /// The answer as the pieces of a stream, for a caller who wants one from a provider that answered as a whole.
    pub fn into_deltas(self) -> Vec<Delta> {
        let mut deltas = vec![Delta::Start { id: self.id, model: self.model, created: self.created }];
        for choice in self.choices {
            let index = choice.index;
            let append = |text: String| (!text.is_empty()).then_some(Delta::Append { choice: index, text });
            let mut logprobs = choice.logprobs;
            for part in choice.parts {
                let (start, text, signature) = match part.content {
                    Content::Text(text) => (PartStart::Text, text, None),
                    Content::Refusal(text) => (PartStart::Refusal, text, None),
                    Content::ToolCall(call) => {
                        (PartStart::ToolCall { id: call.id, name: call.name }, call.arguments, None)
                    }
                    Content::Reasoning(reasoning) if reasoning.encrypted.is_none() => {
                        let start = PartStart::Reasoning { summary: reasoning.summary, id: reasoning.id };
                        (start, reasoning.text, reasoning.signature)
                    }
                    content => (PartStart::Whole(Part { content, cache: None }), String::new(), None),
                };
                let is_text = start == PartStart::Text;
                deltas.push(Delta::Open { choice: index, part: start });
                deltas.extend(append(text));
                if is_text && !logprobs.is_empty() {
                    deltas.push(Delta::Logprobs { choice: index, tokens: std::mem::take(&mut logprobs) });
                }
                deltas.extend(signature.map(|signature| Delta::Signature { choice: index, signature }));
                deltas.push(Delta::Close { choice: index });
            }
            deltas.push(Delta::Stop { choice: index, reason: choice.stop, sequence: choice.stop_sequence });
        }
        deltas.extend(self.usage.map(Delta::Usage));
        deltas
    }
}
