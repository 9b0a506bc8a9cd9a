//! `Authority`: the throw-away CA of one test. It signs the services' certificates; Nexus trusts it by `upstream.extra_roots`.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::crypto;

/// A CA that lives as long as its test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(rcgen::DnType::CommonName, "the test's services");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a root").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its root.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Certificate chain and key for `names`, DNS names or addresses.
    pub(crate) fn leaf(&self, names: &[&str]) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(names).expect("names").signed_by(&key, &self.issuer).expect("a leaf");
        (vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// As [`Authority::leaf`], both as PEM.
    pub(crate) fn leaf_pem(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(names).expect("names").signed_by(&key, &self.issuer).expect("a leaf");
        (leaf.pem(), key.serialize_pem())
    }

    /// What a service for `names` shows; `alpn` in the order of its preference.
    pub(crate) fn server_config(&self, names: &[&str], alpn: &[&str]) -> Arc<ServerConfig> {
        let (chain, key) = self.leaf(names);
        let builder = ServerConfig::builder_with_provider(crypto()).with_safe_default_protocol_versions().expect("versions");
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key).expect("a configuration");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}
