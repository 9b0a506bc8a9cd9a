//! What is no word about the credential starts nothing; what changes on disk is live at once.

use super::house::{API, House, Plan};
use crate::harness::{Authority, Builder, Caller, Offers, Upstream, answer, run};

#[test]
fn other_statuses_start_nothing() {
    run(async {
        let house = House::new().await;
        let mut session = house.caller().http1(API).await;
        for status in [400, 402, 403, 404, 407, 419, 429, 498, 499, 500, 503] {
            let path = format!("/status/{status}");
            assert_eq!(session.get(&path).await.status, status);
            let line = house.nexus.closed(&path).await;
            assert_eq!((line["status"].as_u64(), line.get("notes")), (Some(status.into()), None), "{line}");
        }
        assert_eq!((house.tokens.uses(), house.service.count()), (0, 11));
    });
}

#[test]
fn a_401_from_a_host_without_a_rule_starts_nothing() {
    run(async {
        let ca = Authority::new();
        let other = Upstream::serve(&ca, &["other.test"], Offers::Both, |_call| async { answer(401, "no") }).await;
        let nexus = Builder::new(&ca).resolve("other.test", other.address).config("[proxy]\nunmatched = \"intercept\"").start();
        let reply = Caller::new(&nexus).get("https://other.test/a").await;
        assert_eq!((reply.status, reply.text(), other.count()), (401, "no", 1));
        let line = nexus.closed("/a").await;
        assert_eq!((line["verdict"].as_str(), line.get("notes")), (Some("pass"), None), "{line}");
    });
}

#[test]
fn a_401_on_a_path_without_a_rule_starts_nothing() {
    run(async {
        let house = House::with(Plan { more: "paths = [\"/v1/**\"]", ..Plan::default() }).await;
        let reply = house.caller().get(&House::url("/public")).await;
        assert_eq!((reply.status, house.tokens.uses(), house.service.count()), (401, 0, 1));
        assert_eq!(house.service.seen()[0].header("authorization"), None);
        house.tokens.expire();
        assert_eq!(house.caller().get(&House::url("/v1/a")).await.status, 200);
    });
}

#[test]
fn a_change_on_disk_is_live_for_the_next_request() {
    run(async {
        let house = House::new().await;
        let mut session = house.caller().http1(API).await;
        for number in 0..30 {
            let (token, _) = house.connect_anew();
            assert_eq!(session.get("/a").await.status, 200, "{number}");
            assert_eq!(house.service.seen().last().expect("a request").bearer(), Some(token.as_str()));
        }
        assert!(house.nexus.store().delete(&"renew".parse().expect("a name")).expect("a vault"));
        let reply = session.get("/b").await;
        assert_eq!(reply.status, 403, "without a credential the service's 401 is told for what it is: {reply:?}");
        assert_eq!((reply.refusal(), house.tokens.uses()), (Some("auth_required"), 0));
    });
}

#[test]
fn a_401_for_a_token_that_was_replaced_meanwhile_uses_the_new_one() {
    run(async {
        let house = House::answering(Plan::default(), |tokens, call| async move {
            // The answer to a request with the first token comes after it was replaced.
            if !tokens.accepts(call.seen.bearer()) || call.seen.path == "/swap" && tokens.uses() == 0 {
                tokens.until_swapped().await;
            }
            super::house::answer_by_token(tokens, call).await
        })
        .await;
        let caller = house.caller();
        let swap = async {
            house.service.until(|seen| !seen.is_empty()).await;
            house.connect_anew();
            house.tokens.swapped();
        };
        let url = House::url("/swap");
        let (reply, ()) = tokio::join!(caller.get(&url), swap);
        assert_eq!((reply.status, house.tokens.uses(), house.service.count()), (200, 0, 2));
        assert_eq!(house.nexus.notes("/swap").await, ["renewed", "replayed"]);
    });
}

#[test]
fn a_401_to_a_request_that_a_later_success_overtook_is_about_that_request() {
    run(async {
        let house = House::answering(Plan::default(), |tokens, call| async move {
            if call.seen.path == "/slow" {
                tokens.until_swapped().await;
                return answer(401, "not for you");
            }
            super::house::answer_by_token(tokens, call).await
        })
        .await;
        let caller = house.caller();
        let url = House::url("/slow");
        let overtake = async {
            house.service.until(|seen| seen.len() == 1).await;
            assert_eq!(house.caller().get(&House::url("/quick")).await.status, 200);
            house.tokens.swapped();
        };
        let (reply, ()) = tokio::join!(caller.get(&url), overtake);
        assert_eq!((reply.status, house.tokens.uses(), house.service.count()), (401, 0, 2));
        assert_eq!(house.nexus.notes("/slow").await, ["not_ours"]);
    });
}

/// Hosts are sealed with each registration: the fresh credential is another tenant's.
#[test]
fn i2_a_credential_that_was_registered_for_another_tenant_meanwhile_does_not_go_out() {
    run(async {
        let tenants = "name = \"tenant\"\ntitle = \"Tenant\"\nslots = [\"authorization\"]\n[[field]]\nname = \"site\"\nprompt = \"Site\"\n\
                       secret = false\n[[inject]]\nhosts = [\"{site}.tenant.test\"]\nstrategy = { bearer = \"{api_key}\" }";
        let (ca, go) = (Authority::new(), std::sync::Arc::new(tokio::sync::Notify::new()));
        let waiting = std::sync::Arc::clone(&go);
        let service = Upstream::serve(&ca, &["a.tenant.test", "b.tenant.test"], Offers::Both, move |call| {
            let waiting = std::sync::Arc::clone(&waiting);
            async move {
                if call.seen.bearer() == Some("key-of-a-0123456789abcdef") {
                    waiting.notified().await;
                    return answer(401, "no more");
                }
                answer(200, "b's")
            }
        })
        .await;
        let builder = Builder::new(&ca).provider("tenant", tenants).resolve("a.tenant.test", service.address);
        let builder = builder.register("tenant", &[("api_key", "key-of-a-0123456789abcdef"), ("site", "a")]);
        let nexus = builder.resolve("b.tenant.test", service.address).start();
        let meanwhile = async {
            service.until(|seen| seen.len() == 1).await;
            nexus.register("tenant", &[("api_key", "key-of-b-0123456789abcdef"), ("site", "b")], None);
            go.notify_one();
        };
        let caller = Caller::new(&nexus);
        let (reply, ()) = tokio::join!(caller.get("https://a.tenant.test/mine"), meanwhile);
        assert_eq!((reply.status, reply.text(), service.count()), (401, "no more", 1));
        assert_eq!(nexus.notes("/mine").await, ["renewed", "not_sealed"]);
        assert_eq!(caller.get("https://b.tenant.test/mine").await.text(), "b's");
    });
}
