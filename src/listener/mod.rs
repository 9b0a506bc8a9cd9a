//! Accept, connection limit, drain: each stream goes to a worker that it knows nothing about. Floor 1.

mod accept;
mod peer;

pub(crate) use accept::{Door, Stop, accept};
pub(crate) use peer::Peers;
