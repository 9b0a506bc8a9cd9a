//! Leaf certificates: what a caller sees as the host's own.

use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use rustls_pki_types::CertificateDer;

use super::Error;
use super::read;
use super::root::{BACKDATE, serial_number};
use super::signer::Signer;
use crate::model::Host;

/// How long a leaf certificate lives.
pub(super) const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The longest common name (RFC 5280 appendix A, ub-common-name).
const COMMON_NAME_LIMIT: usize = 64;

/// When a leaf made at `now` is valid: seven days, backdated an hour, never outside the life of its root.
pub(super) fn validity(root: &Range<SystemTime>, now: SystemTime) -> Result<Range<SystemTime>, Error> {
    let start = now.checked_sub(BACKDATE).ok_or(Error::Clock)?.max(root.start);
    let end = now.checked_add(LIFE).ok_or(Error::Clock)?.min(root.end);
    Ok(start..end)
}

/// Signs a certificate for the key of `subject`, for `host` and its `other` names.
pub(super) fn mint(
    issuer: &rcgen::Issuer<'_, Signer>,
    subject: &Signer,
    (host, other): (&Host, &[Host]),
    validity: &Range<SystemTime>,
) -> Result<CertificateDer<'static>, Error> {
    let refused = |cause| Error::SignLeaf { host: host.clone(), cause };
    let mut names = vec![host];
    for name in other {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut parameters = CertificateParams::default();
    parameters.not_before = read::asn1(validity.start)?.to_datetime();
    parameters.not_after = read::asn1(validity.end)?.to_datetime();
    parameters.serial_number = Some(serial_number()?);
    parameters.distinguished_name = subject_name(host);
    parameters.subject_alt_names = names.into_iter().map(alternative_name).collect::<Result<_, _>>().map_err(refused)?;
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    parameters.signed_by(subject, issuer).map(CertificateDer::from).map_err(refused)
}

/// The name clients compare (RFC 5280 §4.2.1.6): an address is an iPAddress, never text.
fn alternative_name(host: &Host) -> Result<SanType, rcgen::Error> {
    match host {
        Host::Name(name) => Ok(SanType::DnsName(name.as_ref().try_into()?)),
        Host::Ip(address) => Ok(SanType::IpAddress(*address)),
    }
}

/// A common name for old tools and people; empty where the host is too long for one, and the SAN is critical then.
fn subject_name(host: &Host) -> DistinguishedName {
    let text = match host {
        Host::Name(name) => name.to_string(),
        Host::Ip(IpAddr::V4(address)) => address.to_string(),
        Host::Ip(IpAddr::V6(address)) => address.to_string(),
    };
    let mut name = DistinguishedName::new();
    if text.len() <= COMMON_NAME_LIMIT {
        name.push(DnType::CommonName, text);
    }
    name
}
