//! Leases: tokens for a short time, never wider than their agent, counted exactly, ended within a second (I2, I6, I7).

use std::time::{Duration, Instant};

use http::{HeaderValue, Method};
use nexus::app::GatewayKeyKind::{Admin, App};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::attack::{ACME, HOST, home, service};
use crate::harness::{Authority, Builder, Caller, Gateway, Nexus, Offers, Upstream, full, request, run};

const URL: &str = "https://api.acme.test/x";

struct House {
    _ca: Authority,
    service: Upstream,
    nexus: Nexus,
    /// The agent's token.
    token: String,
}

/// The agent `a`, and a gateway beside the proxy.
async fn house(config: &str, change: impl FnOnce(&mut nexus::agent::Registered)) -> House {
    let ca = Authority::new();
    let service = service(&ca, Offers::Both).await;
    let (builder, token) = home(&ca, &service).gateway().config(config).agent("a", change);
    let (builder, _b) = builder.agent("b", |_agent| {});
    House { nexus: builder.start(), _ca: ca, service, token }
}

impl House {
    fn orchestrator(&self) -> Gateway {
        self.nexus.gateway().with("Authorization", &format!("Bearer {}", self.token))
    }

    /// A lease of `a`, made by itself.
    async fn lease(&self, wanted: &Value) -> Value {
        let said = self.orchestrator().ask("POST", "/api/agents/a/leases", Some(wanted)).await;
        assert_eq!(said.status, 201, "{said:?}");
        said.json()
    }

    fn caller(&self, lease: &Value) -> Caller {
        Caller::new(&self.nexus).agent("a", lease["token"].as_str().expect("a token"))
    }

    async fn end(&self, lease: &Value) -> u16 {
        let path = format!("/api/leases/{}", lease["id"].as_str().expect("an id"));
        self.orchestrator().ask("DELETE", &path, None).await.status
    }
}

#[test]
fn a_lease_acts_for_its_agent_and_the_log_names_both() {
    run(async {
        let house = house("", |_agent| {}).await;
        let lease = house.lease(&json!({ "seconds": 600, "calls": 3 })).await;
        assert!(lease["token"].as_str().expect("a token").starts_with("nxl_"), "{lease}");
        assert_eq!((&lease["agent"], &lease["calls"], &lease["calls_left"]), (&json!("a"), &json!(3), &json!(3)));
        assert_eq!((&lease["user"], &lease["providers"], &lease["hosts"]), (&Value::Null, &Value::Null, &Value::Null));
        let caller = house.caller(&lease);
        assert_eq!(caller.get(URL).await.status, 200);
        let line = house.nexus.closed("/x").await;
        assert_eq!((&line["agent"], &line["lease"]), (&json!("a"), &lease["id"]), "{line}");
        let id = lease["id"].as_str().expect("an id");
        let shown = house.orchestrator().get(&format!("/api/leases/{id}")).await.json();
        assert_eq!((&shown["calls_left"], shown.get("token")), (&json!(2), None));
        let all = house.orchestrator().get("/api/agents/a/leases").await.json();
        assert_eq!(all["leases"], json!([shown]));
        let made = house.nexus.audit_line(|line| line["event"] == "lease_made").await;
        assert_eq!(
            (&made["by"], &made["kind"], &made["agent"], &made["lease"]),
            (&json!("a"), &json!("agent"), &json!("a"), &lease["id"])
        );
        let token = lease["token"].as_str().expect("a token");
        assert!(!house.nexus.audit().iter().any(|line| line.to_string().contains(token)), "I1");
        // Under another name it is nobody's.
        assert_eq!(Caller::new(&house.nexus).agent("b", token).tunnel("api.acme.test:443").await.expect_err("407").status, 407);
    });
}

