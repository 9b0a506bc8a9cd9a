//! What becomes of a CONNECT: tunnelled untouched, opened, or refused; and what may be inside.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::doors::clear_service;
use crate::harness::{Authority, Builder, Caller, Nexus, Offers, Upstream, answer, crypto, read_head, run};

/// A service that reads to the end of what it is sent and answers it in upper case.
async fn shouter() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (mut stream, _peer) = listener.accept().await.expect("a stream");
            tokio::spawn(async move {
                let mut all = String::new();
                stream.read_to_string(&mut all).await.expect("the caller's half");
                stream.write_all(all.to_uppercase().as_bytes()).await.expect("a write");
            });
        }
    });
    address
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.expect("a write");
    stream.flush().await.expect("a flush");
}

async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.expect("an end");
    rest
}

/// The head and the body that its Content-Length announces.
async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let head = read_head(stream).await;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let mut body = vec![0; length.expect("a length").parse().expect("a number")];
    stream.read_exact(&mut body).await.expect("a body");
    (head, String::from_utf8(body).expect("text"))
}

fn tunnelling(ca: &Authority, service: SocketAddr) -> Nexus {
    Builder::new(ca).resolve("any.test", service).config("[proxy]\nconnect_ports = [7]").start()
}

#[test]
fn a_host_that_nothing_names_is_tunnelled_untouched() {
    run(async {
        let ca = Authority::new();
        let nexus = tunnelling(&ca, shouter().await);
        let mut stream = Caller::new(&nexus).tunnel("any.test:7").await.expect("a tunnel");
        send(&mut stream, "\u{1}anything at all").await;
        stream.shutdown().await.expect("a half-close");
        assert_eq!(rest(&mut stream).await, "\u{1}ANYTHING AT ALL");
        let line = nexus.audit_line(|line| line["event"] == "tunnel_close" && line["host"] == "any.test").await;
        let moved = (line["bytes_up"].as_u64(), line["bytes_down"].as_u64());
        assert_eq!((line["verdict"].as_str(), moved), (Some("tunnel"), (Some(16), Some(16))), "{line}");
    });
}

#[test]
fn a_tunnel_ends_with_the_rule_that_opened_it() {
    run(async {
        let ca = Authority::new();
        let ends = jiff::Timestamp::now() + std::time::Duration::from_millis(1500);
        let rule = format!("[[rule]]\nname = \"today\"\nhosts = \"any.test\"\naction = \"allow\"\nexpires = \"{ends}\"\n");
        let config = format!("[proxy]\nconnect_ports = [7]\n[policy]\ndefault = \"deny\"\n{rule}");
        let nexus = Builder::new(&ca).resolve("any.test", shouter().await).config(&config).start();
        let mut stream = Caller::new(&nexus).tunnel("any.test:7").await.expect("a tunnel");
        send(&mut stream, "and then").await;
        let mut nothing = [0];
        assert!(!matches!(stream.read(&mut nothing).await, Ok(1..)), "it ends");
        assert!(jiff::Timestamp::now() >= ends);
        let line = nexus.audit_line(|line| line["event"] == "tunnel_close" && line["host"] == "any.test").await;
        assert_eq!(line["notes"][0], "rule_over", "{line}");
    });
}

#[test]
fn bytes_glued_behind_a_connect_are_the_first_in_its_tunnel() {
    run(async {
        let ca = Authority::new();
        let nexus = tunnelling(&ca, shouter().await);
        let mut stream = Caller::new(&nexus).tcp().await;
        send(&mut stream, "CONNECT any.test:7 HTTP/1.1\r\nHost: any.test:7\r\n\r\nearly ").await;
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
        send(&mut stream, "and late").await;
        stream.shutdown().await.expect("a half-close");
        assert_eq!(rest(&mut stream).await, "EARLY AND LATE");
        let line = nexus.audit_line(|line| line["event"] == "tunnel_close" && line["host"] == "any.test").await;
        assert_eq!(line["bytes_up"].as_u64(), Some(14), "{line}");
    });
}

/// The caller trusts the service's CA and has never heard of ours.
#[test]
fn the_tls_of_a_tunnel_is_between_caller_and_service() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Http1, |_call| async { answer(200, "far") }).await;
        let nexus = tunnelling(&ca, service.address);
        let client = client(ca.pem(), "any.test");
        let mut stream = Caller::new(&nexus).tunnel("any.test:443").await.expect("a tunnel");
        assert!(get(client, &mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
        let line = nexus.audit_line(|line| line["event"] == "tunnel_open" && line["host"] == "any.test").await;
        assert!(line["path"].is_null(), "{line}");
    });
}

