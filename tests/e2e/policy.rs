//! The rules that people write, through the whole proxy: what they refuse, count, look into and only report.

use bytes::Bytes;
use http::{Method, Request};
use nexus::app::{Home, Inquired, Outcome};
use serde_json::Value;

use crate::attack::{ACME, HOST, KEY, home, service};
use crate::harness::{
    Authority, Body, Builder, Call, Caller, Nexus, Offers, Reply, Upstream, answer, channel, empty, full, request, run,
    run_within,
};

const STRANGER: &str = "stranger.test";

/// A proxy with these rules, and the service behind it.
struct Ruled {
    service: Upstream,
    nexus: Nexus,
    caller: Caller,
}

async fn ruled(rules: &str) -> Ruled {
    let ca = Authority::new();
    let service = service(&ca, Offers::Both).await;
    let nexus = home(&ca, &service).config(rules).resolve("evil.test", service.address).start();
    let caller = Caller::new(&nexus);
    Ruled { service, nexus, caller }
}

/// `policies/NAME.toml`.
fn put(home: &Home, name: &str, text: &str) {
    nexus::disk::create_private_dir(&home.policies()).expect("a folder");
    let file = home.policies().join(format!("{name}.toml"));
    nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
}

fn document(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {reply:?}"))
}

/// The name of the rule that refused it.
fn refused_by(reply: &Reply) -> String {
    assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
    document(reply)["rule"].as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

fn to(method: Method, path: &str, body: Body) -> Request<Body> {
    request(method, &format!("https://{HOST}{path}"), body)
}

const READ_ONLY: &str = "[[rule]]\nname = \"look, don't touch\"\nprovider = \"acme\"\npreset = \"read_only\"\nreason = \"Ask the platform team.\"\n";

#[test]
fn read_only_is_one_rule_on_either_http() {
    run(async {
        let Ruled { service, nexus, caller } = ruled(READ_ONLY).await;
        for mut session in [caller.http1(HOST).await, caller.http2(HOST).await] {
            let before = service.count();
            assert_eq!(session.get("/read").await.status, 200);
            assert_eq!(service.seen().last().and_then(|seen| seen.bearer()), Some(KEY));
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let reply = session.send(to(method, "/write", full("x"))).await;
                assert_eq!(refused_by(&reply), "look, don't touch");
                assert_eq!(reply.headers.get("x-should-retry").map(http::HeaderValue::as_bytes), Some(&b"false"[..]));
                assert!(document(&reply)["detail"].as_str().is_some_and(|text| text.contains("Ask the platform team.")));
            }
            // What one service reads as DELETE is refused, whatever others read.
            let reply = session.get("/read?_method=DELETE").await;
            assert_eq!(refused_by(&reply), "look, don't touch");
            assert_eq!(service.count(), before + 1, "nothing else left");
        }
        let line = nexus.closed("/write").await;
        assert_eq!(
            (line["event"].as_str(), line["rule"].as_str(), line["verdict"].as_str()),
            (Some("refuse"), Some("look, don't touch"), Some("refuse"))
        );
        let line = nexus.audit_line(|line| line["path"] == "/read" && line["event"] == "open").await;
        assert_eq!(line["rule"], "look, don't touch");
    });
}

/// Fields by which services pick another method, path or host.
const PUT_IN_PLACE: [&str; 28] = [
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X_HTTP_Method_Override",
    "X-Tunneled-Method",
    "X-Original-Method",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Path",
    "X-Rewrite-URI",
    "X-Override-URL",
    "X-HTTP-Path-Override",
    "X-Forwarded-Path",
    "X-Forwarded-Prefix",
    "X-Forwarded-URL",
    "X-Script-Name",
    "Script-Name",
    "Script_Name",
    "X-Envoy-Original-Path",
    "X-Envoy-Original-Dst-Host",
    "X-Forwarded-Context",
    "X-Forwarded-Request-URI",
    "X-Request-URI",
    "X-Method",
    "X-HTTP-URL-Override",
    "X-Real-URL",
    "X-Proxy-URL",
    "X-Orig-Path",
];

