//! Points 6 and 8 of the main job: every slot is emptied, the credential goes on last, and what comes back is cleaned (I2, I3, I6).

use http::{HeaderMap, Method, Request};
use nexus::provider::{Catalogue, HostPattern, InjectRule, Placement, Provider, Slot};

use crate::attack::{ACME, HOST, KEY, home, scene, service, talk};
use crate::harness::{
    Authority, Builder, Caller, Nexus, Offers, Reply, Upstream, answer, channel, empty, full, request, run, run_within,
};

const STOLEN: &str = "STOLEN-BY-SOMEBODY-0123456789";
const FIELDS: [(&str, &str); 7] = [
    ("api_key", "own-key-0123456789abcdef-us1"),
    ("access_token", "own-token-0123456789abcdef"),
    ("username", "user@acme.test"),
    ("password", "own-password-0123456789"),
    ("site", "acme"),
    ("dc", "us1"),
    ("client_id", "id"),
];

/// Whether it runs at its vendor's and on servers of its users: a connection is for one of them.
fn is_of_both_kinds(provider: &Provider) -> bool {
    provider.hosts().any(HostPattern::is_own) && !provider.hosts().all(HostPattern::is_own)
}

/// What its file asks for beyond [`FIELDS`]; the server of one's own only if `at_home`.
fn own_fields(provider: &Provider, at_home: bool) -> Vec<(String, String)> {
    let tenant = |name: &str| provider.hosts().any(|host| host.tenant() == Some(name));
    let whole = |name: &str| provider.hosts().any(|host| matches!(host, HostPattern::Own { field } if field == name));
    let value = |name: &str| match name {
        _ if whole(name) => own_name(provider),
        _ if tenant(name) => "acme".to_owned(),
        _ => format!("own-{name}-0123456789"),
    };
    let beyond = provider.fields.iter().filter(|field| !FIELDS.iter().any(|(name, _)| *name == field.name));
    let beyond = beyond.filter(|field| at_home || !is_of_both_kinds(provider) || !whole(&field.name));
    beyond.map(|field| (field.name.clone(), value(&field.name))).collect()
}

/// Where somebody runs the service.
fn own_name(provider: &Provider) -> String {
    format!("{}.own.test", provider.id.as_str().replace('_', "-"))
}

/// A host and a path that a rule of each provider names; if `at_home`, those on servers of one's own where there are others.
fn rule_targets(at_home: bool) -> Vec<(String, String, Vec<Slot>, String)> {
    let mut targets = Vec::new();
    for provider in Catalogue::builtin().iter().filter(|provider| !at_home || is_of_both_kinds(provider)) {
        let both = is_of_both_kinds(provider);
        // What goes into a body needs one (see `inside.rs`).
        let within = |placement: &Placement| matches!(placement, Placement::Json { .. } | Placement::Form { .. });
        let headed = |rule: &&InjectRule| rule.port == 443 && !rule.placements.iter().any(within);
        for rule in provider.inject.iter().filter(headed) {
            let path = rule
                .paths
                .first()
                .map_or_else(|| "/x".to_owned(), |path| path.to_string().replace("**", "y/z").replace('*', "x"));
            let here = |host: &&HostPattern| !both || host.is_own() == at_home;
            let Some(host) = rule.hosts.iter().find(here) else { continue };
            let host = match host {
                HostPattern::Exact(host) => host.to_string(),
                HostPattern::Tenant { before, field, after } => {
                    let label = FIELDS.iter().find(|(name, _)| name == field).map_or("acme", |(_, value)| *value);
                    format!("{before}{label}{after}")
                }
                HostPattern::Own { .. } => own_name(provider),
                HostPattern::Below(below) => below.to_string().replace('*', "x"),
            };
            // What is refused reaches nobody.
            if !provider.inject.iter().any(|rule| rule.mints(&http::Method::GET, &path)) {
                targets.push((host, path, provider.slots.clone(), provider.id.to_string()));
            }
        }
    }
    targets
}

