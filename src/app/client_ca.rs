//! What judges the certificates of callers, from the files that `nexus.toml` names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::config::{CertificateRow, ClientAuth, Config, PeerRow};
use super::home::{Home, read_public_text};
use super::parts::BuildError;
use crate::ca::ClientRoots;

/// What the files say that judge callers, and what `nexus.toml` says of them: as long as it is the same, nothing is judged anew.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    files: [Option<String>; 2],
    rows: (Vec<PeerRow>, Vec<CertificateRow>, ClientAuth),
}

impl Written {
    /// As it stands now; a file that can't be read is none.
    pub(super) fn of(home: &Home, config: &Config) -> Self {
        let proxy = &config.proxy;
        let text = |file: &Option<PathBuf>| read_public_text(&home.path().join(file.as_ref()?)).ok().flatten();
        let files = [text(&proxy.client_ca), text(&proxy.client_crl)];
        Self { files, rows: (proxy.peer.clone(), proxy.client_certificate.clone(), proxy.client_auth) }
    }
}

/// The files that are read.
pub(super) fn files(config: &Config) -> impl Iterator<Item = &PathBuf> {
    config.proxy.client_ca.iter().chain(&config.proxy.client_crl)
}

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
