//! How the gateway begins and ends, and what it speaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus::app::GatewayKeyKind::App;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::{Authority, Builder, crypto, eventually, run, said};

/// A certificate for `gw.example` and its key, and what trusts it.
fn certificate() -> (String, String, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["gw.example".to_owned()]).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).expect("PEM")).expect("a root");
    let config = ClientConfig::builder_with_provider(crypto()).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    (made.cert.pem(), made.signing_key.serialize_pem(), config)
}

fn write(home: &nexus::app::Home, name: &str, text: &str) {
    nexus::disk::write_atomic(&home.path().join(name), text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
}

/// A home whose gateway has a certificate for `gw.example`, and what trusts it.
fn with_tls() -> (Builder, ClientConfig) {
    let (pem, key, config) = certificate();
    let builder = Builder::new(&Authority::new())
        .gateway()
        .config("[gateway]\nnames = [\"gw.example\"]\ntls_cert = \"gateway.pem\"\ntls_key = \"gateway.key\"\n");
    write(builder.home(), "gateway.pem", &pem);
    write(builder.home(), "gateway.key", &key);
    (builder, config)
}

async fn shakes_hands(address: std::net::SocketAddr, trusting: &ClientConfig) -> bool {
    let stream = TcpStream::connect(address).await.expect("the gateway");
    let name = ServerName::try_from("gw.example").expect("a name");
    TlsConnector::from(Arc::new(trusting.clone())).connect(name, stream).await.is_ok()
}

#[test]
fn a_changed_certificate_is_shown_without_a_restart_and_one_that_cannot_be_used_never() {
    run(async {
        let (builder, first) = with_tls();
        let nexus = builder.start();
        let address = nexus.gateway().address;
        assert!(shakes_hands(address, &first).await);
        let (pem, key, second) = certificate();
        write(nexus.home(), "gateway.pem", &pem);
        nexus.reload();
        assert!(shakes_hands(address, &first).await, "its key is not there yet");
        write(nexus.home(), "gateway.key", &key);
        nexus.reload();
        assert!(shakes_hands(address, &second).await && !shakes_hands(address, &first).await);
        write(nexus.home(), "gateway.key", "no key");
        nexus.reload();
        std::fs::remove_file(nexus.home().path().join("gateway.pem")).expect("a file");
        nexus.reload();
        assert!(shakes_hands(address, &second).await, "the last good one");
        // Nobody need say so: both files are watched.
        let (pem, key, third) = certificate();
        write(nexus.home(), "gateway.pem", &pem);
        write(nexus.home(), "gateway.key", &key);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !shakes_hands(address, &third).await {
            assert!(Instant::now() < deadline, "the change was not seen");
        }
    });
}

#[test]
fn it_speaks_tls_where_it_has_a_certificate_and_nothing_else_then() {
    run(async {
        let (builder, mut config) = with_tls();
        let (builder, key) = builder.key("crew", App, |_key| ());
        let nexus = builder.start();
        assert!(nexus.local_gateway().tls);
        let address = nexus.gateway().address;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(address).await.expect("the gateway");
        let name = ServerName::try_from("gw.example").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let bytes = format!("GET /api/whoami HTTP/1.1\r\nHost: gw.example\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n");
        stream.write_all(bytes.as_bytes()).await.expect("a write");
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        assert_eq!(said(&answer).json()["name"], "crew");
        let plain = nexus.gateway().key(&key).get("/api/whoami").await;
        assert_ne!(plain.status, 200, "{plain:?}");
        assert!(!plain.body.contains("crew"));
    });
}

#[test]
fn i7_a_handshake_that_never_ends_is_ended() {
    run(async {
        let (builder, _config) = with_tls();
        let nexus = builder.config("[limits]\nhandshake_timeout_secs = 1").start();
        let mut stream = TcpStream::connect(nexus.gateway().address).await.expect("the gateway");
        stream.write_all(b"\x16\x03\x01").await.expect("a write");
        let begun = Instant::now();
        drop(stream.read_to_end(&mut Vec::new()).await);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
}

#[test]
fn it_ends_with_the_proxy_and_lets_idle_connections_go() {
    run(async {
        let mut nexus = Builder::new(&Authority::new()).gateway().config("[limits]\ndrain_secs = 30").start();
        let address = nexus.gateway().address;
        let mut idle = TcpStream::connect(address).await.expect("the gateway");
        idle.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("a write");
        let mut byte = [0];
        idle.read_exact(&mut byte).await.expect("an answer");
        let begun = Instant::now();
        tokio::task::spawn_blocking(move || nexus.stop()).await.expect("a stop");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        drop(idle.read_to_end(&mut Vec::new()).await);
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    });
}

#[test]
fn a_vault_that_cannot_be_read_is_told_and_nothing_panics() {
    run(async {
        let nexus = Builder::new(&Authority::new()).gateway().start();
        let gateway = nexus.gateway();
        let file = nexus.home().vault().file;
        nexus::disk::write_atomic(&file, b"AAAA", nexus::disk::PRIVATE).expect("a file");
        let health = gateway.get("/health").await;
        assert_eq!((health.status, &health.json()["vault"], &health.json()["status"]), (503, &false.into(), &"broken".into()));
        let status = gateway.get("/api/status").await;
        assert_eq!((status.status, status.code().as_str()), (503, "vault"));
        assert!(!status.body.contains("nexus.enc"), "where the home lies is nobody's matter");
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(gateway.get("/health").await.status, 200);
    });
}

#[test]
fn the_numbers_count_what_happens() {
    run(async {
        let nexus =
            Builder::new(&Authority::new()).gateway().register("github:alice", &[("access_token", "gho_alice")]).start();
        let gateway = nexus.gateway();
        gateway.get("/health").await;
        gateway.get("/nope").await;
        let _stream = TcpStream::connect(nexus.address).await.expect("the proxy");
        eventually("a stream", || (nexus.connections() == 1).then_some(())).await;
        let text = gateway.get("/metrics").await.body;
        for line in [
            "# TYPE nexus_gateway_requests_total counter",
            "nexus_gateway_requests_total{status=\"200\"} 1",
            "nexus_gateway_requests_total{status=\"404\"} 1",
            "nexus_gateway_problems_total{code=\"not_found\"} 1",
            "nexus_gateway_requests_under_way 1",
            "nexus_connections{status=\"active\"} 1",
            "nexus_renewals_total{outcome=\"renewed\"} 0",
            "nexus_proxy_streams 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("alice"), "whose they are is no number");
    });
}

#[test]
fn i9_questions_that_cannot_be_read_keep_the_gateway_down_and_not_the_proxy() {
    run(async {
        let builder = Builder::new(&Authority::new()).gateway();
        let file = builder.home().gateway_pending();
        nexus::disk::write_atomic(&file, b"AAAA", nexus::disk::PRIVATE).expect("a file");
        let nexus = builder.start();
        TcpStream::connect(nexus.address).await.expect("the proxy");
        assert!(!nexus.has_gateway());
        assert_eq!(std::fs::read(&file).expect("the file"), b"AAAA", "it stays as it is");
    });
}
