//! Any bytes as a configuration, after a NUL each an override (`NEXUS__PROXY__WORKERS=2`): no panic; what is taken means the same
//! when it is laid out anew.

use nexus::fuzzing::config;

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.split('\0');
    let file = parts.next().unwrap_or_default();
    let overrides: Vec<_> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(variable, value)| (variable.to_owned(), value.to_owned()))
        .collect();
    match config(file, &overrides) {
        Ok(reading) => {
            let again = config(&reading.again, &overrides);
            assert_eq!(again.map(|again| again.meaning), Ok(reading.meaning), "{text}\n{}", reading.again);
        }
        Err(said) => assert!(!said.is_empty()),
    }
}
