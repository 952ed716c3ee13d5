//! All SQL of this crate.

pub(crate) mod citations;
pub(crate) mod documents;
pub(crate) mod revisions;
