//! Threats 53 to 71 on the wire: what two readers could frame differently is refused, closed, and never seen by the service (I7).

use crate::attack::{HOST, KEY, home, scene, service, talk};
use crate::harness::{Authority, Caller, Offers, run};

/// What stands between request line and empty line, and behind it.
const HEADS: &[(&str, &str, &str)] = &[
    ("t53 CL and TE", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("t53 TE and CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
    ("t54 xchunked", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    ("t54 quoted", "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
    ("t54 VT", "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
    ("t54 tab", "Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n"),
    ("t54 space before colon", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    ("t54 folded", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    ("t54 identity, chunked", "Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"),
    ("t54 chunked, identity", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
    ("t54 twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("t54 twice, other case", "Transfer-Encoding: chunked\r\ntransfer-encoding: CHUNKED\r\n", "0\r\n\r\n"),
    ("t54 empty", "Transfer-Encoding: \r\n", "0\r\n\r\n"),
    ("t55 two lengths", "Content-Length: 4\r\nContent-Length: 5\r\n", "abcde"),
    ("t55 two equal lengths", "Content-Length: 4\r\nContent-Length: 4\r\n", "abcd"),
    ("t55 a list", "Content-Length: 4, 5\r\n", "abcde"),
    ("t55 a list of equals", "Content-Length: 4, 4\r\n", "abcd"),
    ("t56 plus", "Content-Length: +5\r\n", "abcde"),
    ("t56 hexadecimal", "Content-Length: 0x5\r\n", "abcde"),
    ("t56 negative", "Content-Length: -1\r\n", ""),
    ("t56 VT", "Content-Length: 5 \x0b\r\n", "abcde"),
    ("t56 beyond 2^64", "Content-Length: 18446744073709551621\r\n", "abcde"),
    ("t56 exponent", "Content-Length: 1e1\r\n", "abcde"),
    ("t56 empty", "Content-Length: \r\n", ""),
    ("t57 bare LF", "X-A: 1\nX-B: 2\r\n", ""),
    ("t57 bare CR in a value", "X-A: 1\rX-B: 2\r\n", ""),
    ("t57 bare CR at the end", "X-A: 1\r\r\n", ""),
    ("t58 folding", "X-A: 1\r\n 2\r\n", ""),
    ("t58 folding by tab", "Authorization: Bearer\r\n\tmine\r\n", ""),
    ("t59 no colon", "X-A\r\n", ""),
    ("t59 an empty name", ": 1\r\n", ""),
    ("t59 space in the name", "X A: 1\r\n", ""),
    ("t59 space before the colon", "Authorization : Bearer mine\r\n", ""),
    ("t59 tab before the colon", "Authorization\t: Bearer mine\r\n", ""),
    ("t59 NUL in a value", "X-A: 1\x002\r\n", ""),
    ("t59 NUL in a name", "X\x00A: 1\r\n", ""),
    ("t59 DEL", "X-A: \x7f\r\n", ""),
    (
        "t64 h2c beside another",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, websocket\r\nHTTP2-Settings: AAMAAABk\r\n",
        "",
    ),
    ("t64 h2c behind another", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", ""),
    ("t64 settings without h2c", "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n", ""),
    ("t64 h2c by another name", "Connection: Upgrade\r\nUpgrade: websocket, HTTP/2.0\r\n", ""),
    ("t63 an upgrade with a body", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", "abc"),
    ("t65 an unknown expectation", "Expect: 200-ok\r\n", ""),
    ("t132 two identities", "Proxy-Authorization: Basic YTp0\r\nProxy-Authorization: Basic YTp0\r\n", ""),
];

/// Whole start lines.
const LINES: &[(&str, &[u8])] = &[
    ("t62 tabs", b"GET\t/\tHTTP/1.1\r\nHost: api.acme.test\r\n\r\n"),
    ("t62 two spaces", b"GET  / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n"),
    ("t62 HTTP/1.2", b"GET / HTTP/1.2\r\nHost: api.acme.test\r\n\r\n"),
    ("t62 HTTP/0.9", b"GET /\r\n\r\n"),
    ("t62 HTTP/2.0 as text", b"GET / HTTP/2.0\r\nHost: api.acme.test\r\n\r\n"),
    ("t62 http/1.1", b"GET / http/1.1\r\nHost: api.acme.test\r\n\r\n"),
    ("t62 LF in the target", b"GET /\n HTTP/1.1\r\nHost: api.acme.test\r\n\r\n"),
    ("t62 a fragment", b"GET /#x HTTP/1.1\r\nHost: api.acme.test\r\n\r\n"),
    ("t62 a trailing space", b"GET / HTTP/1.1 \r\nHost: api.acme.test\r\n\r\n"),
    ("t59 a leading space", b" GET / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n"),
    ("t59 an empty line first", b"\r\nGET / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n"),
    ("t59 a space behind the request line", b"GET / HTTP/1.1\r\n X: y\r\nHost: api.acme.test\r\n\r\n"),
    ("t59 a high byte in a name", b"GET / HTTP/1.1\r\nHost: api.acme.test\r\nX-\xe9: 1\r\n\r\n"),
    ("t59 a high byte in the target", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: api.acme.test\r\n\r\n"),
    ("t54 TE on HTTP/1.0", b"POST / HTTP/1.0\r\nHost: api.acme.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("t62 LF after the request line", b"GET / HTTP/1.1\nHost: api.acme.test\r\n\r\n"),
    ("t62 the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
];

/// A request glued behind each attack: it must not be answered.
const GLUED: &str = "GET /glued HTTP/1.1\r\nHost: api.acme.test\r\n\r\n";

#[test]
fn t53_to_t65_malformed_heads_are_refused_and_the_stream_closed() {
    run(async {
        let scene = scene("").await;
        let heads = HEADS
            .iter()
            .map(|(what, head, body)| (*what, format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\n{head}\r\n{body}").into_bytes()));
        let lines = LINES.iter().map(|(what, bytes)| (*what, bytes.to_vec()));
        let attacks: Vec<(&str, Vec<u8>)> = heads.chain(lines).collect();
        let tries = attacks.iter().map(|(what, bytes)| async {
            let bytes = [bytes.as_slice(), GLUED.as_bytes()].concat();
            let inside = scene.inside(&bytes).await;
            let open = talk(scene.caller.tcp().await, &bytes).await;
            (*what, inside, open)
        });
        for (what, inside, open) in in_turns(tries).await {
            for raw in [inside, open] {
                assert_eq!((raw.status(), raw.responses(), raw.closed), (400, 1, true), "{what}: {raw:?}");
                assert_eq!(raw.refusal(), "malformed", "{what}: {raw:?}");
                assert!(
                    raw.text.contains("application/problem+json") && raw.text.contains("\"status\":400"),
                    "{what}: {raw:?}"
                );
            }
        }
        assert!(scene.saw(0), "{:?}", scene.service.seen());
        let line = scene.nexus.audit_line(|line| line["refusal"] == "malformed" && line["host"] == HOST).await;
        assert!(line["notes"].is_array(), "{line}");
    });
}

/// All at once, answers in order.
async fn in_turns<T>(tries: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = tries.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, slot) in waiting.iter_mut().zip(done.iter_mut()).filter(|(_, slot)| slot.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *slot = Some(value),
                std::task::Poll::Pending => pending = true,
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[test]
fn t60_t61_malformed_chunks_and_trailers_end_the_request_as_broken() {
    run(async {
        let scene = scene("").await;
        for (what, body) in [
            ("overflow", "10000000000000004\r\nabcd\r\n0\r\n\r\n"),
            ("negative", "-4\r\nabcd\r\n0\r\n\r\n"),
            ("0x", "0x4\r\nabcd\r\n0\r\n\r\n"),
            ("plus", "+4\r\nabcd\r\n0\r\n\r\n"),
            ("space", "4 \r\nabcd\r\n0\r\n\r\n"),
            ("a leading space", " 4\r\nabcd\r\n0\r\n\r\n"),
            ("LF in an extension", "4;a\n\r\nabcd\r\n0\r\n\r\n"),
            ("bare LF", "4\nabcd\n0\n\n"),
            ("no CRLF after the data", "4\r\nabcdXX0\r\n\r\n"),
            ("empty", "\r\nabcd\r\n0\r\n\r\n"),
            ("Authorization behind the body", "4\r\nabcd\r\n0\r\nAuthorization: Bearer mine\r\n\r\n"),
            ("Host behind the body", "4\r\nabcd\r\n0\r\nHost: evil.test\r\n\r\n"),
            ("Content-Length behind the body", "4\r\nabcd\r\n0\r\nContent-Length: 9\r\n\r\n"),
            ("a malformed trailer", "4\r\nabcd\r\n0\r\nX A: 1\r\n\r\n"),
        ] {
            let bytes = format!(
                "POST /{} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{body}{GLUED}",
                what.replace(' ', "-")
            );
            let raw = scene.inside(bytes.as_bytes()).await;
            assert!(raw.closed && raw.responses() <= 1, "{what}: {raw:?}");
            assert!([0, 400].contains(&raw.status()), "{what}: {raw:?}");
            let seen = scene.service.seen();
            assert!(seen.iter().all(|seen| seen.body.is_none() && seen.path != "/glued"), "{what}: {seen:?}");
        }
    });
}

#[test]
fn t66_t67_bytes_behind_connect_are_the_tunnels() {
    run(async {
        let scene = scene("").await;
        let bytes = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nabcde");
        let raw = talk(scene.caller.tcp().await, bytes.as_bytes()).await;
        assert_eq!((raw.status(), raw.closed), (400, true), "{raw:?}");
        let bytes = format!(
            "CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n\r\nCONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n"
        );
        let raw = talk(scene.caller.tcp().await, bytes.as_bytes()).await;
        // The number alone may be part of an id of the refusal.
        assert!(raw.closed && raw.text.matches("HTTP/1.1 200").count() == 1, "{raw:?}");
        assert!(scene.saw(0));
    });
}

#[test]
fn t68_pipelined_requests_are_each_checked_and_answered_in_order() {
    run(async {
        let scene = scene("").await;
        let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: mine\r\n\r\n");
        let bytes = [
            one("/1"),
            one("/2"),
            "POST /mint/x HTTP/1.1\r\nHost: api.acme.test\r\nContent-Length: 0\r\n\r\n".into(),
            one("/3"),
        ]
        .concat();
        let raw = scene.inside(bytes.as_bytes()).await;
        let statuses: Vec<&str> = raw.text.split("HTTP/1.1 ").skip(1).map(|part| &part[..3]).collect();
        assert_eq!(statuses, ["200", "200", "403", "200"], "{raw:?}");
        let seen = scene.service.seen();
        assert_eq!(seen.iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), ["/1", "/2", "/3"]);
        assert!(seen.iter().all(|seen| seen.bearer() == Some(KEY)));
    });
}

mod http2 {
    //! Threats 69 to 71: raw frames, since no library would send these fields.

    use super::*;
    use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, field, frame, preface, statuses};

    type Fields = Vec<(&'static [u8], &'static [u8])>;

    fn usual() -> Fields {
        vec![(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"api.acme.test"), (b":path", b"/")]
    }

    fn with(name: &'static [u8], value: &'static [u8]) -> Fields {
        let mut fields = usual();
        match fields.iter_mut().find(|(own, _)| *own == name) {
            Some(own) => own.1 = value,
            None => fields.push((name, value)),
        }
        fields
    }

    fn also(name: &'static [u8], value: &'static [u8]) -> Fields {
        let mut fields = usual();
        fields.push((name, value));
        fields
    }

    #[test]
    fn t69_t70_t71_what_http1_could_not_carry_never_reaches_an_http1_service() {
        run(async {
            let ca = Authority::new();
            let service = service(&ca, Offers::Http1).await;
            let nexus = home(&ca, &service).start();
            let caller = Caller::new(&nexus);
            let rows: Vec<(&str, Fields)> = vec![
                ("CRLF in a value", also(b"x-a", b"1\r\nauthorization: mine")),
                ("LF in a value", also(b"x-a", b"1\nx: 2")),
                ("NUL in a value", also(b"x-a", b"1\x002")),
                ("colon in a name", also(b"x-a:b", b"1")),
                ("space in a name", also(b"x a", b"1")),
                ("CRLF in a name", also(b"x\r\nb", b"1")),
                ("upper case in a name", also(b"X-A", b"1")),
                ("CRLF in :path", with(b":path", b"/ HTTP/1.1\r\nHost: evil.test\r\n\r\nGET /")),
                ("space in :path", with(b":path", b"/ HTTP/1.1")),
                ("no slash in :path", with(b":path", b"evil")),
                ("a URL in :path", with(b":path", b"https://evil.test/")),
                ("@ in :path", with(b":path", b"@evil.test/")),
                ("an empty :path", with(b":path", b"")),
                ("CRLF in :method", with(b":method", b"GET / HTTP/1.1\r\nX: y")),
                ("space in :method", with(b":method", b"GET /")),
                ("CRLF in :authority", with(b":authority", b"api.acme.test\r\nX: y")),
                ("userinfo in :authority", with(b":authority", b"user@api.acme.test")),
                ("another :authority", with(b":authority", b"evil.test")),
                ("an empty :authority", with(b":authority", b"")),
                (":scheme with CRLF", with(b":scheme", b"https\r\n")),
                (":scheme http", with(b":scheme", b"http")),
                ("transfer-encoding", also(b"transfer-encoding", b"chunked")),
                ("connection", also(b"connection", b"authorization")),
                ("keep-alive", also(b"keep-alive", b"1")),
                ("upgrade", also(b"upgrade", b"h2c")),
                ("te", also(b"te", b"gzip")),
                ("a pseudo field twice", also(b":path", b"/other")),
                ("a late pseudo field", [also(b"x-a", b"1"), vec![(&b":authority"[..], &b"api.acme.test"[..])]].concat()),
                ("an unknown pseudo field", also(b":evil", b"1")),
                ("a response's pseudo field", also(b":status", b"200")),
                ("a length that is wrong", also(b"content-length", b"5")),
                ("two hosts", [also(b"host", b"api.acme.test"), vec![(&b"host"[..], &b"evil.test"[..])]].concat()),
                ("host of another", also(b"host", b"evil.test")),
                ("CONNECT", vec![(b":method", b"CONNECT"), (b":authority", b"evil.test:443")]),
                ("CONNECT to the same", vec![(b":method", b"CONNECT"), (b":authority", b"api.acme.test:443")]),
                (
                    "extended CONNECT of another protocol",
                    [with(b":method", b"CONNECT"), vec![(&b":protocol"[..], &b"connect-ip"[..])]].concat(),
                ),
                ("no :authority", usual().into_iter().filter(|(name, _)| *name != b":authority").collect()),
                ("no :path", usual().into_iter().filter(|(name, _)| *name != b":path").collect()),
                ("no :method", usual().into_iter().filter(|(name, _)| *name != b":method").collect()),
            ];
            let tries = rows.iter().map(|(what, fields)| async {
                let block: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
                let mut stream = caller.tls(HOST, &["h2"]).await;
                let bytes = [preface(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)].concat();
                (*what, statuses(&mut stream, &bytes, 1).await)
            });
            for (what, statuses) in in_turns(tries).await {
                assert!(statuses.iter().all(|status| [0, 400, 421, 405, 403].contains(status)), "{what}: {statuses:?}");
            }
            assert_eq!(service.count(), 0, "{:?}", service.seen());
            let block: Vec<u8> = usual().iter().flat_map(|(name, value)| field(name, value)).collect();
            let bytes = [preface(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)].concat();
            let mut stream = caller.tls(HOST, &["h2"]).await;
            assert_eq!(statuses(&mut stream, &bytes, 1).await, [200], "the usual request is one");
            // A length that disagrees with the data ends the stream, and the service never sees a whole body.
            let block: Vec<u8> = [with(b":method", b"POST"), vec![(&b"content-length"[..], &b"2"[..])]]
                .concat()
                .iter()
                .flat_map(|(n, v)| field(n, v))
                .collect();
            let bytes = [preface(), frame(HEADERS, END_HEADERS, 1, &block), frame(DATA, END_STREAM, 1, b"abcde")].concat();
            let mut stream = caller.tls(HOST, &["h2"]).await;
            let statuses = statuses(&mut stream, &bytes, 1).await;
            assert!(!statuses.contains(&200), "{statuses:?}");
            assert!(service.seen().iter().all(|seen| seen.method == "GET" || seen.body.is_none()), "{:?}", service.seen());
        });
    }
}

/// 64 KiB is what the engine's own type of a target holds; the limits may be set above that.
#[test]
fn a_target_that_only_our_limits_allow_is_answered_and_on_record() {
    run(async {
        let scene = scene("[limits]\nhead_size = \"256KiB\"\ntarget_size = \"200KiB\"").await;
        for way in ["Connection: close\r\n", ""] {
            let long = "a".repeat(70_000);
            let raw = scene.inside(format!("GET /{long} HTTP/1.1\r\nHost: {HOST}\r\n{way}\r\n").as_bytes()).await;
            assert!((400..500).contains(&raw.status()), "{way:?}: {raw:?}");
        }
        assert!(scene.saw(0));
        assert_eq!(scene.caller.get("https://api.acme.test/next").await.status, 200);
    });
}
