//! `Line`: what a line of the log says of what can be searched for, and of what is counted.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

/// The members that are looked for.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) event: &'a str,
    pub(super) time: &'a str,
    pub(super) id: Option<&'a str>,
    #[serde(borrow, default)]
    pub(super) agent: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) lease: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) host: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) provider: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) connection: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) verdict: Cow<'a, str>,
    #[serde(default)]
    pub(super) status: u16,
    #[serde(default)]
    pub(super) bytes_up: u64,
    #[serde(default)]
    pub(super) bytes_down: u64,
    #[serde(default)]
    pub(super) duration_us: u64,
    #[serde(default)]
    pub(super) held_us: u64,
    #[serde(default)]
    pub(super) guard_hits: u64,
    #[serde(default)]
    pub(super) notes: Notes,
    /// Refusals that have no lines of their own, in decimal.
    #[serde(borrow, default)]
    pub(super) count: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) canary: Option<Canary<'a>>,
}

/// Where a placeholder was seen that does not belong there.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Canary<'a> {
    #[serde(borrow, default)]
    pub(super) place: Cow<'a, str>,
}

/// Those of the notes that are counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Notes {
    pub(super) renewed: bool,
    pub(super) replayed: bool,
    pub(super) canary: bool,
}

impl Notes {
    fn add(&mut self, word: &str) {
        match word {
            "renewed" => self.renewed = true,
            "replayed" => self.replayed = true,
            "canary" => self.canary = true,
            _ => {}
        }
    }

    /// Reads `["renewed","replayed"]`; `None` where a word might have a comma in it.
    fn plain(value: &[u8]) -> Option<Self> {
        let mut notes = Self::default();
        let words = value.strip_prefix(b"[")?.strip_suffix(b"]")?;
        for word in words.split(|byte| *byte == b',').filter(|_| !words.is_empty()) {
            notes.add(text(word).filter(|word| !word.contains('"'))?);
        }
        Some(notes)
    }
}

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let mut notes = Self::default();
        Vec::<Cow<'_, str>>::deserialize(reader)?.iter().for_each(|word| notes.add(word));
        Ok(notes)
    }
}

impl<'a> Line<'a> {
    /// Reads `line`; `None` where it is none of ours. What is written by us without an escape, nearly all, needs no JSON parser, which
    /// costs more than all else that a line does in the index.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        Self::plain(line).or_else(|| serde_json::from_slice(line).ok())
    }

    /// How long a service and we took: the time of persons left out.
    pub(super) fn lasted_us(&self) -> u64 {
        self.duration_us.saturating_sub(self.held_us)
    }

    /// Reads a line that is flat and has no escape; `None` where it might be anything else.
    fn plain(line: &'a [u8]) -> Option<Self> {
        if memchr::memchr(b'\\', line).is_some() {
            return None;
        }
        let mut found = Self::default();
        let mut members = Members { rest: line.strip_prefix(b"{")? };
        loop {
            let (key, value) = members.next()?;
            found.member(key, value)?;
            match members.rest {
                b"}" => break,
                rest => members.rest = rest.strip_prefix(b",")?,
            }
        }
        (!found.event.is_empty() && !found.time.is_empty()).then_some(found)
    }
}

impl<'a> Line<'a> {
    fn member(&mut self, key: &[u8], value: &'a [u8]) -> Option<()> {
        match key {
            b"event" => self.event = text(value)?,
            b"time" => self.time = text(value)?,
            b"id" => self.id = Some(text(value)?),
            b"agent" => self.agent = Cow::Borrowed(text(value)?),
            b"lease" => self.lease = Cow::Borrowed(text(value)?),
            b"host" => self.host = Cow::Borrowed(text(value)?),
            b"provider" => self.provider = Cow::Borrowed(text(value)?),
            b"connection" => self.connection = Cow::Borrowed(text(value)?),
            b"verdict" => self.verdict = Cow::Borrowed(text(value)?),
            b"status" => self.status = str::from_utf8(value).ok()?.parse().ok()?,
            b"bytes_up" => self.bytes_up = decimal(value)?,
            b"bytes_down" => self.bytes_down = decimal(value)?,
            b"duration_us" => self.duration_us = decimal(value)?,
            b"held_us" => self.held_us = decimal(value)?,
            b"guard_hits" => self.guard_hits = decimal(value)?,
            b"notes" => self.notes = Notes::plain(value)?,
            b"count" => self.count = Cow::Borrowed(text(value)?),
            b"canary" => return None,
            _ => {}
        }
        Some(())
    }
}

