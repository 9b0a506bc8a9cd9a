//! Threats 131 to 134 and the limits: who asks is known per request, guessing is slowed, and nobody starves another (I6, I7).

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::attack::{HOST, KEY, home, listen, service, talk};
use crate::harness::{Authority, Builder, Caller, Nexus, Offers, Upstream, answer, read_head, run};

fn basic(name: &str, token: &str) -> String {
    format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{token}")))
}

async fn two_agents(config: &str) -> (Authority, Upstream, Nexus, String, String) {
    let ca = Authority::new();
    let service = service(&ca, Offers::Http1).await;
    let (builder, a) = home(&ca, &service).config(config).resolve("plain.test:80", service.address).agent("a", |_agent| {});
    let (builder, b) = builder.agent("b", |_agent| {});
    (ca, service, builder.start(), a, b)
}

#[test]
fn t131_t132_i6_no_wrong_or_half_identity_is_taken() {
    run(async {
        let (_ca, service, nexus, a, b) = two_agents("").await;
        let caller = Caller::new(&nexus);
        let bad = [
            String::new(),
            basic("a", "wrong"),
            basic("b", &a),
            basic("", "wrong"),
            basic("a", &a[..a.len() - 1]),
            basic("a", &format!("{a}x")),
            basic("a", &a.to_uppercase()),
            "Proxy-Authorization: Basic !!!\r\n".into(),
            "Proxy-Authorization: Digest x\r\n".into(),
            "Proxy-Authorization: \r\n".into(),
            format!("Authorization: Bearer {a}\r\n"),
            "X-Agent: a\r\nX-Nexus-Agent: a\r\nX-Forwarded-For: 127.0.0.1\r\n".into(),
        ];
        for fields in &bad {
            let bytes = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n{fields}\r\n");
            let raw = talk(caller.tcp().await, bytes.as_bytes()).await;
            assert_eq!(raw.status(), 407, "{fields}: {raw:?}");
            assert!(raw.text.to_lowercase().contains("proxy-authenticate: basic"), "{raw:?}");
            let bytes = format!("GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n{fields}\r\n");
            assert_eq!(talk(caller.tcp().await, bytes.as_bytes()).await.status(), 407, "{fields}");
        }
        let both = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n{}{}\r\n", basic("a", &a), basic("b", &b));
        assert_eq!(talk(caller.tcp().await, both.as_bytes()).await.status(), 400);
        // Inside a's tunnel nothing makes it b, and b's token does not go on.
        let stream = caller.clone().agent("a", &a).tls(HOST, &[]).await;
        let bytes = format!("GET /who HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", basic("b", &b));
        assert_eq!(talk(stream, bytes.as_bytes()).await.status(), 200);
        let seen = service.seen().pop().expect("a request");
        assert_eq!((seen.header("proxy-authorization"), seen.bearer()), (None, Some(KEY)));
        assert_eq!(nexus.closed("/who").await["agent"], "a");
        assert_eq!(service.count(), 1);
    });
}

#[test]
fn t133_i6_on_the_plain_path_each_request_shows_who_it_is() {
    run(async {
        let ca = Authority::new();
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = plain.local_addr().expect("an address");
        tokio::spawn(async move {
            loop {
                let (mut stream, _peer) = plain.accept().await.expect("a stream");
                tokio::spawn(async move {
                    let head = read_head(&mut stream).await;
                    assert!(!head.to_lowercase().contains("proxy-"), "{head}");
                    drop(
                        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await,
                    );
                });
            }
        });
        let (builder, a) = Builder::new(&ca).resolve("plain.test:80", address).agent("a", |_agent| {});
        let nexus = builder.start();
        let request = |fields: &str| format!("GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n{fields}\r\n");
        let bytes = [request(&basic("a", &a)), request(""), request(&basic("a", "wrong")), request(&basic("a", &a))].concat();
        let raw = talk(Caller::new(&nexus).tcp().await, bytes.as_bytes()).await;
        let statuses: Vec<&str> = raw.text.split("HTTP/1.1 ").skip(1).map(|part| &part[..3]).collect();
        assert_eq!(statuses, ["200", "407", "407", "200"], "{raw:?}");
    });
}

