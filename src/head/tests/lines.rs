use super::*;
use crate::head::Form;

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
}

#[test]
fn t62_targets_and_methods_with_foreign_bytes_are_refused() {
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
fn t64_an_upgrade_with_a_body_is_refused() {
    refuses_lines(
        Malformed::UpgradeBody,
        &["Upgrade: websocket\r\nContent-Length: 1\r\n", "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n"],
    );
    assert!(head(&with_lines("Upgrade: websocket\r\nContent-Length: 0\r\n")).is_ok());
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
