//! Threats 109 to 117: whatever one caller does, the process lives, its memory is bounded, and others are served (I7).

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::attack::{HOST, home, listen, service, talk};
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, field, frame, get, preface,
    preface_with,
};
use crate::harness::{Authority, Caller, Nexus, Offers, Upstream, answer, channel, eventually, request, run};

/// Resident memory of the child, in KiB.
fn memory(nexus: &Nexus) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", nexus.pid())).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

fn descriptors(nexus: &Nexus) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", nexus.pid())).expect("a folder").count()
}

/// Another caller is served in time.
async fn others_are_served(caller: &Caller) {
    let asked = Instant::now();
    let reply =
        tokio::time::timeout(Duration::from_secs(10), caller.get("https://api.acme.test/other")).await.expect("an answer");
    assert_eq!(reply.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn t109_slow_callers_are_closed_and_others_served() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let config = "[limits]\nhead_timeout_secs = 1\nhandshake_timeout_secs = 1\nkeep_alive_secs = 2";
        let nexus = home(&ca, &service).config(config).start();
        let caller = Caller::new(&nexus);
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(caller.tcp().await);
            let mut stream = caller.tcp().await;
            stream.write_all(b"CONNECT api.acme.test:443 HTTP/1.1\r\nHost: api").await.expect("a write");
            streams.push(stream);
            let mut stream = caller.tunnel("api.acme.test:443").await.expect("a tunnel");
            stream.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.expect("a write");
            streams.push(stream);
            streams.push(caller.tunnel("api.acme.test:443").await.expect("a tunnel"));
            let mut stream = caller.tcp().await;
            stream.write_all(b"GET http://nexus.internal/ca.pem HTTP/1.1\r\nHost: nexus.internal\r\nX").await.expect("a write");
            streams.push(stream);
        }
        let mut inner = Vec::new();
        for _ in 0..10 {
            let mut stream = caller.tls(HOST, &["http/1.1"]).await;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: api.acme.test\r\nX-A").await.expect("a write");
            inner.push(stream);
            inner.push(caller.tls(HOST, &["http/1.1"]).await);
            inner.push(caller.tls(HOST, &["h2"]).await);
        }
        others_are_served(&caller).await;
        for stream in &mut streams {
            assert!(listen(stream, Duration::from_secs(10)).await.closed);
        }
        for stream in &mut inner {
            let raw = listen(stream, Duration::from_secs(10)).await;
            assert!(raw.closed, "{raw:?}");
        }
        eventually("every place free", || (nexus.connections() == 0).then_some(())).await;
        assert_eq!(service.seen().iter().filter(|seen| seen.path != "/other").count(), 0);
    });
}

