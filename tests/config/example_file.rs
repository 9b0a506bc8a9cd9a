//! `config/nexus.example.toml` says what holds when nothing is set.

#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;

use nexus::app::Config;

const EXAMPLE: &str = include_str!("../../config/nexus.example.toml");

/// Section, key and value of each line, and whether the value is the shipped one.
fn lines() -> Vec<(String, String, String, bool)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in EXAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        }
        let shipped = line.strip_prefix('#').filter(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()));
        let example = line.strip_prefix("# e.g. ");
        if let Some((key, value)) = shipped.or(example).and_then(|pair| pair.split_once(" = ")) {
            found.push((section.clone(), key.to_owned(), value.to_owned(), shipped.is_some()));
        }
    }
    found
}

fn shown(text: &str) -> String {
    format!("{:?}", Config::parse("nexus.toml", text, &[]).unwrap_or_else(|error| panic!("{text}\n{error}")))
}

/// The keys that a section, or the file, may have: serde names them all when it meets one that it does not know.
fn known(section: Option<&str>) -> BTreeSet<String> {
    let text = section.map_or_else(|| "zzz = 1".to_owned(), |section| format!("[{section}]\nzzz = 1"));
    let error = Config::parse("nexus.toml", &text, &[]).expect_err("unknown").to_string();
    let (_, list) = error.split_once("expected ").expect("a list of keys");
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn it_parses_as_it_is_and_with_every_shipped_value_written_out() {
    let written: String = EXAMPLE
        .lines()
        .map(|line| if line.starts_with("# ") { "" } else { line.trim_start_matches('#') }.to_owned() + "\n")
        .collect();
    assert_ne!(written, EXAMPLE);
    for text in [EXAMPLE, &written] {
        assert_eq!(shown(text), format!("{:?}", Config::default()));
    }
}

#[test]
fn each_value_is_the_shipped_one_and_each_example_is_valid() {
    for (section, key, value, shipped) in lines() {
        let said = shown(&format!("[{section}]\n{key} = {value}\n"));
        assert_eq!(said == format!("{:?}", Config::default()), shipped, "{section}.{key} = {value}");
    }
}

#[test]
fn every_key_of_every_section_is_documented_once() {
    let sections = known(None);
    assert!(sections.len() >= 9, "{sections:?}");
    let mut documented = Vec::new();
    for section in &sections {
        for key in known(Some(section)) {
            documented.push((section.clone(), key));
        }
    }
    let mut written: Vec<_> = lines().into_iter().map(|(section, key, _, _)| (section, key)).collect();
    written.sort();
    assert_eq!(written, documented);
}

#[test]
fn every_key_has_words_above_it() {
    let all: Vec<&str> = EXAMPLE.lines().collect();
    for (at, line) in all.iter().enumerate().filter(|(_, line)| line.starts_with('#') && !line.starts_with("# ")) {
        let above = all[..at].iter().rev().take_while(|line| line.starts_with('#')).any(|line| line.starts_with("# "));
        assert!(above, "{line}");
    }
}

#[test]
fn a_bound_out_of_range_is_refused_with_its_key() {
    for (text, key) in [
        ("[limits]\nhead_size = \"1B\"", "limits.head_size"),
        ("[limits]\ntarget_size = \"64KiB\"", "limits.target_size"),
        ("[limits]\nhead_fields = 0", "limits.head_fields"),
        ("[limits]\nconnections = 0", "limits.connections"),
        ("[renewal]\nwaiters = 0", "renewal.waiters"),
        ("[audit]\nline = \"1B\"", "audit.line"),
        ("[replay]\nmemory = \"2GiB\"", "replay.memory"),
        ("[proxy]\nlisten = []", "proxy.listen"),
        ("[proxy]\nconnect_ports = [0]", "proxy.connect_ports"),
    ] {
        let error = Config::parse("nexus.toml", text, &[]).expect_err(text);
        assert!(error.to_string().starts_with(key), "{error}");
    }
}
