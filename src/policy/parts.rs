//! Methods that the parts of a multipart body (RFC 7578) put in the place of the request's.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode;

use crate::model::{Charset, Methods};

/// A name that puts a method in place is shorter, however it is written.
const LONGEST_NAME: usize = 256;

/// Whatever the body's boundary is: what stands behind the head of each part of such a name.
pub(super) fn in_parts(body: &[u8]) -> Methods {
    let (mut found, mut head) = (Methods::default(), Head::default());
    for at in memchr::memchr_iter(b'=', body) {
        let Some(way) = way(body.get(..at).unwrap_or_default()) else { continue };
        let name = match way.name(body.get(at + 1..).unwrap_or_default()) {
            Name::Is(name) if Methods::are_named_by(&name) => name,
            Name::Is(_) => continue,
            Name::Unclear => return Methods::ANY,
        };
        // Each head is looked for once.
        if at >= head.end {
            head = Head::around(body, head.end, at + 1);
        }
        if head.is_odd {
            return Methods::ANY;
        }
        // A part may be in UTF-16 and not say so: there is a zero beside each letter of ASCII.
        let letters: Vec<u8> = head.value.iter().take(LONGEST_NAME).filter(|byte| **byte != 0).copied().collect();
        found = found.and(Methods::put(&name, &letters));
    }
    found
}

/// How a parameter says its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `name`
    Plain,
    /// `name*` (RFC 8187)
    Extended,
    /// `name*0`, `name*0*` (RFC 2231 section 3): one piece of it.
    Piece,
}

/// What a part is called.
enum Name {
    Is(Vec<u8>),
    /// It may be such a name to some.
    Unclear,
}

/// How the parameter whose name `before` ends with says the part's name; `None` where it is another parameter, as `filename`.
fn way(before: &[u8]) -> Option<Way> {
    let before = before.trim_ascii_end();
    let plain = before.strip_suffix(b"*");
    let numbered = plain.unwrap_or(before);
    let digits = numbered.iter().rev().take(LONGEST_NAME).take_while(|byte| byte.is_ascii_digit()).count();
    let unnumbered = numbered.get(..numbered.len() - digits).and_then(|rest| rest.strip_suffix(b"*"));
    let (word, way) = match (unnumbered.filter(|_| digits > 0), plain) {
        (Some(word), _) => (word, Way::Piece),
        (None, Some(word)) => (word, Way::Extended),
        (None, None) => (before, Way::Plain),
    };
    let (rest, word) = word.split_last_chunk::<4>()?;
    (word.eq_ignore_ascii_case(b"name") && !rest.last().is_some_and(u8::is_ascii_alphanumeric)).then_some(way)
}

impl Way {
    /// The name that `rest` begins with, as it is meant.
    fn name(self, rest: &[u8]) -> Name {
        let name = written(rest);
        if self == Self::Plain && memchr::memmem::find(&name, b"=?").is_some() {
            return word(&name).filter(|begin| !Methods::have_a_name_from(begin)).map_or(Name::Unclear, Name::Is);
        }
        let mut pieces = name.splitn(3, |byte| *byte == b'\'');
        // `charset'language'letters`.
        let (charset, letters) = (pieces.next().unwrap_or_default(), pieces.nth(1));
        if self == Self::Piece {
            // The pieces may stand in any order; one of them begins the name.
            let piece: Vec<u8> = percent_decode(letters.unwrap_or(&name)).filter(|byte| *byte != 0).collect();
            return if Methods::have_a_name_from(&piece) { Name::Unclear } else { Name::Is(Vec::new()) };
        }
        match letters {
            Some(_) if self == Self::Extended && !is_legible(charset) => Name::Unclear,
            Some(letters) => Name::Is(percent_decode(letters).filter(|byte| *byte != 0).collect()),
            None => Name::Is(name),
        }
    }
}

/// The value that `rest` begins with, without its quotes. A field's value may go on in the next line (RFC 5322 section 2.2.3).
fn written(rest: &[u8]) -> Vec<u8> {
    let rest = rest.trim_ascii_start();
    let (quote, inside) = match rest.split_first() {
        Some((quote @ (b'"' | b'\''), inside)) => (Some(*quote), inside.trim_ascii_start()),
        _ => (None, rest),
    };
    let ends = |byte: &u8| match quote {
        Some(quote) => *byte == quote || matches!(byte, b'\r' | b'\n'),
        // And at the other blanks of C: PHP.
        None => matches!(byte, b';' | b' ' | b'\t'..=b'\r'),
    };
    let name = inside.iter().take(LONGEST_NAME).take_while(|byte| !ends(byte));
    // Within quotes `\` stands before any letter (RFC 9110 section 5.6.4).
    name.filter(|byte| **byte != b'\\').copied().collect()
}

