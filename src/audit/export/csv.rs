//! Comma-separated values (RFC 4180).

use serde_json::Value;

use super::Account;

/// In this order.
const COLUMNS: [&str; 32] = [
    "time",
    "event",
    "id",
    "agent",
    "source",
    "door",
    "method",
    "scheme",
    "host",
    "port",
    "path",
    "provider",
    "connection",
    "strategy",
    "verdict",
    "refusal",
    "status",
    "dialled",
    "sni",
    "http",
    "upstream_http",
    "bytes_up",
    "bytes_down",
    "duration_us",
    "guard_hits",
    "notes",
    "lease",
    "process",
    "by",
    "rule",
    "name",
    "held_us",
];

/// The names of the columns.
pub(super) fn header() -> String {
    COLUMNS.join(",") + "\r\n"
}

pub(super) fn row(account: &Account) -> String {
    let cells: Vec<String> = COLUMNS.iter().map(|name| cell(account, name)).collect();
    cells.join(",") + "\r\n"
}

fn cell(account: &Account, name: &str) -> String {
    match account.words.get(name) {
        Some(Value::String(text)) => quoted(text),
        Some(Value::Array(_)) => quoted(&account.notes().join(" ")),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Text of the network's, so that neither a reader of CSV nor a spreadsheet takes it for more than text: a cell that begins like a
/// formula has an apostrophe before it, and a control character is shown as its escape.
fn quoted(text: &str) -> String {
    let mut cell = String::with_capacity(text.len() + 2);
    if text.starts_with(['=', '+', '-', '@']) {
        cell.push('\'');
    }
    for letter in text.chars() {
        match letter {
            '"' => cell.push_str("\"\""),
            _ if letter.is_control() => cell.extend(letter.escape_default()),
            _ => cell.push(letter),
        }
    }
    if cell.contains([',', '"', ' ', ';']) { format!("\"{cell}\"") } else { cell }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::{Account, header, quoted, row};

    #[test]
    fn who_did_what_to_whom_has_columns() {
        let line = r#"{"event":"approval","agent":"ci","by":"ann","rule":"writes","time":"t"}"#;
        let account = Account::read(line, SystemTime::UNIX_EPOCH).expect("a line");
        let names = header();
        let cells: Vec<_> = row(&account).trim_end().split(',').map(str::to_owned).collect();
        let cell = |name| names.trim_end().split(',').position(|column| column == name).and_then(|at| cells.get(at).cloned());
        assert_eq!(["agent", "by", "rule", "name"].map(cell), ["ci", "ann", "writes", ""].map(|text| Some(text.to_owned())));
        assert!(names.ends_with("lease,process,by,rule,name,held_us\r\n"), "what is added comes last: {names}");
    }

    #[test]
    fn a_cell_is_text_and_nothing_else() {
        for (text, cell) in [
            ("a", "a"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("@x", "'@x"),
            ("a\r\nb\u{1b}", "a\\r\\nb\\u{1b}"),
            ("", ""),
        ] {
            assert_eq!(quoted(text), cell, "{text:?}");
        }
    }
}
