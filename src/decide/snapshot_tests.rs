use http::Method;
use proptest::prelude::*;

use super::*;
use crate::agent::{Registered, Token};
use crate::decide::{LogIns, Mints, OnCanary, Unregistered};

const PROVIDERS: [(&str, &str); 3] = [
    (
        "one.toml",
        r#"
name = "one"
title = "One"
slots = ["authorization"]
[[inject]]
hosts = ["api.one.test"]
strategy = { bearer = "{api_key}" }
mints = ["POST /mint"]
"#,
    ),
    (
        "two.toml",
        r#"
name = "two"
title = "Two"
slots = ["authorization"]
[[inject]]
hosts = ["{site}.two.example.com"]
port = 8443
paths = ["/v1/**"]
strategy = { bearer = "{api_key}" }
"#,
    ),
    (
        "three.toml",
        r#"
name = "three"
title = "Three"
slots = ["authorization"]
[[inject]]
hosts = ["api.three.test"]
paths = ["/a/*/b"]
strategy = { bearer = "{api_key}" }
"#,
    ),
];

/// Nothing is refused that no rule names.
fn usual() -> Settings {
    Settings {
        unmatched: Unmatched::Intercept,
        unregistered: Unregistered::Pass,
        connect_ports: Vec::new(),
        allow: true,
        log_ins: LogIns::Capture,
        mints: Mints::Refuse,
        on_canary: OnCanary::Alarm,
    }
}

fn rules() -> Rules {
    let settings = Settings { connect_ports: vec![8080], ..usual() };
    compiled(&PROVIDERS, settings)
}

fn compiled(providers: &[(&str, &str)], settings: Settings) -> Rules {
    let mut catalogue = Catalogue::default();
    for (file, text) in providers {
        catalogue.add(file, text).expect("a provider");
    }
    Rules::compile(&catalogue, settings)
}

/// One provider on `api.four.test`, its token endpoint at `token_url`, under the given default.
fn with_endpoint(token_url: &str, unmatched: Unmatched, allow: bool) -> Rules {
    let text = format!(
        "name = \"four\"\nslots = [\"authorization\"]\n[oauth2]\ntoken_url = \"{token_url}\"\n\
         [[field]]\nname = \"site\"\nprompt = \"Site\"\nsecret = false\n\
         [[inject]]\nhosts = [\"api.four.test\"]\npaths = [\"/v1/**\"]\nstrategy = {{ bearer = \"{{access_token}}\" }}\n"
    );
    let settings = Settings { unmatched, allow, ..usual() };
    compiled(&[("four.toml", &text)], settings)
}

/// What becomes of a POST to `url`, in one word.
fn outcome(rules: &Rules, url: &str) -> &'static str {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (host, path) = rest.split_once('/').expect("a path");
    let (scheme, port) = if scheme == "https" { (Scheme::Https, 443) } else { (Scheme::Http, 80) };
    let authority = Authority { host: host.parse().expect("a host"), port };
    let target = Target { scheme, authority, method: Method::POST, path: format!("/{path}").parse().expect("a path") };
    match rules.decided(&target, &agent(None)) {
        Route::Pass => "pass",
        Route::Strip(_) => "strip",
        Route::TokenEndpoint(_) => "endpoint",
        Route::Inject(_) => "inject",
        Route::Mint(_) => "mint",
        Route::Refuse(_) => "refuse",
    }
}

#[test]
fn i2_where_the_default_is_deny_only_what_a_rule_names_goes_out() {
    let requests = [
        "https://api.four.test/v1/x",
        "https://auth.four.test/token",
        "https://auth.four.test/anything",
        "http://auth.four.test/exfil",
        "https://api.four.test/elsewhere",
        "https://stranger.test/x",
    ];
    let outcomes = |unmatched, allow| {
        let rules = with_endpoint("https://auth.four.test/token", unmatched, allow);
        requests.map(|url| outcome(&rules, url))
    };
    for unmatched in [Unmatched::Tunnel, Unmatched::Intercept, Unmatched::Refuse] {
        let denied = outcomes(unmatched, false);
        assert_eq!(denied, ["inject", "endpoint", "refuse", "refuse", "refuse", "refuse"], "{unmatched:?}");
    }
    assert_eq!(outcomes(Unmatched::Refuse, true), ["inject", "endpoint", "pass", "pass", "strip", "refuse"]);
    assert_eq!(outcomes(Unmatched::Tunnel, true), ["inject", "endpoint", "pass", "pass", "strip", "pass"]);
}

