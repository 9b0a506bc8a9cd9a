//! Which words of a text could be credentials: what stands behind a name of one, and what is long and reads like nothing.

use super::MASK;

/// Words that are shorter are shown: no service makes a credential so short.
const LONG: usize = 16;
/// A piece of letters is a word of a language up to this length, one of digits a number.
const WORD: usize = 20;
const NUMBER: usize = 12;

/// Whatever has one of these in its name is a credential.
const SECRET: [&str; 15] = [
    "token",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "passw",
    "passphrase",
    "session",
    "cookie",
    "credential",
    "jwt",
    "signature",
    "authorization",
    "private",
    "webhook",
];
/// And what is called so, or ends so behind a mark.
const SECRET_NAMES: [&str; 8] = ["key", "pwd", "pin", "otp", "sid", "auth", "pass", "code"];
/// What is said before a credential (RFC 9110 §11.1).
const SCHEMES: [&str; 3] = ["bearer", "basic", "digest"];

/// Whether the value of this name is not to be shown.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let last = name.rsplit(['_', '-', '.', ' ', '[']).next().unwrap_or_default();
    SECRET.iter().any(|word| name.contains(word)) || SECRET_NAMES.contains(&last.trim_end_matches(']'))
}

/// `text` with a mask in place of every word that could be a credential.
pub(super) fn words(text: &str) -> String {
    let mut out = String::new();
    let (mut rest, mut hidden) = (text, false);
    while let Some(first) = rest.chars().next() {
        let word = is_inside(first);
        let end = rest.find(|letter| is_inside(letter) != word).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        if !word {
            // A new line begins something new, and so does a comma.
            hidden = hidden && !piece.contains(['\n', ',', ';', '&']);
            out.push_str(piece);
            continue;
        }
        if std::mem::take(&mut hidden) || is_opaque(piece) {
            out.push_str(MASK);
        } else {
            out.push_str(piece);
        }
        let mark = after.trim_start_matches(['"', '\'', '\\', ' ']).chars().next();
        let named = matches!(mark, Some(':' | '=')) && is_secret_name(piece);
        hidden = named || SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(piece));
    }
    out
}

fn is_inside(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/' | '+' | '%' | '~' | '@' | '#' | '$' | '!' | '*' | '?')
}

/// Long, and not made of words and numbers.
fn is_opaque(word: &str) -> bool {
    word.len() >= LONG && !is_time_or_id(word) && !word.split(|letter: char| !letter.is_alphanumeric()).all(reads)
}

fn reads(piece: &str) -> bool {
    if !piece.is_ascii() {
        // The words of other scripts need not be short; no credential is written in them.
        return piece.chars().filter(|letter| !letter.is_ascii()).count() * 2 >= piece.chars().count();
    }
    if piece.bytes().all(|byte| byte.is_ascii_digit()) {
        return piece.len() <= NUMBER;
    }
    let capitals = piece.bytes().filter(u8::is_ascii_uppercase).count();
    let cased = capitals == piece.len() || capitals * 4 <= piece.len() + 2;
    piece.len() <= 3 || (piece.len() < WORD && cased && piece.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

/// `2027-01-15T08:00:00Z` up to its first mark, or a UUID (RFC 9562).
fn is_time_or_id(word: &str) -> bool {
    let date = word.len() <= 20 && word.get(..10).is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok());
    let mark = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let hex = |(at, byte): (usize, u8)| if mark(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    date || (word.len() == 36 && word.bytes().enumerate().all(hex))
}
