//! Tests of `path`: patterns, and paths that could be read in more than one way.

use proptest::prelude::*;

use super::*;
use crate::model::{PathError, normalised};

fn pattern(text: &str) -> PathPattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_star_is_one_segment_and_two_are_the_rest() {
    let git = pattern("/*/*/info/refs");
    assert!(git.matches_all_readings("/octo/repo.git/info/refs?service=git-upload-pack"));
    for other in ["/octo/info/refs", "/a/b/c/info/refs", "/octo//info/refs", "/octo/repo/info/refs/x", "/"] {
        assert!(!git.matches_all_readings(other), "{other}");
    }
    let drive = pattern("/drive/**");
    for path in ["/drive", "/drive/", "/drive/v3/files", "/drive/v3/a%20b"] {
        assert!(drive.matches_all_readings(path), "{path}");
    }
    assert!(!drive.matches_all_readings("/drives/v3") && !drive.matches_all_readings("/Drive/v3"));
}

#[test]
fn i2_a_path_that_reads_as_another_one_gets_no_injection() {
    let drive = pattern("/drive/**");
    for path in [
        "/drive/../youtube/v3",
        "/drive/%2e%2e/youtube",
        "/drive/..%2fyoutube",
        "/drive/..;/youtube",
        "/drive/..\\youtube",
        "/drive/%252e%252e/youtube",
        "/drive/%25252e%25252e/youtube",
        "/../drive/x",
        "/drive/%00",
        "/drive/%0d%0a",
        "drive/x",
        "*",
        "",
        "//drive/x",
        "/%2564rive/x",
        "/drive/..%255cyoutube",
    ] {
        assert!(!drive.matches_all_readings(path), "{path}");
    }
}

#[test]
fn i1_a_mint_is_recognised_in_every_spelling() {
    let mint = pattern("/app/installations/*/access_tokens");
    for path in [
        "/app/installations/1/access_tokens",
        "/app/installations/1/access_tokens/",
        "//app/installations/1/access_tokens",
        "/app/x/../installations/1/access_tokens",
        "/%61pp/installations/1/access_tokens?x=1",
        "/%2561pp/installations/1/access_tokens",
        "/app;v=1/installations/1/access_tokens;x",
        "/app\\installations\\1\\access_tokens",
        "/App/Installations/1/Access_Tokens",
        "/app/installations/%31/access%5Ftokens",
        "/app/installations/1/access_tokens.json",
        "//any.test/app/installations/1/access_tokens",
        "/\\any/app/installations/1/access_tokens",
        "/%2fany/app/installations/1/access_tokens",
        "/app/installations/1/access_tokens%2ejson/",
        "/../app",
        "/app/%00",
    ] {
        assert!(mint.matches_any_reading(path), "{path}");
    }
    for path in ["/app/installations/1", "/app/installations//access_tokens", "/repos/a/b"] {
        assert!(!mint.matches_any_reading(path), "{path}");
    }
}

#[test]
fn normalising_follows_what_services_do() {
    for (sent, read) in [
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/a//b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a;x=1/b;y", "/a/b"),
        ("/a\\b", "/a/b"),
        ("/%7Eme", "/~me"),
        ("/100%", "/100%"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
    ] {
        assert_eq!(normalised(sent).as_deref(), Ok(read), "{sent}");
    }
    assert_eq!(normalised("/.."), Err(PathError::AboveRoot));
    assert_eq!(normalised("a"), Err(PathError::NotAbsolute));
    assert_eq!(normalised("/%0a"), Err(PathError::Control));
    for overlong in ["/%c0%ae%c0%ae/x", "/x%c0%afy", "/%e0%80%ae/x", "/%25c0%25ae"] {
        assert!(crate::model::readings(overlong).is_err(), "{overlong}");
    }
    assert!(crate::model::readings("/caf%e9/%c0-la-carte").is_ok(), "Latin-1");
}

#[test]
fn patterns_with_more_than_one_meaning_are_refused() {
    for text in ["", "x", "/*a", "/a*b*", "/a*b", "/**/x", "/a//b", "/../a", "/a%2fb", "/a?b", "/a b", "/a;b", "/{x}", "/é"] {
        assert!(text.parse::<PathPattern>().is_err(), "{text:?}");
    }
}

#[test]
fn overlap_is_known_from_the_patterns_alone() {
    let overlaps = |one: &str, two: &str| pattern(one).overlaps(&pattern(two)) && pattern(two).overlaps(&pattern(one));
    assert!(overlaps("/a/**", "/a") && overlaps("/*/b", "/a/*") && overlaps("/**", "/a/b"));
    assert!(!overlaps("/a/**", "/b/**") && !overlaps("/*", "/a/b") && !overlaps("/a/x", "/*/y"));
}

proptest! {
    #[test]
    fn i2_readings_never_panic_and_injection_implies_refusal_sees_it_too(path in "[/a-c.%25;\\\\?]{0,24}") {
        let rule = pattern("/a/**");
        if rule.matches_all_readings(&path) {
            prop_assert!(rule.matches_any_reading(&path));
            let read = normalised(&path).expect("a matched path has a meaning");
            prop_assert!(read == "/a" || read.starts_with("/a/"), "{path} reads as {read}");
        }
    }
}

#[test]
fn a_segment_may_be_told_by_its_beginning() {
    let bot: PathPattern = "/bot*/**".parse().expect("a pattern");
    assert_eq!(bot.to_string(), "/bot*/**");
    for path in ["/bot1/getMe", "/bot1:a/", "/bot1", "/bots/a/b"] {
        assert!(bot.matches_all_readings(path), "{path}");
    }
    for path in ["/bot/getMe", "/Bot1/getMe", "/xbot1/getMe", "/file/bot1/x", "//bot1/x", "/bot%2fx/y", "/bo/x"] {
        assert!(!bot.matches_all_readings(path), "{path}");
    }
    let overlaps = |other: &str| bot.overlaps(&other.parse().expect("a pattern"));
    assert!(overlaps("/bot1/x") && overlaps("/b*/x") && overlaps("/bots*") && overlaps("/*/x") && overlaps("/**"));
    assert!(!overlaps("/bot/x") && !overlaps("/file/**") && !overlaps("/c*/x"));
    assert_eq!((bot.specificity(), bot.has_segment(1), bot.has_segment(2)), (0, true, false));
}
