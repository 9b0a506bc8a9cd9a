//! The several ways in which a service may read one path.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Escapes within escapes within escapes: more rounds than this are no honest path.
const MAX_DECODE_ROUNDS: usize = 4;

/// Why a path has no one meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `*`, an empty path, or one that could join to a host name.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// `..` beyond the first segment.
    #[error("the path climbs above its root")]
    AboveRoot,
    /// NUL, line ends and their kind, plain or percent-encoded.
    #[error("the path holds a control byte")]
    Control,
    /// A letter of ASCII in more bytes than it has (RFC 3629 §10), which some services take for it.
    #[error("the path holds a letter in more bytes than it has")]
    Overlong,
    /// Escapes of escapes without end.
    #[error("the path is percent-encoded too many times")]
    TooDeep,
}

/// Every reading of one path: as sent, decoded once, decoded until nothing changes.
#[derive(Debug)]
pub enum Readings<'p> {
    /// Every service reads it the same way.
    One(&'p str),
    /// They may differ.
    Several(Vec<Cow<'p, str>>),
}

impl Readings<'_> {
    /// Each of them; one may come twice.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (one, several): (Option<&str>, &[Cow<'_, str>]) = match self {
            Self::One(path) => (Some(path), &[]),
            Self::Several(paths) => (None, paths),
        };
        one.into_iter().chain(several.iter().map(Cow::as_ref))
    }
}

/// The readings of `path`, whose query is left out. Of a plain one nothing is allocated.
///
/// # Errors
/// A path without one meaning.
pub fn readings(path: &str) -> Result<Readings<'_>, PathError> {
    let path = without_query(path);
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if is_plain(path) {
        return Ok(Readings::One(path));
    }
    let mut all = vec![Cow::Borrowed(path)];
    let mut bytes = path.as_bytes().to_vec();
    for _round in 0..MAX_DECODE_ROUNDS {
        let decoded = decode(&bytes);
        all.push(Cow::Owned(resolve(&decoded)?));
        if decoded == bytes {
            return Ok(Readings::Several(all));
        }
        bytes = decoded;
    }
    Err(PathError::TooDeep)
}

/// `path` as a typical service reads it: escapes decoded once, `\` as `/`, `;parameters` off, `//`, `.` and `..` resolved
/// (RFC 3986 §5.2.4). Bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// A path without one meaning.
pub fn normalised(path: &str) -> Result<Cow<'_, str>, PathError> {
    let path = without_query(path);
    if is_plain(path) {
        return if path.starts_with('/') { Ok(Cow::Borrowed(path)) } else { Err(PathError::NotAbsolute) };
    }
    resolve(&decode(path.as_bytes())).map(Cow::Owned)
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _query)| path)
}

/// Whether every service reads it the same way.
fn is_plain(path: &str) -> bool {
    path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'%' | b'\\' | b';'))
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Whether `path` has readings at all: it begins with `/`, stays below it, holds no control character, and its escapes come to an end.
pub fn is_readable(path: &str) -> bool {
    readings(path).is_ok()
}

/// Whether `path` has the same number of segments in all its readings: none is empty, a dot segment or made of others.
pub fn has_one_shape(path: &str) -> bool {
    let path = without_query(path);
    let count = |path: &str| path.split('/').count();
    readings(path).is_ok_and(|all| all.iter().all(|reading| count(reading) == count(path)))
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    percent_decode(bytes).collect()
}

fn resolve(bytes: &[u8]) -> Result<String, PathError> {
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(PathError::Control);
    }
    if bytes.windows(2).any(|pair| matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f])) {
        return Err(PathError::Overlong);
    }
    let text = String::from_utf8_lossy(bytes).replace('\\', "/");
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for part in text.split('/').skip(1) {
        let name = part.split(';').next().unwrap_or_default();
        open = matches!(name, "" | "." | "..");
        match name {
            "" | "." => {}
            ".." => drop(kept.pop().ok_or(PathError::AboveRoot)?),
            _ => kept.push(name),
        }
    }
    let slash = if open && !kept.is_empty() { "/" } else { "" };
    Ok(format!("/{}{slash}", kept.join("/")))
}
