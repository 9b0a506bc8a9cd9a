//! What a gateway lends to its nodes: copies of connections without what only renewals need, as lines of a stream. Pure. Floor 2.
//!
//! A line is one JSON object with one member that says what it is: `hello` (once, first), `put` (a connection as it is now), `gone`
//! (a connection that is no more), `synced` (all that there is has been told once); an object with none of them says that the gateway
//! lives. A reader passes over what it doesn't know.

mod lender;
mod line;
mod told;

pub(crate) use lender::Lender;
pub(crate) use line::{Ask, Change, Lines, Malformed, Used, read, read_answer, write_alive, write_answer, write_hello};
pub(crate) use told::Told;

#[cfg(test)]
mod tests;
