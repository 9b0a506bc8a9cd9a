//! What certificates a service shows, for a person to look at. Nothing is believed here: every handshake fails, right after they were shown.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::dial::{Dialler, server_name};
use super::error::Error;
use crate::model::Authority;

/// Remembers the chain, and refuses it.
#[derive(Debug)]
struct Refuser {
    chain: Mutex<Vec<CertificateDer<'static>>>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Refuser {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let all = std::iter::once(leaf).chain(more).map(|shown| shown.clone().into_owned());
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = all.collect();
        Err(TlsError::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

impl Dialler {
    /// The certificates that whoever listens at `authority` shows, its own first; none where it speaks no TLS. Nothing is sent to it.
    ///
    /// # Errors
    /// When nobody listens there, or not in time.
    pub(crate) async fn peek(
        &self,
        authority: &Authority,
        provider: &Arc<CryptoProvider>,
        agent: &Arc<str>,
    ) -> Result<Vec<CertificateDer<'static>>, Error> {
        let (tcp, _address) = self.tcp(authority, agent).await?;
        let unusable = |cause: String| Error::Tls { authority: authority.clone(), cause: std::io::Error::other(cause) };
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        let refuser = Arc::new(Refuser { chain: Mutex::default(), schemes });
        let config = ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions();
        let config = config.map_err(|error| unusable(error.to_string()))?;
        let verifier = Arc::<Refuser>::clone(&refuser);
        let config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        let name = server_name(&authority.host).map_err(|error| unusable(error.to_string()))?;
        let shaken = timeout(self.settings.handshake_timeout, TlsConnector::from(Arc::new(config)).connect(name, tcp)).await;
        drop(shaken.map_err(|_elapsed| Error::ConnectTimeout { authority: authority.clone() })?);
        let chain = std::mem::take(&mut *refuser.chain.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(chain)
    }
}
