//! Live credentials: what goes on a request now, and one renewal in flight per connection. Floor 2.

mod authorize;
mod book;
mod connection;
mod error;
mod flight;
mod generation;
mod home;
mod lend;
mod making;
mod needs;
mod permit;
mod port;
mod settings;
mod standing;
mod tally;
mod trials;

pub(crate) use authorize::{Broker, Whose};
pub(crate) use error::{Error, NotCaptured, Why};
pub(crate) use home::Home;
pub(crate) use making::try_out;
pub(crate) use permit::{Permit, Renewal};
pub(crate) use port::{Away, Clock, Listed, Moment, Owner, Ports, Renewed, Seen, Vault};
pub(crate) use settings::Settings;
pub use standing::Standing;

#[cfg(test)]
mod tests;