/// One request with every slot filled in every spelling.
fn stolen(host: &str, path: &str, slots: &[Slot]) -> String {
    let (mut fields, mut query, mut cookies) = (String::new(), vec!["keep=1".to_owned()], vec!["keep=2".to_owned()]);
    for slot in slots {
        match slot {
            Slot::Header(name) => {
                for name in [name.as_str().to_owned(), name.as_str().to_uppercase(), name.as_str().replace('-', "_")] {
                    fields.push_str(&format!("{name}: Bearer {STOLEN}\r\n{name}:{STOLEN}\r\n"));
                }
            }
            Slot::Query(name) => {
                let escaped = format!("%{:02x}{}", name.as_bytes()[0], &name[1..]);
                let brackets = [format!("{name}[]"), format!("{name}%5B0%5D"), format!("+{name}")];
                // To a service that is blind to letter case, and to PHP.
                let folded = [name.to_uppercase(), format!("{name}."), name.replace('_', "."), name.replace('_', "+")];
                for name in [name.clone(), escaped].into_iter().chain(brackets).chain(folded) {
                    query.push(format!("{name}={STOLEN}"));
                }
                query.push(format!("also=3;{name}={STOLEN}"));
            }
            Slot::Cookie(name) => {
                cookies.extend([format!("{name}={STOLEN}"), format!(" {name} = {STOLEN}"), format!("x=1,{name}={STOLEN}")]);
            }
            // Not in a head: see `inside.rs`.
            Slot::Path(_) | Slot::Json(_) | Slot::Form(_) => {}
        }
    }
    let (query, cookies) = (query.join("&"), cookies.join("; "));
    format!("GET {path}?{query} HTTP/1.1\r\nHost: {host}\r\n{fields}Cookie: {cookies}\r\nConnection: close\r\n\r\n")
}

#[test]
fn t19_t20_i6_every_slot_of_every_provider_is_emptied_in_every_spelling() {
    // One handshake for each host of the catalogue.
    run_within(std::time::Duration::from_secs(180), async {
        for at_home in [false, true] {
            empties_every_slot(at_home).await;
        }
    });
}

async fn empties_every_slot(at_home: bool) {
    let ca = Authority::new();
    let targets = rule_targets(at_home);
    let names: Vec<&str> = targets.iter().map(|(host, ..)| host.as_str()).collect();
    let service = Upstream::serve(&ca, &names, Offers::Http1, |_call| async { answer(200, "") }).await;
    let mut builder = Builder::new(&ca);
    for provider in Catalogue::builtin().iter().filter(|provider| !at_home || is_of_both_kinds(provider)) {
        let own: Vec<(String, String)> = own_fields(provider, at_home);
        let own = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        builder = builder.register(provider.id.as_str(), &FIELDS.into_iter().chain(own).collect::<Vec<_>>());
    }
    for name in &names {
        builder = builder.resolve(name, service.address);
    }
    let nexus = builder.start();
    let caller = Caller::new(&nexus);
    for (host, path, slots, provider) in &targets {
        let raw = talk(caller.tls(host, &[]).await, stolen(host, path, slots).as_bytes()).await;
        if ["amazon_s3", "aws", "aws_bedrock"].contains(&provider.as_str()) && raw.status() == 400 {
            // Signed in two places at once: refused whole (see `signing.rs`).
            continue;
        }
        assert_eq!(raw.status(), 200, "{provider} {host}{path}: {raw:?}");
        let seen = service.seen().pop().expect("a request");
        assert!(!format!("{seen:?}").contains("STOLEN"), "{provider}: {seen:?}");
        assert!(
            seen.path.contains("keep=1")
                && seen.headers.get_all("cookie").iter().any(|value| value.to_str().is_ok_and(|text| text.contains("keep=2"))),
            "{seen:?}"
        );
        assert!(format!("{seen:?}").contains("own-") || seen.headers.contains_key("authorization"), "{provider}: {seen:?}");
    }
}

#[test]
fn t80_t82_i3_what_connection_names_cannot_take_the_credential_off() {
    run(async {
        let scene = scene("").await;
        for options in [
            "Authorization",
            "authorization, keep-alive",
            "x-api-key, AUTHORIZATION",
            "close, Authorization",
            "nexus-connection",
        ] {
            let bytes = format!(
                "GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: {options}\r\nAuthorization: Bearer mine\r\nProxy-Authorization: Basic bWU6bWU=\r\n\
                 Proxy-Connection: keep-alive\r\nProxy: http://evil.test\r\nProxy-X: 1\r\n\r\n"
            );
            let raw = scene.inside(bytes.as_bytes()).await;
            let seen = scene.last();
            assert_eq!((raw.status(), seen.bearer()), (200, Some(KEY)), "{options}: {raw:?}");
            let left: Vec<&str> = seen
                .headers
                .keys()
                .map(http::HeaderName::as_str)
                .filter(|name| name.starts_with("proxy") || name.starts_with("x-"))
                .collect();
            assert!(left.is_empty() && !seen.headers.contains_key("connection"), "{seen:?}");
        }
        for options in ["Host", "content-length", "Transfer-Encoding"] {
            let bytes = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: {options}\r\n\r\n");
            assert_eq!(scene.inside(bytes.as_bytes()).await.status(), 400, "{options}");
        }
    });
}

