//! What is answered, captured, or kept from going past at places where tokens and keys are handed out.

use std::time::SystemTime;

use super::*;
use crate::decide::Connect;

/// Two providers that ask for tokens at one place, one of them at a tenant's as well.
const ANSWERING: [(&str, &str); 2] = [
    (
        "five.toml",
        r#"
name = "five"
slots = ["authorization"]
[oauth2]
token_url = "https://auth.example.com/token"
[[inject]]
hosts = ["api.five.test"]
strategy = { bearer = "{access_token}" }
[[token_response]]
access_token = "five_"
"#,
    ),
    (
        "six.toml",
        r#"
name = "six"
slots = ["authorization"]
[[inject]]
hosts = ["{site}.six.example.com"]
strategy = { bearer = "{access_token}" }
mints = ["POST /oauth/token", "* /oauth/end"]
[[token_response]]
at = ["POST https://auth.example.com/token", "POST https://{site}.six.example.com/oauth/token", "POST https://login.six.test/t"]
access_token = "six_"
[[revocation]]
at = ["POST https://{site}.six.example.com/oauth/end", "GET https://end.six.test/r"]
"#,
    ),
];

fn asked(method: &Method, url: &str) -> Target {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (authority, path) = rest.split_once('/').expect("a path");
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let authority = Authority::parse(authority, Some(scheme.default_port())).expect("an authority");
    Target { scheme, authority, method: method.clone(), path: format!("/{path}").parse().expect("a path") }
}

fn answering(rules: &Rules, agent: &Agent, method: &Method, url: &str) -> Vec<String> {
    let target = asked(method, url);
    let route = rules.decided(&target, agent);
    rules.token_responses(&target, agent, &route).iter().map(|(provider, _)| provider.id.to_string()).collect()
}

#[test]
fn i2_token_requests_are_answered_at_the_endpoints_of_providers_that_the_agent_may_use() {
    let settings = Settings { unmatched: Unmatched::Refuse, connect_ports: vec![8443], ..usual() };
    let rules = compiled(&ANSWERING, settings);
    let at = |url: &str| answering(&rules, &agent(None), &Method::POST, url);
    for (url, wanted) in [
        ("https://auth.example.com/token", &["five", "six"][..]),
        ("https://auth.example.com/token/?x=1", &["five", "six"]),
        ("https://acme.six.example.com/oauth/token", &["six"]),
        ("https://login.six.test/t", &["six"]),
        ("https://login.six.test/x", &[]),
        ("https://auth.example.com/Token", &[]),
        ("https://auth.example.com/x/../token", &[]),
        ("https://auth.example.com:8443/token", &[]),
        ("http://auth.example.com/token", &[]),
        ("https://six.example.com/oauth/token", &[]),
        ("https://a.b.six.example.com/oauth/token", &[]),
        ("https://acme.six.example.com/api", &[]),
        ("https://api.five.test/token", &[]),
        ("https://stranger.test/token", &[]),
    ] {
        assert_eq!(at(url), wanted, "{url}");
    }
    for method in [Method::GET, Method::PUT, Method::HEAD, Method::OPTIONS] {
        assert!(answering(&rules, &agent(None), &method, "https://auth.example.com/token").is_empty(), "{method}");
    }
    let limited = |names: &[&str], url: &str| answering(&rules, &agent(Some(names)), &Method::POST, url);
    assert_eq!(limited(&["five"], "https://auth.example.com/token"), ["five"]);
    assert_eq!(limited(&["five"], "https://acme.six.example.com/oauth/token"), [""; 0]);
    assert_eq!(limited(&["other"], "https://auth.example.com/token"), [""; 0]);
}

/// Whose log-ins such a request would get past.
fn evaded(log_ins: LogIns, agent: &Agent, method: &Method, url: &str) -> Option<String> {
    let settings = Settings { connect_ports: vec![8443], log_ins, ..usual() };
    let (rules, target) = (compiled(&ANSWERING, settings), asked(method, url));
    rules.evades_capture(&target, agent, &rules.decided(&target, agent)).map(|owner| owner.id.to_string())
}

