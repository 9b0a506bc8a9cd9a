//! A Java key store that holds trusted certificates and nothing else.
//!
//! The layout is the one of the JDK's `sun.security.provider.JavaKeyStore`: big-endian, strings in modified UTF-8 behind
//! a length of two bytes, and at the end a SHA-1 over the password, a fixed phrase and all bytes before it. The password
//! protects no secret here: everything in the file is public.

use rustls_pki_types::CertificateDer;
use sha1::{Digest, Sha1};

/// The password that the JDK's own trust store has.
const PASSWORD: &str = "changeit";
const MAGIC: u32 = 0xFEED_FEED;
const VERSION: u32 = 2;
const TRUSTED_CERTIFICATE: u32 = 2;

/// The store's bytes. The same certificates give the same bytes: every entry is dated 1970.
pub(super) fn trust_store(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut store = Vec::new();
    for word in [MAGIC, VERSION, length(certificates.len())] {
        store.extend(word.to_be_bytes());
    }
    for (index, certificate) in certificates.iter().enumerate() {
        store.extend(TRUSTED_CERTIFICATE.to_be_bytes());
        text(&mut store, &format!("nexus-{index:04}"));
        store.extend(0_u64.to_be_bytes());
        text(&mut store, "X.509");
        store.extend(length(certificate.len()).to_be_bytes());
        store.extend_from_slice(certificate);
    }
    let mut digest = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(b"Mighty Aphrodite");
    digest.update(&store);
    store.extend_from_slice(&digest.finalize());
    store
}

fn text(store: &mut Vec<u8>, text: &str) {
    store.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    store.extend_from_slice(text.as_bytes());
}

fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn certificate() -> CertificateDer<'static> {
        rcgen::generate_simple_self_signed(["store.test".to_owned()]).unwrap().cert.der().clone()
    }

    #[test]
    fn an_empty_store_has_the_known_bytes() {
        let digest = "e2686e45fb43dfa4d992dd41ceb6b21c6330d792";
        let store = trust_store(&[]);
        assert_eq!(store[..12], [0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2, 0, 0, 0, 0]);
        let hex: String = store[12..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, digest);
    }

    #[test]
    fn keytool_reads_every_certificate() {
        if Command::new("keytool").arg("-help").output().is_err() {
            eprintln!("no keytool on this machine");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust.jks");
        std::fs::write(&path, trust_store(&[certificate(), certificate()])).unwrap();
        let mut keytool = Command::new("keytool");
        keytool.args(["-list", "-storepass", PASSWORD, "-keystore"]).arg(&path);
        let output = keytool.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{printed}");
        assert!(printed.contains("Your keystore contains 2 entries"), "{printed}");
        assert!(printed.contains("nexus-0001") && printed.contains("trustedCertEntry"), "{printed}");
    }
}