#[test]
fn fields_that_put_another_method_in_place_do_not_leave() {
    run(async {
        let Ruled { service, nexus: _nexus, caller } =
            ruled("[[rule]]\nhosts = \"*.test\"\nmethods = \"DELETE\"\naction = \"deny\"\n").await;
        for host in [HOST, "evil.test"] {
            let mut asked = request(Method::POST, &format!("https://{host}/x"), full("x"));
            for field in PUT_IN_PLACE {
                asked.headers_mut().append(field, "DELETE".parse().expect("a value"));
            }
            assert_eq!(caller.send(asked).await.status, 200);
            let seen = service.seen().pop().expect("a request");
            assert_eq!(seen.method, Method::POST);
            for field in PUT_IN_PLACE {
                assert!(!seen.headers.contains_key(field), "{field}: {seen:?}");
            }
            assert!(seen.headers.values().all(|value| value != "DELETE"), "{seen:?}");
        }
    });
}

#[test]
fn i2_no_spelling_of_a_path_gets_past_a_rule() {
    run(async {
        let rules = "[[rule]]\nname = \"admin\"\nhosts = [\"api.acme.test\", \"evil.test\"]\npaths = [\"/admin/**\", \"/v1/{id}/keys\"]\naction = \"deny\"\n";
        let Ruled { service, nexus: _nexus, caller } = ruled(rules).await;
        let admin = [
            "/admin",
            "/admin/",
            "/admin/x",
            "/Admin/x",
            "/ADMIN",
            "//admin/x",
            "/./admin",
            "/x/../admin",
            "/%61dmin",
            "/%2561dmin",
            "/admin%2fx",
            "/x%2f..%2fadmin",
            "/x/%2e%2e/admin",
            "/x/..;/admin",
            "/admin;v=1/x",
            "/x/..%5cadmin",
            "/admin%00",
            "/%c0%ae%c0%ae/%61dmin",
            "/%f0%80%81%a1dmin",
            "/%f8%80%80%81%a1dmin",
            "/%fc%80%80%80%81%a1dmin/x",
            "/%u0061dmin",
            "/x%u002f..%u002fadmin",
            "/%25u0061dmin",
            "/%uff41dmin",
            "/admin%c2%a0",
            "/admin%c2%85/x",
            "/%e1%9a%80admin",
            "/admin%e3%80%80",
            "/admin%e2%80%83/x",
            "/admin%e2%80%a9",
            "/admin%e2%80%af.",
            "/%e2%81%9fadmin",
            "/admin%a0",
            "/x/%252e%252e/admin",
            "/v1/7/keys",
            "/v1/7/keys/",
            "/v1//7/keys",
            "/v1/7/KEYS",
            "/v1/a%2f..%2f7/keys",
            "/v1/7/./keys?x=/y",
        ];
        for host in [HOST, "evil.test"] {
            let mut session = caller.http1(host).await;
            for path in admin {
                let reply = session.send(request(Method::GET, &format!("https://{host}{path}"), empty())).await;
                // What no service reads alike is refused before any rule is asked, where the provider's file has places to guard.
                assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{host}{path}: {reply:?}");
            }
            let before = service.count();
            for path in ["/administrators", "/v1/7/key", "/v1/keys", "/v1/7/keys/x", "/caf%C3%A9", "/voil%C3%A0"] {
                let reply = session.send(request(Method::GET, &format!("https://{host}{path}"), empty())).await;
                assert_eq!(reply.status, 200, "{path}: {reply:?}");
            }
            assert_eq!(service.count(), before + 6);
        }
        assert_eq!(service.count(), 12);
    });
}

