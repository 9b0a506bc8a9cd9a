//! The commands. Floor 5: one file each; `terminal.rs` owns every printed word.

mod advice;
mod agent;
mod approvals;
mod approve;
mod arguments;
mod attention;
mod audit;
mod browser;
mod ca;
mod conceal;
mod context;
mod control;
mod doors;
mod env;
mod explain;
mod flood;
mod gateway;
mod gateway_key;
mod import;
mod init;
mod lease;
mod list;
mod login;
mod manual;
mod node;
mod open;
mod policy;
mod print;
mod process;
mod providers;
mod register;
mod remote;
mod remove;
pub(crate) mod run;
mod standing;
mod status;
mod surroundings;
mod taken;
mod terminal;
mod test;
mod trust;
mod unseen;
mod up;
mod usage;
mod when;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use context::Context;
use terminal::Terminal;

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage::told(&error),
    };
    let terminal = Terminal::new(arguments.json, arguments.color);
    process::leave_no_core(&terminal);
    let context = match Context::new(arguments.home.clone()) {
        Ok(context) => context,
        Err(error) => return terminal.failed(&error),
    };
    match dispatch(arguments.command, &context, &terminal) {
        Ok(code) => code,
        Err(error) => terminal.failed(&error),
    }
}

fn dispatch(command: Command, context: &Context, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Run(options) => return doors::run(context, terminal, options),
        Command::Login(options) => return login::run(context, terminal, &options),
        Command::Test(options) => return test::run(context, terminal, &options),
        Command::Audit(action) => return audit::run(context, terminal, &action),
        Command::Status => return status::run(context, terminal),
        Command::Init => init::run(context, terminal),
        Command::Open(options) => open::run(context, terminal, &options),
        Command::Up(options) => up::run(context, terminal, &options),
        Command::Env(options) => print::run(context, terminal, &options),
        Command::Register(options) => register::run(context, terminal, &options),
        Command::List(options) => list::list(context, terminal, &options),
        Command::Show(options) => list::show(context, terminal, &options),
        Command::Attention => attention::run(context, terminal),
        Command::Approve(options) => approve::run(context, terminal, &options),
        Command::Approvals(options) => approvals::run(context, terminal, &options),
        Command::Remove(options) => remove::run(context, terminal, &options),
        Command::Policy(action) => return policy::run(context, terminal, &action),
        Command::Explain(options) => explain::run(context, terminal, &options),
        Command::Agent(action) => agent::run(context, terminal, &action),
        Command::Gateway(arguments::Gateway::Key(action)) => gateway_key::run(context, terminal, &action),
        Command::Gateway(arguments::Gateway::Trust(options)) => trust::run(context, terminal, &options),
        Command::Providers(action) => providers::run(context, terminal, &action),
        Command::Ca(action) => ca::run(context, terminal, &action),
        Command::Import(arguments::Import::Jarviscore { folder, force }) => import::run(context, terminal, folder, force),
        Command::Completions { shell } => manual::completions(terminal, shell),
        Command::Man { dir } => manual::pages(terminal, dir.as_deref()),
    };
    done.map(|()| ExitCode::SUCCESS)
}
