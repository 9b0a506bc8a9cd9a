//! The page's connections, catalogue and agents as a person uses them: Chromium (driven by `tests/page/conn.mjs`), the built binary, a
//! service that knows its key, and a certified authorization server.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{Authority, Call, Offers, Upstream, answer, run};
use crate::oidc::{Oidc, SECRET};
use crate::page::{driven_by, link};
use crate::world::World;

/// A service with a tenant in its name and a harmless request.
const ACME: &str = "name = \"acme\"\ntitle = \"Acme\"\ncategory = \"testing\"\nconsole = \"https://acme.example/keys\"\n\
    whoami = \"GET https://{site}.acme.test/me\"\nslots = [\"authorization\"]\n\
    [[field]]\nname = \"site\"\nprompt = \"The site\"\nhint = \"team\"\nsecret = false\n\
    [[field]]\nname = \"api_key\"\nprompt = \"An API key\"\n\
    [[inject]]\nhosts = [\"{site}.acme.test\"]\nstrategy = { bearer = \"{api_key}\" }\n";

fn played(world: &World, scene: &str, links: &[String]) -> Value {
    driven_by("conn.mjs", world, scene, links)
}

fn text<'a>(seen: &'a Value, name: &str) -> &'a str {
    seen[name].as_str().unwrap_or_else(|| panic!("no {name} in {seen}"))
}

#[test]
fn a_service_is_connected_tried_given_another_credential_and_removed() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["team.acme.test"], Offers::Both, |mut call: Call| async move {
            drop(call.read().await);
            answer(200, "{\"login\": \"<b>octocat</b>\"}")
        })
        .await;
        let world = World::new();
        std::fs::write(world.home("services.pem"), ca.pem()).unwrap();
        world.config(&format!(
            "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nextra_roots = [\"services.pem\"]\n\
             [upstream.resolve]\n\"team.acme.test\" = \"{}\"\n",
            service.address
        ));
        world.provider("acme", ACME);
        let driving = move || {
            let _up = world.up();
            let seen = played(&world, "register", &[link(&world, "operator")]);
            (seen, world.nexus(&["audit", "tail", "--json", "-n", "100"]).ok())
        };
        let (seen, log) = tokio::task::spawn_blocking(driving).await.unwrap();
        assert_eq!(seen["wrong"], json!([]), "{seen}");
        let about = text(&seen, "about");
        assert!(about.contains("The site") && about.contains("{site}.acme.test") && about.contains("read_only"), "{about}");
        assert_eq!(seen["console"], json!(["noopener noreferrer", "no-referrer", "_blank"]));
        assert_eq!(seen["inputs"], json!(["password", "new-password"]));
        assert!(text(&seen, "stored").contains("acme:alice") && text(&seen, "stored").contains("team.acme.test"), "{seen}");
        assert!(text(&seen, "tried").contains("<b>octocat</b>"), "as text: {seen}");
        assert!(!text(&seen, "storage").contains("key-"), "{seen}");
        assert_eq!(service.seen().pop().expect("a request").bearer(), Some("key-0123456789"));
        assert!(
            log.contains("connection_registered") && log.contains("connection_tested") && log.contains("gateway_removed"),
            "{log}"
        );
        assert!(log.contains("operator-1") && !log.contains("key-0123456789") && !log.contains("key-of-another-day"), "{log}");
    });
}

#[test]
fn a_person_logs_in_at_the_service_from_the_page() {
    let world = World::new();
    let oidc = Oidc::start(&world);
    let _up = world.up();
    let seen = played(&world, "log_in", &[link(&world, "operator"), oidc.mapped()]);
    assert!(text(&seen, "uri").ends_with("/oauth/callback"), "{seen}");
    assert_eq!((&seen["opener"], &seen["wrong"]), (&Value::Null, &json!([])), "{seen}");
    assert!(text(&seen, "tried").contains("as alice") && text(&seen, "renewed").contains("acme:alice"), "{seen}");
    assert!(!text(&seen, "storage").contains(SECRET), "{seen}");
    let shown = world.nexus(&["show", "acme:alice", "--json"]).json();
    assert_eq!(shown["status"], "active", "{shown}");
}

#[test]
fn a_person_logs_in_by_a_code_that_the_page_shows() {
    let world = World::new();
    let oidc = Oidc::start(&world);
    world.provider("acme", &Oidc::file("authorize_url = \"https://login.acme.example/auth\"\n", ""));
    world.register(&["acme"], &format!("client_id=app\nclient_secret={SECRET}\n"));
    let _up = world.up();
    let seen = played(&world, "by_code", &[link(&world, "operator"), oidc.mapped()]);
    assert!(text(&seen, "code").len() >= 8 && seen["wrong"] == json!([]), "{seen}");
    let shown = world.nexus(&["show", "acme", "--json"]).json();
    assert_eq!(shown["status"], "active", "{shown}");
    let log = world.nexus(&["audit", "tail", "--json", "-n", "100"]).ok();
    assert!(log.contains("gateway_asked") && log.contains("gateway_dropped") && !log.contains(text(&seen, "code")), "{log}");
}

