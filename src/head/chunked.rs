//! The chunked transfer coding, byte for byte but with its data skipped over (RFC 9112 §7.1).

use super::grammar::is_token_byte;
use super::{Malformed, Watch};

/// Extension bytes of one chunk and of one body; nobody sends any, so this is ample.
const EXTENSION_BYTES: u16 = 1024;
const EXTENSION_BYTES_IN_ALL: u32 = 8 * 1024;

/// Where in a chunk the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    ExtensionName { empty: bool },
    ExtensionValue { empty: bool },
    Quoted { escaped: bool },
    AfterQuote,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    Last,
}

/// A chunked body up to its last chunk; the trailer section behind it is read as fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunked {
    at: At,
    digits: u8,
    extension: u16,
    extensions: u32,
    left: u64,
}

/// How far [`Chunked::advance`] came, and why no further.
pub(super) struct Progress {
    pub(super) used: usize,
    pub(super) result: Result<Done, Malformed>,
}

/// Whether the line of the last chunk has been read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    NotYet,
    LastChunk,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { at: At::Size, digits: 0, extension: 0, extensions: 0, left: 0 }
    }

    /// Reads on through `bytes`. On an error, what was used is still valid.
    pub(super) fn advance(&mut self, bytes: &[u8], watch: &mut impl Watch) -> Progress {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.at == At::Data {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                let (data, after) = rest.split_at_checked(take).unwrap_or((rest, &[]));
                watch.data(data);
                self.left -= data.len() as u64;
                self.at = if self.left == 0 { At::DataReturn } else { At::Data };
                rest = after;
                continue;
            }
            match self.step(byte) {
                Ok(next) => self.at = next,
                Err(malformed) => return Progress { used: bytes.len() - rest.len(), result: Err(malformed) },
            }
            rest = after;
            if self.at == At::Last {
                return Progress { used: bytes.len() - rest.len(), result: Ok(Done::LastChunk) };
            }
        }
        Progress { used: bytes.len(), result: Ok(Done::NotYet) }
    }

    /// Reads to the next data: how many bytes of framing stand before it, and how many of data are here.
    pub(super) fn pull(&mut self, bytes: &[u8]) -> Result<(usize, usize, Done), Malformed> {
        for (read, &byte) in bytes.iter().enumerate() {
            if self.at == At::Data {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - read);
                self.left -= here as u64;
                self.at = if self.left == 0 { At::DataReturn } else { At::Data };
                return Ok((read, here, Done::NotYet));
            }
            self.at = self.step(byte)?;
            if self.at == At::Last {
                return Ok((read + 1, 0, Done::LastChunk));
            }
        }
        Ok((bytes.len(), 0, Done::NotYet))
    }

    fn step(&mut self, byte: u8) -> Result<At, Malformed> {
        match (self.at, byte) {
            (At::Size, _) => self.size(byte),
            (At::SizeEnd, b'\n') => Ok(self.begin_data()),
            (At::DataReturn, b'\r') => Ok(At::DataEnd),
            (At::DataEnd, b'\n') => Ok(self.begin_size()),
            (At::SizeEnd | At::DataReturn | At::DataEnd, _) => Err(Malformed::ChunkEnd),
            (At::Data | At::Last, _) => Ok(self.at),
            (At::ExtensionName { .. } | At::ExtensionValue { .. } | At::Quoted { .. } | At::AfterQuote, _) => {
                self.extension += 1;
                self.extensions += 1;
                if self.extension > EXTENSION_BYTES || self.extensions > EXTENSION_BYTES_IN_ALL {
                    return Err(Malformed::ChunkExtension);
                }
                self.extension(byte)
            }
        }
    }

    /// `chunk-size`: 1 to 16 digits and below 2^63.
    fn size(&mut self, byte: u8) -> Result<At, Malformed> {
        match (byte, char::from(byte).to_digit(16)) {
            (_, Some(digit)) if self.digits < 16 && self.left <= (i64::MAX as u64) >> 4 => {
                self.digits += 1;
                self.left = self.left << 4 | u64::from(digit);
                Ok(At::Size)
            }
            (b'\r', _) if self.digits > 0 => Ok(At::SizeEnd),
            (b';', _) if self.digits > 0 => Ok(At::ExtensionName { empty: true }),
            _ => Err(Malformed::ChunkSize),
        }
    }

    /// `*( ";" token [ "=" ( token / quoted-string ) ] )`, without the white space that RFC 9112 §7.1.1 calls bad.
    fn extension(&mut self, byte: u8) -> Result<At, Malformed> {
        let ended =
            matches!(self.at, At::ExtensionName { empty: false } | At::ExtensionValue { empty: false } | At::AfterQuote);
        match (self.at, byte) {
            (_, b'\r') if ended => Ok(At::SizeEnd),
            (_, b';') if ended => Ok(At::ExtensionName { empty: true }),
            (At::ExtensionName { empty: false }, b'=') => Ok(At::ExtensionValue { empty: true }),
            (At::ExtensionValue { empty: true }, b'"') => Ok(At::Quoted { escaped: false }),
            (At::ExtensionName { .. }, _) if is_token_byte(byte) => Ok(At::ExtensionName { empty: false }),
            (At::ExtensionValue { .. }, _) if is_token_byte(byte) => Ok(At::ExtensionValue { empty: false }),
            (At::Quoted { escaped: false }, b'"') => Ok(At::AfterQuote),
            (At::Quoted { escaped: false }, b'\\') => Ok(At::Quoted { escaped: true }),
            (At::Quoted { .. }, b'\t' | b' '..=b'~') => Ok(At::Quoted { escaped: false }),
            _ => Err(Malformed::ChunkExtension),
        }
    }

    fn begin_data(&mut self) -> At {
        if self.left == 0 { At::Last } else { At::Data }
    }

    fn begin_size(&mut self) -> At {
        (self.digits, self.extension, self.left) = (0, 0, 0);
        At::Size
    }
}