/// A TLS client that trusts `pem`, for bytes in an order of the test's choice.
fn client(pem: &str, host: &str) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")).expect("a root");
    let builder = ClientConfig::builder_with_provider(crypto()).with_safe_default_protocol_versions().expect("versions");
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    ClientConnection::new(Arc::new(config), ServerName::try_from(host.to_owned()).expect("a name")).expect("a connection")
}

async fn read_tls(client: &mut ClientConnection, stream: &mut TcpStream) {
    let mut bytes = vec![0; 16 * 1024];
    let length = stream.read(&mut bytes).await.expect("bytes");
    assert!(length > 0, "the stream ended");
    let mut unread = &bytes[..length];
    while !unread.is_empty() {
        client.read_tls(&mut unread).expect("a record");
        client.process_new_packets().expect("sound TLS");
    }
}

/// The rest of a handshake, a request, and the beginning of its answer.
async fn get(mut client: ClientConnection, stream: &mut TcpStream) -> String {
    use std::io::{Read as _, Write as _};
    let mut asked = false;
    let mut plain = vec![0; 4096];
    loop {
        if !client.is_handshaking() && !asked {
            client.writer().write_all(b"GET / HTTP/1.1\r\nHost: any.test\r\n\r\n").expect("room");
            asked = true;
        }
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).expect("records");
        }
        stream.write_all(&bytes).await.expect("a write");
        match client.reader().read(&mut plain) {
            Ok(length) => return String::from_utf8_lossy(&plain[..length]).into_owned(),
            Err(_nothing_yet) => read_tls(&mut client, stream).await,
        }
    }
}

#[test]
fn a_client_hello_glued_behind_a_connect_is_answered() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Http1, |_call| async { answer(200, "inside") }).await;
        let nexus = Builder::new(&ca).resolve("any.test", service.address).config("[proxy]\nunmatched = \"intercept\"").start();
        let pem = std::fs::read_to_string(nexus.ca_file()).expect("the CA");
        let mut client = client(&pem, "any.test");
        let mut bytes = b"CONNECT any.test:443 HTTP/1.1\r\nHost: any.test:443\r\n\r\n".to_vec();
        client.write_tls(&mut bytes).expect("a hello");
        let mut stream = Caller::new(&nexus).tcp().await;
        stream.write_all(&bytes).await.expect("a write");
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
        assert!(get(client, &mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    });
}

/// A ClientHello in pieces is waited for, never given up on and spliced.
#[test]
fn t29_a_client_hello_in_single_bytes_is_opened_like_any_other() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Http1, |_call| async { answer(200, "inside") }).await;
        let nexus = Builder::new(&ca).resolve("any.test", service.address).config("[proxy]\nunmatched = \"intercept\"").start();
        let pem = std::fs::read_to_string(nexus.ca_file()).expect("the CA");
        let mut client = client(&pem, "any.test");
        let mut hello = Vec::new();
        client.write_tls(&mut hello).expect("a hello");
        let mut stream = Caller::new(&nexus).tunnel("any.test:443").await.expect("a tunnel");
        stream.set_nodelay(true).expect("no delay");
        for byte in hello {
            stream.write_all(&[byte]).await.expect("a write");
            tokio::task::yield_now().await;
        }
        // The client trusts our CA only: a spliced tunnel would have shown the service's.
        assert!(get(client, &mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(nexus.closed("/").await["host"], "any.test");
    });
}

/// Everything that a folder holds, as text.
fn everything_in(folder: &std::path::Path) -> String {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let text = |path: std::path::PathBuf| {
        if path.is_dir() {
            everything_in(&path)
        } else {
            String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
        }
    };
    entries.map(text).collect()
}

