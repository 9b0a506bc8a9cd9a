//! `nexus import jarviscore`.

use nexus::model::{Credential, Secret};
use nexus::seal::Passphrase;
use nexus::vault::{AuthType, Entry, Settings, Store};

use crate::world::World;

const SECRET: &str = "the secret of the other program";

/// A folder as JarvisCore leaves it: the same format, no hosts sealed.
fn jarviscore(world: &World) {
    let folder = world.path(".jarviscore");
    std::fs::create_dir(&folder).unwrap();
    let settings = Settings { file: folder.join("nexus.enc"), salt: folder.join(".salt") };
    let store = Store::open(settings, &Passphrase::new(SECRET).unwrap()).unwrap();
    for (name, field) in [("stripe", "api_key"), ("openai", "api_key"), ("unheard_of", "api_key")] {
        let mut fields = Credential::default();
        fields.set(field, Secret::new(format!("{name}-key-0123456789")));
        store.register(&name.parse().unwrap(), Entry::new(name.parse().unwrap(), AuthType::ApiKey, fields)).unwrap();
    }
}

#[test]
fn connections_are_taken_over_with_their_hosts_sealed() {
    let world = World::new();
    world.register(&["stripe"], "api_key=sk_test_of_my_own\n");
    jarviscore(&world);
    let said = world.nexus(&["import", "jarviscore"]).failed(1);
    assert!(
        said.contains("does not open without its secret") && said.contains("NEXUS_SECRET=… nexus import jarviscore"),
        "{said}"
    );
    let world = world.with("NEXUS_SECRET", SECRET);
    let done = world.nexus(&["import", "jarviscore", "--json"]);
    assert!(done.err.contains("unheard_of: nexus knows no provider of that name"), "{}", done.err);
    assert!(done.err.contains("--force replaces them"), "{}", done.err);
    let done = done.json();
    assert_eq!(
        (&done["imported"], &done["skipped"]),
        (&serde_json::json!(["openai", "unheard_of"]), &serde_json::json!(["stripe"]))
    );
    let forced = world.nexus(&["import", "jarviscore", "--force", "--json"]).json();
    assert_eq!(forced["imported"].as_array().unwrap().len(), 3);
    // Our own vault is opened by our own secret again.
    let world = world.with("NEXUS_SECRET", "");
    // A file that comes later does not take a credential by its name alone (I2, threat 32).
    world.provider("unheard_of", "name = \"unheard_of\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"api.unheard.test\"]\nstrategy = { bearer = \"{api_key}\" }\n");
    let explain = || world.nexus(&["explain", "https://api.unheard.test/", "--json"]).json();
    assert_eq!(explain()["outcome"], "refuse", "{}", explain());
    world.nexus(&["providers", "trust", "unheard_of", "--yes"]).ok();
    assert_eq!(explain()["outcome"], "inject", "{}", explain());
    let shown = world.nexus(&["show", "openai", "--json"]).json();
    let mut named: Vec<String> =
        serde_json::from_value(world.nexus(&["providers", "show", "openai", "--json"]).json()["hosts"].clone()).unwrap();
    named.sort();
    // There an API key is good for nothing.
    named.retain(|host| host != "chatgpt.com");
    assert!(named.contains(&"api.openai.com".to_owned()));
    assert_eq!(shown["hosts"], serde_json::json!(named));
}

#[test]
fn a_folder_without_a_vault_is_told() {
    let world = World::new().with("NEXUS_SECRET", SECRET);
    let said = world.nexus(&["import", "jarviscore", "--folder", "/nowhere"]).failed(1);
    assert!(said.contains("there is no /nowhere/nexus.enc"), "{said}");
}