#[test]
fn a_host_is_shut_opened_or_watched_as_its_rules_say() {
    run(async {
        let rules = format!(
            "[policy]\ndefault = \"deny\"\n{READ_ONLY}[[rule]]\nname = \"no\"\nhosts = \"{STRANGER}\"\naction = \"deny\"\n\
             [[rule]]\nname = \"some\"\nhosts = \"evil.test\"\npaths = \"/public/**\"\naction = \"allow\"\n\
             [[rule]]\nname = \"all\"\nhosts = \"*.evil.test\"\naction = \"allow\"\n"
        );
        let Ruled { service, nexus, caller } = ruled(&rules).await;
        // Shut: accepted, so that the request inside can be told.
        let reply = caller.get(&format!("https://{STRANGER}/x")).await;
        assert_eq!(refused_by(&reply), "no");
        assert_eq!(nexus.closed("/x").await["rule"], "no");
        // Named by no rule.
        let reply = caller.get("https://nowhere.test/x").await;
        assert_eq!((reply.status, reply.refusal()), (403, Some("policy")));
        assert!(
            document(&reply)["detail"].as_str().is_some_and(|text| text.contains("No rule of the policy allows this")),
            "{reply:?}"
        );
        assert_eq!(service.connections(), 0, "nothing was dialled");
        // Watched: what is inside is decided by itself.
        assert_eq!(caller.get("https://evil.test/public/x").await.status, 200);
        let reply = caller.get("https://evil.test/private").await;
        assert_eq!((reply.status, reply.refusal()), (403, Some("policy")));
        // A provider's place that a rule opens, and its other requests.
        assert_eq!(caller.get(&format!("https://{HOST}/x")).await.status, 200);
        assert_eq!(refused_by(&caller.send(to(Method::POST, "/x", empty())).await), "look, don't touch");
        assert_eq!(service.count(), 2);
    });
}

#[test]
fn an_open_host_is_a_tunnel_where_others_are_refused() {
    run(async {
        let rules = "[proxy]\nunmatched = \"refuse\"\n[[rule]]\nname = \"there\"\nhosts = \"api.acme.test.evil.test\"\naction = \"allow\"\n";
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let builder = home(&ca, &service).config(rules);
        let nexus = builder.resolve("api.acme.test.evil.test", service.address).resolve("evil.test", service.address).start();
        let caller = Caller::new(&nexus);
        let stream = caller.tunnel("api.acme.test.evil.test:443").await.expect("a tunnel");
        // It is the service's own certificate, which this caller doesn't trust.
        caller.handshake(stream, "api.acme.test.evil.test", &["http/1.1"]).await.expect_err("not ours");
        let line = nexus.audit_line(|line| line["event"] == "tunnel_open").await;
        assert_eq!((line["host"].as_str(), line["rule"].as_str()), (Some("api.acme.test.evil.test"), Some("there")));
        assert_eq!(caller.get("https://evil.test/").await.refusal(), Some("policy"));
    });
}

#[test]
fn rules_change_while_the_proxy_runs_and_a_mistake_changes_none() {
    run(async {
        let Ruled { service: _service, nexus, caller } =
            ruled("[[rule]]\nname = \"one\"\nhosts = \"api.acme.test\"\npaths = \"/one\"\naction = \"deny\"\n").await;
        let blocked = async |path: &str| caller.get(&format!("https://{HOST}{path}")).await.status == 403;
        assert!(blocked("/one").await && !blocked("/two").await);
        let two = "[[rule]]\nname = \"two\"\nhosts = \"api.acme.test\"\npaths = \"/two\"\naction = \"deny\"\n";
        put(nexus.home(), "two", two);
        nexus.reload();
        assert!(blocked("/one").await && blocked("/two").await);
        for mistake in [
            two.replace("deny", "denny"),
            two.replace("paths", "path"),
            two.replace("\"two\"", "\"one\""),
            two.replace("hosts = \"api.acme.test\"", "provider = \"nobody\""),
            String::new(),
            "[proxy]\n".to_owned(),
        ] {
            put(nexus.home(), "two", &mistake);
            nexus.reload();
            assert!(blocked("/one").await && blocked("/two").await, "{mistake}");
        }
        std::fs::remove_file(nexus.home().policies().join("two.toml")).expect("gone");
        nexus.reload();
        assert!(blocked("/two").await, "a file that is gone opens nothing");
        put(nexus.home(), "two", "# nothing any more\n");
        nexus.reload();
        assert!(blocked("/one").await && !blocked("/two").await);
        // What nexus.toml says besides is taken with the rules or not at all.
        let config = nexus.home().config_file();
        let text = std::fs::read_to_string(&config).expect("the file");
        nexus::disk::write_atomic(
            &config,
            format!("{text}\n[[rule]]\naction = \"allow\"\nmethods = \"get\"\n").as_bytes(),
            nexus::disk::PRIVATE,
        )
        .expect("a file");
        nexus.reload();
        assert!(blocked("/one").await);
    });
}