#[test]
fn t134_guessing_is_slowed_and_locks_nobody_else_out() {
    run(async {
        let (_ca, _service, nexus, a, _b) = two_agents("").await;
        let caller = Caller::new(&nexus);
        let mut statuses = Vec::new();
        for number in 0..40 {
            let refused =
                caller.clone().agent("a", &format!("guess{number}")).tunnel("api.acme.test:443").await.expect_err("a guess");
            statuses.push(refused.status);
        }
        assert_eq!((statuses.first(), statuses.last()), (Some(&407), Some(&429)), "{statuses:?}");
        assert_eq!(caller.agent("a", &a).get("https://api.acme.test/").await.status, 200, "the right token is still right");
    });
}

#[test]
fn t134_guessing_is_slowed_at_the_proxys_own_pages_too() {
    run(async {
        let (_ca, _service, nexus, a, _b) = two_agents("").await;
        let page = async |target: &str, token: &str| {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: nexus.internal\r\nConnection: close\r\n{}\r\n", basic("a", token));
            talk(Caller::new(&nexus).tcp().await, request.as_bytes()).await.status()
        };
        let mut statuses = Vec::new();
        for number in 0..31 {
            statuses.push(page(["/whoami", "http://nexus.internal/whoami"][number % 2], &format!("guess{number}")).await);
        }
        assert_eq!((statuses.first(), statuses.last()), (Some(&407), Some(&429)), "{statuses:?}");
        for target in ["/whoami", "http://nexus.internal/whoami", "/ca.pem"] {
            assert_eq!(page(target, "guess").await, 429, "{target}");
            assert_eq!(page(target, &a).await, 200, "{target}");
        }
        let caller = Caller::new(&nexus);
        let refused = caller.clone().agent("a", "guess").tunnel("nexus.internal:443").await.expect_err("a guess");
        assert_eq!(refused.status, 429);
        // Who shows nothing guesses nothing.
        assert_eq!(caller.get("http://nexus.internal/ca.pem").await.status, 200);
    });
}

/// Writes other agents and has them read.
fn change_agents(nexus: &Nexus, change: impl FnOnce(Vec<nexus::agent::Registered>) -> Vec<nexus::agent::Registered>) {
    let file = nexus.home().agents_file();
    let rows = nexus::agent::read(&std::fs::read_to_string(&file).expect("a file")).expect("agents");
    let text = nexus::agent::write(&change(rows)).expect("text");
    nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
    nexus.reload();
}

/// As `nexus agent revoke`.
fn revoke(nexus: &Nexus, name: &str) {
    change_agents(nexus, |rows| rows.into_iter().filter(|row| row.name.as_str() != name).collect());
}

#[test]
fn i6_a_revoked_agent_is_stopped_inside_its_tunnel() {
    run(async {
        let (_ca, service, nexus, a, b) = two_agents("").await;
        let mut session = Caller::new(&nexus).agent("a", &a).http1(HOST).await;
        assert_eq!(session.get("/before").await.status, 200);
        revoke(&nexus, "a");
        assert_eq!(session.get("/after").await.status, 407);
        assert_eq!(Caller::new(&nexus).agent("b", &b).get("https://api.acme.test/b").await.status, 200);
        assert!(service.seen().iter().all(|seen| seen.path != "/after"));
    });
}

