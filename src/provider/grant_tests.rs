//! Tests of `grant` and `renewal`.

use crate::model::{Credential, Secret};
use crate::provider::{GrantKind, Provider, Renewal, parse};

fn provider() -> Provider {
    let text = r#"
        name = "acme"
        slots = ["authorization"]
        [oauth2]
        token_url = "https://auth.acme.example/token"
        [[grant]]
        kind = "account_credentials"
        params = { account_id = "{account_id}", audience = "https://{org|account_id}.acme.example/" }
        scopes = ["a", "b"]
        [[grant]]
        kind = "token_exchange"
        token_url = "https://auth.acme.example/{account_id}/exchange"
        client_authentication = "none"
        params = { subject_token_type = "urn:ietf:params:oauth:token-type:jwt" }
        [[field]]
        name = "account_id"
        prompt = "Account"
        secret = false
        [[field]]
        name = "org"
        prompt = "Organisation"
        secret = false
        [[field]]
        name = "subject_token"
        prompt = "Token of the other issuer"
        [[inject]]
        hosts = ["api.acme.example"]
        strategy = { bearer = "{access_token}" }
    "#;
    parse("acme.toml", text).expect("a provider")
}

fn credential(names: &[&str]) -> Credential {
    let mut credential = Credential::default();
    names.iter().for_each(|name| credential.set(name, Secret::new(format!("the-{name}"))));
    credential
}

#[test]
fn a_refresh_token_goes_first_then_the_first_grant_whose_fields_are_there() {
    let provider = provider();
    let kind = |names: &[&str]| {
        let credential = credential(names);
        provider.renewal(&|name| credential.field(name)).map(|renewal| match renewal {
            Renewal::Refresh(_) => "refresh",
            Renewal::Grant(grant) => grant.kind.word(),
        })
    };
    assert_eq!(kind(&["refresh_token", "client_id", "client_secret", "account_id"]), Some("refresh"));
    assert_eq!(kind(&["client_id", "client_secret", "account_id", "subject_token"]), Some("account_credentials"));
    assert_eq!(kind(&["client_id", "account_id", "subject_token"]), Some("token_exchange"));
    assert_eq!(kind(&["client_id", "client_secret"]), None);
    assert_eq!(kind(&["access_token", "subject_token"]), None);
    let mut empty = credential(&["client_id", "account_id"]);
    empty.set("client_secret", Secret::new(String::new()));
    assert!(provider.renewal(&|name| empty.field(name)).is_none());
}

#[test]
fn i2_what_makes_tokens_is_known_and_goes_on_no_request() {
    let provider = provider();
    assert!(["client_secret", "subject_token"].iter().all(|name| provider.spends(name)));
    assert!(!["client_id", "account_id", "org", "access_token", "refresh_token"].iter().any(|name| provider.spends(name)));
    assert_eq!(provider.grants[0].fields(), ["client_id", "client_secret", "account_id", "org"]);
    assert_eq!(provider.grants[1].fields(), ["subject_token", "account_id"]);
    assert_eq!(
        provider.token_endpoints().collect::<Vec<_>>(),
        [
            "https://auth.acme.example/token",
            "https://auth.acme.example/token",
            "https://auth.acme.example/{account_id}/exchange"
        ]
    );
}

#[test]
fn parameters_are_filled_from_the_connection() {
    let provider = provider();
    let credential = credential(&["account_id", "org"]);
    let params = provider.grants[0].filled_params(&|name| credential.field(name)).expect("all there");
    let params: Vec<(&str, &str)> = params.iter().map(|(name, value)| (*name, value.expose().as_str())).collect();
    let audience = "https://the-org.acme.example/";
    assert_eq!(params, [("scope", "a b"), ("account_id", "the-account_id"), ("audience", audience)]);
    assert!(provider.grants[0].filled_params(&|_| None).is_none());
}

#[test]
fn i1_callers_do_not_reach_the_token_endpoint_of_a_tenant() {
    let text = r#"
        name = "acme"
        slots = ["authorization"]
        [oauth2]
        token_url = "https://{site}.acme.example/oauth/{site}/token?x=y"
        [[field]]
        name = "site"
        prompt = "Site"
        secret = false
        [[inject]]
        hosts = ["api.acme.example", "{site}.acme.example"]
        strategy = { bearer = "{access_token}" }
        [[inject]]
        hosts = ["api.acme.example"]
        strategy = { bearer = "{api_key}" }
    "#;
    let provider = parse("acme.toml", text).expect("a provider");
    let post = http::Method::POST;
    let shut = |number: usize, path: &str| provider.inject.get(number).expect("a rule").mints(&post, path);
    assert!(shut(0, "/oauth/s1/token") && shut(0, "/OAuth/s2/%74oken?a=b") && !shut(0, "/oauth/token"));
    assert!(!shut(1, "/oauth/s1/token"));
}

#[test]
fn every_kind_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<&str> = GrantKind::ALL.iter().map(|kind| kind.word()).collect();
    assert_eq!(words.len(), GrantKind::ALL.len());
}