#[test]
fn a_proxy_sees_a_new_file_of_rules_by_itself() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let nexus = home(&ca, &service).spawn().await;
        let caller = Caller::new(&nexus);
        assert_eq!(caller.get(&format!("https://{HOST}/x")).await.status, 200);
        put(nexus.home(), "shut", "[[rule]]\nname = \"shut\"\nhosts = \"api.acme.test\"\naction = \"deny\"\n");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while caller.get(&format!("https://{HOST}/x")).await.status != 403 {
            assert!(std::time::Instant::now() < deadline, "the file was not seen");
        }
    });
}

#[test]
fn a_start_with_a_rule_that_is_wrong_is_refused_with_its_place() {
    let ca = Authority::new();
    let said = |text: &str| {
        let builder = Builder::new(&ca).provider("acme", &ACME.replace("[[inject]]", "[presets]\nnone = true\n[[inject]]"));
        put(builder.home(), "a", text);
        let config = builder.home().config(&[]).expect("sound");
        nexus::app::check(builder.home(), &config, false).expect_err(text).to_string()
    };
    for (text, words) in [
        (
            "\n[[rule]]\nprovider = \"acmee\"\naction = \"deny\"\n",
            "policies/a.toml: line 2: the catalogue has no provider called acmee",
        ),
        ("[[rule]]\nprovider = \"acme\"\npreset = \"read_only\"\n", "acme has no preset `read_only`"),
        ("[[rule]]\nhost = \"a.test\"\naction = \"deny\"\n", "line 2, column 1: unknown key `host`"),
    ] {
        assert!(said(text).contains(words), "{}", said(text));
    }
}

#[test]
fn a_rule_that_reports_refuses_nobody_and_is_on_record() {
    run(async {
        let rules = format!(
            "{READ_ONLY}mode = \"report\"\n[[rule]]\nname = \"slow\"\nhosts = \"{HOST}\"\naction = \"limit\"\nper_day = 1\nmode = \"report\"\n"
        );
        let Ruled { service, nexus, caller } = ruled(&rules).await;
        assert_eq!(caller.get(&format!("https://{HOST}/first")).await.status, 200);
        assert_eq!(caller.send(to(Method::POST, "/second", full("x"))).await.status, 200);
        assert_eq!(service.count(), 2);
        assert_eq!(nexus.closed("/first").await["would_refuse"], Value::Null);
        let line = nexus.audit_line(|line| line["path"] == "/second" && line["event"] == "open").await;
        assert_eq!((line["would_refuse"].as_str(), line["rule"].as_str()), (Some("look, don't touch, slow"), None));
    });
}

#[test]
fn i6_a_limit_counts_each_agent_by_itself() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let rules = "[[rule]]\nname = \"slowly\"\nagents = \"bot-*\"\nmethods = \"GET\"\naction = \"limit\"\nrate = \"2/h\"\n\
                     [[rule]]\nname = \"together\"\nmethods = \"PUT\"\naction = \"limit\"\nper_day = 2\nper = \"rule\"\n";
        let (builder, one) = home(&ca, &service).config(rules).agent("bot-1", |_| {});
        let (builder, two) = builder.agent("bot-2", |_| {});
        let nexus = builder.start();
        let one = Caller::new(&nexus).agent("bot-1", &one);
        let two = Caller::new(&nexus).agent("bot-2", &two);
        for caller in [&one, &two] {
            let mut session = caller.http1(HOST).await;
            assert_eq!([session.get("/a").await.status, session.get("/b").await.status], [200, 200]);
            let reply = session.get("/c").await;
            assert_eq!((reply.status, reply.refusal()), (429, Some("limit")), "{reply:?}");
            let wait: u64 = reply.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
            assert!((1790..=1800).contains(&wait), "{wait}");
            assert_eq!((document(&reply)["rule"].as_str(), reply.headers.get("x-should-retry")), (Some("slowly"), None));
            // Another method is not counted.
            assert_eq!(session.send(to(Method::POST, "/d", empty())).await.status, 200);
        }
        assert_eq!(nexus.closed("/c").await["rule"], "slowly");
        let put = async |caller: &Caller| caller.send(to(Method::PUT, "/e", empty())).await.status;
        assert_eq!([put(&one).await, put(&two).await, put(&one).await], [200, 200, 429]);
        assert_eq!(service.count(), 8);
    });
}

