//! Every printed word: stdout is data, stderr is talk. Colours only on a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::advice::advice;
use super::arguments::Color;
use super::unseen::Unseen;

/// Between two columns.
const GAP: u16 = 2;

/// For what is named.
pub(crate) const BOLD: Style = Style::new().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The seed's fallback where nobody set a secret.
pub(crate) const WEAK_SECRET: &str =
    "NEXUS_SECRET is not set: the vault is sealed with this machine's hardware address, which is easy to guess";

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
        self.more_data(text).map(|_still_read| ())
    }

    /// As [`Terminal::data`]; says whether anybody still reads.
    pub(crate) fn more_data(&self, text: &str) -> anyhow::Result<bool> {
        let mut out = anstream::AutoStream::new(std::io::stdout().lock(), self.choice);
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
            written => Ok(written.map(|()| true).context("cannot write to standard output")?),
        }
    }

    /// Whether what is said on stderr has colours.
    pub(crate) fn coloured_talk(&self) -> bool {
        let stream = anstream::AutoStream::new(std::io::stderr(), self.choice);
        stream.current_choice() != anstream::ColorChoice::Never
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

    pub(crate) fn error(&self, text: &str) {
        self.talk(&format!("nexus: {ERROR}error:{ERROR:#} {text}\n"));
    }

    /// Says what failed and why, and what to type next. Exit code 1.
    pub(crate) fn failed(&self, error: &anyhow::Error) -> ExitCode {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        self.error(causes.join(": ").trim_end());
        if let Some(advice) = advice(error) {
            self.hint(&advice);
        }
        ExitCode::FAILURE
    }

    /// A plain table, its head in bold where colours are. On a terminal its cells are as narrow as they must be.
    pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(head.to_vec());
        let widest = widest_words(head, &rows);
        table.add_rows(rows);
        columns(&mut table, &widest);
        let mut lines = table.lines().map(|line| line.trim_end().to_owned());
        let first = lines.next().unwrap_or_default();
        lines.fold(format!("{BOLD}{first}{BOLD:#}\n"), |text, line| text + &line + "\n")
    }

    /// Names and what they are, one pair a line.
    pub(crate) fn pairs(rows: &[(&str, String)]) -> String {
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        rows.iter().fold(String::new(), |text, (name, value)| {
            let value = value.replace('\n', &format!("\n{:width$}  ", ""));
            format!("{text}{BOLD}{name:width$}{BOLD:#}  {value}\n")
        })
    }

    /// Whether a person can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// How many columns what is said on stderr has; `None` where nobody looks at it as it comes.
    pub(crate) fn columns(&self) -> Option<usize> {
        let width = || rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| size.ws_col.into());
        std::io::stderr().is_terminal().then(width)
    }

    /// Asks for a secret without echo.
    pub(crate) fn ask_secret(&self, prompt: &str) -> anyhow::Result<String> {
        // Echo is off before the prompt appears: what is typed at once is not shown either.
        let unseen = Unseen::begin();
        self.talk(&format!("{prompt}: "));
        let text = unseen.line();
        self.talk("\n");
        text
    }

    /// Asks a question that is answered by yes or no.
    pub(crate) fn confirm(&self, question: &str) -> anyhow::Result<bool> {
        let answer = self.ask(&format!("{question} [y/N]"))?;
        Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a plain value.
    pub(crate) fn ask(&self, prompt: &str) -> anyhow::Result<String> {
        self.talk(&format!("{prompt}: "));
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Says text that has line ends and styles of its own.
    pub(crate) fn talk(&self, text: &str) {
        let mut err = anstream::AutoStream::new(std::io::stderr().lock(), self.choice);
        // Where stderr is closed there is nobody to talk to.
        drop(err.write_all(text.as_bytes()));
    }
}

/// No frame: columns begin at the margin and stand two blanks apart. None gets so narrow that a word is cut.
fn columns(table: &mut Table, widest_words: &[usize]) {
    for (column, word) in table.column_iter_mut().zip(widest_words) {
        let least = u16::try_from(word.saturating_add(GAP.into())).unwrap_or(u16::MAX);
        column.set_padding((0, GAP)).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
    }
}

/// The length of the longest word in each column.
fn widest_words(head: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |text: &str| text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or_default();
    let cells =
        |column: usize| rows.iter().filter_map(move |row| row.get(column)).map(|cell| widest(cell)).max().unwrap_or_default();
    head.iter().enumerate().map(|(column, title)| widest(title).max(cells(column))).collect()
}
