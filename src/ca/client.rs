//! Certificates that callers show the proxy's own TLS: whose word is taken, and whom they name.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// Whose certificates are taken.
#[derive(Debug)]
pub(crate) struct ClientRoots {
    /// Authorities.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// What they took back; a list that is out of date is no list.
    pub(crate) revoked: Vec<CertificateRevocationListDer<'static>>,
    /// Whether a caller must show one.
    pub(crate) required: bool,
}

impl ClientRoots {
    /// What holds certificates against these.
    ///
    /// # Errors
    /// What rustls has against a root or a list.
    pub(crate) fn verifier(self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let mut store = RootCertStore::empty();
        for root in self.roots {
            store.add(root).map_err(|error| error.to_string())?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
        if !self.revoked.is_empty() {
            // The lists are those of who signed the caller's own certificate.
            builder = builder.with_crls(self.revoked).only_check_end_entity_revocation().enforce_revocation_expiration();
        }
        if !self.required {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|error| error.to_string())
    }
}

/// Whom a certificate names (RFC 5280 §4.2.1.6), each kind of name by itself: what an authority checks of one says nothing of another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientNames {
    uris: Vec<String>,
    hosts: Vec<String>,
    addresses: Vec<String>,
    common: Option<String>,
}

impl ClientNames {
    /// Those of `certificate`, which was verified; `None` where it can't be read.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let mut names = Self::default();
        for name in parsed.subject_alternative_name().ok()?.into_iter().flat_map(|found| &found.value.general_names) {
            match name {
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                GeneralName::DNSName(host) => names.hosts.push(host.to_ascii_lowercase()),
                GeneralName::RFC822Name(address) => names.addresses.push((*address).to_owned()),
                _ => {}
            }
        }
        let mut common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.common = common.next().filter(|_| common.next().is_none()).map(str::to_owned);
        Some(names)
    }

    /// Whether `name` is among the alternative names: a URI has `://` in it, an address `@`, all else is a host.
    pub(crate) fn has(&self, name: &str) -> bool {
        match () {
            () if name.contains("://") => self.uris.iter().any(|own| own == name),
            () if name.contains('@') => self.addresses.iter().any(|own| own == name),
            () => self.hosts.contains(&name.to_ascii_lowercase()),
        }
    }

    /// Whether the one common name is `name`.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.common.as_deref() == Some(name)
    }
}