#[test]
fn i2_a_lease_is_never_wider_than_its_agent() {
    run(async {
        let house = house("", |agent| {
            agent.providers = Some(vec!["acme".parse().expect("a name")]);
            agent.hosts = Some(["api.acme.test", "*.cdn.test"].map(|host| host.parse().expect("a host")).to_vec());
            agent.user = Some("alice".parse().expect("a name"));
            agent.expires = Some(std::time::SystemTime::now() + Duration::from_secs(60));
        })
        .await;
        let asks = async |wanted: Value| house.orchestrator().ask("POST", "/api/agents/a/leases", Some(&wanted)).await;
        for wider in [
            json!({ "seconds": 9, "providers": ["github"] }),
            json!({ "seconds": 9, "providers": ["acme", "github"] }),
            json!({ "seconds": 9, "hosts": ["evil.test"] }),
            json!({ "seconds": 9, "hosts": ["*.acme.test"] }),
            json!({ "seconds": 9, "hosts": ["cdn.test"] }),
            json!({ "seconds": 9, "user": "bob" }),
        ] {
            let said = asks(wider.clone()).await;
            assert_eq!((said.status, said.code().as_str()), (403, "wider"), "{wider}");
        }
        for wrong in [json!({ "seconds": 0 }), json!({ "seconds": 86_401 }), json!({ "seconds": 9, "calls": 0 })] {
            assert_eq!(asks(wrong.clone()).await.status, 422, "{wrong}");
        }
        let narrow = house.lease(&json!({ "seconds": 600, "hosts": ["*.x.cdn.test"], "user": "alice" })).await;
        assert_eq!(
            (&narrow["user"], &narrow["providers"], &narrow["hosts"]),
            (&json!("alice"), &json!(["acme"]), &json!(["*.x.cdn.test"])),
            "what it has of its own, and the rest of its agent"
        );
        let end: jiff::Timestamp = narrow["expires_at"].as_str().expect("a time").parse().expect("a time");
        assert!(end < jiff::Timestamp::now() + jiff::SignedDuration::from_secs(61), "its agent's end comes first");
        let refused = house.caller(&narrow).get(URL).await;
        assert_eq!((refused.status, refused.refusal()), (403, Some("policy")));
        let nothing = house.lease(&json!({ "seconds": 600, "providers": [] })).await;
        assert_ne!(house.caller(&nothing).get(URL).await.status, 200);
        assert_eq!(house.service.count(), 0, "nothing left");
        house.nexus.register("acme:alice", &[("api_key", crate::attack::KEY)], None);
        let same = house.lease(&json!({ "seconds": 600 })).await;
        let reply = house.caller(&same).get(URL).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        // A lease makes no leases, nor does it tell of others.
        let child = house.nexus.gateway().key(same["token"].as_str().expect("a token"));
        let said = child.ask("POST", "/api/agents/a/leases", Some(&json!({ "seconds": 9 }))).await;
        assert_eq!((said.status, said.code().as_str()), (403, "lease_of_lease"));
        assert_eq!(child.get(&format!("/api/leases/{}", narrow["id"].as_str().expect("an id"))).await.status, 404);
    });
}

#[test]
fn i6_only_the_agent_and_administrators_make_its_leases() {
    run(async {
        let ca = Authority::new();
        let (builder, admin) = Builder::new(&ca).gateway().key("root", Admin, |_key| ());
        let (builder, app) = builder.key("crew", App, |_key| ());
        let (builder, _a) = builder.agent("a", |_agent| {});
        let (builder, b) = builder.agent("b", |_agent| {});
        let nexus = builder.start();
        let gateway = nexus.gateway();
        let wanted = json!({ "seconds": 9 });
        for (who, status) in [
            (gateway.key(&admin), 201),
            (gateway.key(&nexus.local_gateway().key.expose().clone()), 201),
            (gateway.key(&b), 404),
            (gateway.key(&app), 403),
            (gateway.clone(), 403),
            (gateway.nobody(), 401),
            (gateway.key("nxa_00000000000000000000000000000000"), 401),
        ] {
            let said = who.ask("POST", "/api/agents/a/leases", Some(&wanted)).await;
            assert_eq!(said.status, status, "{who:?}: {said:?}");
        }
        assert_eq!(gateway.key(&b).get("/api/agents/a/leases").await.status, 404);
        assert_eq!(gateway.key(&b).get("/api/whoami").await.status, 401, "an agent's token is no key of the gateway");
        assert_eq!(gateway.key(&admin).ask("POST", "/api/agents/c/leases", Some(&wanted)).await.status, 404);
    });
}

#[test]
fn i6_a_lease_that_was_ended_is_nobodys_and_what_it_has_open_ends() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::endless(&ca, &[HOST]).await;
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = plain.local_addr().expect("an address");
        let (builder, token) = home(&ca, &service).gateway().resolve("any.test", address).agent("a", |_agent| {});
        let nexus = builder.config("[proxy]\nconnect_ports = [7]").start();
        let house = House { _ca: ca, service, nexus, token };
        let (lease, other) = (house.lease(&json!({ "seconds": 600 })).await, house.lease(&json!({ "seconds": 600 })).await);
        let caller = house.caller(&lease);
        let (mut one, mut two) = (caller.http1(HOST).await, caller.http2(HOST).await);
        let mut tunnel = caller.tunnel("any.test:7").await.expect("a tunnel");
        let _accepted = plain.accept().await.expect("a stream");
        let get = || crate::harness::request(http::Method::GET, "/events", crate::harness::empty());
        let responses = [one.begin(get()).await.expect("a response"), two.begin(get()).await.expect("a response")];
        assert_eq!(house.end(&lease).await, 204);
        let ended = Instant::now();
        for response in responses {
            let outcome = tokio::time::timeout(Duration::from_secs(20), crate::harness::read(response)).await;
            assert!(outcome.expect("it ends").is_err(), "it is cut off, not whole");
        }
        assert_eq!(tunnel.read(&mut [0]).await.unwrap_or_default(), 0);
        assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
        assert_eq!(caller.tunnel("api.acme.test:443").await.expect_err("407").status, 407, "used after its end");
        assert_eq!(house.end(&lease).await, 404);
        house.caller(&other).tunnel("api.acme.test:443").await.expect("others go on");
        assert_eq!(house.nexus.audit_line(|line| line["event"] == "lease_ended").await["lease"], lease["id"]);
    });
}

