//! The command line, as clap reads it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nexus::audit::Format as AuditFormat;

use super::env::Format;
use super::run::Confine;

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
    /// Let an agent use the account that it logged in to by itself
    Approve(Approve),
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
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) expires: Option<String>,
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
    /// The redirect URI is http://127.0.0.1:PORT/callback; 0 is any port that is free
    #[arg(long, default_value_t = 8093, value_name = "PORT", conflicts_with = "redirect_uri")]
    pub(crate) port: u16,
    /// The redirect URI as it is registered at the service; of one that is not on this machine you paste the address here
    #[arg(long, value_name = "URI")]
    pub(crate) redirect_uri: Option<String>,
    /// How long to wait for the person [default: 10m]
    #[arg(long, value_name = "SPAN")]
    pub(crate) timeout: Option<String>,
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
    /// The connection that waits, such as `github:ci.1`, as `nexus list` names it
    #[arg(value_name = "CONNECTION")]
    pub(crate) provider: String,
    /// The last part of its name, where only the provider is given
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// A field that the log-in did not tell, such as a tenant: `--field site=acme`
    #[arg(long = "field", value_name = "NAME=VALUE")]
    pub(crate) fields: Vec<String>,
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
    /// For this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
}

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
    pub(crate) ca: Option<std::path::PathBuf>,
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
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddKey {
    /// Its name: letters, digits and - . _ ~
    pub(crate) name: String,
    /// What it is good for
    #[arg(long, value_enum)]
    pub(crate) kind: KeyKind,
    /// An app's key sees the connections of this person and those of nobody; without it, everybody's
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// An app's key may use these providers only
    #[arg(long, value_name = "PROVIDER", value_delimiter = ',')]
    pub(crate) providers: Vec<String>,
    /// When its access ends: `30d`, `12h`, seconds, or RFC 3339
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) expires: Option<String>,
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

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Show the last lines of the log; with -f, what comes next too
    Tail(Tail),
    /// Find requests by who, where, what became of them and when; the newest come last
    Search(Search),
    /// Hand the log over: its own lines, CSV, OCSF HTTP Activity or OTLP log records
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
    /// Who asked
    #[arg(long)]
    pub(crate) agent: Option<String>,
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
    pub(crate) status: Option<String>,
    #[command(flatten)]
    pub(crate) period: Period,
    /// At most so many, the newest; 0 = all
    #[arg(long, short = 'n', default_value_t = 100, value_name = "COUNT")]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// In which form; all but `jsonl` tell each request once, after its end
    #[arg(long, default_value = "jsonl")]
    pub(crate) format: ExportFormat,
    #[command(flatten)]
    pub(crate) period: Period,
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

impl From<ExportFormat> for AuditFormat {
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
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Until then, said as --since
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<String>,
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
    pub(crate) head: Option<String>,
    /// A key that signed heads, as `nexus audit key` prints it, in place of this home's; can be repeated
    #[arg(long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
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
        #[arg(long, value_name = "WHEN", default_value = "7d")]
        since: String,
        /// For this agent only
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
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