/// Whoever reads them picks another host, path or method than the one that was decided on.
#[test]
fn t21_t44_fields_that_reroute_a_request_stay_here_in_every_spelling() {
    run(async {
        let scene = scene("").await;
        let hints = [
            "X-Forwarded-Host: evil.test",
            "X-Forwarded-Proto: http",
            "Forwarded: host=evil.test",
            "X-Original-URL: /mint/1",
            "X-Rewrite-URL: /mint/1",
            "X-HTTP-Method-Override: POST",
            "X-HTTP-Method: POST",
            "X-Method-Override: POST",
        ];
        for hint in hints {
            let (name, value) = hint.split_once(':').expect("a field");
            let half = name.replacen('-', "_", 1);
            for name in [name.to_owned(), name.replace('-', "_"), name.to_uppercase().replace('-', "_"), half] {
                let bytes = format!("GET /mint/1 HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/plain\r\n{name}:{value}\r\n\r\n");
                let raw = scene.inside(bytes.as_bytes()).await;
                let seen = scene.last();
                assert_eq!((raw.status(), seen.bearer()), (200, Some(KEY)), "{name}: {raw:?}");
                let mut left: Vec<&str> = seen.headers.keys().map(http::HeaderName::as_str).collect();
                left.sort_unstable();
                left.retain(|name| !["accept", "authorization", "host"].contains(name));
                assert!(left.is_empty(), "{name}: {left:?}");
            }
        }
    });
}

#[test]
fn t42_t71_methods_that_echo_or_tunnel_are_not_forwarded() {
    run(async {
        let scene = scene("").await;
        for (bytes, status) in [
            ("TRACE / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", 405),
            ("TRACK / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", 405),
            ("track / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", 405),
            ("trace / HTTP/1.1\r\nHost: api.acme.test\r\n\r\n", 405),
            ("OPTIONS / HTTP/1.1\r\nHost: api.acme.test\r\nMax-Forwards: 0\r\n\r\n", 405),
            ("CONNECT api.acme.test:443 HTTP/1.1\r\nHost: api.acme.test:443\r\n\r\n", 405),
            ("CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n", 421),
        ] {
            let raw = scene.inside(bytes.as_bytes()).await;
            assert!(raw.status() == status || raw.status() == 405 || raw.status() == 400, "{bytes}: {raw:?}");
            assert!(scene.saw(0), "{bytes}");
        }
        assert_eq!(scene.inside(b"OPTIONS * HTTP/1.1\r\nHost: api.acme.test\r\n\r\n").await.status(), 200);
    });
}

