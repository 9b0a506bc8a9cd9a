//! Threats 1 to 33: the credential goes to the host that its rule names, and to no other spelling of another (I2).

use http::{Request, Version};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::attack::{HOST, KEY, home, scene, service, talk};
use crate::harness::{Authority, Body, Caller, Offers, Upstream, answer, empty, read, read_head, run};

#[test]
fn t1_to_t8_i2_a_request_inside_names_the_tunnels_host_or_is_refused() {
    run(async {
        let scene = scene("").await;
        let rows: &[(&str, &str, u16)] = &[
            ("another host", "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", 421),
            ("another port", "GET / HTTP/1.1\r\nHost: api.acme.test:444\r\n\r\n", 421),
            ("its address", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 421),
            ("a suffix", "GET / HTTP/1.1\r\nHost: acme.test\r\n\r\n", 421),
            ("absolute-form of another", "GET https://evil.test/ HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", 421),
            ("absolute-form and Host of another", "GET https://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", 421),
            ("Host of another beside absolute-form", "GET https://api.acme.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", 421),
            ("cleartext absolute-form", "GET http://api.acme.test/ HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", 400),
            ("two hosts", "GET / HTTP/1.1\r\nHost: api.acme.test\r\nHost: evil.test\r\n\r\n", 400),
            ("two hosts the other way", "GET / HTTP/1.1\r\nHost: evil.test\r\nHost: api.acme.test\r\n\r\n", 400),
            ("no host", "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", 400),
            ("an empty host", "GET / HTTP/1.1\r\nHost: \r\n\r\n", 400),
            ("userinfo", "GET / HTTP/1.1\r\nHost: api.acme.test@evil.test\r\n\r\n", 400),
            ("a path", "GET / HTTP/1.1\r\nHost: api.acme.test/x\r\n\r\n", 400),
            ("a list", "GET / HTTP/1.1\r\nHost: api.acme.test, evil.test\r\n\r\n", 400),
            ("two dots", "GET / HTTP/1.1\r\nHost: api.acme.test..\r\n\r\n", 400),
            ("a zero before the port", "GET / HTTP/1.1\r\nHost: api.acme.test:0443\r\n\r\n", 400),
            ("a path that begins with @ (t16)", "GET @evil.test/ HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", 400),
            ("a path that begins with : (t16)", "GET :80@evil.test/ HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", 400),
            (
                "userinfo in absolute-form (t15)",
                "GET https://api.acme.test@evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
                400,
            ),
            ("another scheme (t94)", "GET ftp://api.acme.test/ HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", 400),
        ];
        for (what, bytes, status) in rows {
            let raw = scene.inside(bytes.as_bytes()).await;
            assert_eq!(raw.status(), *status, "{what}: {raw:?}");
            assert!(raw.text.contains("urn:nexus:refusal:"), "{what}: {raw:?}");
            assert!(!raw.text.contains("evil"), "nothing is echoed: {what}: {raw:?}");
            assert!(scene.saw(0), "{what}");
        }
    });
}

#[test]
fn t9_t10_spellings_of_the_rule_host_are_the_rule_host() {
    run(async {
        let scene = scene("").await;
        let own: [&[u8]; 5] = [
            b"GET /a HTTP/1.1\r\nHost: API.Acme.TEST\r\nAuthorization: Bearer mine\r\n\r\n",
            b"GET /b HTTP/1.1\r\nHost: api.acme.test.\r\nAuthorization: Bearer mine\r\n\r\n",
            b"GET /c HTTP/1.1\r\nHost: api.acme.test:443\r\nAUTHORIZATION: Bearer mine\r\n\r\n",
            b"GET https://Api.acme.test/d HTTP/1.1\r\nHost: api.acme.test\r\nauthorization: Bearer mine\r\nAuthorization: Bearer mine2\r\n\r\n",
            b"GET //evil.test/e HTTP/1.1\r\nHost: api.acme.test\r\n\r\n",
        ];
        for (number, bytes) in own.iter().enumerate() {
            let raw = scene.inside(bytes).await;
            assert_eq!(raw.status(), 200, "{raw:?}");
            let last = scene.last();
            assert_eq!((last.bearer(), last.authority.as_deref()), (Some(KEY), Some(HOST)), "{last:?}");
            assert!(last.path.starts_with('/') && scene.saw(number + 1));
        }
        for authority in ["API.acme.TEST:443", "api.acme.test.:443"] {
            let stream = scene.caller.tunnel(authority).await.expect("a tunnel");
            let stream = scene.caller.handshake(stream, HOST, &[]).await.expect("a handshake");
            let raw = talk(stream, b"GET /f HTTP/1.1\r\nHost: api.acme.test\r\nX-Api-Key: mine\r\n\r\n").await;
            assert_eq!(
                (raw.status(), scene.last().bearer(), scene.last().header("x-api-key")),
                (200, Some(KEY), None),
                "{raw:?}"
            );
        }
    });
}

