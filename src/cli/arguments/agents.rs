//! The identities of callers.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use nexus::model::{AgentName, HostTerm, Rate, UserName};

use super::super::when;

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Add an agent; its token is shown once
    Add(AddAgent),
    /// List the agents
    #[command(visible_alias = "ls")]
    List,
    /// Show what one agent may do
    Show {
        /// Its name
        name: AgentName,
    },
    /// Change what an agent may do; its token stays, and what is not named stays as it is
    Limit(LimitAgent),
    /// Let an agent get nothing, streams that are open included, until it is thawed
    Freeze {
        /// Its name; local for callers without a token
        name: AgentName,
    },
    /// Let a frozen agent get what it may again
    Thaw {
        /// Its name
        name: AgentName,
    },
    /// Make a token that acts for an agent for a short time and may do no more than it; it is shown once
    Lease(LeaseAgent),
    /// List the leases of an agent
    Leases {
        /// The agent's name
        name: AgentName,
    },
    /// End a lease; what it has open ends within a second
    Release {
        /// Its id, as `nexus agent leases` lists it
        id: String,
    },
    /// Take an agent's access away: new requests at once, streams that are open within a second
    #[command(visible_alias = "rm")]
    Revoke {
        /// Its name
        name: AgentName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LeaseAgent {
    /// The agent that it acts for
    pub(crate) name: AgentName,
    /// How long: `15m`, `2h`, seconds
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = when::length)]
    pub(crate) time: Duration,
    /// How many requests it is good for
    #[arg(long)]
    pub(crate) calls: Option<u64>,
    /// It may use this one of the agent's providers only; can be repeated, or several with commas between
    #[arg(long = "provider", alias = "providers", value_name = "PROVIDER", value_delimiter = ',')]
    pub(crate) providers: Vec<String>,
    /// It may reach this one of the agent's hosts only; can be repeated, or several with commas between
    #[arg(long = "host", alias = "hosts", value_name = "HOST", value_delimiter = ',')]
    pub(crate) hosts: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AddAgent {
    /// Its name: letters, digits and - . _ ~
    pub(crate) name: AgentName,
    /// It acts for this person and uses their connections and those of nobody; without it, it may name anybody's
    #[arg(long)]
    pub(crate) user: Option<UserName>,
    /// It may use this provider only; can be repeated, or several with commas between
    #[arg(long = "provider", alias = "providers", value_name = "PROVIDER", value_delimiter = ',')]
    pub(crate) providers: Vec<String>,
    /// It may reach this host only, `*.example.com` for all below a name; can be repeated, or several with commas between
    #[arg(long = "host", alias = "hosts", value_name = "HOST", value_delimiter = ',')]
    pub(crate) hosts: Vec<HostTerm>,
    /// How many requests it may make: `60/min`, `10/s`, `1000/h`, `5000/day`
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,
    /// When its access ends: `30d`, `12h`, seconds, or RFC 3339
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, value_parser = when::ahead)]
    pub(crate) expires: Option<SystemTime>,
}

/// A limit, or the word that takes it away.
#[derive(Debug, Clone)]
pub(crate) enum Bound<T> {
    None,
    At(T),
}

impl<T: Clone> Bound<T> {
    pub(crate) fn limit(&self) -> Option<T> {
        if let Self::At(limit) = self { Some(limit.clone()) } else { None }
    }
}

/// Reads a limit, or `word` for none.
fn bound<T, E>(
    word: &'static str,
    read: impl Fn(&str) -> Result<T, E> + Clone,
) -> impl Fn(&str) -> Result<Bound<T>, E> + Clone {
    move |text| if text == word { Ok(Bound::None) } else { read(text).map(Bound::At) }
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("limits").required(true).multiple(true).args(["providers", "hosts", "rate", "expires"])))]
pub(crate) struct LimitAgent {
    /// Its name
    pub(crate) name: AgentName,
    /// It may use these providers only, `all` for every one; can be repeated, or several with commas between
    #[arg(long = "provider", alias = "providers", value_name = "PROVIDER", value_delimiter = ',')]
    pub(crate) providers: Vec<String>,
    /// It may reach these hosts only, `all` for every one; can be repeated, or several with commas between
    #[arg(long = "host", alias = "hosts", value_name = "HOST", value_delimiter = ',', value_parser = bound("all", str::parse::<HostTerm>))]
    pub(crate) hosts: Vec<Bound<HostTerm>>,
    /// How many requests it may make: `60/min`, `10/s`, `1000/h`, `5000/day`, or `any`
    #[arg(long, value_name = "RATE", value_parser = bound("any", str::parse::<Rate>))]
    pub(crate) rate: Option<Bound<Rate>>,
    /// When its access ends: `30d`, `12h`, seconds, RFC 3339, or `never`
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, value_parser = bound("never", when::ahead))]
    pub(crate) expires: Option<Bound<SystemTime>>,
}
