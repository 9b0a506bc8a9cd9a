//! The rules on the page: what they did, and what the log would have needed.

use serde_json::{Value, json};

use crate::page::{driven_by, link};
use crate::service::{ask, service};
use crate::world::{Up, World, eventually};

/// A home with rules of which some were used: its proxy refused one request, and let one on.
fn scene() -> (World, Up) {
    let (address, _served) = service();
    let world = World::new();
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nallow_private = [\"127.0.0.0/8\"]\n\
         [[rule]]\nname = \"no writes\"\nhosts = [\"127.0.0.1\"]\npaths = \"/items\"\naction = \"deny\"\nmode = \"report\"\n\
         [[rule]]\nname = \"idle\"\nhosts = \"*.example.net\"\naction = \"deny\"\n[[rule]]\nname = \"rest\"\naction = \"allow\"\n",
    );
    let up = world.up();
    assert!(ask(&up.address, &address).starts_with("http/1.1 204"));
    eventually(|| world.nexus(&["audit", "tail", "--json", "-n", "50"]).ok().contains("\"close\""));
    (world, up)
}

fn text<'a>(seen: &'a Value, name: &str) -> &'a str {
    seen[name].as_str().unwrap_or_else(|| panic!("{name}: {seen}"))
}

#[test]
fn rules_are_looked_at_and_suggested() {
    let (world, _up) = scene();
    let seen = driven_by("policy.mjs", &world, "use", &[link(&world, "auditor")]);
    assert!(text(&seen, "writes").contains("nexus.toml:") && text(&seen, "writes").contains("report"), "{seen}");
    assert!(text(&seen, "idle").contains("never matched"), "{seen}");
    for words in ["Nothing is changed here", "nexus.toml", "policies", "let on", "Would have refused"] {
        assert!(text(&seen, "where").contains(words), "{words}: {seen}");
    }
    assert!(text(&seen, "text").contains("hosts = \"*.example.net\""), "{seen}");
    assert!(
        text(&seen, "diff").contains("+ paths = \"/items\"") && text(&seen, "diff").contains("- hosts = \"*.example.net\""),
        "{seen}"
    );
    std::fs::write(world.path("work/suggested.toml"), text(&seen, "file")).expect("a file");
    assert_eq!(world.nexus(&["policy", "check", "suggested.toml"]).ok(), "1 rules, all sound\n");
    assert_eq!(seen["difference"], json!([" a b c", " a-b+x c", "+a+b", "-a-b", "-a b-c d"]));
    assert_eq!((&seen["never"], &seen["wrong"]), (&json!(1), &json!([])), "{seen}");
}

#[test]
fn the_policy_view_can_be_used_by_everybody_and_fits() {
    let (world, _up) = scene();
    let seen = driven_by("policy.mjs", &world, "look", &[link(&world, "operator"), link(&world, "operator")]);
    assert_eq!((&seen["seen"], &seen["wrong"]), (&json!([]), &json!([])), "{seen}");
}
