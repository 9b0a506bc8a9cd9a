//! Reading certificates: the few facts the room needs of one, and PEM both ways.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::time::ASN1Time;

use super::Error;

/// What a certificate says of itself.
pub(super) struct Facts {
    /// The subject, as text for people.
    pub(super) subject: String,
    /// When it may be used.
    pub(super) validity: Range<SystemTime>,
}

/// Parses a certificate; trailing bytes are an error.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Error> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_trailing) => Err(Error::Malformed(X509Error::InvalidCertificate)),
        Err(x509_parser::nom::Err::Error(cause) | x509_parser::nom::Err::Failure(cause)) => Err(Error::Malformed(cause)),
        Err(x509_parser::nom::Err::Incomplete(_)) => Err(Error::Malformed(X509Error::InvalidCertificate)),
    }
}

/// The facts of a certificate.
pub(super) fn facts(certificate: &X509Certificate<'_>) -> Result<Facts, Error> {
    let validity = certificate.validity();
    Ok(Facts {
        subject: certificate.subject().to_string(),
        validity: moment(validity.not_before)?..moment(validity.not_after)?,
    })
}

/// Every certificate in a PEM text. Anything else in it, a private key above all, is left behind.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(Error::Pem)
}

/// One certificate as PEM (RFC 7468 §2: 64 characters a line).
pub(crate) fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = String::with_capacity(encoded.len() + encoded.len() / 64 + 64);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// A certificate's time as the clock's.
fn moment(time: ASN1Time) -> Result<SystemTime, Error> {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { SystemTime::UNIX_EPOCH.checked_sub(distance) } else { SystemTime::UNIX_EPOCH.checked_add(distance) }
        .ok_or(Error::Clock)
}

/// The clock's time as a certificate's, to the second; `Error::Clock` outside 1970 to 9999.
pub(super) fn asn1(moment: SystemTime) -> Result<ASN1Time, Error> {
    let elapsed = moment.duration_since(SystemTime::UNIX_EPOCH).map_err(|_before_1970| Error::Clock)?;
    let seconds = i64::try_from(elapsed.as_secs()).map_err(|_beyond_any_year| Error::Clock)?;
    ASN1Time::from_timestamp(seconds).map_err(|_beyond_9999| Error::Clock)
}
