//! What lies in the home folder as files: rules, providers, the certificate authority, what another program stored.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Subcommand;
use nexus::model::AgentName;

use super::super::when;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check the rules of nexus.toml and policies/, or of one file, and list them
    Check {
        /// A file of rules
        file: Option<PathBuf>,
    },
    /// Hold a table of requests against the rules; exit code 1 where one is not as expected
    Test {
        /// The table: [[request]] with url, method, agent, content_type, body, at, expect and rule
        file: PathBuf,
    },
    /// Write the least rules that the log would have needed
    Suggest {
        /// From when on: `7d`, `12h`, seconds, or RFC 3339
        #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = when::ago)]
        since: SystemTime,
        /// For this agent only
        #[arg(long, value_name = "NAME")]
        agent: Option<AgentName>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Providers {
    /// List the services that are known
    #[command(visible_alias = "ls")]
    List {
        /// Only those with this in their name, title, category, hosts or variables
        search: Option<String>,
        /// Only this category
        #[arg(long)]
        category: Option<String>,
    },
    /// Show one service: its hosts, how a credential goes on, what registration needs
    Show {
        /// Its name
        name: String,
    },
    /// Check a provider file; a mistake is shown with its line and column
    Check {
        /// The file
        file: PathBuf,
    },
    /// Let the registered credentials of a provider reach the hosts that its file names now
    Trust {
        /// Its name
        name: String,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Show the roots that callers trust
    Show,
    /// Print the root certificates as PEM
    Export {
        /// The system's roots as well: what most clients replace their own by
        #[arg(long)]
        bundle: bool,
    },
    /// Change to a new root: the first call makes it known, one after the overlap lets it sign
    Rotate {
        /// Let the new root sign now
        #[arg(long)]
        finish: bool,
        /// End the overlap: roots that signed before are not trusted any more
        #[arg(long, conflicts_with = "finish")]
        drop_old: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// What JarvisCore stored; its secret comes from NEXUS_SECRET or a prompt
    Jarviscore {
        /// Its folder (~/.jarviscore)
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
        /// Replace connections that are there already
        #[arg(long)]
        force: bool,
    },
}
