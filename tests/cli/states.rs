//! What people are told of connections that don't work, or that programs made.

use std::time::{Duration, SystemTime};

use nexus::model::{Credential, Secret};
use nexus::vault::{AuthType, Captured, Entry, PendingBound, Status};

use crate::consented::{edit, store};
use crate::world::World;

/// As `nexus explain` has it.
fn outcome(world: &World) -> String {
    let said = world.nexus(&["explain", "https://api.stripe.com/v1", "--json"]).json();
    said["outcome"].as_str().expect("an outcome").to_owned()
}

#[test]
fn each_state_is_told_with_what_to_do() {
    let world = World::new();
    world.register(&["stripe"], "api_key=sk_test_0123456789\n");
    for (status, serves, word, advice) in [
        (Status::Active, true, "active", ""),
        (Status::Attention, true, "attention", "its last renewal was refused for good; log in again"),
        (Status::Revoked, false, "revoked", "was revoked, so nothing goes with it; log in again"),
        (Status::Failed, false, "failed", "its consent was denied or not given in time"),
    ] {
        edit(&world, "stripe", |entry| entry.status = status);
        let listed = world.nexus(&["list", "--json"]);
        assert!(listed.err.contains(advice), "{word}: {listed:?}");
        let shown = world.nexus(&["show", "stripe", "--json"]).json();
        let of_the_list = &listed.json()["connections"][0];
        assert_eq!((&of_the_list["status"], &shown["status"]), (&word.into(), &word.into()));
        assert_eq!(outcome(&world) == "inject", serves, "{word}");
        assert!(world.nexus(&["show", "stripe"]).ok().contains(word));
    }
    edit(&world, "stripe", |entry| {
        (entry.status, entry.expires_at) = (Status::Active, Some(SystemTime::now() - Duration::from_secs(60)));
    });
    let listed = world.nexus(&["list", "--json"]);
    assert!(listed.err.contains("stripe has expired, and there is nothing to renew it with"), "{listed:?}");
    assert_eq!(listed.json()["connections"][0]["status"], "expired");
    assert_eq!(outcome(&world), "inject", "a clock is no proof");
    let status = world.nexus(&["status", "--json"]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&status.out).unwrap()["vault"]["expired"],
        serde_json::json!(["stripe"])
    );
    assert_eq!(status.code, Some(1));
}

#[test]
fn who_approves_a_key_is_told_what_made_it() {
    let world = World::new();
    let mut fields = Credential::default();
    fields.set("api_key", Secret::new("SG.0123456789abcdef".to_owned()));
    let mut entry = Entry::new("sendgrid".parse().unwrap(), AuthType::ApiKey, fields);
    let now = SystemTime::now();
    let made_with = Some("sendgrid:alice".parse().unwrap());
    let until = Some(now + Duration::from_secs(3600));
    entry.captured = Some(Captured { agent: "ci".parse().unwrap(), user: None, until, since: Some(now), made_with });
    entry.seal(vec!["api.sendgrid.com".to_owned()]);
    store(&world).capture(entry, now, PendingBound(1)).unwrap();
    let shown = world.nexus(&["show", "sendgrid:ci.1", "--json"]).json();
    assert_eq!((&shown["made_with"], &shown["status"]), (&"sendgrid:alice".into(), &"pending".into()));
    assert!(world.nexus(&["show", "sendgrid:ci.1"]).ok().contains("sendgrid:alice"));
    let said = world.nexus(&["approve", "sendgrid:ci.1"]);
    assert!(
        said.code == Some(0) && said.err.contains("the agent ci made a key at") && said.err.contains("with sendgrid:alice"),
        "{said:?}"
    );
}

#[test]
fn i6_an_agent_of_a_person_holds_no_placeholder_of_the_default_connection() {
    let world = World::new();
    world.register(&["openai"], "api_key=sk-0123456789abcdef\n");
    let add = |name: &str, more: &[&str]| {
        world.nexus(&[&["agent", "add", name, "--json"], more].concat()).json()["token"].as_str().unwrap().to_owned()
    };
    let (bound, free) = (add("bound", &["--user", "alice"]), add("free", &[]));
    let key = |world: &World, agent: &str| {
        world.nexus(&["env", "--agent", agent, "--json"]).json()["OPENAI_API_KEY"].as_str().unwrap().to_owned()
    };
    let placeholders = nexus::agent::PlaceholderKey::new(vault_key(&world).subkey("placeholders"));
    let tail = |agent: &str, connection: &str| placeholders.tail(&agent.parse().unwrap(), &connection.parse().unwrap());
    let world = world.with("NEXUS_AGENT_TOKEN", &bound);
    assert!(
        key(&world, "bound").ends_with(&tail("bound", "openai:alice")),
        "one that is refused with the command that connects it"
    );
    let world = world.with("NEXUS_AGENT_TOKEN", &free);
    assert!(key(&world, "free").ends_with(&tail("free", "openai")));
}

fn vault_key(world: &World) -> nexus::seal::DataKey {
    let home = nexus::app::Home::new(world.home(""));
    let (passphrase, _) = nexus::app::passphrase(&home, &|_| None).unwrap();
    nexus::vault::unlock(&home.vault(), &passphrase).unwrap()
}
