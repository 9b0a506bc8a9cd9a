//! What judges the certificates of callers, from the files that `nexus.toml` names.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::config::{ClientAuth, Config};
use super::home::{Home, read_public_text};
use super::parts::BuildError;
use crate::ca::ClientRoots;

/// `None` where callers are not asked for certificates.
pub(super) fn client_verifier(
    home: &Home,
    config: &Config,
    crypto: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, BuildError> {
    let proxy = &config.proxy;
    let Some(file) = &proxy.client_ca else {
        let why = "must name the file of the authorities whose list proxy.client_crl is".to_owned();
        return if proxy.client_crl.is_none() { Ok(None) } else { Err(BuildError::Config { key: "proxy.client_ca", why }) };
    };
    let roots: Vec<CertificateDer<'static>> = pems(&home.path().join(file), "proxy.client_ca")?;
    let revoked: Vec<CertificateRevocationListDer<'static>> = match &proxy.client_crl {
        Some(file) => pems(&home.path().join(file), "proxy.client_crl")?,
        None => Vec::new(),
    };
    let required = proxy.client_auth == ClientAuth::Required;
    let verifier = ClientRoots { roots, revoked, required }.verifier(Arc::clone(crypto));
    verifier.map(Some).map_err(|why| BuildError::Config { key: "proxy.client_ca", why })
}

fn pems<T: PemObject>(file: &Path, key: &'static str) -> Result<Vec<T>, BuildError> {
    let refuse = |why: String| BuildError::Config { key, why };
    let text = read_public_text(file)?.ok_or_else(|| refuse(format!("there is no {}", file.display())))?;
    let found: Result<Vec<T>, _> = T::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|error| refuse(format!("{} is not PEM: {error}", file.display())))?;
    if found.is_empty() { Err(refuse(format!("{} holds none", file.display()))) } else { Ok(found) }
}
