//! Placeholders where they don't belong: each place is seen, told of, and answered as `policy.on_canary` says; where they belong nobody
//! minds.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::attack::{HOST, KEY, home, service};
use crate::harness::{
    Authority, Body, Builder, Caller, Nexus, Offers, Reply, Upstream, channel, empty, eventually, full, request, run,
};

const STRANGER: &str = "evil.test";

/// A proxy that opens every tunnel, a service behind its own name and a stranger's, and the caller's placeholder.
struct House {
    service: Upstream,
    nexus: Nexus,
    caller: Caller,
    placeholder: String,
}

async fn prepared(on_canary: &str) -> (Upstream, Builder) {
    let ca = Authority::new();
    let service = service(&ca, Offers::Both).await;
    let config = format!("[proxy]\nunmatched = \"intercept\"\n[policy]\non_canary = \"{on_canary}\"\n");
    let builder = home(&ca, &service).config(&config).resolve(STRANGER, service.address);
    (service, builder)
}

async fn house(on_canary: &str) -> House {
    let (service, builder) = prepared(on_canary).await;
    let nexus = builder.gateway().start();
    let (caller, placeholder) = (Caller::new(&nexus), format!("acme_{}", nexus.placeholder("local", "acme")));
    House { service, nexus, caller, placeholder }
}

fn get(host: &str, path: &str, field: Option<(&str, &str)>) -> Request<Body> {
    let mut get = request(Method::GET, &format!("https://{host}{path}"), empty());
    if let Some((name, value)) = field {
        get.headers_mut()
            .insert(http::HeaderName::from_bytes(name.as_bytes()).expect("a name"), value.parse().expect("a value"));
    }
    get
}

fn post(host: &str, path: &str, body: impl Into<Bytes>) -> Request<Body> {
    request(Method::POST, &format!("https://{host}{path}"), full(body))
}

/// The requests with a placeholder in a wrong place, and what that place is called.
fn misplaced(placeholder: &str) -> Vec<(&'static str, Request<Body>)> {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{placeholder}"));
    let bearer = format!("Bearer {placeholder}");
    vec![
        ("header", get(STRANGER, "/p1", Some(("authorization", &bearer)))),
        ("header", get(STRANGER, "/p2", Some(("authorization", &format!("Basic {basic}"))))),
        ("header", get(HOST, "/p3", Some(("x-note", &format!("key={placeholder};"))))),
        ("query", get(STRANGER, &format!("/p4?a=1&key={placeholder}"), None)),
        ("query", get(HOST, &format!("/p5?note={placeholder}&b=2"), None)),
        ("path", get(STRANGER, &format!("/p6/{placeholder}/x"), None)),
        ("body", post(STRANGER, "/p7", placeholder.to_owned())),
        ("body", post(HOST, "/p8", format!("{{\"env\":\"ACME_KEY={placeholder}\\n\"}}"))),
        ("body", post(HOST, "/p9", [&[0xff; 70_000][..], placeholder.as_bytes(), b"\0rest"].concat())),
    ]
}

fn refused(reply: &Reply) -> Value {
    assert_eq!((reply.status, reply.refusal()), (403, Some("canary")), "{reply:?}");
    serde_json::from_slice(&reply.body).expect("a document")
}

/// Whether the line is of this path, whatever its query.
fn begins(line: &Value, path: &str) -> bool {
    line["path"].as_str().and_then(|found| found.split('?').next()) == Some(path)
}

