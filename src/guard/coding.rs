//! Content codings (RFC 9110 §8.4.1), undone as they stream: in little memory, and with a bound on what may come of little.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as Zstd, Operation as _};

/// What is decoded at once.
const PIECE: usize = 32 * 1024;
/// RFC 9659 §3: 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Nobody codes more than once; two are read for those who do.
const LAYERS: usize = 2;
/// What may come of little all the same.
const ALLOWANCE: u64 = 64 * 1024 * 1024;
/// What may come of one byte beyond that. Logs and tables reach a tenth of it.
const EXPANSION: u64 = 200;

/// A coding that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    /// zlib, as the standard says, or the bare format, as some services send it.
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body could not be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("its content coding is malformed")]
    Malformed,
    #[error("it ends in the middle of its content coding")]
    Truncated,
    #[error("its content coding makes too much of too little")]
    Expands,
}

impl Error {
    /// A stable word for records.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed_coding",
            Self::Truncated => "truncated_coding",
            Self::Expands => "expanding_coding",
        }
    }
}

impl Coding {
    /// By its name; `Some(None)` for names that code nothing: `aws-chunked` is stored by some clients of S3 as if it were one,
    /// `utf-8` is said by services that mean the character set.
    pub(crate) fn named(name: &[u8]) -> Option<Option<Self>> {
        const NAMES: [(&[u8], Option<Coding>); 9] = [
            (b"", None),
            (b"identity", None),
            (b"gzip", Some(Coding::Gzip)),
            (b"br", Some(Coding::Brotli)),
            (b"zstd", Some(Coding::Zstd)),
            (b"deflate", Some(Coding::Deflate)),
            (b"x-gzip", Some(Coding::Gzip)),
            (b"aws-chunked", None),
            (b"utf-8", None),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, coding)| *coding)
    }
}

/// One stream, decoded piece by piece.
pub(crate) struct Decoder {
    /// In the order in which they are undone.
    layers: Vec<Layer>,
    allowance: u64,
    came: u64,
    gave: u64,
}

struct Layer {
    engine: Engine,
    input: Bytes,
    /// More may come of what was taken already.
    full: bool,
    begun: bool,
    ended: bool,
    /// Padding follows, to the end.
    over: bool,
}

enum Engine {
    Gzip(Decompress),
    /// `None`: which of the two formats it is, its first byte says.
    Deflate(Option<Decompress>),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(Zstd<'static>),
}

/// How much of the input was taken and of the output made, and whether a stream has ended.
struct Step {
    taken: usize,
    made: usize,
    ended: bool,
}

impl Decoder {
    /// Undoes `codings`, named in the order in which they were applied; `None` if there are too many.
    pub(crate) fn new(codings: &[Coding]) -> Option<Self> {
        Self::with_allowance(codings, ALLOWANCE)
    }

    /// The same, where so many bytes may come of anything.
    pub(super) fn with_allowance(codings: &[Coding], allowance: u64) -> Option<Self> {
        let layers: Option<Vec<Layer>> = codings.iter().rev().map(|coding| Layer::new(*coding)).collect();
        layers.filter(|layers| layers.len() <= LAYERS).map(|layers| Self { layers, allowance, came: 0, gave: 0 })
    }

    /// Takes what came. What came before has been decoded.
    pub(crate) fn push(&mut self, data: Bytes) {
        self.came = self.came.saturating_add(data.len() as u64);
        if let Some(layer) = self.layers.first_mut() {
            layer.input = data;
        }
    }

    /// The next piece of what came; `None` once more must come.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(at) = self.layers.iter().rposition(|layer| layer.full || !layer.input.is_empty()) {
            let Some(layer) = self.layers.get_mut(at) else { break };
            let piece = layer.step()?;
            // What a layer between makes counts as well: the last one may make little of much.
            self.gave = self.gave.saturating_add(piece.len() as u64);
            if self.gave > self.allowance.saturating_add(self.came.saturating_mul(EXPANSION)) {
                return Err(Error::Expands);
            }
            match self.layers.get_mut(at + 1) {
                Some(next) => next.input = piece,
                None if piece.is_empty() => {}
                None => return Ok(Some(piece)),
            }
        }
        Ok(None)
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub(crate) fn finish(&self) -> Result<(), Error> {
        if self.layers.iter().all(|layer| layer.ended || !layer.begun) { Ok(()) } else { Err(Error::Truncated) }
    }
}

