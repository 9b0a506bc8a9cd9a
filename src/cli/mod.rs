//! The commands. Floor 5: one file each; `terminal.rs` owns every printed word.

mod arguments;
mod conceal;
mod context;
mod env;
mod init;
mod list;
mod register;
pub(crate) mod run;
mod terminal;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use context::Context;
use terminal::Terminal;

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = Terminal::new(arguments.json, arguments.color);
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
        Command::Init => init::run(context, terminal),
        Command::Up(options) => up::run(context, terminal, &options),
        Command::Register(options) => register::run(context, terminal, options),
        Command::List(options) => list::list(context, terminal, &options),
        Command::Show(options) => list::show(context, terminal, &options),
        Command::Remove(options) => list::remove(context, terminal, &options),
    };
    done.map(|()| ExitCode::SUCCESS)
}
