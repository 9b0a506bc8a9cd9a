//! Why what was typed is no credential.

use super::wanted::listed;
use crate::oauth::Unready;
use crate::provider::{BindError, InjectError, Provider};

/// Why what was typed is no credential. Nothing was stored; never with a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the ways to a credential of this provider is complete.
    #[error("{title} needs other fields than were given: {ways}")]
    OtherFields {
        /// The provider's name for people.
        title: String,
        /// What would do.
        ways: String,
    },
    /// A field that no request can carry.
    #[error("{0} holds a line end or another control character, so nothing was stored; leave it out")]
    Control(String),
    /// A field that no service takes.
    #[error("{0} is longer than 32 KiB, which no service takes, so nothing was stored")]
    Long(String),
    /// It cannot be placed as the provider's file says.
    #[error("the credential cannot go on a request, so nothing was stored")]
    Unfit(#[source] InjectError),
    /// No token can be made from it.
    #[error("the credential makes no token, so nothing was stored")]
    NoToken(#[source] NotMade),
    /// A field that names a tenant and is no label.
    #[error("a field that is part of a host name is not valid")]
    Host(#[from] BindError),
}

impl Error {
    /// The field that is wrong, where it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Control(field) | Self::Long(field) => Some(field),
            Self::Host(
                BindError::NotALabel { field, .. } | BindError::NotAName { field } | BindError::NotAHost { field, .. },
            ) => Some(field),
            Self::OtherFields { .. } | Self::Unfit(_) | Self::NoToken(_) => None,
        }
    }

    pub(super) fn other_fields(provider: &Provider) -> Self {
        Self::OtherFields { title: provider.title.clone(), ways: listed(provider) }
    }
}

/// Why no token can be made from the fields of a connection: a key that is none, a key file of another service.
#[derive(Debug, thiserror::Error)]
#[error("no token can be asked for with these fields")]
pub struct NotMade(#[source] pub(super) Unready);
