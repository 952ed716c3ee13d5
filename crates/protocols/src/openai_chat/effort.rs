//! The words of OpenAI's two protocols for how hard a model thinks.

use crate::chat::Effort;

/// `None` for a word that is no effort.
pub(crate) fn effort_of_word(word: &str) -> Option<Effort> {
    Some(match word {
        "none" => Effort::None,
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" | "max" => Effort::Max,
        _ => return None,
    })
}

pub(crate) fn effort_word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        // `max` is younger, and OpenRouter and DeepSeek know this one too.
        Effort::Max => "xhigh",
    }
}
