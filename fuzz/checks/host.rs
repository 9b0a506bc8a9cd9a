//! Any bytes as a host: no panic, one spelling for each, and that spelling reads the same.

use nexus::model::Host;

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let host: Host = match text.parse() {
        Ok(host) => host,
        Err(error) => return assert!(!format!("{error}").is_empty()),
    };
    assert!(text.is_ascii(), "{text:?} is {host}");
    let written = host.to_string();
    assert_eq!(written.parse(), Ok(host.clone()));
    assert_eq!(text.to_ascii_uppercase().parse(), Ok(host.clone()), "{text:?}");
    let Some(name) = host.name() else { return };
    assert!(name.len() <= 253 && !name.ends_with('.') && !name.contains(|c: char| c.is_ascii_uppercase()), "{name:?}");
    assert_eq!(format!("{name}.").parse(), Ok(host.clone()), "a name and its rooted form are one host");
}
