//! `Line`: what a line of the log says of what can be searched for.

use std::borrow::Cow;

use serde::Deserialize;

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
}

impl<'a> Line<'a> {
    /// Reads `line`; `None` where it is none of ours. What is written by us without an escape, nearly all, needs no JSON parser, which
    /// costs more than all else that a line does in the index.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        Self::plain(line).or_else(|| serde_json::from_slice(line).ok())
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
            match key {
                b"event" => found.event = text(value)?,
                b"time" => found.time = text(value)?,
                b"id" => found.id = Some(text(value)?),
                b"agent" => found.agent = Cow::Borrowed(text(value)?),
                b"lease" => found.lease = Cow::Borrowed(text(value)?),
                b"host" => found.host = Cow::Borrowed(text(value)?),
                b"provider" => found.provider = Cow::Borrowed(text(value)?),
                b"connection" => found.connection = Cow::Borrowed(text(value)?),
                b"verdict" => found.verdict = Cow::Borrowed(text(value)?),
                b"status" => found.status = str::from_utf8(value).ok()?.parse().ok()?,
                _ => {}
            }
            match members.rest {
                b"}" => break,
                rest => members.rest = rest.strip_prefix(b",")?,
            }
        }
        (!found.event.is_empty() && !found.time.is_empty()).then_some(found)
    }
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
        let (name, rest) = name.split_at_checked(memchr::memchr(b'"', name)?)?;
        let value = rest.strip_prefix(b"\":")?;
        let length = match value.first()? {
            b'"' => memchr::memchr(b'"', value.get(1..)?)? + 2,
            // Of texts that are ours; one with a bracket in it is left to the parser.
            b'[' => memchr::memchr(b']', value)? + 1,
            b'{' => return None,
            _ => memchr::memchr2(b',', b'}', value)?,
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
            r#""path":"/a?b=","connection":"acme:al","verdict":"inject","provider":"acme","status":200,"notes":["renewed","replayed"],"#,
            r#""src":"00-1:77","seq":3,"prev":"ab"}"#,
        );
        assert_eq!(Line::plain(line.as_bytes()), parsed(line));
        assert!(parsed(line).is_some());
    }

    #[test]
    fn what_is_odd_is_left_to_the_parser() {
        for line in [
            r#"{"event":"close","time":"t","host":"a\u00ff"}"#,
            r#"{"event":"close","time":"t","notes":["a]","status"]}"#,
            r#"{"event":"close", "time":"t"}"#,
            r#"{"event":"close","time":"t","more":{"status":1}}"#,
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
            notes in proptest::collection::vec("[a-z\\]\\[,{}]{0,5}", 0..3),
        ) {
            let mut line = serde_json::json!({
                "v": 1, "event": "close", "time": "t", "id": "i", "agent": values[0], "path": values[1], "host": values[2],
                "connection": values[3], "notes": notes, "z": 1.5,
            });
            if let Some(status) = status {
                line["status"] = status.into();
            }
            let line = line.to_string();
            prop_assert_eq!(Line::read(line.as_bytes()), parsed(&line));
        }
    }
}
