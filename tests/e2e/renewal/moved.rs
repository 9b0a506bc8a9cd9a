//! A provider's file that comes to name another token endpoint: no secret goes there before a person has accepted it.

use std::time::{Duration, SystemTime};

use super::house::{API, House, Plan, provider};
use crate::harness::{Authentication, access, run};
use nexus::app::registration::Reach;
use nexus::provider::Catalogue;

/// The file once somebody has changed where renewals go; the name leads to the same server, so that a call there is seen.
fn moved() -> String {
    provider(Authentication::Basic, "").replace("https://token.renew.test/token", "https://evil.renew.test/token")
}

const EVIL: &str = "[upstream.resolve]\n\"evil.renew.test\" = \"127.0.0.1:1\"";

fn trust(house: &House) {
    let (catalogue, mistakes) = Catalogue::with_user_folder(&house.nexus.home().providers());
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let file = catalogue.get(&"renew".parse().expect("a name")).expect("a provider");
    let change = |entry: &mut nexus::vault::Entry| Reach::named(file, entry).expect("hosts").seal(entry);
    house.nexus.store().update(&"renew".parse().expect("a name"), change).expect("a change");
}

#[test]
fn i2_a_moved_token_endpoint_gets_no_secret_and_a_401_stays_one() {
    run(async {
        let house = House::with(Plan { config: EVIL, ..Plan::default() }).await;
        house.nexus.write_provider("renew", &moved());
        house.nexus.reload();
        house.tokens.expire();
        let mut session = house.caller().http1(API).await;
        assert_eq!(session.get("/a").await.status, 401);
        // Refused before anything is dialled: an attempt would have been noted as `endpoint_unreachable`.
        assert_eq!(house.nexus.notes("/a").await, ["not_sealed"]);
        assert_eq!(house.tokens.uses(), 0);
        // Accepted, it is tried; put back, it works.
        trust(&house);
        assert_eq!(session.get("/b").await.status, 401);
        assert_eq!(house.nexus.notes("/b").await, ["endpoint_unreachable"]);
    });
}

#[test]
fn i2_a_file_that_is_put_back_renews_at_once() {
    run(async {
        let house = House::with(Plan { config: EVIL, ..Plan::default() }).await;
        let before = house.nexus.write_provider("renew", &moved());
        house.nexus.reload();
        house.tokens.expire();
        let mut session = house.caller().http1(API).await;
        assert_eq!(session.get("/a").await.status, 401);
        house.nexus.write_provider("renew", &before);
        house.nexus.reload();
        assert_eq!(session.get("/b").await.status, 200);
        assert_eq!(house.nexus.notes("/b").await, ["renewed", "replayed"]);
        assert!(house.nexus.holds("renew", "access_token", &access(2)));
        house.no_mistakes();
    });
}

#[test]
fn i2_an_expired_credential_whose_endpoint_moved_is_refused_with_the_command_to_type() {
    run(async {
        let expires_at = Some(SystemTime::now() - Duration::from_secs(60));
        let house = House::with(Plan { config: EVIL, expires_at, ..Plan::default() }).await;
        house.nexus.write_provider("renew", &moved());
        house.nexus.reload();
        let reply = house.caller().get(&House::url("/a")).await;
        assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        assert!(reply.text().contains("nexus providers trust renew"), "{reply:?}");
        assert_eq!((house.service.count(), house.tokens.uses()), (0, 0));
    });
}
