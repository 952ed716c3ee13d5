//! Which version of a prompt a call gets.

use plasma_kernel::{Ctx, Error, Result};
use sha2::{Digest as _, Sha256};

use super::types::{Prompt, PromptAlias, PromptReference};
use crate::near_names::near;

/// What a name without a version means, where there is one.
const ALIAS_DEFAULT: &str = "production";
/// Characters of a name in a message.
const SHOWN_CHARS_MAX: usize = 63;

/// The number of the version that `reference` means.
///
/// # Errors
/// `not_found` (`prompt_version_not_found`, `prompt_alias_not_found`).
pub(super) fn version(ctx: &Ctx, prompt: &Prompt, reference: &PromptReference, subject: Option<&str>) -> Result<u32> {
    let find = |name: &str| prompt.aliases.iter().find(|alias| alias.name == name);
    match reference {
        PromptReference::Version(version) if (1..=prompt.newest_version).contains(version) => Ok(*version),
        PromptReference::Version(version) => Err(no_version(prompt, *version)),
        PromptReference::Alias(name) => match find(name) {
            Some(alias) => draw(ctx, prompt, alias, subject),
            None => Err(no_alias(prompt, name)),
        },
        PromptReference::Unnamed => match find(ALIAS_DEFAULT) {
            Some(alias) => draw(ctx, prompt, alias, subject),
            None => newest(prompt),
        },
        PromptReference::Newest => newest(prompt),
    }
}

fn newest(prompt: &Prompt) -> Result<u32> {
    match prompt.newest_version {
        0 => Err(no_version(prompt, 1).remedy("add a version first")),
        newest => Ok(newest),
    }
}

pub(super) fn no_version(prompt: &Prompt, version: u32) -> Error {
    let has = match prompt.newest_version {
        0 => "it has none yet".to_owned(),
        1 => "it has only version 1".to_owned(),
        newest => format!("it has versions 1 to {newest}"),
    };
    let message = format!("the prompt `{}` has no version {version}; {has}", prompt.name);
    Error::not_found("prompt_version_not_found", message)
}

fn no_alias(prompt: &Prompt, name: &str) -> Error {
    let shown: String = name.chars().take(SHOWN_CHARS_MAX).collect();
    let names: Vec<String> = prompt.aliases.iter().map(|alias| alias.name.clone()).collect();
    let mut message = format!("the prompt `{}` has no alias `{shown}`", prompt.name);
    let near = near(name, &names);
    if !near.is_empty() {
        message.push_str(&format!("; near names: `{}`", near.join("`, `")));
    }
    let has = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
    Error::not_found("prompt_alias_not_found", message).remedy(has)
}

/// Draws by weight, the same for each subject. Each version gets a number between 0 and 1 from the subject's hash; the
/// smallest `-ln(number) / weight` wins (weighted rendezvous hashing). When weights change, only as many subjects change
/// their version as the weights demand.
fn draw(ctx: &Ctx, prompt: &Prompt, alias: &PromptAlias, subject: Option<&str>) -> Result<u32> {
    alias
        .split
        .iter()
        .filter(|share| share.weight > 0)
        .map(|share| {
            let number = match subject {
                Some(subject) => hashed(prompt, alias, share.version, subject),
                None => ctx.random().fraction().max(f64::MIN_POSITIVE),
            };
            (-number.ln() / f64::from(share.weight), share.version)
        })
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, version)| version)
        .ok_or_else(|| Error::internal("an alias without a version"))
}

/// Between 0 and 1, both excluded. Prompts and aliases draw apart from each other.
fn hashed(prompt: &Prompt, alias: &PromptAlias, version: u32, subject: &str) -> f64 {
    let mut hash = Sha256::new();
    for part in [&prompt.id.to_string(), &alias.name, &version.to_string(), subject] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0_u8; 8];
    bytes.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    ((u64::from_le_bytes(bytes) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}
