use super::*;
use crate::head::{Form, Parser, Shape};

#[test]
fn a_plain_request_is_read_whole() {
    let bytes = b"POST /a?b=%20;c HTTP/1.1\r\nhOsT:a.example:8443 \r\nX-Empty:\r\nContent-Length: 3\r\n\r\nabc";
    let head = head(bytes).expect("valid");
    let view = head.view(bytes);
    assert_eq!((view.method, view.target, head.form()), ("POST", "/a?b=%20;c", Some(Form::Origin)));
    assert_eq!(head.len(), bytes.len() - 3);
    let fields: Vec<_> = view.fields().collect();
    let expected: [(&[u8], &[u8]); 3] = [(b"hOsT", b"a.example:8443"), (b"X-Empty", b""), (b"Content-Length", b"3")];
    assert_eq!(fields, expected);
    assert_eq!(view.field("content-length"), Some(&b"3"[..]));
}

#[test]
fn an_incomplete_head_asks_for_more() {
    let bytes = with_lines("Accept: */*\r\n");
    for end in 0..bytes.len() {
        assert_eq!(Head::parse(&bytes[..end], &Limits::default()), Ok(None), "{end}");
    }
}

#[test]
fn t19_odd_spellings_of_authorization_are_refused() {
    refuses_lines(Malformed::FieldName, &["Authorization : x\r\n", "Authorization\t: x\r\n", "Authorization\r\n", ": x\r\n"]);
    refuses_lines(Malformed::Folding, &["A: b\r\n Authorization: x\r\n"]);
    refuses_lines(Malformed::Control, &["Authoriz\0ation: x\r\n", "Authorization: x\0\r\n"]);
    refuses_lines(Malformed::LineEnd, &["A: b\rAuthorization: x\r\n", "A: b\nAuthorization: x\r\n"]);
}

#[test]
fn t53_length_beside_chunked_is_refused_in_any_order() {
    refuses_lines(
        Malformed::FramingConflict,
        &[
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "TRANSFER-ENCODING: Chunked\r\nA: b\r\ncontent-length: 0\r\n",
        ],
    );
}