#[test]
fn t11_to_t15_malformed_authorities_of_connect_are_refused() {
    run(async {
        let scene = scene("").await;
        let authorities = [
            "api.acme.test",
            "api.acme.test:",
            "api.acme.test:0443",
            "api.acme.test:65979",
            "api.acme.test:443:443",
            "api.acme.test:0",
            "api.acme.test:+443",
            "api.acme.test:443@evil.test:443",
            "user@api.acme.test:443",
            "api.acme.test..:443",
            ":443",
            "a b:443",
            "api%2eacme.test:443",
            "api.acme.test%00:443",
            "api.acme.test/x:443",
            "api.acme.test\\x:443",
            "api.acme.test#:443",
            "api.acme.test?:443",
            "http://api.acme.test:443",
            "*:443",
            "xn--a:443",
            "-api.acme.test:443",
        ];
        for authority in authorities {
            let bytes = format!("CONNECT {authority} HTTP/1.1\r\nHost: api.acme.test:443\r\n\r\n");
            let raw = talk(scene.caller.tcp().await, bytes.as_bytes()).await;
            assert_eq!((raw.status(), raw.closed), (400, true), "{authority}: {raw:?}");
        }
        for bytes in [
            "CONNECT api.acme.test\u{3002}x:443 HTTP/1.1\r\nHost: x\r\n\r\n".as_bytes(),
            "CONNECT \u{ff41}pi.acme.test:443 HTTP/1.1\r\nHost: x\r\n\r\n".as_bytes(),
            "CONNECT api.acme.test:\u{ff14}43 HTTP/1.1\r\nHost: x\r\n\r\n".as_bytes(),
            b"CONNECT api.acme.test\0:443 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"CONNECT api.acme.test\t:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            let raw = talk(scene.caller.tcp().await, bytes).await;
            assert_eq!((raw.status(), raw.closed), (400, true), "{raw:?}");
        }
        assert!(scene.saw(0) && scene.service.connections() == 0);
    });
}

#[test]
fn t12_t17_i2_lookalikes_get_no_credential_and_may_not_borrow_the_name() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let mut builder = home(&ca, &service).config("[proxy]\nunmatched = \"intercept\"");
        let strangers = ["evil.test", "evilapi.acme.test", "api.acme.test.evil.test", "x.api.acme.test", "acme.test"];
        for name in strangers {
            builder = builder.resolve(name, service.address);
        }
        let nexus = builder.resolve("192.0.2.7", service.address).start();
        let caller = Caller::new(&nexus);
        for name in strangers {
            let reply = caller.get(&format!("https://{name}/plain")).await;
            let seen = service.seen().pop().expect("a request");
            assert_eq!((reply.status, seen.header("authorization")), (200, None), "{name}");
            // CONNECT stranger, Host rule host; and the other way round with SNI.
            let raw = talk(caller.tls(name, &[]).await, b"GET / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n").await;
            assert_eq!(raw.status(), 421, "{name}: {raw:?}");
            let stream = caller.tunnel(&format!("{name}:443")).await.expect("a tunnel");
            assert!(caller.handshake(stream, HOST, &[]).await.is_err(), "the server name is not the tunnel's: {name}");
        }
        let stream = caller.tunnel("192.0.2.7:443").await.expect("a tunnel");
        assert!(caller.handshake(stream, HOST, &[]).await.is_err(), "an address is not called by a name");
        assert_eq!(service.count(), strangers.len());
        let line = nexus.audit_line(|line| line["notes"].to_string().contains("sni_mismatch")).await;
        assert_eq!(line["sni"], HOST, "{line}");
    });
}

#[test]
fn t4_another_server_name_is_refused_and_none_is_taken_for_the_connect_host() {
    run(async {
        let scene = scene("").await;
        let stream = scene.caller.tunnel("api.acme.test:443").await.expect("a tunnel");
        let error = scene.caller.handshake(stream, "evil.test", &[]).await.expect_err("another name");
        assert!(error.to_string().to_lowercase().contains("unrecogni"), "{error}");
        // An address as the verified name sends no server name; the certificate is still the CONNECT host's.
        let stream = scene.caller.tunnel("api.acme.test:443").await.expect("a tunnel");
        let error = scene.caller.handshake(stream, "127.0.0.1", &[]).await.expect_err("a certificate for a name");
        assert!(error.to_string().contains("NotValidForName") || error.to_string().contains("not valid for name"), "{error}");
        assert!(scene.saw(0));
    });
}

