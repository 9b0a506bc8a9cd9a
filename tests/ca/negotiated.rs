//! Versions, cipher suites and protocols.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConfig, ClientConnection, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};

use crate::clients::{handshake, trusting};
use crate::harness::{Authority, Server, host};

const HOST: &str = "api.github.com";

/// A client that offers only these suites, in this order, and one version.
fn offering(
    authority: &Authority,
    suites: &[SupportedCipherSuite],
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let provider = CryptoProvider { cipher_suites: suites.to_vec(), ..default_provider() };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.root.certificate_der().clone()).expect("a root");
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn suite(connection: &ClientConnection) -> CipherSuite {
    connection.negotiated_cipher_suite().expect("a suite").suite()
}

#[test]
fn a_caller_with_chacha20_alone_is_served() {
    let authority = Authority::new();
    let server = authority.serve(HOST);
    for (offered, version) in [
        (cipher_suite::TLS13_CHACHA20_POLY1305_SHA256, &TLS13),
        (cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, &TLS12),
    ] {
        let connection = handshake(offering(&authority, &[offered], version), server.address, HOST).expect("a handshake");
        assert_eq!(suite(&connection), offered.suite());
        assert_eq!(connection.protocol_version(), Some(version.version));
    }
}

#[test]
fn aes_128_is_chosen_whatever_the_caller_prefers() {
    let authority = Authority::new();
    let server = authority.serve(HOST);
    let modern = [
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
    ];
    let connection = handshake(offering(&authority, &modern, &TLS13), server.address, HOST).expect("a handshake");
    assert_eq!(suite(&connection), CipherSuite::TLS13_AES_128_GCM_SHA256);
    let older = [
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    let connection = handshake(offering(&authority, &older, &TLS12), server.address, HOST).expect("a handshake");
    assert_eq!(suite(&connection), CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
}

#[test]
fn a_caller_that_can_do_both_gets_tls_1_3() {
    let authority = Authority::new();
    let server = authority.serve(HOST);
    let connection = handshake(trusting(&authority.ca_file()), server.address, HOST).expect("a handshake");
    assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

/// What `openssl s_client` says when it offers one version, however old.
fn openssl_with(version: &str, server: SocketAddr) -> String {
    let output = Command::new("openssl")
        .args(["s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-servername", HOST, "-connect", &server.to_string()])
        .stdin(Stdio::null())
        .output()
        .expect("openssl must be installed for this test");
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

#[test]
fn tls_1_0_and_1_1_are_refused_by_us() {
    let authority = Authority::new();
    let server = authority.serve(HOST);
    for version in ["-tls1", "-tls1_1"] {
        let said = openssl_with(version, server.address);
        assert!(said.contains("SSL alert number") && said.contains("New, (NONE)"), "{version}: {said}");
    }
    assert!(openssl_with("-tls1_2", server.address).contains("New, TLSv1.2"), "the same client with TLS 1.2 is served");
}

#[test]
fn each_door_offers_its_protocols() {
    let authority = Authority::new();
    let intercept = authority.serve(HOST);
    let listener = Server::start(authority.issuer.listener_config(&host(HOST), &[]).expect("a configuration"));
    let agreed = |server: &Server, offered: &[&str]| {
        let mut config = trusting(&authority.ca_file());
        config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let connection = handshake(config, server.address, HOST)?;
        Ok::<_, String>(connection.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()))
    };
    assert_eq!(agreed(&intercept, &["http/1.1", "h2"]), Ok(Some(String::from("h2"))));
    assert_eq!(agreed(&intercept, &["http/1.1"]), Ok(Some(String::from("http/1.1"))));
    assert_eq!(agreed(&intercept, &[]), Ok(None));
    assert_eq!(agreed(&listener, &["h2", "http/1.1"]), Ok(Some(String::from("http/1.1"))));
    assert!(agreed(&listener, &["h2"]).is_err_and(|said| said.contains("NoApplicationProtocol")));
}
