//! Local models.

pub mod local;
pub mod manifest;
