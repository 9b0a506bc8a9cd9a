//! A command line that is not understood: one line what is wrong, one what to type. Exit code 2.

use std::process::ExitCode;

use clap::error::ErrorKind;

use super::arguments::Color;
use super::terminal::Terminal;

/// Says it. Help and version were asked for and go to stdout, with exit code 0.
pub(super) fn told(error: &clap::Error) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked_for || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A reader that left early is no error.
        error.print().ok();
        return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    let text = error.to_string();
    let (message, tips) = split(&text);
    let terminal = Terminal::new(false, Color::Auto);
    terminal.error(&message);
    for tip in tips.into_iter().chain([format!("run `{} --help`", command(&text))]) {
        terminal.hint(&tip);
    }
    ExitCode::from(2)
}

/// The command that was meant, as far as it was understood: what stands before the first option or argument in its usage.
fn command(text: &str) -> String {
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or("nexus");
    let plain = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    usage.split_whitespace().take_while(plain).collect::<Vec<_>>().join(" ")
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
        assert_eq!((command(text).as_str(), command("")), ("nexus register", "nexus".to_owned()));
    }
}