/// Base64 as readers that forgive take it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a name begins with up to the end of its first encoded word (RFC 2047: Java's readers of forms know them); `None` where that can't
/// be told.
fn word(name: &[u8]) -> Option<Vec<u8>> {
    let (before, word) = name.split_at(memchr::memmem::find(name, b"=?")?);
    let mut fields = word.get(2..)?.splitn(3, |byte| *byte == b'?');
    let (Some(charset), Some(coding), Some(text)) = (fields.next(), fields.next(), fields.next()) else {
        return Some(name.to_owned());
    };
    let text = text.get(..memchr::memmem::find(text, b"?=").unwrap_or(text.len()))?;
    let letters: Vec<u8> = match coding {
        _ if !is_legible(charset) => return None,
        b"q" | b"Q" => percent_decode(&escaped(text)).collect(),
        b"b" | b"B" => {
            let digits =
                text.iter().take_while(|byte| **byte != b'=').filter(|byte| STANDARD.as_str().as_bytes().contains(byte));
            LENIENT.decode(digits.copied().collect::<Vec<u8>>()).ok()?
        }
        _ => return Some(name.to_owned()),
    };
    Some([before, &letters].concat().into_iter().filter(|byte| *byte != 0).collect())
}

/// `=5F` as `%5F`, and `_` as the blank that it stands for.
fn escaped(text: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'=' => b"%".to_vec(),
        b'%' => b"%25".to_vec(),
        b'_' => b" ".to_vec(),
        other => vec![*other],
    };
    text.iter().flat_map(escape).collect()
}

/// Whether letters of ASCII have ASCII's bytes in it, or those with zeros beside them.
fn is_legible(charset: &[u8]) -> bool {
    let families: [&[u8]; 12] = [
        b"utf-8",
        b"utf8",
        b"us-ascii",
        b"ascii",
        b"iso-8859-",
        b"windows-",
        b"gb",
        b"big5",
        b"euc-",
        b"koi8-",
        b"utf-16",
        b"utf-32",
    ];
    let is_of = |family: &&[u8]| charset.get(..family.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(family));
    charset.is_empty() || families.iter().any(is_of)
}

/// The head of a part.
#[derive(Default)]
struct Head<'b> {
    /// Where it ends.
    end: usize,
    /// The line behind it.
    value: &'b [u8],
    /// Readers may find another value there than that line.
    is_odd: bool,
}

impl<'b> Head<'b> {
    /// The one that goes on at `from`, and begins at `floor` or later.
    fn around(body: &'b [u8], floor: usize, from: usize) -> Self {
        let rest = body.get(from..).unwrap_or_default();
        let mut start = rest.len() - rest.trim_ascii_start().len();
        for end in memchr::memchr_iter(b'\n', rest) {
            let line = rest.get(start..end).unwrap_or(b"-");
            start = start.max(end + 1);
            if !line.trim_ascii().is_empty() {
                continue;
            }
            let value = rest.get(start..).unwrap_or_default().split(|byte| *byte == b'\n').next().unwrap_or_default();
            let begins = value.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != 0).unwrap_or(value.len());
            let head = body.get(beginning(body, floor, from)..from + end).unwrap_or_default();
            // A line of blanks ends the head for some, and is the end of the field before it for others.
            let is_odd = !matches!(line, b"" | b"\r") || is_coded(head) || is_in_other_letters(head);
            return Self { end: from + start, value: value.get(begins..).unwrap_or_default(), is_odd };
        }
        Self { end: body.len(), ..Self::default() }
    }
}

/// Behind the last empty line between `floor` and `from`.
fn beginning(body: &[u8], floor: usize, from: usize) -> usize {
    let before = body.get(floor..from).unwrap_or_default();
    let is_empty = |end: &usize| before.get(..*end).is_some_and(|lines| lines.ends_with(b"\n") || lines.ends_with(b"\n\r"));
    memchr::memrchr_iter(b'\n', before).find(is_empty).map_or(floor, |end| floor + end + 1)
}

/// Whether the part's bytes stand for others (RFC 2045 section 6: Go and Django undo it).
fn is_coded(head: &[u8]) -> bool {
    const FIELD: &[u8] = b"transfer-encoding";
    memchr::memchr_iter(b':', head).any(|at| {
        let (name, value) = head.split_at(at);
        let name = name.trim_ascii_end();
        let is_it = name
            .len()
            .checked_sub(FIELD.len())
            .is_some_and(|from| name.get(from..).is_some_and(|end| end.eq_ignore_ascii_case(FIELD)));
        let value = value.get(1..).unwrap_or_default().trim_ascii_start();
        let value = value.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
        is_it && ![&b"7bit"[..], b"8bit", b"binary"].iter().any(|plain| plain.eq_ignore_ascii_case(value))
    })
}