/// A number as we write them; any other is left to the parser.
fn decimal(value: &[u8]) -> Option<u64> {
    let plain = value.first().is_some_and(|first| *first != b'0' || value.len() == 1) && value.len() < 20;
    value
        .iter()
        .filter(|_| plain)
        .try_fold(0, |number: u64, byte| Some(number * 10 + u64::from(digit(*byte)?)))
        .filter(|_| plain)
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

/// The inside of a string.
fn text(value: &[u8]) -> Option<&str> {
    str::from_utf8(value.strip_prefix(b"\"")?.strip_suffix(b"\"")?).ok()
}

/// The members of a flat object without escapes.
#[derive(Debug)]
struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Members<'a> {
    /// The next one: its name, and its value as it is written.
    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let name = self.rest.strip_prefix(b"\"")?;
        // Too short for a search that begins with looking at the processor.
        let (name, rest) = name.split_at_checked(name.iter().position(|byte| *byte == b'"')?)?;
        let value = rest.strip_prefix(b"\":")?;
        let length = match value.first()? {
            b'"' => memchr::memchr(b'"', value.get(1..)?)? + 2,
            // Of texts that are ours; one with a bracket in it is left to the parser.
            b'[' => memchr::memchr(b']', value)? + 1,
            b'{' => return None,
            _ => value.iter().position(|byte| matches!(byte, b',' | b'}'))?,
        };
        let (value, rest) = value.split_at_checked(length)?;
        self.rest = rest;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(line: &str) -> Option<Line<'_>> {
        serde_json::from_str(line).ok()
    }

    #[test]
    fn a_line_without_escapes_is_read_without_a_parser() {
        let line = concat!(
            r#"{"v":1,"event":"close","id":"01J","time":"2026-11-23T01:02:03.000004Z","agent":"ci","lease":"L1","host":"api.test","port":443,"#,
            r#""path":"/a?b=","connection":"acme:al","verdict":"inject","provider":"acme","status":200,"bytes_up":0,"bytes_down":1024,"#,
            r#""duration_us":1203,"held_us":1000,"guard_hits":2,"notes":["renewed","replayed"],"count":"7","#,
            r#""src":"00-1:77","seq":3,"prev":"ab"}"#,
        );
        assert_eq!(Line::plain(line.as_bytes()), parsed(line));
        let read = parsed(line).expect("a line");
        assert_eq!((read.bytes_up, read.bytes_down, read.guard_hits), (0, 1024, 2));
        assert_eq!((read.duration_us, read.held_us, read.lasted_us()), (1203, 1000, 203));
        assert_eq!(read.notes, Notes { renewed: true, replayed: true, canary: false });
    }

    #[test]
    fn what_is_odd_is_left_to_the_parser() {
        for line in [
            r#"{"event":"close","time":"t","host":"a\u00ff"}"#,
            r#"{"event":"close","time":"t","notes":["a]","status"]}"#,
            r#"{"event":"close", "time":"t"}"#,
            r#"{"event":"close","time":"t","more":{"status":1}}"#,
            r#"{"event":"close","time":"t","canary":{"place":"body"}}"#,
            r#"{"event":"close","time":"t","canary":null}"#,
            r#"{"event":"close","time":"t","bytes_up":-1}"#,
            r#"{"event":"close","time":"t","bytes_up":012}"#,
            r#"{"event":"close","time":"t","duration_us":18446744073709551616}"#,
            r#"{"event":"close","time":"t","notes":["a,b"]}"#,
            r#"{"event":"close","time":"t","status":"200"}"#,
            r#"{"event":"close","time":"t","status":70000}"#,
            r#"{"event":"close"}"#,
            r#"{"event":"close","time":"t"}}"#,
            r#"{"event":"close","time":"t","#,
            "{}",
            "",
        ] {
            assert_eq!(Line::plain(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn both_readers_agree(
            values in proptest::collection::vec("[ -~]{0,12}", 4),
            status: Option<u16>,
            bytes: Option<u64>,
            notes in proptest::collection::vec("[a-z\\]\\[,{}]{0,5}", 0..3),
        ) {
            let mut line = serde_json::json!({
                "v": 1, "event": "close", "time": "t", "id": "i", "agent": values[0], "path": values[1], "host": values[2],
                "connection": values[3], "notes": notes, "z": 1.5,
            });
            if let Some(status) = status {
                line["status"] = status.into();
            }
            if let Some(bytes) = bytes {
                line["bytes_down"] = bytes.into();
            }
            let line = line.to_string();
            prop_assert_eq!(Line::read(line.as_bytes()), parsed(&line));
        }
    }
}
