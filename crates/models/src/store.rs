//! All SQL of this crate.

pub(crate) mod calls;
pub(crate) mod models;
pub(crate) mod providers;
pub(crate) mod routes;