/// Whether the part is in letters of its own, as Java's readers of forms take it.
fn is_in_other_letters(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| Charset::of(line.trim_ascii()) == Charset::Doubtful)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> Vec<&'static str> {
        in_parts(body.as_bytes()).iter().collect()
    }

    fn part(name: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {name}\r\nContent-Type: text/plain\r\n\r\ndelete\r\n--b--\r\n")
    }

    #[test]
    fn a_part_that_names_another_method_is_seen_however_it_is_written() {
        for name in [
            "name=\"_method\"",
            "name=_method",
            "name=_method\tx",
            "name=_method\x0bx",
            "NAME = \"_Method\"; x=y",
            "name='_method'",
            "name=\r\n \"_method\"",
            "name=\"_met\\hod\"",
            "name=\"_method\0x\"",
            "name*=utf-8''%5Fmethod",
            "filename=x; name* = utf-16le'en'_%00m%00e%00t%00h%00o%00d%00",
        ] {
            assert_eq!(said(&part(name)), ["DELETE"], "{name}");
        }
        let wide = part("name=_method").replace("delete", "d\0e\0l\0e\0t\0e\0");
        assert_eq!(said(&wide), ["DELETE"], "a part in UTF-16");
        let two = format!("{}{}", part("name=x"), part("name=_method"))
            .replace("x\r\nContent-Type: text/plain\r\n\r\ndelete", "x\r\n\r\nput");
        assert_eq!(said(&two), ["DELETE"], "the value of its own part");
        assert_eq!(said("name=_method\r\n"), ["DELETE"; 0], "a head without an end");
    }

    #[test]
    fn i2_a_name_that_only_some_can_read_may_put_any_method_in_place() {
        for name in [
            "name*0=\"_met\"; name*1=\"hod\"",
            "name*1=hod; name*0=_met",
            "name*0=\"\"; name*1=\"_method\"",
            "name*0*=utf-8''%5Fmet; name*1*=hod",
            "name*0*=utf-8''; name*1*=%5fmethod",
            "name * 0=x; name*10 = _method",
            "name=\"=?utf-8?B?X21ldGhvZA==?=\"",
            "name=\"=?utf-8?q?=5Fmethod?=\"",
            "name==?us-ascii?Q?=5Fmet?= =?utf-8?B?aG9k?=",
            "name=\"_met=?utf-8?Q?hod?=\"",
            "name=\"=?ibm037?Q?m=94=85?=\"",
            "name=\"=?utf-8?B??= =?utf-8?Q?=5Fmethod?=\"",
            "name*=ibm037''%6D%94%85%A3%88%96%84",
            "name*=utf-7''+AF8-method",
        ] {
            assert_eq!(in_parts(part(name).as_bytes()), Methods::ANY, "{name}");
        }
        for name in [
            "name=\"file\"; filename=\"_method\"",
            "name=file; filename*=utf-8''_method",
            "name=file; filename*0=_met; filename*1=hod",
            "name*0=\"annual rep\"; name*1=\"ort\"",
            "name=\"=?utf-8?B?ZmlsZQ==?=\"",
            "name=\"=?utf-8?Q?r=C3=A9sum=C3=A9?=\"",
            "name=\"a=?b\"",
            "name*=windows-1252''r%E9sum%E9",
        ] {
            assert_eq!(said(&part(name)), ["DELETE"; 0], "{name}");
        }
    }

    #[test]
    fn i2_a_value_that_only_some_can_read_may_be_any_method() {
        let with = |field: &str| part(&format!("name=_method\r\n{field}"));
        for field in [
            "Content-Transfer-Encoding: base64",
            "content-transfer-encoding :Quoted-Printable",
            "Content-Transfer-Encoding:\r\n base64",
            "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64",
            "Content-Type: text/plain; charset=ibm037",
            "Content-Type: text/plain;\r\n charset=utf-7",
            " \r\nX: y",
        ] {
            assert_eq!(in_parts(with(field).as_bytes()), Methods::ANY, "{field}");
        }
        let before =
            "--b\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name=_method\r\n\r\nREVMRVRF\r\n";
        assert_eq!(in_parts(before.as_bytes()), Methods::ANY);
        for field in ["Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: Binary", "Content-Type: a; charset=utf-8"]
        {
            assert_eq!(said(&with(field)), ["DELETE"], "{field}");
        }
        let file = part("name=file; filename=a\r\nContent-Transfer-Encoding: base64");
        assert_eq!(said(&file), ["DELETE"; 0]);
        assert_eq!(said(&format!("{file}{}", part("name=_method"))), ["DELETE"], "another part's head");
        assert_eq!(said(&format!("{}{file}", part("name=_method"))), ["DELETE"], "another part's head");
    }
}
