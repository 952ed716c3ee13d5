//! Messages to the tokens of a prompt, in the chat format of the model itself.

use llama_cpp_2::{model::LlamaModel, token::LlamaToken};
use plasma_kernel::{Code, Error, Result};

use super::{chat::ChatMessage, template::ChatTemplate};

/// A token is at most about this long on average, whatever the text; longer prompts are refused before they are tokenized.
const BYTES_PER_TOKEN_MAX: usize = 32;

/// Put into a control token's spelling to make it plain text. It has no width, so a person reads the same.
const BREAK: char = '\u{200B}';

/// How a loaded model wants its prompt.
pub(super) struct PromptFormat {
    template: ChatTemplate,
    /// Spellings of tokens that would change the conversation's structure, such as the end of a message.
    controls: Vec<String>,
}

impl PromptFormat {
    /// Reads the template and the control tokens of a model.
    pub fn new(model: &LlamaModel) -> Result<Self> {
        let source = model
            .chat_template(None)
            .map_err(|source| Error::from_source("the model's file has no chat template", source))?
            .to_string()
            .map_err(|source| Error::from_source("the model's chat template is not UTF-8", source))?;
        let vocabulary = model.vocab();
        let spelling = |token| String::from_utf8(vocabulary.token_to_piece(token, true, None)).unwrap_or_default();
        // A model that wants a first token has it spelled by its template, or else added when the text is tokenized.
        let template = ChatTemplate::new(source, spelling(vocabulary.bos()), spelling(vocabulary.eos()))?;
        let controls = vocabulary
            .tokens()
            .filter(|token| vocabulary.is_control(*token))
            .map(spelling)
            .filter(|text| text.len() >= 3)
            .collect();
        Ok(Self { template, controls })
    }

    /// The prompt up to where the model continues.
    ///
    /// # Errors
    /// `invalid`: a NUL character, more than `limit` tokens, or an order of messages that the model does not know.
    pub fn tokens(&self, model: &LlamaModel, messages: &[ChatMessage], limit: usize) -> Result<Vec<LlamaToken>> {
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        if bytes > limit * BYTES_PER_TOKEN_MAX {
            return Err(too_long(&format!("{bytes} bytes"), limit));
        }
        let mut chat = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            if message.content.contains('\0') {
                return Err(Error::invalid(format!("messages[{index}].content"), "contains a NUL character"));
            }
            chat.push(ChatMessage { role: message.role, content: self.plain(&message.content) });
        }
        let prompt = self.template.render(&chat)?;
        let vocabulary = model.vocab();
        let first = vocabulary.should_add_bos() && !self.template.begins(&prompt);
        let tokens = vocabulary.tokenize(prompt.as_bytes(), first, true);
        if tokens.len() > limit {
            return Err(too_long(&format!("{} tokens", tokens.len()), limit));
        }
        Ok(tokens)
    }

    /// Content in which control tokens are text, so that a document or a user cannot end a message or speak for another.
    fn plain(&self, content: &str) -> String {
        let mut content = content.to_owned();
        for control in &self.controls {
            if content.contains(control.as_str()) {
                let mut broken = control.clone();
                broken.insert(control.ceil_char_boundary(1), BREAK);
                content = content.replace(control.as_str(), &broken);
            }
        }
        content
    }
}

fn too_long(actual: &str, limit: usize) -> Error {
    Error::new(
        Code::Invalid,
        "prompt_too_long",
        format!("the prompt has {actual}, the model reads at most {limit} tokens"),
    )
    .field("messages")
    .remedy("shorten the messages or leave out earlier ones")
}
