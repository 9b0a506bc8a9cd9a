//! The catalogue of malformed messages, by threat number, and how the gate behaves with the engine behind it.

mod bodies;
mod gates;
mod heads;
mod http2;
mod lines;
mod property;
mod pull;
mod responses;

use super::{Head, Limits, Malformed};
use crate::fuzzing::{Passed, pass_requests};

/// Reads one head; `incomplete` counts as a failure of the test's own input.
fn head(bytes: &[u8]) -> Result<Head, Malformed> {
    Head::parse(bytes, &Limits::default()).map(|head| head.unwrap_or_else(|| panic!("incomplete: {}", bytes.escape_ascii())))
}

/// A GET with these lines between the Host and the end.
fn with_lines(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n").into_bytes()
}

/// Sends the bytes through a gate whole, byte by byte and in two halves at every point: all must come out alike.
fn pass(bytes: &[u8]) -> Passed {
    let whole = pass_requests(&[bytes]);
    let singles: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(pass_requests(&singles), whole, "byte by byte: {}", bytes.escape_ascii());
    for at in 1..bytes.len() {
        let (left, right) = bytes.split_at(at);
        assert_eq!(pass_requests(&[left, right]), whole, "split at {at}: {}", bytes.escape_ascii());
    }
    whole
}

/// Asserts that each of `cases` is refused as `expected` says, whole or in pieces.
fn refuses(expected: Malformed, cases: &[&[u8]]) {
    for case in cases {
        assert_eq!(head(case), Err(expected), "{}", case.escape_ascii());
        let passed = pass(case);
        assert_eq!(passed.malformed, Some((1, expected.kind())), "{}", case.escape_ascii());
        assert!(passed.bytes.starts_with(b"GET /malformed HTTP/1.1\r\n"), "{}", case.escape_ascii());
        assert_eq!((passed.requests, passed.outcome), (1, "waits"));
    }
}

/// The same for heads that are sound but for these lines.
fn refuses_lines(expected: Malformed, lines: &[&str]) {
    let cases: Vec<_> = lines.iter().map(|line| with_lines(line)).collect();
    refuses(expected, &cases.iter().map(Vec::as_slice).collect::<Vec<_>>());
}