/// A name is a message: whoever resolves it or reads a ClientHello has it, request or not.
#[test]
fn i8_p4_a_connect_that_dials_ahead_is_in_the_log_before_the_dial() {
    run(async {
        let ca = Authority::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let tenants = "name = \"tenant\"\ntitle = \"Tenant\"\nslots = [\"authorization\"]\n[[field]]\nname = \"site\"\nprompt = \"Site\"\n\
                       secret = false\n[[inject]]\nhosts = [\"{site}.tenant.test\"]\nstrategy = { bearer = \"{api_key}\" }";
        for (host, config) in [
            ("secretdata.evil.test", "[proxy]\nunmatched = \"intercept\""),
            ("leak0123.tenant.test", "[proxy]\nunmatched = \"tunnel\""),
        ] {
            let nexus = Builder::new(&ca).resolve(host, address).provider("tenant", tenants).config(config).start();
            let stream = Caller::new(&nexus).tunnel(&format!("{host}:443")).await.expect("a tunnel");
            let (dialled, _peer) = listener.accept().await.expect("a dial");
            assert!(everything_in(&nexus.home().audit()).contains(host), "{host}");
            drop((stream, dialled));
            let line = nexus.audit_line(|line| line["host"] == host && line["event"] == "tunnel_open").await;
            assert_eq!((line["verdict"].as_str(), line["agent"].as_str()), (Some("intercept"), Some("local")), "{line}");
            let line = nexus.audit_line(|line| line["host"] == host && line["event"] == "tunnel_close").await;
            assert!(line["notes"].to_string().contains("no_request"), "{line}");
        }
    });
}

/// P4: every attempt, allowed or refused.
#[test]
fn i8_p4_a_connect_without_a_request_leaves_a_line() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Http1, |_call| async { answer(200, "inside") }).await;
        let config = "[proxy]\nunmatched = \"intercept\"\nworkers = 1";
        let builder = Builder::new(&ca).resolve("any.test", service.address).config(config);
        let (builder, token) = builder.agent("a", |agent| agent.hosts = Some(vec!["any.test".parse().expect("a host")]));
        let nexus = builder.start();
        let caller = Caller::new(&nexus).agent("a", &token);
        // The connection to the service is kept from here on, so that nothing is dialled ahead.
        assert_eq!(caller.get("https://any.test/first").await.text(), "inside");
        nexus.closed("/first").await;
        let of_connect = |event: &'static str, note: &'static str| {
            move |line: &serde_json::Value| line["event"] == event && line["notes"].to_string().contains(note)
        };
        drop(caller.tunnel("any.test:443").await.expect("a tunnel"));
        let line = nexus.audit_line(of_connect("tunnel_refuse", "no_request")).await;
        assert_eq!((line["host"].as_str(), line["agent"].as_str()), (Some("any.test"), Some("a")), "{line}");
        assert_eq!((line["verdict"].as_str(), line["door"].as_str()), (Some("intercept"), Some("connect")), "{line}");
        let seen = nexus.audit().len();
        drop(caller.tls("any.test", &["http/1.1"]).await);
        let again = of_connect("tunnel_refuse", "no_request");
        crate::harness::eventually("a line", || nexus.audit().split_off(seen).into_iter().find(|line| again(line))).await;
        // What policy refuses, too, though nobody asks why.
        drop(caller.tunnel("stranger.test:443").await.expect("a CONNECT that is ended by us"));
        let line = nexus.audit_line(|line| line["host"] == "stranger.test").await;
        let said = (line["event"].as_str(), line["refusal"].as_str(), line["status"].as_u64());
        assert_eq!(said, (Some("tunnel_refuse"), Some("policy"), Some(403)), "{line}");
    });
}

/// The requests are the record; the CONNECT has lines of its own only where it did something by itself.
#[test]
fn i8_requests_inside_a_connect_do_not_double_its_lines() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Http1, |_call| async { answer(200, "inside") }).await;
        let config = "[proxy]\nunmatched = \"intercept\"\nworkers = 1";
        let nexus = Builder::new(&ca).resolve("any.test", service.address).config(config).start();
        let caller = Caller::new(&nexus);
        for connection in 0..3 {
            let mut session = caller.http1("any.test").await;
            for request in 0..3 {
                assert_eq!(session.get(&format!("/{connection}/{request}")).await.text(), "inside");
                nexus.closed(&format!("/{connection}/{request}")).await;
            }
        }
        let lines = nexus.audit();
        let count = |event: &str| lines.iter().filter(|line| line["event"] == event && line["host"] == "any.test").count();
        // Only the first one had to dial.
        let counts = ["open", "close", "tunnel_open", "tunnel_close", "tunnel_refuse"].map(count);
        assert_eq!(counts, [9, 9, 1, 1, 0]);
    });
}

#[test]
fn unmatched_hosts_are_opened_where_the_operator_says_so() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Both, |_call| async { answer(200, "inside") }).await;
        let nexus = Builder::new(&ca).resolve("any.test", service.address).config("[proxy]\nunmatched = \"intercept\"").start();
        assert_eq!(Caller::new(&nexus).get("https://any.test/opened").await.text(), "inside");
        let line = nexus.closed("/opened").await;
        assert_eq!((line["verdict"].as_str(), line["provider"].as_str()), (Some("pass"), None), "{line}");
    });
}