#[test]
fn requests_at_a_time_and_bytes_are_limits_too() {
    run(async {
        let ca = Authority::new();
        let (release, released) = tokio::sync::watch::channel(false);
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, move |mut call: Call| {
            let mut released = released.clone();
            async move {
                drop(call.read().await);
                if call.seen.path == "/slow" {
                    drop(released.wait_for(|released| *released).await);
                }
                answer(200, "x".repeat(1000))
            }
        })
        .await;
        let rules = "[[rule]]\nname = \"one by one\"\npaths = [\"/slow\", \"/fast\"]\naction = \"limit\"\nconcurrency = 1\n\
                     [[rule]]\nname = \"little\"\npaths = \"/bytes\"\naction = \"limit\"\nbytes = \"1500B/day\"\n";
        let nexus = home(&ca, &service).config(rules).start();
        let caller = Caller::new(&nexus);
        let slow = tokio::spawn({
            let caller = caller.clone();
            async move { caller.get(&format!("https://{HOST}/slow")).await.status }
        });
        service.until(|seen| seen.iter().any(|seen| seen.path == "/slow")).await;
        let reply = caller.get(&format!("https://{HOST}/fast")).await;
        assert_eq!((reply.status, document(&reply)["rule"].as_str()), (429, Some("one by one")));
        release.send(true).expect("it waits");
        assert_eq!(slow.await.expect("an answer"), 200);
        nexus.closed("/slow").await;
        assert_eq!(caller.get(&format!("https://{HOST}/fast")).await.status, 200);
        let mut session = caller.http1(HOST).await;
        let bytes = async |session: &mut crate::harness::Session| {
            session.send(to(Method::POST, "/bytes", full("y".repeat(200)))).await.status
        };
        assert_eq!(bytes(&mut session).await, 200);
        nexus.audit_line(|line| line["path"] == "/bytes" && line["event"] == "close").await;
        assert_eq!(bytes(&mut session).await, 200, "1200 of 1500");
        nexus.audit_line(|line| line["path"] == "/bytes" && line["event"] == "close" && line["bytes_up"] == 200).await;
        crate::harness::eventually("both are closed", || {
            (nexus.audit().iter().filter(|line| line["path"] == "/bytes" && line["event"] == "close").count() == 2)
                .then_some(())
        })
        .await;
        assert_eq!(bytes(&mut session).await, 429);
    });
}

#[test]
fn a_graphql_body_is_read_before_it_goes_on() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        let file = ACME.replace("[[inject]]", "[presets]\ngraphql = [\"/graphql\"]\n[[inject]]");
        let builder =
            Builder::new(&ca).provider("acme", &file).register("acme", &[("api_key", KEY)]).resolve(HOST, service.address);
        let nexus = builder.config(READ_ONLY).start();
        let caller = Caller::new(&nexus);
        let query = r#"{"query":"query { viewer { login } }"}"#;
        let graphql = |body: Body, kind: &'static str| {
            let mut request = to(Method::POST, "/graphql", body);
            request.headers_mut().insert("content-type", kind.parse().expect("a value"));
            request
        };
        for mut session in [caller.http1(HOST).await, caller.http2(HOST).await] {
            let before = service.count();
            assert_eq!(session.send(graphql(full(query), "application/json")).await.status, 200);
            // In pieces, of a length that nobody told.
            let (mut sender, body) = channel();
            let feeding = tokio::spawn(async move {
                for piece in query.as_bytes().chunks(7) {
                    sender.send_data(piece.to_vec().into()).await.expect("taken");
                }
            });
            assert_eq!(session.send(graphql(body, "application/json; charset=utf-8")).await.status, 200);
            feeding.await.expect("fed");
            let seen = service.seen();
            assert!(
                seen[before..].iter().all(|seen| seen.body.as_deref() == Some(query.as_bytes()) && seen.bearer() == Some(KEY)),
                "{seen:?}"
            );
            for (body, kind) in [
                (r#"{"query":"mutation { addStar { id } }"}"#, "application/json"),
                (r#"{"query":"query A { a } mutation B { b }","operationName":"A"}"#, "application/json"),
                (r#"[{"query":"{a}"},{"query":"mutation { b }"}]"#, "application/json"),
                (r#"{"query":"{a}","query":"mutation { b }"}"#, "application/json"),
                (query, "text/plain"),
                ("mutation { b }", "application/graphql"),
            ] {
                assert_eq!(refused_by(&session.send(graphql(full(body), kind)).await), "look, don't touch", "{body}");
            }
            let mut packed = graphql(full(query), "application/json");
            packed.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
            assert_eq!(refused_by(&session.send(packed).await), "look, don't touch");
            assert_eq!(session.get("/graphql?query=%7Ba%7D").await.status, 200);
            assert_eq!(refused_by(&session.get("/graphql?query=mutation%7Ba%7D").await), "look, don't touch");
            assert_eq!(service.count(), before + 3);
        }
    });
}

#[test]
fn what_switches_protocols_is_not_reading() {
    run(async {
        let Ruled { service, nexus: _nexus, caller } = ruled(READ_ONLY).await;
        let mut socket = to(Method::GET, "/socket", empty());
        for (name, value) in [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            socket.headers_mut().insert(name, value.parse().expect("a value"));
        }
        assert_eq!(refused_by(&caller.send(socket).await), "look, don't touch");
        assert_eq!(service.count(), 0);
    });
}

#[test]
fn rules_hold_at_every_door() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let (builder, token) = home(&ca, &service).config(READ_ONLY).agent("a", |_| {});
        let nexus = builder.start();
        let stream = Caller::new(&nexus).tcp().await;
        let head = format!("DELETE /~{token}/{HOST}/x HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", nexus.address);
        let raw = crate::attack::talk(stream, head.as_bytes()).await;
        assert_eq!((raw.status(), raw.refusal()), (403, "policy"), "{raw:?}");
        let stream = Caller::new(&nexus).tcp().await;
        let head = format!("GET /~{token}/{HOST}/x HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", nexus.address);
        assert_eq!(crate::attack::talk(stream, head.as_bytes()).await.status(), 200);
        assert_eq!(service.count(), 1);
    });
}

