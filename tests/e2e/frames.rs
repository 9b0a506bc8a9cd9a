//! HTTP/2 by hand (RFC 9113 §4, RFC 7541 §6.2.2): frames that no library would send, and the statuses that come back.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The client's preface with these settings.
pub(crate) fn preface_with(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        settings.iter().flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &payload)].concat()
}

/// The client's preface; the peer's HPACK table is turned off, so that every field comes in full or from the static table.
pub(crate) fn preface() -> Vec<u8> {
    preface_with(&[(1, 0)])
}

/// A literal field that is never indexed, without Huffman coding.
pub(crate) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x10][..], &length(name), name, &length(value), value].concat()
}

/// A length with a prefix of seven bits.
fn length(text: &[u8]) -> Vec<u8> {
    let Some(mut rest) = text.len().checked_sub(127) else { return vec![u8::try_from(text.len()).expect("short")] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
    bytes
}

/// A whole GET of the rule host on `stream`.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", crate::attack::HOST.as_bytes()),
        (b":path", path.as_bytes()),
    ];
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// The service's end of a connection.
pub(crate) struct Service<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Service<S> {
    /// Reads the preface and says hello.
    pub(crate) async fn accept(mut stream: S) -> Option<Self> {
        stream.read_exact(&mut [0; 24]).await.ok()?;
        let mut service = Self { stream };
        service.send(&frame(SETTINGS, 0, 0, b"")).await.then_some(service)
    }

    /// Whether it could be sent.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// The next frame that is not about the connection itself.
    async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        loop {
            match next(&mut self.stream).await? {
                (SETTINGS, flags, ..) if flags & ACK == 0 => drop(self.send(&frame(SETTINGS, ACK, 0, b"")).await),
                came @ (_, _, 1.., _) => return Some(came),
                _ => {}
            }
        }
    }

    /// The stream of the next request, and whether its head is all of it.
    pub(crate) async fn request(&mut self) -> Option<(u32, bool)> {
        loop {
            if let (HEADERS, flags, stream, _block) = self.next().await? {
                return Some((stream, flags & END_STREAM != 0));
            }
        }
    }

    /// Its body, at least `length` bytes of it; the window is left as it is.
    pub(crate) async fn body(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        while body.len() < length {
            if let (DATA, _flags, _stream, data) = self.next().await? {
                body.extend(data);
            }
        }
        Some(body)
    }

    /// 200 with two bytes.
    pub(crate) async fn answer(&mut self, stream: u32) -> bool {
        let head = frame(HEADERS, END_HEADERS, stream, &[0x88]);
        self.send(&[head, frame(DATA, END_STREAM, stream, b"ok")].concat()).await
    }

    /// GOAWAY: streams above `last` were not processed.
    pub(crate) async fn go_away(&mut self, last: u32) -> bool {
        self.send(&frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())).await
    }

    /// RST_STREAM.
    pub(crate) async fn reset(&mut self, stream: u32, code: u32) -> bool {
        self.send(&frame(RST_STREAM, 0, stream, &code.to_be_bytes())).await
    }

    /// The stream itself.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

/// One frame that came: kind, flags, stream, payload.
pub(crate) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// Sends `bytes` and gives a status for each of `count` streams that are answered: 0 for a reset or a closed connection.
pub(crate) async fn statuses(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8], count: usize) -> Vec<u16> {
    drop(stream.write_all(bytes).await);
    drop(stream.flush().await);
    let mut statuses = Vec::new();
    while statuses.len() < count {
        let came = tokio::time::timeout(Duration::from_secs(20), next(stream)).await.expect("an answer in time");
        match came {
            None | Some((GOAWAY, ..)) => statuses.resize(count, 0),
            Some((RST_STREAM, ..)) => statuses.push(0),
            Some((HEADERS, _, _, block)) => statuses.push(status(&block)),
            Some((SETTINGS, flags, ..)) if flags & ACK == 0 => drop(stream.write_all(&frame(SETTINGS, ACK, 0, b"")).await),
            Some(_) => {}
        }
    }
    statuses
}

/// The first field of a response (RFC 7541 appendix A, 8 to 14): indexed, or a literal whose three digits are Huffman-coded in at
/// most two bytes each.
fn status(block: &[u8]) -> u16 {
    // A change of the table's size may come first.
    let block = if block.first().is_some_and(|byte| byte & 0xe0 == 0x20) { &block[1..] } else { block };
    match block {
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8b, ..] => 304,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [_, length, rest @ ..] if length & 0x80 != 0 => huffman(&rest[..usize::from(length & 0x7f)]),
        [_, length, rest @ ..] => {
            std::str::from_utf8(&rest[..usize::from(*length)]).ok().and_then(|text| text.parse().ok()).unwrap_or(1)
        }
        _ => 1,
    }
}

/// Digits only (RFC 7541 appendix B): 0 to 2 have five bits, 3 to 9 six.
fn huffman(bytes: &[u8]) -> u16 {
    let bits: Vec<u16> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1))).collect();
    let take = |from: usize, count: usize| bits[from..from + count].iter().fold(0, |value, bit| value << 1 | bit);
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let short = take(at, 5);
        let (digit, used) = if short <= 2 { (short, 5) } else { (take(at, 6) - 0x19 + 3, 6) };
        number = number * 10 + digit;
        at += used;
    }
    number
}