/// Clients don't show the body of a refused CONNECT, so the refusal is told inside, by TLS that we end.
#[test]
fn a_refused_connect_shows_the_problem_document_inside() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Both, |_call| async { answer(200, "never") }).await;
        let builder = Builder::new(&ca).resolve("any.test", service.address).config("[proxy]\nunmatched = \"refuse\"");
        let (builder, token) = builder.agent("narrow", |agent| agent.hosts = Some(vec!["other.test".parse().expect("a host")]));
        let nexus = builder.start();
        let caller = Caller::new(&nexus).agent("narrow", &token);
        for (authority, what) in [("any.test", "operator"), ("other.test", "no rule")] {
            for version in ["http/1.1", "h2"] {
                let mut session = if version == "h2" { caller.http2(authority).await } else { caller.http1(authority).await };
                let reply = session.get("/why").await;
                assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{authority} {version}");
                assert_eq!(reply.headers["content-type"], "application/problem+json");
                assert_eq!(reply.headers["x-should-retry"], "false");
                let document: serde_json::Value = serde_json::from_str(reply.text()).expect("JSON");
                assert_eq!(document["type"], "urn:nexus:refusal:policy");
                assert!(document["detail"].as_str().is_some_and(|detail| detail.contains(what)), "{document}");
                let id = document["request_id"].as_str().expect("an id").to_owned();
                let line = nexus.audit_line(|line| line["id"] == *id).await;
                assert_eq!((line["event"].as_str(), line["agent"].as_str()), (Some("refuse"), Some("narrow")), "{line}");
            }
        }
        let port = caller.tunnel("any.test:22").await.expect("an accepted CONNECT");
        let mut stream = caller.handshake(port, "any.test", &["http/1.1"]).await.expect("a handshake");
        send(&mut stream, "GET / HTTP/1.1\r\nHost: any.test:22\r\n\r\n").await;
        let (head, body) = reply(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 403 ") && body.contains("reach"), "{head}{body}");
        assert_eq!(service.connections(), 0);
    });
}

/// undici and ureq tunnel plain HTTP too.
#[test]
fn plain_http_is_normal_inside_port_80() {
    run(async {
        let ca = Authority::new();
        let (address, heads) = clear_service().await;
        let nexus = Builder::new(&ca).resolve("any.test", address).config("[proxy]\nunmatched = \"intercept\"").start();
        let mut stream = Caller::new(&nexus).tunnel("any.test:80").await.expect("a tunnel");
        for path in ["/one", "/two"] {
            send(&mut stream, &format!("GET {path} HTTP/1.1\r\nHost: any.test\r\n\r\n")).await;
            assert_eq!(reply(&mut stream).await.1, "clear");
            let line = nexus.closed(path).await;
            assert_eq!((line["scheme"].as_str(), line["port"].as_u64()), (Some("http"), Some(80)), "{line}");
        }
        let heads = heads.lock().expect("a lock");
        assert!(heads.len() == 2 && heads[0].starts_with("GET /one HTTP/1.1\r\nhost: any.test\r\n"), "{heads:?}");
    });
}

#[test]
fn i4_plain_http_is_refused_inside_port_443() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Both, |_call| async { answer(200, "never") }).await;
        let nexus = Builder::new(&ca).resolve("any.test", service.address).config("[proxy]\nunmatched = \"intercept\"").start();
        for sent in ["GET / HTTP/1.1\r\nHost: any.test\r\n\r\n", "SSH-2.0-client\r\n"] {
            let mut stream = Caller::new(&nexus).tunnel("any.test:443").await.expect("a tunnel");
            send(&mut stream, sent).await;
            let answer = rest(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("must be TLS"), "{answer}");
        }
        let notes = |line: &serde_json::Value| line["notes"].as_array().is_some_and(|notes| notes.contains(&"not_tls".into()));
        nexus.audit_line(notes).await;
        assert_eq!(service.count(), 0);
    });
}

