//! `Root`: the CA certificate callers trust, and the key that signs in its name.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, PublicKeyData as _, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use super::Error;
use super::read::{self, Facts};
use super::signer::Signer;
use crate::model::Secret;

/// How long a root lives: ten years of 365 days and the leap days between.
///
/// Two would be shorter than what callers are built for: the root is copied into images, key stores and profiles that nobody visits
/// again, and all of them fail on one day. A short life would protect against a stolen key only after the theft was over: whoever has
/// it uses it at once. What protects is that each installation has a root of its own, its key is sealed, it signs hosts only
/// (path length 0) for seven days, and `nexus ca rotate` replaces it on any day.
const LIFE: Duration = Duration::from_secs((10 * 365 + 2) * 24 * 60 * 60);

/// How far a certificate's start lies in the past, for callers whose clock is slow.
pub(super) const BACKDATE: Duration = Duration::from_secs(60 * 60);

/// What every common name of ours begins with.
pub(super) const COMMON_NAME: &str = "Nexus CA";

/// The most a common name may hold is 64 characters (RFC 5280 appendix A, ub-common-name); this is our part's share.
const NAME_LIMIT: usize = 64 - COMMON_NAME.len() - 10;

/// The root certificate and its key. The key has no `Debug` and is wiped when the last user of the root is gone.
pub struct Root {
    certificate: CertificateDer<'static>,
    facts: Facts,
    issuer: Arc<rcgen::Issuer<'static, Signer>>,
}

impl Root {
    /// Makes a root for the machine or installation `name`, valid for ten years from an hour before `now`.
    ///
    /// ECDSA P-256, `CA:TRUE` with path length 0 and keyCertSign, cRLSign (RFC 5280 §4.2.1.9, §4.2.1.3), both critical, a
    /// random serial number, and the subject `CN=Nexus CA NAME ID` where `ID` tells two roots of one machine apart.
    ///
    /// # Errors
    /// [`Error::Clock`] for a time that no certificate can hold, or a failing random source.
    pub fn create(name: &str, now: SystemTime) -> Result<Self, Error> {
        let key = Signer::generate()?;
        let mut id = [0_u8; 4];
        getrandom::fill(&mut id).map_err(Error::Randomness)?;
        let mut parameters = CertificateParams::default();
        parameters.not_before = read::asn1(now.checked_sub(BACKDATE).ok_or(Error::Clock)?)?.to_datetime();
        parameters.not_after = read::asn1(now.checked_add(LIFE).ok_or(Error::Clock)?)?.to_datetime();
        parameters.serial_number = Some(serial_number()?);
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, common_name(name, id));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&key).map_err(Error::SignRoot)?;
        Self::assemble(certificate.into(), key, now)
    }

    /// Takes a root that [`Root::create`] made, after checking that it may sign, is valid at `now` and fits the key.
    ///
    /// # Errors
    /// One variant for each thing that can be wrong with it.
    pub fn load(certificate_pem: &str, key_pem: &Secret<String>, now: SystemTime) -> Result<Self, Error> {
        let mut certificates = read::certificates(certificate_pem)?;
        let found = certificates.len();
        let (Some(certificate), true) = (certificates.pop(), found == 1) else { return Err(Error::Count { found }) };
        Self::assemble(certificate, Signer::from_pem(key_pem)?, now)
    }

    /// Both ways to a root pass the same checks.
    fn assemble(certificate: CertificateDer<'static>, key: Signer, now: SystemTime) -> Result<Self, Error> {
        let parsed = read::parse(&certificate)?;
        check_issuer(&parsed)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(Error::KeyMismatch);
        }
        let facts = read::facts(&parsed)?;
        check_range(&facts.validity, now)?;
        let issuer = rcgen::Issuer::from_ca_cert_der(&certificate, key).map_err(Error::Unusable)?;
        Ok(Self { certificate, facts, issuer: Arc::new(issuer) })
    }

    /// The certificate as PEM, for `ca.pem`.
    pub fn certificate_pem(&self) -> String {
        read::pem(&self.certificate)
    }

    /// The certificate as DER.
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The private key as PKCS#8 PEM, to be sealed and stored; it never leaves the machine otherwise.
    pub fn key_pem(&self) -> Secret<String> {
        self.issuer.key().to_pem()
    }

    /// The certificate's SHA-256 as people compare it: `AA:BB:..`, 32 bytes.
    pub fn fingerprint_sha256(&self) -> String {
        super::about::fingerprint(&self.certificate)
    }

    /// The certificate's subject, such as `CN=Nexus CA laptop 3f2a91bc`.
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// The first moment the certificate is valid.
    pub fn not_before(&self) -> SystemTime {
        self.facts.validity.start
    }

    /// The moment it expires.
    pub fn not_after(&self) -> SystemTime {
        self.facts.validity.end
    }

    /// Signs in the root's name.
    pub(super) fn issuer(&self) -> Arc<rcgen::Issuer<'static, Signer>> {
        Arc::clone(&self.issuer)
    }
}

/// Prints the certificate's subject; the key stays out.
impl std::fmt::Debug for Root {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Root").field("subject", &self.facts.subject).finish_non_exhaustive()
    }
}

/// Positive and unpredictable: 128 random bits behind a leading 1, which keeps the encoding within the 20 octets of
/// RFC 5280 §4.1.2.2 and free of a sign bit.
pub(super) fn serial_number() -> Result<SerialNumber, Error> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(Error::Randomness)?;
    Ok(SerialNumber::from([&[1], random.as_slice()].concat()))
}

/// Whether `now` lies in a certificate's validity.
pub(super) fn check_range(validity: &Range<SystemTime>, now: SystemTime) -> Result<(), Error> {
    if now < validity.start {
        return Err(Error::NotYetValid { until: validity.start });
    }
    if now >= validity.end {
        return Err(Error::Expired { since: validity.end });
    }
    Ok(())
}

/// Whether clients that check strictly would take this certificate as the root of a chain of two.
fn check_issuer(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    if certificate.subject().as_raw() != certificate.issuer().as_raw() {
        return Err(Error::NotARoot { issuer: certificate.issuer().to_string() });
    }
    let basic = certificate.basic_constraints().map_err(Error::Malformed)?.ok_or(Error::NotAnIssuer)?;
    let usage = certificate.key_usage().map_err(Error::Malformed)?.ok_or(Error::NotAnIssuer)?;
    if !(basic.critical && basic.value.ca && usage.critical && usage.value.key_cert_sign()) {
        return Err(Error::NotAnIssuer);
    }
    if basic.value.path_len_constraint != Some(0) {
        return Err(Error::PathLength);
    }
    Ok(())
}

/// `Nexus CA NAME ID`: the name reduced to plain ASCII, so that every trust store shows it as it is.
fn common_name(name: &str, id: [u8; 4]) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-._".contains(letter) { letter } else { '-' };
    let name: String = name.chars().take(NAME_LIMIT).map(plain).collect();
    let name = if name.is_empty() { "local" } else { &name };
    format!("{COMMON_NAME} {name} {:08x}", u32::from_be_bytes(id))
}

#[cfg(test)]
mod tests;
