use bytes::{Buf as _, BytesMut};

use std::sync::Arc;

use super::*;
use crate::head::{Expectation, Framing, Head, Parser, Piece, Reader, Shape, Watch, fields_of, section};

/// What was found in the body of one response: its data, its trailers, and how it ended.
type Found = (Vec<u8>, Vec<String>, &'static str);

/// As whoever holds the bytes reads it: `pieces` come one after the other, then the stream ends.
fn pulled(pieces: &[&[u8]]) -> Found {
    let (mut buffer, mut data, mut trailers) = (BytesMut::new(), Vec::new(), Vec::new());
    let (mut parser, mut framing, limits) = (Parser::new(Shape::Response), None, Limits::default());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if framing.is_none() {
            match parser.feed(&buffer, &limits) {
                Ok(Some(head)) => {
                    buffer.advance(head.len());
                    framing = Some(Framing::of_response(&head, false));
                }
                Ok(None) => continue,
                Err(malformed) => return (data, trailers, malformed.kind()),
            }
        }
        let Some(framing) = &mut framing else { continue };
        loop {
            match framing.next(&buffer, &limits) {
                Ok(Piece::Data(range)) => {
                    data.extend_from_slice(&buffer[range.clone()]);
                    buffer.advance(range.end);
                }
                Ok(Piece::More(skipped)) => {
                    buffer.advance(skipped);
                    if skipped == 0 || buffer.is_empty() {
                        break;
                    }
                }
                Ok(Piece::Trailers(length)) => {
                    let whole = buffer.split_to(length).freeze();
                    let fields = fields_of(&section(&whole), &whole).expect("what the reader takes");
                    trailers.extend(fields.keys().map(|name| name.as_str().to_owned()));
                }
                Ok(Piece::End(_)) => return (data, trailers, "end"),
                Err(malformed) => return (data, trailers, malformed.kind()),
            }
        }
    }
    let ended = framing.is_some_and(|framing| framing.may_end());
    (data, trailers, if ended { "end" } else { "cut" })
}

#[derive(Default)]
struct Collected(Vec<u8>, bool);

impl Watch for Collected {
    fn head(&mut self, _: &Head, _: &[u8]) {}

    fn data(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }

    fn end(&mut self, _: usize) {
        self.1 = true;
    }
}

/// As the gate in front of the engine reads the same bytes.
fn gated(bytes: &[u8]) -> (Vec<u8>, &'static str) {
    let expectation = Arc::<Expectation>::default();
    expectation.expect(false, false);
    expectation.sending();
    let mut reader = Reader::responses(expectation, Limits::default());
    let mut collected = Collected::default();
    let step = reader.advance(bytes, &mut collected);
    let ended = collected.1 || (reader.may_end() && step.clean == bytes.len());
    (collected.0, step.malformed.map_or(if ended { "end" } else { "cut" }, Malformed::kind))
}

const BODIES: [&str; 16] = [
    "Content-Length: 5\r\n\r\nhello",
    "Content-Length: 0\r\n\r\n",
    "Content-Length: 9\r\n\r\nhello",
    "\r\nuntil the end",
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1;q=\"x\"\r\n!\r\n000\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nX-Sum: 3\r\nX-End: y\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: ",
    "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nz\r\n",
    "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 1\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n folded\r\n\r\n",
];

#[test]
fn a_body_that_is_pulled_is_the_body_that_the_gate_lets_through() {
    for body in BODIES {
        let bytes = format!("HTTP/1.1 200 OK\r\n{body}");
        let (data, end) = gated(bytes.as_bytes());
        let whole = pulled(&[bytes.as_bytes()]);
        assert_eq!((&whole.0, whole.2), (&data, end), "{body:?}");
        assert_eq!(pulled(&bytes.as_bytes().chunks(1).collect::<Vec<_>>()), whole, "byte by byte: {body:?}");
        for at in 1..bytes.len() {
            let (left, right) = bytes.as_bytes().split_at(at);
            assert_eq!(pulled(&[left, right]), whole, "split at {at}: {body:?}");
        }
    }
}

#[test]
fn trailers_are_read_and_empty_answers_have_no_body() {
    let found = pulled(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 3\r\nx-end: y\r\n\r\n"]);
    assert_eq!(found, (b"a".to_vec(), vec!["x-sum".to_owned(), "x-end".to_owned()], "end"));
    for (status, bodiless) in [("204", false), ("304", false), ("200", true)] {
        let bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
        let head = Parser::new(Shape::Response).feed(bytes.as_bytes(), &Limits::default()).expect("sound").expect("whole");
        assert!(Framing::of_response(&head, bodiless).has_ended(), "{status}");
    }
}
