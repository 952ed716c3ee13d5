use std::str::FromStr;

use plasma_kernel::{Error, Random, Result};
use serde::{Deserialize, Serialize};

use super::redact::Redactions;
use crate::types::words;

/// Days that something is kept at most.
const RETENTION_DAYS_MAX: u32 = 90;

words! {
    /// What is recognized without a pattern of one's own.
    BuiltInRedaction, "built_in_redactions" {
        /// E-mail addresses.
        Email = "email",
        /// Numbers of payment cards: 13 to 19 digits with a right check digit.
        CardNumber = "card_number",
        /// Keys of known providers and of Plasma, bearer tokens, JSON web tokens, private keys.
        ApiKey = "api_key",
    }
}

/// What a workspace keeps of what models are asked and answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureSettings {
    /// Whether anything is kept.
    pub enabled: bool,
    /// How many of a hundred calls are kept, drawn by chance: 1 to 100.
    #[serde(default = "hundred")]
    #[schema(minimum = 1, maximum = 100)]
    pub share_percent: u32,
    /// Whether the request is kept.
    #[serde(default = "yes")]
    pub request: bool,
    /// Whether the answer is kept.
    #[serde(default = "yes")]
    pub answer: bool,
    /// What is recognized and replaced before anything is kept; all of it when absent.
    #[serde(default = "all")]
    pub built_in_redactions: Vec<BuiltInRedaction>,
    /// Regular expressions of what else is replaced, in the syntax of Rust's crate `regex`: at most 20 of 200 characters. None
    /// may match the empty text.
    #[serde(default)]
    pub redactions: Vec<String>,
    /// After how many days what is kept is removed: 1 to 90.
    #[serde(default = "thirty")]
    #[schema(minimum = 1, maximum = 90)]
    pub retention_days: u32,
}

fn hundred() -> u32 {
    100
}

fn yes() -> bool {
    true
}

fn thirty() -> u32 {
    30
}

fn all() -> Vec<BuiltInRedaction> {
    vec![BuiltInRedaction::Email, BuiltInRedaction::CardNumber, BuiltInRedaction::ApiKey]
}

impl Default for CaptureSettings {
    /// Off.
    fn default() -> Self {
        Self {
            enabled: false,
            share_percent: hundred(),
            request: true,
            answer: true,
            built_in_redactions: all(),
            redactions: Vec::new(),
            retention_days: thirty(),
        }
    }
}

/// Settings whose patterns are ready.
pub(crate) struct Capture {
    pub(crate) settings: CaptureSettings,
    pub(super) redactions: Redactions,
}

impl Capture {
    /// # Errors
    /// `invalid` naming the field.
    pub(crate) fn new(settings: CaptureSettings) -> Result<Self> {
        let range = |field: &str, number: u32, max: u32| {
            if (1..=max).contains(&number) {
                return Ok(());
            }
            Err(Error::invalid(field, format!("must be 1 to {max}, got {number}")))
        };
        range("share_percent", settings.share_percent, 100)?;
        range("retention_days", settings.retention_days, RETENTION_DAYS_MAX)?;
        let redactions = Redactions::new(&settings.built_in_redactions, &settings.redactions)?;
        Ok(Self { settings, redactions })
    }

    /// Whether the next call is kept.
    pub(super) fn draws(&self, random: &Random) -> bool {
        let settings = &self.settings;
        if !settings.enabled || !(settings.request || settings.answer) {
            return false;
        }
        random.fraction() * 100.0 < f64::from(settings.share_percent)
    }
}