/// Numbers that are the same in every run.
struct Chance(u64);

impl Chance {
    fn of<'w>(&mut self, words: &[&'w str]) -> &'w str {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        words[usize::try_from(self.0 >> 33).expect("small") % words.len()]
    }
}

/// 10,000 random requests with `NEXUS_TEST_ALL=1`, else 2,000.
#[test]
fn explain_says_what_the_exchange_does() {
    let all = std::env::var_os("NEXUS_TEST_ALL").is_some_and(|all| all == "1");
    let count = if all { 10_000 } else { 2_000 };
    run_within(std::time::Duration::from_secs(300), async move {
        let rules = "[policy]\ndefault = \"deny\"\n\
            [[rule]]\nname = \"admin\"\nhosts = \"*.test\"\npaths = [\"/admin/**\", \"/x/{y}/z\"]\naction = \"deny\"\n\
            [[rule]]\nname = \"big\"\nhosts = \"api.acme.test\"\nlarger_than = \"10B\"\naction = \"deny\"\n\
            [[rule]]\nname = \"json\"\nhosts = \"evil.test\"\nmethods = [\"POST\", \"PUT\"]\ncontent_types = \"application/json\"\naction = \"allow\"\n\
            [[rule]]\nname = \"acme\"\nprovider = \"acme\"\npreset = \"no_delete\"\n\
            [[rule]]\nname = \"evil\"\nhosts = \"evil.test\"\nmethods = [\"GET\", \"HEAD\"]\npaths = [\"/public/**\", \"/x/*\"]\naction = \"allow\"\n";
        let Ruled { service: _service, nexus, caller } = ruled(rules).await;
        let config = nexus.home().config(&[]).expect("sound");
        let explainer = nexus::app::Explainer::new(nexus.home(), &config, &nexus.store().snapshot().expect("a vault"))
            .expect("an explainer");
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let paths = [
            "/admin",
            "/Admin/x",
            "/x/../admin",
            "/public/a",
            "/public/%2e%2e/admin",
            "/x/y",
            "/x/y/z",
            "/x//z",
            "/v1/a?_method=DELETE",
            "/v1/a?b=c",
        ];
        let (mut sessions, mut outcomes) =
            ([caller.http1(HOST).await, caller.http1("evil.test").await], std::collections::BTreeMap::new());
        for number in 0..count {
            let at = number % 2;
            let (host, path) = ([HOST, "evil.test"][at], chance.of(&paths));
            let (method, body) =
                (chance.of(&["GET", "POST", "PUT", "DELETE", "PATCH", "get"]), chance.of(&["", "short", "a longer body"]));
            let kind = chance.of(&["application/json", "text/plain"]);
            let body = if method.eq_ignore_ascii_case("get") { "" } else { body };
            let url = format!("https://{host}{path}");
            let mut asked = request(Method::from_bytes(method.as_bytes()).expect("a method"), &url, full(body));
            asked.headers_mut().insert("content-type", kind.parse().expect("a value"));
            let reply = sessions[at].send(asked).await;
            let inquired = Inquired { content_type: Some(kind), length: body.len() as u64, ..Inquired::new(method, &url) };
            let told = explainer.explain(None, &inquired).expect("an answer");
            let rule = told.policy.as_ref().and_then(|policy| policy.rule.as_ref()).map(|rule| rule.name.clone());
            let expected = if told.outcome == Outcome::Refuse { 403 } else { 200 };
            assert_eq!(reply.status, expected, "{method} {url} {body:?} {kind}: {told:?} {reply:?}");
            if reply.status == 403 && rule.is_some() {
                assert_eq!(document(&reply)["rule"].as_str().map(str::to_owned), rule, "{method} {url}");
            }
            *outcomes.entry((reply.status, rule)).or_insert(0) += 1;
        }
        assert!(outcomes.len() >= 7, "{outcomes:?}");
    });
}

