//! The head, line by line: bytes are looked at once, however they arrive (RFC 9112 §2 to §5).

use std::ops::Range;
use std::time::Duration;

use http::Version;

use super::Malformed;
use super::fields::{Declared, Seen, check, may_trail};
use super::grammar::{check_text, find, is_plain, is_token_byte, split_at_byte, trim};
use super::start::{Form, Start, request_line, status_line};

/// How much of a head is taken, and how long a refused caller is listened to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Fields in one head.
    pub(crate) fields: u16,
    /// Bytes of one head, its last empty line included.
    pub(crate) head: u32,
    /// Bytes of one request-target.
    pub(crate) target: u32,
    /// How long the rest of a malformed request is read after the answer, so that the answer isn't lost to a reset.
    pub(crate) linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fields: 100, head: 64 * 1024, target: 16 * 1024, linger: Duration::from_secs(1) }
    }
}

/// 64 trailer fields; their bytes stay below what the engine takes.
const TRAILER_FIELDS: u16 = 64;
const TRAILER_BYTES: usize = 16 * 1024 - 1;
/// Room for the method and the version beside the longest target.
const AROUND_TARGET: usize = 64;

/// What kind of section is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A request head.
    Request,
    /// A response head.
    Response,
    /// The fields behind a chunked request body.
    RequestTrailers,
    /// The fields behind a chunked response body.
    ResponseTrailers,
}

/// A complete, valid head. It knows positions, not bytes: [`Head::view`] joins it with the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    start: Start,
    version: Version,
    declared: Declared,
    upgrade: bool,
    of_hop: bool,
    count: u16,
    fields_at: u32,
    len: u32,
}

impl Head {
    /// Reads one request head from the front of `bytes`; `None` while it is not complete.
    ///
    /// # Errors
    /// As [`Malformed`] says.
    pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Option<Self>, Malformed> {
        Parser::new(Shape::Request).feed(bytes, limits)
    }

    /// Its length in bytes, the empty line included.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// `HTTP/1.1` or `HTTP/1.0`.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The framing its fields declare.
    pub(crate) fn declared(&self) -> Declared {
        self.declared
    }

    /// Whether a request asks for another protocol.
    pub(crate) fn wants_upgrade(&self) -> bool {
        self.upgrade
    }

    /// Whether a request asks something of the next hop alone: `TE`, `Expect`, or a `Connection` that is more than kept alive.
    pub(crate) fn asks_of_hop(&self) -> bool {
        self.of_hop
    }

    /// Whether it is a CONNECT request.
    pub(crate) fn is_connect(&self) -> bool {
        matches!(self.start, Start::Request { form: Form::Authority, .. })
    }

    /// The form of a request's target.
    pub(crate) fn form(&self) -> Option<Form> {
        match self.start {
            Start::Request { form, .. } => Some(form),
            Start::Status(_) | Start::None => None,
        }
    }

    /// The status of a response; 0 for anything else.
    pub(crate) fn status(&self) -> u16 {
        match self.start {
            Start::Status(status) => status,
            Start::Request { .. } | Start::None => 0,
        }
    }

    /// The head's texts. `bytes` are those it was read from.
    pub(crate) fn view<'a>(&self, bytes: &'a [u8]) -> View<'a> {
        let text = |range: Range<usize>| bytes.get(range).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        let (method, target) = match self.start {
            Start::Request { method, target, .. } => {
                let after = usize::from(method) + 1;
                (text(0..usize::from(method)), text(after..after + target as usize))
            }
            Start::Status(_) | Start::None => ("", ""),
        };
        // The empty line at the end is no field.
        let fields = bytes.get(self.fields_at as usize..self.len().saturating_sub(2)).unwrap_or_default();
        View { method, target, fields, count: self.count.into() }
    }
}

/// The texts of a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The method of a request.
    pub(crate) method: &'a str,
    /// The request-target as sent.
    pub(crate) target: &'a str,
    fields: &'a [u8],
    /// How many fields there are; 0 where nobody has counted.
    pub(super) count: usize,
}

impl<'a> View<'a> {
    /// Only fields, as trailers are.
    pub(super) fn of_fields(fields: &'a [u8]) -> Self {
        Self { method: "", target: "", fields, count: 0 }
    }

    /// Every field's name as sent and its value without the white space around it, in order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.fields;
        std::iter::from_fn(move || {
            let (name, after) = split_at_byte(rest, b':')?;
            let (value, after) = split_at_byte(after, b'\n')?;
            rest = after;
            Some((name, trim(value.strip_suffix(b"\r")?)))
        })
    }

    /// The first field called `name`, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}

/// Whether a line's bytes are looked at one by one (RFC 9110 §5.5), or all lines' together later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Checked,
    Unchecked,
}

/// Reads one section of fields, with its start line if it has one, from bytes that arrive in any pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parser {
    shape: Shape,
    started: bool,
    start: Start,
    version: Version,
    seen: Seen,
    fields_at: u32,
    line: u32,
    scanned: u32,
}

impl Parser {
    /// A parser at the first byte of a section.
    pub(crate) fn new(shape: Shape) -> Self {
        let started = matches!(shape, Shape::RequestTrailers | Shape::ResponseTrailers);
        let (start, version) = (Start::None, Version::HTTP_11);
        Self { shape, started, start, version, seen: Seen::default(), fields_at: 0, line: 0, scanned: 0 }
    }

