//! The first words inside a tunnel that stays shut: they must be TLS, and the name in them is known before anything is passed on.

use bytes::BytesMut;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// More than any ClientHello.
const LIMIT: usize = 64 * 1024;

/// A fatal alert, so that the caller's error says what is wrong: `unrecognized_name` (RFC 6066 §3) in a record of its own (RFC 8446 §5.1).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Tells the caller that its server name is not for this tunnel, and ends the stream.
pub(super) async fn refuse_name(caller: &mut (impl AsyncWrite + Unpin)) {
    if caller.write_all(&UNRECOGNIZED_NAME).await.is_ok() {
        drop(caller.shutdown().await);
    }
}

/// Reads a whole ClientHello, in however small pieces it comes, into `buffer`; gives its server name.
///
/// # Errors
/// A word for the record: it is not TLS, or the caller left.
pub(super) async fn read<S>(stream: &mut S, buffer: &mut BytesMut) -> Result<Option<Box<str>>, &'static str>
where
    S: AsyncRead + Unpin,
{
    let mut acceptor = Acceptor::default();
    let mut fed = 0;
    loop {
        let mut new = buffer.get(fed..).unwrap_or_default();
        while !new.is_empty() {
            acceptor.read_tls(&mut new).map_err(|_full| "not_tls")?;
            if let Some(accepted) = acceptor.accept().map_err(|_malformed| "not_tls")? {
                return Ok(accepted.client_hello().server_name().map(Box::from));
            }
        }
        fed = buffer.len();
        if fed > LIMIT {
            return Err("not_tls");
        }
        if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
            return Err("caller_left");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TLS 1.2's smallest ClientHello for `a.test`, as RFC 5246 §7.4.1.2 and RFC 6066 §3 lay it out.
    fn hello() -> Vec<u8> {
        let name = b"a.test";
        let mut extensions = vec![0, 0, 0, 11, 0, 9, 0, 0, 6];
        extensions.extend_from_slice(name);
        extensions.extend_from_slice(&[0, 13, 0, 4, 0, 2, 4, 3]);
        let mut body = vec![3, 3];
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(&[0, 0, 2, 0xc0, 0x2b, 1, 0]);
        body.extend_from_slice(&u16::try_from(extensions.len()).expect("short").to_be_bytes());
        body.extend_from_slice(&extensions);
        let length = u8::try_from(body.len()).expect("short");
        let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
        record.extend_from_slice(&body);
        record
    }

    fn read_all(pieces: &[&[u8]]) -> (Result<Option<Box<str>>, &'static str>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut buffer = BytesMut::new();
        let bytes = pieces.concat();
        let mut stream = pieces.iter().fold(tokio_test_stream(), |stream, piece| stream.with(piece));
        let outcome = runtime.block_on(read(&mut stream, &mut buffer));
        assert!(bytes.starts_with(&buffer), "what was read is kept as it came");
        (outcome, buffer.len())
    }

    /// A stream that gives one piece at each read.
    struct Pieces(std::collections::VecDeque<Vec<u8>>);

    fn tokio_test_stream() -> Pieces {
        Pieces(std::collections::VecDeque::new())
    }

    impl Pieces {
        fn with(mut self, piece: &[u8]) -> Self {
            self.0.push_back(piece.to_vec());
            self
        }
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _context: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            if let Some(piece) = self.get_mut().0.pop_front() {
                buffer.put_slice(&piece);
            }
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn t29_a_hello_in_single_bytes_is_waited_for() {
        let hello = hello();
        let pieces: Vec<&[u8]> = hello.chunks(1).collect();
        let (outcome, length) = read_all(&pieces);
        assert_eq!(outcome, Ok(Some("a.test".into())));
        assert_eq!(length, hello.len());
    }

    #[test]
    fn t93_what_is_not_tls_is_told_by_its_first_bytes() {
        for text in [
            &b"SSH-2.0-x\r\n"[..],
            b"EHLO mail.example\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            &[0x80, 0x2e, 1, 0, 2],
            &[22, 3, 1, 0, 0],
        ] {
            let (outcome, _length) = read_all(&[text]);
            assert!(outcome.is_err(), "{text:?} {outcome:?}");
        }
        assert_eq!(read_all(&[&hello()[..20]]).0, Err("caller_left"));
    }
}