#[test]
fn i2_a_body_that_names_another_method_is_what_it_names() {
    run(async {
        let rules = "[[rule]]\nname = \"keep\"\nhosts = \"api.acme.test\"\nmethods = \"DELETE\"\naction = \"deny\"\n";
        let Ruled { service, nexus: _nexus, caller } = ruled(rules).await;
        let post = |kind: &str, body: String| {
            let mut request = request(Method::POST, &format!("https://{HOST}/items/7"), full(body));
            request.headers_mut().insert("content-type", kind.parse().expect("a value"));
            request.headers_mut().insert("x-forwarded-prefix", "/admin".parse().expect("a value"));
            request
        };
        let form = "application/x-www-form-urlencoded";
        let part = "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n";
        let json = r#"{"a": 1, "_method": "delete"}"#;
        let said = [(form, "a=1&_method=delete"), ("multipart/form-data; boundary=b", part), ("application/json", json)];
        for (kind, body) in said {
            let reply = caller.send(post(kind, body.to_owned())).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{body}: {reply:?}");
        }
        // In other letters it is not what its bytes look like.
        for (kind, body) in [
            ("application/json; charset=utf-7", "{\"+AF8-method\": \"DELETE\"}"),
            ("application/json; charset=utf-16be; v=8", "\u{4e00}"),
            ("application/json; v=8; charset=\"UTF-32\"", "\u{4e00}"),
            ("application/json; charset=utf-8; charset=utf-16", "{}"),
            ("application/json; charset = utf-7", "{}"),
            ("application/x-www-form-urlencoded; charset=ibm037", "%6D%94%85%A3%88%96%84~%C4%C5%D3%C5%E3%C5"),
            ("application/x-www-form-urlencoded; charset=utf-16be; v=8", "\u{4e00}"),
            ("multipart/form-data; boundary=b; charset=utf-16", "--b"),
        ] {
            let reply = caller.send(post(kind, body.to_owned())).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{kind}: {reply:?}");
        }
        let mut twice = post("application/json", "{}".to_owned());
        twice.headers_mut().append("content-type", "application/json; charset=utf-16".parse().expect("a value"));
        assert_eq!(caller.send(twice).await.status, 403);
        // More than is looked at may name any.
        let large = caller.send(post(form, format!("a={}&b=1", "x".repeat(17 * 1024 * 1024)))).await;
        assert_eq!(large.status, 403, "{large:?}");
        assert_eq!(service.count(), 0, "none of it left");
        let latin = "application/x-www-form-urlencoded; charset=\"ISO-8859-1\"";
        let utf_8 = "application/json; Charset = utf-8; v=16";
        for (kind, body) in [(form, "a=1&_method=put"), (form, ""), (latin, "a=1"), ("application/json", "{}"), (utf_8, "{}")] {
            assert_eq!(caller.send(post(kind, body.to_owned())).await.status, 200, "{body}");
            let seen = service.seen().pop().expect("a request");
            assert_eq!(seen.body.as_deref().unwrap_or_default(), body.as_bytes());
            assert!(!seen.headers.contains_key("x-forwarded-prefix"));
        }
    });
}

