//! Any bytes as a file of rules: no panic; a mistake has a place in the text; what is taken means the same, and says the same of
//! requests, when it is laid out anew.

use nexus::fuzzing::policy_file;

const FILE: &str = "rules.toml";

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match policy_file(FILE, text) {
        Ok(reading) => {
            let again = policy_file(FILE, &reading.again);
            assert_eq!(again.map(|again| again.meaning), Ok(reading.meaning), "{text}\n{}", reading.again);
        }
        Err(said) => {
            let line = said.strip_prefix("rules.toml: line ").and_then(|rest| rest.split(',').next());
            let line: usize = line.and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("{said}"));
            assert!((1..=text.lines().count() + 1).contains(&line), "{said}\n{text}");
        }
    }
}
