//! One connection, one token that dies: how it is replaced, and what the log says of it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use http::{Method, Version};

use super::house::{API, House, Plan, answer_by_token};
use crate::harness::{Authentication, Odd, Offers, access, answer, empty, full, refresh, request, run};
use nexus::vault::{Status, Store};

#[test]
fn the_client_authenticates_as_its_provider_wants() {
    run(async {
        for authentication in [Authentication::Basic, Authentication::Post, Authentication::None] {
            let house = House::with(Plan { authentication, ..Plan::default() }).await;
            house.tokens.expire();
            let reply = house.caller().get(&House::url("/a")).await;
            assert_eq!((reply.status, house.tokens.uses()), (200, 1), "{authentication:?}: {reply:?}");
            house.no_mistakes();
            assert!(house.nexus.holds("renew", "access_token", &access(2)));
            assert!(house.nexus.holds("renew", "refresh_token", &refresh(2)));
            assert_eq!(house.nexus.notes("/a").await, ["renewed", "replayed"]);
            let seen = house.service.seen();
            assert_eq!(
                seen.iter().map(|seen| seen.bearer().expect("a token").to_owned()).collect::<Vec<_>>(),
                [access(1), access(2)]
            );
        }
    });
}

/// The first one is refused, which doesn't say that nobody could use it elsewhere.
#[test]
fn i1_an_answer_to_the_second_send_shows_neither_token() {
    run(async {
        for config in ["", "[guard]\nscope = \"agent\""] {
            let plan = Plan { config, ..Plan::default() };
            let house = House::answering(plan, |tokens, call| async move {
                let mut response = answer_by_token(tokens, call).await;
                if response.status() == 200 {
                    let (first, second) = (access(1), access(2));
                    response.headers_mut().insert("x-both", format!("<{first}> and <{second}>").parse().expect("a value"));
                    *response.body_mut() = full(format!("{{\"before\": \"{first}\", \"now\": \"{second}\"}}"));
                }
                response
            })
            .await;
            house.tokens.expire();
            let reply = house.caller().get(&House::url("/a")).await;
            assert_eq!(house.nexus.notes("/a").await, ["renewed", "replayed"]);
            let shown = [reply.headers["x-both"].to_str().expect("text"), reply.text()];
            for token in [access(1), access(2)] {
                assert!(shown.iter().all(|shown| !shown.contains(&token)), "{config}: {shown:?}");
            }
            assert!(shown[0].starts_with('<') && shown[0].ends_with('>') && shown[0].contains("> and <"), "{shown:?}");
            assert_eq!(house.nexus.closed("/a").await["guard_hits"], 4, "{config}");
            house.no_mistakes();
        }
    });
}

#[test]
fn i1_later_answers_do_not_show_the_token_before_either() {
    run(async {
        let house = House::answering(Plan::default(), |tokens, call| async move {
            let path = call.seen.path.clone();
            let mut response = answer_by_token(tokens, call).await;
            if path == "/log" {
                *response.body_mut() = full(format!("{{\"before\": \"{}\", \"now\": \"{}\"}}", access(1), access(2)));
            }
            response
        })
        .await;
        house.tokens.expire();
        assert_eq!(house.caller().get(&House::url("/a")).await.status, 200);
        let reply = house.caller().get(&House::url("/log")).await;
        assert!(!reply.text().contains(&access(1)) && !reply.text().contains(&access(2)), "{}", reply.text());
        assert_eq!((house.nexus.closed("/log").await["guard_hits"].as_u64(), house.tokens.uses()), (Some(2), 1));
    });
}

