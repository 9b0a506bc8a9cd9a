//! Threats 149 and 150: what a web page can make a browser send to the gateway.

use crate::harness::{Authority, Builder, run};
use nexus::app::GatewayKeyKind::App;

#[test]
fn t149_a_request_names_a_host_that_the_gateway_is_known_as() {
    run(async {
        let config = "[gateway]\nnames = [\"gw.example\", \"10.1.2.3\"]";
        let nexus = Builder::new(&Authority::new()).gateway().config(config).start();
        let (gateway, port) = (nexus.gateway(), nexus.gateway().address.port());
        let known = ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "gw.example", "GW.example", "10.1.2.3"];
        for host in known {
            for host in [host.to_owned(), format!("{host}:{port}"), format!("{host}:1")] {
                assert_eq!(gateway.with("Host", &host).get("/health").await.status, 200, "{host}");
            }
        }
        let strange = [
            "evil.example",
            "localhost.evil.example",
            "evil.example.localhost",
            "gw.example.evil",
            "x.gw.example",
            "169.254.169.254",
            "10.1.2.4",
            "0.0.0.0",
            "127.0.0.2",
            "[::1]",
            "[::ffff:10.1.2.4]",
            "[::]",
        ];
        for host in strange {
            for path in ["/health", "/api/status", "/nope", "/k/x/api/whoami"] {
                let said = gateway.with("Host", &format!("{host}:{port}")).get(path).await;
                assert_eq!((said.status, said.code().as_str()), (421, "unknown_host"), "{host} {path}");
            }
        }
        for host in
            ["", "a b", "localhost:x", "localhost:0x1", "user@localhost", "localhost/", "127.1", "2130706433", "localhost,x"]
        {
            let said = gateway.with("Host", host).get("/health").await;
            assert_eq!(said.status, 400, "{host}: {said:?}");
        }
        let said = gateway.with("Host", "localhost").with("Host", "localhost").get("/health").await;
        assert_eq!(said.code(), "malformed", "two of them");
        let bytes = b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n";
        assert_eq!(gateway.send(bytes).await.code(), "malformed", "none of them");
        let bytes = b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert_eq!(gateway.send(bytes).await.code(), "unknown_host", "what the request line names");
        let bytes = b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert!(gateway.send(bytes).await.status >= 400, "it is no proxy");
    });
}

#[test]
fn t150_a_web_page_is_nobody_and_may_nothing() {
    run(async {
        let (builder, app) = Builder::new(&Authority::new()).gateway().key("crew", App, |_key| ());
        let nexus = builder.start();
        let gateway = nexus.gateway();
        let own = format!("http://{}", gateway.address);
        let pages = [
            ("Origin", "http://evil.example"),
            ("Origin", "null"),
            ("Origin", own.as_str()),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
            ("Sec-Fetch-Site", "none"),
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-User", "?1"),
        ];
        for (name, value) in pages {
            for path in ["/api/whoami", "/api/status", "/metrics", "/health", "/api/openapi.json"] {
                for caller in [gateway.clone(), gateway.key(&app)] {
                    let said = caller.with(name, value).get(path).await;
                    assert_eq!((said.status, said.code().as_str()), (403, "browser"), "{name}: {value} {path}");
                    assert_eq!(said.field("access-control-allow-origin"), None);
                }
            }
            assert_eq!(gateway.with(name, value).get(&format!("/k/{app}/api/whoami")).await.code(), "browser");
        }
        // A preflight (Fetch §4.8) is not granted.
        let preflight = gateway.with("Origin", "http://evil.example").with("Access-Control-Request-Method", "POST");
        let said = preflight.ask("OPTIONS", "/api/whoami", None).await;
        assert_eq!((said.status, said.field("access-control-allow-origin")), (405, None));
        // Node's own fetch says so much of itself, with a key in its hand.
        assert_eq!(gateway.key(&app).nobody().get("/api/whoami").await.json()["name"], "crew");
        assert_eq!(gateway.nobody().get("/api/whoami").await.code(), "no_key", "without one it is nobody");
    });
}

#[test]
fn an_answer_is_kept_by_nobody_and_guessed_at_by_no_browser() {
    run(async {
        let nexus = Builder::new(&Authority::new()).gateway().start();
        for path in ["/health", "/api/openapi.json", "/metrics", "/nope"] {
            let said = nexus.gateway().get(path).await;
            assert_eq!(said.field("cache-control"), Some("no-store"), "{path}");
            assert_eq!(said.field("x-content-type-options"), Some("nosniff"), "{path}");
        }
    });
}

#[test]
fn i11_whoever_comes_through_a_proxy_in_front_is_nobody_without_a_key() {
    run(async {
        let config = "[gateway]\nnames = [\"gw.example\"]";
        let nexus = Builder::new(&Authority::new()).gateway().config(config).start();
        let gateway = nexus.gateway();
        assert_eq!(gateway.get("/api/whoami").await.status, 200, "a program of this user on this machine");
        let forwarded = [
            ("Host", "gw.example"),
            ("Forwarded", "for=203.0.113.9"),
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Forwarded-Proto", "https"),
            ("X-Real-IP", "203.0.113.9"),
            ("Via", "1.1 nginx"),
        ];
        for (name, value) in forwarded {
            let said = gateway.with(name, value).get("/api/whoami").await;
            assert_eq!((said.status, said.code().as_str()), (401, "no_key"), "{name}: {said:?}");
        }
    });
}
