//! `nexus login` on a node: the gateway asks, by the app that is registered there, and keeps what comes of it.

use nexus::vault::Status;
use rustix::process::Signal;
use serde_json::Value;

use crate::consented::{LoggingIn, edit, entry, with_app};
use crate::nodes::key;
use crate::oidc::{ACME, Oidc};
use crate::world::{Up, World, eventually, signal};

/// A gateway with the app's client, and a node of it that has a key of this kind.
struct House {
    gateway: World,
    oidc: Oidc,
    _up: Up,
    url: String,
}

impl House {
    fn new() -> Self {
        let (gateway, oidc) = with_app();
        let up = gateway.up();
        let told: Value = serde_json::from_str(&gateway.read("gateway.addr")).expect("an announcement");
        let url = format!("http://{}", told["address"].as_str().expect("an address"));
        Self { gateway, oidc, _up: up, url }
    }

    fn node(&self, kind: &str) -> World {
        World::new().with("NEXUS_GATEWAY_URL", &self.url).with("NEXUS_GATEWAY_KEY", &key(&self.gateway, kind))
    }

    /// Where a browser comes too late, or nobody waits.
    fn is_over(&self, page: &str) -> bool {
        let shown = self.oidc.browser(&self.gateway, "late").consent(page, "alice");
        shown.status == "404" && shown.text.contains("Nothing to do here")
    }
}

