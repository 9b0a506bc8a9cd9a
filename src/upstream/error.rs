//! Why a service could not be reached, or did not answer.

use std::net::IpAddr;

use crate::model::Authority;

/// What went wrong on the service's side.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot find an address of {host}")]
    NoSuchHost {
        host: String,
        #[source]
        cause: std::io::Error,
    },
    /// Names can carry data out, whether they exist or not (threat 95).
    #[error("too many names without an address")]
    UnknownNames,
    /// The text leaves the address out: a caller must not learn what our resolver knows about inside names.
    #[error("{host} leads to {reason}")]
    Forbidden { host: String, address: IpAddr, reason: &'static str },
    #[error("{authority} is this proxy itself")]
    Loop { authority: Authority },
    #[error("cannot connect to {authority}")]
    Unreachable {
        authority: Authority,
        #[source]
        cause: std::io::Error,
    },
    #[error("{authority} did not accept a connection in time")]
    ConnectTimeout { authority: Authority },
    #[error("the TLS of {authority} is not valid")]
    Tls {
        authority: Authority,
        #[source]
        cause: std::io::Error,
    },
    #[error("cannot reach the parent proxy {parent}")]
    ParentUnreachable {
        parent: Authority,
        #[source]
        cause: std::io::Error,
    },
    /// Something is there, but no HTTP proxy as far as one can tell.
    #[error("the parent proxy {parent} gave no answer that can be used: {why}")]
    ParentAnswer { parent: Authority, why: &'static str },
    #[error("the parent proxy did not connect to {authority}: it answered {status}")]
    Parent { authority: Authority, status: u16 },
    #[error("the parent proxy did not accept the user and password it was shown")]
    ParentPassword,
    #[error("the request cannot carry the credential")]
    Unsendable {
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{authority} did not answer in time")]
    HeadTimeout { authority: Authority },
    #[error("the request body for {authority} came too slowly")]
    UploadTooSlow { authority: Authority },
    #[error("{authority} broke off or answered with malformed HTTP")]
    Broken {
        authority: Authority,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The service said that it has not acted on the request (RFC 9113 §8.7).
    #[error("{authority} turned the request away unread")]
    Unprocessed {
        authority: Authority,
        why: &'static str,
        #[source]
        cause: hyper::Error,
    },
    /// A kept connection turned out to be dead; nothing came back on it.
    #[error("{authority} closed a kept connection")]
    Stale {
        authority: Authority,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What was wrong with the service's certificate, where a handshake failed because of it.
pub(crate) fn certificate_fault(cause: &std::io::Error) -> Option<&'static str> {
    use rustls::CertificateError as Fault;
    let fault = match cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())? {
        rustls::Error::InvalidCertificate(fault) => fault,
        rustls::Error::NoCertificatesPresented => return Some("was not shown"),
        _ => return None,
    };
    Some(match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => "has expired",
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => "is not valid yet",
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => "is for another name",
        Fault::UnknownIssuer => "was signed by an authority that is not trusted",
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => "is not one of a server",
        Fault::BadSignature => "does not bear the signature of its authority",
        Fault::Revoked => "was revoked",
        _ => "could not be verified",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_in_doubt_is_told_from_a_service_without_tls() {
        let fault = |error| certificate_fault(&std::io::Error::new(std::io::ErrorKind::InvalidData, error));
        let invalid = |error| fault(rustls::Error::InvalidCertificate(error));
        assert_eq!(invalid(rustls::CertificateError::Expired), Some("has expired"));
        assert_eq!(invalid(rustls::CertificateError::NotValidForName), Some("is for another name"));
        assert_eq!(invalid(rustls::CertificateError::UnhandledCriticalExtension), Some("could not be verified"));
        assert_eq!(fault(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)), None);
        assert_eq!(certificate_fault(&std::io::Error::from(std::io::ErrorKind::UnexpectedEof)), None);
    }
}
