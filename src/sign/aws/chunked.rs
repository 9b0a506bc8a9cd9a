//! Bodies in signed chunks (`Content-Encoding: aws-chunked`): each chunk's signature made anew, its length kept.
//!
//! Source: S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" and "...
//! Including Trailing Headers".

use aws_sigv4::sign::v4::calculate_signature;
use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::scope::Scope;

/// The largest chunk that is held: its signature stands before its data and covers them. SDKs send 64 KiB to 1 MiB.
const MAX_CHUNK: usize = 8 * 1024 * 1024;

/// The longest `HEX;chunk-signature=HEX` with its line end: 8 digits, the word, 64 digits.
const MAX_HEADER: usize = 8 + EXTENSION.len() + SIGNATURE + 2;

/// The longest trailer line with its line end.
const MAX_TRAILER: usize = 4 * 1024;

/// How many trailers may follow; SDKs send one.
const MAX_TRAILERS: usize = 16;

/// Hex digits of a signature.
const SIGNATURE: usize = 64;

const EXTENSION: &str = ";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// SHA-256 of nothing, in the place of a chunk's headers.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Why a chunked body cannot be signed anew. None of it is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkError {
    /// Not `HEX;chunk-signature=HEX`.
    #[error("a chunk of the body does not begin with SIZE;chunk-signature=SIGNATURE, as x-amz-content-sha256 promises")]
    Header,
    /// Would have to be held whole.
    #[error("a chunk of the body is larger than 8 MiB; set a smaller chunk size in the SDK")]
    Size,
    /// Framing lost.
    #[error("a chunk of the body does not end where its size says")]
    End,
    /// Not `name:value`, too long, or too many.
    #[error("the trailers of the body are not up to 16 lines of NAME:VALUE and x-amz-trailer-signature")]
    Trailer,
    /// Bytes that nothing covers.
    #[error("the body goes on behind its last chunk")]
    Beyond,
    /// The end came early.
    #[error("the body ends before its last chunk")]
    Cut,
    /// An earlier call has failed.
    #[error("the body was malformed before this point")]
    Broken,
}

/// What comes next.
#[derive(Clone, Copy)]
enum State {
    /// `HEX;chunk-signature=HEX` CRLF.
    Header,
    /// So many bytes of data.
    Data(usize),
    /// The CRLF behind them, and whether they were the last chunk's.
    DataEnd {
        last: bool,
    },
    /// `name:value` lines and the signature; `bare` after a line that ended without CR.
    Trailer {
        bare: bool,
    },
    /// The CRLF behind the trailers.
    TrailerEnd,
    Done,
    Broken,
}

/// Signs the chunks of one body anew as they pass. It emits as many bytes as it is fed, never part of a chunk.
///
/// The same bytes in any split give the same output. A second sending of the body takes the [`Rechunk`] of its own signature.
pub(crate) struct Rechunk {
    key: Zeroizing<Vec<u8>>,
    /// `TIME LF SCOPE`, the same in each text that is signed.
    context: String,
    /// The signature before the next one.
    previous: String,
    trailers: bool,
    state: State,
    /// A line that has not ended.
    line: Vec<u8>,
    hash: Sha256,
    /// `name:value` of each trailer.
    fields: Vec<(String, String)>,
    /// What is signed and may go, then the chunk that is being read.
    out: BytesMut,
    /// How much of `out` may go.
    ready: usize,
    /// Where in `out` the next signature goes.
    slot: usize,
}

impl Rechunk {
    /// Chunks that follow the signature `seed` of the head, made with `key` at `stamp` (such as `20130524T000000Z`).
    pub(super) fn new(key: Zeroizing<Vec<u8>>, stamp: &str, scope: &Scope, seed: String, trailers: bool) -> Self {
        let date = stamp.get(..8).unwrap_or_default();
        let context = format!("{stamp}\n{date}/{}/{}/aws4_request", scope.region, scope.service);
        Self {
            key,
            context,
            previous: seed,
            trailers,
            state: State::Header,
            line: Vec::new(),
            hash: Sha256::new(),
            fields: Vec::new(),
            out: BytesMut::new(),
            ready: 0,
            slot: 0,
        }
    }