#[test]
fn t44_t45_minting_and_token_endpoints_are_refused_in_every_reading() {
    run(async {
        let scene = scene("").await;
        for line in [
            "POST /mint/1",
            "post /mint/1",
            "POST /mint/1?x=1",
            "POST //mint/1",
            "POST /%6dint/1",
            "POST /x/../mint/1",
            "POST /./mint/1",
            "POST /MINT/1",
            "POST /mint;x=1/1",
            "POST /%256dint/1",
            "POST \\mint\\1",
            "POST /mint%2f1",
            "POST /mint/1/",
            "GET /mint-by-get",
        ] {
            let raw = scene.inside(format!("{line} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
            assert!([403, 400].contains(&raw.status()), "{line}: {raw:?}");
            assert!(scene.saw(0), "{line}");
        }
        // Refused for what they are: no plain reading of them is such an endpoint.
        for line in ["POST /%00", "POST /../x", "POST /%252525252525252541"] {
            let raw = scene.inside(format!("{line} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
            assert!(raw.status() == 403 && raw.text.contains("unclear_path"), "{line}: {raw:?}");
            assert!(scene.saw(0), "{line}");
        }
        let overriding = format!(
            "GET /mint/1 HTTP/1.1\r\nHost: {HOST}\r\nX-HTTP-Method-Override: POST\r\nX-Method-Override: POST\r\nX-HTTP-Method: POST\r\n\r\n"
        );
        assert_eq!(scene.inside(overriding.as_bytes()).await.status(), 200);
        assert!(!format!("{:?}", scene.last().headers).contains("override"), "{:?}", scene.last());
        let reply =
            scene.caller.send(request(Method::POST, "https://auth.acme.test/token", full("grant_type=refresh_token"))).await;
        assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        assert!(scene.saw(1));
    });
}

#[test]
fn t44_a_websocket_over_http2_is_decided_as_the_get_it_becomes() {
    run(async {
        let scene = scene("").await;
        let stream = scene.caller.tls(HOST, &["h2"]).await;
        let (mut sender, connection) = hyper::client::conn::http2::handshake::<_, _, crate::harness::Body>(
            hyper_util::rt::TokioExecutor::new(),
            hyper_util::rt::TokioIo::new(stream),
        )
        .await
        .expect("h2");
        tokio::spawn(connection);
        sender.ready().await.expect("settings");
        let mut request =
            Request::builder().method("CONNECT").uri("https://api.acme.test/mint-by-get").body(empty()).expect("a request");
        request.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
        let response = sender.send_request(request).await.expect("an answer");
        assert_eq!(response.status(), 403);
        assert!(scene.saw(0));
    });
}

async fn two_users(config: &str) -> (Authority, Upstream, Nexus, [String; 3]) {
    let ca = Authority::new();
    let service = service(&ca, Offers::Http1).await;
    let builder = home(&ca, &service).config(config).register("acme:alice", &[("api_key", "alice-key-0123456789abcdef")]);
    let builder = builder.register("acme:bob", &[("api_key", "bob-key-0123456789abcdefgh")]);
    let (builder, alice) = builder.agent("alice-agent", |agent| agent.user = Some("alice".parse().expect("a user")));
    let (builder, bob) = builder.agent("bob-agent", |agent| agent.user = Some("bob".parse().expect("a user")));
    let (builder, stranger) =
        builder.agent("stranger", |agent| agent.providers = Some(vec!["github".parse().expect("a provider")]));
    (ca, service, builder.start(), [alice, bob, stranger])
}

#[test]
fn t33_i6_an_agent_gets_its_users_connection_and_no_other() {
    run(async {
        let (_ca, service, nexus, [alice, bob, stranger]) = two_users("").await;
        let ask = async |name: &str, token: &str, connection: Option<&str>| -> Reply {
            let mut request = request(Method::GET, "https://api.acme.test/", empty());
            if let Some(connection) = connection {
                request.headers_mut().insert("nexus-connection", connection.parse().expect("a value"));
            }
            Caller::new(&nexus).agent(name, token).send(request).await
        };
        for (name, token, connection, key) in [
            ("alice-agent", &alice, None, "alice-key-0123456789abcdef"),
            ("bob-agent", &bob, None, "bob-key-0123456789abcdefgh"),
            ("alice-agent", &alice, Some("acme"), KEY),
            ("alice-agent", &alice, Some("acme:alice"), "alice-key-0123456789abcdef"),
        ] {
            assert_eq!(ask(name, token, connection).await.status, 200);
            let seen = service.seen().pop().expect("a request");
            assert_eq!((seen.bearer(), seen.header("nexus-connection")), (Some(key), None));
        }
        let before = service.count();
        for (name, token, connection) in [
            ("alice-agent", &alice, Some("acme:bob")),
            ("alice-agent", &alice, Some("github")),
            ("alice-agent", &alice, Some("acme:bob ")),
            ("bob-agent", &bob, Some("acme:alice")),
            ("stranger", &stranger, None),
            ("stranger", &stranger, Some("acme")),
        ] {
            let reply = ask(name, token, connection).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{name} {connection:?} {reply:?}");
            assert!(!reply.text().contains("bob") && !reply.text().contains("alice"), "{reply:?}");
        }
        assert_eq!(service.count(), before);
    });
}

#[test]
fn t33_i6_placeholders_mean_a_connection_and_another_agents_are_refused() {
    run(async {
        let (_ca, service, nexus, [alice, bob, _stranger]) = two_users("").await;
        let key = nexus.placeholder_key();
        let tail =
            |agent: &str, connection: &str| key.tail(&agent.parse().expect("a name"), &connection.parse().expect("a handle"));
        let ask = async |agent: &str, token: &str, placeholder: String| {
            let mut request = request(Method::GET, "https://api.acme.test/", empty());
            request.headers_mut().insert("authorization", format!("Bearer acme_{placeholder}").parse().expect("a value"));
            Caller::new(&nexus).agent(agent, token).send(request).await
        };
        assert_eq!(ask("alice-agent", &alice, tail("alice-agent", "acme")).await.status, 200);
        assert_eq!(service.seen().pop().expect("a request").bearer(), Some(KEY));
        assert_eq!(ask("alice-agent", &alice, tail("alice-agent", "acme:alice")).await.status, 200);
        assert_eq!(service.seen().pop().expect("a request").bearer(), Some("alice-key-0123456789abcdef"));
        for (agent, token, placeholder) in [
            ("alice-agent", &alice, tail("alice-agent", "acme:bob")),
            ("alice-agent", &alice, tail("bob-agent", "acme:bob")),
            ("alice-agent", &alice, tail("bob-agent", "acme")),
            ("bob-agent", &bob, tail("alice-agent", "acme:alice")),
        ] {
            let reply = ask(agent, token, placeholder).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        }
        assert_eq!(service.count(), 2);
    });
}

/// What a caller meant for a connection that is not there goes to nobody: the provider's slots are ours once it has one.
#[test]
fn t18_t33_i3_a_connection_that_is_not_there_lets_no_credential_of_the_callers_pass() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let alices = Builder::new(&ca).provider("acme", ACME).resolve(HOST, service.address);
        let alices = alices.register("acme:alice", &[("api_key", "alice-key-0123456789abcdef")]);
        for (builder, connections) in
            [(home(&ca, &service), &[Some("acme:ghost")][..]), (alices, &[None, Some("acme"), Some("acme:ghost")])]
        {
            let nexus = builder.config("[proxy]\nunregistered = \"pass\"").start();
            let caller = Caller::new(&nexus);
            for connection in connections {
                let named = connection.map(|connection| format!("Nexus-Connection: {connection}\r\n")).unwrap_or_default();
                let bytes = format!(
                    "GET /own HTTP/1.1\r\nHost: {HOST}\r\n{named}Authorization: Bearer {STOLEN}\r\nCookie: session={STOLEN}\r\n\
                     X-Api-Key: {STOLEN}\r\nX-Forwarded-Host: evil.test\r\n\r\n"
                );
                let raw = talk(caller.tls(HOST, &["http/1.1"]).await, bytes.as_bytes()).await;
                assert_eq!((raw.status(), raw.refusal()), (403, "auth_required"), "{connection:?}: {raw:?}");
                assert!(raw.text.contains(connection.unwrap_or("acme")), "{connection:?}: {raw:?}");
                assert_eq!(service.count(), 0, "{connection:?}");
            }
        }
    });
}

/// A service may store or show whatever is not a credential's place.
#[test]
fn t46_a_placeholder_outside_the_slots_stays_a_placeholder() {
    run(async {
        let scene = scene("").await;
        let tail = scene.nexus.placeholder_key().tail(&"local".parse().expect("a name"), &"acme".parse().expect("a handle"));
        let placeholder = format!("acme_{tail}");
        let bytes = format!(
            "POST /note/{placeholder}?note={placeholder}&token={placeholder} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: {placeholder}\r\n\
             Referer: https://{HOST}/{placeholder}\r\nAuthorization: Bearer {placeholder}\r\nX-Note: {placeholder}\r\n\
             Content-Length: {}\r\n\r\n{placeholder}",
            placeholder.len()
        );
        let raw = scene.inside(bytes.as_bytes()).await;
        assert_eq!(raw.status(), 200, "{raw:?}");
        let seen = scene.last();
        assert_eq!(seen.path, format!("/note/{placeholder}?note={placeholder}"));
        assert_eq!(seen.bearer(), Some(KEY));
        assert_eq!((seen.header("user-agent"), seen.header("x-note")), (Some(&*placeholder), Some(&*placeholder)));
        assert_eq!(seen.header("referer"), Some(&*format!("https://{HOST}/{placeholder}")));
        assert_eq!(seen.body.as_deref(), Some(placeholder.as_bytes()));
    });
}

/// git, wget2 and Java show no token unasked: what `nexus run` runs is then known by its user, and means what its placeholder says.
#[test]
fn i6_a_command_without_its_token_is_the_user_who_runs_it_until_agents_are_defined() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["api.acme.test"], Offers::Both, |_call| async { answer(200, "") }).await;
        let builder = || {
            let builder = home(&ca, &service).register("acme:alice", &[("api_key", "alice-key-0123456789abcdef")]);
            builder.agent("run-1", |agent| agent.ephemeral = true).0
        };
        let ask = async |nexus: &Nexus, owner: &str| {
            let tail = nexus.placeholder_key().tail(&owner.parse().expect("a name"), &"acme:alice".parse().expect("a handle"));
            let mut request = request(Method::GET, "https://api.acme.test/", empty());
            request.headers_mut().insert("authorization", format!("Bearer acme_{tail}").parse().expect("a value"));
            Caller::new(nexus).send(request).await.status
        };
        let nexus = builder().start();
        assert_eq!(ask(&nexus, "run-1").await, 200);
        assert_eq!(service.seen().pop().expect("a request").bearer(), Some("alice-key-0123456789abcdef"));
        let (builder, _token) = builder().agent("lasting", |_agent| {});
        let nexus = builder.start();
        assert_eq!(Caller::new(&nexus).tunnel("api.acme.test:443").await.expect_err("no token").status, 407);
        assert_eq!(service.count(), 1);
    });
}

