//! Credentials that stand in the path or inside the body: one taken out, one put in, and the rest of the message as it was.

use std::time::Duration;

use http::Method;
use tokio::io::AsyncWriteExt as _;

use crate::attack::{listen, talk};
use crate::harness::{
    Authority, Builder, Caller, Offers, Reply, Seen, Upstream, answer, channel, empty, full, read_head, request, run,
};

const KEY: &str = "123456:own-key_0123456789\"é";
const STOLEN: &str = "STOLEN-BY-SOMEBODY-0123456789";

const BOTS: &str = r#"
name = "bots"
slots = ["path:1", "path:2"]
[[inject]]
hosts = ["bots.test"]
paths = ["/bot*/**"]
strategy = { path = { segment = 1, value = "bot{api_key}" } }
[[inject]]
hosts = ["bots.test"]
paths = ["/file/bot*/**"]
strategy = { path = { segment = 2, value = "bot{api_key}" } }
other_paths = "refuse"
"#;

const BODIES: &str = r#"
name = "bodies"
slots = ["json:api_key", "form:token", "x-key"]
[[inject]]
hosts = ["json.bodies.test"]
strategy = { json = { name = "api_key", value = "{api_key}" } }
[[inject]]
hosts = ["form.bodies.test"]
strategy = { form = { name = "token", value = "{api_key}" } }
[[inject]]
hosts = ["header.bodies.test", "dead.bodies.test"]
strategy = { header = { name = "x-key", value = "{username}" } }
"#;

struct Scene {
    service: Upstream,
    caller: Caller,
    nexus: crate::harness::Nexus,
}

async fn scene(config: &str) -> Scene {
    let ca = Authority::new();
    let names = ["bots.test", "json.bodies.test", "form.bodies.test", "header.bodies.test"];
    let service = Upstream::serve(&ca, &names, Offers::Both, |mut call| async move {
        let body = call.read().await.unwrap_or_default();
        answer(200, body)
    })
    .await;
    let fields = [("api_key", KEY), ("username", "me-0123456789abcdef")];
    let mut builder = Builder::new(&ca).provider("bots", BOTS).provider("bodies", BODIES);
    builder = builder.register("bots", &fields).register("bodies", &fields).config(config);
    for name in names {
        builder = builder.resolve(name, service.address);
    }
    // Nobody listens there.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    let nexus = builder.resolve("dead.bodies.test", dead).start();
    Scene { service, caller: Caller::new(&nexus), nexus }
}

impl Scene {
    async fn post(&self, host: &str, kind: &str, body: &str) -> (Reply, Option<Seen>) {
        let before = self.service.count();
        let mut asked = request(Method::POST, &format!("https://{host}/x"), full(body.to_owned()));
        asked.headers_mut().insert("content-type", kind.parse().expect("a value"));
        let reply = self.caller.send(asked).await;
        let seen = (self.service.count() > before).then(|| self.service.seen().pop().expect("a request"));
        (reply, seen)
    }
}

fn text(seen: Option<Seen>) -> String {
    let seen = seen.expect("a request");
    let body = String::from_utf8(seen.body.clone().expect("a body").to_vec()).expect("text");
    assert_eq!(seen.header("content-length"), Some(&*body.len().to_string()), "{seen:?}");
    body
}

#[test]
fn i2_a_secret_segment_takes_the_place_of_whatever_the_caller_wrote_and_is_in_no_record() {
    run(async {
        let scene = scene("").await;
        let sent = "/bot123456:own-key_0123456789%22%C3%A9/getMe?a=1";
        for path in ["/botX/getMe?a=1", &format!("/bot{STOLEN}/getMe?a=1")] {
            assert_eq!(scene.caller.get(&format!("https://bots.test{path}")).await.status, 200);
            assert_eq!(scene.service.seen().pop().expect("a request").path, sent);
        }
        assert_eq!(scene.caller.get("https://bots.test/file/botX/photos/1.jpg").await.status, 200);
        let seen = scene.service.seen().pop().expect("a request").path;
        assert_eq!(seen, "/file/bot123456:own-key_0123456789%22%C3%A9/photos/1.jpg");
        assert_eq!(scene.nexus.closed("/***/getMe?a=").await["verdict"], "inject");
        let opened = |line: &serde_json::Value| line["event"] == "open" && line["path"] == "/***/getMe?a=";
        assert_eq!(scene.nexus.audit_line(opened).await["strategy"], "path");
        let log = format!("{:?}", scene.nexus.audit());
        assert!(!log.contains(STOLEN) && !log.contains("own-key"), "{log}");
        // No rule takes these: the segment would be another one to the service.
        let count = scene.service.count();
        for path in ["/getMe", "/bot/getMe", "//botX/getMe", "/x/../botX/getMe", "/%62otX/getMe", "/file/bot", "/file"] {
            let raw = talk(
                scene.caller.tls("bots.test", &[]).await,
                format!("GET {path} HTTP/1.1\r\nHost: bots.test\r\n\r\n").as_bytes(),
            )
            .await;
            assert_eq!(raw.status(), 403, "{path} {raw:?}");
        }
        assert_eq!(scene.service.count(), count);
    });
}

