//! A kept connection that dies under a request: sent again only where that is safe (RFC 9110 §9.2.2).

use http::Method;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{Authority, Builder, Caller, Offers, Upstream, empty, read_head, request, run};

const PROVIDER: &str = r#"
name = "stale"
title = "Stale"
slots = ["authorization"]
[[inject]]
hosts = ["api.stale.test"]
strategy = { bearer = "{api_key}" }
"#;

#[test]
fn an_idempotent_request_is_sent_again_and_another_is_not() {
    run(async {
        for (method, status, connections) in [(Method::GET, 200, 2), (Method::DELETE, 200, 2), (Method::POST, 502, 1)] {
            let ca = Authority::new();
            // The first connection answers once, and breaks off on its second request.
            let service = Upstream::raw(&ca, &["api.stale.test"], Offers::Http1, |mut stream, number| async move {
                for request in 0.. {
                    read_head(&mut stream).await;
                    if number == 0 && request == 1 {
                        return;
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("a write");
                }
            })
            .await;
            let nexus = Builder::new(&ca)
                .resolve("api.stale.test", service.address)
                .provider("stale", PROVIDER)
                .register("stale", &[("api_key", "stale-key-0123456789abcdef")])
                .start();
            let mut session = Caller::new(&nexus).http1("api.stale.test").await;
            assert_eq!(session.get("/first").await.status, 200);
            let reply = session.send(request(method.clone(), "/second", empty())).await;
            assert_eq!((reply.status, service.connections()), (status, connections), "{method}: {reply:?}");
            let line = nexus.closed("/second").await;
            assert_eq!(line["status"], status, "{line}");
            let resent = line["notes"].as_array().is_some_and(|notes| notes.iter().any(|note| note == "stale_connection"));
            assert_eq!(resent, status == 200, "{line}");
        }
    });
}

#[test]
fn a_request_whose_answer_had_begun_is_not_sent_again() {
    run(async {
        for begun in ["HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Len", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
            let ca = Authority::new();
            let service = Upstream::raw(&ca, &["api.stale.test"], Offers::Http1, move |mut stream, _number| async move {
                read_head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("a write");
                read_head(&mut stream).await;
                stream.write_all(begun.as_bytes()).await.expect("a write");
            })
            .await;
            let nexus = Builder::new(&ca)
                .resolve("api.stale.test", service.address)
                .provider("stale", PROVIDER)
                .register("stale", &[("api_key", "stale-key-0123456789abcdef")])
                .start();
            let mut session = Caller::new(&nexus).http1("api.stale.test").await;
            assert_eq!(session.get("/first").await.status, 200);
            let reply = session.get("/second").await;
            assert_eq!((reply.status, service.connections()), (502, 1), "{begun:?}: {reply:?}");
            assert!(nexus.closed("/second").await["notes"].is_null(), "{begun:?}");
        }
    });
}
