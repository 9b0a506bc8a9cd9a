//! Which bytes may stand where (RFC 9110 §5.6, RFC 9112 §2 to §5).

use super::Malformed;

const TOKEN: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;
const HOST: u8 = 8;

static CLASSES: [u8; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "a byte is always an index into 256 entries")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x7f {
        let mut class = 0;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            class |= TOKEN | PATH | QUERY | HOST;
        }
        if matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'^' | b'`' | b'|') {
            class |= TOKEN;
        }
        // What no URL parser writes unescaped there, the engine's URI type doesn't read.
        if byte.is_ascii_graphic() && !matches!(byte, b'#' | b'<' | b'>') {
            class |= if byte == b'`' { 0 } else { PATH } | if byte == b'"' { 0 } else { QUERY };
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|found| found & class != 0)
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is(byte, TOKEN))
}

/// A path beginning with `/` and perhaps a query, no fragment (RFC 9112 §3.2.1).
pub(super) fn is_origin_form(target: &[u8]) -> bool {
    let (path, query) = match memchr::memchr(b'?', target).and_then(|at| target.split_at_checked(at)) {
        Some((path, query)) => (path, query),
        None => (target, &[][..]),
    };
    path.starts_with(b"/") && path.iter().all(|&byte| is(byte, PATH)) && query.iter().all(|&byte| is(byte, QUERY))
}

/// `host`, `host:port` or `[v6]:port` in plain ASCII: no userinfo, list, escape or white space (RFC 9110 §7.2).
pub(super) fn is_host_port(text: &[u8]) -> bool {
    let (host_fits, port) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let Some((address, port)) = split_at_byte(rest, b']') else { return false };
            let fits =
                !address.is_empty() && address.iter().all(|&byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.');
            (fits, port)
        }
        None => {
            let end = memchr::memchr(b':', text).unwrap_or(text.len());
            let Some((host, port)) = text.split_at_checked(end) else { return false };
            (!host.is_empty() && host.iter().all(|&byte| is(byte, HOST)), port)
        }
    };
    host_fits && (port.is_empty() || port.strip_prefix(b":").is_some_and(is_port))
}

fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5 && !digits.starts_with(b"0") && decimal(digits).is_some_and(|port| port <= 65_535)
}

/// Where the first `byte` stands. The lines and words of a head are short: eight bytes at a time and in place, they are searched in half
/// the time that the way to a search in long vectors takes.
#[inline]
pub(super) fn find(text: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let (words, rest) = text.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        // The lowest of these bits is that of the first byte that doesn't differ.
        let same = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if same != 0 {
            return Some(number * 8 + same.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&found| found == byte).map(|at| words.len() * 8 + at)
}

/// The text before and after the first `byte`.
#[inline]
pub(super) fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (before, after) = text.split_at_checked(find(text, byte)?)?;
    Some((before, after.get(1..)?))
}

/// ASCII digits only, at most 19 of them and at most 2^63 - 1.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0_u64, |value, digit| value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    (value <= i64::MAX as u64).then_some(value)
}

/// Optional white space off both ends (RFC 9110 §5.6.3).
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = text.split_first() {
        text = rest;
    }
    while let Some((b' ' | b'\t', rest)) = text.split_last() {
        text = rest;
    }
    text
}

/// The members of a comma list, trimmed (RFC 9110 §5.6.1).
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// No control character but HTAB; nothing above ASCII unless `obs_text` allows it (RFC 9110 §5.5).
pub(super) fn check_text(line: &[u8], obs_text: bool) -> Result<(), Malformed> {
    // Without a branch per byte, so that it runs on whole vectors.
    let bad = line.iter().fold(false, |bad, &byte| bad | is_foreign(byte, obs_text));
    if !bad {
        return Ok(());
    }
    match line.iter().find(|&&byte| is_foreign(byte, obs_text)) {
        Some(b'\r') => Err(Malformed::LineEnd),
        Some(0x80..) => Err(Malformed::NotAscii),
        _ => Err(Malformed::Control),
    }
}

/// Whether nothing in lines that end with CR LF is foreign to a line, the last end included.
pub(super) fn is_plain(lines: &[u8], obs_text: bool) -> bool {
    let after = lines.get(1..).unwrap_or_default();
    let ends = |byte: u8, next: u8| (byte == b'\n') | ((byte == b'\r') & (next == b'\n'));
    let foreign = |byte, next| is_foreign(byte, obs_text) & !ends(byte, next);
    !lines.iter().zip(after).fold(false, |bad, (&byte, &next)| bad | foreign(byte, next))
}

fn is_foreign(byte: u8, obs_text: bool) -> bool {
    ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f) | (!obs_text & (byte >= 0x80))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Bytes one bit or one away from the one that is looked for are what a sum over eight at once could take for it.
        #[test]
        fn the_first_of_its_kind_is_found(byte: u8, kinds in prop::collection::vec((0_u8..6, any::<u8>()), 0..40)) {
            let text: Vec<u8> = kinds
                .iter()
                .map(|&(kind, other)| match kind {
                    0 => byte,
                    1 => byte ^ 1,
                    2 => byte ^ 0x80,
                    3 => byte.wrapping_add(1),
                    4 => byte.wrapping_sub(1),
                    _ => other,
                })
                .collect();
            for start in 0..=text.len() {
                let text = &text[start..];
                prop_assert_eq!(find(text, byte), text.iter().position(|&found| found == byte));
            }
        }
    }
}
