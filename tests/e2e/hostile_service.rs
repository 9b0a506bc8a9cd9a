//! Threats 72 to 79: a service that answers with anything. Its caller gets a 502 or a broken stream, others notice nothing (I6, I7).

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use crate::attack::{HOST, home, talk};
use crate::harness::{Authority, Caller, Offers, Upstream, empty, read_head, request, run};

/// Fields that send a request the engine's way, and none, which sends it the short way.
const WAYS: [&str; 2] = ["Connection: close\r\n", ""];

/// A service that answers `/N` with the N-th of `answers` and then stays silent, anything else with a plain 200.
async fn scripted(ca: &Authority, answers: Vec<Vec<u8>>) -> Upstream {
    Upstream::raw(ca, &[HOST], Offers::Http1, move |mut stream, number| {
        let answers = answers.clone();
        async move {
            loop {
                let mut first = [0];
                let Ok(1) = tokio::io::AsyncReadExt::read(&mut stream, &mut first).await else { return };
                let head = read_head(&mut stream).await;
                let path = head.split(' ').nth(1).unwrap_or_default();
                let bytes = path.strip_prefix('/').and_then(|path| answers.get(path.parse::<usize>().ok()?).cloned());
                let usual = format!("HTTP/1.1 200 OK\r\nX-Connection: {number}\r\nContent-Length: 2\r\n\r\nok").into_bytes();
                let odd = bytes.is_some();
                drop(stream.write_all(&bytes.unwrap_or(usual)).await);
                drop(stream.flush().await);
                if odd && path.ends_with('0') {
                    return;
                }
            }
        }
    })
    .await
}

#[test]
fn t74_t76_t77_t78_malformed_answers_are_502_and_their_connection_is_not_used_again() {
    run(async {
        let ok = "Content-Length: 2\r\n\r\nok";
        let long = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n{ok}", "a".repeat(70_000));
        let many: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
        let rows: Vec<(&str, String)> = vec![
            ("CL and TE", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok".into()),
            ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok".into()),
            ("a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok".into()),
            ("garbage", "hello, world\r\n\r\n".into()),
            ("status 99999", format!("HTTP/1.1 99999 OK\r\n{ok}")),
            ("status 99", format!("HTTP/1.1 99 OK\r\n{ok}")),
            ("HTTP/3.0", format!("HTTP/3.0 200 OK\r\n{ok}")),
            ("NUL in a value", format!("HTTP/1.1 200 OK\r\nX-A: a\0b\r\n{ok}")),
            ("bare CR in a value", format!("HTTP/1.1 200 OK\r\nX-A: a\rb\r\n{ok}")),
            ("bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok".into()),
            ("folding", format!("HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\n{ok}")),
            ("no colon", format!("HTTP/1.1 200 OK\r\nX-A\r\n{ok}")),
            ("xchunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".into()),
            ("a head without end", long),
            ("too many fields", format!("HTTP/1.1 200 OK\r\n{many}{ok}")),
            ("1xx without end", format!("{}HTTP/1.1 200 OK\r\n{ok}", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100))),
            ("101 unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw".into()),
            ("an empty answer", "\r\n\r\n".into()),
            ("TLS in TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".into()),
        ];
        let ca = Authority::new();
        let service = scripted(&ca, rows.iter().map(|(_, bytes)| bytes.clone().into_bytes()).collect()).await;
        let nexus = home(&ca, &service).config("[proxy]\nworkers = 1\n[upstream]\nhead_timeout_secs = 2").start();
        let caller = Caller::new(&nexus);
        for (number, (what, _)) in rows.iter().enumerate() {
            for way in WAYS {
                let bytes = format!("GET /{number} HTTP/1.1\r\nHost: {HOST}\r\n{way}\r\n");
                let raw = talk(caller.tls(HOST, &[]).await, bytes.as_bytes()).await;
                // Bytes that could still become a head are waited for.
                let fits = raw.status() == 502 || (raw.status() == 504 && *what == "TLS in TLS");
                assert!(fits && ["upstream", "timeout"].contains(&raw.refusal()), "{what} {way:?}: {raw:?}");
                let reply = caller.get("https://api.acme.test/usual").await;
                assert_eq!((reply.status, reply.text()), (200, "ok"), "after {what} {way:?}");
            }
            let line = nexus.closed(&format!("/{number}")).await;
            assert!(line["refusal"].is_string(), "{what}: {line}");
        }
    });
}