#[test]
fn i2_a_token_endpoint_is_known_in_every_way_that_a_file_can_write_it() {
    for (token_url, taken, others) in [
        ("https://auth.four.test/token", ["/token", "/Token/", "/x/../token"], ["/tokens", "/"]),
        ("https://auth.four.test/{site}/token", ["/t1/token", "/t2/%74oken", "//t1/token"], ["/token", "/t1/other"]),
        ("https://auth.four.test/x-{site}/token", ["/x-t1/token", "/x-t2/token/", "/x-%74/token"], ["/token", "/x-t1"]),
        ("https://auth.four.test/token?grant=x", ["/token", "/token?grant=y", "/TOKEN"], ["/", "/x"]),
        ("https://auth.four.test//o/to%6ben", ["/o/token", "/o/to%6Ben", "//o/token"], ["/o", "/x/token"]),
        ("https://api.four.test/v1/{site}/token", ["/v1/t1/token", "/v1/t1/token/", "/v1/./t1/token"], ["/v1", "/v1/x"]),
    ] {
        let rules = with_endpoint(token_url, Unmatched::Intercept, true);
        let (host, _) = token_url.trim_start_matches("https://").split_once('/').expect("a path");
        let at = |path: &str| outcome(&rules, &format!("https://{host}{path}"));
        for path in taken {
            assert_eq!(at(path), "endpoint", "{token_url} {path}");
        }
        for path in others {
            assert_ne!(at(path), "endpoint", "{token_url} {path}");
        }
    }
}

fn agent(providers: Option<&[&str]>) -> Agent {
    let providers = providers.map(|names| names.iter().map(|name| name.parse().expect("a provider")).collect());
    let token = Token::random().expect("random");
    Agent::from(&Registered { providers, ..Registered::unlimited("a".parse().expect("a name"), &token) })
}

/// B8: an agent that may use one provider has no business at the others' hosts, whatever the path.
#[test]
fn i2_an_agents_list_of_providers_holds_where_no_rule_names_the_path() {
    let rules = rules();
    let at = |host: &str, path: &str, only: &str| {
        let authority = Authority { host: host.parse().expect("a host"), port: 443 };
        let path = path.parse().expect("a path");
        rules.decided(&Target { scheme: Scheme::Https, authority, method: Method::GET, path }, &agent(Some(&[only])))
    };
    assert!(matches!(at("api.three.test", "/a/x/b", "three"), Route::Inject(_)));
    assert!(matches!(at("api.three.test", "/other", "three"), Route::Strip(_)));
    for path in ["/a/x/b", "/other", "/"] {
        assert!(matches!(at("api.three.test", path, "one"), Route::Refuse(Reason::Agent)), "{path}");
    }
    assert!(matches!(at("nobody.test", "/", "one"), Route::Pass), "hosts that no provider names have a list of their own");
    let rules = with_endpoint("https://auth.four.test/token", Unmatched::Intercept, true);
    let authority = Authority { host: "auth.four.test".parse().expect("a host"), port: 443 };
    let path = "/token".parse().expect("a path");
    let target = Target { scheme: Scheme::Https, authority, method: Method::POST, path };
    assert!(matches!(rules.decided(&target, &agent(Some(&["one"]))), Route::Refuse(Reason::Agent)));
    assert!(matches!(rules.decided(&target, &agent(Some(&["four"]))), Route::TokenEndpoint(_)));
}