impl Layer {
    fn new(coding: Coding) -> Option<Self> {
        let engine = match coding {
            Coding::Gzip => Engine::Gzip(gzip()),
            Coding::Deflate => Engine::Deflate(None),
            Coding::Brotli => {
                let new = BrotliState::new_strict;
                Engine::Brotli(Box::new(new(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default())))
            }
            Coding::Zstd => {
                let mut engine = Zstd::new().ok()?;
                engine.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
                Engine::Zstd(engine)
            }
        };
        Some(Self { engine, input: Bytes::new(), full: false, begun: false, ended: false, over: false })
    }

    fn step(&mut self) -> Result<Bytes, Error> {
        if self.over || (self.ended && !self.begins_again()) {
            self.over |= !self.input.is_empty();
            self.input.clear();
            self.full = false;
            return Ok(Bytes::new());
        }
        self.begun = true;
        let mut output = vec![0; PIECE];
        let Step { taken, made, ended } = self.engine.step(&self.input, &mut output)?;
        self.input.advance(taken);
        self.ended = ended;
        self.full = !ended && made == output.len();
        if taken == 0 && made == 0 && !ended && !self.input.is_empty() {
            return Err(Error::Malformed);
        }
        output.truncate(made);
        Ok(output.into())
    }

    /// Whether another stream follows the one that has ended (RFC 1952 §2.2, RFC 8878 §3); what else may follow is padding.
    fn begins_again(&mut self) -> bool {
        match (&mut self.engine, self.input.first()) {
            (Engine::Gzip(engine), Some(0x1f)) => *engine = gzip(),
            (Engine::Zstd(_), Some(0x28 | 0x50..=0x5f)) => {}
            _ => return false,
        }
        self.ended = false;
        true
    }
}

fn gzip() -> Decompress {
    Decompress::new_gzip(15)
}

impl Engine {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Error> {
        match self {
            Self::Gzip(engine) => inflate(engine, input, output),
            Self::Deflate(engine) => {
                // RFC 1950 §2.2: the method is 8. A bare stream whose first byte looks so holds nothing.
                let zlib = input.first().is_none_or(|first| first & 0x0f == 8);
                inflate(engine.get_or_insert_with(|| Decompress::new(zlib)), input, output)
            }
            Self::Brotli(state) => unbrotli(state, input, output),
            Self::Zstd(engine) => {
                let status = engine.run_on_buffers(input, output).map_err(|_why| Error::Malformed)?;
                Ok(Step { taken: status.bytes_read, made: status.bytes_written, ended: status.remaining == 0 })
            }
        }
    }
}

fn inflate(engine: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<Step, Error> {
    let (came, gave) = (engine.total_in(), engine.total_out());
    let status = engine.decompress(input, output, FlushDecompress::None).map_err(|_why| Error::Malformed)?;
    let moved = |now: u64, before: u64| usize::try_from(now - before).unwrap_or_default();
    let (taken, made) = (moved(engine.total_in(), came), moved(engine.total_out(), gave));
    Ok(Step { taken, made, ended: status == Status::StreamEnd })
}

fn unbrotli(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    input: &[u8],
    output: &mut [u8],
) -> Result<Step, Error> {
    let (mut left, mut taken, mut room, mut made, mut total) = (input.len(), 0, output.len(), 0, 0);
    let result = BrotliDecompressStream(&mut left, &mut taken, input, &mut room, &mut made, output, &mut total, state);
    match result {
        BrotliResult::ResultFailure => Err(Error::Malformed),
        BrotliResult::ResultSuccess => Ok(Step { taken, made, ended: true }),
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(Step { taken, made, ended: false }),
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Decoder(..)")
    }
}
