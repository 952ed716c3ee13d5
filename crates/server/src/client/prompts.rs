use std::{io::Read as _, path::PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{ServerArgs, api::Api, printable};

/// Bytes of a file: more than any version may have.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What a version says.
const DEFINITION: [&str; 4] = ["messages", "variables", "model", "parameters"];

/// `plasma prompts …`
#[derive(Debug, Args)]
pub struct PromptsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the prompts: name, newest version, aliases
    Ls {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print a version as JSON, the newest unless one is named; `push` reads the same
    Show {
        /// The prompt's name
        name: String,
        /// The version's number
        #[arg(long)]
        version: Option<u32>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Add a version from a file, unless the newest says the same already; adds the prompt too when it is new
    Push {
        /// JSON with name, description, messages, variables, model, parameters and note; `-` reads the standard input
        file: PathBuf,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Let an alias stand for a version, or for several by weight (3=90 4=10)
    Alias {
        /// The prompt's name
        name: String,
        /// The alias, such as production
        alias: String,
        /// A version's number, with `=` and its weight where there are several
        #[arg(required = true, value_parser = share)]
        versions: Vec<(u32, u32)>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

fn share(text: &str) -> Result<(u32, u32), String> {
    let (version, weight) = text.split_once('=').unwrap_or((text, "1"));
    let number = |text: &str| text.parse::<u32>().map_err(|_| format!("`{text}` is not a number; write 3 or 3=90"));
    Ok((number(version)?, number(weight)?))
}

/// Lists, shows, adds and moves prompts.
///
/// # Errors
/// What the server, the connection or the file says.
pub async fn prompts(arguments: PromptsArgs) -> Result<bool> {
    match arguments.verb {
        Verb::Ls { server } => list(&Api::new(&server)?, server.json).await?,
        Verb::Show { name, version, server } => {
            let shown = pushable(&Api::new(&server)?, &name, version).await?;
            println!("{}", serde_json::to_string_pretty(&shown)?);
        }
        Verb::Push { file, server } => push(&Api::new(&server)?, &read(&file)?, server.json).await?,
        Verb::Alias { name, alias, versions, server } => {
            let split: Vec<Value> =
                versions.iter().map(|(version, weight)| json!({ "version": version, "weight": weight })).collect();
            let path = ["api", "v1", "prompts", &name, "aliases", &alias];
            let body = json!({ "split": split });
            let set: Value = Api::new(&server)?.json(Method::PUT, &path, Some(&body)).await?;
            if server.json {
                println!("{}", serde_json::to_string_pretty(&set)?);
            } else {
                println!("{}@{} is {}", printable(&name), printable(&alias), split_text(&set));
            }
        }
    }
    Ok(true)
}

async fn list(api: &Api, as_json: bool) -> Result<()> {
    let prompts = api.list(&["api", "v1", "prompts"]).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&prompts)?);
        return Ok(());
    }
    for prompt in &prompts {
        let aliases: Vec<String> = prompt
            .get("aliases")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|alias| format!("{}={}", text(alias, "name"), split_text(alias)))
            .collect();
        let newest = prompt.get("newest_version").and_then(Value::as_u64).unwrap_or(0);
        println!("{}  {newest} versions  {}", text(prompt, "name"), aliases.join("  "));
    }
    Ok(())
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(printable).unwrap_or_default()
}

/// `3`, or `3 (90) + 4 (10)`.
fn split_text(alias: &Value) -> String {
    let shares = alias.get("split").and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |share: &Value, name: &str| share.get(name).and_then(Value::as_u64).unwrap_or(0);
    match shares.as_slice() {
        [only] => number(only, "version").to_string(),
        several => {
            let texts =
                several.iter().map(|share| format!("{} ({})", number(share, "version"), number(share, "weight")));
            texts.collect::<Vec<_>>().join(" + ")
        }
    }
}

/// A version in the form that `push` reads.
async fn pushable(api: &Api, name: &str, version: Option<u32>) -> Result<Value> {
    let prompt: Value = api.json(Method::GET, &["api", "v1", "prompts", name], None).await?;
    let number = match version {
        Some(version) => u64::from(version),
        None => prompt.get("newest_version").and_then(Value::as_u64).unwrap_or(0),
    };
    if number == 0 {
        bail!("the prompt {} has no version yet: add one with `plasma prompts push`", printable(name));
    }
    let path = ["api", "v1", "prompts", name, "versions", &number.to_string()];
    let found: Value = api.json(Method::GET, &path, None).await?;
    let mut shown = Map::new();
    for field in ["name", "description"] {
        shown.insert(field.to_owned(), prompt.get(field).cloned().unwrap_or_default());
    }
    for field in DEFINITION.into_iter().chain(["note"]) {
        shown.insert(field.to_owned(), found.get(field).cloned().unwrap_or_default());
    }
    Ok(Value::Object(shown))
}

fn read(file: &std::path::Path) -> Result<Map<String, Value>> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin()
            .take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .context("cannot read the standard input")?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        opened
            .take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        bail!("{} is larger than {FILE_BYTES_MAX} bytes", file.display());
    }
    serde_json::from_str(&text).with_context(|| format!("{} is not a JSON object", file.display()))
}

