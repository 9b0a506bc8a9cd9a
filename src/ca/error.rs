//! What can go wrong with certificates.

use std::time::SystemTime;

use crate::model::Host;

/// Why a root, a leaf certificate or a bundle could not be made or read. No variant holds key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system gave no random bytes.
    #[error("cannot draw random bytes for a certificate")]
    Randomness(#[source] getrandom::Error),
    /// No key pair could be generated.
    #[error("cannot generate a key pair")]
    Generate(#[source] rcgen::Error),
    /// The root certificate could not be signed by its own key.
    #[error("cannot sign the CA certificate")]
    SignRoot(#[source] rcgen::Error),
    /// A leaf certificate could not be signed.
    #[error("cannot sign a certificate for {host}")]
    SignLeaf {
        /// The host it was for.
        host: Host,
        /// What the signer said.
        #[source]
        cause: rcgen::Error,
    },
    /// The certificate's text is not PEM.
    #[error("the CA certificate is not valid PEM")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// There must be exactly one certificate.
    #[error("expected one CA certificate, found {found}")]
    Count {
        /// How many there were.
        found: usize,
    },
    /// The certificate's DER cannot be read.
    #[error("the CA certificate cannot be read")]
    Malformed(#[source] x509_parser::error::X509Error),
    /// The certificate cannot be signed with, for a reason other than its key or age.
    #[error("the CA certificate has a name that cannot be signed with")]
    Unusable(#[source] rcgen::Error),
    /// basicConstraints or keyUsage (RFC 5280 §4.2.1.9, §4.2.1.3) forbid it to sign certificates.
    #[error("the certificate may not sign others: it needs basicConstraints CA:TRUE and keyUsage keyCertSign, both critical")]
    NotAnIssuer,
    /// Without pathlen 0, a leaf that slipped through could sign others.
    #[error("the CA certificate has no path length of 0 in its basicConstraints")]
    PathLength,
    /// Someone else signed it; callers that hold only this certificate would refuse the chain.
    #[error("the CA certificate is not a root: {issuer} signed it")]
    NotARoot {
        /// Who did, as the certificate says.
        issuer: String,
    },
    /// The root's time is over.
    #[error("the CA certificate expired on {}; make a new one", date(*.since))]
    Expired {
        /// When.
        since: SystemTime,
    },
    /// The root's time has not begun: the clock was set back, or the certificate was made elsewhere.
    #[error("the CA certificate is not valid before {}; check the clock", date(*.until))]
    NotYetValid {
        /// When it begins.
        until: SystemTime,
    },
    /// The clock shows a time that no certificate can hold (RFC 5280 §4.1.2.5: years 0 to 9999).
    #[error("the clock shows a time that no certificate can hold")]
    Clock,
    /// The key's text cannot be read.
    #[error("the CA key cannot be read")]
    Key(#[source] rcgen::Error),
    /// The key is another certificate's.
    #[error("the CA key does not belong to the CA certificate")]
    KeyMismatch,
    /// The TLS library refused the key, the ticketer or the crypto provider.
    #[error("cannot set up TLS towards callers")]
    Tls(#[source] rustls::Error),
}

/// The moment in RFC 3339 form, or words where it has none.
fn date(moment: SystemTime) -> String {
    jiff::Timestamp::try_from(moment).map_or_else(|_out_of_range| String::from("an unknown date"), |stamp| stamp.to_string())
}
