//! A key file for Google's libraries, which start with no less: of a service account that is nobody's. Its key is made once for each home,
//! and worth nothing: what it signs goes to Google's token endpoint, where Nexus answers, or to an API, where it is taken off.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Letters of a PEM line (RFC 7468 §2).
const LINE: usize = 64;
/// Nobody's project. Where a library needs one, a program names its own (`GOOGLE_CLOUD_PROJECT`).
const PROJECT: &str = "placeholder-project";

/// Whether `text` is a key file that a library takes.
pub(super) fn is_key_file(text: &[u8]) -> bool {
    let file: Value = serde_json::from_slice(text).unwrap_or_default();
    let holds = |name: &str| file.get(name).and_then(Value::as_str);
    holds("token_uri") == Some("https://oauth2.googleapis.com/token")
        && holds("project_id") == Some(PROJECT)
        && holds("private_key").is_some_and(|key| key.starts_with("-----BEGIN PRIVATE KEY-----"))
}

/// A new one ("Create and delete service account keys": the JSON form); `None` where the system gives no random numbers.
pub(super) fn key_file() -> Option<String> {
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let name = format!("placeholder@{PROJECT}.iam.gserviceaccount.com");
    let file = json!({
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "0".repeat(40),
        "private_key": *pem(der.as_ref()),
        "client_email": name,
        "client_id": "0".repeat(21),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    });
    Some(format!("{file:#}\n"))
}

/// RFC 7468 §10.
fn pem(der: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    let mut text = Zeroizing::new("-----BEGIN PRIVATE KEY-----\n".to_owned());
    for line in encoded.as_bytes().chunks(LINE) {
        text.push_str(std::str::from_utf8(line).unwrap_or_default());
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use rustls_pki_types::pem::PemObject as _;

    #[test]
    fn a_key_file_holds_a_key_of_its_own_that_programs_can_sign_with() {
        let (one, two) = (key_file().unwrap(), key_file().unwrap());
        assert_ne!(one, two);
        let file: Value = serde_json::from_str(&one).unwrap();
        let key = PrivatePkcs8KeyDer::from_pem_slice(file["private_key"].as_str().unwrap().as_bytes()).unwrap();
        assert!(KeyPair::from_pkcs8(key.secret_pkcs8_der()).is_ok());
        assert!(is_key_file(one.as_bytes()));
        for other in ["", "{}", &one.replace("placeholder-project\"", "acme\""), &one.replace("oauth2.googleapis", "evil")] {
            assert!(!is_key_file(other.as_bytes()), "{other}");
        }
    }
}
