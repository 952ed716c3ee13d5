use serde::{Deserialize, Serialize};

/// An amount of money in millionths of a currency unit. Never a float.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Money {
    /// Millionths of one unit: 1,000,000 is one dollar when `currency` is USD.
    pub amount_micros: i64,
    /// ISO 4217 code.
    #[schema(example = "USD")]
    pub currency: String,
}
