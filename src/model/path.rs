//! The several ways in which a service may read one path.

use std::borrow::Cow;

use percent_encoding::{PercentDecode, percent_decode};

/// Escapes within escapes within escapes: more rounds than this are no honest path.
const MAX_DECODE_ROUNDS: u8 = 3;
/// An honest path has two readings, or four.
const MAX_READINGS: usize = 64;

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
    /// More readings than any service could mean.
    #[error("the path could be read in too many ways")]
    TooMany,
}

/// Every reading of one path: as sent, and all that it becomes by what services do to paths (`STEPS`), in any order. An escaped slash that a
/// service keeps within its segment stays escaped.
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
    let mut all: Vec<(Vec<u8>, u8)> = vec![(path.as_bytes().to_vec(), 0)];
    let mut at = 0;
    while let Some((bytes, rounds)) = all.get(at).cloned() {
        check(&bytes)?;
        for (step, decodes) in STEPS.into_iter().chain(RARE.map(|step| (step, false))) {
            let Some(read) = step(&bytes)? else { continue };
            let rounds = rounds + u8::from(decodes);
            match () {
                () if all.iter().any(|(known, _)| *known == read) => {}
                () if rounds > MAX_DECODE_ROUNDS => return Err(PathError::TooDeep),
                () if all.len() == MAX_READINGS => return Err(PathError::TooMany),
                () => all.push((read, rounds)),
            }
        }
        at += 1;
    }
    let text = |(bytes, _rounds): (Vec<u8>, u8)| Cow::Owned(String::from_utf8_lossy(&bytes).into_owned());
    Ok(Readings::Several(all.into_iter().map(text).collect()))
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
    let mut bytes = decode(path.as_bytes()).collect::<Vec<u8>>();
    check(&bytes)?;
    for (step, _) in STEPS.iter().filter(|(_, decodes)| !decodes) {
        bytes = step(&bytes)?.unwrap_or(bytes);
    }
    Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A reading without the format that some services let stand behind it (Rails, Grape: `/tokens.json` is `/tokens`); `None` where there is
/// none.
pub(crate) fn without_format(reading: &str) -> Option<&str> {
    let bare = reading.strip_suffix('/').unwrap_or(reading);
    let (rest, format) = bare.rsplit_once('.')?;
    (!format.is_empty() && !format.contains('/') && !rest.ends_with('/')).then_some(rest)
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _query)| path)
}

/// Whether every service reads it the same way.
fn is_plain(path: &str) -> bool {
    path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'%' | b'\\' | b';'))
        && !path.contains("//")
        // Dot segments, and dots that Windows drops.
        && !path.contains("./")
        && !path.ends_with('.')
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

/// What a service does to a path at once; `None` where that changes nothing.
type Step = fn(&[u8]) -> Result<Option<Vec<u8>>, PathError>;

/// Each, and whether it undoes escapes. In this order, without those, they are what RFC 3986 §5.2.4 and servlets do together.
const STEPS: [(Step, bool); 7] = [
    (|path| Ok(path.contains(&b'\\').then(|| path.iter().map(|b| if *b == b'\\' { b'/' } else { *b }).collect())), false),
    (|path| Ok(path.contains(&b';').then(|| without_parameters(path))), false),
    (|path| Ok(path.windows(2).any(|pair| pair == b"//").then(|| merged(path))), false),
    (|path| has_dots(path).then(|| without_dots(path)).transpose(), false),
    (|path| Ok(Some(decode(path).collect::<Vec<u8>>()).filter(|read| read != path)), true),
    (|path| Ok(Some(decoded_segments(path)).filter(|read| read != path)), true),
    (|path| Ok(decoded_numbers(path)), true),
];

/// What some services do besides: those that join a path to a base, that split it from the query once more, or that keep files by names as
/// Windows has them.
const RARE: [Step; 3] = [without_authority, without_inner_query, without_loose_ends];

fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').skip(1)
}

/// The path of these segments.
fn joined<'s>(segments: impl IntoIterator<Item = &'s [u8]>) -> Vec<u8> {
    let path: Vec<u8> = segments.into_iter().flat_map(|segment| std::iter::once(&b'/').chain(segment).copied()).collect();
    if path.is_empty() { vec![b'/'] } else { path }
}

/// Undoes escapes before the path is split: those of slashes too.
fn decode(bytes: &[u8]) -> PercentDecode<'_> {
    percent_decode(bytes)
}

/// Undoes escapes once the path is split (Mustermann, Go's `ServeMux`, Spring, ASP.NET): those of slashes stay within their segments.
fn decoded_segments(path: &[u8]) -> Vec<u8> {
    let is_kept = |escape: &[u8]| matches!(escape, b"%2f" | b"%2F" | b"%5c" | b"%5C");
    let piece = |from: usize, to: usize| path.get(from..to).unwrap_or_default();
    let (mut read, mut from) = (Vec::with_capacity(path.len()), 0);
    for (at, escape) in path.windows(3).enumerate().filter(|(_, three)| is_kept(three)) {
        read.extend(decode(piece(from, at)).chain(escape.iter().copied()));
        from = at + escape.len();
    }
    read.extend(decode(piece(from, path.len())));
    read
}