#[test]
fn t17_t18_i2_a_tunnel_to_an_address_or_stranger_does_not_hide_the_rule_host() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let nexus = home(&ca, &service).resolve("192.0.2.7", service.address).resolve("evil.test", service.address).start();
        let caller = Caller::new(&nexus);
        for authority in ["192.0.2.7:443", "evil.test:443"] {
            let stream = caller.tunnel(authority).await.expect("a tunnel");
            let error = caller.handshake(stream, HOST, &[]).await.expect_err(authority);
            assert!(error.to_string().to_lowercase().contains("unrecogni"), "{authority}: {error}");
            let host = authority.trim_end_matches(":443");
            let line = nexus.audit_line(|line| line["host"] == host && line["event"] == "tunnel_close").await;
            let told = (line["verdict"].as_str(), line["refusal"].as_str(), line["sni"].as_str());
            assert_eq!(told, (Some("refuse"), Some("tls"), Some(HOST)), "{line}");
            assert!(line["notes"].to_string().contains("sni_mismatch"), "{line}");
        }
        assert_eq!(service.connections(), 0, "no byte went through");
        // The same tunnel with its own name is left alone, in pieces too.
        let mut stream = caller.tunnel("evil.test:443").await.expect("a tunnel");
        stream.write_all(b"\x16\x03").await.expect("a write");
        drop(stream);
        let stream = caller.tunnel("evil.test:443").await.expect("a tunnel");
        let error = caller.handshake(stream, "evil.test", &[]).await.expect_err("the service's CA is not ours");
        assert!(
            error.to_string().contains("UnknownIssuer") || error.to_string().contains("invalid peer certificate"),
            "{error}"
        );
    });
}

#[test]
fn t11_t27_i2_other_ports_and_cleartext_get_nothing() {
    run(async {
        let scene = scene("[proxy]\nconnect_ports = [8443]").await;
        let stream = scene.caller.tunnel("api.acme.test:8443").await.expect("a tunnel");
        let stream = scene.caller.handshake(stream, HOST, &[]).await.expect("a handshake");
        let raw = talk(stream, b"GET / HTTP/1.1\r\nHost: api.acme.test:8443\r\n\r\n").await;
        assert_eq!((raw.status(), raw.refusal()), (403, "policy"), "{raw:?}");
        let raw = talk(scene.caller.tcp().await, b"GET http://api.acme.test/ HTTP/1.1\r\nHost: api.acme.test\r\n\r\n").await;
        assert_eq!((raw.status(), raw.refusal()), (403, "policy"), "{raw:?}");
        let stream = scene.caller.tunnel("api.acme.test:80").await.expect("a tunnel");
        let raw = talk(stream, b"GET / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n").await;
        assert_eq!((raw.status(), raw.refusal()), (403, "policy"), "{raw:?}");
        let raw =
            talk(scene.caller.tcp().await, b"GET http://api.acme.test:443/ HTTP/1.1\r\nHost: api.acme.test:443\r\n\r\n").await;
        assert_eq!(raw.status(), 403, "{raw:?}");
        // A port that nobody listed is refused inside, so that the caller reads why.
        let stream = scene.caller.tunnel("other.test:22").await.expect("a tunnel");
        let stream = scene.caller.handshake(stream, "other.test", &[]).await.expect("a handshake");
        let raw = talk(stream, b"GET / HTTP/1.1\r\nHost: other.test:22\r\n\r\n").await;
        assert_eq!((raw.status(), raw.refusal()), (403, "policy"), "{raw:?}");
        assert!(scene.saw(0));
    });
}

