use std::fmt::Write as _;

use super::{Kind, Layers, SETTINGS};

/// The configuration as a commented `plasma.toml`: each setting's meaning and limits, its value, and where that came from.
/// Secrets are hidden.
pub fn show(layers: &Layers) -> String {
    let mut text = String::from("# Order: plasma.toml, then the environment, then flags; the later wins.\n");
    for setting in SETTINGS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "\n# {}.", setting.help);
        if let Some(limits) = limits(setting.kind) {
            let _ = writeln!(text, "# {limits}.");
        }
        let flag = if setting.environment_only { String::new() } else { format!(", --{}", setting.flag()) };
        let _ = writeln!(text, "# {}{flag}", setting.variable());
        let _ = match layers.get(setting.key) {
            Some((_, source)) if setting.secret => writeln!(text, "# {} = (secret)  # {source}", setting.key),
            Some((value, source)) if setting.environment_only => {
                writeln!(text, "# {} = {value}  # {source}", setting.key)
            }
            Some((value, source)) => writeln!(text, "{} = {value}  # {source}", setting.key),
            None => writeln!(text, "# {} is not set", setting.key),
        };
    }
    text
}

/// A setting's limits in words.
pub(crate) fn limits(kind: Kind) -> Option<String> {
    match kind {
        Kind::Whole { min, max, unit } => Some(format!("{min} to {max} {unit}")),
        Kind::Choice(words) => Some(words.join(" or ")),
        Kind::Words(words) => Some(format!("one or more of {}", words.join(", "))),
        Kind::Url(schemes) => Some(format!("a URL with {}://", schemes.join(":// or "))),
        Kind::Flag => Some("true or false".to_owned()),
        Kind::Networks => {
            Some("networks such as 10.0.0.0/8, separated by commas elsewhere than in the file".to_owned())
        }
        Kind::SearchNodes => Some("name=url[,url of a replica…], with spaces between nodes".to_owned()),
        Kind::Text | Kind::Path | Kind::Address | Kind::LogFilter => None,
    }
}
