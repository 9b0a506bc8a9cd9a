//! The log.

use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use nexus::audit::{Format, Head, PublicKey, StatusRange};
use nexus::model::UserName;

use super::super::when;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Show the last lines of the log; with -f, what comes next too
    Tail(Tail),
    /// Find requests by who, where, what became of them and when; the newest come last
    Search(Search),
    /// Hand the log over, or what a search finds: its own lines, CSV, OCSF HTTP Activity or OTLP log records
    Export(Export),
    /// Prove that the log is as it was written; exit code 3 names the first line that isn't
    Verify(Verify),
    /// Print the public key that proves its heads
    Key {
        /// As a PEM file for other programs
        #[arg(long)]
        pem: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// At most so many, the newest; 0 = all
    #[arg(long, short = 'n', default_value_t = 100, value_name = "COUNT")]
    pub(crate) limit: usize,
}

/// Which requests.
#[derive(Debug, Args)]
pub(crate) struct Conditions {
    /// Who asked
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// The agents that are this user's now
    #[arg(long)]
    pub(crate) user: Option<UserName>,
    /// By which of its leases, by the lease's id
    #[arg(long, value_name = "ID")]
    pub(crate) lease: Option<String>,
    /// The host; `*.example.com` for all names below it
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Whose credential
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// What was decided
    #[arg(long)]
    pub(crate) verdict: Option<Verdict>,
    /// What the caller was answered: 403, or 5xx for all of a class
    #[arg(long)]
    pub(crate) status: Option<StatusRange>,
    /// The rule of the policy that the record names; of what the other conditions leave, first lines are read for it
    #[arg(long, value_name = "NAME")]
    pub(crate) rule: Option<String>,
    /// A text in any value of the last line; what the other conditions leave is read line by line
    #[arg(long)]
    pub(crate) text: Option<String>,
    #[command(flatten)]
    pub(crate) period: Period,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// In which form; all but `jsonl` tell each request once, after its end
    #[arg(long, default_value = "jsonl")]
    pub(crate) format: ExportFormat,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
}

/// The forms of `nexus audit export`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The log's own lines, which `nexus audit verify` proves
    Jsonl,
    /// Comma-separated values (RFC 4180)
    Csv,
    /// OCSF 1.6.0 HTTP Activity, one object a line
    Ocsf,
    /// OpenTelemetry log records in OTLP's JSON encoding
    Otlp,
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Jsonl => Self::Lines,
            ExportFormat::Csv => Self::Csv,
            ExportFormat::Ocsf => Self::Ocsf,
            ExportFormat::Otlp => Self::Otlp,
        }
    }
}

/// From when to when.
#[derive(Debug, Args)]
pub(crate) struct Period {
    /// From then on: `7d` ago, `12h`, seconds, or RFC 3339
    #[arg(long, value_name = "WHEN", value_parser = when::ago)]
    pub(crate) since: Option<SystemTime>,
    /// Until then, said as --since
    #[arg(long, value_name = "WHEN", value_parser = when::ago)]
    pub(crate) until: Option<SystemTime>,
}

/// As the log spells it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Verdict {
    /// Forwarded with a stored credential
    Inject,
    /// Forwarded without one
    Pass,
    /// Bytes both ways, unread
    Tunnel,
    /// A CONNECT that was opened
    Intercept,
    /// Answered by Nexus with what was asked for
    Answer,
    /// Answered by Nexus with why not
    Refuse,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inject => "inject",
            Self::Pass => "pass",
            Self::Tunnel => "tunnel",
            Self::Intercept => "intercept",
            Self::Answer => "answer",
            Self::Refuse => "refuse",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A head that was noted elsewhere, NUMBER:HASH: shows whether anything up to it was cut
    #[arg(long, value_name = "HEAD")]
    pub(crate) head: Option<Head>,
    /// A key that signed heads, as `nexus audit key` prints it, in place of this home's; can be repeated
    #[arg(long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<PublicKey>,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Wait for more
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many lines to begin with
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    pub(crate) lines: usize,
}
