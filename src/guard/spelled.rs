//! How one letter of a secret may be written: as it is, or as an escape of URLs, JSON, programs, HTML or mail.

use smallvec::SmallVec;

/// A letter, or either of two: `+` and `-` of the two base64 alphabets, a hexadecimal digit in either case.
pub(super) type Letter = [u8; 2];
/// Nearly always one: only a `%` or a `\` of a secret can be read in two ways.
pub(super) type Positions = SmallVec<[usize; 4]>;

/// The longest escape that is read: eight backslashes and `u{000067}` or `U00000067`.
pub(super) const WIDEST: usize = 17;
/// A URL in a URL in a URL is the most that honest services write.
const NESTED: usize = 4;
const BACKSLASHES: usize = 8;
const BRACED: usize = 6;
const ENTITY: usize = 10;

pub(super) fn is(letter: Letter, byte: u8) -> bool {
    letter.contains(&byte)
}

/// Where the readings of `text` from `at` as this letter end; whether there may be another one once more of the text is known.
pub(super) fn read(text: &[u8], at: usize, letter: Letter, ends: &mut Positions) -> bool {
    let Some(first) = text.get(at) else { return true };
    if is(letter, *first) {
        ends.push(at + 1);
    }
    match first {
        b'%' => percent(text, at + 1, letter, ends),
        b'\\' => backslash(text, at, letter, ends),
        b'&' => entity(text, at + 1, letter, ends),
        // RFC 2045 §6.7.
        b'=' => pair(text, at + 1, letter, ends),
        _ => false,
    }
}

/// Whether a byte may begin an escape.
pub(super) fn escapes(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'=')
}

/// Two hexadecimal digits.
fn pair(text: &[u8], at: usize, letter: Letter, ends: &mut Positions) -> bool {
    match digits(text, at) {
        Digits::Byte(byte) if is(letter, byte) => ends.push(at + 2),
        Digits::Open => return true,
        Digits::Byte(_) | Digits::None => {}
    }
    false
}

/// RFC 3986 §2.1; `%2567` is one that was escaped again.
fn percent(text: &[u8], mut at: usize, letter: Letter, ends: &mut Positions) -> bool {
    for _ in 0..NESTED {
        match digits(text, at) {
            Digits::Open => return true,
            Digits::None => return false,
            Digits::Byte(byte) => {
                if is(letter, byte) {
                    ends.push(at + 2);
                }
                if byte != b'%' {
                    return false;
                }
            }
        }
        at += 2;
    }
    false
}

/// RFC 8259 §7, and what many languages write: `\x67`, `\u{67}`, `\U00000067`, `\147`; more backslashes where the text was escaped again.
fn backslash(text: &[u8], at: usize, letter: Letter, ends: &mut Positions) -> bool {
    let run = text.iter().skip(at).take(BACKSLASHES).take_while(|byte| **byte == b'\\').count();
    if is(letter, b'\\') && run >= 2 {
        ends.push(at + 2);
    }
    let behind = at + run;
    let Some(kind) = text.get(behind) else { return true };
    match (kind, text.get(behind + 1)) {
        (b'u' | b'x', Some(b'{')) => braced(text, behind + 2, letter, ends),
        (b'u', _) => padded(text, behind + 1, b"00", letter, ends),
        (b'U', _) => padded(text, behind + 1, b"000000", letter, ends),
        (b'x', _) => pair(text, behind + 1, letter, ends),
        (b'0'..=b'7', _) => octal(text, behind, letter, ends),
        _ => {
            if is(letter, *kind) && !kind.is_ascii_alphanumeric() {
                ends.push(behind + 1);
            }
            false
        }
    }
}

/// Two hexadecimal digits behind so many zeros.
fn padded(text: &[u8], at: usize, zeros: &[u8], letter: Letter, ends: &mut Positions) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    if rest.len() < zeros.len() {
        return zeros.starts_with(rest);
    }
    rest.starts_with(zeros) && pair(text, at + zeros.len(), letter, ends)
}

/// Up to six hexadecimal digits, and a brace.
fn braced(text: &[u8], at: usize, letter: Letter, ends: &mut Positions) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let digits = rest.iter().take(BRACED).take_while(|byte| byte.is_ascii_hexdigit()).count();
    match rest.get(digits) {
        None => return true,
        Some(b'}') if number(rest.get(..digits).unwrap_or_default(), 16).is_some_and(|byte| is(letter, byte)) => {
            ends.push(at + digits + 1);
        }
        Some(_) => {}
    }
    false
}

/// Two or three octal digits: what is no control character has no fewer.
fn octal(text: &[u8], at: usize, letter: Letter, ends: &mut Positions) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    for length in [2, 3] {
        if let Some(digits) = rest.get(..length).filter(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'7')))
            && number(digits, 8).is_some_and(|byte| is(letter, byte))
        {
            ends.push(at + length);
        }
    }
    rest.len() < 3 && rest.iter().all(|digit| matches!(digit, b'0'..=b'7'))
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

/// A character reference of HTML: by number, or one of the names that escaping functions write.
fn entity(text: &[u8], at: usize, letter: Letter, ends: &mut Positions) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let rest = rest.get(..ENTITY).unwrap_or(rest);
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
    let length = rest.iter().take_while(|byte| name(byte)).count();
    let (named, end) = rest.split_at_checked(length).unwrap_or_default();
    match end.first() {
        None => return rest.len() < ENTITY,
        Some(b';') => {}
        Some(_) => return false,
    }
    if character(named).is_some_and(|byte| is(letter, byte)) {
        ends.push(at + length + 1);
    }
    false
}

fn character(named: &[u8]) -> Option<u8> {
    match named {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        b"amp" => Some(b'&'),
        b"lt" => Some(b'<'),
        b"gt" => Some(b'>'),
        b"quot" => Some(b'"'),
        b"apos" => Some(b'\''),
        _ => None,
    }
}

enum Digits {
    Byte(u8),
    None,
    /// The text ends before them.
    Open,
}

/// Two hexadecimal digits.
fn digits(text: &[u8], at: usize) -> Digits {
    let value = |at: usize| text.get(at).map(|digit| char::from(*digit).to_digit(16));
    match (value(at), value(at + 1)) {
        (Some(Some(high)), Some(Some(low))) => u8::try_from(high * 16 + low).map_or(Digits::None, Digits::Byte),
        (None, _) | (Some(Some(_)), None) => Digits::Open,
        (Some(None), _) | (_, Some(None)) => Digits::None,
    }
}

/// Where the readings as this letter begin that end at `end`.
pub(super) fn read_back(text: &[u8], end: usize, letter: Letter, starts: &mut Positions) {
    let last = |width: usize| end.checked_sub(width).and_then(|at| text.get(at).map(|byte| (at, *byte)));
    for (at, byte) in (1..=WIDEST + 1).map_while(last) {
        if at + 1 == end && !escapes(byte) {
            if is(letter, byte) {
                starts.push(at);
            }
        } else if escapes(byte) {
            let mut ends = Positions::new();
            read(text, at, letter, &mut ends);
            if ends.contains(&end) {
                starts.push(at);
            }
        }
    }
}
