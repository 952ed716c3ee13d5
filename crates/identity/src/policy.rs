//! Access policies: what roles cannot say, in Cedar's language (<https://www.cedarpolicy.com>).
//!
//! What a role allows is the base. A tenant's statements take from it (`forbid`) and, for people who logged in, add to it
//! (`permit`), but never a permission of the installation. A text is checked against the schema before it is kept, compiled once
//! for each revision of the tenant's set, and cut into classes: permissions for which the same statements matter, so that one
//! evaluation decides for all of them.

mod compiled;
mod facts;
mod recent;
mod schema;
mod text;

pub(crate) use compiled::{Compiled, Decision, Source};
pub(crate) use facts::{ActorKey, Facts, Moment, Question, Who};
pub(crate) use recent::{Recent, Seen};
pub(crate) use schema::schema_text;
pub(crate) use text::{Checked, TEXT_BYTES_MAX, check};
