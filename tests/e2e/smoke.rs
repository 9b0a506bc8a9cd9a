//! The harness itself, and the shortest way through: a bearer token that the caller never sees.

use http::Version;

use crate::harness::{Authority, Builder, Caller, Offers, Program, Upstream, answer, run};

const PROVIDER: &str = r#"
name = "smoke"
title = "Smoke"
slots = ["authorization"]
[[inject]]
hosts = ["api.smoke.test"]
strategy = { bearer = "{api_key}" }
"#;
const KEY: &str = "smoke-key-0123456789abcdef";

async fn service(ca: &Authority) -> Upstream {
    Upstream::serve(ca, &["api.smoke.test"], Offers::Both, |mut call| async move {
        let body = call.read().await.expect("a body");
        answer(200, format!("{} bytes", body.len()))
    })
    .await
}

fn home(ca: &Authority, service: &Upstream) -> Builder {
    let builder = Builder::new(ca).resolve("api.smoke.test", service.address).provider("smoke", PROVIDER);
    builder.register("smoke", &[("api_key", KEY)])
}

#[test]
fn a_library_and_a_process_inject_alike() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        for nexus in [home(&ca, &service).start(), home(&ca, &service).spawn().await] {
            let caller = Caller::new(&nexus);
            let reply = caller.get("https://api.smoke.test/one").await;
            assert_eq!((reply.status, reply.text(), reply.version), (200, "0 bytes", Version::HTTP_11));
            let reply = caller.http2("api.smoke.test").await.get("/two").await;
            assert_eq!((reply.status, reply.version), (200, Version::HTTP_2));
            let line = nexus.closed("/two").await;
            assert_eq!((line["status"].as_u64(), line["verdict"].as_str()), (Some(200), Some("inject")), "{line}");
        }
        assert!(service.seen().iter().all(|seen| seen.bearer() == Some(KEY) && seen.version == Version::HTTP_2));
        assert_eq!(service.count(), 4);
    });
}

#[test]
fn an_agent_shows_its_token() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let (builder, token) = home(&ca, &service).agent("ci", |_agent| {});
        let nexus = builder.start();
        let refused = Caller::new(&nexus).tunnel("api.smoke.test:443").await.expect_err("nobody in particular");
        assert_eq!(refused.status, 407);
        let reply = Caller::new(&nexus).agent("ci", &token).get("https://api.smoke.test/agent").await;
        assert_eq!(reply.status, 200);
        let line = nexus.closed("/agent").await;
        assert_eq!(line["agent"], "ci", "{line}");
        let curl = Program::new(&nexus, "curl", Some(&format!("ci:{token}")));
        let done = curl.args(&["-sS", "--fail", "https://api.smoke.test/curl", "-d", "12345"]).run().await;
        assert_eq!(done.ok(), "5 bytes");
    });
}