/// Writes a byte and reads it back; `None` once the stream has ended.
async fn echoed(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<u8> {
    if stream.write_all(b"x").await.is_err() || stream.flush().await.is_err() {
        return None;
    }
    tokio::time::timeout(Duration::from_secs(20), stream.read_u8()).await.expect("an echo or an end").ok()
}

/// Waits for the end of a stream on which nothing is sent any more.
async fn ended(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(reading.is_ok() && rest.is_empty(), "{rest:?}");
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    while let Ok(byte) = stream.read_u8().await {
        if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

#[test]
fn i6_a_revoked_agents_open_streams_end() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &[HOST], Offers::Http1, |mut stream, _number| async move {
            let _head = read_head(&mut stream).await;
            let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
            stream.write_all(head).await.expect("a write");
            stream.flush().await.expect("a flush");
            echo(stream).await;
        })
        .await;
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = plain.local_addr().expect("an address");
        tokio::spawn(async move {
            loop {
                tokio::spawn(echo(plain.accept().await.expect("a stream").0));
            }
        });
        let (builder, a) = home(&ca, &service).resolve("any.test", address).agent("a", |_agent| {});
        let (builder, b) = builder.config("[proxy]\nconnect_ports = [7]").agent("b", |_agent| {});
        let nexus = builder.start();
        let mut streams = Vec::new();
        for (name, token) in [("a", &a), ("b", &b)] {
            let caller = Caller::new(&nexus).agent(name, token);
            let mut tunnel = caller.tunnel("any.test:7").await.expect("a tunnel");
            let mut socket = caller.tls(HOST, &["http/1.1"]).await;
            let head = format!("GET /{name} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
            socket.write_all(head.as_bytes()).await.expect("a write");
            assert!(read_head(&mut socket).await.starts_with("HTTP/1.1 101 "));
            assert_eq!((echoed(&mut tunnel).await, echoed(&mut socket).await), (Some(b'x'), Some(b'x')));
            streams.push((tunnel, socket));
        }
        revoke(&nexus, "a");
        let revoked = Instant::now();
        let (mut tunnel, mut socket) = streams.remove(0);
        ended(&mut tunnel).await;
        ended(&mut socket).await;
        assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
        for (event, host) in [("tunnel_close", "any.test"), ("close", HOST)] {
            let of_a = |line: &serde_json::Value| line["event"] == event && line["host"] == host && line["agent"] == "a";
            let line = nexus.audit_line(of_a).await;
            assert!(line["notes"].to_string().contains("agent_revoked"), "{line}");
        }
        let (mut tunnel, mut socket) = streams.remove(0);
        assert_eq!((echoed(&mut tunnel).await, echoed(&mut socket).await), (Some(b'x'), Some(b'x')), "others go on");
    });
}

#[test]
fn i6_an_agents_streams_end_with_its_time() {
    run(async {
        let ca = Authority::new();
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = plain.local_addr().expect("an address");
        tokio::spawn(async move { echo(plain.accept().await.expect("a stream").0).await });
        let builder = Builder::new(&ca).resolve("any.test", address).config("[proxy]\nconnect_ports = [7]");
        let (builder, a) = builder.agent("a", |_agent| {});
        let nexus = builder.start();
        let soon = std::time::SystemTime::now() + Duration::from_secs(6);
        change_agents(&nexus, |mut rows| {
            rows.iter_mut().for_each(|row| row.expires = Some(soon));
            rows
        });
        let mut tunnel = Caller::new(&nexus).agent("a", &a).tunnel("any.test:7").await.expect("a tunnel");
        assert_eq!(echoed(&mut tunnel).await, Some(b'x'));
        ended(&mut tunnel).await;
    });
}

