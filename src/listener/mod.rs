//! Accept, connection limit, drain: each stream goes to a worker that it knows nothing about. Floor 1.

mod accept;
mod peer;
mod unix;

pub(crate) use accept::{Door, Peer, Socket, Stop, accept};
pub(crate) use peer::Peers;
pub(crate) use unix::{LONGEST, UnixDoor, UnixPeer};
