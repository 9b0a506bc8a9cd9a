//! `Signer`: a key pair that is wiped when dropped and has no `Debug`.

use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::Error;
use crate::model::Secret;

/// A private key and its public half.
pub(super) struct Signer(Zeroizing<KeyPair>);

impl Signer {
    /// A fresh ECDSA P-256 key.
    pub(super) fn generate() -> Result<Self, Error> {
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map(|pair| Self(Zeroizing::new(pair))).map_err(Error::Generate)
    }

    /// The key in `pem` (PKCS#8, RFC 5958).
    pub(super) fn from_pem(pem: &Secret<String>) -> Result<Self, Error> {
        KeyPair::from_pem(pem.expose()).map(|pair| Self(Zeroizing::new(pair))).map_err(Error::Key)
    }

    /// The key as PKCS#8 PEM, to be sealed.
    pub(super) fn to_pem(&self) -> Secret<String> {
        Secret::new(self.0.serialize_pem())
    }

    /// The key as the TLS library wants it.
    pub(super) fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialize_der()))
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(&*self.0)
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}