#[test]
fn i2_a_member_of_a_body_is_replaced_and_its_length_is_said_anew() {
    run(async {
        let scene = scene("").await;
        let json = format!(r#"{{"q":1.10,"api_key":"{STOLEN}","API_KEY":"{STOLEN}"}}"#);
        for (host, kind, body, arrived) in [
            (
                "json.bodies.test",
                "application/json",
                json.as_str(),
                "{\"q\":1.10,\"api_key\":\"123456:own-key_0123456789\\\"é\"}",
            ),
            ("json.bodies.test", "application/json", "{}", "{\"api_key\":\"123456:own-key_0123456789\\\"é\"}"),
            (
                "form.bodies.test",
                "application/x-www-form-urlencoded",
                "a=%20&token=STOLEN&Token[]=STOLEN",
                "a=%20&token=123456%3Aown-key_0123456789%22%C3%A9",
            ),
            // Another way in: the slots in the body are empty all the same.
            ("header.bodies.test", "application/json", json.as_str(), "{\"q\":1.10}"),
            ("header.bodies.test", "application/x-www-form-urlencoded", "token=STOLEN", ""),
            ("header.bodies.test", "application/octet-stream", "token=bytes", "token=bytes"),
        ] {
            let (reply, seen) = scene.post(host, kind, body).await;
            assert_eq!(reply.status, 200, "{host} {body} {reply:?}");
            assert_eq!(text(seen), arrived, "{host} {body}");
        }
    });
}

#[test]
fn i2_a_body_that_cannot_be_looked_into_goes_nowhere() {
    run(async {
        let scene = scene("[limits]\ncontent = \"4KiB\"").await;
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(5000));
        for (host, kind, body, status, refusal) in [
            ("json.bodies.test", "application/json", "{", 400, "malformed"),
            ("header.bodies.test", "application/json", "{'api_key':1}", 400, "malformed"),
            ("json.bodies.test", "application/json", large.as_str(), 413, "limit"),
        ] {
            let (reply, seen) = scene.post(host, kind, body).await;
            assert_eq!((reply.status, reply.refusal()), (status, Some(refusal)), "{body} {reply:?}");
            assert!(seen.is_none(), "{body}");
        }
        // There is no place for the credential: nothing goes out without it either.
        let reply = scene.caller.send(request(Method::GET, "https://json.bodies.test/x", empty())).await;
        assert_eq!((reply.status, scene.service.count()), (400, 0), "{reply:?}");
        assert!(reply.text().contains("takes its credential inside a JSON or form body"), "{reply:?}");
        let (mut sender, body) = channel();
        let mut asked = request(Method::POST, "https://json.bodies.test/x", body);
        asked.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
        let sending = async move {
            for piece in ["{\"a\"", ":", "[1,2]", "}"] {
                sender.send_data(piece.into()).await.expect("room");
            }
        };
        let ((), reply) = tokio::join!(sending, scene.caller.send(asked));
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(text(scene.service.seen().pop()), "{\"a\":[1,2],\"api_key\":\"123456:own-key_0123456789\\\"é\"}");
    });
}

#[test]
fn i7_a_refusal_reaches_a_caller_that_writes_all_of_its_body_first() {
    run(async {
        // More than any socket takes of what nobody reads.
        const LENGTH: usize = 12 << 20;
        let scene = scene("[limits]\ncontent = \"4KiB\"").await;
        for (host, kind, status) in [
            ("json.bodies.test", "application/json", 413),
            ("form.bodies.test", "application/x-www-form-urlencoded", 413),
            ("dead.bodies.test", "application/octet-stream", 502),
        ] {
            let head = format!(
                "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n"
            );
            let mut stream = scene.caller.tls(host, &[]).await;
            stream.write_all(head.as_bytes()).await.expect("room");
            stream.write_all(&vec![b'1'; LENGTH]).await.unwrap_or_else(|error| panic!("{host}: {error}"));
            let raw = listen(&mut stream, Duration::from_millis(400)).await;
            assert_eq!(raw.status(), status, "{host} {raw:?}");
        }
        assert_eq!(scene.service.count(), 0);
    });
}

#[test]
fn i7_an_answer_that_comes_before_a_gathered_body_is_read_is_heard() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &["form.bodies.test"], Offers::Http1, |mut stream, _number| async move {
            let head = read_head(&mut stream).await;
            assert!(head.contains("content-length: 12582"), "{head}");
            let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!";
            stream.write_all(answer).await.expect("room");
            // It reads nothing of the body, and does not leave.
            std::future::pending::<()>().await;
        })
        .await;
        let builder = Builder::new(&ca).provider("bodies", BODIES).resolve("form.bodies.test", service.address);
        let nexus = builder.register("bodies", &[("api_key", KEY), ("username", "me")]).start();
        let mut asked = request(Method::POST, "https://form.bodies.test/x", full(vec![b'1'; 12 << 20]));
        asked.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().expect("a value"));
        let reply = Caller::new(&nexus).send(asked).await;
        assert_eq!((reply.status, reply.text(), reply.refusal()), (413, "no!", None), "{reply:?}");
    });
}