const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data; boundary=b";
const KEEP: &str = "[[rule]]\nname = \"keep\"\nhosts = \"api.acme.test\"\nmethods = \"DELETE\"\naction = \"deny\"\n";

fn posted(kind: &str, body: &str) -> Request<Body> {
    let mut request = request(Method::POST, &format!("https://{HOST}/items/7"), full(body.to_owned()));
    request.headers_mut().insert("content-type", kind.parse().expect("a value"));
    request
}

fn part(head: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n--b--\r\n")
}

#[test]
fn i2_a_body_that_only_some_services_read_as_a_form_is_what_they_read() {
    run(async {
        let Ruled { service, nexus: _nexus, caller } = ruled(KEEP).await;
        let coded = |coding: &str| format!("name=_method\r\nContent-Transfer-Encoding: {coding}");
        for (kind, body) in [
            ("application/x-www-form-urlencoded foo", "_method=DELETE".to_owned()),
            ("application/x-www-form-urlencoded charset=utf-8", "_method=DELETE".to_owned()),
            (FORM, "%u005fmethod=DELETE".to_owned()),
            (FORM, "%u0058-HTTP-Method-Override=DELETE".to_owned()),
            ("multipart/form-data boundary=b", part("name=_method", "DELETE")),
            (PARTS, part("name=_method\tx", "DELETE")),
            (PARTS, part(&coded("base64"), "REVMRVRF")),
            (PARTS, part(&coded("quoted-printable"), "=44ELETE")),
            (PARTS, part("name*0=_met; name*1=hod", "DELETE")),
            (PARTS, part("name=\"=?utf-8?B?X21ldGhvZA==?=\"", "DELETE")),
        ] {
            let reply = caller.send(posted(kind, &body)).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{kind} {body}: {reply:?}");
        }
        assert_eq!(service.count(), 0, "none of it left");
    });
}

#[test]
fn uploads_and_forms_that_name_no_method_pass_a_rule_about_methods() {
    run(async {
        let Ruled { service: _service, nexus: _nexus, caller } = ruled(KEEP).await;
        for (kind, body) in [
            (PARTS, part("name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png", "\u{4e00}")),
            (PARTS, part("name=file; filename=a\r\nContent-Transfer-Encoding: base64", "REVMRVRF")),
            (FORM, "grant_type=refresh_token&refresh_token=%2Fx+y".to_owned()),
            ("application/json; charset=us-ascii", "{}".to_owned()),
            ("application/x-git-receive-pack-request", "_method=DELETE".to_owned()),
            ("application/octet-stream", "_method=DELETE".to_owned()),
        ] {
            assert_eq!(caller.send(posted(kind, &body)).await.status, 200, "{kind} {body}");
        }
        let mut stored = posted("application/octet-stream", "_method=DELETE");
        *stored.method_mut() = Method::PUT;
        assert_eq!(caller.send(stored).await.status, 200, "an object that is put");
    });
}

#[test]
fn messages_that_each_have_a_head_stream_past_a_rule_about_methods() {
    run(async {
        let ca = Authority::new();
        let at_once = |_call: Call| async { answer(200, "at once") };
        let service = Upstream::serve(&ca, &[HOST], Offers::Http2, at_once).await;
        let rule = "[[rule]]\nhosts = \"api.acme.test\"\nmethods = \"DELETE\"\naction = \"deny\"\n";
        let nexus = home(&ca, &service).config(rule).start();
        let mut session = Caller::new(&nexus).http2(HOST).await;
        for kind in ["application/connect+json", "application/grpc+json"] {
            let (mut sender, body) = channel();
            let mut asked = to(Method::POST, "/acme.Service/Talk", body);
            asked.headers_mut().insert("content-type", kind.parse().expect("a value"));
            let sending = tokio::spawn(async move {
                sender.send_data(Bytes::from_static(b"\0\0\0\0\x02{}")).await.expect("it is read");
                sender
            });
            let reply = session.send(asked).await;
            assert_eq!((reply.status, reply.text()), (200, "at once"), "{kind}: what comes later is not waited for");
            drop(sending.await.expect("a sender"));
        }
    });
}
