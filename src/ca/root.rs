//! `Root`: the CA certificate callers trust, and the key that signs in its name.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, PublicKeyData as _, SerialNumber};
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;

use super::Error;
use super::read::{self, Facts};
use super::signer::Signer;
use crate::model::Secret;

/// How long a root lives: ten years of 365 days and the leap days between.
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
        Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
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
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + NOW
    }

    /// A certificate as `change` wants it, self-signed, with its key.
    fn forged(change: impl FnOnce(&mut CertificateParams)) -> (String, Secret<String>) {
        let key = Signer::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        change(&mut parameters);
        (parameters.self_signed(&key).unwrap().pem(), key.to_pem())
    }

    fn refusal(change: impl FnOnce(&mut CertificateParams)) -> Error {
        let (certificate, key) = forged(change);
        Root::load(&certificate, &key, now()).unwrap_err()
    }

    #[test]
    fn a_root_survives_being_stored() {
        let made = Root::create("laptop", now()).unwrap();
        let loaded = Root::load(&made.certificate_pem(), &made.key_pem(), now()).unwrap();
        assert_eq!(loaded.certificate_der(), made.certificate_der());
        assert_eq!(loaded.fingerprint_sha256(), made.fingerprint_sha256());
        assert!(loaded.key_pem().matches(made.key_pem().expose()));
        assert!(made.subject().starts_with("CN=Nexus CA laptop "), "{}", made.subject());
    }

    #[test]
    fn a_root_is_valid_from_an_hour_ago_for_ten_years() {
        let root = Root::create("laptop", now()).unwrap();
        assert_eq!(root.not_before(), now() - BACKDATE);
        assert_eq!(root.not_after(), now() + LIFE);
    }

    #[test]
    fn i102_a_root_signs_leaves_and_nothing_else() {
        let root = Root::create("laptop", now()).unwrap();
        let parsed = read::parse(root.certificate_der()).unwrap();
        let basic = parsed.basic_constraints().unwrap().unwrap();
        assert!(basic.critical && basic.value.ca);
        assert_eq!(basic.value.path_len_constraint, Some(0));
        let usage = parsed.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert_eq!(usage.value.flags.count_ones(), 2);
        assert_eq!(parsed.raw_serial().len(), 17);
    }

    #[test]
    fn any_name_fits_into_the_common_name() {
        for name in ["", "a\nb", "bücher", "-----BEGIN", &"x".repeat(300), "CN=evil,O=x"] {
            let root = Root::create(name, now()).unwrap();
            let common_name = root.subject().strip_prefix("CN=").unwrap();
            assert!(common_name.len() <= 64 && !common_name.contains([',', '\n']), "{common_name}");
        }
    }

    #[test]
    fn two_roots_of_one_name_differ() {
        let (one, other) = (Root::create("laptop", now()).unwrap(), Root::create("laptop", now()).unwrap());
        assert_ne!(one.subject(), other.subject());
        assert_ne!(one.fingerprint_sha256(), other.fingerprint_sha256());
    }

    #[test]
    fn i100_the_key_is_in_no_output_but_its_own() {
        let root = Root::create("laptop", now()).unwrap();
        let key = root.key_pem();
        let body = key.expose().lines().nth(1).unwrap();
        for text in [root.certificate_pem(), format!("{root:?} {key:?}")] {
            assert!(!text.contains(body) && !text.contains("PRIVATE"), "{text}");
        }
        let error = Root::load(&root.certificate_pem(), &Secret::new(key.expose().replace("MIG", "M!G")), now()).unwrap_err();
        assert!(!format!("{error:?} {error}").contains(body.get(8..40).unwrap()), "{error:?}");
    }

    #[test]
    fn another_roots_key_is_refused() {
        let (one, other) = (Root::create("a", now()).unwrap(), Root::create("a", now()).unwrap());
        assert!(matches!(Root::load(&one.certificate_pem(), &other.key_pem(), now()), Err(Error::KeyMismatch)));
    }

    #[test]
    fn a_root_outside_its_time_is_refused() {
        let root = Root::create("a", now()).unwrap();
        let load = |now| Root::load(&root.certificate_pem(), &root.key_pem(), now);
        assert!(matches!(load(root.not_after()), Err(Error::Expired { .. })));
        let early = load(root.not_before() - Duration::from_secs(1)).unwrap_err();
        assert_eq!(early.to_string(), "the CA certificate is not valid before 2027-01-15T07:00:00Z; check the clock");
    }

    #[test]
    fn i102_certificates_that_are_no_root_of_ours_are_refused() {
        assert!(matches!(refusal(|p| p.is_ca = IsCa::NoCa), Error::NotAnIssuer));
        assert!(matches!(refusal(|p| p.is_ca = IsCa::ExplicitNoCa), Error::NotAnIssuer));
        assert!(matches!(refusal(|p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature]), Error::NotAnIssuer));
        assert!(matches!(refusal(|p| p.key_usages.clear()), Error::NotAnIssuer));
        assert!(matches!(refusal(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), Error::PathLength));
        assert!(matches!(refusal(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))), Error::PathLength));
    }

    #[test]
    fn an_intermediate_is_no_root() {
        let (root, key) = (Root::create("a", now()).unwrap(), Signer::generate().unwrap());
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let certificate = parameters.signed_by(&key, &*root.issuer()).unwrap().pem();
        assert!(matches!(Root::load(&certificate, &key.to_pem(), now()), Err(Error::NotARoot { .. })));
    }

    #[test]
    fn texts_that_hold_no_one_root_are_refused() {
        let root = Root::create("a", now()).unwrap();
        let pem = root.certificate_pem();
        let load = |text: &str| Root::load(text, &root.key_pem(), now());
        assert!(matches!(load(""), Err(Error::Count { found: 0 })));
        assert!(matches!(load(&pem.repeat(2)), Err(Error::Count { found: 2 })));
        assert!(matches!(load(pem.get(..200).unwrap()), Err(Error::Pem(_))));
        assert!(matches!(load(&read::pem(b"nothing")), Err(Error::Malformed(_))));
        let trailing = [root.certificate_der().as_ref(), &[0]].concat();
        assert!(matches!(load(&read::pem(&trailing)), Err(Error::Malformed(_))));
        let empty = Secret::new(String::new());
        assert!(matches!(Root::load(&pem, &empty, now()), Err(Error::Key(_))));
    }

    #[test]
    fn a_clock_no_certificate_can_show_is_an_error() {
        for seconds in [0, 100_000_000_000_000, u64::try_from(i64::MAX).unwrap()] {
            let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert!(matches!(Root::create("a", clock), Err(Error::Clock)), "{seconds}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_certificate_never_panics(at in 0_usize..400, byte: u8) {
            let root = Root::create("a", now()).unwrap();
            let mut der = root.certificate_der().to_vec();
            let at = at % der.len();
            der[at] = byte;
            let intact = der == root.certificate_der().as_ref();
            let loaded = Root::load(&read::pem(&der), &root.key_pem(), now());
            proptest::prop_assert!(loaded.is_ok() || !intact);
        }
    }
}
