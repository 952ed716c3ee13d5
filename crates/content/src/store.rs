//! All SQL of this crate.

pub(crate) mod citations;
pub(crate) mod documents;
pub(crate) mod revisions;

use plasma_kernel::{Actor, Error, Result};
use plasma_store::Row;

fn actor(row: &Row, column: &'static str) -> Result<Actor> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| Error::from_source(format!("column {column} is not an actor"), error))
}

fn actor_text(actor: &Actor) -> Result<String> {
    serde_json::to_string(actor).map_err(|error| Error::from_source("an actor cannot be written", error))
}
