//! The bundle: one PEM file with our roots and the system's, because most clients replace their roots by the file they get.

use std::collections::HashSet;
use std::fmt::Write as _;

use rustls_pki_types::CertificateDer;

use super::Error;
use super::read;
use super::root::COMMON_NAME;

/// The longest name a comment line shows.
const COMMENT_LIMIT: usize = 120;

/// What the system trusts.
#[derive(Debug)]
pub struct SystemRoots {
    /// The roots that could be read.
    pub certificates: Vec<CertificateDer<'static>>,
    /// What could not, for the log; harmless as long as `certificates` is not empty.
    pub problems: Vec<rustls_native_certs::Error>,
}

/// Reads the system's roots. Slow (it parses some 200 KiB): call it when the bundle is written, not per request.
pub fn system_roots() -> SystemRoots {
    let found = rustls_native_certs::load_native_certs();
    SystemRoots { certificates: found.certs, problems: found.errors }
}

/// The text of `ca-bundle.pem`: `ours` first, then `system`, a comment with its name above each, none twice.
///
/// Only certificates are taken out of `ours`, so that a key in the same file stays where it is. A system root that carries
/// our own name but is not among `ours` is left out: it is an earlier root of this installation, which comes back when
/// `SSL_CERT_FILE` points at an earlier bundle.
///
/// # Errors
/// Text in `ours` that holds no readable certificate.
pub fn bundle(system: &[CertificateDer<'_>], ours: &[&str]) -> Result<String, Error> {
    let mut text = String::new();
    let mut written = HashSet::new();
    let mut families = HashSet::new();
    for pem in ours {
        let certificates = read::certificates(pem)?;
        if certificates.is_empty() {
            return Err(Error::Count { found: 0 });
        }
        for certificate in certificates {
            let subject = read::facts(&read::parse(&certificate)?)?.subject;
            families.extend(family(&subject).map(String::from));
            append(&mut text, &mut written, &certificate, &subject);
        }
    }
    for certificate in system {
        let subject = read::parse(certificate).map(|parsed| parsed.subject().to_string()).unwrap_or_default();
        if !family(&subject).is_some_and(|name| families.contains(name)) {
            append(&mut text, &mut written, certificate, &subject);
        }
    }
    Ok(text)
}

/// Writes one certificate, unless it is there already.
fn append(text: &mut String, written: &mut HashSet<Vec<u8>>, certificate: &CertificateDer<'_>, subject: &str) {
    if written.insert(certificate.to_vec()) {
        let _infallible = writeln!(text, "# {}", comment(subject));
        text.push_str(&read::pem(certificate));
    }
}

/// A name that can't break the file: printable ASCII without runs of hyphens, which begin a PEM block.
fn comment(subject: &str) -> String {
    let mut line = String::new();
    for letter in subject.chars().take(COMMENT_LIMIT) {
        match letter {
            '-' if line.ends_with('-') => {}
            ' '..='~' => line.push(letter),
            _ => line.push('?'),
        }
    }
    line
}

/// `CN=Nexus CA laptop 3f2a91bc` without its last word: what all roots of one installation share.
fn family(subject: &str) -> Option<&str> {
    let name = subject.strip_prefix("CN=")?;
    if !name.starts_with(COMMON_NAME) {
        return None;
    }
    name.rsplit_once(' ').map(|(family, _id)| family)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::ca::Root;

    fn root(name: &str) -> Root {
        Root::create(name, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)).unwrap()
    }

    fn held(text: &str) -> Vec<CertificateDer<'static>> {
        read::certificates(text).unwrap()
    }

    #[test]
    fn ours_come_first_and_all_are_named() {
        let (ours, theirs) = (root("laptop"), root("elsewhere"));
        let text = bundle(&[theirs.certificate_der().clone()], &[&ours.certificate_pem()]).unwrap();
        assert_eq!(held(&text), [ours.certificate_der().clone(), theirs.certificate_der().clone()]);
        let comments: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        assert_eq!(comments, [ours.subject(), theirs.subject()]);
    }

    #[test]
    fn nothing_is_written_twice() {
        let ours = root("laptop");
        let pem = ours.certificate_pem();
        let text = bundle(&[ours.certificate_der().clone()], &[&pem, &pem]).unwrap();
        assert_eq!(held(&text).len(), 1);
    }

    #[test]
    fn an_earlier_root_of_this_installation_does_not_come_back() {
        let (ours, earlier, other) = (root("laptop"), root("laptop"), root("laptop2"));
        let system = [earlier.certificate_der().clone(), other.certificate_der().clone()];
        let text = bundle(&system, &[&ours.certificate_pem()]).unwrap();
        assert_eq!(held(&text), [ours.certificate_der().clone(), other.certificate_der().clone()]);
    }

    #[test]
    fn i10_a_key_beside_the_certificate_stays_out() {
        let ours = root("laptop");
        let both = format!("{}{}", ours.key_pem().expose(), ours.certificate_pem());
        let text = bundle(&[], &[&both]).unwrap();
        assert_eq!(held(&text).len(), 1);
        assert!(!text.contains("PRIVATE"));
    }

    #[test]
    fn a_text_without_a_root_is_an_error() {
        assert!(matches!(bundle(&[], &[""]), Err(Error::Count { found: 0 })));
        assert!(matches!(bundle(&[], &[&read::pem(b"junk")]), Err(Error::Malformed(_))));
    }

    #[test]
    fn a_name_cannot_break_the_file() {
        assert_eq!(comment("a\n-----BEGIN CERTIFICATE-----\u{202e}é"), "a?-BEGIN CERTIFICATE-??");
        assert_eq!(comment(&"x".repeat(500)).len(), COMMENT_LIMIT);
    }

    #[test]
    fn a_system_root_that_cannot_be_read_is_kept_for_others_to_judge() {
        let text = bundle(&[CertificateDer::from(b"odd".to_vec())], &[]).unwrap();
        assert_eq!(held(&text), [CertificateDer::from(b"odd".to_vec())]);
    }

    #[test]
    fn the_system_has_roots() {
        let system = system_roots();
        assert!(!system.certificates.is_empty(), "{:?}", system.problems);
        let ours = root("laptop");
        let text = bundle(&system.certificates, &[&ours.certificate_pem()]).unwrap();
        assert_eq!(held(&text).len(), system.certificates.len() + 1);
    }
}
