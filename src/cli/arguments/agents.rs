//! The identities of callers.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Add an agent; its token is shown once
    Add(AddAgent),
    /// List the agents
    #[command(visible_alias = "ls")]
    List,
    /// Take an agent's access away: new requests at once, streams that are open within seconds
    #[command(visible_alias = "rm")]
    Revoke {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddAgent {
    /// Its name: letters, digits and - . _ ~
    pub(crate) name: String,
    /// It acts for this person and uses their connections and those of nobody; without it, it may name anybody's
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// It may use this provider only; can be repeated
    #[arg(long = "provider", value_name = "PROVIDER")]
    pub(crate) providers: Vec<String>,
    /// It may reach this host only; can be repeated
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// When its access ends: `30d`, `12h`, seconds, or RFC 3339
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) expires: Option<String>,
}