/// Undoes `%uXXXX` (IIS, JavaScript's `unescape`), wide letters becoming those of ASCII; `None` where there are none.
fn decoded_numbers(path: &[u8]) -> Option<Vec<u8>> {
    let (mut read, mut rest) = (Vec::new(), path);
    while let Some(at) = rest.windows(6).position(|six| numbered(six).is_some()) {
        let (before, from) = rest.split_at(at);
        let letter = numbered(from)?;
        read.extend(before.iter().chain(letter.encode_utf8(&mut [0; 4]).as_bytes()));
        rest = from.get(6..)?;
    }
    let found = rest.len() < path.len();
    read.extend(rest);
    found.then_some(read)
}

/// The letter of the `%uXXXX` that `text` begins with.
fn numbered(text: &[u8]) -> Option<char> {
    let [b'%', b'u' | b'U', digits @ ..] = text.get(..6)? else { return None };
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    // IIS takes the wide forms for the letters of ASCII that they look like.
    char::from_u32(if matches!(number, 0xff01..=0xff5e) { number - 0xfee0 } else { number })
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    joined(segments(path).map(|segment| segment.split(|b| *b == b';').next().unwrap_or_default()))
}

/// What begins with two slashes, as parsers of references take it (RFC 3986 section 4.2): its first segment names a host.
fn without_authority(path: &[u8]) -> Result<Option<Vec<u8>>, PathError> {
    let Some(rest) = path.strip_prefix(b"//") else { return Ok(None) };
    let from = rest.iter().position(|byte| *byte != b'/').unwrap_or(rest.len());
    let rest = rest.get(from..).unwrap_or_default();
    let at = rest.iter().position(|byte| *byte == b'/');
    Ok(Some(at.and_then(|at| rest.get(at..)).unwrap_or(b"/").to_vec()))
}

/// Without what stands behind a `?` or `#` that was escaped.
fn without_inner_query(path: &[u8]) -> Result<Option<Vec<u8>>, PathError> {
    Ok(path.iter().position(|byte| matches!(byte, b'?' | b'#')).and_then(|at| path.get(..at)).map(<[u8]>::to_vec))
}

/// Without blanks around each segment, and without dots at its end.
fn without_loose_ends(path: &[u8]) -> Result<Option<Vec<u8>>, PathError> {
    let read = joined(segments(path).map(|segment| match segment {
        b"." | b".." => segment,
        _ => without_blanks(segment),
    }));
    Ok(Some(read).filter(|read| read != path))
}

/// A segment without the blanks of Unicode around it, which many a language's `trim` drops, and the dots at its end.
fn without_blanks(segment: &[u8]) -> &[u8] {
    // The last three are blanks to JavaScript, or were once.
    let is_blank = |letter: char| letter.is_whitespace() || matches!(letter, '\u{feff}' | '\u{180e}' | '\u{200b}');
    if let Ok(text) = std::str::from_utf8(segment) {
        return text.trim_start_matches(is_blank).trim_end_matches(|letter| letter == '.' || is_blank(letter)).as_bytes();
    }
    // In the letters of ISO 8859-1.
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0x85 | 0xa0);
    let from = segment.iter().take_while(|byte| is_blank(byte)).count();
    let loose = segment.iter().rev().take_while(|byte| **byte == b'.' || is_blank(byte)).count();
    segment.get(from..segment.len() - loose).unwrap_or_default()
}

/// Without empty segments, but for the last one.
fn merged(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|next, before| (*next, *before) == (b'/', b'/'));
    merged
}

fn has_dots(path: &[u8]) -> bool {
    segments(path).any(|segment| matches!(segment, b"." | b".."))
}

fn without_dots(path: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut open = false;
    for segment in segments(path) {
        open = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => drop(kept.pop().ok_or(PathError::AboveRoot)?),
            _ => kept.push(segment),
        }
    }
    if open && !kept.is_empty() {
        kept.push(b"");
    }
    Ok(joined(kept))
}

/// # Errors
/// Bytes that no path holds.
fn check(bytes: &[u8]) -> Result<(), PathError> {
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(PathError::Control);
    }
    let is_overlong = |pair: &[u8]| {
        matches!(
            pair,
            [0xc0 | 0xc1, 0x80..=0xbf]
                | [0xe0, 0x80..=0x9f]
                | [0xf0, 0x80..=0x8f]
                // Of five bytes and more, as UTF-8 once had them (RFC 2279).
                | [0xf8, 0x80..=0x87]
                | [0xfc, 0x80..=0x83]
                | [0xfe | 0xff, 0x80..=0x81]
        )
    };
    if bytes.windows(2).any(is_overlong) { Err(PathError::Overlong) } else { Ok(()) }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
