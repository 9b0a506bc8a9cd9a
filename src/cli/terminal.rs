//! Every printed word: stdout is data, stderr is talk. Colours only on a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};

use super::arguments::Color;
use super::context::Hint;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// How this command talks.
pub(crate) struct Terminal {
    pub(crate) json: bool,
    choice: anstream::ColorChoice,
}

impl Terminal {
    pub(crate) fn new(json: bool, color: Color) -> Self {
        let choice = match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        Self { json, choice }
    }

    /// Writes data. A reader that left early (`| head`) is no error.
    pub(crate) fn data(&self, text: &str) -> anyhow::Result<()> {
        let mut out = anstream::AutoStream::new(std::io::stdout().lock(), self.choice);
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Writes `value` as JSON, or `text` to people.
    pub(crate) fn either(&self, value: &serde_json::Value, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        if self.json { self.data(&format!("{}\n", serde_json::to_string_pretty(value)?)) } else { self.data(&text()) }
    }

    /// Says one line.
    pub(crate) fn say(&self, text: &str) {
        self.talk(&format!("{text}\n"));
    }

    pub(crate) fn warn(&self, text: &str) {
        self.talk(&format!("nexus: {WARNING}warning:{WARNING:#} {text}\n"));
    }

    pub(crate) fn hint(&self, text: &str) {
        self.talk(&format!("nexus: {HINT}hint:{HINT:#} {text}\n"));
    }

    /// Says what failed and why, and what to type next. Exit code 1.
    pub(crate) fn failed(&self, error: &anyhow::Error) -> ExitCode {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        self.talk(&format!("nexus: {ERROR}error:{ERROR:#} {}\n", causes.join(": ")));
        if let Some(hint) = error.chain().find_map(|cause| cause.downcast_ref::<Hint>()) {
            self.hint(&format!("run `{}`", hint.command));
        }
        ExitCode::FAILURE
    }

    /// A plain table, its head in bold where colours are.
    pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head.to_vec());
        table.add_rows(rows);
        let lines = table.lines().map(|line| line.trim().to_owned());
        lines.fold(String::new(), |text, line| text + &line + "\n")
    }

    /// Whether a person can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks for a secret without echo.
    pub(crate) fn ask_secret(&self, prompt: &str) -> anyhow::Result<String> {
        Ok(rpassword::prompt_password(format!("{prompt}: "))?)
    }

    /// Asks for a plain value.
    pub(crate) fn ask(&self, prompt: &str) -> anyhow::Result<String> {
        self.talk(&format!("{prompt}: "));
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn talk(&self, text: &str) {
        let mut err = anstream::AutoStream::new(std::io::stderr().lock(), self.choice);
        // Where stderr is closed there is nobody to talk to.
        drop(err.write_all(text.as_bytes()));
    }
}
