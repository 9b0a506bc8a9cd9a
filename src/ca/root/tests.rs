//! A root made, stored and taken back, and everything that is not one refused.

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
fn a_root_signs_leaves_and_nothing_else() {
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
fn i10_the_key_is_in_no_output_but_its_own() {
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
fn certificates_that_are_no_root_of_ours_are_refused() {
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
    fn i7_a_damaged_certificate_never_panics(at in 0_usize..400, byte: u8) {
        let root = Root::create("a", now()).unwrap();
        let mut der = root.certificate_der().to_vec();
        let at = at % der.len();
        der[at] = byte;
        let intact = der == root.certificate_der().as_ref();
        let loaded = Root::load(&read::pem(&der), &root.key_pem(), now());
        proptest::prop_assert!(loaded.is_ok() || !intact);
    }
}
