use super::*;

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

fn chunked(body: &str) -> Vec<u8> {
    format!("{CHUNKED}{body}").into_bytes()
}

fn refuses_bodies(expected: Malformed, bodies: &[&str]) {
    for body in bodies {
        let passed = pass(&chunked(body));
        assert_eq!(passed.outcome, expected.kind(), "{body:?}");
        assert_eq!((passed.requests, passed.malformed), (1, None), "{body:?}");
    }
}

fn takes_bodies(bodies: &[&str]) {
    for body in bodies {
        let bytes = [&chunked(body)[..], NEXT.as_bytes()].concat();
        let passed = pass(&bytes);
        assert_eq!((passed.requests, passed.outcome, passed.malformed), (2, "end", None), "{body:?}");
        assert_eq!(passed.bytes, bytes, "{body:?}");
    }
}

#[test]
fn sound_bodies_pass_untouched_and_the_next_request_follows() {
    takes_bodies(&[
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "A\r\n0123456789\r\n00\r\n\r\n",
        "0000000000000001\r\nx\r\n0\r\n\r\n",
        "1;a\r\nx\r\n0;b=c;d=\"e \\\" ;f\"\r\n\r\n",
        "2\r\n\r\n\r\n0\r\n\r\n",
        "0\r\ngrpc-status: 0\r\nX-Checksum: abc\r\n\r\n",
    ]);
    let bytes = [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", NEXT.as_bytes()].concat();
    let passed = pass(&bytes);
    assert_eq!((passed.bytes, passed.requests), (bytes, 2));
}

#[test]
fn t60_chunk_sizes_that_are_not_plain_hexadecimal_are_refused() {
    refuses_bodies(
        Malformed::ChunkSize,
        &[
            "-1\r\n",
            "0x5\r\n",
            "+5\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\t;a\r\n",
            "\r\n",
            ";a\r\n",
            "g\r\n",
            "5\n",
            "ffffffffffffffff\r\n",
            "8000000000000000\r\n",
            "00000000000000005\r\n",
            "fffffffffffffffff\r\n",
            "5_\r\n",
            "\n",
        ],
    );
}

#[test]
fn t60_chunk_extensions_outside_their_grammar_are_refused() {
    refuses_bodies(
        Malformed::ChunkExtension,
        &[
            "5;\r\n",
            "5;a\n",
            "5; a\r\n",
            "5;a =b\r\n",
            "5;a=\r\n",
            "5;a=\"b\r\n",
            "5;a=\"b\"c\r\n",
            "5;a=\"b\n\"\r\n",
            "5;a\x0b\r\n",
            "5;a;\r\n",
            "5;=b\r\n",
            "5;a=\"\x7f\"\r\n",
            "5;a=b=c\r\n",
            "5;\"a\"\r\n",
            "5;a=\"\0\"\r\n",
            "5;a=\u{e9}\r\n",
        ],
    );
}

#[test]
fn t60_chunks_that_do_not_end_in_a_full_line_end_are_refused() {
    refuses_bodies(
        Malformed::ChunkEnd,
        &["5\rhello", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhello\r0\r\n", "5\r\nhelloX\r\n", "0\rX", "1\r\rx"],
    );
    refuses_bodies(Malformed::LineEnd, &["0\r\n\n", "0\r\nA: b\n\r\n", "0\r\n\rX", "0\r\nA: b\rc\r\n\r\n"]);
}

#[test]
fn t77_extensions_are_bounded_by_line_and_in_all() {
    let long = |len: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(len));
    let whole = |body: &str| pass_requests(&[&chunked(body)]).outcome;
    assert_eq!(whole(&long(1000)), "end");
    assert_eq!(whole(&long(1100)), "chunk_extension");
    let many = |count: usize| format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "a".repeat(999)).repeat(count));
    assert_eq!(whole(&many(8)), "end");
    assert_eq!(whole(&many(9)), "chunk_extension");
}

#[test]
fn t61_trailers_that_frame_route_or_authenticate_are_refused() {
    for name in [
        "Authorization",
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Cookie",
        "Set-Cookie",
        "Content-Encoding",
        "Content-Type",
        "Trailer",
        "TE",
        "Connection",
        "Proxy-Authorization",
        "Proxy-Anything",
        "WWW-Authenticate",
        "Expect",
        "Upgrade",
        "aUTHORIZATION",
    ] {
        refuses_bodies(Malformed::Trailer, &[&format!("0\r\n{name}: x\r\n\r\n"), &format!("0\r\nA: b\r\n{name}:\r\n\r\n")]);
    }
}

#[test]
fn t61_trailers_are_fields_like_others() {
    refuses_bodies(Malformed::FieldName, &["0\r\nA : b\r\n\r\n", "0\r\nA\r\n\r\n", "0\r\n: b\r\n\r\n"]);
    refuses_bodies(Malformed::Folding, &["0\r\n A: b\r\n\r\n", "0\r\nA: b\r\n c\r\n\r\n"]);
    refuses_bodies(Malformed::Control, &["0\r\nA: \0\r\n\r\n"]);
    refuses_bodies(Malformed::NotAscii, &["0\r\nA: \u{e9}\r\n\r\n"]);
    let whole = |body: &str| pass_requests(&[&chunked(body)]).outcome;
    assert_eq!(whole(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(64))), "end");
    assert_eq!(whole(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(65))), "trailers_too_large");
    assert_eq!(whole(&format!("0\r\nA: {}\r\n\r\n", "x".repeat(17_000))), "trailers_too_large");
}

#[test]
fn t68_requests_in_one_piece_are_each_checked() {
    let good = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let passed = pass(format!("{good}{good}GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{good}").as_bytes());
    assert_eq!((passed.requests, passed.malformed), (3, Some((3, "host_count"))));
    assert!(passed.bytes.starts_with(format!("{good}{good}GET /malformed ").as_bytes()));
    assert_eq!(passed.bytes.windows(5).filter(|window| window == b"GET /").count(), 3, "nothing behind it is handed on");
}

#[test]
fn a_stream_that_ends_inside_a_message_is_cut_not_complete() {
    for bytes in [
        "GET / HTT",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(pass(bytes.as_bytes()).outcome, "cut", "{bytes:?}");
    }
    assert_eq!(pass(b"").outcome, "end");
}