/// Its token was not shown, its provider has no connection (any more): what a command got instead of a credential still goes nowhere.
#[test]
fn i1_no_placeholder_of_any_agent_is_forwarded_where_a_provider_is_unregistered() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, |_call| async { answer(200, "") }).await;
        let builder = Builder::new(&ca).provider("acme", ACME).resolve(HOST, service.address);
        let (builder, _token) = builder.agent("run-1", |agent| agent.ephemeral = true);
        let alice = |agent: &mut nexus::agent::Registered| {
            (agent.ephemeral, agent.user) = (true, Some("alice".parse().expect("a name")));
        };
        let (builder, _token) = builder.agent("run-2", alice);
        let nexus = builder.start();
        for (owner, connection) in [("run-1", "acme"), ("run-2", "acme"), ("run-2", "acme:alice"), ("local", "acme")] {
            let connection = connection.parse().expect("a handle");
            let tail = nexus.placeholder_key().tail(&owner.parse().expect("a name"), &connection);
            let mut asked = request(Method::GET, &format!("https://{HOST}/"), empty());
            asked.headers_mut().insert("authorization", format!("Bearer acme_{tail}").parse().expect("a value"));
            let reply = Caller::new(&nexus).send(asked).await;
            assert_eq!((reply.status, reply.refusal(), service.count()), (403, Some("auth_required"), 0), "{owner}: {reply:?}");
        }
    });
}

