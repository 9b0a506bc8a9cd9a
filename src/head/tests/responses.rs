use bytes::BytesMut;
use tokio::io::AsyncWrite;

use super::*;
use crate::fuzzing::{Script, drain};
use crate::head::Gate;

use std::pin::Pin;
use std::task::{Context, Waker};

#[derive(Clone, Copy)]
struct Asked {
    head: bool,
    upgrade: bool,
}

const GET: Asked = Asked { head: false, upgrade: false };
const HEAD: Asked = Asked { head: true, upgrade: false };
const WEBSOCKET: Asked = Asked { head: false, upgrade: true };

fn send(gate: &mut Gate<Script>) {
    let written = Pin::new(gate).poll_write(&mut Context::from_waker(Waker::noop()), b"GET / HTTP/1.1\r\n\r\n");
    assert!(written.is_ready());
}

fn pieces(pieces: &[&[u8]], asked: Asked) -> (Vec<u8>, &'static str) {
    let (mut gate, expectation) = Gate::responses(Script::new(pieces), Limits::default());
    expectation.expect(asked.head, asked.upgrade);
    send(&mut gate);
    drain(&mut gate)
}

/// What a gate hands on of the answer to one request, whole, byte by byte and in halves.
fn answer(bytes: &[u8], asked: Asked) -> (Vec<u8>, &'static str) {
    let whole = pieces(&[bytes], asked);
    assert_eq!(pieces(&bytes.chunks(1).collect::<Vec<_>>(), asked), whole, "byte by byte: {}", bytes.escape_ascii());
    for at in 1..bytes.len() {
        let (left, right) = bytes.split_at(at);
        assert_eq!(pieces(&[left, right], asked), whole, "split at {at}: {}", bytes.escape_ascii());
    }
    whole
}

fn refuses(expected: Malformed, cases: &[&str]) {
    for case in cases {
        assert_eq!(answer(case.as_bytes(), GET).1, expected.kind(), "{case:?}");
    }
}

fn takes(case: &str, asked: Asked) {
    assert_eq!(answer(case.as_bytes(), asked), (case.as_bytes().to_vec(), "end"), "{case:?}");
}

#[test]
fn sound_responses_pass_untouched() {
    takes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", GET);
    takes("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", GET);
    takes("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nGrpc-Status: 0\r\n\r\n", GET);
    takes("HTTP/1.1 404 Not Found: \u{e9}\r\nX-Name: \u{e9}\r\nContent-Length: 0\r\n\r\n", GET);
    takes("HTTP/1.0 200 OK\r\n\r\nuntil the end", GET);
    takes("HTTP/1.1 600 Unparseable\r\nContent-Length: 2\r\n\r\nhi", GET);
    takes("HTTP/1.1 999 Request denied\r\nContent-Length: 2\r\n\r\nhi", GET);
    takes("HTTP/1.1 200 OK\r\n\r\nuntil the end", GET);
    takes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", GET);
    takes("HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", GET);
    takes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HEAD);
    takes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HEAD);
    takes("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", GET);
    takes("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x02raw\n", WEBSOCKET);
    takes("HTTP/1.1 400 Bad Request\r\nContent-Length: 1\r\n\r\nx", WEBSOCKET);
}

#[test]
fn t72_a_response_that_nobody_waits_for_is_refused() {
    let (mut idle, _expectation) =
        Gate::responses(Script::new(&[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]), Limits::default());
    assert_eq!(drain(&mut idle), (Vec::new(), "unsolicited"));
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (passed, outcome) = answer(two.as_bytes(), GET);
    assert_eq!((passed.len(), outcome), (two.len() / 2, "unsolicited"));
}

#[test]
fn t72_a_response_that_comes_before_its_request_is_sent_is_refused() {
    let (mut gate, expectation) =
        Gate::responses(Script::new(&[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]), Limits::default());
    expectation.expect(false, false);
    assert_eq!(drain(&mut gate), (Vec::new(), "unsolicited"));
}

#[test]
fn t73_a_body_where_none_may_be_ends_the_connection() {
    for (response, asked) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", HEAD),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi", GET),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", GET),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nhi", GET),
    ] {
        let (passed, outcome) = answer(response.as_bytes(), asked);
        assert!(passed.ends_with(b"\r\n\r\n"), "{response:?}");
        assert_eq!(outcome, "unsolicited", "{response:?}");
    }
}

#[test]
fn t74_a_response_framed_twice_is_refused() {
    refuses(Malformed::FramingConflict, &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"]);
    refuses(
        Malformed::ContentLengthRepeated,
        &[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n",
        ],
    );
    refuses(
        Malformed::ContentLength,
        &[
            "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        ],
    );
    refuses(
        Malformed::TransferEncoding,
        &[
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ],
    );
}

#[test]
fn t75_a_truncated_body_is_cut_not_complete() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
    ] {
        assert_eq!(answer(response.as_bytes(), GET).1, "cut", "{response:?}");
    }
}

#[test]
fn t76_status_lines_and_fields_that_are_not_valid_are_refused() {
    for line in [
        "HTTP/1.1 99999 X",
        "HTTP/1.1 099 X",
        "HTTP/1.1 000 X",
        "HTTP/1.1 1000 X",
        "HTTP/1.1 20 X",
        "HTTP/1.1 2OO X",
        "HTTP/1.1  200 X",
        "HTTP/1.1 200X",
        "HTTP/1.2 200 X",
        "HTTP/2 200 X",
        "HTTP/2.0 200 X",
        "ICY 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1\t200 OK",
        "garbage",
    ] {
        refuses(Malformed::StatusLine, &[&format!("{line}\r\n\r\n")]);
    }
    refuses(
        Malformed::Control,
        &["HTTP/1.1 200 \0\r\n\r\n", "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", "HTTP/1.1 200 OK\r\nA: \x1b\r\n\r\n"],
    );
    refuses(
        Malformed::LineEnd,
        &["HTTP/1.1 200 OK\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "\n"],
    );
    refuses(Malformed::LeadingLine, &["\r\nHTTP/1.1 200 OK\r\n\r\n"]);
    refuses(Malformed::Folding, &["HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"]);
    refuses(
        Malformed::FieldName,
        &["HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "HTTP/1.1 200 OK\r\n\u{e9}: b\r\n\r\n"],
    );
}

#[test]
fn t77_endless_heads_and_interim_responses_are_bounded() {
    let endless = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'x'; 65 * 1024]].concat();
    assert_eq!(pieces(&[&endless], GET), (Vec::new(), "head_too_large"));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
    assert_eq!(pieces(&[many.as_bytes()], GET), (Vec::new(), "too_many_fields"));
    let interim = |count: usize| format!("{}HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count));
    takes(&interim(16), GET);
    refuses(Malformed::TooManyInterim, &[&interim(17)]);
}

#[test]
fn t78_a_switch_of_protocols_unasked_is_refused() {
    refuses(Malformed::UnrequestedSwitch, &["HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"]);
    let bodied = "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(answer(bodied.as_bytes(), WEBSOCKET), (Vec::new(), "upgrade_body"));
}

#[test]
fn an_idle_gate_holds_almost_nothing() {
    let gate = size_of::<Gate<()>>() + size_of::<crate::head::Verdict>();
    assert!(gate < 300, "{gate} bytes");
    let (mut busy, _verdict) =
        Gate::requests(Script::new(&[b"GET / HT", b"TP/1.1\r\nHost: a\r\n\r\n"]), BytesMut::new(), Limits::default());
    assert_eq!(drain(&mut busy).1, "end");
    assert_eq!(busy.kept_capacity(), 0);
}
