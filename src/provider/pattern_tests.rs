//! Tests of `pattern`: which hosts a pattern means, and which patterns are refused.

use super::*;
use crate::model::Secret;

fn pattern(text: &str) -> HostPattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn host(text: &str) -> Host {
    text.parse().expect("a host")
}

#[test]
fn i2_lookalikes_match_neither_exact_nor_tenant_patterns() {
    let github = pattern("api.GitHub.com");
    assert!(github.matches(&host("api.github.com.")));
    for other in ["evilapi.github.com", "api.github.com.evil.com", "x.api.github.com", "github.com", "127.0.0.1"] {
        assert!(!github.matches(&host(other)), "{other}");
    }
    let jira = pattern("{site}.atlassian.net");
    assert!(jira.matches(&host("acme.atlassian.net")));
    for other in ["atlassian.net", "a.b.atlassian.net", "acmeatlassian.net", "acme.atlassian.net.evil.com", "1.2.3.4"] {
        assert!(!jira.matches(&host(other)), "{other}");
    }
}

#[test]
fn i2_a_tenant_stands_below_a_domain_with_one_owner() {
    for text in ["{x}.com", "{x}.co.uk", "{x}.github.io", "{x}com", "a{x}.com", "{x}.blogspot.com", "{x}.com."] {
        assert!(matches!(text.parse::<HostPattern>(), Err(PatternError::PublicSuffix(_))), "{text}");
    }
    for text in ["{dc}.api.mailchimp.com", "api-{region}.example.com", "{x}-eu.example.co.uk", "api.{x}.example.com"] {
        assert_eq!(pattern(text).to_string(), text);
    }
}

#[test]
fn i2_wildcards_addresses_and_braces_in_disorder_are_refused() {
    for text in [
        "*",
        "*.com",
        "*.co.uk",
        "a*.example.com",
        "x.*.example.com",
        "*.*",
        "*.*.com",
        "**.example.com",
        "127.0.0.1",
        "[::1]",
        "{a}.{b}.example.com",
        "{a}{b}.example.com",
        "{}.example.com",
        "{A}.example.com",
        "}a{.example.com",
        "{a.example.com",
        "https://api.x.com",
        "api.x.com:443",
        "api.x.com/v1",
        "",
        "nexus.internal",
        "{x}.0x1.1",
        "{x}..example.com",
    ] {
        assert!(text.parse::<HostPattern>().is_err(), "{text}");
    }
}

#[test]
fn i2_a_star_stands_for_labels_below_one_owner() {
    let matches = |text: &str, name: &str| pattern(text).matches(&name.parse().expect("a host"));
    for name in ["sts.amazonaws.com", "a.s3.eu-west-1.amazonaws.com"] {
        assert!(matches("*.amazonaws.com", name), "{name}");
    }
    for name in ["amazonaws.com", "evilamazonaws.com", "amazonaws.com.evil.test", "127.0.0.1"] {
        assert!(!matches("*.amazonaws.com", name), "{name}");
    }
    assert!(matches("*.s3.*.amazonaws.com", "b.c.s3.eu-west-1.amazonaws.com"));
    assert!(!matches("*.s3.*.amazonaws.com", "s3.eu-west-1.amazonaws.com"));
    assert!(!matches("*.s3.*.amazonaws.com", "b.s3.x.eu-west-1.amazonaws.com"));
    assert_eq!(pattern("*.S3.*.amazonaws.com").to_string(), "*.s3.*.amazonaws.com");
    assert!(pattern("*.s3.*.amazonaws.com").specificity() > pattern("*.amazonaws.com").specificity());
    let host: Host = "b.s3.eu.amazonaws.com".parse().expect("a host");
    assert!(HostPattern::sealed_as("*.amazonaws.com", &host) && HostPattern::sealed_as("b.s3.eu.amazonaws.com", &host));
    assert!(!HostPattern::sealed_as("*.s3.amazonaws.com", &host) && !HostPattern::sealed_as("*", &host));
}

#[test]
fn i2_a_name_of_ones_own_is_bound_whole_and_is_a_name() {
    let own = pattern("{host}");
    let bind = |value: &str| {
        let secret = Secret::new(value.to_owned());
        own.bind(&|name| (name == "host").then_some(&secret)).map(|host| host.map(|host| host.to_string()))
    };
    assert_eq!(bind("CI.Example.com").ok().flatten().as_deref(), Some("ci.example.com"));
    assert_eq!(bind("jenkins").ok().flatten().as_deref(), Some("jenkins"));
    assert!(matches!(bind(""), Ok(None)));
    for value in [
        "https://ci.example.com",
        "ci.example.com/x",
        "ci.example.com:8443",
        "127.0.0.1",
        "[::1]",
        "*.example.com",
        "{x}",
        "nexus.internal",
        "a b",
        "a@b",
        "{x}.example.com",
    ] {
        assert!(bind(value).is_err(), "{value}");
    }
    assert!(!own.matches(&"ci.example.com".parse().expect("a host")) && !own.overlaps(&own) && own.tenant() == Some("host"));
}

#[test]
fn i2_only_a_single_label_binds() {
    let jira = pattern("{site}.atlassian.net");
    let bind = |value: &str| {
        let secret = Secret::new(value.to_owned());
        jira.bind(&|name| (name == "site").then_some(&secret)).map(|host| host.map(|host| host.to_string()))
    };
    assert_eq!(bind("Acme-1").expect("a label").as_deref(), Some("acme-1.atlassian.net"));
    let long = "a".repeat(64);
    for value in
        ["evil.com/", "a.b", "a@b", "-a", "a-", "a_b", "é", "a b", "a#", "a\0", "*", "xn--a", "https://x", long.as_str()]
    {
        let error = bind(value).expect_err(value).to_string();
        assert!(error.starts_with("site ") && !error.contains(value), "{error}");
    }
    assert_eq!(jira.bind(&|_name| None).expect("no tenant is no error"), None);
    assert_eq!(bind("").expect("an empty tenant is none"), None);
}

#[test]
fn overlapping_patterns_are_found() {
    let overlaps = |one: &str, two: &str| pattern(one).overlaps(&pattern(two)) && pattern(two).overlaps(&pattern(one));
    assert!(overlaps("{site}.atlassian.net", "acme.atlassian.net") && overlaps("{a}.x.example", "{b}.x.example"));
    assert!(overlaps("a-{x}.x.example", "{y}-b.x.example"));
    assert!(!overlaps("{a}.x.example", "{b}.y.example") && !overlaps("a-{x}.x.example", "b-{y}.x.example"));
    assert!(!overlaps("api.github.com", "github.com") && !overlaps("{a}.x.example", "{b}.c.x.example"));
    assert!(overlaps("api.{x}.example.com", "{y}.eu.example.com"));
}
