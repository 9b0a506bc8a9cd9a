//! Patterns of hosts and paths.

use crate::model::Host;

/// One entry of `hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `api.github.com`.
    Exact(Host),
    /// `{site}.atlassian.net`: exactly one label, chosen by the customer and bound at registration.
    Tenant {
        /// Text before the tenant within its label, often empty.
        before: String,
        /// The field that names the tenant.
        field: String,
        /// Text after the tenant, beginning within its label or with a dot.
        after: String,
    },
}

/// One entry of `paths`: `*` is one segment, `**` any number of segments at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(pub(super) String);
