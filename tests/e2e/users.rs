//! Which person's connection a request uses (I6): one process that serves several never sends one's credential for another.

use http::{HeaderValue, Method};
use tokio::task::JoinSet;

use crate::attack::{HOST, KEY, home, service};
use crate::harness::{Authority, Caller, Nexus, Offers, Reply, Session, Upstream, answer, empty, request, run_within};

/// Alice, as programs know her that have numbers for people: uuid5(NAMESPACE_DNS, "alice").
const ALICE: &str = "c2ef90b9-02bc-5d53-93cd-92652b6e1b41";

const AT_ONCE: usize = 200;

fn key(person: &str) -> String {
    format!("{person}-key-0123456789abcdefgh")
}

/// The default connection is the operator's; Carol has none.
async fn house(offers: Offers) -> (Authority, Upstream, Nexus, [(&'static str, String); 5]) {
    let ca = Authority::new();
    let service = service(&ca, offers).await;
    let mut builder = home(&ca, &service);
    for person in ["alice", "bob"] {
        builder = builder.register(&format!("acme:{person}"), &[("api_key", &key(person))]);
    }
    let mut tokens = Vec::new();
    for (name, user) in [
        ("for-alice", Some("alice")),
        ("for-bob", Some("bob")),
        ("by-number", Some(ALICE)),
        ("for-carol", Some("carol")),
        ("many", None),
    ] {
        let (next, token) = builder.agent(name, |agent| agent.user = user.map(|user| user.parse().expect("a user")));
        builder = next;
        tokens.push((name, token));
    }
    (ca, service, builder.start(), tokens.try_into().expect("five agents"))
}

/// How a request says whose connection it means.
#[derive(Clone, Copy)]
enum Names {
    Nothing,
    Handle(&'static str),
    Placeholder(&'static str),
}

type Case = (usize, Names, Option<&'static str>);

/// What an agent asks, and whose credential goes: the end of the path says it. `None` = it is refused.
const CASES: [Case; 13] = [
    (0, Names::Nothing, Some("alice")),
    (1, Names::Nothing, Some("bob")),
    (2, Names::Nothing, Some("alice")),
    (4, Names::Nothing, Some("operator")),
    (4, Names::Handle("acme:alice"), Some("alice")),
    (4, Names::Handle("acme:bob"), Some("bob")),
    (4, Names::Handle("acme:c2ef90b9-02bc-5d53-93cd-92652b6e1b41"), Some("alice")),
    (4, Names::Placeholder("acme:alice"), Some("alice")),
    (4, Names::Placeholder("acme:bob"), Some("bob")),
    (3, Names::Nothing, None),
    (0, Names::Handle("acme:bob"), None),
    (1, Names::Handle("acme:c2ef90b9-02bc-5d53-93cd-92652b6e1b41"), None),
    (2, Names::Placeholder("acme:bob"), None),
];

struct Scene {
    nexus: Nexus,
    agents: [(&'static str, String); 5],
}

impl Scene {
    async fn session(&self, agent: usize, http2: bool) -> Session {
        let (name, token) = &self.agents[agent];
        let caller = Caller::new(&self.nexus).agent(name, token);
        if http2 { caller.http2(HOST).await } else { caller.http1(HOST).await }
    }

    fn request(&self, (agent, names, whose): Case, number: usize) -> http::Request<crate::harness::Body> {
        let mut request = request(Method::GET, &format!("/{number}/{}", whose.unwrap_or("nobody")), empty());
        let headers = request.headers_mut();
        let value = |text: String| HeaderValue::from_str(&text).expect("a value");
        match names {
            Names::Nothing => {}
            Names::Handle(handle) => drop(headers.insert("nexus-connection", value(handle.to_owned()))),
            Names::Placeholder(handle) => {
                let placeholder = self.nexus.placeholder(self.agents[agent].0, handle);
                headers.insert("authorization", value(format!("Bearer acme_{placeholder}")));
            }
        }
        request
    }
}

fn judge(reply: &Reply, (agent, _, whose): Case) {
    match whose {
        Some(_) => assert_eq!(reply.status, 200, "{reply:?}"),
        None => {
            // Carol is told what to connect; who names another's connection hears no name.
            let kind = if agent == 3 { "auth_required" } else { "policy" };
            assert_eq!((reply.status, reply.refusal()), (403, Some(kind)), "{reply:?}");
            assert!(!["bob", "alice"].iter().any(|name| reply.text().contains(name)), "{reply:?}");
        }
    }
}

async fn one_by_one(mut kept: Session, requests: Vec<(http::Request<crate::harness::Body>, Case)>) {
    for (request, case) in requests {
        judge(&kept.send(request).await, case);
    }
}

#[test]
fn i6_t33_two_hundred_mixed_requests_at_once_never_go_with_another_persons_credential() {
    run_within(std::time::Duration::from_secs(120), async {
        for offers in [Offers::Http1, Offers::Both] {
            let (_ca, service, nexus, agents) = house(offers).await;
            let scene = Scene { nexus, agents };
            let mut tasks = JoinSet::new();
            // HTTP/2: all of an agent's in one stream, at once. HTTP/1.1: one after another in kept streams.
            for agent in 0..scene.agents.len() {
                let shared = scene.session(agent, true).await;
                let own: Vec<_> = CASES.into_iter().filter(|case| case.0 == agent).collect();
                for number in 0..AT_ONCE / scene.agents.len() {
                    let case = own[number % own.len()];
                    let (mut session, request) = (shared.share(), scene.request(case, number));
                    tasks.spawn(async move { judge(&session.send(request).await, case) });
                }
                for _ in 0..4 {
                    let kept = scene.session(agent, false).await;
                    let requests: Vec<_> = own
                        .iter()
                        .cycle()
                        .take(10)
                        .enumerate()
                        .map(|(number, case)| (scene.request(*case, number), *case))
                        .collect();
                    tasks.spawn(one_by_one(kept, requests));
                }
            }
            tasks.join_all().await;
            let seen = service.seen();
            for one in &seen {
                let person = one.path.rsplit('/').next().expect("a person");
                let expected = if person == "operator" { KEY.to_owned() } else { key(person) };
                assert_eq!(one.bearer(), Some(expected.as_str()), "{}", one.path);
                assert_eq!(one.header("nexus-connection"), None);
            }
            assert!(seen.len() >= AT_ONCE, "{}", seen.len());
        }
    });
}

/// 100,000 requests with `NEXUS_TEST_ALL=1`, else 4,000: two agents for two persons, each over kept streams of both versions, all at once.
#[test]
fn i6_two_agents_that_hammer_at_once_never_get_each_others_answers() {
    let all = std::env::var_os("NEXUS_TEST_ALL").is_some_and(|all| all == "1");
    let each = if all { 100_000 } else { 4_000 } / (2 * STREAMS);
    run_within(std::time::Duration::from_secs(900), async move {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Both, |mut call| async move {
            drop(call.read().await);
            let person = call.seen.path.split('/').nth(1).expect("a person");
            let theirs = call.seen.bearer() == Some(key(person).as_str());
            answer(if theirs { 200 } else { 500 }, call.seen.path.clone())
        })
        .await;
        let mut builder = home(&ca, &service);
        let mut tokens = Vec::new();
        for person in ["alice", "bob"] {
            builder = builder.register(&format!("acme:{person}"), &[("api_key", &key(person))]);
            let (next, token) = builder.agent(person, |agent| agent.user = person.parse().ok());
            builder = next;
            tokens.push((person, token));
        }
        let nexus = builder.start();
        let mut tasks = JoinSet::new();
        for (person, token) in tokens {
            let caller = Caller::new(&nexus).agent(person, &token);
            for stream in 0..STREAMS {
                let session = if stream % 2 == 0 { caller.http1(HOST).await } else { caller.http2(HOST).await };
                tasks.spawn(hammer(session, person, stream, each));
            }
        }
        tasks.join_all().await;
        assert_eq!(service.count(), each * 2 * STREAMS);
    });
}

/// Of each agent.
const STREAMS: usize = 8;

async fn hammer(mut session: Session, person: &'static str, stream: usize, count: usize) {
    for number in 0..count {
        let path = format!("/{person}/{stream}/{number}");
        let reply = session.get(&path).await;
        assert_eq!((reply.status, reply.text()), (200, path.as_str()), "{reply:?}");
    }
}

#[test]
fn i6_who_acts_for_a_person_without_a_connection_is_told_which_to_make_and_it_works_at_once() {
    run_within(std::time::Duration::from_secs(60), async {
        let (_ca, service, nexus, agents) = house(Offers::Http1).await;
        let (name, token) = &agents[3];
        let caller = Caller::new(&nexus).agent(name, token);
        let mut session = caller.http1(HOST).await;
        let reply = session.get("/").await;
        let told: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!((reply.status, told["connection"].as_str()), (403, Some("acme:carol")), "{told}");
        assert!(told["command"].as_str().expect("a command").contains("--user carol"), "{told}");
        assert_eq!(service.count(), 0);
        let mut fields = nexus::model::Credential::default();
        fields.set("api_key", nexus::model::Secret::new(key("carol")));
        let entry = nexus::vault::Entry::new("acme".parse().expect("a name"), nexus::vault::AuthType::ApiKey, fields);
        nexus.store().register(&"acme:carol".parse().expect("a handle"), entry).expect("registered");
        assert_eq!(session.get("/").await.status, 200);
        assert_eq!(service.seen().pop().expect("a request").bearer(), Some(key("carol").as_str()));
    });
}