#[test]
fn i2_hosts_are_sealed_and_tenants_are_one_label() {
    run(async {
        let ca = Authority::new();
        let names = ["one.acme.test", "two.acme.test", "acme.atlassian.net", "evil.atlassian.net"];
        let service = Upstream::serve(&ca, &names, Offers::Http1, |_call| async { answer(200, "") }).await;
        let wide = r#"
name = "wide"
title = "Wide"
slots = ["authorization"]
[[inject]]
hosts = ["one.acme.test", "two.acme.test"]
strategy = { bearer = "{api_key}" }
"#;
        let mut builder = Builder::new(&ca).provider("wide", wide).register("wide", &[("api_key", KEY)]);
        builder = builder.register("jira", &[("username", "me@acme.test"), ("password", KEY), ("site", "acme")]);
        for name in names {
            builder = builder.resolve(name, service.address);
        }
        let id: nexus::model::ConnectionId = "wide".parse().expect("a name");
        let store = builder.store();
        let mut credential = nexus::model::Credential::default();
        credential.set("api_key", nexus::model::Secret::new(KEY.to_owned()));
        let mut entry = nexus::vault::Entry::new(id.provider().clone(), nexus::vault::AuthType::ApiKey, credential);
        entry.hosts = vec!["one.acme.test".into()];
        store.register(&id, entry).expect("a registration");
        let nexus = builder.start();
        let caller = Caller::new(&nexus);
        assert_eq!(caller.get("https://one.acme.test/").await.status, 200);
        assert_eq!(caller.get("https://acme.atlassian.net/rest/api/3/myself").await.status, 200);
        for url in ["https://two.acme.test/", "https://evil.atlassian.net/rest/api/3/myself"] {
            let reply = caller.get(url).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{url} {reply:?}");
        }
        assert_eq!(service.count(), 2);
    });
}

