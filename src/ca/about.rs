//! What a person wants to know of a root, read off its certificate alone.

use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::{Error, read};

/// One certificate of a PEM text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// `CN=Nexus CA laptop 3f2a91bc`.
    pub subject: String,
    /// `AA:BB:…`.
    pub sha256: String,
    /// The first moment it is valid.
    pub not_before: SystemTime,
    /// The moment it expires.
    pub not_after: SystemTime,
}

/// Describes every certificate of `pem`, in its order.
///
/// # Errors
/// A certificate that can't be read.
pub fn describe(pem: &str) -> Result<Vec<About>, Error> {
    let about = |der: &rustls_pki_types::CertificateDer<'_>| {
        let facts = read::facts(&read::parse(der)?)?;
        let (not_before, not_after) = (facts.validity.start, facts.validity.end);
        Ok(About { subject: facts.subject, sha256: fingerprint(der), not_before, not_after })
    };
    read::certificates(pem)?.iter().map(about).collect()
}

/// The SHA-256 of a certificate as people compare it: `AA:BB:..`, 32 bytes.
pub(super) fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::Root;

    #[test]
    fn a_root_is_described_without_its_key() {
        let root = Root::create("laptop", SystemTime::now()).unwrap();
        let all = describe(&root.certificate_pem()).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].subject.as_str(), all[0].sha256.clone()), (root.subject(), root.fingerprint_sha256()));
        assert_eq!((all[0].not_before, all[0].not_after), (root.not_before(), root.not_after()));
        assert_eq!(describe("").unwrap(), []);
    }
}
