//! I7: whatever comes, it is bounded in size, number and time, and answered with a problem.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Authority, Builder, Caller, Said, eventually, run, said};

#[test]
fn a_path_that_leads_nowhere_and_a_method_that_it_has_not_are_problems() {
    run(async {
        let nexus = Builder::new(&Authority::new()).gateway().start();
        let gateway = nexus.gateway();
        for path in
            ["//", "/nope", "/v1", "/v1/", "/health/", "//health", "/health/x", "/%2e%2e/health", "/api/../health", "/HEALTH"]
        {
            let answer = gateway.get(path).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            let answer = gateway.ask(method, "/health", None).await;
            assert_eq!((answer.status, answer.code().as_str()), (405, "method"), "{method}");
            assert_eq!(answer.field("allow"), Some("GET,HEAD"), "{method}");
        }
        let answer = gateway.ask("HEAD", "/health", None).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(gateway.get("/health").await.json()["vault"], true);
    });
}

#[test]
fn i7_a_head_is_bounded_and_what_is_no_http_is_closed() {
    run(async {
        let nexus = Builder::new(&Authority::new()).gateway().start();
        let gateway = nexus.gateway();
        let fields = |count: usize| (0..count).fold(gateway.clone(), |all, number| all.with(&format!("X-{number}"), "x"));
        assert_eq!(fields(40).get("/health").await.status, 200);
        let refused = |answer: Said| (answer.status, answer.code());
        let said = |status: u16, code: &str| (status, code.to_owned());
        assert_eq!(refused(fields(200).get("/health").await), said(431, "too_many_fields"));
        let long = "x".repeat(64 * 1024);
        assert_eq!(refused(gateway.with("X-Long", &long).get("/health").await), said(431, "head_too_large"));
        assert_eq!(refused(gateway.get(&format!("/{long}")).await), said(414, "target_too_long"));
        // What hyper alone would read in one way, and a reverse proxy in front of it in another.
        let head = "POST /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        for fields in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Content-Length: 4\r\nContent-Length: 5\r\n\r\n12345",
            "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "Content-Length: +4\r\n\r\n1234",
            "X-Key : x\r\n\r\n",
            "X-Key: a\nX-API-Key: b\r\n\r\n",
            "X: a\r\n folded\r\n\r\n",
        ] {
            let answer = gateway.send(format!("{head}{fields}").as_bytes()).await;
            assert_eq!(answer.status, 400, "{fields:?}: {answer:?}");
            assert!(!answer.code().is_empty());
        }
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01\r\n\r\n"[..],
            b"\x00\x00\r\n\r\n",
            b"GET\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
        ] {
            let answer = gateway.send(bytes).await;
            assert_eq!(answer.status, 400, "{bytes:?}: {answer:?}");
        }
        let bytes = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert_eq!(
            gateway.send(bytes).await.head.matches("HTTP/1.1 200").count(),
            1,
            "an upgrade is passed over, and the next request is one"
        );
        assert_eq!(gateway.get("/health").await.status, 200, "it lives on");
    });
}

/// What comes back once the other end closes, and how long that took.
async fn until_closed(mut stream: TcpStream) -> (Vec<u8>, Duration) {
    let begun = Instant::now();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    (answer, begun.elapsed())
}

#[test]
fn i7_a_head_that_never_ends_is_ended() {
    run(async {
        let nexus = Builder::new(&Authority::new()).gateway().config("[limits]\nhead_timeout_secs = 1").start();
        let address = nexus.gateway().address;
        for begun in [&b""[..], b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] {
            let mut stream = TcpStream::connect(address).await.expect("the gateway");
            stream.write_all(begun).await.expect("a write");
            let (answer, took) = until_closed(stream).await;
            assert!(took < Duration::from_secs(10), "{took:?}");
            assert!([0, 408].contains(&said(&answer).status), "{begun:?}: {answer:?}");
        }
        // One that keeps its connection for nothing is ended by the same clock.
        let mut stream = TcpStream::connect(address).await.expect("the gateway");
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("a write");
        let (answer, took) = until_closed(stream).await;
        assert!(said(&answer).status == 200 && took < Duration::from_secs(10), "{took:?} {answer:?}");
    });
}