#[test]
fn i6_a_response_of_a_revoked_agent_does_not_go_on_for_ever() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::endless(&ca, &[HOST]).await;
        let (builder, a) = home(&ca, &service).agent("a", |_agent| {});
        let (builder, _b) = builder.agent("b", |_agent| {});
        let nexus = builder.start();
        let caller = Caller::new(&nexus).agent("a", &a);
        let (mut one, mut two) = (caller.http1(HOST).await, caller.http2(HOST).await);
        let get = || crate::harness::request(http::Method::GET, "/events", crate::harness::empty());
        let responses = [one.begin(get()).await.expect("a response"), two.begin(get()).await.expect("a response")];
        let mut base_url = caller.tcp().await;
        let head = format!("GET /~{a}/{HOST}/events HTTP/1.1\r\nHost: {}\r\n\r\n", nexus.address);
        base_url.write_all(head.as_bytes()).await.expect("a write");
        assert!(read_head(&mut base_url).await.starts_with("HTTP/1.1 200 "));
        revoke(&nexus, "a");
        let revoked = Instant::now();
        let raw = listen(&mut base_url, Duration::from_secs(20)).await;
        assert!(raw.closed && raw.text.contains("tick") && !raw.text.ends_with("0\r\n\r\n"), "{raw:?}");
        for response in responses {
            let outcome = tokio::time::timeout(Duration::from_secs(20), crate::harness::read(response)).await;
            assert!(outcome.expect("it ends").is_err(), "it is cut off, not whole");
        }
        assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
        // The caller has not left: the log says who ended it, of HTTP/1.1, HTTP/2 and the base URL.
        let ended = |line: &&serde_json::Value| {
            line["event"] == "close" && line["path"] == "/events" && line["notes"].to_string().contains("agent_revoked")
        };
        crate::harness::eventually("three lines", || (nexus.audit().iter().filter(ended).count() == 3).then_some(())).await;
    });
}

#[test]
fn i6_a_response_ends_with_the_time_of_its_agent() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::endless(&ca, &[HOST]).await;
        let (builder, a) = home(&ca, &service).agent("a", |_agent| {});
        let nexus = builder.start();
        let end = std::time::SystemTime::now() + Duration::from_secs(2);
        change_agents(&nexus, |mut rows| {
            rows.iter_mut().for_each(|row| row.expires = Some(end));
            rows
        });
        let caller = Caller::new(&nexus).agent("a", &a);
        let (mut one, mut two) = (caller.http1(HOST).await, caller.http2(HOST).await);
        let get = || crate::harness::request(http::Method::GET, "/events", crate::harness::empty());
        let responses = [one.begin(get()).await.expect("a response"), two.begin(get()).await.expect("a response")];
        let mut base_url = caller.tcp().await;
        let head = format!("GET /~{a}/{HOST}/events HTTP/1.1\r\nHost: {}\r\n\r\n", nexus.address);
        base_url.write_all(head.as_bytes()).await.expect("a write");
        for response in responses {
            let outcome = tokio::time::timeout(Duration::from_secs(20), crate::harness::read(response)).await;
            assert!(outcome.expect("it ends").is_err(), "it is cut off, not whole");
        }
        assert!(listen(&mut base_url, Duration::from_secs(20)).await.closed);
        let late = end.elapsed().expect("not before its time");
        assert!(late < Duration::from_secs(1), "{late:?}");
    });
}

#[test]
fn i7_an_agent_with_a_rate_waits_and_others_do_not() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let (builder, a) = home(&ca, &service).agent("a", |agent| agent.rate = Some("2/h".parse().expect("a rate")));
        let (builder, b) = builder.agent("b", |_agent| {});
        let nexus = builder.start();
        let a = Caller::new(&nexus).agent("a", &a);
        for status in [200, 200, 429] {
            let reply = a.get("https://api.acme.test/a").await;
            assert_eq!(reply.status, status, "{reply:?}");
            if status == 429 {
                let wait: u64 = reply.headers["retry-after"].to_str().expect("a time").parse().expect("seconds");
                assert!((1700..=1800).contains(&wait), "{wait}");
                assert!(reply.headers["nexus-refusal"] == "limit" && !reply.headers.contains_key("x-should-retry"));
            }
        }
        assert_eq!(Caller::new(&nexus).agent("b", &b).get("https://api.acme.test/b").await.status, 200);
        assert_eq!(service.count(), 3);
    });
}

