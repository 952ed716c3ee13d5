//! What a user of an index relies on.

mod calibrate;
mod crash;
mod damage;
mod filters;
mod input;
mod model;
mod recall;
mod support;
mod views;