#[test]
fn i1_no_log_in_gets_past_by_method_port_scheme_or_spelling_where_an_endpoint_is_open_either() {
    let (post, anybody) = (&Method::POST, &agent(None));
    for host in ["auth.example.com/token", "login.six.test/t"] {
        let owner = if host.starts_with("auth") { "five" } else { "six" };
        for url in [
            format!("https://{}", host.replace('/', ":8443/")),
            format!("http://{host}"),
            format!("https://{}", host.replace('/', "//")),
            format!("https://{}", host.replace("/t", "/T")),
            format!("https://{}", host.replace("/t", "/%74")),
            format!("https://{}", host.replace("/t", "/%2574")),
            format!("https://{}", host.replace("/t", "/x/../t")),
            format!("https://{host};x"),
            format!("https://{host}//"),
            format!("https://{host}%00"),
        ] {
            assert_eq!(evaded(LogIns::Capture, anybody, post, &url).as_deref(), Some(owner), "{url}");
            assert_eq!(evaded(LogIns::Refuse, anybody, post, &url).as_deref(), Some(owner), "{url}");
            assert_eq!(evaded(LogIns::Pass, anybody, post, &url), None, "{url}");
        }
        for method in [Method::GET, Method::PUT, Method::HEAD, Method::CONNECT] {
            let url = format!("https://{host}?code=c");
            assert_eq!(evaded(LogIns::Capture, anybody, &method, &url).as_deref(), Some(owner), "{method} {url}");
        }
        assert_eq!(evaded(LogIns::Capture, anybody, post, &format!("https://{host}")), None, "it is looked at");
        assert_eq!(evaded(LogIns::Capture, anybody, post, &format!("https://{host}s")), None, "another place");
    }
    // What a Ruby service reads as its format, what a Windows one takes off.
    for ending in [".json", ".", "%20", "%2e"] {
        let url = format!("https://login.six.test/t{ending}");
        assert_eq!(evaded(LogIns::Capture, anybody, post, &url).as_deref(), Some("six"), "{url}");
    }
    assert_eq!(evaded(LogIns::Capture, &agent(Some(&["five"])), post, "https://login.six.test//t"), None, "not that agent's");
}

#[test]
fn i2_who_ends_a_token_is_answered_by_method_and_path_of_providers_that_the_agent_may_use() {
    let settings = Settings { unmatched: Unmatched::Refuse, ..usual() };
    let rules = compiled(&ANSWERING, settings);
    let asked = |agent: &Agent, method: &Method, url: &str| {
        let (authority, path) = url.strip_prefix("https://").and_then(|rest| rest.split_once('/')).expect("a URL");
        let authority = Authority::parse(authority, Some(443)).expect("an authority");
        let path = format!("/{path}").parse().expect("a path");
        let target = Target { scheme: Scheme::Https, authority, method: method.clone(), path };
        !rules.about_tokens(&target, agent, &rules.decided(&target, agent)).is_empty()
    };
    let anybody = agent(None);
    assert!(asked(&anybody, &Method::POST, "https://acme.six.example.com/oauth/end"));
    assert!(
        asked(&anybody, &Method::GET, "https://end.six.test/r?token=x")
            && asked(&anybody, &Method::GET, "https://end.six.test/r")
    );
    for (method, url) in [
        (Method::GET, "https://acme.six.example.com/oauth/end"),
        (Method::POST, "https://end.six.test/r"),
        (Method::POST, "https://acme.six.example.com/oauth/End"),
        (Method::POST, "https://acme.six.example.com/oauth/token"),
        (Method::POST, "https://acme.six.example.com/x/%2e./oauth/end"),
        (Method::POST, "https://acme.six.example.com:8443/oauth/end"),
        (Method::POST, "https://acme.six.example.com/api"),
    ] {
        assert!(!asked(&anybody, &method, url), "{method} {url}");
    }
    assert!(!asked(&agent(Some(&["five"])), &Method::POST, "https://acme.six.example.com/oauth/end"));
    let six: Host = "end.six.test".parse().expect("a host");
    assert!(rules.may_answer(&six, &anybody) && !rules.may_answer(&six, &agent(Some(&["five"]))));
}

