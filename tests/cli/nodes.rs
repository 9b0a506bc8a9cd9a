//! A home whose connections a gateway keeps: what the command line stores and shows there, and `nexus up` as a node of it.

use serde_json::Value;

use crate::harness::Authority;
use crate::world::{Up, World, eventually};

const KEY: &str = "sk_test_of_stripe_0123456789";

/// A gateway that is up, and its address.
pub(crate) fn gateway() -> (World, Up, String) {
    let world = World::new();
    let up = world.up();
    let announced: Value = serde_json::from_str(&world.read("gateway.addr")).expect("an announcement");
    let url = format!("http://{}", announced["address"].as_str().expect("an address"));
    (world, up, url)
}

pub(crate) fn key(gateway: &World, kind: &str) -> String {
    let shown = gateway.nexus(&["gateway", "key", "add", kind, "--kind", kind]).ok();
    let key = shown.lines().nth(1).expect("a key").trim().to_owned();
    // It reads its keys again in a moment.
    let asks = World::new();
    let url: Value = serde_json::from_str(&gateway.read("gateway.addr")).expect("an announcement");
    let url = format!("http://{}", url["address"].as_str().expect("an address"));
    let asks = asks.with("NEXUS_GATEWAY_URL", &url).with("NEXUS_GATEWAY_KEY", &key);
    eventually(|| !asks.nexus(&["list"]).err.contains("401"));
    key
}