#[test]
fn in_every_wrong_place_it_is_seen_and_with_refuse_nothing_leaves() {
    run(async {
        let House { service, nexus, caller, placeholder } = house("refuse").await;
        for http2 in [false, true] {
            for (place, request) in misplaced(&placeholder) {
                let (host, path) = (request.uri().host().expect("a host").to_owned(), request.uri().path().to_owned());
                let mut session = if http2 { caller.http2(&host).await } else { caller.http1(&host).await };
                let document = refused(&session.send(request).await);
                assert!(document["title"].as_str().is_some_and(|title| title.ends_with(&format!(": {place}"))), "{document}");
                assert!(!document.to_string().contains(&placeholder), "it is not echoed");
                let line = nexus.audit_line(|line| line["event"] != "open" && begins(line, &path)).await;
                assert_eq!(line["canary"], json!({ "place": place, "agent": "local", "connection": "acme" }), "{path}");
            }
        }
        // Of a large body what came before it may have left.
        let seen = service.seen();
        assert!(seen.len() <= 2 && seen.iter().all(|seen| seen.path == "/p9" && seen.body.is_none()), "nothing left: {seen:?}");
        // What is looked up is in lower case.
        let label = format!("{}.{STRANGER}", placeholder.trim_start_matches("acme_").to_ascii_lowercase());
        refused(&caller.http1(&label).await.send(get(&label, "/", None)).await);
        let line = nexus.audit_line(|line| line["event"] == "tunnel_refuse").await;
        assert_eq!(line["canary"], json!({ "place": "host", "agent": "local", "connection": "acme" }));
        let numbers = nexus.gateway().get("/metrics").await.body;
        assert!(numbers.contains("nexus_canaries_total{place=\"body\"} 6\n"), "{numbers}");
        assert!(numbers.contains("nexus_refusals_total{kind=\"canary\",on=\"request\"} 19\n"), "{numbers}");
    });
}

#[test]
fn with_alarm_it_goes_on_and_is_told_of_and_where_it_belongs_nobody_minds() {
    run(async {
        let House { service, nexus, caller, placeholder } = house("alarm").await;
        for (place, request) in misplaced(&placeholder) {
            let (host, path) = (request.uri().host().expect("a host").to_owned(), request.uri().path().to_owned());
            assert_eq!(caller.http1(&host).await.send(request).await.status, 200, "{path}");
            let line = nexus
                .audit_line(|line| {
                    line["path"].as_str().is_some_and(|found| found.starts_with(&path)) && line["event"] == "close"
                })
                .await;
            assert_eq!(line["canary"]["place"], place, "{line}");
        }
        let before = service.count();
        let mut session = caller.http1(HOST).await;
        for (name, value) in [
            ("authorization", format!("Bearer {placeholder}")),
            ("x-api-key", placeholder.clone()),
            ("cookie", format!("session={placeholder}")),
        ] {
            assert_eq!(session.send(get(HOST, "/right", Some((name, &value)))).await.status, 200);
            assert_eq!(service.seen().last().and_then(|seen| seen.bearer()), Some(KEY));
        }
        assert_eq!(session.send(get(HOST, &format!("/right?token={placeholder}"), None)).await.status, 200);
        // What merely looks like one, and one of another home.
        let other = format!(
            "acme_{}",
            nexus::agent::PlaceholderKey::new([1; 32])
                .tail(&"local".parse().expect("a name"), &"acme".parse().expect("a handle"))
        );
        assert_eq!(session.send(post(HOST, "/right", format!("{other} {}", "a".repeat(64)))).await.status, 200);
        assert_eq!(service.count(), before + 5);
        nexus.audit_line(|line| line["path"] == "/right" && line["event"] == "close" && line["method"] == "POST").await;
        assert!(
            nexus
                .audit()
                .iter()
                .filter(|line| line["path"].as_str().is_some_and(|path| path.starts_with("/right")))
                .all(|line| line["canary"].is_null())
        );
    });
}

#[test]
fn a_body_that_streams_is_broken_off_before_the_piece_that_ends_it() {
    run(async {
        let House { service, nexus, caller, placeholder } = house("refuse").await;
        for (host, http2) in [(STRANGER, false), (HOST, false), (HOST, true)] {
            let mut session = if http2 { caller.http2(host).await } else { caller.http1(host).await };
            let (mut body, streamed) = channel();
            let path = format!("/stream-{host}-{http2}");
            let request = request(Method::POST, &format!("https://{host}{path}"), streamed);
            let sending = tokio::spawn(async move { session.send(request).await });
            let (first, rest) = placeholder.split_at(20);
            for piece in ["some text, ", first, rest] {
                body.send_data(Bytes::from(piece.to_owned())).await.expect("taken");
                tokio::task::yield_now().await;
            }
            let reply = sending.await.expect("an answer");
            refused(&reply);
            drop(body);
            assert_eq!(nexus.closed(&path).await["canary"]["place"], "body");
            assert!(service.seen().iter().all(|seen| seen.path != path || seen.body.is_none()), "no service took it for whole");
        }
    });
}

