//! The command line, as clap reads it; each family of commands has a file.

mod agents;
mod approvals;
mod audit;
mod connections;
mod files;
mod gateway;
mod running;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use agents::{AddAgent, Agent, Bound, LeaseAgent, LimitAgent};
pub(crate) use approvals::{Approvals, ApprovalsAction};
pub(crate) use audit::{Audit, Conditions, Export, Period, Search, Tail, Verify};
pub(crate) use connections::{Approve, List, Login, One, Register, Remove, Test};
pub(crate) use files::{Ca, Import, Policy, Providers};
pub(crate) use gateway::{AddKey, Gateway, GatewayKey, KeyKind, Trust};
pub(crate) use running::{Env, Explain, Open, Run, Up};

/// What scripts may rely on; `nexus run` has codes of its own.
const EXIT_CODES: &str = "\
Exit codes:
  0      done
  1      failed; stderr says why, and what to do
  2      misused
  3      `nexus audit verify`: the log is not as it was written
  130    `nexus login` was interrupted
  `nexus run` exits with the code of its command, or with
  125    it could not be shut out of the home folder
  126    it can't be run
  127    there is no such command
  128+N  signal N ended it

Data goes to stdout, all else to stderr. Colours only on a terminal;
NO_COLOR and CLICOLOR_FORCE are honoured. NEXUS_LOG=debug logs more
(error, warn, info, debug, trace; or by part: nexus::upstream=debug).";

/// Over the options that every command has.
const EVERYWHERE: &str = "Options of every command";

/// Holds credentials so that programs don't: a forward proxy that injects auth by host name.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, max_term_width = 100, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The home folder [env: NEXUS_HOME] [default: ~/.nexus]
    #[arg(long, global = true, value_name = "FOLDER", help_heading = EVERYWHERE)]
    pub(crate) home: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN", help_heading = EVERYWHERE)]
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
    /// Run the proxy in the foreground; SIGHUP reloads, SIGTERM drains
    Up(Up),
    /// Open the page on which all egress is seen: a link that works once
    Open(Open),
    /// Run a command with the proxy, without credentials, shut out of the home folder
    Run(Run),
    /// Print the environment that leads programs through the proxy
    Env(Env),
    /// Store a credential
    Register(Register),
    /// Connect an account by consenting in a browser, or with a code on another device
    Login(Login),
    /// List the connections
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one connection, without its secrets
    Show(One),
    /// Send one harmless request with a connection, through the proxy, and say what the service answers
    Test(Test),
    /// Show what requests were refused for until you act
    Attention,
    /// Let a request go on that waits for your word, or an agent use the account that it logged in to by itself
    Approve(Approve),
    /// Show requests that wait for your word, and what you have let on for a time
    Approvals(Approvals),
    /// Remove a connection, and end its tokens at the service where that can be asked to
    #[command(visible_alias = "rm")]
    Remove(Remove),
    /// Tell what would become of a request; nothing is sent
    Explain(Explain),
    /// The identities of callers
    #[command(subcommand)]
    Agent(Agent),
    /// The gateway: who may ask it
    #[command(subcommand)]
    Gateway(Gateway),
    /// The log of every request that left
    #[command(subcommand)]
    Audit(Audit),
    /// The rules about who may do what
    #[command(subcommand)]
    Policy(Policy),
    /// The catalogue of services
    #[command(subcommand)]
    Providers(Providers),
    /// The certificate authority
    #[command(subcommand)]
    Ca(Ca),
    /// Take over credentials that another program stored
    #[command(subcommand)]
    Import(Import),
    /// Health of proxy, vault, certificate authority, clock and audit log
    Status,
    /// Print completions for a shell: `source <(nexus completions bash)`
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command
    Man {
        /// Write `nexus.1`, `nexus-run.1` and the others into this folder
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}
