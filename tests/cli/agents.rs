//! `nexus agent`: a token is seen once.

use crate::world::{World, eventually};

#[test]
fn i1_a_token_is_shown_once_and_kept_as_a_hash() {
    let world = World::new();
    let added = world.nexus(&[
        "agent",
        "add",
        "ci",
        "--user",
        "alice",
        "--provider",
        "GitHub",
        "--host",
        "api.github.com",
        "--expires",
        "30d",
        "--json",
    ]);
    assert!(added.err.contains("every caller of this proxy must show a token"), "{}", added.err);
    let added = added.json();
    let token = added["token"].as_str().unwrap();
    assert!(token.starts_with("nxa_") && added["proxy"].as_str().unwrap().contains(&format!("ci:{token}@")), "{added}");
    assert!(!world.read("agents.toml").contains(token));
    let list = world.nexus(&["agent", "list", "--json"]).json();
    let agent = &list["agents"][0];
    assert_eq!(
        (agent["agent"].as_str(), agent["user"].as_str(), agent["ephemeral"].as_bool()),
        (Some("ci"), Some("alice"), Some(false))
    );
    assert_eq!(
        (&agent["providers"], &agent["hosts"]),
        (&serde_json::json!(["github"]), &serde_json::json!(["api.github.com"]))
    );
    assert!(!list.to_string().contains(token) && agent["expires_at"].is_string(), "{list}");
    let text = world.nexus(&["agent", "list"]).ok();
    assert!(text.starts_with("Agent  User"), "{text}");
}

#[test]
fn what_an_agent_may_do_is_shown() {
    let world = World::new();
    let limits = ["--providers", "github,slack", "--hosts", "api.github.com,*.Slack.com", "--rate", "60/m"];
    world.nexus(&[&["agent", "add", "ci"], &limits[..]].concat()).ok();
    let shown = world.nexus(&["agent", "show", "ci", "--json"]).json();
    assert_eq!(shown["providers"], serde_json::json!(["github", "slack"]));
    assert_eq!(shown["hosts"], serde_json::json!(["api.github.com", "*.slack.com"]));
    assert_eq!(shown["rate"], "60/min");
    let text = world.nexus(&["agent", "show", "ci"]).ok();
    assert!(text.contains("Rate       60/min\n") && text.contains("Hosts      api.github.com, *.slack.com\n"), "{text}");
    assert!(world.nexus(&["agent", "list"]).ok().contains("60/min"));
    let change = |limits: &[&str]| world.nexus(&[&["agent", "limit", "ci", "--json"], limits].concat()).json();
    let before = world.read("agents.toml");
    let changed = change(&["--rate", "any", "--expires", "30d"]);
    assert_eq!((&changed["rate"], &changed["providers"]), (&serde_json::Value::Null, &serde_json::json!(["github", "slack"])));
    assert!(changed["expires_at"].is_string(), "{changed}");
    let changed = change(&["--providers", "github", "--hosts", "all", "--expires", "never"]);
    assert_eq!((&changed["providers"], &changed["hosts"]), (&serde_json::json!(["github"]), &serde_json::Value::Null));
    assert!(changed["expires_at"].is_null(), "{changed}");
    let hash = |text: &str| text.lines().find(|line| line.starts_with("token_sha256")).map(str::to_owned);
    assert_eq!(hash(&world.read("agents.toml")), hash(&before), "its token stays");
    assert!(world.nexus(&["agent", "limit", "cd", "--rate", "any"]).failed(1).contains("there is no agent called cd"));
    assert_eq!(world.nexus(&["agent", "limit", "ci"]).code, Some(2), "nothing is to change");
    world.nexus(&["agent", "limit", "ci", "--rate", "60/m"]).ok();
    let unknown = world.nexus(&["agent", "show", "cd"]).failed(1);
    assert!(unknown.contains("there is no agent called cd"), "{unknown}");
    let refused = world.nexus(&["agent", "add", "cd", "--rate", "60"]).failed(2);
    assert!(refused.contains("'60' for '--rate <RATE>'"), "{refused}");
}

