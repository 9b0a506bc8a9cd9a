//! `nexus audit tail`: the log, told to people line by line, or as it is.

use std::io::IsTerminal as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use nexus::audit::{Since, Summary, Tail, describe};

use super::super::arguments;
use super::super::context::Context;
use super::super::terminal::{BOLD, Terminal};

/// The widths of the columns before what happened; a longer word pushes the rest aside.
const TIME: usize = 20;
const EVENT: usize = 7;
const AGENT: usize = 18;
const DIM: Style = Style::new().dimmed();
/// How long one wait for a new line takes; then the next begins.
const WAIT: Duration = Duration::from_secs(1);

pub(super) fn run(context: &Context, terminal: &Terminal, options: &arguments::Tail) -> anyhow::Result<()> {
    let mut tail = Tail::open(&context.home.audit(), Since::Last(options.lines))?;
    let patience = if options.follow { WAIT } else { Duration::ZERO };
    let mut any = false;
    if !terminal.json && std::io::stdout().is_terminal() {
        terminal.say(&format!("{BOLD}{:TIME$} {:EVENT$} {:AGENT$} What{BOLD:#}", "Time", "Event", "Agent"));
    }
    loop {
        match tail.next_line(patience)? {
            Some(line) => {
                any = true;
                let text = if terminal.json { Some(line) } else { describe(&line).map(|summary| told(&summary)) };
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

/// One event in one line; [`Summary`] holds plain ASCII only.
fn told(summary: &Summary) -> String {
    let mut line = String::new();
    if let Some(verdict) = &summary.verdict {
        let style = verdict_style(verdict);
        line.push_str(&format!(" {style}{verdict}{style:#}"));
    }
    if let Some(connection) = &summary.connection {
        line.push_str(&format!(" {connection}"));
    }
    if let Some(host) = &summary.host {
        let method = summary.method.as_deref().map(|method| format!("{method} ")).unwrap_or_default();
        line.push_str(&format!(" {method}{host}{}", summary.path.as_deref().unwrap_or_default()));
    }
    if let Some(status) = summary.status {
        let style = status_style(status);
        line.push_str(&format!(" {style}{status}{style:#}"));
    }
    if let Some(duration) = summary.duration {
        line.push_str(&format!(" {DIM}{:.1}ms{DIM:#}", duration.as_secs_f64() * 1000.0));
    }
    for note in &summary.notes {
        line.push_str(&format!(" [{note}]"));
    }
    let event = event_style(&summary.event);
    let time = format!("{DIM}{}{DIM:#}", to_the_second(&summary.time));
    let agent = summary.agent.as_deref().filter(|name| !name.is_empty());
    if line.is_empty() && agent.is_none() {
        return format!("{time} {event}{}{event:#}", summary.event);
    }
    format!("{time} {event}{:EVENT$}{event:#} {:AGENT$}{line}", summary.event, agent.unwrap_or("-"))
}

/// `--json` has the rest.
fn to_the_second(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(whole, _)| format!("{whole}Z"))
}

fn event_style(event: &str) -> Style {
    match event {
        "refuse" | "tunnel_refuse" | "lost" | "torn" => AnsiColor::Red.on_default(),
        "open" | "tunnel_open" => DIM,
        _ => Style::new(),
    }
}

fn verdict_style(verdict: &str) -> Style {
    match verdict {
        "inject" => AnsiColor::Green.on_default(),
        "refuse" => AnsiColor::Red.on_default(),
        _ => Style::new(),
    }
}

fn status_style(status: u16) -> Style {
    match status {
        200..=299 => AnsiColor::Green.on_default(),
        400..=499 => AnsiColor::Yellow.on_default(),
        500.. => AnsiColor::Red.on_default(),
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(line: &str) -> String {
        anstream::adapter::strip_str(&told(&describe(line).unwrap())).to_string()
    }

    #[test]
    fn lines_are_aligned_name_nobody_as_a_dash_and_end_without_blanks() {
        let refused = r#"{"event":"refuse","time":"2026-11-22T00:50:05.152907Z","agent":"","verdict":"refuse","refusal":"policy","status":403,"host":"a.test","notes":["unmatched"]}"#;
        assert_eq!(plain(refused), "2026-11-22T00:50:05Z refuse  -                  refuse a.test 403 [policy] [unmatched]");
        assert_eq!(plain(r#"{"event":"stop","time":"2026-11-22T00:50:05.1Z"}"#), "2026-11-22T00:50:05Z stop");
        let by = plain(r#"{"event":"close","time":"2026-11-22T00:50:05.1Z","agent":"ci","verdict":"pass","host":"a.test"}"#);
        assert_eq!(by, "2026-11-22T00:50:05Z close   ci                 pass a.test");
    }
}
