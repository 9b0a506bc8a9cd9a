//! The client side of TLS: system roots and the extra ones, AES-128 first, sessions kept.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

/// What is offered to a service by ALPN (RFC 7301).
#[derive(Debug)]
pub(super) struct Configs {
    /// `h2, http/1.1`.
    pub(super) any: Arc<ClientConfig>,
    /// `http/1.1` only.
    pub(super) http1: Arc<ClientConfig>,
}

impl Configs {
    /// Two configurations that differ in ALPN only. Verification cannot be switched off (I4).
    pub(super) fn new(provider: &Arc<CryptoProvider>, extra: &[CertificateDer<'static>]) -> Result<Self, rustls::Error> {
        Self::with_roots(provider, roots(extra))
    }

    /// As [`Configs::new`], with no roots but these.
    pub(super) fn pinned(provider: &Arc<CryptoProvider>, roots: &[CertificateDer<'static>]) -> Result<Self, rustls::Error> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root.clone())?;
        }
        Self::with_roots(provider, store)
    }

    fn with_roots(provider: &Arc<CryptoProvider>, roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(aes128_first(provider));
        let roots = Arc::new(roots);
        let build = |alpn: &[&[u8]]| -> Result<Arc<ClientConfig>, rustls::Error> {
            let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
                .with_root_certificates(Arc::clone(&roots))
                .with_no_client_auth();
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            config.resumption = rustls::client::Resumption::in_memory_sessions(256);
            Ok(Arc::new(config))
        };
        Ok(Self { any: build(&[b"h2", b"http/1.1"])?, http1: build(&[b"http/1.1"])? })
    }
}

/// The handshake hash of AES-128-GCM is SHA-256, a fifth cheaper per connection than SHA-384.
fn aes128_first(provider: &CryptoProvider) -> CryptoProvider {
    let mut ordered = provider.clone();
    ordered.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_AES_256_GCM_SHA384 | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => 1,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 2,
        _ => 3,
    });
    ordered
}

/// System roots that parse, and every extra one.
fn roots(extra: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "a system root certificate could not be read");
    }
    let (_added, ignored) = store.add_parsable_certificates(system.certs);
    if ignored > 0 {
        tracing::debug!(ignored, "system root certificates that do not parse");
    }
    let (_added, ignored) = store.add_parsable_certificates(extra.iter().cloned());
    if ignored > 0 {
        tracing::warn!(ignored, "certificates of upstream.extra_roots that do not parse");
    }
    store
}