#[test]
fn an_unregistered_provider_passes_or_says_what_is_missing() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, |call| async move {
            answer(if call.seen.path == "/private" { 401 } else { 200 }, "")
        })
        .await;
        for unregistered in ["pass", "refuse"] {
            let builder = Builder::new(&ca).provider("acme", ACME).resolve(HOST, service.address);
            let nexus = builder.config(&format!("[proxy]\nunregistered = \"{unregistered}\"")).start();
            let caller = Caller::new(&nexus);
            let mut own = request(Method::GET, "https://api.acme.test/public", empty());
            own.headers_mut().insert("authorization", "Bearer developers-own".parse().expect("a value"));
            let reply = caller.send(own).await;
            if unregistered == "pass" {
                assert_eq!((reply.status, service.seen().pop().expect("a request").bearer()), (200, Some("developers-own")));
            } else {
                assert_eq!((reply.status, reply.refusal()), (403, Some("auth_required")));
            }
            let before = service.count();
            let tail = nexus.placeholder_key().tail(&"local".parse().expect("a name"), &"acme".parse().expect("a handle"));
            let mut placeholder = request(Method::GET, "https://api.acme.test/public", empty());
            placeholder.headers_mut().insert("authorization", format!("Bearer acme_{tail}").parse().expect("a value"));
            let reply = caller.send(placeholder).await;
            assert_eq!((reply.status, reply.refusal(), service.count()), (403, Some("auth_required"), before), "{reply:?}");
            let document: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
            for member in ["category", "urgency", "title", "request_id", "status_url", "command"] {
                assert!(document[member].is_string(), "{member}: {document}");
            }
            let reply = caller.get("https://api.acme.test/private").await;
            assert_eq!(
                (reply.status, reply.refusal()),
                (403, Some("auth_required")),
                "a 401 would make a client prompt: {reply:?}"
            );
        }
    });
}

#[test]
fn t61_trailers_bring_no_credential_of_the_callers() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http2).await;
        let nexus = home(&ca, &service).start();
        let mut session = Caller::new(&nexus).http2(HOST).await;
        let send = async |session: &mut crate::harness::Session, name: &'static str| {
            let (mut sender, body) = channel();
            let sending = session.try_send(request(Method::POST, "https://api.acme.test/t", body));
            let feeding = async {
                sender.send_data("data".into()).await.expect("a frame");
                let mut trailers = HeaderMap::new();
                trailers.insert(name, STOLEN.parse().expect("a value"));
                trailers.insert("x-checksum", "1".parse().expect("a value"));
                sender.send_trailers(trailers).await.expect("trailers");
                drop(sender);
            };
            tokio::join!(sending, feeding).0
        };
        assert_eq!(send(&mut session, "x-api-key").await.expect("an answer").status, 200);
        let seen = service.seen().pop().expect("a request");
        let trailers = seen.trailers.expect("trailers");
        assert!(trailers.contains_key("x-checksum") && !trailers.contains_key("x-api-key"), "{trailers:?}");
        for name in ["authorization", "host", "content-length", "cookie", "proxy-authorization"] {
            let outcome = send(&mut session, name).await;
            assert!(outcome.as_ref().map_or(true, |reply| reply.status == 400), "{name}: {outcome:?}");
        }
        assert!(service.seen().iter().all(|seen| !format!("{seen:?}").contains("STOLEN")));
    });
}

