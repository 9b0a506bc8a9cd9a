//! Bytes into ASCII JSON text: strings, numbers, hex, addresses.

use std::io::Write as _;
use std::net::SocketAddr;

/// Appends `value` as the inside of a JSON string of at most `limit` bytes and a mark that says how much was cut.
///
/// Only printable ASCII comes out. Every other character is escaped (RFC 8259 §7), and a byte that is not UTF-8 becomes `\u00XX`,
/// so neither a terminal nor a line reader sees anything but plain text.
pub(super) fn escape(out: &mut Vec<u8>, value: &[u8], limit: usize) {
    if value.len() <= limit && all_plain(value) {
        out.extend_from_slice(value);
        return;
    }
    let end = out.len() + limit;
    let mut taken = 0;
    for chunk in value.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if !escape_char(out, letter, end) {
                return mark_cut(out, value.len() - taken);
            }
            taken += letter.len_utf8();
        }
        for &byte in chunk.invalid() {
            if !escape_char(out, char::from(byte), end) {
                return mark_cut(out, value.len() - taken);
            }
            taken += 1;
        }
    }
}

/// Whether every byte can stand in a JSON string as it is.
pub(super) fn all_plain(value: &[u8]) -> bool {
    value.iter().fold(true, |plain, &byte| plain & (0x20..=0x7e).contains(&byte) & (byte != b'"') & (byte != b'\\'))
}

/// Appends one character unless that would pass `end`.
fn escape_char(out: &mut Vec<u8>, letter: char, end: usize) -> bool {
    let plain = matches!(letter, ' '..='~') && letter != '"' && letter != '\\';
    let needed = match letter {
        '"' | '\\' => 2,
        _ if plain => 1,
        _ => 6 * letter.len_utf16(),
    };
    if out.len() + needed > end {
        return false;
    }
    match letter {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        _ if plain => out.push(u8::try_from(letter).unwrap_or(b'?')),
        _ => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
            out.extend_from_slice(b"\\u");
            hex(out, &unit.to_be_bytes());
        }),
    }
    true
}

fn mark_cut(out: &mut Vec<u8>, left: usize) {
    out.extend_from_slice(b"...+");
    decimal(out, left as u64);
}

/// Appends `number` in decimal.
pub(super) fn decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `bytes` in lower-case hex.
pub(super) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), b'0');
    let pairs = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<2>().0;
    // Without a table and without a branch, so that it runs on whole vectors.
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
}

/// Appends `address` as `1.2.3.4:5` or `[::1]:5`.
pub(super) fn address(out: &mut Vec<u8>, address: SocketAddr) {
    let SocketAddr::V4(v4) = address else {
        // Writing to a Vec doesn't fail.
        return write!(out, "{address}").unwrap_or_default();
    };
    for (number, octet) in v4.ip().octets().into_iter().enumerate() {
        if number > 0 {
            out.push(b'.');
        }
        // Without a detour over a text of their own: every line has addresses.
        if octet >= 100 {
            out.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            out.push(b'0' + octet / 10 % 10);
        }
        out.push(b'0' + octet % 10);
    }
    out.push(b':');
    decimal(out, v4.port().into());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(value: &[u8], limit: usize) -> String {
        let mut out = Vec::new();
        escape(&mut out, value, limit);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn odd_characters_become_escapes() {
        assert_eq!(escaped(b"plain /path", 99), "plain /path");
        assert_eq!(escaped(b"a\r\n\x1b[31m\"\\\x7f", 99), r#"a\u000d\u000a\u001b[31m\"\\\u007f"#);
        assert_eq!(escaped("\u{85}\u{2028}\u{202e}\u{1f600}".as_bytes(), 99), r"\u0085\u2028\u202e\ud83d\ude00");
        assert_eq!(escaped(b"\xff\xc3", 99), r"\u00ff\u00c3");
    }

    #[test]
    fn what_is_too_long_is_cut_and_marked() {
        assert_eq!(escaped(b"abcdefgh", 4), "abcd...+4");
        assert_eq!(escaped(b"ab\n\n", 8), r"ab\u000a...+1");
    }

    #[test]
    fn numbers_and_addresses() {
        let mut out = Vec::new();
        for number in [0, 7, 10, u64::MAX] {
            decimal(&mut out, number);
            out.push(b' ');
        }
        address(&mut out, "127.0.0.1:80".parse().expect("an address"));
        out.push(b' ');
        address(&mut out, "[::1]:443".parse().expect("an address"));
        assert_eq!(out, b"0 7 10 18446744073709551615 127.0.0.1:80 [::1]:443");
        for octet in 0..=255_u8 {
            let (mut out, whole) = (Vec::new(), SocketAddr::from(([octet, 0, 9, octet], 65_535)));
            address(&mut out, whole);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(whole.to_string().as_str()));
        }
    }

    proptest! {
        #[test]
        fn any_text_survives(value: String) {
            let text: String = serde_json::from_str(&format!("\"{}\"", escaped(value.as_bytes(), usize::MAX / 2))).expect("json");
            prop_assert_eq!(text, value);
        }

        #[test]
        fn any_bytes_give_printable_ascii_within_the_limit(value: Vec<u8>, limit in 0_usize..64) {
            let text = escaped(&value, limit);
            prop_assert!(text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
            prop_assert!(text.len() <= limit + 24);
            let parsed = serde_json::from_str::<String>(&format!("\"{text}\""));
            prop_assert!(parsed.is_ok());
        }
    }
}