/// Two services on one host, one of which says how its key is taken out of the answer.
const MINTING: [(&str, &str); 2] = [
    (
        "seven.toml",
        r#"
name = "seven"
slots = ["authorization"]
[[inject]]
hosts = ["api.seven.test"]
paths = ["/v1/**"]
strategy = { bearer = "{api_key}" }
mints = ["* /v1/keys/**", { at = "POST /v1/keys", capture = { api_key = "key" } }, { at = "POST /v1/both", capture = { api_key = "key" } }]
"#,
    ),
    (
        "eight.toml",
        r#"
name = "eight"
slots = ["authorization"]
[[inject]]
hosts = ["api.seven.test"]
paths = ["/v2/**"]
strategy = { bearer = "{api_key}" }
mints = ["POST /v1/both"]
"#,
    ),
];

#[test]
fn i2_a_new_credential_is_captured_where_the_operator_and_one_file_say_so_and_no_doubt_is_left() {
    let decided = |mints: Mints, agent: &Agent, method: &str, path: &str| {
        let settings = Settings { unmatched: Unmatched::Refuse, mints, ..usual() };
        let authority = Authority::parse("api.seven.test", Some(443)).expect("an authority");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let target = Target { scheme: Scheme::Https, authority, method, path: path.parse().expect("a path") };
        match compiled(&MINTING, settings).decided(&target, agent) {
            Route::Mint(minting) => {
                assert_eq!(minting.named.provider.id.as_str(), "seven");
                minting.mint().map_or_else(|| "nothing".to_owned(), ToString::to_string)
            }
            Route::Refuse(reason) => reason.word().to_owned(),
            Route::Inject(_) => "inject".to_owned(),
            other => format!("{other:?}"),
        }
    };
    let anybody = agent(None);
    let captured = "POST /v1/keys: api_key";
    assert_eq!(decided(Mints::Capture, &anybody, "POST", "/v1/keys"), captured);
    assert_eq!(decided(Mints::Capture, &anybody, "POST", "/v1/keys?name=x"), captured);
    assert_eq!(decided(Mints::Refuse, &anybody, "POST", "/v1/keys"), "mints_credentials");
    assert_eq!(decided(Mints::Capture, &anybody, "GET", "/v1/users"), "inject");
    for (method, path) in [
        ("GET", "/v1/keys"),
        ("post", "/v1/keys"),
        ("POST", "/v1/keys/"),
        ("POST", "/v1/keys/7"),
        ("POST", "/v1/x/../Keys"),
        ("POST", "/v1//keys"),
        ("POST", "/v1/both"),
    ] {
        assert_eq!(decided(Mints::Capture, &anybody, method, path), "mints_credentials", "{method} {path}");
    }
    assert_eq!(decided(Mints::Capture, &agent(Some(&["eight"])), "POST", "/v1/keys"), "mints_credentials");
}

#[test]
fn i5_a_host_that_only_answers_is_opened_for_its_agents_and_dialled_for_nobody() {
    let settings = Settings { unmatched: Unmatched::Tunnel, ..usual() };
    let rules = compiled(&ANSWERING, settings);
    let authority: Authority = "login.six.test:443".parse().expect("an authority");
    assert!(matches!(rules.decide_connect(&authority, &agent(None), SystemTime::UNIX_EPOCH).connect, Connect::Intercept));
    assert!(matches!(
        rules.decide_connect(&authority, &agent(Some(&["five"])), SystemTime::UNIX_EPOCH).connect,
        Connect::Tunnel
    ));
    let leads = |name: &str| rules.leads_there(&name.parse().expect("a host"));
    assert!(leads("api.five.test") && leads("acme.six.example.com") && leads("stranger.test"));
    assert!(!leads("login.six.test") && !leads("auth.example.com"));
    let five = rules.providers.iter().find(|provider| provider.id.as_str() == "five").expect("a provider");
    assert_eq!(rules.kin(five).iter().map(|kin| kin.id.as_str()).collect::<Vec<_>>(), ["six"]);
}
