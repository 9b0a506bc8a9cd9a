//! Options of `nexus approvals`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Approvals {
    /// Show each as it comes, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(subcommand)]
    pub(crate) action: Option<ApprovalsAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsAction {
    /// Show all that is known of one request
    Show {
        /// As the list names it
        id: String,
    },
    /// End what an answer has let on for a time
    Revoke {
        /// As the list names it
        id: String,
    },
}
