//! `nexus gateway key`, and the gateway as `nexus up` and `nexus status` know it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::Value;

use crate::world::{Up, World, eventually};

/// What is written down of the gateway that is up.
fn announced(world: &World) -> Value {
    serde_json::from_str(&world.read("gateway.addr")).expect("an announcement")
}

fn address(world: &World) -> String {
    announced(world)["address"].as_str().expect("an address").to_owned()
}

/// The status of a GET with this key.
fn ask(address: &str, path: &str, key: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("the gateway");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("a write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    (answer.split(' ').nth(1).expect("a status").parse().expect("a number"), answer)
}

#[test]
fn i1_a_key_is_shown_once_and_kept_as_a_hash() {
    let world = World::new();
    let add = [
        "gateway",
        "key",
        "add",
        "crew",
        "--kind",
        "app",
        "--user",
        "alice",
        "--providers",
        "GitHub,slack",
        "--expires",
        "30d",
    ];
    let added = world.nexus(&[&add[..], &["--json"]].concat()).json();
    let key = added["secret"].as_str().unwrap();
    assert!(key.starts_with("nxk_") && key.len() == 36 && added["kind"] == "app", "{added}");
    assert!(world.read("gateway-keys.toml").contains("key_sha256") && !world.read("gateway-keys.toml").contains(key));
    let list = world.nexus(&["gateway", "key", "list", "--json"]).json();
    let row = &list["keys"][0];
    assert_eq!((&row["key"], &row["kind"], &row["user"]), (&"crew".into(), &"app".into(), &"alice".into()));
    assert_eq!(row["providers"], serde_json::json!(["github", "slack"]));
    assert!(row["expires_at"].is_string() && row["expired"] == false && !list.to_string().contains(key), "{list}");
    let text = world.nexus(&["gateway", "key", "list"]).ok();
    assert!(text.starts_with("Key ") && text.contains("github, slack") && text.contains("in 29 days"), "{text}");
    let said = world.nexus(&add).failed(1);
    assert!(said.contains("a key called crew already") && said.contains("nexus gateway key revoke crew"), "{said}");
    assert_eq!(world.nexus(&["gateway", "key", "revoke", "crew"]).ok(), "revoked crew\n");
    assert!(world.nexus(&["gateway", "key", "revoke", "crew"]).failed(1).contains("no key called crew"));
    assert_eq!(world.nexus(&["gateway", "key", "list", "--json"]).json()["keys"], serde_json::json!([]));
}

#[test]
fn what_a_key_is_made_of_is_checked() {
    let world = World::new();
    for (code, arguments, words) in [
        (2, &["a b", "--kind", "app"][..], "agent name"),
        (1, &["x", "--kind", "app", "--providers", "githb"], "did you mean github?"),
        (1, &["x", "--kind", "node", "--user", "alice"], "keys of apps only"),
        (1, &["x", "--kind", "admin", "--providers", "github"], "keys of apps and nodes only"),
        (2, &["x", "--kind", "app", "--expires", "soon"], "is not a time"),
        (2, &["x", "--kind", "app", "--user", "a b"], "user name"),
    ] {
        let said = world.nexus(&[&["gateway", "key", "add"], arguments].concat()).failed(code);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(world.nexus(&["gateway", "key", "add", "x"]).code, Some(2), "a kind must be said");
    assert_eq!(world.read("gateway-keys.toml"), "", "nothing was written");
}

#[test]
fn the_lines_that_are_shown_with_a_key_work() {
    let world = World::new();
    let up = world.up();
    // The port is the configuration's in what is shown, which here is any.
    for (kind, words) in [("app", "/k/nxk_"), ("node", "NEXUS_GATEWAY_KEY=nxk_"), ("admin", "curl -H 'X-API-Key: nxk_")] {
        let shown = world.nexus(&["gateway", "key", "add", kind, "--kind", kind]).ok();
        assert!(shown.contains(words), "{shown}");
        let key = shown.lines().nth(1).unwrap().trim().to_owned();
        eventually(|| ask(&address(&world), "/api/whoami", &key).0 == 200);
        world.nexus(&["gateway", "key", "revoke", kind]).ok();
        // 401, and after many of those 429.
        eventually(|| ask(&address(&world), "/api/whoami", &key).0 != 200);
    }
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn status_shows_the_gateway_while_it_is_up() {
    let world = World::new();
    let status = |world: &World| world.nexus(&["status", "--json"]).json();
    assert_eq!(status(&world)["gateway"], serde_json::json!({ "up": false, "keys": 0 }));
    world.nexus(&["gateway", "key", "add", "crew", "--kind", "app"]).ok();
    let up = world.up();
    let shown = status(&world);
    let url = format!("http://{}", address(&world));
    assert_eq!((&shown["gateway"]["up"], &shown["gateway"]["url"], &shown["ok"]), (&true.into(), &url.into(), &true.into()));
    assert!(world.nexus(&["status"]).ok().contains("keys: 1"));
    let key = announced(&world)["key"].as_str().unwrap().to_owned();
    assert!(ask(&address(&world), "/api/whoami", &key).1.contains("\"kind\":\"admin\""), "who can read the home administers");
    assert_eq!(up.stop(), Some(0));
    assert!(!world.home("gateway.addr").exists());
    assert_eq!(status(&world)["gateway"]["up"], false);
}

#[test]
fn a_gateway_that_was_killed_is_not_up() {
    let world = World::new();
    let up = world.up();
    let before = announced(&world)["key"].clone();
    up.kill();
    assert_eq!(world.nexus(&["status", "--json"]).json()["gateway"]["up"], false);
    let up = world.up();
    assert_ne!(announced(&world)["key"], before, "each has a key of its own");
    drop(up);
}

/// `nexus up` with this, and what it prints once it is up.
fn spawn(world: &World, arguments: &[&str], lines: usize) -> (std::process::Child, Vec<String>) {
    let mut command = world.command(&[&["up", "--announce"], arguments].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let printed = BufReader::new(child.stdout.take().unwrap()).lines().take(lines).map(|line| line.unwrap()).collect();
    (child, printed)
}

#[test]
fn it_runs_without_the_proxy_or_not_at_all() {
    let world = World::new();
    let (mut child, printed) = spawn(&world, &["--gateway-only"], 1);
    assert_eq!(printed, [format!("gateway {}", address(&world))]);
    let status = world.nexus(&["status", "--json"]).json();
    assert_eq!((&status["proxy"]["up"], &status["gateway"]["up"]), (&false.into(), &true.into()), "{status}");
    crate::world::signal(&child, rustix::process::Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let world = World::new().with("NEXUS__GATEWAY__ENABLED", "false");
    let up: Up = world.up();
    assert!(!world.home("gateway.addr").exists());
    assert!(world.nexus(&["status"]).ok().contains("gateway.enabled is false"));
    drop(up);
    let world = World::new();
    let (mut child, printed) = spawn(&world, &[], 2);
    assert!(printed[0].starts_with("listening 127.0.0.1:") && printed[1].starts_with("gateway 127.0.0.1:"), "{printed:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn where_it_cannot_listen_it_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = taken.local_addr().unwrap().to_string();
    for arguments in [&["up"][..], &["up", "--gateway-only"]] {
        let said = World::new().with("NEXUS__GATEWAY__LISTEN", &place).nexus(arguments).failed(1);
        assert!(said.contains(&format!("the gateway cannot listen on {place}")) && said.contains("gateway.enabled"), "{said}");
        assert!(said.contains("NEXUS__GATEWAY__LISTEN="), "{said}");
    }
    let said = World::new().with("NEXUS__GATEWAY__LISTEN", "0.0.0.0:0").nexus(&["up"]).failed(1);
    assert!(said.contains("gateway.tls_cert") && said.contains("plain_http"), "{said}");
    let world = World::new().with("NEXUS__GATEWAY__LISTEN", "0.0.0.0:0").with("NEXUS__GATEWAY__PLAIN_HTTP", "true");
    drop(world.up());
}

#[test]
fn a_certificate_is_used_or_the_mistake_is_told() {
    let said = |text: &str| {
        let world = World::new();
        std::fs::write(world.home("empty.pem"), "").unwrap();
        world.config(&format!("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[gateway]\n{text}"));
        world.nexus(&["up"]).failed(1)
    };
    assert!(said("tls_cert = \"c.pem\"").contains("gateway.tls_key: must name the key"));
    assert!(said("tls_key = \"c.pem\"").contains("gateway.tls_cert: must name the certificate"));
    assert!(said("tls_cert = \"c.pem\"\ntls_key = \"k.pem\"").contains("gateway.tls_cert: there is no "));
    assert!(said("tls_cert = \"empty.pem\"\ntls_key = \"k.pem\"").contains("holds no certificate"));
    let world = World::new();
    // The leaf alone, signed by an authority that is nobody's here.
    let mut root = rcgen::CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::Issuer::new(root, rcgen::KeyPair::generate().unwrap());
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(["gw.example".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let write =
        |name: &str, text: String| nexus::disk::write_atomic(&world.home(name), text.as_bytes(), nexus::disk::PRIVATE).unwrap();
    write("c.pem", leaf.pem());
    write("k.pem", key.serialize_pem());
    let tls = "tls_cert = \"c.pem\"\ntls_key = \"k.pem\"\nnames = [\"gw.example\"]";
    world.config(&format!("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[gateway]\n{tls}\n"));
    let up = world.up();
    let status = world.nexus(&["status", "--json"]).json();
    assert_eq!((&status["gateway"]["up"], &status["ok"]), (&true.into(), &true.into()), "{status}");
    assert!(status["gateway"]["url"].as_str().unwrap().starts_with("https://"), "{status}");
    assert!(world.nexus(&["attention", "--json"]).json()["items"].as_array().unwrap().is_empty());
    drop(up);
}

#[test]
fn t147_a_guessable_secret_opens_no_gateway() {
    let Some(world) = crate::homes::guessable() else { return eprintln!("this machine has no hardware address") };
    world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n");
    let said = world.nexus(&["up", "--gateway-only"]).failed(1);
    assert!(said.contains("a gateway needs a NEXUS_SECRET of its own"), "{said}");
    let up = world.up_saying("no gateway is started");
    assert!(!world.home("gateway.addr").exists());
    drop(up);
}