    /// Looks at what is new in `bytes`, which begin at the section's first byte; `None` while the section isn't complete.
    ///
    /// # Errors
    /// As [`Malformed`] says, as soon as the bytes at hand are known to be wrong.
    pub(crate) fn feed(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Head>, Malformed> {
        // A section that is here as a whole has its bytes checked at once, in vectors. Whatever is odd about one is found line by line.
        if self.scanned == 0 {
            let mut quick = *self;
            if let Ok(Some(head)) = quick.lines(bytes, limits, Text::Unchecked)
                && bytes.get(..head.len()).is_some_and(|whole| is_plain(whole, self.takes_obs_text()))
            {
                *self = quick;
                return Ok(Some(head));
            }
        }
        self.lines(bytes, limits, Text::Checked)
    }

    fn lines(&mut self, bytes: &[u8], limits: &Limits, text: Text) -> Result<Option<Head>, Malformed> {
        loop {
            // Nothing beyond the limit counts, so that the first mistake is the same one however the bytes arrive.
            let room = self.room(limits);
            let within = bytes.get(..room).unwrap_or(bytes);
            let rest = within.get(self.scanned as usize..).unwrap_or_default();
            let Some(at) = find(rest, b'\n') else {
                if text == Text::Checked {
                    self.check_partial(rest)?;
                }
                return if bytes.len() < room { Ok(None) } else { Err(self.overflow()) };
            };
            let end = self.scanned as usize + at;
            let line = within.get(self.line as usize..end).unwrap_or_default();
            let (line, ended) = line.strip_suffix(b"\r").map_or((line, false), |line| (line, true));
            if text == Text::Checked {
                check_text(line, self.takes_obs_text())?;
            }
            check(ended, Malformed::LineEnd)?;
            // Below the limit, a position always fits.
            self.scanned = u32::try_from(end + 1).unwrap_or(u32::MAX);
            self.line = self.scanned;
            if line.is_empty() {
                return self.finish().map(Some);
            }
            if self.started { self.field(line, limits)? } else { self.start_line(line, limits)? }
        }
    }

    /// A line that is not complete may already hold what no line may.
    fn check_partial(&mut self, rest: &[u8]) -> Result<(), Malformed> {
        // Whether a final CR stands alone is known only when the next byte is here.
        let sound = rest.strip_suffix(b"\r").unwrap_or(rest);
        check_text(sound, self.takes_obs_text())?;
        self.scanned = self.scanned.saturating_add(u32::try_from(sound.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    /// The line that is being read must end within so many bytes of the section.
    fn room(&self, limits: &Limits) -> usize {
        match self.shape {
            Shape::RequestTrailers | Shape::ResponseTrailers => TRAILER_BYTES,
            Shape::Request if !self.started => limits.target.min(limits.head) as usize + AROUND_TARGET,
            Shape::Request | Shape::Response => limits.head as usize,
        }
    }

    fn overflow(&self) -> Malformed {
        match self.shape {
            Shape::RequestTrailers | Shape::ResponseTrailers => Malformed::TrailersTooLarge,
            Shape::Request if !self.started => Malformed::TargetTooLong,
            Shape::Request | Shape::Response => Malformed::HeadTooLarge,
        }
    }

    fn takes_obs_text(&self) -> bool {
        matches!(self.shape, Shape::Response | Shape::ResponseTrailers)
    }

    fn start_line(&mut self, line: &[u8], limits: &Limits) -> Result<(), Malformed> {
        let (start, version) = match self.shape {
            Shape::Request => request_line(line, limits)?,
            _ => status_line(line)?,
        };
        (self.start, self.version, self.started, self.fields_at) = (start, version, true, self.line);
        Ok(())
    }

    fn field(&mut self, line: &[u8], limits: &Limits) -> Result<(), Malformed> {
        let colon = line.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(line.len());
        let (name, rest) = line.split_at_checked(colon).ok_or(Malformed::FieldName)?;
        let Some((b':', value)) = rest.split_first() else {
            return Err(if matches!(line.first(), Some(b' ' | b'\t')) { Malformed::Folding } else { Malformed::FieldName });
        };
        check(!name.is_empty(), Malformed::FieldName)?;
        self.seen.count = self.seen.count.saturating_add(1);
        match self.shape {
            Shape::Request => {
                check(self.seen.count <= limits.fields, Malformed::TooManyFields)?;
                self.seen.request_field(name, value)
            }
            Shape::Response => {
                check(self.seen.count <= limits.fields, Malformed::TooManyFields)?;
                self.seen.response_field(name, value)
            }
            Shape::RequestTrailers | Shape::ResponseTrailers => {
                check(self.seen.count <= TRAILER_FIELDS, Malformed::TrailersTooLarge)?;
                check(may_trail(name), Malformed::Trailer)
            }
        }
    }

    fn finish(&self) -> Result<Head, Malformed> {
        check(self.started, Malformed::LeadingLine)?;
        let (start, version) = (self.start, self.version);
        let declared = self.seen.declared(version)?;
        let Seen { upgrade, of_hop, count, .. } = self.seen;
        let head = Head { start, version, declared, upgrade, of_hop, count, fields_at: self.fields_at, len: self.line };
        if self.shape == Shape::Request {
            self.seen.check_request(version, head.is_connect(), declared)?;
        }
        Ok(head)
    }
}
