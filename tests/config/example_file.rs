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
    let mut sections = known(None);
    // A list of tables, which has words of its own.
    assert!(sections.remove("rule"));
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
fn the_rules_that_are_shown_are_rules_and_every_key_of_theirs_has_a_row() {
    let (_, shown) = EXAMPLE.split_once("\n# [[rule]]").expect("rules");
    let text: String =
        format!("# [[rule]]{shown}").lines().map(|line| line.trim_start_matches(['#', ' ']).to_owned() + "\n").collect();
    let config = Config::parse("nexus.toml", &text, &[]).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(config.rule.len(), 3);
    let error = Config::parse("nexus.toml", "[[rule]]\nzzz = 1", &[]).expect_err("unknown").to_string();
    let (_, list) = error.split_once("expected ").expect("a list of keys");
    let keys: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert!(keys.len() > 20, "{keys:?}");
    let howto = include_str!("../../docs/howto/policy.md");
    for key in keys {
        assert!(howto.contains(&format!("\n| `{key}` |")), "{key}");
    }
}

#[test]
fn every_key_has_words_above_it() {
    let all: Vec<&str> = EXAMPLE.lines().collect();
    for (at, line) in all.iter().enumerate().filter(|(_, line)| line.starts_with('#') && !line.starts_with("# ")) {
        let above = all[..at].iter().rev().take_while(|line| line.starts_with('#')).any(|line| line.starts_with("# "));
        assert!(above, "{line}");
    }
}

/// Whether `key = value` is taken, or the sentence that refuses it.
fn taken(section: &str, key: &str, value: &str) -> Result<(), String> {
    // What a head holds is smaller than the head, and a file of the spool than the spool.
    let more = match key {
        "head_size" => "target_size = \"256B\"",
        "spool" => "spool_file = \"64KiB\"",
        _ => "",
    };
    let text = format!("[{section}]\n{key} = {value}\n{more}\n");
    Config::parse("nexus.toml", &text, &[]).map(drop).map_err(|error| error.to_string())
}

/// An address, a time, a file's mode and a fraction.
const OTHER_NUMBERS: [(&str, &str); 4] =
    [("gateway", "listen"), ("attention", "hold"), ("proxy", "unix_mode"), ("telemetry", "sample")];

#[test]
fn every_number_has_a_range_that_is_documented_and_told() {
    let numbers: Vec<_> = lines()
        .into_iter()
        .filter(|(.., value, _)| value.trim_matches('"').starts_with(|first: char| first.is_ascii_digit()))
        .filter(|(section, key, ..)| !OTHER_NUMBERS.contains(&(section.as_str(), key.as_str())))
        .collect();
    assert!(numbers.len() > 45, "{numbers:?}");
    for (section, key, shipped, _) in numbers {
        let is_size = shipped.starts_with('"');
        let show = |value: &str| if is_size { format!("\"{value}\"") } else { value.to_owned() };
        // Nothing below the range of anything is taken, and nothing so large that the end of a wait could not be told.
        let huge = if is_size { "\"15EiB\"" } else { "9223372036854775807" };
        for value in ["-1", "-9223372036854775808", huge, "99999999999999999999", "1.5"] {
            let said = taken(&section, &key, value).expect_err(value);
            let typed = said.contains("line 2, column") && said.contains("expected a whole number from 0");
            let of_size = said.contains("expected a size such as") || said.contains("out of every range");
            let ranged = said.starts_with(&format!("{section}.{key}: must be from "));
            assert!(typed || of_size || ranged, "{said}");
        }
        // What fits into the smallest kind of number and is out of every range.
        let said = taken(
            &section,
            &key,
            if is_size {
                huge
            } else if key == "head_fields" {
                "65535"
            } else {
                "4294967295"
            },
        );
        let said = said.expect_err("out of range");
        let (_, range) = said.split_once("must be from ").unwrap_or_else(|| panic!("{said}"));
        assert!(EXAMPLE.contains(&format!(" {key} {range}")), "{section}.{key} {range} is not documented");
        let (low, high) = range.split_once(" to ").expect("a range");
        for end in [low, high] {
            assert_eq!(taken(&section, &key, &show(end)), Ok(()), "{section}.{key}");
        }
        let zero = taken(&section, &key, &show("0"));
        assert_eq!(zero.is_ok(), low.starts_with('0'), "{section}.{key}: {zero:?}");
    }
}

#[test]
fn a_time_has_a_unit_and_a_range() {
    for (value, word) in [
        ("60", "expected a time such as 60s"),
        ("\"60\"", "expected a time such as 60s"),
        ("\"-1s\"", "expected a time such as 60s"),
        ("\"61m\"", "attention.hold: must be from 0s to 1h"),
    ] {
        let said = taken("attention", "hold", value).expect_err(value);
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(taken("attention", "hold", "\"1h\""), Ok(()));
}

#[test]
fn a_webhook_is_https() {
    let with = |url: &str| taken("attention", "webhook", &format!("\"{url}\""));
    for url in
        ["http://h.example/", "https://", "h.example", "https://user:word@h.example/", "https://h.example/#x", "ftp://h/"]
    {
        let said = with(url).expect_err(url);
        assert!(said.starts_with("attention.webhook: ") && !said.contains("word@"), "{said}");
    }
    assert_eq!(with("https://h.example/x?y=1"), Ok(()));
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
        ("[upstream]\nhead_timeout_secs = 0", "upstream.head_timeout_secs"),
        ("[renewal]\nburst = 0", "renewal.burst"),
        ("[audit]\nspool = \"4MiB\"", "audit.spool_file"),
        ("[proxy]\nlisten = []", "proxy.listen"),
        ("[proxy]\nconnect_ports = [0]", "proxy.connect_ports"),
    ] {
        let error = Config::parse("nexus.toml", text, &[]).expect_err(text);
        assert!(error.to_string().starts_with(key), "{error}");
    }
}
