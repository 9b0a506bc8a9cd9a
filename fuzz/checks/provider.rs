//! Any bytes as a provider file: no panic; a mistake has a place in the text; what is taken means the same when it is laid out anew.

use nexus::fuzzing::provider_file;
use nexus::provider;

const FILE: &str = "acme.toml";

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match provider_file(FILE, text) {
        Ok(reading) => {
            let again = provider_file(FILE, &reading.again);
            assert_eq!(again.map(|again| again.meaning), Ok(reading.meaning), "{text}\n{}", reading.again);
        }
        Err(said) => has_a_place(text, &said),
    }
}

fn has_a_place(text: &str, said: &str) {
    assert!(said.starts_with(FILE), "{said}");
    let error = provider::parse(FILE, text).err();
    let Some(mistake) = error.as_ref().and_then(provider::Error::mistake) else { return };
    assert!((1..=text.lines().count() + 1).contains(&mistake.line), "{said}");
    // A line that a terminal should not be shown has no excerpt.
    let line = text.split('\n').nth(mistake.line - 1).unwrap_or_default();
    assert!((1..=line.chars().count() + 1).contains(&mistake.column) && mistake.width > 0, "{said}");
}
