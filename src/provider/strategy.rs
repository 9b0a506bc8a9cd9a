//! How a credential goes on a request.

use http::{HeaderName, HeaderValue};

use crate::model::Secret;

/// Text with `{field}` holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub(super) Vec<String>);

/// One way to place a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// `Authorization: Bearer VALUE` (RFC 6750 §2.1).
    Bearer(Template),
}

/// A credential made ready for the wire, once per credential and rule.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Set after stripping; values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Query parameters to set, percent-encoded.
    pub query: Vec<(String, Secret<String>)>,
}
