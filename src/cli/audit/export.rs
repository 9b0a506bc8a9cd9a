//! `nexus audit export`: the log in a form that other tools read.

use nexus::audit::Export;

use super::super::arguments;
use super::super::context::Context;
use super::super::terminal::Terminal;

/// What is written at once.
const CHUNK: usize = 64 * 1024;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &arguments::Export) -> anyhow::Result<()> {
    let arguments::Period { since, until } = options.period;
    let mut export = Export::open(&context.home.audit(), options.format.into(), since, until)?;
    let mut held = String::new();
    while let Some(piece) = export.next_piece()? {
        held.push_str(&piece);
        if held.len() > CHUNK && !terminal.more_data(&std::mem::take(&mut held))? {
            return Ok(());
        }
    }
    terminal.data(&held)
}
