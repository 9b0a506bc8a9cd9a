//! Finds secrets in what a service answers, in the spellings that programs write, and puts worthless text of the same length there. Floor 0.
//!
//! It knows bytes, nothing of requests: [`Needles`] are compiled once per credential, a [`Scrubber`] follows one stream, [`Frames`] one of
//! WebSocket messages, and a [`Decoder`] undoes what a stream was coded with.

mod coding;
mod form;
mod frames;
mod needles;
mod scrubber;
mod spelled;

#[cfg(test)]
mod tests;

pub(crate) use coding::{Coding, Decoder, Error};
pub(crate) use frames::{Frames, Unreadable};
pub(crate) use needles::Needles;
pub(crate) use scrubber::{Scrubber, StandIn};

/// Secrets shorter than this would be found in innocent text, and tell a caller that guesses that it guessed right.
pub(crate) const SHORTEST: usize = 16;
