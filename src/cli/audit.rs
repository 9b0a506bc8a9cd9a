//! `nexus audit`: the log, followed, proven, searched, handed over.

mod export;
mod prove;
mod search;
mod tail;
mod told;

use std::process::ExitCode;

use super::arguments::Audit;
use super::context::Context;
use super::terminal::Terminal;

pub(super) fn run(context: &Context, terminal: &Terminal, action: &Audit) -> anyhow::Result<ExitCode> {
    context.require_home()?;
    match action {
        Audit::Tail(options) => tail::run(context, terminal, options)?,
        Audit::Search(options) => search::run(context, terminal, options)?,
        Audit::Export(options) => export::run(context, terminal, options)?,
        Audit::Verify(options) => return prove::run(context, terminal, options),
        Audit::Key { pem } => prove::key(context, terminal, *pem)?,
    }
    Ok(ExitCode::SUCCESS)
}
