//! One message body at a time, for whoever holds the bytes of a stream itself and needs to know where the body stands in them.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::chunked::{Chunked, Done};
use super::common::common_name;
use super::fields::Declared;
use super::parse::View;
use super::{Head, Limits, Malformed, Parser, Shape};

/// The framing of one response body (RFC 9112 §6.3).
#[derive(Debug)]
pub(crate) struct Framing(Phase);

#[derive(Debug)]
enum Phase {
    Length(u64),
    Chunked(Chunked),
    Trailers(Parser),
    UntilClose,
    Ended,
}

/// What the next bytes of a body are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The bytes before this range are framing, those in it are data.
    Data(Range<usize>),
    /// So many bytes are framing; behind them more must come.
    More(usize),
    /// So many bytes are a trailer section.
    Trailers(usize),
    /// The body has ended; so many bytes are framing.
    End(usize),
}

impl Framing {
    /// Of the response with `head`; `bodiless` if its request's method was HEAD.
    pub(crate) fn of_response(head: &Head, bodiless: bool) -> Self {
        Self(match head.declared() {
            _ if bodiless || matches!(head.status(), 204 | 304) => Phase::Ended,
            Declared::Length(0) => Phase::Ended,
            Declared::Length(length) => Phase::Length(length),
            Declared::Chunked => Phase::Chunked(Chunked::new()),
            Declared::Nothing => Phase::UntilClose,
        })
    }

    /// Whether nothing more belongs to the body.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.0, Phase::Ended)
    }

    /// Whether the end of the stream is the end of the body.
    pub(crate) fn may_end(&self) -> bool {
        matches!(self.0, Phase::Ended | Phase::UntilClose)
    }

    /// Whether the stream can carry another message after this one.
    pub(crate) fn delimits(&self) -> bool {
        !matches!(self.0, Phase::UntilClose)
    }

    /// The stream has ended where that ends the body.
    pub(crate) fn end(&mut self) {
        self.0 = Phase::Ended;
    }

    /// How many bytes are still to come, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self.0 {
            Phase::Length(left) => Some(left),
            Phase::Ended => Some(0),
            Phase::Chunked(_) | Phase::Trailers(_) | Phase::UntilClose => None,
        }
    }

    /// What `bytes` begin with: those that no earlier piece took.
    ///
    /// # Errors
    /// As [`Malformed`] says.
    pub(crate) fn next(&mut self, bytes: &[u8], limits: &Limits) -> Result<Piece, Malformed> {
        let mut skipped = 0;
        loop {
            let rest = bytes.get(skipped..).unwrap_or_default();
            match &mut self.0 {
                Phase::Ended => return Ok(Piece::End(skipped)),
                _ if rest.is_empty() => return Ok(Piece::More(skipped)),
                Phase::UntilClose => return Ok(Piece::Data(skipped..bytes.len())),
                Phase::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        self.0 = Phase::Ended;
                    }
                    return Ok(Piece::Data(skipped..skipped + taken));
                }
                Phase::Chunked(chunked) => {
                    let (before, data, done) = chunked.pull(rest)?;
                    if done == Done::LastChunk {
                        self.0 = Phase::Trailers(Parser::new(Shape::ResponseTrailers));
                    }
                    skipped += before;
                    if data > 0 {
                        return Ok(Piece::Data(skipped..skipped + data));
                    }
                }
                Phase::Trailers(parser) => {
                    // The section is read from its first byte each time, so what stands before it must be gone.
                    if skipped > 0 {
                        return Ok(Piece::More(skipped));
                    }
                    let Some(trailers) = parser.feed(rest, limits)? else { return Ok(Piece::More(0)) };
                    self.0 = Phase::Ended;
                    return Ok(Piece::Trailers(trailers.len()));
                }
            }
        }
    }
}

/// The fields of a trailer section, `whole` with its empty line.
pub(crate) fn section(whole: &[u8]) -> View<'_> {
    View::of_fields(whole.strip_suffix(b"\r\n").unwrap_or(whole))
}

/// The fields of a section as a map, without copying their values: `whole` are the bytes that `view` looks at.
///
/// # Errors
/// [`Malformed::FieldName`] for one that the map can't hold, which the strict reader has refused before.
pub(crate) fn fields_of(view: &View<'_>, whole: &Bytes) -> Result<HeaderMap, Malformed> {
    let mut fields = HeaderMap::try_with_capacity(view.count).map_err(|_full| Malformed::TooManyFields)?;
    for (name, value) in view.fields() {
        let name = match common_name(name) {
            Some(common) => common.clone(),
            None => HeaderName::from_bytes(name).map_err(|_invalid| Malformed::FieldName)?,
        };
        let value = HeaderValue::from_maybe_shared(whole.slice_ref(value)).map_err(|_invalid| Malformed::FieldName)?;
        fields.try_append(name, value).map_err(|_full| Malformed::TooManyFields)?;
    }
    Ok(fields)
}