#[test]
fn i6_another_agents_placeholder_is_an_alarm_and_so_is_one_for_another_service() {
    run(async {
        let (_service, builder) = prepared("alarm").await;
        let other = "name = \"other\"\ntitle = \"Other\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"api.other.test\"]\nstrategy = { bearer = \"{api_key}\" }\n";
        let builder = builder.provider("other", other).register("other", &[("api_key", "other-key-0123456789abcdef")]);
        let (builder, token) = builder.agent("a", |_row| ());
        let (builder, _token) = builder.agent("b", |_row| ());
        let nexus = builder.start();
        let mut session = Caller::new(&nexus).agent("a", &token).http1(HOST).await;
        let theirs = format!("Bearer {}", nexus.placeholder("b", "acme"));
        let reply = session.send(get(HOST, "/theirs", Some(("authorization", &theirs)))).await;
        assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        assert_eq!(nexus.closed("/theirs").await["canary"], json!({ "place": "slot", "agent": "b", "connection": "acme" }));
        let elsewhere = format!("Bearer {}", nexus.placeholder("a", "other"));
        assert_eq!(session.send(get(HOST, "/elsewhere", Some(("authorization", &elsewhere)))).await.status, 200);
        assert_eq!(nexus.closed("/elsewhere").await["canary"], json!({ "place": "slot", "agent": "a", "connection": "other" }));
    });
}

#[test]
fn i9_a_frozen_agent_gets_nothing_until_it_is_thawed_whatever_starts_meanwhile() {
    run(async {
        let (service, builder) = prepared("freeze").await;
        let (builder, a) = builder.agent("a", |_row| ());
        let (builder, b) = builder.agent("b", |_row| ());
        let mut nexus = builder.spawn().await;
        let callers = |nexus: &Nexus| (Caller::new(nexus).agent("a", &a), Caller::new(nexus).agent("b", &b));
        let (caller, other) = callers(&nexus);
        let mut before = caller.http1(HOST).await;
        assert_eq!(before.get("/before").await.status, 200);
        let reply = caller.http1(STRANGER).await.send(post(STRANGER, "/leak", nexus.placeholder("a", "acme"))).await;
        refused(&reply);
        let count = service.count();
        let reply = before.try_send(get(HOST, "/after", None)).await;
        assert!(reply.is_err() || reply.is_ok_and(|reply| reply.refusal() == Some("frozen")), "an open stream too");
        assert_eq!(caller.http1(HOST).await.get("/after").await.refusal(), Some("frozen"));
        assert_eq!(other.http1(HOST).await.get("/fine").await.status, 200);
        assert_eq!(service.count(), count + 1);
        let frozen = eventually("the file", || nexus.home().frozen().ok().filter(|frozen| !frozen.is_empty())).await;
        assert!(frozen[0].agent.as_str() == "a" && frozen[0].why.contains("body"), "{frozen:?}");
        nexus.kill().await;
        nexus.respawn().await;
        let (caller, other) = callers(&nexus);
        assert_eq!(caller.http1(HOST).await.get("/again").await.refusal(), Some("frozen"));
        assert_eq!(other.http1(HOST).await.get("/fine").await.status, 200);
        assert!(nexus.home().thaw(&"a".parse().expect("a name")).expect("written"));
        loop {
            // The file is looked at within a moment.
            if caller.http1(HOST).await.get("/thawed").await.status == 200 {
                break;
            }
            tokio::task::yield_now().await;
        }
    });
}