#[test]
fn t28_t93_what_is_not_tls_is_closed_and_never_spliced() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let nexus = home(&ca, &service).resolve("mail.test", plain.local_addr().expect("an address")).start();
        let caller = Caller::new(&nexus);
        let first: [&[u8]; 4] =
            [b"GET / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", b"SSH-2.0-x\r\n", b"EHLO evil\r\n", b"*1\r\n$4\r\nPING\r\n"];
        for bytes in first {
            let raw = talk(caller.tunnel("api.acme.test:443").await.expect("a tunnel"), bytes).await;
            assert!(raw.closed && (raw.status() == 400 || raw.text.is_empty()), "{raw:?}");
            let (talked, service) =
                tokio::join!(async { talk(caller.tunnel("mail.test:443").await.expect("a tunnel"), bytes).await }, async {
                    let (mut stream, _peer) = plain.accept().await.expect("a stream");
                    let mut received = Vec::new();
                    drop(stream.read_to_end(&mut received).await);
                    received
                });
            assert!(talked.closed && service.is_empty(), "{talked:?} {service:?}");
        }
        assert_eq!(service.count(), 0);
        let line = nexus.audit_line(|line| line["host"] == "mail.test" && line["event"] == "tunnel_close").await;
        assert!(line["notes"].to_string().contains("not_tls"), "{line}");
    });
}

/// Port 443, and a provider's, stay TLS even where the operator lists them.
#[test]
fn t28_t93_t18_listing_a_tls_port_does_not_switch_its_check_off() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let odd = "name = \"odd\"\ntitle = \"Odd\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"odd.acme.test\"]\nport = 8443\n\
                   strategy = { bearer = \"{api_key}\" }";
        let address = plain.local_addr().expect("an address");
        let builder = home(&ca, &service).provider("odd", odd).config("[proxy]\nconnect_ports = [443, 8443, 80, 25]");
        let builder = builder.resolve("mail.test:443", address).resolve("mail.test:8443", address);
        let nexus = builder.resolve("mail.test:25", address).resolve("192.0.2.7:443", service.address).start();
        let caller = Caller::new(&nexus);
        let received = async {
            let (mut stream, _peer) = plain.accept().await.expect("a stream");
            let mut received = Vec::new();
            drop(stream.read_to_end(&mut received).await);
            received
        };
        for authority in ["mail.test:443", "mail.test:8443"] {
            let talking = async {
                let raw = talk(caller.tunnel(authority).await.expect("a tunnel"), b"EHLO evil\r\n").await;
                assert!(raw.closed && raw.text.is_empty(), "{authority}: {raw:?}");
            };
            let reading = async {
                let (mut stream, _peer) = plain.accept().await.expect("a stream");
                let mut received = Vec::new();
                drop(stream.read_to_end(&mut received).await);
                received
            };
            let ((), received) = tokio::join!(talking, reading);
            assert!(received.is_empty(), "{authority}: {received:?}");
        }
        let stream = caller.tunnel("192.0.2.7:443").await.expect("a tunnel");
        assert!(caller.handshake(stream, HOST, &[]).await.is_err(), "an address does not hide the rule host");
        assert_eq!(service.connections(), 0);
        // A port that is nobody's for TLS takes any bytes once it is listed.
        let mut stream = caller.tunnel("mail.test:25").await.expect("a tunnel");
        stream.write_all(b"EHLO friend\r\n").await.expect("a write");
        stream.shutdown().await.expect("a half-close");
        assert_eq!(received.await, b"EHLO friend\r\n");
    });
}

#[test]
fn t22_every_request_of_a_stream_is_checked() {
    run(async {
        let scene = scene("").await;
        let bytes = b"GET /first HTTP/1.1\r\nHost: api.acme.test\r\n\r\nGET /second HTTP/1.1\r\nHost: evil.test\r\n\r\n";
        let raw = scene.inside(bytes).await;
        assert!(raw.text.contains("HTTP/1.1 200") && raw.text.contains("HTTP/1.1 421"), "{raw:?}");
        assert!(scene.saw(1) && scene.last().path == "/first");
    });
}

#[test]
fn t23_t24_t25_i2_http2_streams_name_the_tunnels_host_or_are_refused() {
    run(async {
        let scene = scene("").await;
        let stream = scene.caller.tls(HOST, &["h2"]).await;
        let (mut sender, connection) =
            http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(stream)).await.expect("h2");
        tokio::spawn(connection);
        let uri = |uri: &str| Request::builder().uri(uri).version(Version::HTTP_2);
        let rows = [
            (uri("https://evil.test/"), 421),
            (uri("https://api.acme.test:444/"), 421),
            (uri("https://api.acme.test/").header("host", "evil.test"), 400),
            (uri("https://evil.test/").header("host", "api.acme.test"), 400),
            (uri("http://api.acme.test/"), 400),
            (uri("https://user@api.acme.test/"), 400),
            (uri("https://api.acme.test/").header("host", "api.acme.test"), 200),
            (uri("https://API.acme.test:443/").header("authorization", "Bearer mine"), 200),
        ];
        let mut count = 0;
        for (request, status) in rows {
            let request = request.body(empty()).expect("a request");
            let shown = format!("{request:?}");
            let reply = match sender.send_request(request).await {
                Ok(response) => read(response).await.expect("a response"),
                Err(error) => panic!("{shown}: {error}"),
            };
            count += usize::from(status == 200);
            assert_eq!(reply.status, status, "{shown} {reply:?}");
            assert!(scene.saw(count), "{shown}");
        }
        assert_eq!(scene.last().bearer(), Some(KEY));
    });
}

