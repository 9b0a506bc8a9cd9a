//! What a person is shown of hostile and of plain bodies.

use proptest::prelude::*;

use super::*;

fn shown(kind: &str, body: &str) -> String {
    let View { text, note, .. } = View::of(Some(kind), body.as_bytes(), true);
    text.unwrap_or_else(|| note.unwrap_or_default().to_owned())
}

#[test]
fn what_a_person_can_judge_is_shown_as_it_was_sent() {
    for (kind, body) in [
        (
            "application/json",
            r#"{"title": "Fix the login page", "labels": ["bug", "good first issue"], "amount": 12.50, "draft": true}"#,
        ),
        ("application/json", r#"{"amount":1,"amount":100000}"#),
        (
            "application/json",
            r#"{"id":"3f2504e0-4f89-11d3-9a0c-0305e82c3301","due":"2027-01-15T08:00:00Z","url":"https://example.com/a/b"}"#,
        ),
        ("text/plain", "Release notes: faster start, smaller memory.\nThanks to everybody!"),
        ("text/plain", "grüße, 你好世界, привет"),
        ("application/json", "[1, 2, {\"to\": \"alice@example.com\"}]"),
    ] {
        assert_eq!(shown(kind, body), body);
    }
    assert_eq!(
        shown("application/x-www-form-urlencoded", "to=%2B49+30&text=hello%20there%0Ato=x"),
        "to = +49 30\ntext = hello there\\nto=x"
    );
}

#[test]
fn i1_what_could_be_a_credential_is_not_shown() {
    let secret = "hunter2";
    for (kind, body) in [
        ("application/json", r#"{"password": "hunter2"}"#.to_owned()),
        ("application/json", r#"{"pass\u0077ord": "hunter2"}"#.to_owned()),
        ("application/json", r#"{"a": {"client_secret": {"deep": ["hunter2", {"x": "hunter2"}]}}, "b": 1}"#.to_owned()),
        ("application/json", r#"{"pin": 1111, "apiKey" : "hunter2""#.to_owned()),
        ("application/json", r#"{"env": "{\"token\":\"hunter2\"}"}"#.to_owned()),
        ("application/json", r#"{"header": "Authorization: Bearer hunter2"}"#.to_owned()),
        ("application/x-www-form-urlencoded", "user=a&pass%77ord=hunter2&x=1".to_owned()),
        ("text/plain", "password: hunter2".to_owned()),
        ("text/yaml", "api-key = 'hunter2'\n".to_owned()),
        ("text/plain", "Authorization: Basic hunter2".to_owned()),
    ] {
        let shown = shown(kind, &body);
        assert!(!shown.contains(secret) && !shown.contains("1111") && shown.contains("***"), "{body}: {shown}");
    }
    // By what they look like, whatever they are called.
    for word in [
        "sk_live_abcdef1234567890",
        "ghp_0123456789abcdefABCDEF0123456789abcd",
        "acme-key-0123456789abcdefghijklmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "4111111111111111",
        "xoxb-123456789012-abcdefGHIJ",
    ] {
        for (kind, body) in [
            ("application/json", format!(r#"{{"note": "use {word} there", "{word}": 1}}"#)),
            ("text/plain", format!("see {word}, or https://x.test/{word}?a={word}")),
            ("application/x-www-form-urlencoded", format!("note={word}")),
        ] {
            let shown = shown(kind, &body);
            assert!(!shown.contains(word) && shown.contains("***"), "{word}: {shown}");
        }
    }
}

#[test]
fn nothing_that_a_terminal_obeys_is_shown() {
    let body = "a\u{1b}[31m\u{7}\r\u{202e}evil\u{200b}\u{9b}2J\u{7f}\u{feff}b";
    for (kind, body) in [("text/plain", body.to_owned()), ("application/json", format!("{{\"x\": \"{body}\"}}"))] {
        let shown = shown(kind, &body);
        assert!(shown.chars().all(|letter| matches!(letter, ' '..='~')), "{shown:?}");
        assert!(shown.contains("\\u{1b}[31m") && shown.contains("\\u{202e}evil"), "{shown}");
    }
    let markup = r#"{"x": "<script>alert(1)</script>"}"#;
    assert_eq!(shown("application/json", markup), markup, "it is text, and stays text");
}

#[test]
fn what_is_no_text_or_not_there_is_said() {
    let note = |body: &[u8], whole| View::of(None, body, whole).note;
    assert_eq!(note(b"\x89PNG\xff", true), Some("it is not text"));
    assert_eq!(note(b"", true), Some("it is empty"));
    assert_eq!(note(b"", false), Some("nothing of it has come yet"));
    let cut = View::of(None, "grü".as_bytes().get(..3).expect("bytes"), false);
    assert_eq!((cut.text.as_deref(), cut.cut), (Some("gr"), true), "a cut may go through a letter");
}

#[test]
fn i7_a_preview_is_bounded() {
    for body in
        ["x ".repeat(100_000), "\u{1b}".repeat(20_000), "{\"a\":".repeat(5000), "\"".repeat(20_000), "你".repeat(10_000)]
    {
        let view = View::of(Some("application/json"), body.as_bytes(), true);
        assert!(view.cut && view.text.is_some_and(|text| text.len() <= 2048));
    }
}

proptest! {
    #[test]
    fn i7_no_body_breaks_it(body in prop::collection::vec(any::<u8>(), 0..600), whole: bool, kind in "(application/json|text/plain|application/x-www-form-urlencoded)") {
        let view = View::of(Some(&kind), &body, whole);
        prop_assert!(view.text.is_some() != view.note.is_some());
    }

    /// Wherever it is cut, a member that is called a secret stays unseen.
    #[test]
    fn i1_no_cut_shows_a_secret(at in 0_usize..80, before in "[a-z ]{0,20}") {
        let body = format!(r#"{{"t": "{before}", "password": "hunter2hunter2", "api_key": {{"x": 77777}}}}"#);
        let view = View::of(Some("application/json"), body.as_bytes().get(..at.min(body.len())).expect("a part"), false);
        let text = view.text.unwrap_or_default();
        prop_assert!(!text.contains("hunt") && !text.contains("777"), "{}", text);
    }
}
