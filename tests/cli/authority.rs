//! `nexus ca`.

use crate::world::World;

#[test]
fn the_root_is_shown_and_exported() {
    let world = World::new();
    let shown = world.nexus(&["ca", "show", "--json"]).json();
    assert_eq!(shown["roots"].as_array().unwrap().len(), 1);
    assert_eq!((shown["roots"][0]["part"].as_str(), shown["roots"][0]["sha256"].as_str().unwrap().len()), (Some("signs"), 95));
    let pem = world.nexus(&["ca", "export"]).ok();
    assert_eq!(pem, world.read("ca.pem"));
    let bundle = world.nexus(&["ca", "export", "--bundle"]).ok();
    assert!(bundle.matches("BEGIN CERTIFICATE").count() > 10 && bundle.contains(pem.trim()));
    assert!(!bundle.contains("PRIVATE"));
    assert_eq!(world.nexus(&["ca", "export", "--json"]).json()["pem"], pem.as_str());
    let text = world.nexus(&["ca", "show"]).ok();
    assert!(text.contains("Valid until") && text.contains("(signs)"), "{text}");
}

#[test]
fn a_rotation_begins_waits_and_finishes() {
    let world = World::new();
    let rotate = |arguments: &[&str]| {
        let whole: Vec<&str> = [&["ca", "rotate", "--json"], arguments].concat();
        world.nexus(&whole).json()["rotation"].as_str().unwrap().to_owned()
    };
    let old = world.read("ca.pem");
    assert_eq!((rotate(&[]), rotate(&[])), ("begun".into(), "waiting".into()));
    assert_eq!(world.read("ca.pem"), old);
    assert_eq!(world.nexus(&["status", "--json"]).json()["ca"]["rotating"], true);
    let parts = || -> Vec<String> {
        let shown = world.nexus(&["ca", "show", "--json"]).json();
        shown["roots"].as_array().unwrap().iter().map(|root| root["part"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(parts(), ["signs", "next"]);
    assert_eq!(rotate(&["--finish"]), "finished");
    assert_eq!(parts(), ["signs", "retired"]);
    assert_ne!(world.read("ca.pem"), old);
    assert_eq!(world.nexus(&["ca", "export"]).ok().matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn a_rotation_that_is_due_finishes_when_the_proxy_starts() {
    let world = World::new();
    let old = world.read("ca.pem");
    world.nexus(&["ca", "rotate"]).ok();
    world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[ca]\noverlap_days = 0\n");
    let up = world.up();
    assert_ne!(world.read("ca.pem"), old);
    assert_eq!(up.stop(), Some(0));
}
