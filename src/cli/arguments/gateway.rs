//! The gateway: who may ask it, and whom a node believes to be it.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use nexus::model::{AgentName, UserName};

use super::super::when;

#[derive(Debug, Subcommand)]
pub(crate) enum Gateway {
    /// Keys of the gateway
    #[command(subcommand)]
    Key(GatewayKey),
    /// Trust a gateway elsewhere: shows who signed its certificate, asks, and believes nobody else for it from then on
    Trust(Trust),
}

#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// `https://HOST:PORT`; without it, NEXUS_GATEWAY_URL
    pub(crate) url: Option<String>,
    /// The authority's certificate in a PEM file, where the gateway does not show it itself
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// What its SHA-256 must be; then nobody is asked
    #[arg(long, value_name = "AA:BB:…")]
    pub(crate) sha256: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GatewayKey {
    /// Make a key; it is shown once
    Add(AddKey),
    /// List the keys
    #[command(visible_alias = "ls")]
    List,
    /// Take a key's access away: a gateway that is up notices within a second
    #[command(visible_alias = "rm")]
    Revoke {
        /// Its name
        name: AgentName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddKey {
    /// Its name: letters, digits and - . _ ~
    pub(crate) name: AgentName,
    /// What it is good for
    #[arg(long, value_enum)]
    pub(crate) kind: KeyKind,
    /// An app's key sees the connections of this person and those of nobody; without it, everybody's
    #[arg(long)]
    pub(crate) user: Option<UserName>,
    /// An app's key may use these providers only, a node's is lent their connections only
    #[arg(long, value_name = "PROVIDER", value_delimiter = ',')]
    pub(crate) providers: Vec<String>,
    /// When its access ends: `30d`, `12h`, seconds, or RFC 3339
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, value_parser = when::ahead)]
    pub(crate) expires: Option<SystemTime>,
}

/// `--kind`.
#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// A program that uses connections: it may start and watch them, and holds placeholders
    App,
    /// A proxy elsewhere: it is given credentials
    Node,
    /// A person who administers: everything but credentials
    Admin,
}
