use std::collections::BTreeMap;

use crate::model::Secret;
use crate::provider::{Provider, parse};

const ACME: &str = r#"
name = "acme"
whoami = [
    "GET /v1/{team}/me?as={team}",
    "GET https://{host}/v1/x/me",
    { at = "POST https://graph.acme.example/graphql", json = '{"query":"{ viewer { id } }"}' },
]
slots = ["x-key", "authorization"]
[oauth2]
token_url = "https://login.acme.example/token"
[[field]]
name = "team"
prompt = "Team"
secret = false
[[field]]
name = "host"
prompt = "Host"
secret = false
[[inject]]
hosts = ["us.acme.example", "eu.acme.example", "{host}"]
paths = ["/v1/**"]
strategy = { header = { name = "X-Key", value = "{api_key}" } }
[[inject]]
hosts = ["graph.acme.example"]
strategy = { bearer = "{access_token}" }
"#;

fn acme() -> Provider {
    parse("acme.toml", ACME).expect("a provider")
}

fn urls(fields: &[(&str, &str)]) -> Vec<String> {
    let fields: BTreeMap<&str, Secret<String>> =
        fields.iter().map(|(name, value)| (*name, Secret::new((*value).to_owned()))).collect();
    let fields = |name: &str| fields.get(name);
    let provider = acme();
    provider.whoami_of(&fields).map(|one| one.bound_url(&fields).expect("a URL")).collect()
}

#[test]
fn a_request_without_a_host_is_one_for_each_host_of_its_rule() {
    let shown: Vec<String> = acme().whoami.iter().map(ToString::to_string).collect();
    let wanted = [
        "GET https://us.acme.example/v1/{team}/me?as={team}",
        "GET https://eu.acme.example/v1/{team}/me?as={team}",
        "GET https://{host}/v1/{team}/me?as={team}",
        "GET https://{host}/v1/x/me",
        "POST https://graph.acme.example/graphql with {\"query\":\"{ viewer { id } }\"}",
    ];
    assert_eq!(shown, wanted);
    let body = acme().whoami.last().and_then(|one| one.body.clone()).expect("a body");
    assert_eq!((body.media_type(), body.text()), ("application/json", r#"{"query":"{ viewer { id } }"}"#));
}

#[test]
fn a_connection_sends_what_its_fields_are_for() {
    let us = "https://us.acme.example/v1/blue/me?as=blue";
    let eu = "https://eu.acme.example/v1/blue/me?as=blue";
    let graph = "https://graph.acme.example/graphql";
    assert_eq!(urls(&[("api_key", "k"), ("team", "blue")]), [us, eu]);
    assert_eq!(urls(&[("access_token", "t")]), [graph]);
    assert_eq!(urls(&[("refresh_token", "r"), ("client_id", "i")]), [graph], "its token is still to be fetched");
    assert_eq!(urls(&[("api_key", "k")]), [""; 0], "no team");
}

#[test]
fn i2_a_credential_for_a_server_of_ones_own_is_tried_there_alone() {
    let own = [("api_key", "k"), ("host", "acme.corp.example")];
    assert_eq!(urls(&own), ["https://acme.corp.example/v1/x/me"]);
    let all = [own[0], own[1], ("team", "blue"), ("access_token", "t")];
    assert!(urls(&all).iter().all(|url| url.starts_with("https://acme.corp.example/")), "{:?}", urls(&all));
}

#[test]
fn a_field_is_one_segment_of_a_path_and_no_more() {
    let with = |team: &str| urls(&[("api_key", "k"), ("team", team)]);
    assert_eq!(with("a+b@c.example")[0], "https://us.acme.example/v1/a%2Bb%40c.example/me?as=a%2Bb%40c.example");
    for team in ["", ".", "..", "a/b", "a%2fb", "a\\b", "a;b", "a?b", "a#b", "a b", "\u{e4}", "a\r\nb", &"a".repeat(129)] {
        assert_eq!(with(team), [""; 0], "{team:?}");
    }
}
