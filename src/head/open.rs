//! The first head on a fresh stream, read before anyone knows what it will become.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Head, Limits, Malformed, Parser, Shape};

/// What is asked for at once.
const PIECE: usize = 2 * 1024;

/// Why there is no head.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Not one byte came.
    #[error("the caller closed the stream without a request")]
    Closed,
    /// The stream ended inside the head.
    #[error("the caller closed the stream inside a request head")]
    Truncated,
    /// The head is not one we take.
    #[error("the request is malformed")]
    Malformed(#[from] Malformed),
    /// Reading failed.
    #[error("cannot read the request")]
    Read(#[from] io::Error),
}

/// Reads until `buffer` begins with a complete request head, which stays in it together with what came behind it.
///
/// It has no deadline of its own. Dropped early, it leaves what it read in `buffer`, and can be called again.
///
/// # Errors
/// As [`ReadError`] says.
pub(crate) async fn read_head<S>(stream: &mut S, buffer: &mut BytesMut, limits: &Limits) -> Result<Head, ReadError>
where
    S: AsyncRead + Unpin,
{
    let mut parser = Parser::new(Shape::Request);
    loop {
        if let Some(head) = parser.feed(buffer, limits)? {
            return Ok(head);
        }
        buffer.reserve(PIECE);
        if stream.read_buf(buffer).await? == 0 {
            return Err(if buffer.is_empty() { ReadError::Closed } else { ReadError::Truncated });
        }
    }
}
