//! Services that people run themselves, at names that only their connections know.

use crate::harness::{Authority, Builder, Caller, Nexus, Offers, Upstream, answer, run};

const KEY: &str = "own-key-0123456789abcdef";
const NAMES: [&str; 4] = ["ci.own.test", "ci.alice.test", "ci.stranger.test", "api.github.com"];

const FORGE: &str = r#"
name = "forge"
title = "Forge"
slots = ["x-token"]
[[inject]]
hosts = ["{host}"]
paths = ["/api/**"]
strategy = { header = { name = "x-token", value = "{api_key}" } }
"#;

async fn home() -> (Upstream, Builder) {
    let ca = Authority::new();
    let service = Upstream::serve(&ca, &NAMES, Offers::Both, |_call| async { answer(200, "") }).await;
    let mut builder = Builder::new(&ca).provider("forge", FORGE).config("[proxy]\nunmatched = \"intercept\"");
    for name in NAMES {
        builder = builder.resolve(name, service.address);
    }
    (service, builder)
}

/// The credential that arrives.
async fn carried(nexus: &Nexus, service: &Upstream, url: &str) -> (u16, Option<String>) {
    let before = service.count();
    let status = Caller::new(nexus).get(url).await.status;
    let seen = (service.count() > before).then(|| service.seen().pop().expect("a request"));
    (status, seen.and_then(|seen| seen.header("x-token").map(str::to_owned)))
}

#[test]
fn i2_a_credential_goes_to_the_name_it_was_registered_with_and_to_no_other() {
    run(async {
        let (service, builder) = home().await;
        let nexus = builder.start();
        assert_eq!(carried(&nexus, &service, "https://ci.own.test/api/x").await, (200, None));
        // From the next request on.
        nexus.register("forge", &[("host", "CI.own.test"), ("api_key", KEY)], None);
        let own = Some(KEY.to_owned());
        assert_eq!(carried(&nexus, &service, "https://ci.own.test/api/x").await, (200, own.clone()));
        assert_eq!(carried(&nexus, &service, "https://ci.own.test/other").await, (200, None));
        for stranger in ["ci.stranger.test", "ci.alice.test"] {
            assert_eq!(carried(&nexus, &service, &format!("https://{stranger}/api/x")).await, (200, None));
        }
        // Another user's is known too, and is not this caller's to use.
        nexus.register("forge:alice", &[("host", "ci.alice.test"), ("api_key", "alice-key-0123456789")], None);
        assert_eq!(carried(&nexus, &service, "https://ci.alice.test/api/x").await, (403, None));
        assert_eq!(carried(&nexus, &service, "https://ci.own.test/api/x").await, (200, own));
    });
}

#[test]
fn i2_a_name_that_a_provider_has_is_nobodys_own() {
    run(async {
        let (service, builder) = home().await;
        let nexus = builder.register("forge", &[("host", "api.github.com"), ("api_key", KEY)]).start();
        let (_status, carried) = carried(&nexus, &service, "https://api.github.com/api/x").await;
        assert_eq!(carried, None);
    });
}