#[test]
fn a_lease_is_made_listed_and_ended_by_the_gateway_that_is_up() {
    let world = World::new();
    world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[gateway]\nlisten = \"127.0.0.1:0\"");
    world.nexus(&["agent", "add", "ci", "--provider", "github"]).ok();
    let lease = ["agent", "lease", "ci", "--for", "15m", "--calls", "100", "--providers", "github", "--json"];
    let said = world.nexus(&lease).failed(1);
    assert!(said.contains("none is that has a gateway"), "{said}");
    let up = world.up();
    let made = world.nexus(&lease).json();
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(token.starts_with("nxl_") && made["proxy"].as_str().unwrap().contains(&format!("ci:{token}@")), "{made}");
    let list = world.nexus(&["agent", "leases", "ci"]).ok();
    assert!(list.contains(id) && list.contains("100") && list.contains("github") && !list.contains(token), "{list}");
    let wider = world.nexus(&["agent", "lease", "ci", "--providers", "slack"]).failed(1);
    assert!(wider.contains("the agent may not use slack"), "{wider}");
    assert!(world.nexus(&["agent", "lease", "cd"]).failed(1).contains("no agent of this name"));
    assert_eq!(world.nexus(&["agent", "release", id]).ok(), format!("ended {id}\n"));
    assert!(world.nexus(&["agent", "release", id]).failed(1).contains("no such lease"));
    assert_eq!(world.nexus(&["agent", "leases", "ci", "--json"]).json()["leases"], serde_json::json!([]));
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn the_lines_to_paste_work() {
    let world = World::new();
    let text = world.nexus(&["agent", "add", "ci"]).ok();
    let token = text.lines().nth(1).unwrap().trim();
    let line = text.lines().find(|line| line.trim().starts_with("eval ")).unwrap();
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_nexus")).parent().unwrap().to_str().unwrap();
    let script = format!("PATH={folder}:$PATH; {line}; printf %s \"$HTTPS_PROXY\"");
    let done = crate::world::Done::from(world.program("sh", &["-c", &script]).output().unwrap());
    assert!(done.ok().contains(&format!("http://ci:{token}@")));
}