#[test]
fn t110_heads_without_measure_are_refused() {
    run(async {
        let scene = crate::attack::scene("").await;
        let long = "a".repeat(70_000);
        let many: String = (0..101).map(|number| format!("X-{number}: 1\r\n")).collect();
        let rows = [
            (format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-A: {long}\r\n\r\n"), 431),
            (format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-{long}: 1\r\n\r\n"), 431),
            (format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{many}\r\n"), 431),
            (format!("GET /{} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", "a".repeat(20_000)), 414),
            (format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\nX-A: {long}\r\n\r\n"), 431),
            (format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n{many}\r\n"), 431),
        ];
        for (bytes, status) in rows {
            for raw in [scene.inside(bytes.as_bytes()).await, talk(scene.caller.tcp().await, bytes.as_bytes()).await] {
                assert_eq!((raw.status(), raw.closed), (status, true), "{}: {raw:?}", &bytes[..60]);
            }
        }
        let mut session = scene.caller.http2(HOST).await;
        let mut large = request(http::Method::GET, "https://api.acme.test/", crate::harness::empty());
        for number in 0..101 {
            large
                .headers_mut()
                .insert(http::HeaderName::try_from(format!("x-{number}")).expect("a name"), "1".parse().expect("a value"));
        }
        assert_eq!(session.send(large).await.status, 431);
        assert!(scene.saw(0));
    });
}

#[test]
fn t111_t112_http2_floods_end_their_own_connection_and_nothing_else() {
    run(async {
        let ca = Authority::new();
        let big = vec![b'x'; 4 * 1024 * 1024];
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, move |call| {
            let body = if call.seen.path == "/big" { big.clone() } else { Vec::new() };
            async move { answer(200, body) }
        })
        .await;
        let nexus = home(&ca, &service).spawn().await;
        let caller = Caller::new(&nexus);
        others_are_served(&caller).await;
        let before = memory(&nexus);
        let bomb = {
            // One large entry for the table, then thousands of one-byte references to it (RFC 7541 §2.3.3).
            let mut block = get(1, "/")[9..].to_vec();
            block.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
            block.extend(std::iter::repeat_n(b'a', 4000));
            block.extend(std::iter::repeat_n(0xbe, 12_000));
            [preface(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)].concat()
        };
        let attacks: Vec<(&str, Vec<u8>)> = vec![
            ("rapid reset", {
                let one = |stream: u32| [get(stream, "/reset"), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
                [preface(), (0..5000).flat_map(|number| one(number * 2 + 1)).collect()].concat()
            }),
            ("reset by us", {
                // A window update of zero makes the server reset the stream (CVE-2025-8671).
                let one = |stream: u32| [get(stream, "/made"), frame(8, 0, stream, &[0, 0, 0, 0])].concat();
                [preface(), (0..5000).flat_map(|number| one(number * 2 + 1)).collect()].concat()
            }),
            ("reset by a frame behind the end", {
                let one = |stream: u32| [get(stream, "/made"), frame(DATA, 0, stream, b"x")].concat();
                [preface(), (0..5000).flat_map(|number| one(number * 2 + 1)).collect()].concat()
            }),
            ("reset by a second head", {
                let one = |stream: u32| [get(stream, "/made"), get(stream, "/made")].concat();
                [preface(), (0..5000).flat_map(|number| one(number * 2 + 1)).collect()].concat()
            }),
            ("reset by a window beyond measure", {
                let one = |stream: u32| [get(stream, "/made"), frame(8, 0, stream, &[0x7f, 0xff, 0xff, 0xff])].concat();
                [preface(), (0..5000).flat_map(|number| one(number * 2 + 1)).collect()].concat()
            }),
            ("reset by a priority of its own", {
                let one = |stream: u32| [get(stream, "/made"), frame(2, 0, stream, &stream.to_be_bytes())].concat();
                [preface(), (0..5000).flat_map(|number| one(number * 2 + 1)).collect()].concat()
            }),
            ("continuation", {
                let more = frame(CONTINUATION, 0, 1, &field(b"x-a", &[b'a'; 1000]));
                [preface(), frame(HEADERS, END_STREAM, 1, &field(b":method", b"GET")), more.repeat(5000)].concat()
            }),
            (
                "empty continuation",
                [preface(), frame(HEADERS, 0, 1, b""), frame(CONTINUATION, 0, 1, b"").repeat(100_000)].concat(),
            ),
            ("hpack bomb", bomb),
            ("settings", [preface(), frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(100_000)].concat()),
            ("ping", [preface(), frame(PING, 0, 0, &[7; 8]).repeat(100_000)].concat()),
            ("empty data", {
                let head = frame(HEADERS, END_HEADERS, 1, &get(1, "/data")[9..]);
                [preface(), head, frame(0, 0, 1, b"").repeat(100_000)].concat()
            }),
            ("streams without end", {
                let open = |stream: u32| frame(HEADERS, END_HEADERS, stream, &get(stream, "/open")[9..]);
                [preface(), (0..2000).flat_map(|number| open(number * 2 + 1)).collect()].concat()
            }),
            ("garbage", vec![0xff; 100_000]),
        ];
        for (what, bytes) in attacks {
            let so_far = service.count();
            let mut stream = caller.tls(HOST, &["h2"]).await;
            // Whoever floods does not read; a server that would buffer its answers is found out by its memory.
            let flood = tokio::time::timeout(Duration::from_secs(5), async {
                drop(stream.write_all(&bytes).await);
                drop(stream.flush().await);
            });
            let (_flooded, ()) = tokio::join!(flood, others_are_served(&caller));
            let mut sink = tokio::io::sink();
            let closing = tokio::io::copy(&mut stream, &mut sink);
            // A reset is an end too.
            drop(tokio::time::timeout(Duration::from_secs(10), closing).await.unwrap_or_else(|_| panic!("{what}: not closed")));
            others_are_served(&caller).await;
            let reached = service.count() - so_far;
            assert!(reached < 1000, "{what}: {reached} requests reached the service");
            let grown = memory(&nexus).saturating_sub(before);
            assert!(grown < 32 * 1024, "{what}: {grown} KiB more");
        }
        let windows = async {
            let mut stream = caller.tls(HOST, &["h2"]).await;
            let gets: Vec<u8> = (0..100).flat_map(|number| get(number * 2 + 1, "/big")).collect();
            let bytes = [preface_with(&[(1, 0), (4, 0)]), gets, frame(SETTINGS, ACK, 0, b"")].concat();
            stream.write_all(&bytes).await.expect("a write");
            stream
        };
        let held = [windows.await];
        service.until(|seen| seen.iter().filter(|seen| seen.path == "/big").count() >= 100).await;
        others_are_served(&caller).await;
        let grown = memory(&nexus).saturating_sub(before);
        assert!(grown < 48 * 1024, "closed windows: {grown} KiB more");
        drop(held);
    });
}

#[test]
fn t116_descriptors_return_after_aborted_requests_and_half_closed_sockets() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, |call| async move {
            if call.seen.path == "/never" {
                std::future::pending::<()>().await;
            }
            answer(200, "")
        })
        .await;
        let config = "[limits]\nhead_timeout_secs = 2\nhandshake_timeout_secs = 2\nkeep_alive_secs = 2\n[upstream]\npool_idle_timeout_secs = 1";
        let nexus = home(&ca, &service).config(config).spawn().await;
        let caller = Caller::new(&nexus);
        others_are_served(&caller).await;
        let base = descriptors(&nexus);
        let mut half_closed = Vec::new();
        for number in 0..500 {
            match number % 6 {
                0 => {
                    let mut stream = caller.tls(HOST, &["http/1.1"]).await;
                    stream.write_all(format!("GET /never HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await.expect("a write");
                }
                1 => drop(caller.tunnel("api.acme.test:443").await.expect("a tunnel")),
                5 => {
                    // A stream is reset, and then all of them are gone.
                    let mut session = caller.http2(HOST).await;
                    let asking =
                        session.begin(request(http::Method::GET, "https://api.acme.test/never", crate::harness::empty()));
                    drop(tokio::time::timeout(Duration::from_millis(20), asking).await);
                }
                2 => {
                    let mut stream = caller.tcp().await;
                    stream.write_all(b"CONNECT api.acme.test:443 HTTP/1.1\r\n").await.expect("a write");
                }
                3 => {
                    let mut stream = caller.tunnel("api.acme.test:443").await.expect("a tunnel");
                    stream.shutdown().await.expect("half-closed");
                    half_closed.push(stream);
                }
                _ => {
                    let mut stream = caller.tcp().await;
                    stream.shutdown().await.expect("half-closed");
                    half_closed.push(stream);
                }
            }
        }
        eventually("the descriptors", || (descriptors(&nexus) <= base + 8).then_some(())).await;
        others_are_served(&caller).await;
    });
}

#[test]
fn t117_an_aborted_upload_is_never_whole_at_the_service() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let ca = Authority::new();
            let (told, mut outcomes) = mpsc::unbounded_channel();
            let service = Upstream::serve(&ca, &[HOST], offers, move |mut call| {
                let told = told.clone();
                async move {
                    told.send(call.read().await.is_ok()).expect("a test");
                    answer(200, "")
                }
            })
            .await;
            let nexus = home(&ca, &service).start();
            let caller = Caller::new(&nexus);
            let framings = ["Content-Length: 100\r\n\r\n0123456789", "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n"];
            for (before, framing) in framings.iter().enumerate() {
                let mut stream = caller.tls(HOST, &["http/1.1"]).await;
                let head = format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\n{framing}");
                stream.write_all(head.as_bytes()).await.expect("a write");
                service.until(|seen| seen.len() > before).await;
                drop(stream);
                assert_eq!(outcomes.recv().await, Some(false), "{offers:?} {framing}");
            }
            let mut session = caller.http2(HOST).await;
            let (mut sender, body) = channel();
            let sending = session.begin(request(http::Method::POST, "https://api.acme.test/upload", body));
            let aborting = async {
                sender.send_data("0123456789".into()).await.expect("a frame");
                service.until(|seen| seen.len() > framings.len()).await;
                sender.abort("gone".into());
            };
            let (answered, ()) = tokio::join!(sending, aborting);
            assert!(answered.is_err() || answered.is_ok_and(|response| response.status() != 200));
            assert_eq!(outcomes.recv().await, Some(false), "{offers:?}");
        }
    });
}
