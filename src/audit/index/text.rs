//! `Words`: a text that is looked for in what a line says, which no index helps to find.

use aho_corasick::AhoCorasick;
use serde_json::Value;

/// What only the chain says of a line, and what all lines have.
const NOT_SAID: [&str; 5] = ["v", "time", "src", "seq", "prev"];

/// A text, in whatever case its letters of ASCII are.
#[derive(Debug)]
pub(super) struct Words {
    pattern: AhoCorasick,
    /// Whether it stands in a line as it is, unless that has an escape.
    plain: bool,
}

impl Words {
    /// `None` for an empty text, which is everywhere.
    pub(super) fn new(text: &str) -> Option<Self> {
        let pattern = AhoCorasick::builder().ascii_case_insensitive(true).build([text]).ok().filter(|_| !text.is_empty())?;
        let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
        Some(Self { pattern, plain })
    }

    /// Whether any value in `line` has the text in it.
    pub(super) fn are_in(&self, line: &[u8]) -> bool {
        let escaped = memchr::memchr(b'\\', line).is_some();
        // Most lines go by without being parsed.
        if !escaped && (!self.plain || !self.pattern.is_match(line)) {
            return false;
        }
        let Ok(Value::Object(members)) = serde_json::from_slice(line) else { return false };
        members.iter().filter(|(name, _)| !NOT_SAID.contains(&name.as_str())).any(|(_, value)| self.said(value))
    }

    fn said(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.pattern.is_match(text),
            Value::Array(values) => values.iter().any(|value| self.said(value)),
            Value::Object(members) => members.values().any(|value| self.said(value)),
            Value::Number(number) => self.pattern.is_match(&number.to_string()),
            Value::Bool(_) | Value::Null => false,
        }
    }
}

/// Whether `line` names the rule called `rule` as the one that decided.
pub(super) fn names_rule(line: &[u8], rule: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Ruled<'a> {
        #[serde(borrow)]
        rule: Option<std::borrow::Cow<'a, str>>,
    }
    // Most lines go by without being parsed.
    memchr::memmem::find(line, br#","rule":""#).is_some()
        && serde_json::from_slice(line).is_ok_and(|ruled: Ruled<'_>| ruled.rule.as_deref() == Some(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = concat!(
        r#"{"v":1,"event":"close","id":"01J","time":"2026-11-23T01:02:03.000004Z","agent":"ci","path":"/Repos/x\u00fc?q=","status":404,"#,
        r#""notes":["renewed"],"canary":{"agent":"bob"},"src":"00-1:77","seq":3,"prev":"abc"}"#,
    );

    #[test]
    fn a_text_is_found_in_what_a_line_says_and_in_nothing_else() {
        let found = |text: &str| Words::new(text).is_some_and(|words| words.are_in(LINE.as_bytes()));
        for text in ["repos/X", "xü", "q=", "404", "RENEW", "bob", "clos", "01j"] {
            assert!(found(text), "{text}");
        }
        for text in ["", "u00fc", "path", "2026", "00-1", "abc", "\"", "\\", "ci\""] {
            assert!(!found(text), "{text}");
        }
        let plain = LINE.replace(r"\u00fc", "u");
        assert!(Words::new("xu?").is_some_and(|words| words.are_in(plain.as_bytes())));
        assert!(!Words::new("ü").is_some_and(|words| words.are_in(plain.as_bytes())));
        assert!(!Words::new("x").is_some_and(|words| words.are_in(b"x")), "no line of ours");
    }

    #[test]
    fn a_rule_is_known_by_its_whole_name() {
        let line = LINE.replace(r#""status":404"#, r#""rule":"no \"writes\" \u00fc","status":404"#);
        assert!(names_rule(line.as_bytes(), "no \"writes\" ü"));
        assert!(!names_rule(line.as_bytes(), "no") && !names_rule(LINE.as_bytes(), "") && !names_rule(b"x", "x"));
    }
}
