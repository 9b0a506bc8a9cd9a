//! `Itself`: a certificate that a process makes for its own life, by which its own command line knows it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use super::Error;
use super::read;
use super::root::{BACKDATE, serial_number};
use super::signer::Signer;

/// Longer than any process runs.
const LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A certificate that nobody else signed, with its key; it never leaves memory.
#[derive(Debug)]
pub(crate) struct Itself {
    /// For who is to trust it alone.
    pub(crate) certificate: CertificateDer<'static>,
    /// What is shown.
    pub(crate) shown: Arc<CertifiedKey>,
}

impl Itself {
    /// One for `name`.
    ///
    /// # Errors
    /// For a time that no certificate can hold, or a failing random source.
    pub(crate) fn create(name: &str, now: SystemTime, provider: &CryptoProvider) -> Result<Self, Error> {
        let key = Signer::generate()?;
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).map_err(Error::SignRoot)?;
        parameters.not_before = read::asn1(now.checked_sub(BACKDATE).ok_or(Error::Clock)?)?.to_datetime();
        parameters.not_after = read::asn1(now.checked_add(LIFE).ok_or(Error::Clock)?)?.to_datetime();
        parameters.serial_number = Some(serial_number()?);
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate: CertificateDer<'static> = parameters.self_signed(&key).map_err(Error::SignRoot)?.into();
        let shown = CertifiedKey::from_der(vec![certificate.clone()], key.to_der(), provider).map_err(Error::Tls)?;
        Ok(Self { certificate, shown: Arc::new(shown) })
    }
}