#[test]
fn t35_to_t38_i1_reflections_in_fields_reason_and_trailers_do_not_reach_the_caller() {
    use base64::Engine as _;
    run(async {
        let ca = Authority::new();
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("x:{KEY}"));
        let hexadecimal: String = KEY.bytes().map(|byte| format!("{byte:02X}")).collect();
        let percent: String = KEY.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let json: String = KEY.bytes().map(|byte| format!("\\u00{byte:02X}")).collect();
        let service = Upstream::raw(&ca, &[HOST], Offers::Http1, move |mut stream, _number| {
            use tokio::io::AsyncWriteExt as _;
            let (encoded, hexadecimal) = (encoded.clone(), hexadecimal.clone());
            let (percent, json, twice) = (percent.clone(), json.clone(), percent.replace('%', "%25"));
            let partly = KEY.replace('-', "%2D");
            async move {
                let _head = crate::harness::read_head(&mut stream).await;
                let head = format!(
                    "HTTP/1.1 103 Early {KEY}\r\nLink: <{KEY}>\r\n\r\nHTTP/1.1 200 {KEY}\r\nX-Echo: Bearer {KEY}\r\nX-{KEY}: 1\r\nX-Base: {encoded}\r\n\
                     X-Hex: {hexadecimal}\r\nSet-Cookie: a={KEY}\r\nWWW-Authenticate: Bearer {KEY}\r\nLocation: /{KEY}\r\nX-Kept: yes\r\n\
                     X-Percent: {percent}\r\nX-Partly: /a?b={partly}&c=100%\r\nX-Json: {{\"k\":\"{json}\"}}\r\nX-Twice: /next?to={twice}\r\n\
                     X-Odd: 100% of \\u00 and \\\r\n\
                     Trailer: X-Late\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Late: {KEY}\r\nX-Later: {percent}\r\nX-Fine: 1\r\n\r\n"
                );
                drop(stream.write_all(head.as_bytes()).await);
                drop(stream.flush().await);
                std::future::pending::<()>().await;
            }
        })
        .await;
        let nexus = home(&ca, &service).start();
        let bytes = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\n\r\n");
        let raw = talk(Caller::new(&nexus).tls(HOST, &[]).await, bytes.as_bytes()).await;
        let lower = raw.text.to_lowercase();
        assert!(
            raw.text.starts_with("HTTP/1.1 200 OK\r\n") && lower.contains("x-kept: yes") && raw.text.contains("ok"),
            "{raw:?}"
        );
        let spelled = ["%61", "%2d", "u0061", "%2561"];
        assert!(lower.contains("x-odd: 100% of \\u00 and \\"), "{raw:?}");
        // The rest of a field stays.
        let placeholder = &nexus.placeholder("local", "acme");
        for (name, before, after) in
            [("x-echo", "bearer ", ""), ("x-partly", "/a?b=", "&c=100%"), ("x-json", "{\"k\":\"", "\"}")]
        {
            let field = lower.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).expect(name);
            assert!(field.starts_with(before) && field.ends_with(after), "{field}");
        }
        for name in ["x-percent", "x-twice", "x-base", "x-hex", "location"] {
            assert!(lower.contains(&format!("\r\n{name}: ")), "{name}: {raw:?}");
        }
        let late = lower.lines().find_map(|line| line.strip_prefix("x-late: ")).expect("a trailer");
        assert!(placeholder.to_lowercase().ends_with(late), "{late}");
        for secret in [KEY, "YWNtZS1rZXk", "61636d652d6b6579", "103"].into_iter().chain(spelled) {
            assert!(!lower.contains(&secret.to_lowercase()), "{secret}: {raw:?}");
        }
        let line = nexus.closed("/").await;
        assert!(line["guard_hits"].as_u64() >= Some(6), "{line}");
    });
}

/// A service that redirects with the query it was sent shows what was put on, as it was put on.
#[test]
fn t35_t41_i1_a_key_in_the_query_does_not_come_back_in_a_redirect() {
    run(async {
        const SLASHED: &str = "abc/def+0123456789/ABCDEF==";
        let maps = "name = \"maps\"\ntitle = \"Maps\"\nslots = [\"query:key\"]\n[[inject]]\nhosts = [\"api.acme.test\"]\n\
                    strategy = { query = { name = \"key\", value = \"{api_key}\" } }";
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, |call| async move {
            let mut response = answer(302, "");
            let query = call.seen.path.split_once('?').expect("a query").1;
            let next: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for (name, value) in
                [("location", format!("/other?{query}")), ("link", format!("</login?next={next}>")), ("x-kept", "yes".into())]
            {
                response.headers_mut().insert(name, value.parse().expect("a value"));
            }
            response
        })
        .await;
        let builder = Builder::new(&ca).provider("maps", maps).register("maps", &[("api_key", SLASHED)]);
        let nexus = builder.resolve(HOST, service.address).start();
        let reply = Caller::new(&nexus).get("https://api.acme.test/tile?x=1").await;
        assert_eq!(service.seen()[0].path, "/tile?x=1&key=abc%2Fdef%2B0123456789%2FABCDEF%3D%3D");
        assert_eq!((reply.status, reply.headers.contains_key("x-kept")), (302, true));
        let field = |name: &str| reply.headers[name].to_str().expect("text").to_owned();
        let (location, link) = (field("location"), field("link"));
        assert!(
            location.starts_with("/other?x=1&key=") && link.starts_with("</login?next=") && link.ends_with('>'),
            "{reply:?}"
        );
        for shown in ["0123456789", "%30%31", "abc"] {
            assert!(!location.contains(shown) && !link.contains(shown), "{reply:?}");
        }
    });
}
