//! The caller's stream: TCP or TLS to the proxy port, with what was read ahead put back in front.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::plaintext::Plaintext;
use crate::read_ahead::ReadAhead;
use crate::write_through::write_through;

/// Bytes that were read ahead, then the stream itself.
#[derive(Debug)]
pub(super) struct Prefixed<S> {
    prefix: BytesMut,
    stream: S,
}

/// A caller's stream as it arrives at the proxy port.
#[derive(Debug)]
pub(super) enum Caller {
    /// Plain.
    Tcp(Prefixed<TcpStream>),
    /// A proxy port that speaks TLS.
    Tls(Box<TlsStream<Prefixed<TcpStream>>>),
}

impl<S> Prefixed<S> {
    /// Puts `prefix` in front of `stream`.
    pub(super) fn new(prefix: BytesMut, stream: S) -> Self {
        Self { prefix, stream }
    }

    /// The stream without the prefix, if that has been read.
    pub(super) fn into_parts(self) -> (BytesMut, S) {
        (self.prefix, self.stream)
    }
}

/// A stream whose TLS was ended here.
#[derive(Debug)]
pub(super) struct Intercepted(Box<Plaintext<TlsStream<ReadAhead<Prefixed<Caller>>>>>);

impl Intercepted {
    /// What a handshake made.
    pub(super) fn new(stream: TlsStream<ReadAhead<Prefixed<Caller>>>) -> Self {
        Self(Box::new(Plaintext::new(stream)))
    }

    /// Whether the caller and we settled on HTTP/2 (RFC 7301).
    pub(super) fn speaks_http2(&self) -> bool {
        self.0.stream.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

/// Whether TLS has something to say by itself.
fn holds(stream: &TlsStream<ReadAhead<Prefixed<Caller>>>) -> bool {
    !stream.get_ref().1.wants_read()
}

/// Only the socket under a plain proxy port is known.
fn arrived(stream: &TlsStream<ReadAhead<Prefixed<Caller>>>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    match stream.get_ref().0.drained() {
        Some(Prefixed { prefix, stream: Caller::Tcp(tcp) }) if prefix.is_empty() && tcp.prefix.is_empty() => {
            tcp.stream.poll_read_ready(context)
        }
        _ => Poll::Ready(Ok(())),
    }
}

impl AsyncRead for Intercepted {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_read(holds, arrived, context, buffer)
    }
}

write_through!([] Intercepted => 0);

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.prefix.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let length = this.prefix.len().min(buffer.remaining());
        if let Some(bytes) = this.prefix.get(..length) {
            buffer.put_slice(bytes);
        }
        this.prefix.advance(length);
        if this.prefix.is_empty() {
            this.prefix = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

write_through!([S: AsyncWrite + Unpin] Prefixed<S> => stream);

impl AsyncRead for Caller {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Caller {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
