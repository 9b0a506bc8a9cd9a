//! A command line that is not understood: one line what is wrong, one what to type. Exit code 2.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::arguments::{Arguments, Color};
use super::terminal::Terminal;

/// Says it. Help and version were asked for and go to stdout, with exit code 0.
pub(super) fn told(error: &clap::Error) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked_for || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let written = match error.print() {
            // A reader that left early is no error.
            Err(error) => error.kind() == std::io::ErrorKind::BrokenPipe,
            Ok(()) => true,
        };
        return match (asked_for, written) {
            (true, true) => ExitCode::SUCCESS,
            (true, false) => ExitCode::FAILURE,
            (false, _) => ExitCode::from(2),
        };
    }
    let text = error.to_string();
    let (message, tips) = split(&text);
    let terminal = Terminal::new(false, Color::Auto);
    terminal.error(&message);
    for tip in tips.into_iter().chain([format!("run `{} --help`", command(std::env::args().skip(1)))]) {
        terminal.hint(&tip);
    }
    ExitCode::from(2)
}

/// The command that was meant, as far as its words are known.
fn command(words: impl Iterator<Item = String>) -> String {
    let mut known = Arguments::command();
    let mut path = "nexus".to_owned();
    for word in words {
        let Some(next) = known.find_subcommand(&word).cloned() else { break };
        path = format!("{path} {}", next.get_name());
        known = next;
    }
    path
}

/// The message in one line, and the tips.
fn split(text: &str) -> (String, Vec<String>) {
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.trim_start_matches("error: ").split_whitespace().collect();
    let tips = text.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).map(str::to_owned);
    (words.join(" "), tips.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_one_line_and_its_tips() {
        let text = "error: the following required arguments were not provided:\n  <PROVIDER>\n\n  tip: try 'x'\n\nUsage: nexus register <PROVIDER>\n";
        let (message, tips) = split(text);
        assert_eq!(message, "the following required arguments were not provided: <PROVIDER>");
        assert_eq!(tips, ["try 'x'"]);
        let command = |words: &[&str]| command(words.iter().map(ToString::to_string));
        assert_eq!(command(&["agent", "ad"]), "nexus agent");
        assert_eq!((command(&["rm", "x"]), command(&["--json", "list"])), ("nexus remove".to_owned(), "nexus".to_owned()));
    }
}
