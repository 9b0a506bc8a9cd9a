//! `nexus audit export`: the log, or what a search finds in it, in a form that other tools read.

use std::time::SystemTime;

use nexus::audit::{Error, Export, FoundExport};

use super::super::arguments::{self, Conditions, Period};
use super::super::context::Context;
use super::super::terminal::Terminal;
use super::search::conditions;

/// What is written at once.
const CHUNK: usize = 64 * 1024;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &arguments::Export) -> anyhow::Result<()> {
    let (folder, format) = (context.home.audit(), options.format.into());
    if is_a_search(&options.conditions) {
        let mut found = FoundExport::new(&folder, format, conditions(context, &options.conditions)?, SystemTime::now());
        return write(terminal, || found.next_piece());
    }
    let Period { since, until } = options.conditions.period;
    let mut export = Export::open(&folder, format, since, until)?;
    write(terminal, || export.next_piece())
}

/// Whether more than a time is said; a time alone needs no index.
fn is_a_search(conditions: &Conditions) -> bool {
    let Conditions { agent, user, lease, host, provider, verdict, status, rule, text, period: Period { .. } } = conditions;
    let texts = [agent, lease, host, provider, rule, text];
    user.is_some() || verdict.is_some() || status.is_some() || texts.iter().any(|text| text.is_some())
}

fn write(terminal: &Terminal, mut next: impl FnMut() -> Result<Option<String>, Error>) -> anyhow::Result<()> {
    let mut held = String::new();
    while let Some(piece) = next()? {
        held.push_str(&piece);
        if held.len() > CHUNK && !terminal.more_data(&std::mem::take(&mut held))? {
            return Ok(());
        }
    }
    terminal.data(&held)
}
