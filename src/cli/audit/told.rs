//! One event in one line, for people: in columns, coloured by what became of it.

use anstyle::{AnsiColor, Style};
use nexus::audit::Summary;

use super::super::terminal::BOLD;

/// The widths of the columns before what happened; a longer word pushes the rest aside.
const TIME: usize = 20;
const EVENT: usize = 7;
const AGENT: usize = 18;
const DIM: Style = Style::new().dimmed();

/// The names of the columns.
pub(super) fn header() -> String {
    format!("{BOLD}{:TIME$} {:EVENT$} {:AGENT$} What{BOLD:#}", "Time", "Event", "Agent")
}

/// One event in one line; [`Summary`] holds plain ASCII only.
pub(super) fn line(summary: &Summary) -> String {
    let mut what = String::new();
    if let Some(verdict) = &summary.verdict {
        let style = verdict_style(verdict);
        what.push_str(&format!(" {style}{verdict}{style:#}"));
    }
    if let Some(connection) = &summary.connection {
        what.push_str(&format!(" {connection}"));
    }
    if let Some(host) = &summary.host {
        let method = summary.method.as_deref().map(|method| format!("{method} ")).unwrap_or_default();
        what.push_str(&format!(" {method}{host}{}", summary.path.as_deref().unwrap_or_default()));
    }
    if let Some(status) = summary.status {
        let style = status_style(status);
        what.push_str(&format!(" {style}{status}{style:#}"));
    }
    if let Some(duration) = summary.duration {
        what.push_str(&format!(" {DIM}{:.1}ms{DIM:#}", duration.as_secs_f64() * 1000.0));
    }
    for (name, value) in [("lease", &summary.lease), ("process", &summary.process)] {
        value.iter().for_each(|value| what.push_str(&format!(" {DIM}[{name} {value}]{DIM:#}")));
    }
    for note in &summary.notes {
        what.push_str(&format!(" [{note}]"));
    }
    let event = event_style(&summary.event);
    let time = format!("{DIM}{}{DIM:#}", to_the_second(&summary.time));
    let agent = summary.agent.as_deref().filter(|name| !name.is_empty());
    if what.is_empty() && agent.is_none() {
        return format!("{time} {event}{}{event:#}", summary.event);
    }
    format!("{time} {event}{:EVENT$}{event:#} {:AGENT$}{what}", summary.event, agent.unwrap_or("-"))
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
    use nexus::audit::describe;

    fn plain(line: &str) -> String {
        anstream::adapter::strip_str(&super::line(&describe(line).unwrap())).to_string()
    }

    #[test]
    fn lines_are_aligned_name_nobody_as_a_dash_and_end_without_blanks() {
        let refused = r#"{"event":"refuse","time":"2026-11-22T00:50:05.152907Z","agent":"","verdict":"refuse","refusal":"policy","status":403,"host":"a.test","notes":["unmatched"]}"#;
        assert_eq!(plain(refused), "2026-11-22T00:50:05Z refuse  -                  refuse a.test 403 [policy] [unmatched]");
        assert_eq!(plain(r#"{"event":"stop","time":"2026-11-22T00:50:05.1Z"}"#), "2026-11-22T00:50:05Z stop");
        let by = plain(r#"{"event":"close","time":"2026-11-22T00:50:05.1Z","agent":"ci","verdict":"pass","host":"a.test"}"#);
        let leased = plain(
            r#"{"event":"close","time":"2026-11-22T00:50:05.1Z","agent":"ci","lease":"L1","host":"a.test","process":"uid=7 pid=9"}"#,
        );
        assert_eq!(leased, "2026-11-22T00:50:05Z close   ci                 a.test [lease L1] [process uid=7 pid=9]");
        assert_eq!(by, "2026-11-22T00:50:05Z close   ci                 pass a.test");
    }
}
