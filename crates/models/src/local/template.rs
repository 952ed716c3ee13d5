//! A model's own chat template (Jinja, as in Hugging Face's `tokenizer_config.json` and a GGUF's `tokenizer.chat_template`).

use minijinja::{Environment, ErrorKind, Value, context, syntax::SyntaxConfig};
use plasma_kernel::{Error, Result};

use super::chat::{ChatMessage, Role};

/// Steps that a template may take, so that a broken one ends.
const STEPS_MAX: u64 = 5_000_000;

/// A template that was read.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Reads a template. `bos` and `eos` are the spellings of the model's first and last token.
    ///
    /// # Errors
    /// `internal`: it is no template.
    pub fn new(source: String, bos: String, eos: String) -> Result<Self> {
        let mut environment = Environment::new();
        // What Hugging Face's implementation sets.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|source| Error::from_source("a template syntax", source))?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |reason: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment.set_fuel(Some(STEPS_MAX));
        environment
            .add_template_owned("chat", source)
            .map_err(|source| Error::from_source("the model's chat template cannot be read", source))?;
        Ok(Self { environment, bos, eos })
    }

    /// The text of a conversation, up to where the model answers.
    ///
    /// # Errors
    /// `invalid` with the template's own reason: some models only know messages of user and assistant in turn.
    pub fn render(&self, messages: &[ChatMessage]) -> Result<String> {
        let rendered = match self.try_render(messages) {
            // Gemma, for one, knows no instructions: they go before what the user says first.
            Err(_) if messages.first().is_some_and(|first| first.role == Role::System) => {
                self.try_render(&without_system(messages))
            }
            rendered => rendered,
        };
        rendered.map_err(|error| {
            let reason = error.detail().map_or_else(|| error.to_string(), str::to_owned);
            Error::invalid("messages", format!("the model's chat template refuses them: {reason}"))
                .remedy("let messages of user and assistant alternate, after at most one of the system")
        })
    }

    /// Whether a text has the model's first token already.
    pub fn begins(&self, text: &str) -> bool {
        !self.bos.is_empty() && text.starts_with(&self.bos)
    }

    fn try_render(&self, messages: &[ChatMessage]) -> Result<String, minijinja::Error> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| context! { role => message.role.as_str(), content => message.content.as_str() })
            .collect();
        self.environment.get_template("chat")?.render(context! {
            messages,
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        })
    }
}

fn without_system(messages: &[ChatMessage]) -> Vec<ChatMessage> {
    let mut instructions = String::new();
    let mut rest: Vec<ChatMessage> = Vec::with_capacity(messages.len());
    for message in messages {
        match message.role {
            Role::System => {
                instructions.push_str(&message.content);
                instructions.push_str("\n\n");
            }
            Role::User | Role::Assistant => rest.push(message.clone()),
        }
    }
    match rest.iter_mut().find(|message| message.role == Role::User) {
        Some(first) => first.content.insert_str(0, &instructions),
        None => rest.push(ChatMessage { role: Role::User, content: instructions.trim_end().to_owned() }),
    }
    rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// In the manner of Qwen 2.5: instructions of its own when the conversation brings none.
    const WITH_DEFAULT: &str = "\
{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are kind.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role != 'system' %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content.strip() + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}";

    /// In the manner of Gemma: no instructions, strict turns.
    const WITHOUT_SYSTEM: &str = "\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}\
{% for message in messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}\
<turn>{{ message['role'] }}\n{{ message['content'] | trim }}</turn>\n\
{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}";

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source.to_owned(), "<bos>".to_owned(), "<eos>".to_owned()).unwrap()
    }

    fn message(role: Role, content: &str) -> ChatMessage {
        ChatMessage { role, content: content.to_owned() }
    }

    #[test]
    fn instructions_of_the_model_stand_in_for_missing_ones() {
        let template = template(WITH_DEFAULT);
        assert_eq!(
            template.render(&[message(Role::User, " Say hi. ")]).unwrap(),
            "<|im_start|>system\nYou are kind.<|im_end|>\n<|im_start|>user\nSay hi.<|im_end|>\n<|im_start|>assistant\n"
        );
        let own = [message(Role::System, "Be short."), message(Role::User, "Say hi.")];
        assert!(
            template.render(&own).unwrap().starts_with("<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\n")
        );
    }

    #[test]
    fn a_model_without_instructions_reads_them_from_the_user() {
        let template = template(WITHOUT_SYSTEM);
        let messages = [message(Role::System, "Be short."), message(Role::User, "Say hi.")];
        assert_eq!(template.render(&messages).unwrap(), "<bos><turn>user\nBe short.\n\nSay hi.</turn>\n<turn>model\n");
        assert!(template.begins("<bos>a") && !template.begins("a"));
    }

    #[test]
    fn what_a_template_refuses_is_told() {
        let template = template(WITHOUT_SYSTEM);
        let error = template.render(&[message(Role::User, "a"), message(Role::User, "b")]).unwrap_err();
        assert_eq!((error.field_name(), error.message().contains("Roles must alternate")), (Some("messages"), true));
    }

    #[test]
    fn a_template_that_does_not_end_is_stopped() {
        let endless = template("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}");
        assert!(endless.render(&[message(Role::User, "a")]).is_err());
    }
}
