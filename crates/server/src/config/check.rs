//! Whether one value fits one setting.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use toml::{Value, de::DeValue};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{Kind, search_nodes};

/// A value from the file, in the type that [`super::Config`] reads; or what is wrong with it.
pub(super) fn from_file(kind: Kind, value: &DeValue<'_>) -> Result<Value, String> {
    let mismatch = |expected: &str| Err(format!("must be {expected}, got {}", article(value.type_str())));
    match kind {
        Kind::Whole { .. } => match value {
            DeValue::Integer(number) => {
                // Underscores are only for the eye.
                let digits = number.as_str().replace('_', "");
                let parsed = i64::from_str_radix(&digits, number.radix());
                parsed
                    .map_err(|_| format!("must be a whole number, got {digits}"))
                    .and_then(|number| whole(kind, number))
            }
            _ => mismatch("a whole number"),
        },
        Kind::Flag => match value {
            DeValue::Boolean(flag) => Ok(Value::Boolean(*flag)),
            _ => mismatch("true or false, without quotes"),
        },
        Kind::Words(known) => match value {
            DeValue::Array(items) => {
                let words: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
                match words {
                    Some(words) => self::words(known, words.into_iter()),
                    None => Err("must be a list of texts in quotes".to_owned()),
                }
            }
            _ => mismatch("a list such as [\"api\", \"worker\"]"),
        },
        Kind::Networks => match value {
            DeValue::Array(items) => {
                let texts: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
                texts.map_or_else(
                    || Err("must be a list of texts in quotes".to_owned()),
                    |texts| networks(texts.into_iter()),
                )
            }
            _ => mismatch("a list such as [\"10.0.0.0/8\"]"),
        },
        _ => match value {
            DeValue::String(text) => from_text(kind, text),
            _ => mismatch("a text in quotes"),
        },
    }
}

/// A value from the environment or a flag.
pub(super) fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    match kind {
        Kind::Text | Kind::Path => Ok(Value::String(text.to_owned())),
        Kind::Address => match text.parse::<SocketAddr>() {
            Ok(_) => Ok(Value::String(text.to_owned())),
            Err(_) => Err("must be an address and a port such as 127.0.0.1:8080 or [::]:8080".to_owned()),
        },
        Kind::Url(schemes) => url(schemes, text),
        Kind::SearchNodes => search_nodes::from_text(text),
        Kind::Choice(choices) if choices.contains(&text) => Ok(Value::String(text.to_owned())),
        Kind::Choice(choices) => {
            Err(format!("must be {}{}", choices.join(" or "), suggestion(text, choices.iter().copied())))
        }
        Kind::Words(known) => words(known, text.split(',').map(str::trim)),
        Kind::Networks => networks(text.split(',').map(str::trim)),
        Kind::Whole { .. } => match text.trim().parse() {
            Ok(number) => whole(kind, number),
            Err(_) => Err("must be a whole number".to_owned()),
        },
        Kind::Flag => match text {
            "true" | "1" => Ok(Value::Boolean(true)),
            "false" | "0" => Ok(Value::Boolean(false)),
            _ => Err("must be true or false".to_owned()),
        },
        Kind::LogFilter => match EnvFilter::try_new(text) {
            Ok(_) => Ok(Value::String(text.to_owned())),
            Err(_) => {
                Err("must be error, warn, info, debug, trace, or directives such as warn,plasma_models=debug"
                    .to_owned())
            }
        },
    }
}

fn whole(kind: Kind, number: i64) -> Result<Value, String> {
    match kind {
        Kind::Whole { min, max, unit } if !(min..=max).contains(&number) => {
            Err(format!("must be {min} to {max} {unit}, got {number}"))
        }
        _ => Ok(Value::Integer(number)),
    }
}

fn words<'a>(known: &[&str], given: impl Iterator<Item = &'a str>) -> Result<Value, String> {
    let mut words: Vec<Value> = Vec::new();
    for word in given {
        if !known.contains(&word) {
            return Err(format!(
                "`{word}` is not one of {}{}",
                known.join(", "),
                suggestion(word, known.iter().copied())
            ));
        }
        let word = Value::String(word.to_owned());
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() {
        return Err(format!("must name at least one of {}", known.join(", ")));
    }
    Ok(Value::Array(words))
}

/// Networks in their normal form. A single address is the network of itself.
fn networks<'a>(given: impl Iterator<Item = &'a str>) -> Result<Value, String> {
    let network = |text: &'a str| match text.parse::<IpNet>() {
        Ok(network) => Ok(Value::String(network.trunc().to_string())),
        Err(_) => match text.parse::<IpAddr>() {
            Ok(address) => Ok(Value::String(IpNet::from(address).to_string())),
            Err(_) => Err(format!("`{text}` is not a network such as 10.0.0.0/8 or fd00::/8")),
        },
    };
    given.map(network).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// The text is never quoted back: a database's URL holds a password.
pub(super) fn url(schemes: &[&str], text: &str) -> Result<Value, String> {
    let expected = || format!("must be a URL that starts with {}://", schemes.join(":// or "));
    let url = Url::parse(text).map_err(|_| expected())?;
    if !schemes.contains(&url.scheme()) {
        return Err(expected());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("must name a host".to_owned());
    }
    Ok(Value::String(text.to_owned()))
}

/// `; did you mean …?` when a known word is close.
pub(super) fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    match closest(word, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    }
}

/// The known word that needs the fewest edits, if it is near enough to be meant: a third of its letters.
pub(super) fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn article(kind: &str) -> String {
    if kind.starts_with(['a', 'i']) { format!("an {kind}") } else { format!("a {kind}") }
}
