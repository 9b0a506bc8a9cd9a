//! Consents: how a person's yes becomes a connection, whoever shows the page and hears the answer. Floor 2.

mod account;
mod code;
mod device;
mod error;
mod obtained;
mod ports;
mod revoke;

pub use account::{Account, Wish};
pub use code::{Code, Heard, Waiting};
pub use device::DeviceCode;
pub use error::Error;
pub use obtained::Obtained;
pub use ports::Ports;
pub use revoke::{Revoked, revoke};

#[cfg(test)]
mod tests;