#[test]
fn t26_i6_http2_connections_to_a_service_are_not_shared_between_agents() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http2).await;
        let (builder, one) = home(&ca, &service).config("[proxy]\nworkers = 1").agent("one", |_agent| {});
        let (builder, two) = builder.agent("two", |_agent| {});
        let nexus = builder.start();
        for (name, token) in [("one", &one), ("two", &two), ("one", &one)] {
            assert_eq!(Caller::new(&nexus).agent(name, token).get("https://api.acme.test/").await.status, 200);
        }
        let connections: Vec<usize> = service.seen().iter().map(|seen| seen.connection).collect();
        assert_ne!(connections[0], connections[1], "{connections:?}");
        assert_eq!(connections[0], connections[2], "{connections:?}");
    });
}

#[test]
fn t26_i6_a_connection_that_knows_its_user_is_not_shared() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let nexus = home(&ca, &service)
            .config("[proxy]\nworkers = 1\nunmatched = \"intercept\"")
            .resolve("evil.test", service.address)
            .start();
        let caller = Caller::new(&nexus);
        for way in ["Connection: close\r\n", ""] {
            let bytes = format!("GET / HTTP/1.1\r\nHost: evil.test\r\nAuthorization: NTLM TlRMTVNTUAAB\r\n{way}\r\n");
            assert_eq!(talk(caller.tls("evil.test", &[]).await, bytes.as_bytes()).await.status(), 200);
            assert_eq!(caller.get("https://evil.test/").await.status, 200);
            let seen = service.seen();
            assert_ne!(seen[seen.len() - 2].connection, seen[seen.len() - 1].connection, "{way:?}");
        }
    });
}

/// The answer that begins such a handshake has no body, so its end and its head are one.
#[test]
fn t26_i6_nor_is_one_whose_challenge_has_no_body() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &[HOST], Offers::Http1, |mut stream, number| async move {
            loop {
                let mut first = [0];
                let Ok(1) = tokio::io::AsyncReadExt::read(&mut stream, &mut first).await else { return };
                read_head(&mut stream).await;
                let fields = format!("WWW-Authenticate: NTLM TlRMTVNTUAAC\r\nX-Connection: {number}\r\nContent-Length: 0");
                drop(stream.write_all(format!("HTTP/1.1 403 Not Yet\r\n{fields}\r\n\r\n").as_bytes()).await);
                drop(stream.flush().await);
            }
        })
        .await;
        let nexus = home(&ca, &service).config("[proxy]\nworkers = 1").start();
        let caller = Caller::new(&nexus);
        let mut connections = Vec::new();
        for _ in 0..3 {
            let reply = caller.get("https://api.acme.test/").await;
            connections.push(reply.headers.get("x-connection").and_then(|number| number.to_str().ok()).map(str::to_owned));
        }
        connections.dedup();
        assert_eq!(connections.len(), 3, "{connections:?}");
    });
}

#[test]
fn t30_t31_redirects_are_passed_on_and_other_ways_to_the_service_dropped() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, |_call| async {
            let mut response = answer(302, "");
            for (name, value) in [
                ("location", "http://evil.test/steal"),
                ("alt-svc", "h3=\":443\"; ma=86400"),
                ("set-cookie", "session=outlives"),
                ("proxy-authenticate", "Basic realm=x"),
                ("x-kept", "yes"),
            ] {
                response.headers_mut().insert(name, value.parse().expect("a value"));
            }
            response
        })
        .await;
        let nexus = home(&ca, &service).start();
        let reply = Caller::new(&nexus).get("https://api.acme.test/").await;
        assert_eq!((reply.status, reply.headers["location"].to_str().ok()), (302, Some("http://evil.test/steal")));
        assert_eq!(reply.headers.get("x-kept").map(http::HeaderValue::as_bytes), Some(&b"yes"[..]));
        for dropped in ["alt-svc", "set-cookie", "proxy-authenticate"] {
            assert!(!reply.headers.contains_key(dropped), "{dropped}");
        }
        assert_eq!(service.count(), 1);
    });
}