#[test]
fn t72_t73_t75_what_follows_or_lacks_an_answer_reaches_nobody_else() {
    run(async {
        let rows: Vec<(&str, &str, &str, bool)> = vec![
            (
                "two responses",
                "GET",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL",
                true,
            ),
            ("bytes behind the body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokEVIL", true),
            ("a body on HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL", true),
            ("a body on 204", "GET", "HTTP/1.1 204 No Content\r\n\r\nEVIL", true),
            ("a length on 204", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nEVIL", true),
            ("a body on 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nEVIL", true),
            (
                "bytes behind the last chunk",
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nEVIL",
                true,
            ),
        ];
        let ca = Authority::new();
        let service = scripted(&ca, rows.iter().map(|(_, _, bytes, _)| bytes.as_bytes().to_vec()).collect()).await;
        let nexus = home(&ca, &service).config("[proxy]\nworkers = 1").start();
        let caller = Caller::new(&nexus);
        for (number, (what, method, ..)) in rows.iter().enumerate() {
            for way in WAYS {
                let bytes = format!("{method} /{number} HTTP/1.1\r\nHost: {HOST}\r\n{way}\r\n");
                let raw = talk(caller.tls(HOST, &[]).await, bytes.as_bytes()).await;
                assert!(!raw.text.contains("EVIL") && raw.responses() <= 1, "{what} {way:?}: {raw:?}");
                if what.ends_with("on 204") {
                    let url = format!("https://{HOST}/{number}");
                    let reply = caller.http2(HOST).await.send(request(http::Method::GET, &url, empty())).await;
                    assert_eq!((reply.status, reply.text()), (204, ""), "{what} over HTTP/2");
                }
                for _ in 0..3 {
                    let reply = caller.get("https://api.acme.test/usual").await;
                    assert_eq!((reply.status, reply.text()), (200, "ok"), "after {what} {way:?}");
                }
            }
        }
    });
}

#[test]
fn t75_a_truncated_body_is_never_a_complete_answer() {
    run(async {
        let ca = Authority::new();
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: ",
        ];
        let service = Upstream::raw(&ca, &[HOST], Offers::Http1, move |mut stream, _number| async move {
            let head = read_head(&mut stream).await;
            let number: usize = head.split(' ').nth(1).and_then(|path| path[1..].parse().ok()).unwrap_or(0);
            drop(stream.write_all(answers[number].as_bytes()).await);
            drop(stream.shutdown().await);
        })
        .await;
        let nexus = home(&ca, &service).start();
        let caller = Caller::new(&nexus);
        for number in 0..answers.len() {
            for http2 in [false, true] {
                let mut session = if http2 { caller.http2(HOST).await } else { caller.http1(HOST).await };
                let url = format!("https://{HOST}/{number}");
                let outcome = session.try_send(crate::harness::request(http::Method::GET, &url, crate::harness::empty())).await;
                assert!(outcome.is_err(), "{number} {http2}: {outcome:?}");
            }
        }
    });
}

#[test]
fn t79_stalls_end_in_504_and_others_are_served_meanwhile() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &[HOST], Offers::Http1, |mut stream, _number| async move {
            let head = read_head(&mut stream).await;
            if head.starts_with("GET /stall ") {
                std::future::pending::<()>().await;
            }
            if head.starts_with("GET /drip ") {
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" {
                    drop(stream.write_all(&[*byte]).await);
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
            if head.starts_with("GET /half ") {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await);
                std::future::pending::<()>().await;
            }
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await);
            drop(stream.flush().await);
        })
        .await;
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let config = "[proxy]\nunmatched = \"intercept\"\nworkers = 1\n[upstream]\nhead_timeout_secs = 1\nhandshake_timeout_secs = 1\nidle_timeout_secs = 1\nconnect_timeout_secs = 1";
        let builder = home(&ca, &service).config(config).resolve("silent.test", silent.local_addr().expect("an address"));
        let nexus = builder.start();
        let caller = Caller::new(&nexus);
        let begun = Instant::now();
        let slow = async |url: &str| caller.get(url).await;
        let busy = async {
            for _ in 0..10 {
                let asked = Instant::now();
                assert_eq!(caller.get("https://api.acme.test/usual").await.status, 200);
                assert!(asked.elapsed() < Duration::from_secs(5), "others wait");
            }
        };
        let half = async {
            let mut session = caller.http1(HOST).await;
            session
                .try_send(crate::harness::request(http::Method::GET, "https://api.acme.test/half", crate::harness::empty()))
                .await
        };
        let (stall, drip, silent_reply, half, ()) = tokio::join!(
            slow("https://api.acme.test/stall"),
            slow("https://api.acme.test/drip"),
            slow("https://silent.test/"),
            half,
            busy
        );
        for reply in [stall, drip, silent_reply] {
            assert_eq!((reply.status, reply.refusal()), (504, Some("timeout")), "{reply:?}");
        }
        assert!(half.is_err(), "{half:?}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn t72_an_answer_before_the_upload_ends_leaves_no_busy_connection_to_the_next_caller() {
    run(async {
        let ca = Authority::new();
        let service = scripted(&ca, Vec::new()).await;
        let nexus = home(&ca, &service).config("[proxy]\nworkers = 1").start();
        let caller = Caller::new(&nexus);
        let mut upload = caller.tls(HOST, &["http/1.1"]).await;
        let head = format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\n0123456789");
        upload.write_all(head.as_bytes()).await.expect("a write");
        let answered = read_head(&mut upload).await;
        assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
        let asked = Instant::now();
        assert_eq!(caller.get("https://api.acme.test/next").await.status, 200);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        drop(upload);
    });
}