    /// Takes the next bytes of the body, in any split; gives those that may go, maybe none.
    ///
    /// # Errors
    /// Malformed chunking. Nothing of the chunk in question is given, and no later call succeeds.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<Bytes, ChunkError> {
        while !piece.is_empty() {
            match self.step(piece) {
                Ok(rest) => piece = rest,
                Err(error) => {
                    self.state = State::Broken;
                    return Err(error);
                }
            }
        }
        let ready = std::mem::take(&mut self.ready);
        self.slot = self.slot.saturating_sub(ready);
        Ok(self.out.split_to(ready).freeze())
    }

    /// Bytes of the chunk that is not whole yet.
    pub(crate) fn held(&self) -> usize {
        self.out.len()
    }

    /// The body `whole`, signed anew.
    ///
    /// # Errors
    /// As [`ChunkError`] says.
    pub(crate) fn all(&mut self, whole: &[u8]) -> Result<Bytes, ChunkError> {
        let signed = self.feed(whole)?;
        self.finish()?;
        Ok(signed)
    }

    /// To be called at the end of the body.
    ///
    /// # Errors
    /// The last chunk, or what follows it, has not come.
    pub(crate) fn finish(&self) -> Result<(), ChunkError> {
        match self.state {
            State::Done => Ok(()),
            State::Broken => Err(ChunkError::Broken),
            _ => Err(ChunkError::Cut),
        }
    }

    /// Takes a part of `piece` and gives the rest.
    fn step<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], ChunkError> {
        let (most, over) = match self.state {
            State::Data(left) => return Ok(self.data(left, piece)),
            State::Header => (MAX_HEADER, ChunkError::Header),
            State::DataEnd { .. } => (2, ChunkError::End),
            State::Trailer { .. } => (MAX_TRAILER, ChunkError::Trailer),
            State::TrailerEnd => (2, ChunkError::Trailer),
            State::Done => return Err(ChunkError::Beyond),
            State::Broken => return Err(ChunkError::Broken),
        };
        let end = memchr::memchr(b'\n', piece).map(|at| at + 1);
        let (taken, rest) = piece.split_at(end.unwrap_or(piece.len()));
        if self.line.len() + taken.len() > most {
            return Err(over);
        }
        self.line.extend_from_slice(taken);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.state = self.line_end(&line)?;
        }
        Ok(rest)
    }

    fn data<'a>(&mut self, left: usize, piece: &'a [u8]) -> &'a [u8] {
        let (taken, rest) = piece.split_at(left.min(piece.len()));
        self.hash.update(taken);
        self.out.extend_from_slice(taken);
        self.state = match left - taken.len() {
            0 => State::DataEnd { last: false },
            left => State::Data(left),
        };
        rest
    }

    /// A whole line, its LF included: what comes after it.
    fn line_end(&mut self, line: &[u8]) -> Result<State, ChunkError> {
        match self.state {
            State::Header => self.header(line),
            State::DataEnd { last } => {
                if line != b"\r\n" {
                    return Err(ChunkError::End);
                }
                self.out.extend_from_slice(line);
                self.sign_chunk();
                Ok(if last { State::Done } else { State::Header })
            }
            State::Trailer { bare } => self.trailer(line, bare),
            State::TrailerEnd if line == b"\r\n" => {
                self.out.extend_from_slice(line);
                self.ready = self.out.len();
                Ok(State::Done)
            }
            State::TrailerEnd => Err(ChunkError::Trailer),
            State::Data(_) | State::Done | State::Broken => Err(ChunkError::Broken),
        }
    }

    fn header(&mut self, line: &[u8]) -> Result<State, ChunkError> {
        let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_suffix("\r\n")).ok_or(ChunkError::Header)?;
        let (size, signature) = text.split_once(EXTENSION).ok_or(ChunkError::Header)?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        if !digits(size) || !(1..=8).contains(&size.len()) || !digits(signature) || signature.len() != SIGNATURE {
            return Err(ChunkError::Header);
        }
        let length = usize::from_str_radix(size, 16).map_err(|_too_large| ChunkError::Size)?;
        if length > MAX_CHUNK {
            return Err(ChunkError::Size);
        }
        self.slot = self.out.len() + size.len() + EXTENSION.len();
        self.out.extend_from_slice(line);
        Ok(match length {
            0 if self.trailers => {
                self.sign_chunk();
                State::Trailer { bare: false }
            }
            0 => State::DataEnd { last: true },
            length => State::Data(length),
        })
    }

    fn trailer(&mut self, line: &[u8], bare: bool) -> Result<State, ChunkError> {
        // minio-go ends a trailer with LF and sets a CRLF behind the last.
        if bare && line == b"\r\n" {
            self.out.extend_from_slice(line);
            return Ok(State::Trailer { bare: false });
        }
        let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_suffix('\n')).ok_or(ChunkError::Trailer)?;
        let content = text.strip_suffix('\r').unwrap_or(text);
        let (name, value) = content.split_once(':').ok_or(ChunkError::Trailer)?;
        let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(token) || value.contains(char::is_control) {
            return Err(ChunkError::Trailer);
        }
        if name.eq_ignore_ascii_case(TRAILER_SIGNATURE) {
            return self.trailer_signature(line, name.len() + 1, value);
        }
        if self.fields.len() == MAX_TRAILERS {
            return Err(ChunkError::Trailer);
        }
        self.out.extend_from_slice(line);
        self.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        Ok(State::Trailer { bare: text.len() == content.len() })
    }

    /// The line whose value, `at` bytes from its start, is the signature of all trailers.
    fn trailer_signature(&mut self, line: &[u8], at: usize, value: &str) -> Result<State, ChunkError> {
        let framed = line.ends_with(b"\r\n") && value.len() == SIGNATURE && value.bytes().all(|b| b.is_ascii_hexdigit());
        if !framed || self.fields.is_empty() {
            return Err(ChunkError::Trailer);
        }
        self.slot = self.out.len() + at;
        self.out.extend_from_slice(line);
        self.fields.sort();
        let mut hash = Sha256::new();
        for (name, value) in self.fields.drain(..) {
            hash.update(format!("{name}:{value}\n"));
        }
        self.sign("AWS4-HMAC-SHA256-TRAILER", &hex(&hash.finalize()));
        Ok(State::TrailerEnd)
    }

    fn sign_chunk(&mut self) {
        let hash = hex(&self.hash.finalize_reset());
        self.sign("AWS4-HMAC-SHA256-PAYLOAD", &format!("{NOTHING}\n{hash}"));
        self.ready = self.out.len();
    }

    /// Makes the next signature of the chain and writes it to its place.
    fn sign(&mut self, algorithm: &str, payload: &str) {
        let text = format!("{algorithm}\n{}\n{}\n{payload}", self.context, self.previous);
        self.previous = calculate_signature(&*self.key, text.as_bytes());
        if let Some(slot) = self.out.get_mut(self.slot..self.slot + SIGNATURE) {
            slot.copy_from_slice(self.previous.as_bytes());
        }
    }
}

fn hex(hash: &[u8]) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::with_capacity(SIGNATURE), |mut text, b| {
        let _infallible = write!(text, "{b:02x}");
        text
    })
}