/// A 401 that comes after the agent was revoked is not answered with a fresh credential.
#[test]
fn i6_a_request_of_an_agent_that_was_revoked_meanwhile_is_not_sent_again() {
    run(async {
        let ca = Authority::new();
        let go = std::sync::Arc::new(tokio::sync::Notify::new());
        let waiting = std::sync::Arc::clone(&go);
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, move |_call| {
            let waiting = std::sync::Arc::clone(&waiting);
            async move {
                waiting.notified().await;
                answer(401, "not you")
            }
        })
        .await;
        let (builder, a) = home(&ca, &service).agent("a", |_agent| {});
        let (builder, _b) = builder.agent("b", |_agent| {});
        let nexus = builder.start();
        let caller = Caller::new(&nexus).agent("a", &a);
        let meanwhile = async {
            service.until(|seen| seen.len() == 1).await;
            nexus.register("acme", &[("api_key", "another-key-0123456789abcdef")], None);
            revoke(&nexus, "a");
            go.notify_one();
        };
        let (reply, ()) = tokio::join!(caller.get("https://api.acme.test/again"), meanwhile);
        assert_eq!((reply.status, service.count()), (401, 1), "{reply:?}");
        assert_eq!(nexus.notes("/again").await, ["renewed", "agent_revoked"]);
    });
}

/// Nor one whose credential had to be renewed first.
#[test]
fn i6_a_request_that_waited_for_a_renewal_is_asked_again_whose_it_is() {
    use crate::renewal::house::{House, Plan};
    run(async {
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        let house = House::with(Plan { expires_at: Some(long_ago), ..Plan::default() }).await;
        house.tokens.hold();
        let meanwhile = async {
            house.tokens.until_used(1).await;
            // From now on callers need a token.
            let text = format!("[[agent]]\nname = \"other\"\ntoken_sha256 = \"{}\"\n", "ab".repeat(32));
            let file = house.nexus.home().agents_file();
            nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
            house.nexus.reload();
            house.tokens.let_through(1);
        };
        let (caller, url) = (house.caller(), House::url("/a"));
        let (reply, ()) = tokio::join!(caller.get(&url), meanwhile);
        assert_eq!((reply.status, reply.refusal(), house.service.count()), (407, Some("unknown-agent"), 0));
        assert_eq!(house.nexus.notes("/a").await, ["renewed"]);
    });
}

/// Which connections and providers there are is none of an agent's business that may not use them.
#[test]
fn t51_what_an_agent_may_not_use_looks_like_what_is_not_there() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let other = crate::attack::ACME.replace("acme", "zeta");
        let builder = home(&ca, &service).provider("zeta", &other).resolve("api.zeta.test", service.address);
        let builder = builder.register("acme:bob", &[("api_key", "bob-key-0123456789abcdefgh")]);
        let (builder, alice) = builder.agent("alice", |agent| agent.user = Some("alice".parse().expect("a user")));
        let (builder, narrow) =
            builder.agent("narrow", |agent| agent.providers = Some(vec!["github".parse().expect("a provider")]));
        let nexus = builder.start();
        let ask = async |name: &str, token: &str, host: &str, connection: Option<&str>| {
            let named = connection.map(|connection| format!("Nexus-Connection: {connection}\r\n")).unwrap_or_default();
            let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{named}\r\n");
            let caller = Caller::new(&nexus).agent(name, token);
            let text = talk(caller.tls(host, &["http/1.1"]).await, bytes.as_bytes()).await.text;
            let id = text.split("\"request_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_owned();
            text.replace(&id, "ID")
        };
        let there = ask("alice", &alice, HOST, Some("acme:bob")).await;
        assert!(there.starts_with("HTTP/1.1 403 "), "{there}");
        assert_eq!(there, ask("alice", &alice, HOST, Some("acme:eve")).await);
        let registered = ask("narrow", &narrow, HOST, None).await;
        assert!(registered.starts_with("HTTP/1.1 403 "), "{registered}");
        assert_eq!(registered, ask("narrow", &narrow, "api.zeta.test", None).await);
        assert_eq!(service.count(), 0);
    });
}

