//! All SQL of knowledge.
//!
//! A transaction that changes a document and its collection locks the collection first, so that two of them never wait for
//! each other.

pub(crate) mod access;
pub(crate) mod collections;
pub(crate) mod documents;
pub(crate) mod passages;
pub(crate) mod placements;
pub(crate) mod queue;
pub(crate) mod reembeddings;
pub(crate) mod synonyms;
pub(crate) mod vectors;
pub(crate) mod versions;