#[test]
fn names_providers_hosts_and_times_are_checked() {
    let world = World::new();
    for (code, arguments, wanted) in [
        (2, &["a b"][..], "agent name"),
        (1, &["local"], "choose another"),
        (1, &["x", "--provider", "githb"], "did you mean github?"),
        (2, &["x", "--host", "a_b/c"], "expected a host"),
        (2, &["x", "--expires", "yesterday"], "is not a time"),
        (2, &["x", "--user", "a b"], "user name"),
    ] {
        let whole: Vec<&str> = [&["agent", "add"], arguments].concat();
        let said = world.nexus(&whole).failed(code);
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
    assert!(!world.read("agents.toml").contains("[["));
    world.nexus(&["agent", "add", "x"]).ok();
    let said = world.nexus(&["agent", "add", "x"]).failed(1);
    assert!(said.contains("already") && said.contains("nexus agent revoke x"), "{said}");
}

#[test]
fn i6_a_revoked_agent_is_unknown_to_the_running_proxy() {
    let world = World::new();
    let token = world.nexus(&["agent", "add", "ci", "--json"]).json()["token"].as_str().unwrap().to_owned();
    world.nexus(&["agent", "add", "other"]).ok();
    let up = world.up();
    let whoami = || {
        let proxy = format!("http://ci:{token}@{}", up.address);
        let curl = world
            .program("curl", &["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", &proxy, "http://nexus.internal/whoami"]);
        crate::world::Done::from({ curl }.output().unwrap()).out
    };
    assert_eq!(whoami(), "200");
    let revoked = world.nexus(&["agent", "revoke", "ci", "--json"]).json();
    assert_eq!(revoked["revoked"], "ci");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    // A few questions only: wrong tokens are counted.
    while whoami() != "407" {
        assert!(std::time::Instant::now() < deadline, "still known");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let said = world.nexus(&["agent", "revoke", "ci"]).failed(1);
    assert!(said.contains("no agent called ci") && said.contains("nexus agent list"), "{said}");
}

#[test]
fn an_agent_whose_token_nobody_could_see_is_not_added() {
    let world = World::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let done = crate::world::Done::from(world.command(&["agent", "add", "ci"]).stdout(full).output().unwrap());
    let said = done.failed(1);
    assert!(said.contains("the token could not be shown, so ci was not added"), "{said}");
    let list = world.nexus(&["agent", "list", "--json"]).json();
    assert!(list["agents"].as_array().is_some_and(Vec::is_empty), "{list}");
}

#[test]
fn an_agent_that_is_frozen_is_shown_so_until_it_is_thawed() {
    let world = World::new();
    world.nexus(&["agent", "add", "ci"]).ok();
    assert!(world.nexus(&["agent", "freeze", "nobody"]).failed(1).contains("no agent called nobody"));
    assert!(world.nexus(&["agent", "thaw", "ci"]).failed(1).contains("ci is not frozen"));
    let froze = world.nexus(&["agent", "freeze", "ci"]).ok();
    assert!(froze.contains("nexus agent thaw ci"), "{froze}");
    assert!(world.nexus(&["agent", "freeze", "ci"]).failed(1).contains("frozen already"));
    let listed = world.nexus(&["agent", "list", "--json"]);
    assert!(listed.err.contains("ci is frozen since"), "{}", listed.err);
    assert!(listed.json()["agents"][0]["frozen_since"].is_string());
    assert!(world.nexus(&["agent", "list"]).ok().contains("ci (frozen)"));
    let explained = world.nexus(&["explain", "https://api.github.com/user", "--agent", "ci", "--json"]).json();
    assert_eq!(
        (&explained["outcome"], &explained["command"]),
        (&"refuse".into(), &"nexus agent thaw ci".into()),
        "{explained}"
    );
    let status: serde_json::Value = serde_json::from_str(&world.nexus(&["status", "--json"]).out).unwrap();
    assert_eq!(status["config"]["frozen"], serde_json::json!(["ci"]));
    world.nexus(&["agent", "thaw", "ci"]).ok();
    world.nexus(&["agent", "freeze", "local"]).ok();
    assert!(world.nexus(&["agent", "list", "--json"]).json()["agents"][0]["frozen_since"].is_null());
}

#[test]
fn a_change_is_in_force_when_its_command_returns_and_on_record() {
    let world = World::new();
    let up = world.up();
    let added = world.nexus(&["agent", "add", "ci", "--json"]).json();
    let proxy = format!("http://ci:{}@{}", added["token"].as_str().unwrap(), up.address);
    // A refusal of its own says that nothing else was in the way.
    let refusal = || {
        let asked = ["-sS", "-o", "/dev/null", "-D", "-", "-x", proxy.as_str(), "http://127.0.0.1:9/"];
        let head = String::from_utf8(std::process::Command::new("curl").args(asked).output().unwrap().stdout).unwrap();
        let line = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("nexus-refusal: ").map(str::to_owned));
        line.unwrap_or(head)
    };
    let open = refusal();
    assert!(!["frozen", "unknown-agent"].contains(&open.as_str()), "{open}");
    for _ in 0..3 {
        world.nexus(&["agent", "freeze", "ci"]).ok();
        assert_eq!(refusal(), "frozen");
        world.nexus(&["agent", "thaw", "ci"]).ok();
        assert_eq!(refusal(), open);
    }
    world.nexus(&["agent", "limit", "ci", "--hosts", "a.test"]).ok();
    let revoked = world.nexus(&["agent", "revoke", "ci"]);
    assert!(!revoked.err.contains("has not taken"), "{}", revoked.err);
    assert_eq!(refusal(), "unknown-agent");
    let told = ["agent_added", "agent_frozen", "agent_thawed", "agent_limited", "agent_revoked"];
    let log = || world.nexus(&["audit", "export", "--format", "jsonl"]).ok();
    eventually(|| log().contains("agent_revoked"));
    let log = log();
    let counts = told.map(|event| log.matches(&format!("\"event\":\"{event}\"")).count());
    assert_eq!(counts, [1, 3, 3, 1, 1], "{log}");
    let limited = log.lines().find(|line| line.contains("agent_limited")).unwrap();
    assert!(limited.contains("\"agent\":\"ci\"") && limited.contains("hosts=a.test") && limited.contains("\"kind\":\"file\""));
}