/// A promise on `stream`, and the response that was promised.
fn pushed(stream: u32) -> Vec<u8> {
    use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, PUSH_PROMISE, field, frame};
    let fields: [(&[u8], &[u8]); 4] =
        [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", HOST.as_bytes()), (b":path", b"/next")];
    let block = fields.iter().flat_map(|(name, value)| field(name, value));
    let promise: Vec<u8> = 2_u32.to_be_bytes().into_iter().chain(block).collect();
    let frames = [
        frame(PUSH_PROMISE, END_HEADERS, stream, &promise),
        frame(HEADERS, END_HEADERS, 2, &[0x88]),
        frame(DATA, END_STREAM, 2, b"EVIL"),
    ];
    frames.concat()
}

/// RFC 9113 §8.4: what nobody asked for answers nobody's request, and ends the connection that brought it.
#[test]
fn t52_i6_a_pushed_response_ends_its_connection_and_reaches_nobody() {
    use crate::frames::{ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, SETTINGS, frame, next};
    run(async {
        let ca = Authority::new();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let service = Upstream::raw(&ca, &[HOST], Offers::Http2, move |mut stream, number| {
            let tell = tell.clone();
            async move {
                let mut preface = [0; 24];
                if tokio::io::AsyncReadExt::read_exact(&mut stream, &mut preface).await.is_err() {
                    return;
                }
                drop(stream.write_all(&frame(SETTINGS, 0, 0, b"")).await);
                while let Some((kind, flags, id, payload)) = next(&mut stream).await {
                    let mut bytes = Vec::new();
                    match kind {
                        SETTINGS if flags & ACK == 0 => {
                            tell.send((number, SETTINGS, payload)).expect("the test listens");
                            bytes.extend(frame(SETTINGS, ACK, 0, b""));
                        }
                        GOAWAY => tell.send((number, GOAWAY, payload)).expect("the test listens"),
                        HEADERS => {
                            bytes.extend((number == 0).then(|| pushed(id)).into_iter().flatten());
                            bytes.extend(frame(HEADERS, END_HEADERS, id, &[0x88]));
                            bytes.extend(frame(DATA, END_STREAM, id, b"ok"));
                        }
                        _ => {}
                    }
                    drop(stream.write_all(&bytes).await);
                    drop(stream.flush().await);
                }
            }
        })
        .await;
        let nexus = home(&ca, &service).config("[proxy]\nworkers = 1").start();
        let caller = Caller::new(&nexus);
        let reply = caller.get("https://api.acme.test/first").await;
        assert_eq!((reply.status, reply.refusal()), (502, Some("upstream")), "{reply:?}");
        for path in ["/next", "/last"] {
            let reply = caller.get(&format!("https://{HOST}{path}")).await;
            assert_eq!((reply.status, reply.text()), (200, "ok"), "{path}");
        }
        assert_eq!(service.connections(), 2);
        // SETTINGS_ENABLE_PUSH = 0 (RFC 9113 §6.5.2), then PROTOCOL_ERROR (§7).
        let (number, kind, settings) = told.recv().await.expect("settings");
        assert_eq!((number, kind), (0, SETTINGS));
        assert!(settings.chunks(6).any(|setting| setting == [0, 2, 0, 0, 0, 0]), "{settings:?}");
        let goodbye = loop {
            let (number, kind, payload) = told.recv().await.expect("a goodbye");
            if number == 0 && kind == GOAWAY {
                break payload;
            }
        };
        assert_eq!(&goodbye[4..8], [0, 0, 0, 1]);
    });
}
