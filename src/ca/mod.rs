//! The certificate authority: the root that callers trust and the leaf certificates it signs. Floor 1.

mod about;
mod bundle;
mod client;
mod error;
mod issuer;
mod itself;
mod leaf;
mod read;
mod root;
mod rotation;
mod signer;
#[cfg(test)]
mod tests;
mod ticket;

pub use about::{About, describe};
pub use bundle::{SystemRoots, bundle, system_roots};
pub(crate) use client::{ClientNames, ClientRoots};
pub use error::Error;
pub use issuer::{Issuer, Settings};
pub(crate) use itself::Itself;
pub(crate) use read::pem;
pub use root::Root;
pub use rotation::{OVERLAP, Plan, Rotation, Signs};
