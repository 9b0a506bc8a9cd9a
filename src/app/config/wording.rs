//! What the parser says of a mistake, in the words of the file.

/// The parser's words and ours.
const WORDS: [(&str, &str); 21] = [
    ("wanted string or table", "expected one of the words that the example file names"),
    ("invalid socket address syntax", "not an address; write it as \"127.0.0.1:8091\" or \"[::1]:8091\""),
    ("invalid IP address syntax", "not a range of addresses; write it as \"10.0.0.0/8\""),
    ("expected parsable string", "expected a size such as \"64KiB\""),
    ("expected an integer or string", "expected a size such as \"64KiB\""),
    ("invalid type: ", "found "),
    ("invalid value: ", "found "),
    ("floating point ", "the number "),
    ("integer ", "the number "),
    (" as i128", ""),
    (" as u128", ""),
    ("sequence", "list"),
    ("boolean `true`", "true"),
    ("boolean `false`", "false"),
    ("string \"…\"", "the text \"…\""),
    ("unknown variant", "unknown word"),
    ("unknown field", "unknown key"),
    ("expected a map", "expected a table { … }"),
    ("expected a boolean", "expected true or false"),
    ("expected socket address", "expected an address such as \"127.0.0.1:8091\""),
    ("expected list", "expected a list [ … ]"),
];

/// `message` of the TOML parser for people, without the values that it quotes: one may be a password.
pub(super) fn in_words(message: &str) -> String {
    let text = WORDS.iter().fold(without_values(message), |text, (theirs, ours)| text.replace(theirs, ours));
    let Some((before, expected)) = text.rsplit_once("expected ") else { return text };
    let whole = ["u8", "u16", "u32", "u64", "usize", "i64"].contains(&expected);
    let ours = match expected {
        _ if whole => "a whole number from 0 up",
        "a list" => "a list [ … ]",
        _ if expected.starts_with("struct ") => "a table [ … ] of its own",
        _ => return text,
    };
    format!("{before}expected {ours}")
}

fn without_values(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            let (before, after) = (message.get(..first).unwrap_or_default(), message.get(last + 1..).unwrap_or_default());
            format!("{before}\"…\"{after}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Config;

    #[test]
    fn a_mistake_is_told_without_the_names_of_types_and_without_its_value() {
        let told = |text: &str| Config::parse("nexus.toml", text, &[]).expect_err(text).to_string();
        for (text, words) in [
            ("[proxy]\nworkers = \"hunter2\"", "line 2, column 11: found the text \"…\", expected a whole number from 0 up"),
            ("[proxy]\nlisten = \"127.0.0.1:1\"", "found the text \"…\", expected a list [ … ]"),
            ("[proxy]\nlisten = [\"localhost\"]", "not an address; write it as \"127.0.0.1:8091\""),
            ("[proxy]\nlisten = [1]", "found the number `1`, expected an address such as \"127.0.0.1:8091\""),
            ("proxy = 3", "found the number `3`, expected a table [ … ] of its own"),
            ("[proxy]\nunmatched = \"tunel\"", "unknown word `tunel`, expected one of `tunnel`, `intercept`, `refuse`"),
            ("[replay]\nmemory = \"1 potato\"", "found the text \"…\", expected a size such as \"64KiB\""),
            ("[replay]\nmemory = true", "found true, expected a size such as \"64KiB\""),
            ("[limits]\nconnections = -1", "found the number `-1`, expected a whole number from 0 up"),
            ("[limits]\nconnections = 99999999999999999999", "found the number `99999999999999999999`, expected a whole"),
            ("[limits]\ndrain_secs = 1.5", "found the number `1.5`, expected a whole number from 0 up"),
            ("[upstream]\nresolve = [\"a\"]", "found list, expected a table { … }"),
            ("[upstream]\nallow_private = [\"10.0.0.0/99\"]", "write it as \"10.0.0.0/8\""),
            ("[audit]\non_failure = 1", "expected"),
            ("[limits]\nnope = 1", "unknown key `nope`"),
        ] {
            assert!(told(text).contains(words), "{}", told(text));
            let types = ["usize", "u64", "struct", "sequence", "variant", "i128", "hunter2"];
            assert!(!types.iter().any(|name| told(text).contains(name)), "{}", told(text));
        }
    }

    #[test]
    fn i1_what_stands_in_quotes_is_left_out() {
        assert_eq!(
            in_words("invalid type: string \"a\\\"b\", expected a boolean"),
            "found the text \"…\", expected true or false"
        );
        assert_eq!(in_words("missing field"), "missing field");
    }
}