/// Connections whose request is under way, as the gateway's word to go on shows, and never whole.
async fn under_way(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the gateway");
    let head = b"POST /v1/capture-credential HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head).await.expect("a write");
    let mut word = [0; 25];
    stream.read_exact(&mut word).await.expect("a word");
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[test]
fn i7_connections_are_bounded_and_places_are_given_back() {
    run(async {
        let nexus = Builder::new(&Authority::new()).gateway().config("[gateway]\nconnections = 3").start();
        let gateway = nexus.gateway();
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(under_way(gateway.address).await);
        }
        assert_eq!(gateway.get("/health").await.status, 503, "one too many");
        drop(held);
        let mut again = 503;
        for _ in 0..1000 {
            again = gateway.get("/health").await.status;
            if again == 200 {
                break;
            }
        }
        assert_eq!(again, 200, "the places are free again");
    });
}

#[test]
fn i7_connections_that_wait_for_nothing_keep_nobody_out() {
    run(async {
        let nexus = Builder::new(&Authority::new()).gateway().config("[gateway]\nconnections = 3").start();
        let gateway = nexus.gateway();
        let busy = under_way(gateway.address).await;
        let mut held = Vec::new();
        for begun in [&b""[..], b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"].repeat(4) {
            let mut stream = TcpStream::connect(gateway.address).await.expect("the gateway");
            stream.write_all(begun).await.expect("a write");
            if begun.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut [0; 12]).await.expect("an answer");
            }
            held.push(stream);
        }
        let begun = Instant::now();
        assert_eq!(gateway.get("/health").await.status, 200);
        let first = held.swap_remove(0);
        let (answer, _took) = until_closed(first).await;
        assert!(answer.is_empty() && begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        // What was under way all the time is answered.
        let mut busy = busy;
        busy.write_all(b"state=abc").await.expect("a write");
        let mut answer = [0; 9];
        busy.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 ");
    });
}

#[test]
fn guessing_is_slowed_down_and_a_right_key_is_not() {
    run(async {
        let builder = Builder::new(&Authority::new()).gateway().config("[gateway]\nwrong_keys_per_minute = 5");
        let (builder, key) = builder.key("root", nexus::app::GatewayKeyKind::Admin, |_key| ());
        let nexus = builder.start();
        let gateway = nexus.gateway();
        for _ in 0..5 {
            assert_eq!(gateway.key("wrong").get("/api/whoami").await.status, 401);
        }
        let answer = gateway.key("wrong").get("/api/whoami").await;
        assert_eq!((answer.status, answer.code().as_str(), answer.field("retry-after")), (429, "wrong_keys", Some("60")));
        assert_eq!(gateway.key(&key).get("/api/whoami").await.status, 200, "others of that address go on");
    });
}

#[test]
fn i5_the_gateway_is_not_reached_through_the_proxy() {
    run(async {
        let config = "[upstream]\nallow_private = [\"127.0.0.0/8\", \"::1/128\"]\n[gateway]\nnames = [\"gw.example\"]";
        let builder = Builder::new(&Authority::new()).gateway().config(config);
        let nexus = builder.start();
        let (caller, port) = (Caller::new(&nexus), nexus.gateway().address.port());
        for host in ["127.0.0.1", "127.0.0.2", "[::ffff:127.0.0.1]"] {
            let mut stream = caller.tcp().await;
            let bytes = format!("GET http://{host}:{port}/health HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
            stream.write_all(bytes.as_bytes()).await.expect("a write");
            let (answer, _took) = until_closed(stream).await;
            assert_eq!(said(&answer).status, 508, "{host}");
        }
        eventually("nothing under way", || (nexus.connections() == 0).then_some(())).await;
        let numbers = nexus.gateway().get("/metrics").await.body;
        assert!(!numbers.contains("requests_total{"), "nothing reached it: {numbers}");
    });
}
