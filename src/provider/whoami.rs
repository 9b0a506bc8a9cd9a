//! `whoami`: one harmless request that tells whether a credential lives, and whose it is.

use std::fmt;

use http::Method;
use http::uri::PathAndQuery;

use super::pattern::HostPattern;
use super::strategy::Fields;

/// `GET https://{site}.atlassian.net/rest/api/3/myself`: reads, changes nothing, and any live credential may send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhoAmI {
    /// GET, or POST where the service knows nothing else.
    pub method: Method,
    /// One of the provider's hosts, tenants unbound.
    pub host: HostPattern,
    /// The port of the rule that takes it.
    pub port: u16,
    /// Path and query.
    pub path: PathAndQuery,
}

impl WhoAmI {
    /// Its URL, with a tenant in braces.
    pub fn url(&self) -> String {
        self.at(&self.host)
    }

    /// Its URL for a connection with these fields; `None` where they name no tenant.
    pub fn bound_url(&self, fields: Fields<'_>) -> Option<String> {
        Some(self.at(&self.host.bind(fields).ok()??))
    }

    fn at(&self, host: &dyn fmt::Display) -> String {
        let Self { port, path, .. } = self;
        if *port == 443 { format!("https://{host}{path}") } else { format!("https://{host}:{port}{path}") }
    }
}

/// As the provider file writes it.
impl fmt::Display for WhoAmI {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.url())
    }
}