#[test]
fn the_new_tokens_are_on_disk_before_they_are_used() {
    run(async {
        let store: Arc<OnceLock<Store>> = Arc::default();
        let on_disk = Arc::clone(&store);
        let house = House::answering(Plan::default(), move |tokens, call| {
            let store = Arc::clone(&on_disk);
            async move {
                if call.seen.bearer() == Some(access(2).as_str()) {
                    let entry = store.get().expect("a vault").get(&"renew".parse().expect("a name")).expect("it opens");
                    let entry = entry.expect("an entry");
                    let holds = |name, value: &str| entry.fields.field(name).is_some_and(|field| field.matches(value));
                    if !holds("access_token", &access(2)) || !holds("refresh_token", &refresh(2)) {
                        return answer(500, "used before it was stored");
                    }
                }
                answer_by_token(tokens, call).await
            }
        })
        .await;
        // A store of its own, as another process has it.
        let passphrase = nexus::seal::Passphrase::new("a secret for one test").expect("a passphrase");
        assert!(store.set(Store::open(house.nexus.home().vault(), &passphrase).expect("a vault")).is_ok());
        house.tokens.expire();
        let reply = house.caller().get(&House::url("/a")).await;
        assert_eq!((reply.status, reply.text()), (200, "0"));
    });
}

#[test]
fn a_reply_without_a_refresh_token_keeps_the_old_one() {
    run(async {
        let house = House::new().await;
        house.tokens.rotates(false);
        for number in 2..=4 {
            house.tokens.expire();
            assert_eq!(house.caller().get(&House::url("/a")).await.status, 200);
            assert!(house.nexus.holds("renew", "access_token", &access(number)));
            assert!(house.nexus.holds("renew", "refresh_token", &refresh(1)));
        }
        assert_eq!(house.tokens.uses(), 3);
        house.no_mistakes();
    });
}

#[test]
fn a_token_that_is_known_to_be_dead_is_renewed_first() {
    run(async {
        let expires_at = Some(SystemTime::now() - Duration::from_secs(10));
        let house = House::with(Plan { expires_at, ..Plan::default() }).await;
        assert_eq!(house.caller().get(&House::url("/a")).await.status, 200);
        let seen = house.service.seen();
        assert_eq!((seen.len(), seen[0].bearer(), house.tokens.uses()), (1, Some(access(2).as_str()), 1));
        assert_eq!(house.nexus.notes("/a").await, ["renewed"]);
        let end = house.nexus.entry("renew").expires_at.expect("an end");
        assert!(end > SystemTime::now() + Duration::from_secs(3500), "the reply said 3600 s");
    });
}

#[test]
fn a_token_is_renewed_shortly_before_its_end() {
    run(async {
        let house = House::new().await;
        let mut session = house.caller().http1(API).await;
        assert_eq!(session.get("/a").await.status, 200);
        // From here on every step is quick, whatever else this machine does.
        let end = SystemTime::now() + Duration::from_secs(6);
        house.register(&access(1), &refresh(1), Some(end));
        while house.tokens.uses() == 0 {
            assert_eq!(session.get("/a").await.status, 200);
            assert!(SystemTime::now() < end + Duration::from_secs(5), "it was never renewed");
        }
        assert!(SystemTime::now() < end, "it was renewed too late");
        assert_eq!(session.get("/b").await.status, 200);
        assert_eq!(house.service.seen().last().expect("a request").bearer(), Some(access(2).as_str()));
        assert_eq!(house.tokens.uses(), 1);
    });
}

#[test]
fn every_method_is_replayed() {
    run(async {
        let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
        for (offers, version) in [(Offers::Http1, Version::HTTP_11), (Offers::Http2, Version::HTTP_2)] {
            let house = House::with(Plan { offers, ..Plan::default() }).await;
            let (mut one, mut two) = (house.caller().http1(API).await, house.caller().http2(API).await);
            for (number, method) in methods.iter().enumerate() {
                for (caller, session) in [&mut one, &mut two].into_iter().enumerate() {
                    let (token, _) = house.connect_anew();
                    house.tokens.expire();
                    let path = format!("/{method}/{caller}");
                    let has_body = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
                    let body = if has_body { full(format!("body {number}")) } else { empty() };
                    let reply = session.send(request(method.clone(), &path, body)).await;
                    assert_eq!(reply.status, 200, "{method}: {reply:?}");
                    let seen: Vec<_> = house.service.seen().into_iter().filter(|seen| seen.path == path).collect();
                    assert_eq!(seen.len(), 2, "{method}");
                    assert_eq!(seen[0].bearer(), Some(token.as_str()));
                    assert!(seen.iter().all(|seen| seen.method == *method && seen.version == version), "{seen:?}");
                    let expected = if has_body { format!("body {number}") } else { String::new() };
                    assert!(seen.iter().all(|seen| seen.body.as_deref() == Some(expected.as_bytes())), "{seen:?}");
                    assert_eq!(house.nexus.notes(&path).await, ["renewed", "replayed"]);
                }
            }
            assert_eq!(house.tokens.uses(), 2 * methods.len());
            house.no_mistakes();
        }
    });
}