#[test]
fn i2_absolute_form_inside_a_tunnel_stays_inside() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Both, |_call| async { answer(200, "inside") }).await;
        let nexus = Builder::new(&ca).resolve("any.test", service.address).config("[proxy]\nunmatched = \"intercept\"").start();
        let mut stream = Caller::new(&nexus).tls("any.test", &["http/1.1"]).await;
        for target in ["https://any.test/path?q=1", "https://any.test:443/path?q=1", "https://ANY.test./path?q=1"] {
            send(&mut stream, &format!("GET {target} HTTP/1.1\r\nHost: any.test\r\n\r\n")).await;
            let (head, body) = reply(&mut stream).await;
            assert!(head.starts_with("HTTP/1.1 200 ") && body == "inside", "{head}");
        }
        for (target, status) in [("https://other.test/", "421"), ("https://any.test:8443/", "421"), ("http://any.test/", "400")]
        {
            send(&mut stream, &format!("GET {target} HTTP/1.1\r\nHost: any.test\r\n\r\n")).await;
            let (head, _body) = reply(&mut stream).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {head}");
        }
        assert!(service.seen().iter().all(|seen| seen.path == "/path?q=1" && seen.authority.as_deref() == Some("any.test")));
        assert_eq!(service.count(), 3);
    });
}

#[test]
fn ipv6_literals_are_targets_like_others() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["::1"], Offers::Both, |_call| async { answer(200, "six") }).await;
        let nexus =
            Builder::new(&ca).resolve("[::1]:443", service.address).config("[proxy]\nunmatched = \"intercept\"").start();
        let caller = Caller::new(&nexus);
        let stream = caller.tunnel("[::1]:443").await.expect("a tunnel");
        let mut stream = caller.handshake(stream, "::1", &["http/1.1"]).await.expect("a certificate for the address");
        send(&mut stream, "GET /six HTTP/1.1\r\nHost: [::1]\r\n\r\n").await;
        assert_eq!(reply(&mut stream).await.1, "six");
        assert_eq!(service.seen()[0].authority.as_deref(), Some("[::1]"));
        assert_eq!(nexus.closed("/six").await["host"], "[::1]");
    });
}

#[test]
fn an_ipv6_address_is_dialled() {
    run(async {
        let ca = Authority::new();
        let listener = TcpListener::bind("[::1]:0").await.expect("this machine has IPv6 on loopback");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            let (mut stream, _peer) = listener.accept().await.expect("a stream");
            stream.write_all(b"six").await.expect("a write");
        });
        let config = format!("[proxy]\nconnect_ports = [{port}]\n[upstream]\nallow_private = [\"::1/128\"]");
        let nexus = Builder::new(&ca).config(&config).start();
        let mut stream = Caller::new(&nexus).tunnel(&format!("[::1]:{port}")).await.expect("a tunnel");
        assert_eq!(rest(&mut stream).await, "six");
    });
}

/// DESIGN 4: clients don't show the body of a refused CONNECT.
#[test]
fn i5_a_connect_to_an_address_that_is_not_dialled_is_told_why_inside() {
    run(async {
        let ca = Authority::new();
        let nexus = Builder::new(&ca).start();
        let caller = Caller::new(&nexus);
        for host in ["169.254.169.254", "10.0.0.1", "127.0.0.1", "metadata.google.internal", "localhost"] {
            for version in ["http/1.1", "h2"] {
                let mut session = if version == "h2" { caller.http2(host).await } else { caller.http1(host).await };
                let reply = session.get(&format!("https://{host}/secret")).await;
                assert_eq!((reply.status, reply.refusal()), (403, Some("private-address")), "{host} {version} {reply:?}");
                let document: serde_json::Value = serde_json::from_slice(&reply.body).expect("a problem document");
                assert_eq!(document["type"], "urn:nexus:refusal:private-address", "{document}");
            }
            let line = nexus.audit_line(|line| line["host"] == host && line["event"] == "refuse").await;
            assert_eq!((line["refusal"].as_str(), line["path"].as_str()), (Some("private-address"), Some("/secret")), "{line}");
            let line = nexus.audit_line(|line| line["host"] == host && line["event"] == "tunnel_close").await;
            assert_eq!((line["verdict"].as_str(), line.get("dialled")), (Some("refuse"), None), "{line}");
        }
        let mut stream = caller.tunnel("10.0.0.1:80").await.expect("a tunnel");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n").await.expect("a write");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 403 ") && head.contains("private-address"), "{head}");
        // What speaks HTTP without TLS to a port of TLS is told the same.
        let mut stream = caller.tunnel("10.0.0.1:443").await.expect("a tunnel");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n").await.expect("a write");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 403 ") && head.contains("private-address"), "{head}");
    });
}
