//! The commands. Floor 5: one file each, and nothing here speaks HTTP.

pub(crate) mod env;
pub(crate) mod run;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "nexus")]
struct Arguments {
    /// `host:port` of the proxy.
    #[arg(long, global = true, default_value = "127.0.0.1:8091")]
    proxy: String,
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    Env {
        #[arg(long, value_enum, default_value = "sh")]
        format: env::Format,
    },
    Run {
        #[arg(long)]
        clean: bool,
        #[arg(long)]
        keep: Vec<String>,
        #[arg(long, value_enum, default_value = "auto")]
        confine: run::Confine,
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<OsString>,
    },
}

pub(crate) fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let home = PathBuf::from(std::env::var_os("NEXUS_HOME").unwrap_or_default());
    let inputs = env::Inputs {
        proxy: arguments.proxy.clone(),
        java_proxy: None,
        agent: None,
        bundle: home.join("ca-bundle.pem"),
        ca: home.join("ca.pem"),
        helpers: home.join("env"),
        no_proxy_extra: Vec::new(),
        placeholders: Vec::new(),
        inherited: &|name| std::env::var(name).ok(),
    };
    match arguments.command {
        Action::Env { format } => {
            env::write_helpers(&inputs)?;
            let text = env::render(&env::variables(&inputs), format)?;
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Run { clean, keep, confine, command } => {
            let mut command = command.into_iter();
            let job = run::Job {
                inputs,
                home,
                command: command.next().unwrap_or_default(),
                args: command.collect(),
                clean,
                keep,
                credentials: Vec::new(),
                confine,
                warn: &|text| drop(writeln!(std::io::stderr(), "nexus: {text}")),
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let door = run::Door { proxy: arguments.proxy, java_proxy: None, agent: None, guard: () };
            Ok(ExitCode::from(runtime.block_on(run::run(job, async || Ok(door)))?))
        }
    }
}
