//! The strict HTTP/1.1 head and framing reader that stands before the HTTP engine on both sides (RFC 9112). Floor 0.
//!
//! It promises that the engine sees only messages that every careful reader frames alike. What is not so is rejected, never
//! repaired: [`Gate`] takes a stream, hands on its valid bytes untouched and stops at the first one that is not.

mod chunked;
mod common;
mod fields;
mod flood;
mod gate;
mod grammar;
mod h2;
mod handle;
mod malformed;
mod open;
mod parse;
mod pull;
mod reader;
mod start;

#[cfg(test)]
mod tests;

pub(crate) use fields::Declared;
pub(crate) use flood::Metered;
pub(crate) use gate::Gate;
pub(crate) use h2::{check_h2_request, check_trailers};
pub(crate) use handle::{Expectation, Verdict};
pub(crate) use malformed::Malformed;
pub(crate) use open::{ReadError, read_head};
pub(crate) use parse::{Head, Limits, Parser, Shape};
pub(crate) use pull::{Framing, Piece, fields_of, section};
pub(crate) use reader::{Reader, Watch};

pub(crate) use start::Form;
