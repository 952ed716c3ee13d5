//! What a user of an index relies on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod calibrate;
mod crash;
mod damage;
mod filters;
mod input;
mod model;
mod recall;
mod support;
mod views;