#[test]
fn a_person_consents_at_the_gateways_page_and_the_node_has_the_account() {
    let house = House::new();
    let here = house.node("admin");
    let mut session = LoggingIn::start(&here, &["--user", "alice"]);
    let page = session.page();
    assert!(page.contains("client_id=app") && page.contains("oauth%2Fcallback"), "{page}");
    assert!(session.said.contains(&house.url) && session.said.contains("for alice"), "{}", session.said);
    let shown = house.oidc.browser(&house.gateway, "alice").consent(&page, "alice");
    assert!(shown.status == "200" && shown.text.contains("Connected"), "{shown:?}");
    assert!(shown.text.contains("You can close this page") && shown.url.starts_with(&house.url), "{shown:?}");
    let said = session.end().json();
    assert_eq!(
        said,
        serde_json::json!({
            "connected": "acme:alice", "user": "alice", "gateway": house.url, "scopes": ["openid", "email"],
            "hosts": ["api.acme.example"],
        })
    );
    assert!(entry(&house.gateway, "acme:alice").is_some() && !here.home("nexus.enc").exists(), "it is there alone");
    // The default one, and what people read.
    let mut command = here.command(&["login", "acme", "--no-browser"]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut session = LoggingIn::of(child);
    let page = session.page();
    house.oidc.browser(&house.gateway, "bob").consent(&page, "bob");
    assert_eq!(session.end().ok(), format!("connected acme for api.acme.example at the gateway {}\n", house.url));
    on_a_node(&house);
    ended(&house, &here);
}

/// A node with a key of its own sees, explains and tries what the gateway lends.
fn on_a_node(house: &House) {
    let node = house.node("node");
    node.provider("acme", ACME);
    house.oidc.known_to(&node);
    let shown = node.nexus(&["show", "acme", "--user", "alice", "--json"]).json();
    assert_eq!((&shown["where"], &shown["gateway"]), (&"gateway".into(), &house.url.as_str().into()));
    assert_eq!((&shown["status"], &shown["hosts"][0]), (&"active".into(), &"api.acme.example".into()));
    for name in ["registered_at", "expires_at", "next_renewal_at"] {
        let time = shown[name].as_str().unwrap_or_else(|| panic!("{name} in {shown}"));
        assert_eq!(time.len(), "2027-01-15T08:00:00Z".len(), "{time}");
    }
    let told = node.nexus(&["show", "acme:alice"]).ok();
    assert!(
        told.contains(&house.url)
            && !told
                .contains(entry(&house.gateway, "acme:alice").unwrap().fields.field("access_token").unwrap().expose().as_str())
    );
    let why = node.nexus(&["explain", "https://api.acme.example/v1/me", "--json"]).json();
    assert_eq!((&why["outcome"], &why["connection"]), (&"inject".into(), &"acme".into()), "{why}");
    assert!(why["why"].as_str().unwrap().contains("the gateway lends it"), "{why}");
    let tried = node.nexus(&["test", "acme:alice", "--json"]).json();
    assert_eq!((&tried["works"], &tried["account"]), (&true.into(), &"alice".into()), "{tried}");
    let up = node.up_saying("connections are taken from the gateway at");
    assert!(node.nexus(&["test", "acme:alice"]).ok().ends_with("as alice\n"), "by the proxy that is up");
    drop(up);
    assert!(node.nexus(&["test", "acme:eve"]).failed(1).contains("acme:eve is not registered"));
    // A key that is lent nothing.
    let mere = World::new().with("NEXUS_GATEWAY_URL", &house.url);
    mere.provider("acme", ACME);
    let said = mere.nexus(&["test", "acme:alice"]).failed(1);
    assert!(said.contains("takes no connections from there") && said.contains("kind node"), "{said}");
}

/// What is taken out there is ended there.
fn ended(house: &House, here: &World) {
    let kept = here.nexus(&["remove", "acme:alice", "--keep", "--json"]).json();
    assert_eq!(kept, serde_json::json!({ "kept": "acme:alice", "revoked": true, "where": "gateway" }));
    let left = entry(&house.gateway, "acme:alice").expect("it is kept");
    assert!(left.status == Status::Revoked && left.fields.field("refresh_token").is_none(), "{left:?}");
    let token = entry(&house.gateway, "acme").unwrap().fields.field("access_token").unwrap().expose().clone();
    let said = here.nexus(&["remove", "acme", "--no-revoke"]).ok();
    assert_eq!(said, format!("removed acme at the gateway {}\n", house.url));
    assert_eq!(house.oidc.owner(&house.gateway, &token).as_deref(), Some("bob"), "its token is as good as before");
}

#[test]
fn a_key_that_is_one_persons_asks_for_that_person() {
    let house = House::new();
    let add = ["gateway", "key", "add", "hers", "--kind", "app", "--user", "alice", "--json"];
    let hers = house.gateway.nexus(&add).json()["secret"].as_str().expect("a key").to_owned();
    let here = World::new().with("NEXUS_GATEWAY_URL", &house.url).with("NEXUS_GATEWAY_KEY", &hers);
    eventually(|| !here.nexus(&["login", "nothing"]).err.contains("401"));
    let mut session = LoggingIn::start(&here, &[]);
    let page = session.page();
    house.oidc.browser(&house.gateway, "alice").consent(&page, "alice");
    let said = session.end().json();
    assert_eq!((&said["connected"], &said["user"]), (&"acme:alice".into(), &"alice".into()), "{said}");
    let said = here.nexus(&["login", "acme", "--user", "bob", "--no-browser"]).failed(1);
    assert!(said.contains("this key is for one person") && !said.contains("of another kind"), "{said}");
    let crew = World::new().with("NEXUS_GATEWAY_URL", &house.url).with("NEXUS_GATEWAY_KEY", &key(&house.gateway, "app"));
    let said = crew.nexus(&["login", "acme", "--no-browser"]).failed(1);
    assert!(said.contains("takes an admin key") && said.contains("NEXUS_GATEWAY_KEY=ADMIN_KEY nexus login acme"), "{said}");
}

#[test]
fn nobody_is_asked_for_what_the_key_here_could_not_have_stored() {
    let house = House::new();
    let here = house.node("node").with("NEXUS_CLIENT_SECRET", crate::oidc::SECRET);
    here.provider("acme", ACME);
    house.oidc.known_to(&here);
    let said = here.nexus(&["login", "acme", "--user", "alice", "--client-id", "app", "--no-browser"]).failed(1);
    assert!(
        said.contains("takes an admin key") && said.contains("of kind node") && said.contains("nobody was asked"),
        "{said}"
    );
    assert!(said.contains("nexus login acme --user alice"), "{said}");
    // Without a key nothing that is there is replaced.
    let keyless = World::new().with("NEXUS_GATEWAY_URL", &house.url).with("NEXUS_CLIENT_SECRET", crate::oidc::SECRET);
    keyless.provider("acme", ACME);
    house.oidc.known_to(&keyless);
    let said = keyless.nexus(&["login", "acme", "--client-id", "app", "--no-browser"]).failed(1);
    assert!(said.contains("it has acme already") && said.contains("nobody was asked"), "{said}");
    assert!(said.contains("NEXUS_GATEWAY_KEY=ADMIN_KEY nexus login acme --client-id ID"), "{said}");
    // The app alone is no credential, on either side.
    edit(&house.gateway, "acme", |entry| entry.app = true);
    let said = here.nexus(&["test", "acme"]).failed(1);
    assert!(said.contains("is an app that people log in by") && said.contains("nexus login acme"), "{said}");
    for world in [&here, &house.gateway] {
        let row = world.nexus(&["list"]).ok();
        assert!(
            row.lines().any(|line| line.starts_with("acme") && line.contains(" app ") && !line.contains("active")),
            "{row}"
        );
    }
}

#[test]
fn a_consent_that_is_denied_or_abandoned_ends_and_says_so() {
    let house = House::new();
    let here = house.node("admin");
    let mut session = LoggingIn::start(&here, &["--user", "alice"]);
    let page = session.page();
    let shown = house.oidc.browser(&house.gateway, "no").refuse(&page);
    assert!(shown.text.contains("Not connected") && shown.text.contains("You can close this page"), "{shown:?}");
    assert!(session.end().failed(1).contains("no account was connected: the consent was denied"));

    let mut session = LoggingIn::start(&here, &["--user", "alice", "--timeout", "1"]);
    let page = session.page();
    assert!(session.end().failed(1).contains("nobody consented in time (--timeout)"));
    assert!(house.is_over(&page), "nobody can consent to what nobody waits for");

    let mut session = LoggingIn::start(&here, &["--user", "alice"]);
    let page = session.page();
    signal(&session.child, Signal::INT);
    let done = session.end();
    assert!(done.code == Some(130) && done.err.contains("interrupted; no account was connected"), "{done:?}");
    assert!(house.is_over(&page));
    assert!(entry(&house.gateway, "acme:alice").is_none() && !here.home("nexus.enc").exists());
}

#[test]
fn an_app_that_is_named_here_is_asked_by_from_here_and_the_gateway_keeps_what_comes_of_it() {
    let house = House::new();
    let here = house.node("admin").with("NEXUS_CLIENT_SECRET", crate::oidc::SECRET);
    here.provider("acme", ACME);
    house.oidc.known_to(&here);
    let mut session = LoggingIn::start(&here, &["--user", "alice", "--client-id", "app", "--port", "0"]);
    let page = session.page();
    let shown = house.oidc.browser(&here, "alice").consent(&page, "alice");
    assert!(shown.text.contains("You can close this page") && !shown.url.starts_with(&house.url), "{shown:?}");
    assert_eq!(session.end().json()["connected"], "acme:alice");
    let kept = entry(&house.gateway, "acme:alice").expect("it is there");
    assert!(kept.fields.field("refresh_token").is_some() && !here.home("nexus.enc").exists(), "{kept:?}");
}

#[test]
fn what_the_gateway_lacks_or_cannot_do_is_told_with_the_command() {
    let house = House::new();
    let here = house.node("admin");
    let said = here.nexus(&["login", "github", "--user", "alice", "--no-browser"]).failed(1);
    assert!(said.contains("run `nexus register github --app --client-id ID`"), "{said}");
    assert!(said.contains(&format!("redirect URI {}/oauth/callback", house.url)), "{said}");
    let asked = here.nexus(&["login", "acme", "--device"]).failed(1);
    assert!(
        asked.contains("not by a code for devices") && asked.contains("nexus login acme --device --client-id ID"),
        "{asked}"
    );
    let odd = here.nexus(&["login", "acme", "--redirect-uri", "http://localhost:3000/x"]).failed(1);
    assert!(odd.contains("its own redirect URI"), "{odd}");
    let typed = here.nexus(&["login", "stripe"]).failed(1);
    assert!(typed.contains("no log-in that Nexus knows") && typed.contains("nexus register stripe"), "{typed}");
    assert!(here.nexus(&["login", "nothing"]).failed(1).contains("no provider of this name"));
    // As it says: the app is named from here, and then it goes.
    let named = here.nexus(&["register", "github", "--app", "--client-id", "Iv1.0123456789abcdef"]);
    assert!(named.err.contains("connect an account by it: nexus login github"), "{}{}", named.out, named.err);
    let mut command = here.command(&["login", "github", "--user", "alice", "--no-browser"]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut session = LoggingIn::of(child);
    assert!(session.page().starts_with("https://github.com/login/oauth/authorize?"), "{}", session.said);
    signal(&session.child, Signal::INT);
    assert_eq!(session.end().code, Some(130));
}

#[test]
fn a_list_shows_where_each_lives_and_what_is_used_by_nobody() {
    let house = House::new();
    house.gateway.register(&["github"], "access_token=gho_0123456789abcdef\n");
    let own = World::new();
    own.register(&["stripe"], "api_key=sk_test_0123456789\n");
    own.register(&["github"], "access_token=gho_of_this_machine_01\n");
    let node = own.with("NEXUS_GATEWAY_URL", &house.url).with("NEXUS_GATEWAY_KEY", &key(&house.gateway, "node"));
    let list = node.nexus(&["list", "--json"]);
    assert!(list.err.contains("github in the vault here is used by nobody"), "{}", list.err);
    let rows = list.json();
    let places = rows["connections"].as_array().expect("rows").iter();
    let places: Vec<String> = places.map(|row| format!("{} {}", row["connection"], row["where"])).collect();
    let expected = ["acme gateway", "github gateway", "github here", "stripe here"];
    assert_eq!(places, expected.map(|place| place.replace(' ', "\" \"")).map(|place| format!("\"{place}\"")));
    let table = node.nexus(&["list"]).ok();
    assert!(table.lines().next().unwrap().ends_with("Where"), "{table}");
    assert_eq!(node.nexus(&["show", "stripe", "--json"]).json()["connection"], "stripe");
    // The gateway's own agents are let there.
    let said = node.nexus(&["approve", "github:ci.1"]).failed(1);
    assert!(said.contains("neither at the gateway"), "{said}");
    house.gateway.register(&["github", "--user", "ci.1"], "access_token=gho_0123456789abcdef\n");
    edit(&house.gateway, "github:ci.1", |entry| entry.status = Status::Pending);
    let said = node.nexus(&["approve", "github:ci.1"]).failed(1);
    assert!(said.contains("approved on that machine") && said.contains("nexus approve github:ci.1"), "{said}");
    // A name that the gateway has none of is taken out here, and that is said.
    let key = node.nexus(&["remove", "stripe"]);
    assert!(key.code == Some(0) && key.out.contains("removed stripe in the vault here"), "{}{}", key.out, key.err);
    let url = house.url.clone();
    drop(house);
    let away = node.nexus(&["explain", "https://api.github.com/user", "--json"]);
    assert!(away.err.contains(&format!("the connections of the gateway at {url} are left out")), "{}", away.err);
}
