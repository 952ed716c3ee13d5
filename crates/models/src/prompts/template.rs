//! Templates that are compiled, and their rendering within limits.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use minijinja::{Environment, ErrorKind, Value};
use plasma_kernel::{Code, Error, Result};

use super::{
    filters,
    syntax::{self, Fault},
    types::{PromptDefinition, PromptMessage, RenderedMessage},
    variables::Bound,
};
use crate::near_names::near;

/// Steps of all templates of a version.
const STEPS_MAX: u64 = 50_000;
/// Steps times bytes of variables: one step may look at all of a variable, so that long ones leave fewer. The longest that a call
/// may give (1 MiB) leave 1,907.
const COST_MAX: u64 = 2_000_000_000;
/// Bytes of all rendered messages.
const OUTPUT_BYTES_MAX: usize = 2 << 20;

/// A version's templates, ready to be rendered.
pub(super) struct Templates {
    environment: Environment<'static>,
    messages: Vec<(PromptMessage, String)>,
}

impl Templates {
    /// Compiles the templates of a version.
    ///
    /// # Errors
    /// `invalid` naming the message for what is no template, uses more than prompts may, or names an undeclared variable.
    pub(super) fn new(definition: &PromptDefinition) -> Result<Self> {
        let declared: Vec<String> = definition.variables.iter().map(|variable| variable.name.clone()).collect();
        let mut environment = filters::ENVIRONMENT.clone();
        let mut messages = Vec::with_capacity(definition.messages.len());
        for (index, message) in definition.messages.iter().enumerate() {
            let field = format!("messages[{index}].content");
            syntax::check(&message.content).map_err(|Fault { line, message }| fault(&field, Some(line), &message))?;
            environment.add_template_owned(field.clone(), message.content.clone()).map_err(refused(&field))?;
            let template = environment.get_template(&field).map_err(refused(&field))?;
            let mut named: Vec<String> = template.undeclared_variables(false).into_iter().collect();
            named.sort_unstable();
            if let Some(name) = named.iter().find(|name| !declared.contains(name)) {
                return Err(undeclared(&field, name, &declared));
            }
            messages.push((message.clone(), field));
        }
        Ok(Self { environment, messages })
    }

    /// Inserts the variables.
    ///
    /// # Errors
    /// `invalid` or `too_large` naming the message.
    pub(super) fn render(&self, variables: &Bound) -> Result<Vec<RenderedMessage>> {
        let mut steps = steps_allowed(variables.bytes);
        let room = AtomicUsize::new(OUTPUT_BYTES_MAX);
        let values = Value::from_pairs(variables.values.iter().cloned());
        let mut environment = self.environment.clone();
        let mut rendered = Vec::with_capacity(self.messages.len());
        for (message, field) in &self.messages {
            environment.set_fuel(Some(steps));
            let template = environment.get_template(field).map_err(refused(field))?;
            let mut text = Vec::new();
            let writer = Bounded { text: &mut text, room: &room };
            let captured = template.render_captured_to(values.clone(), writer).map_err(|error| {
                if room.load(Ordering::Relaxed) == 0 {
                    return Error::too_large(field, format!("the messages have more than {OUTPUT_BYTES_MAX} bytes"));
                }
                not_rendered(field, &error)
            })?;
            steps = captured.state().fuel_levels().map_or(steps, |(_, left)| left.max(1));
            let content =
                String::from_utf8(text).map_err(|error| Error::from_source("a template wrote no UTF-8", error))?;
            rendered.push(RenderedMessage { role: message.role, content });
        }
        Ok(rendered)
    }
}

/// The steps of a rendering with so many bytes of variables.
pub(super) fn steps_allowed(variable_bytes: usize) -> u64 {
    let bytes = u64::try_from(variable_bytes).unwrap_or(u64::MAX).max(1);
    (COST_MAX / bytes).min(STEPS_MAX)
}

/// Takes as much as there is room for; then there is none.
struct Bounded<'a> {
    text: &'a mut Vec<u8>,
    room: &'a AtomicUsize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room.load(Ordering::Relaxed);
        match room.checked_sub(bytes.len()) {
            Some(rest) => {
                self.room.store(rest, Ordering::Relaxed);
                self.text.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            None => {
                self.room.store(0, Ordering::Relaxed);
                Err(io::Error::other("too long"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn fault(field: &str, line: Option<usize>, message: &str) -> Error {
    let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    Error::new(Code::Invalid, "prompt_template_invalid", format!("{place}{message}"))
        .field(field)
        .remedy("docs/prompts.md says what a template may use")
}

fn refused(field: &str) -> impl Fn(minijinja::Error) -> Error {
    move |error| fault(field, error.line(), &detail(&error))
}

fn undeclared(field: &str, name: &str, declared: &[String]) -> Error {
    let shown: String = name.chars().take(63).collect();
    let mut message = format!("`{shown}` is not declared as a variable");
    if let Some(near) = near(name, declared).first() {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    Error::new(Code::Invalid, "prompt_variable_undeclared", message)
        .field(field)
        .remedy("declare it under `variables`, or correct its name")
}

fn not_rendered(field: &str, error: &minijinja::Error) -> Error {
    if error.kind() == ErrorKind::OutOfFuel {
        let message = "rendering takes more work than a prompt may";
        return Error::new(Code::TooLarge, "prompt_too_costly", message)
            .field(field)
            .remedy("loop over fewer entries, or give shorter variables");
    }
    let place = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    Error::new(Code::Invalid, "prompt_not_rendered", format!("{place}{}", detail(error))).field(field)
}

/// What went wrong, in a line. Values of variables are not in it.
fn detail(error: &minijinja::Error) -> String {
    let text = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, _) => "a field is not there; `default` gives it a value".to_owned(),
        (_, Some(detail)) => detail.to_owned(),
        (kind, None) => kind.to_string(),
    };
    text.chars().take(300).collect()
}
