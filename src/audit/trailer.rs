//! The end that chaining gives a line: where it came from, its number, and the hash of the line before.

use super::text::{decimal, hex};

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// What the next line will be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// Its number, from 1 over all segments.
    pub(super) seq: u64,
    /// The hash of the line before; zeros for the first.
    pub(super) prev: Hash,
}

impl Link {
    /// Of the first line of all.
    pub(super) const FIRST: Self = Self { seq: 1, prev: [0; 32] };

    /// Of the line that follows `line`, which has number `seq`.
    pub(super) fn after(seq: u64, line: &[u8]) -> Self {
        use sha2::Digest as _;
        Self { seq: seq.saturating_add(1), prev: sha2::Sha256::digest(line).into() }
    }

    /// Appends `line`, a JSON object, with `,"src":"source:offset","seq":..,"prev":".."` at its end, and moves on.
    pub(super) fn append(&mut self, out: &mut Vec<u8>, line: &[u8], source: &str, offset: u64) {
        let start = out.len();
        out.extend_from_slice(line.strip_suffix(b"}").unwrap_or(line));
        out.extend_from_slice(SRC);
        out.extend_from_slice(source.as_bytes());
        out.push(b':');
        decimal(out, offset);
        out.extend_from_slice(SEQ);
        decimal(out, self.seq);
        out.extend_from_slice(PREV);
        hex(out, &self.prev);
        out.extend_from_slice(END);
        *self = Self::after(self.seq, out.get(start..).unwrap_or_default());
        out.push(b'\n');
    }
}

const SRC: &[u8] = br#","src":""#;
const SEQ: &[u8] = br#"","seq":"#;
const PREV: &[u8] = br#","prev":""#;
const END: &[u8] = br#""}"#;

/// The end of a chained line, read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trailer<'a> {
    /// The spool it came from.
    pub(super) source: &'a str,
    /// Where in that spool the line ended.
    pub(super) offset: u64,
    /// Its number and the hash of the line before.
    pub(super) link: Link,
}

impl<'a> Trailer<'a> {
    /// Reads the end of `line`; its quotes can't be anybody's text, which has none unescaped.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let start = memchr::memmem::rfind(line, SRC)?;
        let text = str::from_utf8(line.get(start + SRC.len()..)?).ok()?;
        let (source, rest) = text.split_once(':')?;
        let (offset, rest) = rest.split_once("\",\"seq\":")?;
        let (seq, rest) = rest.split_once(",\"prev\":\"")?;
        let prev = read_hash(rest.strip_suffix("\"}")?)?;
        Some(Self { source, offset: offset.parse().ok()?, link: Link { seq: seq.parse().ok()?, prev } })
    }

    /// The number of `line` alone, for a tenth of the price of the whole.
    pub(super) fn seq(line: &[u8]) -> Option<u64> {
        let (line, rest) = line.split_at_checked(line.len().checked_sub(REST)?)?;
        if !rest.starts_with(PREV) || !rest.ends_with(END) {
            return None;
        }
        let digits = line.get(memchr::memrchr(b':', line)? + 1..)?;
        line.strip_suffix(digits)?.ends_with(SEQ).then(|| str::from_utf8(digits).ok()?.parse().ok())?
    }
}

/// The end of a line behind its number: all of it has one length.
const REST: usize = PREV.len() + 64 + END.len();

/// A hash from its 64 hex digits.
pub(super) fn read_hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailer_reads_back() {
        let mut link = Link { seq: 41, prev: [0xab; 32] };
        let before = link;
        let mut out = Vec::new();
        link.append(&mut out, br#"{"path":"\",\"src\":\"x:1"}"#, "00-1", 77);
        let line = out.strip_suffix(b"\n").expect("a line");
        assert_eq!(Trailer::read(line), Some(Trailer { source: "00-1", offset: 77, link: before }));
        assert_eq!(Trailer::seq(line), Some(41));
        assert_eq!(Trailer::seq(line.get(..line.len() - 1).expect("a cut")), None);
        assert_eq!(link, Link::after(41, line));
        assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok());
        assert_eq!((Trailer::read(br#"{"v":1}"#), Trailer::seq(br#"{"v":1}"#)), (None, None));
    }
}
