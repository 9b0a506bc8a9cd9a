//! `Vouched`: the lines of the chain's own that count only with a signature, and what they say.

use super::line::CHAIN;
use super::trailer::Trailer;

/// How the line begins that tells which segments aren't kept any longer.
const FORGET: &[u8] = br#"{"v":1,"event":"forget""#;
/// How the line begins that tells which lines had no head when another process went on.
const CARRIED: &[u8] = br#"{"v":1,"event":"carried""#;
/// How the line of a head begins.
pub(super) const HEAD: &[u8] = br#"{"v":1,"event":"head""#;

/// What such a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vouched {
    /// What the log was until then.
    Head,
    /// Up to which segment none are kept.
    Forget(u32),
    /// From which line to which nothing was signed while their writers lived.
    Carried(u64, u64),
}

impl Vouched {
    /// Reads a line that the chain itself made; `None` for one that needs no signature.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        if line.starts_with(HEAD) {
            return Some(Self::Head);
        }
        if line.starts_with(FORGET) {
            return Some(Self::Forget(number(line, br#","through":""#)?));
        }
        if !line.starts_with(CARRIED) {
            return None;
        }
        Some(Self::Carried(number(line, br#","from":""#)?, number(line, br#","through":""#)?))
    }

    /// As [`Vouched::of`], of a line of a segment; `None` as well where the chain didn't make it.
    pub(super) fn chained(line: &[u8]) -> Option<(Self, Trailer<'_>)> {
        let said = Self::of(line)?;
        let trailer = Trailer::read(line).filter(|trailer| trailer.source == CHAIN)?;
        Some((said, trailer))
    }

    /// What it means that no key signed it.
    pub(super) fn unsigned(self) -> &'static str {
        match self {
            Self::Head => "the head is not signed by the key of this log",
            Self::Forget(_) => "it says that older segments are not kept, and is not signed by the key of this log",
            Self::Carried(..) => "it says which lines were carried on, and is not signed by the key of this log",
        }
    }
}

fn number<T: std::str::FromStr>(line: &[u8], key: &[u8]) -> Option<T> {
    let rest = line.get(memchr::memmem::find(line, key)? + key.len()..)?;
    str::from_utf8(rest.get(..memchr::memchr(b'"', rest)?)?).ok()?.parse().ok()
}
