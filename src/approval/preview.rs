//! `View`: the beginning of a body as a person is shown it: bounded, without what could be a credential, and without anything that a
//! terminal or a page would obey.

use percent_encoding::percent_decode_str;

use self::mask::{is_secret_name, words};

mod mask;

/// How much is shown.
const SHOWN: usize = 2 * 1024;
/// How much is looked at for it: what is masked takes less room than it took.
pub(crate) const READ: usize = 16 * 1024;
const MASK: &str = "***";

/// What is shown, or why nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) text: Option<String>,
    /// There is more.
    pub(crate) cut: bool,
    pub(crate) note: Option<&'static str>,
    /// It is a form's fields, one a line, and not the text itself.
    pub(crate) decoded: bool,
}

impl View {
    /// Nothing, for this reason.
    pub(crate) fn none(note: &'static str) -> Self {
        Self { text: None, cut: false, note: Some(note), decoded: false }
    }

    /// Of a body of this type that begins with `body`, which is all of it if `whole`.
    pub(crate) fn of(kind: Option<&str>, body: &[u8], whole: bool) -> Self {
        if body.is_empty() {
            return Self::none(if whole { "it is empty" } else { "nothing of it has come yet" });
        }
        let read = body.get(..READ).unwrap_or(body);
        let whole = whole && read.len() == body.len();
        let text = match std::str::from_utf8(read) {
            Ok(text) => text,
            // A letter that the cut went through.
            Err(error) if error.error_len().is_none() && !whole => {
                read.get(..error.valid_up_to()).and_then(|read| std::str::from_utf8(read).ok()).unwrap_or_default()
            }
            Err(_binary) => return Self::none("it is not text"),
        };
        let is = |word: &str| kind.is_some_and(|kind| kind.to_ascii_lowercase().contains(word));
        let (masked, decoded) = match text.trim_start().as_bytes().first() {
            Some(b'{' | b'[') => (json(text), false),
            _ if is("x-www-form-urlencoded") => (form(text), true),
            _ => (words(text), false),
        };
        let (text, cut) = plain(&masked, SHOWN);
        Self { text: Some(text), cut: cut || !whole, note: None, decoded }
    }
}

/// Letters, digits and ASCII as they are; all else by its number, so that nothing moves a cursor, turns a line around or hides.
pub(super) fn plain(text: &str, limit: usize) -> (String, bool) {
    let mut out = String::new();
    for letter in text.chars() {
        let before = out.len();
        match letter {
            ' '..='~' | '\n' => out.push(letter),
            _ if !letter.is_ascii() && letter.is_alphanumeric() => out.push(letter),
            _ => out.extend(letter.escape_unicode()),
        }
        if out.len() > limit {
            out.truncate(before);
            return (out, true);
        }
    }
    (out, false)
}

/// The value of a header field.
pub(super) fn field(name: &str, value: &str) -> String {
    if is_secret_name(name) { MASK.to_owned() } else { words(value) }
}

/// Pairs of a form as the service reads them, one a line; an end of a line inside of one is told as such, and so is a `=` in a name.
fn form(text: &str) -> String {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().replace('\n', "\\n");
    let pairs = text.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        let value = if is_secret_name(&name) { MASK.to_owned() } else { words(&value) };
        format!("{} = {value}", words(&name).replace('=', "\\u{3d}"))
    });
    pairs.collect::<Vec<_>>().join("\n")
}

/// JSON as it was sent, letter for letter but for what is masked: a member that is there twice is shown twice. It need not be whole.
fn json(text: &str) -> String {
    let mut scan = Scan { out: String::new(), depth: 0, secret_from: None, named_secret: false };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            _ if is_scalar(first) => rest.find(|letter| !is_scalar(letter)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match first {
            '"' if after.trim_start().starts_with(':') => scan.name(token),
            '"' => scan.value(token, true),
            _ if is_scalar(first) => scan.value(token, false),
            _ => scan.mark(first),
        }
        rest = after;
    }
    scan.out
}

/// What numbers and words are made of, in JSON and in what isn't.
fn is_scalar(letter: char) -> bool {
    !letter.is_whitespace() && !matches!(letter, '{' | '}' | '[' | ']' | ',' | ':' | '"')
}

/// Of the string that `text` begins with, quotes and all; one without an end is as long as the text.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

struct Scan {
    out: String,
    depth: usize,
    /// All from this depth on belongs to a member that is called a secret.
    secret_from: Option<usize>,
    /// The last name was that of a secret, and its value has not come.
    named_secret: bool,
}

impl Scan {
    fn name(&mut self, token: &str) {
        let name = serde_json::from_str::<String>(token).unwrap_or_else(|_odd| token.to_owned());
        self.named_secret = is_secret_name(&name);
        self.out.push_str(&words(token));
    }

    fn value(&mut self, token: &str, quoted: bool) {
        let hidden = std::mem::take(&mut self.named_secret) || self.secret_from.is_some();
        match (hidden, quoted) {
            (true, _) if matches!(token, "true" | "false" | "null") => self.out.push_str(token),
            (true, true) => self.out.push_str("\"***\""),
            (true, false) => self.out.push_str(MASK),
            (false, _) => self.out.push_str(&unescaped(token)),
        }
    }

    fn mark(&mut self, mark: char) {
        match mark {
            '{' | '[' => {
                self.depth += 1;
                if std::mem::take(&mut self.named_secret) {
                    self.secret_from.get_or_insert(self.depth);
                }
            }
            '}' | ']' => {
                if self.secret_from == Some(self.depth) {
                    self.secret_from = None;
                }
                self.depth = self.depth.saturating_sub(1);
            }
            ',' => self.named_secret = false,
            _ => {}
        }
        self.out.push(mark);
    }
}

/// A value whose letters are written as their numbers is shown by the letters; then it is masked, and written as JSON again.
fn unescaped(token: &str) -> String {
    match serde_json::from_str::<String>(token) {
        Ok(text) if token.contains('\\') => serde_json::Value::from(words(&text)).to_string(),
        _ => words(token),
    }
}

#[cfg(test)]
#[path = "preview_tests.rs"]
mod tests;