#[test]
fn i1_a_token_is_seen_once_and_stays_nowhere_in_the_browser() {
    let world = World::new();
    let _up = world.up();
    let seen = played(&world, "agents", &[link(&world, "operator"), link(&world, "auditor")]);
    let token = text(&seen, "token");
    assert!(token.starts_with("nxa_") && text(&seen, "copied").contains(token), "{seen}");
    for (place, word) in [
        ("Shell here", "nexus env --agent ci"),
        ("Shell elsewhere", "export HTTPS_PROXY='http://ci:"),
        ("Docker", "--env-file ci.env"),
        ("compose", "/etc/nexus/ca-bundle.pem:ro"),
        ("Kubernetes", "name: nexus-ci"),
    ] {
        let text = seen["pasted"][place].as_str().expect("lines");
        assert!(text.contains(word) && text.contains(token), "{place}: {text}");
    }
    assert_eq!(seen["shown_later"], false);
    assert!(!text(&seen, "storage").contains("nxa_"), "{seen}");
    assert!(text(&seen, "mistaken").contains("make a name") && text(&seen, "unknown").contains("nobody_knows_it"), "{seen}");
    let changed = &seen["changed"];
    assert_eq!(
        (&changed["user"], &changed["providers"], &changed["rate"]),
        (&json!("alice"), &Value::Null, &Value::Null),
        "{changed}"
    );
    assert!(changed["expires_at"].is_string(), "what was not touched stays: {changed}");
    assert_eq!((&seen["buttons"], &seen["refused"]), (&json!(["Close"]), &json!([403, "key_kind"])), "{seen}");
    assert!(!world.read("agents.toml").contains(token) && !world.read("agents.toml").contains("ci"), "it was revoked");
}

#[test]
fn a_thousand_agents_are_moved_through_by_keyboard_and_few_are_in_the_page() {
    let world = World::new();
    let rows = (0..1000).fold(String::new(), |mut rows, number| {
        writeln!(rows, "[[agent]]\nname = \"agent-{number:05}\"\ntoken_sha256 = \"{number:064x}\"").unwrap();
        rows
    });
    nexus::disk::write_atomic(&world.home("agents.toml"), rows.as_bytes(), nexus::disk::PRIVATE).unwrap();
    let _up = world.up();
    let seen = played(&world, "many", &[link(&world, "operator")]);
    assert_eq!(
        (&seen["first"]["total"], &seen["second"], &seen["wrong"]),
        (&json!("1001"), &json!("agent-00001"), &json!([])),
        "{seen}"
    );
    assert_eq!(seen["last"], "agent-00999", "{seen}");
    let few = |rows: &Value| rows.as_u64().is_some_and(|rows| (8..60).contains(&rows));
    assert!(few(&seen["first"]["rows"]) && few(&seen["rows"]), "{seen}");
}

#[test]
fn hostile_names_of_services_are_shown_as_they_are() {
    let world = World::new();
    let name = "<b>evil</b><img src=x onerror=alert(1)>\u{202e}gnp.txt";
    // With it the file is as long as one may be.
    let long = "x".repeat(62 * 1024);
    world.provider(
        "evil",
        &format!(
            "name = \"evil\"\ntitle = \"{name}\"\ncategory = \"{name}\"\nslots = [\"authorization\"]\n\
             [[field]]\nname = \"api_key\"\nprompt = \"{name} {long}\"\nhint = \"{name}\"\n\
             [[inject]]\nhosts = [\"evil.test\"]\nstrategy = {{ bearer = \"{{api_key}}\" }}\n"
        ),
    );
    let _up = world.up();
    let seen = played(&world, "hostile", &[link(&world, "operator")]);
    assert_eq!((&seen["seen"], &seen["wrong"], &seen["markup"]), (&json!([]), &json!([]), &json!(0)), "{seen}");
    assert!(text(&seen, "title").starts_with("<b>evil</b><img src=x onerror=alert(1)>\\u{202e}gnp"), "{}", seen["title"]);
    assert_eq!(seen["links"], json!([]), "{seen}");
}

#[test]
fn panels_and_forms_can_be_used_by_everybody_and_fit() {
    let world = World::new();
    world.provider("acme", ACME);
    world.register(&["github"], "access_token=gho_0123456789abcdef\n");
    world.register(&["github", "--user", "alice", "--expires", "30d"], "access_token=gho_0123456789abcdef\n");
    world
        .nexus(&[
            "agent",
            "add",
            "nightly",
            "--user",
            "alice",
            "--provider",
            "github,slack",
            "--rate",
            "60/min",
            "--expires",
            "30d",
        ])
        .ok();
    world.nexus(&["agent", "add", "ci", "--host", "api.github.com,*.example.com"]).ok();
    let _up = world.up();
    let seen = played(&world, "look", &[link(&world, "operator"), link(&world, "operator")]);
    assert_eq!((&seen["seen"], &seen["wrong"]), (&json!([]), &json!([])), "{seen}");
}
