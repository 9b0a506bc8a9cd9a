//! Answers written by the task that holds the stream: a head, a body framed as that says, in as few writes as can be.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::body::ResponseBody;

/// What is read ahead while an answer is awaited.
const AHEAD: usize = 16 * 1024;
/// A piece of a response up to this size goes with what stands before it in one write.
const TOGETHER: usize = 16 * 1024;

/// Most heads are smaller.
const HEAD: usize = 1024;

/// How the body of a response is framed (RFC 9112 §6.3).
enum Framed {
    None,
    Length(u64),
    Chunked,
}

/// The caller's stream while a request of it is being answered, and what it sent ahead.
pub(super) struct Caller<'a, S> {
    pub(super) stream: &'a mut S,
    pub(super) ahead: &'a mut BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Caller<'_, S> {
    /// Waits for `work`, unless the caller leaves before; what it sends meanwhile is its next request.
    pub(super) async fn stays_for<T>(&mut self, mut work: impl Future<Output = T> + Unpin) -> Option<T> {
        std::future::poll_fn(|context| {
            if let Poll::Ready(done) = Pin::new(&mut work).poll(context) {
                return Poll::Ready(Some(done));
            }
            while self.ahead.len() < AHEAD {
                let mut piece = [MaybeUninit::uninit(); 1024];
                let mut piece = ReadBuf::uninit(&mut piece);
                match Pin::new(&mut *self.stream).poll_read(context, &mut piece) {
                    Poll::Ready(Ok(())) if !piece.filled().is_empty() => self.ahead.extend_from_slice(piece.filled()),
                    Poll::Ready(_) => return Poll::Ready(None),
                    Poll::Pending => break,
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The next frame of `body`. What waits in `bytes` is written before it is waited for.
    async fn next(&mut self, body: &mut ResponseBody, bytes: &mut Vec<u8>) -> Result<Option<Frame<Bytes>>, Failed> {
        let at_once = std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *body).poll_frame(context))).await;
        let frame = match at_once {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                self.write(bytes).await?;
                self.stream.flush().await?;
                self.stays_for(body.frame()).await.ok_or(Failed)?
            }
        };
        frame.transpose().map_err(|_broken| Failed)
    }

    /// Writes `response`, and `Connection: close` with it if it is the `last` one.
    pub(super) async fn respond(&mut self, response: Response<ResponseBody>, to_head: bool, last: bool) -> Result<(), Failed> {
        let (mut bytes, framed, mut body) = begin(response, to_head, last);
        match framed {
            Framed::None => {
                // Read to its end, so that its connection can be used again; nothing in it is for the caller.
                while self.next(&mut body, &mut bytes).await?.is_some() {}
            }
            Framed::Length(length) => self.counted(&mut body, &mut bytes, length).await?,
            Framed::Chunked => self.chunked(&mut body, &mut bytes).await?,
        }
        self.write(&mut bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// A body of `left` bytes: not one more, and not one less.
    async fn counted(&mut self, body: &mut ResponseBody, bytes: &mut Vec<u8>, mut left: u64) -> Result<(), Failed> {
        while left > 0 {
            let frame = self.next(body, bytes).await?.ok_or(Failed)?;
            let Ok(data) = frame.into_data() else { continue };
            left = left.checked_sub(data.len() as u64).ok_or(Failed)?;
            self.send(bytes, &data).await?;
        }
        if body.is_end_stream() {
            return Ok(());
        }
        match self.next(body, bytes).await? {
            Some(frame) if frame.data_ref().is_some_and(|data| !data.is_empty()) => Err(Failed),
            Some(_) | None => Ok(()),
        }
    }

    /// RFC 9112 §7.1. Whoever takes trailers has said so by `TE`, and takes the engine's way: here they are dropped (RFC 9110 §6.5.1).
    async fn chunked(&mut self, body: &mut ResponseBody, bytes: &mut Vec<u8>) -> Result<(), Failed> {
        while let Some(frame) = self.next(body, bytes).await? {
            if let Some(data) = frame.data_ref().filter(|data| !data.is_empty()) {
                bytes.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                self.send(bytes, data).await?;
                bytes.extend_from_slice(b"\r\n");
            }
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        Ok(())
    }

    /// A piece of a body, behind what waits in `bytes`.
    async fn send(&mut self, bytes: &mut Vec<u8>, data: &Bytes) -> Result<(), Failed> {
        if data.len() > TOGETHER {
            self.write(bytes).await?;
            return Ok(self.stream.write_all(data).await?);
        }
        bytes.extend_from_slice(data);
        if bytes.len() > TOGETHER { self.write(bytes).await } else { Ok(()) }
    }

    async fn write(&mut self, bytes: &mut Vec<u8>) -> Result<(), Failed> {
        if !bytes.is_empty() {
            self.stream.write_all(bytes).await?;
            bytes.clear();
        }
        Ok(())
    }
}

/// The stream is of no use any more: what was written of a response must not be taken for the whole.
pub(super) struct Failed;

impl From<std::io::Error> for Failed {
    fn from(_broken: std::io::Error) -> Self {
        Self
    }
}

/// The head in bytes, how its body is framed, and that.
fn begin(response: Response<ResponseBody>, to_head: bool, last: bool) -> (Vec<u8>, Framed, ResponseBody) {
    let (parts, body) = response.into_parts();
    let framed = framed(&parts, &body, to_head);
    (head_of(&parts, &framed, last), framed, body)
}

fn framed(parts: &http::response::Parts, body: &ResponseBody, to_head: bool) -> Framed {
    if to_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Framed::None;
    }
    body.size_hint().exact().map_or(Framed::Chunked, Framed::Length)
}

/// RFC 9112 §4. Reasons are the standard ones.
fn head_of(parts: &http::response::Parts, framed: &Framed, last: bool) -> Vec<u8> {
    let body = match framed {
        Framed::Length(length) => usize::try_from(*length).map_or(TOGETHER, |length| length.min(TOGETHER)),
        Framed::Chunked | Framed::None => 0,
    };
    let mut bytes = Vec::with_capacity(HEAD + body);
    bytes.extend_from_slice(b"HTTP/1.1 ");
    bytes.extend_from_slice(parts.status.as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(parts.status.canonical_reason().unwrap_or("<none>").as_bytes());
    bytes.extend_from_slice(b"\r\n");
    // How the body is framed is ours to say, from the body itself: a service's word, said over HTTP/2, frames nothing.
    let ours = |name: &HeaderName| {
        matches!(name.as_str().len(), 10 | 14 | 17) && [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name)
    };
    for (name, value) in parts.headers.iter().filter(|(name, _)| !ours(name)) {
        field(&mut bytes, name.as_str(), value.as_bytes());
    }
    match framed {
        Framed::Length(length) => field(&mut bytes, "content-length", length.to_string().as_bytes()),
        Framed::Chunked => field(&mut bytes, "transfer-encoding", b"chunked"),
        // That of what is not sent (RFC 9110 §8.6).
        Framed::None if parts.status == StatusCode::NO_CONTENT => {}
        Framed::None => lone_length(&parts.headers).into_iter().for_each(|value| field(&mut bytes, "content-length", value)),
    }
    if last {
        field(&mut bytes, "connection", b"close");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// The one `Content-Length`, if there is one and it is a number.
fn lone_length(headers: &HeaderMap) -> Option<&[u8]> {
    let mut said = headers.get_all(CONTENT_LENGTH).iter().map(HeaderValue::as_bytes);
    let length = said.next().filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit))?;
    said.next().is_none().then_some(length)
}

fn field(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend(b": ");
    bytes.extend_from_slice(value);
    bytes.extend(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller reads of a response with these fields and this text, where the service said so over any version.
    async fn written(
        status: u16,
        fields: &[(&'static str, &'static str)],
        text: &'static str,
        to_head: bool,
        last: bool,
    ) -> String {
        let mut response = Response::new(ResponseBody::full(text));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        for (name, value) in fields {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let (mut near, mut far) = tokio::io::duplex(4096);
        let mut ahead = BytesMut::new();
        let mut caller = Caller { stream: &mut near, ahead: &mut ahead };
        assert!(caller.respond(response, to_head, last).await.is_ok());
        drop(near);
        let mut read = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut far, &mut read).await.expect("text");
        read
    }

    #[tokio::test]
    async fn t74_the_framing_is_ours_whatever_the_service_said() {
        let lies: [&[(&str, &str)]; 4] = [
            &[("content-length", "2"), ("content-length", "9")],
            &[("content-length", "+5")],
            &[("transfer-encoding", "chunked"), ("content-length", "1")],
            &[("connection", "close"), ("content-length", "0")],
        ];
        for fields in lies {
            let read = written(200, fields, "hello", false, false).await;
            assert_eq!(read, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "{fields:?}");
        }
    }

    #[tokio::test]
    async fn what_has_no_body_keeps_a_length_that_is_one() {
        let head = |length: &str| format!("HTTP/1.1 200 OK\r\n{length}\r\n");
        assert_eq!(written(200, &[("content-length", "5")], "", true, false).await, head("content-length: 5\r\n"));
        assert_eq!(written(200, &[("content-length", "5"), ("content-length", "6")], "", true, false).await, head(""));
        assert_eq!(written(200, &[("content-length", "+5")], "", true, false).await, head(""));
        let not_modified = written(304, &[("content-length", "5")], "", false, false).await;
        assert_eq!(not_modified, "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n");
        let last = written(200, &[], "x", false, true).await;
        assert_eq!(last, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx");
    }
}