#[test]
fn t54_any_transfer_encoding_but_plain_chunked_is_refused() {
    for value in [
        " xchunked",
        " \"chunked\"",
        "\tchunked",
        " chunked\t",
        " identity, chunked",
        " chunked, identity",
        " chunked, chunked",
        " gzip",
        " gzip, chunked",
        " chunked;q=1",
        " identity",
        "",
        " ,chunked",
        " chunked,",
        " chunk",
        " chunked chunked",
        " 'chunked'",
    ] {
        refuses_lines(Malformed::TransferEncoding, &[&format!("Transfer-Encoding:{value}\r\n")]);
    }
    refuses_lines(Malformed::TransferEncoding, &["Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"]);
    refuses_lines(Malformed::TransferEncoding, &["Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"]);
    refuses_lines(Malformed::Control, &["Transfer-Encoding: \x0bchunked\r\n"]);
    refuses_lines(Malformed::FieldName, &["Transfer-Encoding : chunked\r\n", "Transfer-Encoding\t: chunked\r\n"]);
    refuses_lines(Malformed::Folding, &["A: b\r\n\tTransfer-Encoding: chunked\r\n"]);
    refuses(Malformed::TransferEncoding, &[b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"]);
}

#[test]
fn t55_a_second_length_is_refused_even_if_equal() {
    refuses_lines(Malformed::ContentLengthRepeated, &["Content-Length: 5\r\nContent-Length: 6\r\n"]);
    refuses_lines(Malformed::ContentLengthRepeated, &["Content-Length: 5\r\nContent-length: 5\r\n"]);
    refuses_lines(Malformed::ContentLength, &["Content-Length: 5, 5\r\n", "Content-Length: 5,6\r\n"]);
}

#[test]
fn t56_a_length_that_is_not_plain_digits_is_refused() {
    for value in [
        "+5",
        "0x5",
        "-1",
        "5 5",
        "18446744073709551616",
        "18446744073709551615",
        "9223372036854775808",
        "00000000000000000005",
        "1e1",
        "",
        "5;",
        "5.0",
        "\t5",
        "5\t",
        "5_000",
        "0b1",
        "five",
    ] {
        refuses_lines(Malformed::ContentLength, &[&format!("Content-Length: {value}\r\n")]);
    }
    refuses_lines(Malformed::Control, &["Content-Length: 5\x0b\r\n"]);
    refuses_lines(Malformed::NotAscii, &["Content-Length: ５\r\n"]);
    assert!(head(&with_lines("Content-Length: 9223372036854775807\r\n")).is_ok());
}

#[test]
fn t57_bare_line_ends_are_refused() {
    refuses(
        Malformed::LineEnd,
        &[
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\rHost: a\r\r",
            b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\rc\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\rX",
        ],
    );
}

#[test]
fn the_first_of_two_mistakes_in_a_line_is_the_one_that_is_told() {
    refuses(Malformed::Control, &[b"GET /\0 HTTP/1.1\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nA : \x7f\n\r\n"]);
    let long = [b"GET / HTTP/1.1\r\nA: \0", &[b'x'; 70_000][..], b"\r\n"].concat();
    assert_eq!(head(&long), Err(Malformed::Control));
}

#[test]
fn t58_folded_lines_are_refused() {
    refuses_lines(Malformed::Folding, &["A: b\r\n c\r\n", "A: b\r\n\tc\r\n", "A: b\r\n \r\n", "A:\r\n b: c\r\n"]);
    refuses(Malformed::Folding, &[b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"]);
}

#[test]
fn t59_lines_that_are_no_fields_are_refused() {
    refuses_lines(
        Malformed::FieldName,
        &["A\r\n", ": b\r\n", ":\r\n", "A b: c\r\n", "A@: b\r\n", "(A): b\r\n", "\"A\": b\r\n", "A\\: b\r\n"],
    );
    refuses_lines(
        Malformed::Control,
        &["A: \0\r\n", "A\0: b\r\n", "A: \x01\r\n", "A: \x7f\r\n", "A: \x1b[0m\r\n", "A: \x0b\r\n", "A: \x0c\r\n"],
    );
    refuses(
        Malformed::NotAscii,
        &["GET / HTTP/1.1\r\nHost: a\r\nA: é\r\n\r\n".as_bytes(), b"GET / HTTP/1.1\r\nHost: a\r\n\xff: b\r\n\r\n"],
    );
    refuses(Malformed::LeadingLine, &[b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
    refuses(Malformed::Method, &[b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
    refuses(Malformed::LineEnd, &[b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
}

#[test]
fn t64_an_upgrade_to_cleartext_http2_is_passed_over_or_refused() {
    for line in ["Upgrade: h2c", "upgrade: H2C ", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk"] {
        let head = head(&with_lines(&format!("Connection: Upgrade, HTTP2-Settings\r\n{line}\r\n")));
        assert!(head.is_ok(), "{line}");
    }
    for line in [
        "Upgrade: websocket, h2c",
        "Upgrade: websocket\r\nUpgrade: h2c",
        "Upgrade: h2c\r\nUpgrade: websocket",
        "Upgrade: h2c, h2c",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nHTTP2-Settings: AAMAAABk",
        "Upgrade: h2",
        "Upgrade: HTTP/2.0",
        "Upgrade: h2c-14",
        "HTTP2-Settings: AAMAAABk",
    ] {
        refuses_lines(Malformed::Upgrade, &[&format!("Connection: Upgrade\r\n{line}\r\n")]);
    }
    refuses(Malformed::Upgrade, &[b"GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"]);
    assert!(head(&with_lines("Connection: Upgrade\r\nUpgrade: websocket\r\n")).is_ok());
}

#[test]
fn t65_an_unknown_expectation_is_refused() {
    refuses_lines(
        Malformed::Expect,
        &["Expect: 200-ok\r\n", "Expect:\r\n", "Expect: 100-continue, x\r\n", "Expect: 100-continue\r\nExpect: x\r\n"],
    );
    assert!(head(&with_lines("Expect: 100-Continue\r\n")).is_ok());
}

#[test]
fn t81_a_connection_option_that_names_the_host_or_the_framing_is_refused() {
    refuses_lines(
        Malformed::Connection,
        &[
            "Connection: Host\r\n",
            "Connection: close, Content-Length\r\n",
            "Connection: transfer-encoding ,x\r\n",
            "Connection: x\r\nconnection: HOST\r\n",
        ],
    );
    assert!(head(&with_lines("Connection: close, Authorization\r\n")).is_ok(), "stripping that one is the exchange's work");
}

#[test]
fn t82_t132_a_second_proxy_authorization_is_refused() {
    refuses_lines(
        Malformed::ProxyAuthorizationRepeated,
        &["Proxy-Authorization: Basic YQ==\r\nproxy-authorization: Basic YQ==\r\n"],
    );
    assert!(head(&with_lines("Proxy-Authorization: Basic YQ==\r\n")).is_ok());
}

#[test]
fn a_head_is_looked_at_once_however_it_arrives() {
    // A scan from the start for every byte would look at 2^31 bytes here, and take minutes.
    let bytes = with_lines(&format!("A: {}\r\n", "x".repeat(60_000)));
    let mut parser = Parser::new(Shape::Request);
    let limits = Limits::default();
    let begun = std::time::Instant::now();
    let heads = (1..=bytes.len()).filter_map(|end| parser.feed(&bytes[..end], &limits).expect("valid")).count();
    assert_eq!(heads, 1);
    assert!(begun.elapsed() < std::time::Duration::from_secs(2));
}

#[test]
fn i1_no_error_repeats_what_was_read() {
    let error = head(&with_lines("Authorization : Bearer s3cret\r\n")).expect_err("malformed");
    assert!(!format!("{error} {error:?} {}", error.kind()).contains("s3cret"));
}
