//! Resumption: quick for a caller that comes back, never across hosts.

use std::sync::Arc;

use rustls::client::{Resumption, Tls12Resumption};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};

use crate::clients::shared_handshake;
use crate::harness::{Authority, Server, host, provider};

/// A client that remembers its sessions.
fn remembering(authority: &Authority, version: &'static SupportedProtocolVersion, how: Tls12Resumption) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.root.certificate_der().clone()).expect("a root");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(64).tls12_resumption(how);
    config
}

fn with_tickets(authority: &Authority, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    Arc::new(remembering(authority, version, Tls12Resumption::SessionIdOrTickets))
}

#[test]
fn a_caller_that_comes_back_resumes() {
    let authority = Authority::new();
    let server = authority.serve("a.example");
    for version in [&TLS13, &TLS12] {
        let client = with_tickets(&authority, version);
        let first = shared_handshake(&client, server.address, "a.example").expect("a handshake");
        assert_eq!(first.handshake_kind(), Some(HandshakeKind::Full));
        let second = shared_handshake(&client, server.address, "a.example").expect("a handshake");
        assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
    }
}

#[test]
fn one_ticket_is_sent() {
    let authority = Authority::new();
    let server = authority.serve("a.example");
    let first = shared_handshake(&with_tickets(&authority, &TLS13), server.address, "a.example").expect("a handshake");
    assert_eq!(first.tls13_tickets_received(), 1);
}

/// The ticket from `a.example` is shown at the server of `b.example` by a caller that still asks for `a.example`, which is
/// all it takes for TLS itself to accept it. A full handshake shows the other certificate, and the caller refuses that.
#[test]
fn i6_a_ticket_of_one_host_is_not_resumed_at_another() {
    let authority = Authority::new();
    let (ours, other) = (authority.serve("a.example"), authority.serve("b.example"));
    for version in [&TLS13, &TLS12] {
        let client = with_tickets(&authority, version);
        shared_handshake(&client, ours.address, "a.example").expect("a handshake");
        let answer = shared_handshake(&client, other.address, "a.example");
        assert!(answer.is_err_and(|said| said.contains("NotValidForName")), "{version:?}");
    }
}

#[test]
fn i6_a_caller_that_sends_no_name_gets_no_ticket() {
    let authority = Authority::new();
    let host = host("a.example");
    let server = Server::start(authority.issuer.server_config(&host, false).expect("a configuration"));
    for version in [&TLS13, &TLS12] {
        let mut client = remembering(&authority, version, Tls12Resumption::SessionIdOrTickets);
        client.enable_sni = false;
        let client = Arc::new(client);
        for _ in 0..2 {
            let connection = shared_handshake(&client, server.address, "a.example").expect("a handshake");
            assert_eq!(connection.tls13_tickets_received(), 0);
            assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Full), "{version:?}");
        }
    }
}

#[test]
fn i6_nothing_is_resumed_for_an_address() {
    let authority = Authority::new();
    let host = host("192.0.2.7");
    let server = Server::start(authority.issuer.server_config(&host, true).expect("a configuration"));
    let client = with_tickets(&authority, &TLS13);
    for _ in 0..2 {
        let connection = shared_handshake(&client, server.address, "192.0.2.7").expect("a handshake");
        assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn no_session_is_kept_on_our_side() {
    let authority = Authority::new();
    let server = authority.serve("a.example");
    let client = Arc::new(remembering(&authority, &TLS12, Tls12Resumption::SessionIdOnly));
    for _ in 0..2 {
        let connection = shared_handshake(&client, server.address, "a.example").expect("a handshake");
        assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Full));
    }
}