async fn push(api: &Api, given: &Map<String, Value>, as_json: bool) -> Result<()> {
    let name = given.get("name").and_then(Value::as_str).ok_or_else(|| anyhow!("the file has no `name`"))?;
    let mut version = given.clone();
    version.remove("name");
    let description = version.remove("description").unwrap_or_else(|| json!(""));
    let known = api.list(&["api", "v1", "prompts"]).await?;
    match known.iter().find(|prompt| prompt.get("name").and_then(Value::as_str) == Some(name)) {
        None => {
            let body = json!({ "name": name, "description": description });
            api.json::<Value>(Method::POST, &["api", "v1", "prompts"], Some(&body)).await?;
        }
        Some(prompt) if prompt.get("newest_version").and_then(Value::as_u64) == Some(0) => {}
        Some(_) => {
            let newest = pushable(api, name, None).await?;
            // The server names everything that a file may leave out.
            let says =
                |field: &str| newest.get(field).map(meaning) == given.get(field).or(Some(&Value::Null)).map(meaning);
            if DEFINITION.iter().all(|field| says(field)) {
                println!("{} says the same already", printable(name));
                return Ok(());
            }
        }
    }
    let added: Value =
        api.json(Method::POST, &["api", "v1", "prompts", name, "versions"], Some(&Value::Object(version))).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&added)?);
    } else {
        let number = added.get("version").and_then(Value::as_u64).unwrap_or(0);
        println!("{}@{number} was added", printable(name));
    }
    Ok(())
}

/// JSON without what says nothing, so that what a file leaves out equals what the server fills in.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said: Map<String, Value> = fields
                .iter()
                .map(|(name, value)| (name.clone(), meaning(value)))
                .filter(|(_, value)| !value.is_null())
                .collect();
            if said.is_empty() { Value::Null } else { Value::Object(said) }
        }
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => items.iter().map(meaning).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_means_what_the_server_fills_in() {
        let file = json!({ "variables": [{ "name": "a", "type": "string" }], "parameters": {} });
        let server = json!({
            "variables": [{ "name": "a", "type": "string", "required": null, "values": [], "limits": { "minimum": null } }],
            "parameters": { "temperature": null, "stop": [] },
        });
        assert_eq!(meaning(&file), meaning(&server));
        assert_ne!(meaning(&file), meaning(&json!({ "variables": [{ "name": "b", "type": "string" }] })));
        assert_eq!(meaning(&json!(["", 0, false])), json!(["", 0, false]));
    }

    #[test]
    fn shares_are_read() {
        assert_eq!(share("3"), Ok((3, 1)));
        assert_eq!(share("3=90"), Ok((3, 90)));
        assert!(share("three").is_err() && share("3=").is_err() && share("-1").is_err());
    }
}
