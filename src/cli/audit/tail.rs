//! `nexus audit tail`: the log, told to people line by line, or as it is.

use std::io::IsTerminal as _;
use std::time::Duration;

use nexus::audit::{Since, Tail, describe};

use super::super::arguments;
use super::super::context::Context;
use super::super::terminal::Terminal;
use super::told;

/// How long one wait for a new line takes; then the next begins.
const WAIT: Duration = Duration::from_secs(1);

pub(super) fn run(context: &Context, terminal: &Terminal, options: &arguments::Tail) -> anyhow::Result<()> {
    let mut tail = Tail::open(&context.home.audit(), Since::Last(options.lines))?;
    let patience = if options.follow { WAIT } else { Duration::ZERO };
    let mut any = false;
    if !terminal.json && std::io::stdout().is_terminal() {
        terminal.say(&told::header());
    }
    loop {
        match tail.next_line(patience)? {
            Some(line) => {
                any = true;
                let text = if terminal.json { Some(line) } else { describe(&line).map(|summary| told::line(&summary)) };
                if let Some(text) = text
                    && !terminal.more_data(&format!("{text}\n"))?
                {
                    return Ok(());
                }
            }
            None if options.follow => {}
            None => break,
        }
    }
    if !any && !terminal.json && options.lines > 0 {
        terminal.hint("nothing is logged yet; `nexus up` or `nexus run` writes the log");
    }
    Ok(())
}
