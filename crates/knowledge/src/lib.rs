pub mod chunk;
pub mod parse;
