//! A record's lines: JSON (RFC 8259), one event each, ASCII only.

use std::ops::Range;

use http::Version;
use jiff::Timestamp;

use super::clock::Clock;
use super::record::{Approval, Door, Field, Kind, Record, Verdict, Word};
use super::text::{address, decimal, escape};

/// How the line of an opened request begins; [`super::spool`] must tell those from others when a write fails.
pub(super) const OPEN: &[u8] = br#"{"v":1,"event":"open""#;
/// How the line of an opened tunnel begins.
pub(super) const TUNNEL_OPEN: &[u8] = br#"{"v":1,"event":"tunnel_open""#;

/// The id of the request or tunnel that `line` opens; `None` for any other line.
pub(super) fn opened(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(OPEN).or_else(|| line.strip_prefix(TUNNEL_OPEN))?.strip_prefix(ID)?;
    str::from_utf8(rest.get(..memchr::memchr(b'"', rest)?)?).ok()
}

/// How the id follows.
const ID: &[u8] = br#","id":""#;

/// Where the chain's own lines come from, in place of a spool.
pub(super) const CHAIN: &str = "chain";

/// Which of its moments a record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// It may leave.
    Open,
    /// It has ended.
    Close,
    /// It never left.
    Refuse,
}

/// Appends the line of `record`'s `moment`; says which bytes of `out` tell what both lines do, for [`Record::keep`].
pub(super) fn write(out: &mut Vec<u8>, moment: Moment, record: &Record, clock: &mut Clock) -> Range<usize> {
    out.extend_from_slice(match (moment, record.kind) {
        (Moment::Open, Kind::Request) => OPEN,
        (Moment::Open, Kind::Tunnel) => TUNNEL_OPEN,
        (Moment::Close, Kind::Request) => br#"{"v":1,"event":"close""#,
        (Moment::Close, Kind::Tunnel) => br#"{"v":1,"event":"tunnel_close""#,
        (Moment::Refuse, Kind::Request) => br#"{"v":1,"event":"refuse""#,
        (Moment::Refuse, Kind::Tunnel) => br#"{"v":1,"event":"tunnel_refuse""#,
    });
    quoted(out, ID, record.id.as_str().as_bytes());
    time(out, clock);
    let from = out.len();
    match record.kept() {
        Some(kept) => out.extend_from_slice(kept),
        None => what(out, record),
    }
    let both = from..out.len();
    match (moment, record.kind) {
        (Moment::Close, Kind::Request) => {}
        // A tunnel has its handshake after it was opened.
        (Moment::Close, Kind::Tunnel) => text(out, br#","sni":""#, record, Field::Sni),
        (Moment::Open | Moment::Refuse, _) => whence(out, record),
    }
    if moment != Moment::Open {
        outcome(out, record);
    }
    out.extend_from_slice(b"}\n");
    both
}

/// Appends the line of an event that is not a request's. Keys and name are ours, values may be anybody's.
pub(super) fn write_event(out: &mut Vec<u8>, name: &'static str, details: &[(&'static str, &str)], clock: &mut Clock) {
    quoted(out, br#"{"v":1,"event":""#, name.as_bytes());
    time(out, clock);
    for (key, value) in details {
        quoted(out, br#",""#, key.as_bytes());
        out.extend_from_slice(br#":""#);
        escape(out, value.as_bytes(), 1024);
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
}

fn time(out: &mut Vec<u8>, clock: &mut Clock) {
    out.extend_from_slice(br#","time":""#);
    clock.now(out);
    out.push(b'"');
}

/// What both lines say, so that each can be read alone.
fn what(out: &mut Vec<u8>, record: &Record) {
    text(out, br#","agent":""#, record, Field::Agent);
    text(out, br#","lease":""#, record, Field::Lease);
    text(out, br#","method":""#, record, Field::Method);
    word(out, br#","scheme":""#, record.scheme.map(crate::model::Scheme::as_str));
    text(out, br#","host":""#, record, Field::Host);
    number(out, br#","port":"#, record.port);
    text(out, br#","path":""#, record, Field::Path);
    text(out, br#","connection":""#, record, Field::Connection);
    text(out, br#","provider":""#, record, Field::Provider);
    word(out, br#","verdict":""#, record.verdict.map(verdict));
    if record.text(Field::Canary).is_some() {
        canary(out, record);
    }
}

#[cold]
fn canary(out: &mut Vec<u8>, record: &Record) {
    text(out, br#","canary":{"place":""#, record, Field::Canary);
    text(out, br#","agent":""#, record, Field::CanaryAgent);
    text(out, br#","connection":""#, record, Field::CanaryConnection);
    out.push(b'}');
}

fn whence(out: &mut Vec<u8>, record: &Record) {
    if let Some(source) = record.source {
        out.extend_from_slice(br#","source":""#);
        address(out, source);
        out.push(b'"');
    }
    text(out, br#","process":""#, record, Field::Process);
    word(out, br#","door":""#, record.door.map(door));
    text(out, br#","sni":""#, record, Field::Sni);
    word(out, br#","http":""#, record.http.map(version));
    text(out, br#","strategy":""#, record, Field::Strategy);
    text(out, br#","rule":""#, record, Field::Rule);
    text(out, br#","would_refuse":""#, record, Field::Report);
    record.word.iter().for_each(|said| persons(out, said));
}

fn persons(out: &mut Vec<u8>, Word { approval, would_hold, .. }: &Word) {
    if !would_hold.is_empty() {
        quoted(out, br#","would_hold":""#, would_hold);
    }
    let Some(Approval { how, id, by, at }) = approval else { return };
    quoted(out, br#","approval":""#, how.as_bytes());
    let at = Timestamp::try_from(*at).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (key, value) in [("approval_id", id), ("approved_by", by), ("approved_at", &at)] {
        quoted(out, br#",""#, key.as_bytes());
        out.extend_from_slice(br#":""#);
        escape(out, value.as_bytes(), 128);
        out.push(b'"');
    }
}

fn outcome(out: &mut Vec<u8>, record: &Record) {
    text(out, br#","refusal":""#, record, Field::Refusal);
    text(out, br#","made":""#, record, Field::Made);
    if let Some(dialled) = record.dialled {
        out.extend_from_slice(br#","dialled":""#);
        address(out, dialled);
        out.push(b'"');
    }
    word(out, br#","upstream_http":""#, record.upstream_http.map(version));
    number(out, br#","status":"#, record.status);
    number(out, br#","bytes_up":"#, Some(record.bytes_up));
    number(out, br#","bytes_down":"#, Some(record.bytes_down));
    let took = u64::try_from(record.took().as_micros()).unwrap_or(u64::MAX);
    number(out, br#","duration_us":"#, Some(took));
    record.word.iter().for_each(|said| held(out, said));
    number(out, br#","guard_hits":"#, Some(record.guard_hits).filter(|&hits| hits > 0));
    notes(out, &record.notes);
}

/// The part of that time in which it waited for a person.
fn held(out: &mut Vec<u8>, Word { held, .. }: &Word) {
    let held = u64::try_from(held.as_micros()).unwrap_or(u64::MAX);
    number(out, br#","held_us":"#, Some(held).filter(|held| *held > 0));
}

fn notes(out: &mut Vec<u8>, notes: &[&'static str]) {
    let Some((first, rest)) = notes.split_first() else { return };
    quoted(out, br#","notes":[""#, first.as_bytes());
    for note in rest {
        quoted(out, br#",""#, note.as_bytes());
    }
    out.push(b']');
}

fn text(out: &mut Vec<u8>, key: &[u8], record: &Record, field: Field) {
    if let Some(value) = record.text(field) {
        quoted(out, key, value);
    }
}

fn word(out: &mut Vec<u8>, key: &[u8], word: Option<&'static str>) {
    if let Some(word) = word {
        quoted(out, key, word.as_bytes());
    }
}

fn number(out: &mut Vec<u8>, key: &[u8], number: Option<impl Into<u64>>) {
    if let Some(number) = number {
        out.extend_from_slice(key);
        decimal(out, number.into());
    }
}

/// `start` ends with the opening quote; `value` is escaped already.
fn quoted(out: &mut Vec<u8>, start: &[u8], value: &[u8]) {
    out.extend_from_slice(start);
    out.extend_from_slice(value);
    out.push(b'"');
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Inject => "inject",
        Verdict::Pass => "pass",
        Verdict::Tunnel => "tunnel",
        Verdict::Intercept => "intercept",
        Verdict::Answer => "answer",
        Verdict::Refuse => "refuse",
    }
}

fn door(door: Door) -> &'static str {
    match door {
        Door::Connect => "connect",
        Door::Absolute => "absolute",
        Door::BaseUrl => "base_url",
    }
}

pub(super) fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_11 => "1.1",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "other",
    }
}