#[test]
fn i7_an_agent_has_its_share_and_a_greedy_one_starves_nobody() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, |call| async move {
            if call.seen.path == "/hold" {
                std::future::pending::<()>().await;
            }
            answer(200, "")
        })
        .await;
        let config = "[limits]\nagent_connections = 3\nagent_requests = 2\nconnections = 20";
        let (builder, a) = home(&ca, &service).config(config).agent("greedy", |_agent| {});
        let (builder, b) = builder.agent("other", |_agent| {});
        let nexus = builder.start();
        let (greedy, other) = (Caller::new(&nexus).agent("greedy", &a), Caller::new(&nexus).agent("other", &b));
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut session = greedy.http1(HOST).await;
            held.push(tokio::spawn(async move { session.get("/hold").await }));
        }
        service.until(|seen| seen.iter().filter(|seen| seen.path == "/hold").count() == 2).await;
        let mut third = greedy.http1(HOST).await;
        let reply = third.get("/third").await;
        assert_eq!((reply.status, reply.refusal()), (429, Some("limit")));
        assert!(reply.headers.contains_key("retry-after"));
        assert_eq!(greedy.tunnel("api.acme.test:443").await.expect_err("a fourth connection").status, 429);
        let asked = Instant::now();
        assert_eq!(other.get("https://api.acme.test/other").await.status, 200);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        // What left makes room again.
        for held in held {
            held.abort();
        }
        drop(third);
        crate::harness::eventually("room", || (nexus.connections() <= 1).then_some(())).await;
        assert_eq!(greedy.get("https://api.acme.test/again").await.status, 200);
        // Every place taken: told so before anything is read.
        let mut streams = Vec::new();
        // One that was still there a moment ago may have taken the place of one of these.
        while nexus.connections() < 20 {
            assert!(streams.len() < 1000, "a full house");
            streams.push(greedy.tcp().await);
        }
        let raw = listen(&mut greedy.tcp().await, Duration::from_secs(2)).await;
        assert_eq!((raw.status(), raw.refusal()), (503, "limit"), "{raw:?}");
        drop(streams);
        crate::harness::eventually("room", || (nexus.connections() <= 1).then_some(())).await;
        assert_eq!(other.get("https://api.acme.test/later").await.status, 200);
    });
}

/// Whoever reaches the port can be refused as often as he likes; the disk is not his to fill.
#[test]
fn t118_i7_refusals_of_strangers_are_counted_and_those_of_agents_written() {
    run(async {
        let (_ca, _service, mut nexus, a, _b) = two_agents("[audit]\nstranger_lines_per_minute = 10").await;
        let caller = Caller::new(&nexus);
        for number in 0..60 {
            let stranger = caller.clone().agent("a", &format!("guess{number}"));
            let refused = stranger.tunnel("api.acme.test:443").await.expect_err("a guess");
            assert!([407, 429].contains(&refused.status), "{refused:?}");
            let raw = talk(caller.tcp().await, b"GET http://api.acme.test/ HTTP/1.1\r\nHost: api.acme.test\r\n\r\n").await;
            assert_eq!(raw.status(), 407, "{raw:?}");
            let raw = talk(caller.tcp().await, b"nonsense\r\n\r\n").await;
            assert_eq!(raw.status(), 400, "{raw:?}");
        }
        let known = caller.agent("a", &a);
        for number in 0..30 {
            let reply = known.get(&format!("https://api.acme.test/mint-by-get?{number}")).await;
            assert_eq!(reply.status, 403, "{reply:?}");
        }
        nexus.stop();
        let lines = nexus.audit();
        let refused = |line: &&serde_json::Value| line["event"].as_str().is_some_and(|event| event.ends_with("refuse"));
        let of_a = lines.iter().filter(refused).filter(|line| line["agent"] == "a").count();
        let strangers = lines.iter().filter(refused).filter(|line| line.get("agent").is_none()).count();
        assert_eq!((of_a, strangers), (30, 10), "{lines:#?}");
        let many: Vec<_> = lines.iter().filter(|line| line["event"] == "refuse_many").collect();
        let told = many.iter().map(|line| (line["source"].as_str(), line["count"].as_str())).collect::<Vec<_>>();
        assert_eq!(told, [(Some("127.0.0.1"), Some("170"))], "{many:#?}");
        let said = nexus::audit::describe(&many[0].to_string()).expect("a line").to_string();
        assert!(said.contains("refuse_many") && said.contains("170 more of 127.0.0.1"), "{said}");
    });
}
