//! What chat models can do beyond answering text with text.

use std::str::FromStr;

use plasma_kernel::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::types::words;

words! {
    /// What a chat model can do beyond answering text with text.
    Capability, "capabilities" {
        /// It calls the functions that a request offers.
        Tools = "tools",
        /// It sees images.
        Vision = "vision",
        /// It reads documents that are no plain text, such as PDF files.
        Documents = "documents",
        /// It hears recordings.
        Audio = "audio",
        /// It answers with JSON that follows a given schema.
        JsonSchema = "json_schema",
        /// It thinks before it answers, as much as it is asked to.
        Thinking = "thinking",
    }
}

impl Capability {
    /// What is wrong with a model that does not have it, after "it".
    pub(crate) fn lack(self) -> &'static str {
        match self {
            Self::Tools => "cannot use tools",
            Self::Vision => "cannot see images",
            Self::Documents => "cannot read documents",
            Self::Audio => "cannot hear recordings",
            Self::JsonSchema => "cannot follow a JSON schema",
            Self::Thinking => "cannot be asked to think",
        }
    }
}

/// Refuses a list that names a capability twice.
///
/// # Errors
/// `invalid` naming the place in `field`.
pub(crate) fn check_capabilities(field: &'static str, capabilities: &[Capability]) -> Result<()> {
    for (index, capability) in capabilities.iter().enumerate() {
        if capabilities.iter().take(index).any(|earlier| earlier == capability) {
            let message = format!("`{}` stands twice", capability.as_str());
            return Err(Error::invalid(format!("{field}[{index}]"), message));
        }
    }
    Ok(())
}
