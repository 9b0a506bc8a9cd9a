//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Holds credentials so that programs don't: a forward proxy that injects auth by host name.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Arguments {
    /// The home folder.
    #[arg(long, global = true, env = "NEXUS_HOME", value_name = "FOLDER", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// `--color`.
#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the home folder: secret, certificate authority, bundle, example config
    Init,
    /// Run the proxy
    Up(Up),
    /// Store a credential
    Register(Register),
    /// List the connections
    List(List),
    /// Show one connection, without its secrets
    Show(One),
    /// Remove a connection
    Remove(One),
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Print this line to stdout once the proxy listens, for scripts: `listening ADDRESS…`
    #[arg(long)]
    pub(crate) announce: bool,
}

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
    /// OAuth refresh token
    #[arg(long)]
    pub(crate) refresh_token: Option<String>,
    /// When the access token ends: RFC 3339, or seconds from now
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<String>,
    /// Any other field, such as a tenant: `--field site=acme`
    #[arg(long = "field", value_name = "NAME=VALUE")]
    pub(crate) fields: Vec<String>,
    /// Read fields from standard input, one `name=value` a line
    #[arg(long)]
    pub(crate) stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only the connections of this person
    #[arg(long)]
    pub(crate) user: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// The provider, or a connection such as `github:alice`
    pub(crate) provider: String,
    /// The person, where there are several
    #[arg(long)]
    pub(crate) user: Option<String>,
}
