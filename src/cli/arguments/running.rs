//! The proxy, and programs that go through it.

use std::ffi::OsString;

use clap::{Args, ValueEnum};
use nexus::model::AgentName;

use super::super::env::Format;
use super::super::run::Confine;

/// The words that `nexus explain` answers with.
const OUTCOMES: &str = "\
Outcomes:
  inject         the caller's credential is taken off, the stored one put on
  strip          a provider's host outside its rules: the caller's credential
                 is taken off, none put on
  pass           forwarded as the caller sent it
  tunnel         bytes go through unseen: no provider names the host
  refuse         answered by Nexus, nothing is sent
  auth required  refused until somebody runs `nexus register`";

#[derive(Debug, Args)]
pub(crate) struct Open {
    /// What whoever follows the link may do
    #[arg(long, value_enum, default_value = "operator")]
    pub(crate) role: Role,
    /// Their name, which stands in the audit log beside all that they do [default: yours on this machine]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<AgentName>,
    /// Print the link only
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Sign everybody out instead, and make links worthless that nobody has followed
    #[arg(long, conflicts_with_all = ["role", "name", "no_browser"])]
    pub(crate) end: bool,
}

/// `--role`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// All that an administrator's key may
    Operator,
    /// Sees what there is to see, and answers held requests
    Approver,
    /// Sees what there is to see
    Auditor,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Print this line to stdout once the proxy listens, for scripts: `listening ADDRESS…`; then `gateway ADDRESS`
    #[arg(long)]
    pub(crate) announce: bool,
    /// Run the gateway without the proxy
    #[arg(long)]
    pub(crate) gateway_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Env {
    /// Who reads the variables
    #[arg(long, value_enum, default_value = "sh")]
    pub(crate) format: Format,
    /// For this agent; its token is read from NEXUS_AGENT_TOKEN
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Start from PATH, HOME, TERM, LANG, USER, SHELL and TMPDIR only
    #[arg(long)]
    pub(crate) clean: bool,
    /// Pass this variable on, even if it holds a credential
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) keep: Vec<String>,
    /// How the command is shut out of the home folder
    #[arg(long, value_enum, default_value = "auto", value_name = "WAY")]
    pub(crate) confine: Confine,
    /// Use the connections of this person
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The command and its arguments; `--` before it is optional
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(override_usage = "nexus explain [OPTIONS] [METHOD] <URL>", after_help = OUTCOMES)]
pub(crate) struct Explain {
    /// A URL, and a method before it: `https://api.github.com/user`, `POST https://api.openai.com/v1/responses`
    #[arg(required = true, num_args = 1..=2, value_name = "URL")]
    pub(crate) request: Vec<String>,
    /// For this agent; without it for the one whose token is in NEXUS_AGENT_TOKEN
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<AgentName>,
}
