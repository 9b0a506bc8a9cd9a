//! Credentials and accounts: how they come, are looked at and go.

use std::time::{Duration, SystemTime};

use clap::Args;
use nexus::model::UserName;

use super::super::when;

#[derive(Debug, Args)]
pub(crate) struct Register {
    /// The provider, as `nexus providers list` names it
    pub(crate) provider: String,
    /// The person the credential belongs to, where there are several
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// OAuth client id
    #[arg(long)]
    pub(crate) client_id: Option<String>,
    /// OAuth client secret (better from a prompt, --stdin or NEXUS_CLIENT_SECRET)
    #[arg(long)]
    pub(crate) client_secret: Option<String>,
    /// The client is an OAuth app's, by which accounts are connected (`nexus login`): its secret is never taken for a token
    #[arg(long)]
    pub(crate) app: bool,
    /// API key (better from a prompt, --stdin or NEXUS_API_KEY)
    #[arg(long)]
    pub(crate) api_key: Option<String>,
    /// User name for Basic authentication
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// Password (better from a prompt, --stdin or NEXUS_PASSWORD)
    #[arg(long)]
    pub(crate) password: Option<String>,
    /// OAuth access token (better from a prompt, --stdin or NEXUS_ACCESS_TOKEN)
    #[arg(long)]
    pub(crate) access_token: Option<String>,
    /// OAuth refresh token (better from a prompt, --stdin or NEXUS_REFRESH_TOKEN)
    #[arg(long)]
    pub(crate) refresh_token: Option<String>,
    /// When the access token ends: `30d`, `12h`, seconds, or RFC 3339
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, value_parser = when::ahead)]
    pub(crate) expires: Option<SystemTime>,
    /// Any other field, such as a tenant: `--field site=acme` (a secret better from a prompt or --stdin)
    #[arg(long = "field", value_name = "NAME=VALUE")]
    pub(crate) fields: Vec<String>,
    /// A field from a file, for what has several lines: `--field-file private_key=app.pem`; `-` is standard input
    #[arg(long = "field-file", value_name = "NAME=PATH")]
    pub(crate) files: Vec<String>,
    /// Read fields from standard input, one `name=value` a line: `access_token=gho_…`
    #[arg(long)]
    pub(crate) stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The provider, as `nexus providers list` names it
    pub(crate) provider: String,
    /// The person the account belongs to, where there are several
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// What it is to be good for, instead of what the provider's file says; can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// Show a code to be entered on another device
    #[arg(long)]
    pub(crate) device: bool,
    /// Print the page's address, open nothing
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// The redirect URI is http://127.0.0.1:PORT/callback; 0 is any port that is free [default: 8093]
    #[arg(long, value_name = "PORT", conflicts_with = "redirect_uri")]
    pub(crate) port: Option<u16>,
    /// The redirect URI as it is registered at the service; of one that is not on this machine you paste the address here
    #[arg(long, value_name = "URI")]
    pub(crate) redirect_uri: Option<String>,
    /// How long to wait for the person [default: 10m]
    #[arg(long, value_name = "SPAN", value_parser = when::length)]
    pub(crate) timeout: Option<Duration>,
    /// OAuth client id, where none is registered
    #[arg(long)]
    pub(crate) client_id: Option<String>,
    /// OAuth client secret (better from the prompt or NEXUS_CLIENT_SECRET)
    #[arg(long, requires = "client_id")]
    pub(crate) client_secret: Option<String>,
    /// A field that names a tenant: `--field site=acme`
    #[arg(long = "field", value_name = "NAME=VALUE")]
    pub(crate) fields: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only the connections of this person
    #[arg(long)]
    pub(crate) user: Option<UserName>,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// The provider, or a connection such as `github:alice`
    pub(crate) provider: String,
    /// The person, where there are several
    #[arg(long)]
    pub(crate) user: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The provider, or a connection such as `github:alice`
    pub(crate) provider: String,
    /// The person, where there are several
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The same by name or by number, which is `uuid5(NAMESPACE_DNS, name)`
    #[arg(long, value_name = "ID", conflicts_with = "user")]
    pub(crate) user_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The provider, or a connection such as `github:alice`
    pub(crate) provider: String,
    /// The person, where there are several
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Leave its tokens good at the service
    #[arg(long)]
    pub(crate) no_revoke: bool,
    /// Keep its app and its hosts for the next `nexus login`; nothing goes with it until then
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The request that waits, as `nexus approvals` names it; or the connection, such as `github:ci.1`, as `nexus list` does
    #[arg(value_name = "REQUEST or CONNECTION")]
    pub(crate) provider: String,
    /// Refuse the request
    #[arg(long, conflicts_with_all = ["span", "pattern"])]
    pub(crate) deny: bool,
    /// Let on all requests of the same agent, rule, method, host and path for so long: `1h`, 24 hours at most
    #[arg(long = "for", value_name = "TIME", value_parser = when::length)]
    pub(crate) span: Option<Duration>,
    /// And those of other paths that fit, written as in a rule: `/repos/acme/*/issues`; for an hour where no time is said
    #[arg(long, value_name = "PATHS")]
    pub(crate) pattern: Option<String>,
    /// The last part of its name, where only the provider is given
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// A field that the log-in did not tell, such as a tenant: `--field site=acme`
    #[arg(long = "field", value_name = "NAME=VALUE")]
    pub(crate) fields: Vec<String>,
}