#[test]
fn the_second_401_is_the_callers() {
    run(async {
        let house = House::new().await;
        let reply = house.caller().get(&House::url("/always-401")).await;
        assert_eq!((reply.status, reply.text(), reply.refusal()), (401, "who are you?", None));
        assert_eq!((house.service.count(), house.tokens.uses()), (2, 1));
        let line = house.nexus.closed("/always-401").await;
        assert_eq!(
            (line["status"].as_u64(), &line["notes"]),
            (Some(401), &serde_json::json!(["renewed", "replayed"])),
            "{line}"
        );
        assert_eq!(house.nexus.entry("renew").status, Status::Active);
    });
}

#[test]
fn a_rule_can_forbid_the_replay() {
    run(async {
        for (rule, method, status) in [
            ("replay = \"never\"", Method::GET, 401),
            ("replay = \"safe\"", Method::POST, 401),
            ("replay = \"safe\"", Method::GET, 200),
        ] {
            let house = House::with(Plan { more: rule, ..Plan::default() }).await;
            house.tokens.expire();
            let mut session = house.caller().http1(API).await;
            let reply = session.send(request(method.clone(), "/a", empty())).await;
            assert_eq!((reply.status, house.tokens.uses()), (status, 1), "{rule} {method}");
            let expected: &[&str] = if status == 200 { &["renewed", "replayed"] } else { &["renewed", "not_replayable"] };
            assert_eq!(house.nexus.notes("/a").await, expected);
            // The renewal was not in vain.
            assert_eq!(session.send(request(method, "/b", empty())).await.status, 200);
        }
    });
}

#[test]
fn a_connection_without_a_refresh_token_keeps_its_401() {
    run(async {
        let house = House::new().await;
        house.nexus.register("renew", &[("access_token", "a-personal-token-0123456789")], None);
        let reply = house.caller().get(&House::url("/a")).await;
        assert_eq!((reply.status, house.tokens.uses(), house.service.count()), (401, 0, 1));
        assert_eq!(house.nexus.notes("/a").await, ["no_refresh_token"]);
    });
}

#[test]
fn t135_i1_a_renewal_leaves_no_secret_in_the_log_or_the_home() {
    run(async {
        let log = tempfile::NamedTempFile::new().expect("a file");
        for authentication in [Authentication::Basic, Authentication::Post] {
            let house = House::spoken(Plan { authentication, ..Plan::default() }, log.path()).await;
            for path in ["/one", "/two"] {
                house.tokens.expire();
                let mut own = request(Method::POST, &House::url(path), full("a body"));
                own.headers_mut().insert("authorization", "Bearer callers-own-0123456789".parse().expect("a value"));
                assert_eq!(house.caller().http2(API).await.send(own).await.status, 200);
            }
            house.tokens.next(Odd::Status(400, "{\"error\":\"invalid_grant\",\"hint\":\"hint-0123456789\"}"));
            house.tokens.expire();
            assert_eq!(house.caller().get(&House::url("/refused")).await.status, 403);
            house.nexus.closed("/refused").await;
            let mut secrets = vec![
                ("the client's secret", crate::harness::CLIENT_SECRET.to_owned()),
                ("the caller's own credential", "callers-own-0123456789".to_owned()),
                ("the endpoint's answer", "hint-0123456789".to_owned()),
            ];
            secrets
                .extend((1..=3).flat_map(|number| [("an access token", access(number)), ("a refresh token", refresh(number))]));
            let said = std::fs::read(log.path()).expect("the log");
            assert!(said.len() > 1000, "the log is on");
            crate::secrets::assert_free_of("the log", &said, &secrets);
            assert!(crate::secrets::scan(house.nexus.home().path(), &secrets) > 5);
        }
    });
}