fn names(world: &World) -> Vec<String> {
    let list = world.nexus(&["list", "--json"]).json();
    let rows = list["connections"].as_array().expect("rows");
    rows.iter().map(|row| row["connection"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn what_a_person_types_is_stored_at_the_gateway_and_nowhere_else() {
    let (gateway, _up, url) = gateway();
    let here = World::new().with("NEXUS_GATEWAY_URL", &url).with("NEXUS_GATEWAY_KEY", &key(&gateway, "admin"));
    let done = here.nexus_with(&["register", "stripe", "--user", "alice", "--stdin"], &format!("api_key={KEY}\n"));
    assert!(done.err.is_empty() || !done.err.contains("local vault"), "{}", done.err);
    assert!(
        done.out.contains("registered stripe:alice for ") && done.out.contains(&format!("at the gateway {url}")),
        "{}",
        done.out
    );
    assert_eq!(names(&gateway), ["stripe:alice"]);
    assert_eq!(names(&here), ["stripe:alice"], "the list is the gateway's");
    assert!(here.nexus(&["list", "--user", "bob", "--json"]).json()["connections"].as_array().expect("rows").is_empty());
    // Python: uuid.uuid5(uuid.NAMESPACE_DNS, "alice").
    let by_number = here.nexus(&["list", "--user", "c2ef90b9-02bc-5d53-93cd-92652b6e1b41", "--json"]).json();
    assert_eq!(by_number["connections"].as_array().map(Vec::len), Some(1), "a person by number: {by_number}");
    assert!(here.nexus(&["list", "--user", "bob"]).err.contains("has none of bob"));
    assert!(!here.home("nexus.enc").exists(), "nothing is here");

    let again =
        here.nexus_with(&["register", "stripe", "--user", "alice", "--stdin", "--json"], "api_key=sk_another_one_0123\n");
    assert_eq!(again.json()["replaced"], true);
    let removed = here.nexus(&["remove", "stripe:alice"]).ok();
    assert!(removed.contains("removed stripe:alice at the gateway") && names(&gateway).is_empty(), "{removed}");
    let gone = here.nexus(&["remove", "stripe:alice"]).failed(1);
    assert!(gone.contains("stripe:alice is neither at the gateway") && gone.contains("nor in the vault here"), "{gone}");
    let refused = here.nexus_with(&["register", "stripe", "--stdin"], "password=x\n").failed(1);
    assert!(refused.contains("needs other fields"), "{refused}");
}

#[test]
fn the_key_that_was_typed_is_the_one_that_the_gateways_proxy_sends() {
    let (gateway, _up, url) = gateway();
    let here = World::new().with("NEXUS_GATEWAY_URL", &url).with("NEXUS_API_KEY", KEY);
    // A program of the gateway's own user on its machine needs no key to add what is not there.
    here.nexus(&["register", "stripe"]).ok();
    let again = here.nexus_with(&["register", "stripe", "--stdin"], "api_key=sk_another_one_0123\n").failed(1);
    assert!(again.contains("403") && again.contains("registered already"), "{again}");
    assert!(again.contains("nexus gateway key add") && again.contains("nexus register"), "what to do: {again}");
    let store = nexus::vault::Store::open(
        nexus::app::Home::new(gateway.home("")).vault(),
        &nexus::app::passphrase(&nexus::app::Home::new(gateway.home("")), &|_name| None).expect("a secret").0,
    );
    let entry = store.expect("a vault").get(&"stripe".parse().expect("a name")).expect("a vault").expect("an entry");
    assert!(entry.fields.field("api_key").is_some_and(|key| key.matches(KEY)));
}

#[test]
fn a_gateway_that_says_no_is_an_error_with_its_reason() {
    let (gateway, _up, url) = gateway();
    for kind in ["app", "node"] {
        let here = World::new().with("NEXUS_GATEWAY_URL", &url).with("NEXUS_GATEWAY_KEY", &key(&gateway, kind));
        let here = here.with("NEXUS_API_KEY", KEY);
        let said = here.nexus(&["register", "stripe"]).failed(1);
        assert!(said.contains("403") && said.contains("admin"), "{said}");
        assert!(!here.home("nexus.enc").exists() && names(&gateway).is_empty(), "nothing was stored");
    }
    let wrong = World::new().with("NEXUS_GATEWAY_URL", &url).with("NEXUS_GATEWAY_KEY", "nxk_wrong").with("NEXUS_API_KEY", KEY);
    let said = wrong.nexus(&["register", "stripe"]).failed(1);
    assert!(said.contains("401") && said.contains("nexus gateway key"), "{said}");
    let clear = World::new().with("NEXUS_GATEWAY_URL", "http://gateway.example:8090").with("NEXUS_API_KEY", KEY);
    let done = clear.nexus(&["register", "stripe"]);
    assert!(
        done.err.contains("http:// is for a gateway on this machine only") && done.err.contains("the local vault is used"),
        "{}",
        done.err
    );
    // With a key for it nothing is stored where nobody would use it.
    let clear = World::new().with("NEXUS_GATEWAY_URL", "http://gateway.example:8090").with("NEXUS_GATEWAY_KEY", "nxk_some");
    let said = clear.with("NEXUS_API_KEY", KEY).nexus(&["register", "stripe"]).failed(1);
    assert!(said.contains("http:// is for a gateway on this machine only") && said.contains("nothing was done"), "{said}");
}

#[test]
fn the_gateway_of_this_home_is_the_vault_here() {
    let (gateway, _up, url) = gateway();
    let same = gateway.with("NEXUS_GATEWAY_URL", &url).with("NEXUS_API_KEY", KEY);
    let done = same.nexus(&["register", "stripe"]);
    assert!(done.out.starts_with("registered stripe for ") && !done.out.contains("at the gateway"), "{}{}", done.out, done.err);
    assert!(!done.err.contains("local vault"), "{}", done.err);
}

#[test]
fn a_node_shows_its_gateway_and_what_is_left_of_the_grace() {
    let (gateway, up, url) = gateway();
    gateway.register(&["github"], "access_token=gho_0123456789abcdef\n");
    let node = World::new().with("NEXUS_GATEWAY_URL", &url).with("NEXUS_GATEWAY_KEY", &key(&gateway, "node"));
    let status = || node.nexus(&["status", "--json"]);
    assert_eq!(status().json()["gateway"], serde_json::json!({ "url": url, "up": false }));
    let proxy = node.up_saying("connections are taken from the gateway at");
    let good = |status: &Value| status["gateway"]["up"] == true && status["gateway"]["connections"] == 1;
    eventually(|| good(&status().json()));
    let shown = node.nexus(&["run", "--", "sh", "-c", "echo $GITHUB_TOKEN; env | grep -c NEXUS_GATEWAY"]);
    assert!(shown.out.starts_with("ghp_") && shown.out.ends_with("\n0\n"), "{}{}", shown.out, shown.err);
    assert!(!shown.out.contains("gho_0123456789abcdef"));
    assert!(!node.home("nexus.enc").exists() && !node.read("node.json").contains("gho_"), "copies are in memory only");
    up.kill();
    eventually(|| status().code == Some(1));
    let away: Value = serde_json::from_str(&status().out).expect("JSON");
    let left = away["gateway"]["grace_left_secs"].as_u64().expect("a number");
    assert!((3000..=3600).contains(&left) && away["gateway"]["why"].is_string(), "{away}");
    let text = node.nexus(&["status"]).out;
    assert!(text.contains("was last heard at") && text.contains("gateway.grace_secs"), "{text}");
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn a_gateway_that_lends_nothing_any_more_is_not_called_away() {
    let (gateway, up, url) = gateway();
    gateway.register(&["github"], "access_token=gho_0123456789abcdef\n");
    let node = World::new().with("NEXUS_GATEWAY_URL", &url).with("NEXUS_GATEWAY_KEY", &key(&gateway, "node"));
    let proxy = node.up_saying("connections are taken from the gateway at");
    let status = || node.nexus(&["status", "--json"]);
    eventually(|| status().json()["gateway"]["connections"] == 1);
    gateway.nexus(&["gateway", "key", "revoke", "node"]).ok();
    // The stream ends first; that nothing is lent any more is heard when the node asks for it anew.
    let told = || serde_json::from_str::<Value>(&status().out).expect("JSON");
    eventually(|| status().code == Some(1) && told()["gateway"]["grace_left_secs"] == 0);
    let text = node.nexus(&["status"]).out;
    assert!(text.contains("lends this home nothing") && !text.contains("grace_secs"), "{text}");
    let explained = node.nexus(&["explain", "https://api.github.com/user"]).out;
    assert!(explained.contains("does not tell this home what it lends") && !explained.contains("not answer"), "{explained}");
    up.kill();
    let listed = node.nexus(&["list"]);
    assert!(
        listed.err.contains("1 connections are at the gateway") && !listed.err.contains("nothing is registered"),
        "{}",
        listed.err
    );
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn what_the_gateway_lends_is_not_changed_here_while_it_is_away() {
    let (gateway, up, url) = gateway();
    gateway.register(&["github"], "access_token=gho_0123456789abcdef\n");
    let node = World::new().with("NEXUS_GATEWAY_URL", &url).with("NEXUS_GATEWAY_KEY", &key(&gateway, "node"));
    let proxy = node.up_saying("connections are taken from the gateway at");
    eventually(|| node.home("node.json").exists() && node.read("node.json").contains("github"));
    up.kill();
    let typed = node.nexus_with(&["register", "github", "--stdin"], "access_token=gho_another_one_01234\n").failed(1);
    assert!(typed.contains("would never be used") && typed.contains(&url), "{typed}");
    assert!(!node.home("nexus.enc").exists(), "nothing was stored");
    let removed = node.nexus(&["remove", "github"]).failed(1);
    assert!(removed.contains("nothing was changed"), "{removed}");
    // What is this machine's alone is kept and removed here.
    node.nexus_with(&["register", "stripe", "--stdin"], &format!("api_key={KEY}\n")).ok();
    assert!(node.nexus(&["remove", "stripe"]).ok().contains("removed stripe"));
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn a_url_without_a_key_makes_no_node() {
    let node = World::new().with("NEXUS_GATEWAY_URL", "http://gateway.example:8090/k/nxk_1");
    let proxy = node.up();
    let shown = node.nexus(&["status", "--json"]).json();
    assert!(shown["gateway"]["url"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")), "{shown}");
    drop(proxy);
    let wrong = node.with("NEXUS_GATEWAY_KEY", "nxk_1");
    let said = wrong.nexus(&["up"]).failed(1);
    assert!(said.contains("NEXUS_GATEWAY_URL can't be used"), "{said}");
}

/// A gateway with TLS that shows `chain`, and its URL.
fn tls_gateway(ca: &Authority, with_root: bool) -> (World, Up, String) {
    let world = World::new();
    let (leaf, key) = ca.leaf_pem(&["127.0.0.1"]);
    let chain = if with_root { leaf + ca.pem() } else { leaf };
    for (name, text) in [("gateway.pem", chain), ("gateway.key", key)] {
        nexus::disk::write_atomic(&world.home(name), text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
    }
    world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[gateway]\ntls_cert = \"gateway.pem\"\ntls_key = \"gateway.key\"\n");
    let up = world.up();
    let announced: Value = serde_json::from_str(&world.read("gateway.addr")).expect("an announcement");
    let url = format!("https://{}", announced["address"].as_str().expect("an address"));
    (world, up, url)
}

#[test]
fn i4_a_gateway_is_trusted_after_a_person_has_seen_who_signed_its_certificate() {
    let ca = Authority::new();
    let (gateway, _up, url) = tls_gateway(&ca, true);
    let here = World::new().with("NEXUS_GATEWAY_URL", &url);
    for command in [&["list"][..], &["remove", "stripe"], &["login", "github"], &["show", "stripe"], &["register", "stripe"]] {
        let unknown = here.nexus(command).failed(1);
        assert!(
            unknown.contains("can't be verified") && unknown.contains(&format!("run `nexus gateway trust {url}`")),
            "{unknown}"
        );
        assert!(unknown.contains("does not know who signed it"), "{unknown}");
    }
    let sha256 = nexus::ca::describe(ca.pem()).expect("a root")[0].sha256.clone();
    let said = here.nexus(&["gateway", "trust", &url]).failed(1);
    assert!(said.contains(&sha256) && said.contains("there is nobody to ask"), "{said}");
    let other = here.nexus(&["gateway", "trust", &url, "--sha256", &sha256.replace(&sha256[..2], "00")]).failed(1);
    assert!(other.contains("another one"), "{other}");
    assert!(!here.home("gateway-ca.pem").exists(), "nobody said yes");
    let line = format!("{} gateway trust", env!("CARGO_BIN_EXE_nexus"));
    let asked = here.on_terminal(&line, &[("[y/N]", "n\n")]);
    assert!(asked.out.contains(&sha256) && !here.home("gateway-ca.pem").exists(), "{}", asked.out);
    let asked = here.on_terminal(&line, &[("[y/N]", "y\n")]);
    assert_eq!(asked.code, Some(0), "{}", asked.out);
    assert_eq!(here.read("gateway-ca.pem").trim(), ca.pem().trim().replace("\r\n", "\n"));
    let other = World::new().with("NEXUS_GATEWAY_URL", &url);
    nexus::disk::write_atomic(&other.home("gateway-ca.pem"), Authority::new().pem().as_bytes(), nexus::disk::PRIVATE).unwrap();
    assert!(other.nexus(&["list"]).failed(1).contains("another authority signed it"), "somebody else's certificate");
    drop(gateway);
    let refused = here.nexus(&["list"]);
    // A key is wanted, or our own user is taken for its owner: the certificate is no matter any more.
    assert!(!refused.err.contains("verified"), "{}", refused.err);
}

#[test]
fn an_authority_that_the_gateway_does_not_show_comes_from_a_file() {
    let ca = Authority::new();
    let (_gateway, _up, url) = tls_gateway(&ca, false);
    let here = World::new();
    let said = here.nexus(&["gateway", "trust", &url, "--sha256", "00"]).failed(1);
    assert!(said.contains("--ca"), "{said}");
    let file = here.path("root.pem");
    std::fs::write(&file, ca.pem()).expect("a file");
    let sha256 = nexus::ca::describe(ca.pem()).expect("a root")[0].sha256.clone();
    let trust = |file: &std::path::Path| {
        here.nexus(&["gateway", "trust", &url, "--ca", file.to_str().expect("text"), "--sha256", &sha256])
    };
    trust(&file).ok();
    std::fs::remove_file(here.home("gateway-ca.pem")).expect("it was there");
    std::fs::write(&file, Authority::new().pem()).expect("a file");
    let wrong = trust(&file).failed(1);
    assert!(wrong.contains("TLS") && !here.home("gateway-ca.pem").exists(), "{wrong}");
    assert!(here.nexus(&["gateway", "trust", "http://127.0.0.1:1"]).failed(1).contains("no certificate"));
}