#[test]
fn i6_leases_die_with_their_agent_and_with_their_time() {
    run(async {
        let house = house("", |_agent| {}).await;
        let (short, long) = (house.lease(&json!({ "seconds": 1 })).await, house.lease(&json!({ "seconds": 600 })).await);
        let mut session = house.caller(&long).http1(HOST).await;
        assert_eq!(session.get("/x").await.status, 200);
        let caller = house.caller(&short);
        let until_refused = async { while caller.tunnel("api.acme.test:443").await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(20), until_refused).await.expect("the end of its time");
        let file = house.nexus.home().agents_file();
        let rows = nexus::agent::read(&std::fs::read_to_string(&file).expect("a file")).expect("agents");
        let rest: Vec<_> = rows.into_iter().filter(|row| row.name.as_str() != "a").collect();
        let text = nexus::agent::write(&rest).expect("text");
        nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        house.nexus.reload();
        assert_eq!(session.get("/y").await.status, 407);
        assert_eq!(house.caller(&long).tunnel("api.acme.test:443").await.expect_err("407").status, 407);
        assert_eq!(house.orchestrator().get("/api/agents/a/leases").await.status, 401);
    });
}

/// A thousand at once over all workers: each call is counted once.
#[test]
fn i2_i7_calls_are_counted_exactly() {
    run(async {
        let house = house("[limits]\nagent_requests = 10000\n[proxy]\nworkers = 4", |_agent| {}).await;
        let lease = house.lease(&json!({ "seconds": 600, "calls": 101 })).await;
        let caller = house.caller(&lease);
        assert_eq!(caller.get(URL).await.status, 200);
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let caller = caller.clone();
            asking.spawn(async move {
                let mut session = caller.http2(HOST).await;
                let mut statuses = Vec::new();
                for _ in 0..50 {
                    let reply = session.get("/x").await;
                    statuses.push((reply.status, reply.refusal().map(str::to_owned)));
                }
                statuses
            });
        }
        let all: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
        assert_eq!(all.iter().filter(|(status, _)| *status == 200).count(), 100);
        assert_eq!(all.iter().filter(|(status, kind)| *status == 403 && kind.as_deref() == Some("policy")).count(), 900);
        assert_eq!(house.service.count(), 101);
        let line = house.nexus.audit_line(|line| line["event"] == "refuse").await;
        assert!(line["notes"].to_string().contains("lease_spent"), "{line}");
    });
}

/// Whatever a rule refuses is no call: by its body, or since nobody said yes.
#[test]
fn i7_a_request_that_is_refused_is_no_call() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        let acme = ACME.replace("[[inject]]", "[presets]\ngraphql = [\"/graphql\"]\n[[inject]]");
        let rules = "[[rule]]\npaths = \"/asked\"\naction = \"approve\"\ntimeout = \"1s\"\n\
                     [[rule]]\nprovider = \"acme\"\npreset = \"read_only\"\n";
        let (builder, token) = home(&ca, &service).provider("acme", &acme).gateway().config(rules).agent("a", |_agent| {});
        let house = House { nexus: builder.start(), _ca: ca, service, token };
        let lease = house.lease(&json!({ "seconds": 600, "calls": 2 })).await;
        let mut session = house.caller(&lease).http1(HOST).await;
        let graphql = |query: &str| {
            let body = full(json!({ "query": query }).to_string());
            let mut request = request(Method::POST, &format!("https://{HOST}/graphql"), body);
            request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
            request
        };
        for refused in [graphql("mutation { a }"), graphql("mutation { b }"), graphql("mutation { c }")] {
            assert_eq!(session.send(refused).await.refusal(), Some("policy"));
        }
        assert_eq!(session.get("/asked").await.refusal(), Some("policy"), "nobody answered");
        assert_eq!(session.send(graphql("{ a }")).await.status, 200);
        assert_eq!(session.get("/x").await.status, 200);
        assert_eq!(session.get("/x").await.refusal(), Some("policy"));
        assert_eq!(session.get("/asked").await.refusal(), Some("policy"));
        let line = house.nexus.audit_line(|line| line["path"] == "/asked" && line["notes"].to_string().contains("lease_spent"));
        assert_eq!(line.await["event"], "refuse", "nobody is asked for nothing");
    });
}

#[test]
fn i7_there_are_so_many_leases_and_no_more() {
    run(async {
        let house = house("[limits]\nagent_leases = 2", |_agent| {}).await;
        let first = house.lease(&json!({ "seconds": 600 })).await;
        house.lease(&json!({ "seconds": 600 })).await;
        let third = house.orchestrator().ask("POST", "/api/agents/a/leases", Some(&json!({ "seconds": 9 }))).await;
        assert_eq!((third.status, third.code().as_str()), (409, "leases"));
        assert_eq!(house.end(&first).await, 204);
        house.lease(&json!({ "seconds": 600 })).await;
    });
}
