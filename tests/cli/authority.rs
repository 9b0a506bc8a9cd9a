//! `nexus ca`.

use crate::world::{Done, World, eventually};

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
    let said = world.nexus(&["ca", "rotate", "--finish"]).failed(1);
    assert!(said.contains("no rotation is under way") && !world.home("ca.next.pem").exists(), "{said}");
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
fn the_overlap_of_a_rotation_is_ended_by_hand() {
    let world = World::new();
    let said = world.nexus(&["ca", "rotate", "--drop-old"]).failed(1);
    assert!(said.contains("there is no old root") && said.contains("nexus ca show"), "{said}");
    let old = world.read("ca.pem");
    world.nexus(&["ca", "rotate"]).ok();
    // While the old one still signs there is nothing to drop.
    let said = world.nexus(&["ca", "rotate", "--drop-old"]).failed(1);
    assert!(said.contains("nexus ca rotate --finish") && world.read("ca-bundle.pem").contains(old.trim()), "{said}");
    world.nexus(&["ca", "rotate", "--finish"]).ok();
    assert!(world.read("ca-bundle.pem").contains(old.trim()));
    let done = world.nexus(&["ca", "rotate", "--drop-old", "--json"]).json();
    assert_eq!((done["rotation"].as_str(), done["dropped"].as_array().map(Vec::len)), (Some("ended"), Some(1)), "{done}");
    let new = world.read("ca.pem");
    for file in ["ca-bundle.pem", "env/ca.pem"] {
        assert!(!world.read(file).contains(old.trim()) && world.read(file).contains(new.trim()), "{file}");
    }
    assert_eq!(world.nexus(&["ca", "export"]).ok(), new);
    world.nexus(&["ca", "rotate", "--drop-old", "--finish"]).failed(2);
}

#[test]
fn a_proxy_that_is_up_follows_a_rotation() {
    let world = World::new();
    let up = world.up();
    let proxy = format!("https://localhost:{}", up.address.rsplit(':').next().unwrap());
    // The proxy's own certificate is signed by the root that signs now.
    let trusted = |file: &str| {
        let arguments = ["-sS", "-x", &proxy, "--proxy-cacert", file, "-o", "/dev/null", "http://nexus.internal/ca.pem"];
        world.program("curl", &arguments).output().unwrap().status.success()
    };
    let shown = || {
        Done::from(world.program("curl", &["-sS", "-x", &up.address, "http://nexus.internal/ca.pem"]).output().unwrap()).ok()
    };
    let old = world.path("old.pem");
    std::fs::copy(world.home("ca.pem"), &old).unwrap();
    assert!(trusted(old.to_str().unwrap()));
    world.nexus(&["ca", "rotate"]).ok();
    eventually(|| shown().matches("BEGIN CERTIFICATE").count() == 2);
    world.nexus(&["ca", "rotate", "--finish"]).ok();
    let new = world.home("ca.pem");
    eventually(|| trusted(new.to_str().unwrap()));
    assert!(!trusted(old.to_str().unwrap()));
    world.nexus(&["ca", "rotate", "--drop-old"]).ok();
    eventually(|| shown() == world.read("ca.pem"));
    assert_eq!(up.stop(), Some(0));
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