/// The rule's text read by a person: which provider, if any, this target may get a credential of.
fn named(scheme: Scheme, host: &str, port: u16, method: &str, path: &str) -> Option<&'static str> {
    let plain =
        !path.contains(['%', ';', '\\']) && !path.contains("//") && !path.split('/').any(|part| part == "." || part == "..");
    match (scheme, host, port) {
        (Scheme::Https, "api.one.test", 443)
            if !(method.eq_ignore_ascii_case("post") && path.to_lowercase().contains("mint")) =>
        {
            Some("one")
        }
        (Scheme::Https, "acme.two.example.com" | "x.two.example.com", 8443)
            if plain && (path == "/v1" || path.starts_with("/v1/")) =>
        {
            Some("two")
        }
        (Scheme::Https, "api.three.test", 443) if plain => {
            let parts: Vec<&str> = path.split('/').collect();
            (matches!(parts.as_slice(), ["", "a", middle, "b"] if !middle.is_empty())).then_some("three")
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn i2_a_credential_goes_only_where_a_rule_names_everything(
        scheme in prop_oneof![Just(Scheme::Https), Just(Scheme::Http)],
        host in prop::sample::select(vec![
            "api.one.test", "one.test", "xapi.one.test", "api.one.test.evil.test", "x.api.one.test", "apione.test", "api-one.test",
            "acme.two.example.com", "x.two.example.com", "two.example.com", "a.b.two.example.com", "acmetwo.example.com", "api.three.test",
            "10.0.0.1", "[::1]", "evil.test",
        ]),
        port in prop::sample::select(vec![443_u16, 80, 8443, 8080, 444, 22, 1]),
        method in prop::sample::select(vec!["GET", "POST", "post", "PUT", "DELETE"]),
        path in prop::sample::select(vec![
            "/", "/mint", "/MINT", "/mint/", "/x/../mint", "/%6dint", "/v1", "/v1/", "/v1/x/y", "/v2", "/v1/../v2", "/v1;x/y", "/a/1/b", "/a//b", "/a/b",
            "/a/1/b/c", "/a/%2e%2e/b", "/A/1/b", "/v1%2f..%2f..", "//v1/x",
        ]),
        allowed in prop::sample::select(vec![None, Some(vec!["one"]), Some(vec!["two", "three"]), Some(Vec::new())]),
    ) {
        let rules = rules();
        let agent = agent(allowed.as_deref());
        let target = Target {
            scheme,
            authority: Authority { host: host.parse().expect("a host"), port },
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: path.parse().expect("a path"),
        };
        if let Route::Inject(found) = rules.decided(&target, &agent) {
            prop_assert_eq!(Some(found.provider.id.as_str()), named(scheme, host, port, method, path));
            prop_assert!(allowed.is_none_or(|allowed| allowed.contains(&found.provider.id.as_str())));
        } else if named(scheme, host, port, method, path) == Some("one") && !path.to_lowercase().contains("mint") && !path.contains('%') {
            prop_assert!(allowed.is_some_and(|allowed| !allowed.contains(&"one")), "the plain case is injected");
        }
    }
}

/// The places where a credential of some service or other goes.
const PLACES: [&str; 7] = ["authorization", "x-api-key", "api-key", "query:key", "query:token", "cookie:session", "cookie:d"];

/// Providers on `shared.example.com`, told apart by path: each with its slots, and whether it names the host with a tenant.
fn sharing(owners: &[(Vec<&str>, bool)]) -> Rules {
    let mut catalogue = Catalogue::default();
    for (number, (slots, tenant)) in owners.iter().enumerate() {
        let host = if *tenant { "{site}.example.com" } else { "shared.example.com" };
        let text = format!(
            "name = \"p{number}\"\nslots = {slots:?}\n[[inject]]\nhosts = [\"{host}\"]\npaths = [\"/p{number}/**\"]\n\
             strategy = {{ header = {{ name = \"{}\", value = \"{{api_key}}\" }} }}\nmints = [\"POST /p{number}/mint\"]\n",
            slots[0]
        );
        catalogue.add(&format!("p{number}.toml"), &text).expect("a provider");
    }
    let settings = usual();
    Rules::compile(&catalogue, settings)
}

fn shared_target(method: Method, path: &str) -> Target {
    let authority = Authority { host: "shared.example.com".parse().expect("a host"), port: 443 };
    Target { scheme: Scheme::Https, authority, method, path: path.parse().expect("a path") }
}

/// A request that carries something in every place there is.
fn full_of_credentials(path: &str) -> (http::HeaderMap, http::uri::PathAndQuery) {
    let mut headers = http::HeaderMap::new();
    for name in ["authorization", "x-api-key", "api-key"] {
        headers.insert(name, http::HeaderValue::from_static("STOLEN"));
    }
    headers.insert("cookie", http::HeaderValue::from_static("session=STOLEN; kept=1; d=STOLEN"));
    (headers, format!("{path}?key=STOLEN&kept=1&token=STOLEN").parse().expect("a target"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn i3_no_slot_of_any_provider_on_the_host_lets_a_credential_pass(
        owners in prop::collection::vec(
            (prop::sample::subsequence(PLACES[..3].to_vec(), 1..=3), prop::sample::subsequence(PLACES[3..].to_vec(), 0..=4), any::<bool>()),
            1..5,
        ),
        number in 0_usize..6,
    ) {
        let owners: Vec<(Vec<&str>, bool)> =
            owners.into_iter().map(|(headers, others, tenant)| ([headers, others].concat(), tenant)).collect();
        let rules = sharing(&owners);
        let path = format!("/p{number}/x");
        let occupants = match rules.decided(&shared_target(Method::GET, &path), &agent(None)) {
            Route::Inject(named) => {
                prop_assert_eq!(named.provider.id.as_str(), format!("p{number}"));
                named.occupants
            }
            Route::Strip(occupants) => occupants,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let (mut headers, mut target) = full_of_credentials(&path);
        crate::provider::strip_target(&occupants.slots, &mut headers, &mut target).expect("a target");
        let left = format!("{headers:?} {target}");
        for place in owners.iter().flat_map(|(slots, _)| slots.iter().copied()).chain(["authorization"]) {
            let name = place.rsplit(':').next().expect("a name");
            prop_assert!(!left.contains(&format!("{name}=STOLEN")) && !left.contains(&format!("\"{name}\": \"STOLEN\"")), "{} in {}", place, left);
        }
        prop_assert!(left.matches("kept=1").count() == 2, "{}", left);
    }
}

#[test]
fn i1_a_host_spelled_out_by_one_provider_keeps_what_another_says_of_it_as_a_tenants() {
    let rules = sharing(&[(vec!["x-api-key"], true), (vec!["api-key"], false)]);
    let mint = rules.decided(&shared_target(Method::POST, "/p0/mint"), &agent(None));
    assert!(matches!(mint, Route::Refuse(Reason::Mint)), "{mint:?}");
    let used = rules.decided(&shared_target(Method::GET, "/p0/x"), &agent(None));
    assert!(matches!(&used, Route::Inject(named) if named.provider.id.as_str() == "p0"), "{used:?}");
}

#[test]
fn a_tenant_may_be_any_label_before_the_owners() {
    let text = r#"
name = "pods"
title = "Pods"
slots = ["authorization"]
[[inject]]
hosts = ["shared.{pod}.example.com", "{pod}-eu.example.com", "a.b.{pod}.c.example.com"]
strategy = { bearer = "{api_key}" }
"#;
    let settings = Settings { unmatched: Unmatched::Tunnel, connect_ports: vec![443], ..usual() };
    let rules = compiled(&[("pods.toml", text)], settings);
    let found = |host: &str| {
        let target = Target {
            authority: Authority { host: host.parse().expect("a host"), port: 443 },
            ..shared_target(Method::GET, "/")
        };
        matches!(rules.decided(&target, &agent(None)), Route::Inject(_))
    };
    for host in ["shared.na1.example.com", "acme-eu.example.com", "a.b.x.c.example.com"] {
        assert!(found(host), "{host}");
    }
    for host in
        ["shared.example.com", "x.shared.na1.example.com", "shared.a.b.example.com", "other.na1.example.com", "na1.example.com"]
    {
        assert!(!found(host), "{host}");
    }
}

#[test]
fn a_rule_that_names_a_host_in_two_ways_is_one_rule() {
    let text = r#"
name = "both"
title = "Both"
slots = ["authorization"]
[[inject]]
hosts = ["{site}.example.com", "shared.example.com"]
strategy = { bearer = "{api_key}" }
"#;
    let settings = usual();
    let rules = compiled(&[("both.toml", text)], settings);
    let Route::Inject(named) = rules.decided(&shared_target(Method::GET, "/"), &agent(None)) else { panic!("it is its host") };
    assert_eq!(*named.rules, [0]);
}

#[test]
fn t28_t93_a_listed_port_takes_any_bytes_unless_tls_is_spoken_there() {
    let mut catalogue = Catalogue::default();
    for (file, text) in PROVIDERS {
        catalogue.add(file, text).expect("a provider");
    }
    let connect_ports = vec![25, 443, 8443];
    let settings = Settings { unmatched: Unmatched::Tunnel, connect_ports, ..usual() };
    let rules = Rules::compile(&catalogue, settings);
    let taken = [25, 80, 443, 8443, 22].map(|port| rules.takes_any_bytes(port));
    assert_eq!(taken, [true, true, false, false, false]);
}

#[path = "token_endpoint_tests.rs"]
mod token_endpoints;
