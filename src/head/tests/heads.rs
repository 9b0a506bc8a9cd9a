use super::*;
use crate::head::{Form, Parser, Shape};

fn refuses_lines(expected: Malformed, lines: &[&str]) {
    let cases: Vec<_> = lines.iter().map(|line| with_lines(line)).collect();
    refuses(expected, &cases.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

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
fn every_form_of_target_is_told_apart() {
    for (line, form) in [
        ("GET / HTTP/1.1", Form::Origin),
        ("GET //a.example/ HTTP/1.1", Form::Origin),
        ("GET http://a.example HTTP/1.1", Form::Absolute),
        ("GET HTTPS://a.example:1/b?c HTTP/1.1", Form::Absolute),
        ("CONNECT a.example:443 HTTP/1.1", Form::Authority),
        ("CONNECT [::1]:443 HTTP/1.0", Form::Authority),
        ("OPTIONS * HTTP/1.1", Form::Asterisk),
    ] {
        let bytes = format!("{line}\r\nHost: a.example\r\n\r\n");
        assert_eq!(head(bytes.as_bytes()).map(|head| head.form()), Ok(Some(form)), "{line}");
    }
}

#[test]
fn an_incomplete_head_asks_for_more() {
    let bytes = with_lines("Accept: */*\r\n");
    for end in 0..bytes.len() {
        assert_eq!(Head::parse(&bytes[..end], &Limits::default()), Ok(None), "{end}");
    }
}

#[test]
fn t7_two_hosts_or_none_are_refused() {
    refuses_lines(Malformed::HostCount, &["Host: a.example\r\n", "host: b.example\r\n"]);
    refuses(Malformed::HostCount, &[b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"]);
    assert!(head(b"GET / HTTP/1.0\r\n\r\n").is_ok());
}

#[test]
fn t8_t11_t13_t14_a_host_that_is_not_one_plain_host_is_refused() {
    for host in [
        "",
        "a b",
        "a,b",
        "a@b",
        "user:pass@a",
        "a/b",
        "a\\b",
        "a?b",
        "a#b",
        "a%2eb",
        "a%00",
        "a\tb",
        "a:",
        "a:443:443",
        "a:65979",
        "a:0443",
        "a:-1",
        "a:+1",
        "a:1e1",
        ":443",
        "[::1",
        "[]",
        "[::1]x",
        "[::1%25eth0]",
        "::1",
        "a;b",
        "*",
        "<a>",
    ] {
        refuses(Malformed::Host, &[format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()]);
    }
    refuses(Malformed::NotAscii, &["GET / HTTP/1.1\r\nHost: ａ.example\r\n\r\n".as_bytes()]);
}

#[test]
fn t15_t16_a_target_that_could_mean_another_host_is_refused() {
    for target in [
        "@b/",
        ":80@b/",
        "a",
        "\\\\b",
        "?a",
        "*",
        "http:/b",
        "http://",
        "http:///a",
        "http://u@b/",
        "http://u:p@b/",
        "http://b?c",
        "ftp://b/",
        "file:///etc/passwd",
        "gopher://b/",
        "unix:/a",
        "ws://b/",
        "http://b:x/",
        "http://b\\c/",
        "http://b,c/",
    ] {
        refuses(Malformed::Target, &[format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()]);
    }
    for target in ["/", "a:443@b", "u@a:443", "a/b:443", "a:443/", "*", "http://a/"] {
        refuses(Malformed::Target, &[format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()]);
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
fn t62_request_lines_that_are_not_exact_are_refused() {
    refuses(
        Malformed::RequestLine,
        &[
            b"GET\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET /  HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1 \r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
        ],
    );
    refuses(Malformed::RequestLine, &[b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"]);
    for version in
        ["HTTP/1.2", "HTTP/0.9", "HTTP/2.0", "HTTP/1", "HTTP/1.10", "http/1.1", "HTTP/01.1", "HTTPS/1.1", "HTTP/1.1\t"]
    {
        refuses(Malformed::Version, &[format!("GET / {version}\r\nHost: a\r\n\r\n").as_bytes()]);
    }
    refuses(Malformed::Version, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]);
    refuses(
        Malformed::Target,
        &[
            b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /a#b?c HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /\ta HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    refuses(
        Malformed::Target,
        &[
            b"GET /<a> HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /?\"a\" HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    refuses(Malformed::NotAscii, &["GET /é HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes()]);
    refuses(
        Malformed::Method,
        &[b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", b"G\"T / HTTP/1.1\r\nHost: a\r\n\r\n", b"G:T / HTTP/1.1\r\nHost: a\r\n\r\n"],
    );
    refuses(Malformed::LineEnd, &[b"GET /a\nb HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n"]);
    refuses(Malformed::Control, &[b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"]);
}

#[test]
fn t64_an_upgrade_to_cleartext_http2_is_refused() {
    for line in [
        "Upgrade: h2c",
        "upgrade: H2C",
        "Upgrade: websocket, h2c",
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
fn t64_an_upgrade_with_a_body_is_refused() {
    refuses_lines(
        Malformed::UpgradeBody,
        &["Upgrade: websocket\r\nContent-Length: 1\r\n", "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n"],
    );
    assert!(head(&with_lines("Upgrade: websocket\r\nContent-Length: 0\r\n")).is_ok());
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
fn t66_a_connect_with_a_body_is_refused() {
    refuses(
        Malformed::UpgradeBody,
        &[
            b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
            b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ],
    );
    assert!(head(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").is_ok());
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
fn t110_too_many_fields_too_many_bytes_and_too_long_a_target_are_three_things() {
    let fields = |count: usize| with_lines(&"A: b\r\n".repeat(count - 1));
    assert!(head(&fields(100)).is_ok());
    assert_eq!(head(&fields(101)), Err(Malformed::TooManyFields));
    let sized = |len: usize| with_lines(&format!("A: {}\r\n", "x".repeat(len - with_lines("A: \r\n").len())));
    assert_eq!(sized(64 * 1024).len(), 64 * 1024);
    assert!(head(&sized(64 * 1024)).is_ok());
    assert_eq!(head(&sized(64 * 1024 + 1)), Err(Malformed::HeadTooLarge));
    assert_eq!(head(&[b"GET / HTTP/1.1\r\nA: ", &[b'x'; 65 * 1024][..]].concat()), Err(Malformed::HeadTooLarge));
    let target = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(len - 1)).into_bytes();
    assert!(head(&target(16 * 1024)).is_ok());
    assert_eq!(head(&target(16 * 1024 + 1)), Err(Malformed::TargetTooLong));
    assert_eq!(head(&[b'x'; 17 * 1024]), Err(Malformed::TargetTooLong));
}

#[test]
fn garbage_is_refused_at_its_first_wrong_byte() {
    for (bytes, expected) in [
        (&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], Malformed::Control),
        (b"GET / HTTP/1.1\n", Malformed::LineEnd),
        (b"GET /\0", Malformed::Control),
        (b"\x80", Malformed::NotAscii),
    ] {
        assert_eq!(head(bytes), Err(expected), "{}", bytes.escape_ascii());
    }
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
