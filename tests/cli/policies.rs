//! `nexus policy`: rules are checked, held against a table, and written from the log.

use crate::world::{World, eventually};

const RULES: &str = r#"
[[rule]]
name = "read github"
provider = "github"
preset = "read_only"

[[rule]]
name = "no admin"
hosts = "*.example.com"
paths = "/admin/**"
action = "deny"
reason = "Ask the platform team."

[[rule]]
name = "slowly"
agents = "ci-*"
hosts = "api.example.com"
action = "limit"
rate = "10/s"

[[rule]]
name = "watched"
hosts = "api.example.com"
methods = "DELETE"
action = "deny"
mode = "report"

[[rule]]
name = "kept"
hosts = "kept.example.com"
methods = "DELETE"
action = "deny"
"#;

fn world(rules: &str) -> World {
    let world = World::new();
    world.policy("team", rules);
    world
}

#[test]
fn check_lists_the_rules_and_tells_where_a_mistake_is() {
    let world = world(RULES);
    let listed = world.nexus(&["policy", "check", "--json"]).json();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["read github", "no admin", "slowly", "watched", "kept"]);
    assert_eq!((listed[0]["action"].as_str(), listed[3]["mode"].as_str()), (Some("read_only"), Some("report")));
    assert!(listed[1]["file"].as_str().unwrap().ends_with("policies/team.toml"), "{listed}");
    assert_eq!(listed[1]["line"], 7);
    let text = world.nexus(&["policy", "check"]).ok();
    assert!(text.contains("no admin") && text.contains("policies/team.toml:7"), "{text}");

    let file = world.path("new.toml");
    std::fs::write(&file, "[[rule]]\nhosts = \"a.test\"\nacton = \"deny\"\n").unwrap();
    let said = world.nexus(&["policy", "check", file.to_str().unwrap()]).failed(1);
    assert!(said.contains("new.toml: line 3, column 1: unknown key `acton`"), "{said}");
    std::fs::write(&file, "[[rule]]\nhosts = \"a.test\"\naction = \"approve\"\ntimeout = \"1w\"\n").unwrap();
    let said = world.nexus(&["policy", "check", file.to_str().unwrap()]).failed(1);
    assert!(said.contains("line 4, column 11: expected a time from 1s to 24h"), "{said}");
    std::fs::write(&file, "[[rule]]\nhosts = \"a.test\"\naction = \"deny\"\n").unwrap();
    assert_eq!(world.nexus(&["policy", "check", file.to_str().unwrap()]).ok(), "1 rules, all sound\n");

    world.policy("team", "[[rule]]\nprovider = \"aws\"\npreset = \"read_only\"\n");
    let said = world.nexus(&["policy", "check"]).failed(1);
    assert!(said.contains("policies/team.toml: line 1: aws has no preset `read_only`"), "{said}");
}

#[test]
fn check_says_that_a_proxy_that_is_up_keeps_its_older_rules() {
    let world = world(RULES);
    let up = world.up();
    let quiet = world.nexus(&["policy", "check"]);
    assert!(!quiet.err.contains("older rules"), "{}", quiet.err);

    // A mistake: it keeps what it has, and `check` says so beside where the mistake is.
    world.policy("team", &RULES.replace("action = \"limit\"", "acton = \"limit\""));
    let said = world.nexus(&["policy", "check"]).failed(1);
    assert!(said.contains("unknown key `acton`") && said.contains("keeps the rules that it took at"), "{said}");
    eventually(|| {
        let status = world.nexus(&["status", "--json"]).out;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["proxy"]["mistake"].as_str().is_some_and(|mistake| mistake.contains("unknown key `acton`"))
    });

    // What is right on disk is taken within the time that `check` gives it.
    world.policy("team", &RULES.replace("slowly", "more slowly"));
    let quiet = world.nexus(&["policy", "check"]);
    assert!(!quiet.err.contains("older rules"), "{}", quiet.err);

    // One that does not look at its files any more (it is stopped) obeys older ones.
    up.send(rustix::process::Signal::STOP);
    world.policy("team", RULES);
    let said = world.nexus(&["policy", "check"]);
    up.send(rustix::process::Signal::CONT);
    assert!(said.err.contains("obeys older rules") && said.err.contains("kill -HUP"), "{}", said.err);
}

const TABLE: &str = r#"
[[request]]
url = "https://api.github.com/user"
expect = "allow"
rule = "read github"
[[request]]
method = "POST"
url = "https://api.github.com/user/repos"
expect = "deny"
[[request]]
method = "POST"
url = "https://api.github.com/graphql"
content_type = "application/json"
body = '{"query":"{ viewer { login } }"}'
expect = "allow"
[[request]]
method = "POST"
url = "https://api.github.com/graphql"
content_type = "application/json"
body = '{"query":"mutation { addStar { id } }"}'
expect = "deny"
rule = "read github"
[[request]]
url = "https://api.example.com/x/..%2fadmin"
expect = "deny"
rule = "no admin"
[[request]]
method = "DELETE"
url = "https://api.example.com/x"
expect = "allow"
[[request]]
method = "POST"
url = "https://kept.example.com/x"
content_type = "application/x-www-form-urlencoded"
body = "_method=DELETE"
expect = "deny"
rule = "kept"
[[request]]
method = "POST"
url = "https://kept.example.com/x"
content_type = "application/json"
body = '{"_method":"DELETE"}'
expect = "deny"
rule = "kept"
[[request]]
method = "POST"
url = "https://kept.example.com/x"
content_type = "application/x-www-form-urlencoded"
body = "a=1"
expect = "allow"
"#;

#[test]
fn a_table_of_requests_is_held_against_the_rules() {
    let world = world(RULES);
    world.register(&["github"], "access_token=ghp_0123456789abcdef\n");
    let table = world.path("table.toml");
    std::fs::write(&table, TABLE).unwrap();
    let held = world.nexus(&["policy", "test", table.to_str().unwrap(), "--json"]).json();
    assert_eq!(held.as_array().unwrap().len(), 9);
    assert!(held.as_array().unwrap().iter().all(|one| one["right"] == true), "{held}");
    std::fs::write(&table, TABLE.replacen("expect = \"deny\"", "expect = \"limit\"", 1)).unwrap();
    let done = world.nexus(&["policy", "test", table.to_str().unwrap()]);
    let said = done.failed(1);
    assert!(said.contains("1 of 9 requests are not as expected"), "{said}");
    std::fs::write(&table, "[[request]]\nurl = \"https://a.test\"\nexpects = \"deny\"\n").unwrap();
    assert!(
        world.nexus(&["policy", "test", table.to_str().unwrap()]).failed(1).contains("line 3, column 1: unknown key `expects`")
    );
}

#[test]
fn explain_names_the_rule_and_where_it_stands() {
    let world = world(RULES);
    world.nexus(&["agent", "add", "ci-1"]).ok();
    let answer = world.nexus(&["explain", "--json", "--agent", "ci-1", "https://sub.example.com/admin/x"]).json();
    assert_eq!((answer["outcome"].as_str(), answer["policy"]["rule"]["name"].as_str()), (Some("refuse"), Some("no admin")));
    assert_eq!(answer["policy"]["rule"]["line"], 7);
    let answer = world.nexus(&["explain", "--json", "--agent", "ci-1", "https://api.example.com/x"]).json();
    assert_eq!(
        (answer["connect"].as_str(), answer["policy"]["limits"][0]["name"].as_str()),
        (Some("intercept"), Some("slowly"))
    );
    let text = world.nexus(&["explain", "DELETE", "https://api.example.com/x"]).ok();
    assert!(text.contains("would refuse  watched (deny, ") && text.contains("policies/team.toml:"), "{text}");
}

/// Lines of a week that show what a suggestion makes of each kind.
fn a_week() -> String {
    let line = |time: &str, event: &str, rest: &str| {
        format!("{{\"v\":1,\"event\":\"{event}\",\"id\":\"1\",\"time\":\"{time}\",\"agent\":\"ci\",{rest}}}\n")
    };
    let now = jiff::Timestamp::now().to_string();
    let call = |method: &str, path: &str| {
        format!(
            "\"method\":\"{method}\",\"scheme\":\"https\",\"host\":\"api.github.com\",\"port\":443,\"path\":\"{path}\",\"verdict\":\"inject\",\"provider\":\"github\""
        )
    };
    [
        line(&now, "open", &call("GET", "/repos/octo/hello/issues/17?page=")),
        line(&now, "close", &call("GET", "/repos/octo/hello/issues/17")),
        line(&now, "open", &call("POST", "/repos/octo/hello/issues")),
        line("2020-01-01T00:00:00Z", "open", &call("DELETE", "/long/ago")),
        line(&now, "refuse", &call("DELETE", "/repos/octo/hello")),
        line(&now, "tunnel_open", "\"method\":\"CONNECT\",\"host\":\"pypi.org\",\"port\":443,\"verdict\":\"tunnel\""),
        line(&now, "tunnel_open", "\"method\":\"CONNECT\",\"host\":\"api.github.com\",\"port\":443,\"verdict\":\"intercept\""),
        // What any agent can ask for, and no rule can say.
        line(&now, "open", &call("GET", "/bucket//key")),
        line(&now, "open", &call("get", "/user")),
        // One odd letter makes no rule about everything.
        line(&now, "open", &call("GET", "/repos/octo/hello/labels/caf%C3%A9")),
        // A person was asked and its program came back; another one was refused until then.
        line(
            &now,
            "open",
            "\"method\":\"PUT\",\"host\":\"api.github.com\",\"port\":443,\"path\":\"/user/starred/a/b\",\"verdict\":\"answer\"",
        ),
        line(&now, "open", &format!("{},\"approval\":\"once\"", call("PUT", "/user/starred/a/b"))),
        line(&now, "refuse", &format!("{},\"refusal\":\"policy\"", call("POST", "/repos/octo/hello/issues"))),
        // Its name never comes again.
        line(&now, "open", &call("GET", "/user")).replace("\"ci\"", "\"run-17-0123abcd\""),
        // Its address was found to be private after it was on record.
        line(&now, "open", &call("GET", "/inside")),
        line(&now, "close", &format!("{},\"refusal\":\"private-address\",\"status\":403", call("GET", "/inside"))),
        "{\"v\":1,\"event\":\"start\",\"time\":\"2026-01-01T00:00:00Z\"}\n".to_owned(),
    ]
    .concat()
}

#[test]
fn the_log_suggests_the_rules_that_it_would_have_needed() {
    let world = World::new();
    world.audit_segment(&a_week());
    let done = world.nexus(&["policy", "suggest", "--since", "7d", "--json"]).json();
    assert_eq!((done["requests"].as_u64(), &done["of_commands"]), (Some(7), &1.into()), "{done}");
    assert_eq!(done["would_refuse"], serde_json::json!([]), "{done}");
    assert_eq!(done["refused_already"][0]["request"], "ci DELETE api.github.com/repos/octo/hello");
    assert_eq!(done["refused_already"][1]["request"], "ci GET api.github.com/inside");
    assert_eq!(done["refused_already"].as_array().map(Vec::len), Some(2), "{done}");
    assert_eq!(
        done["newly_let_on"],
        serde_json::json!([
            { "request": "ci POST api.github.com/repos/octo/hello/issues", "times": 1 },
            { "request": "ci PUT api.github.com/user/starred/a/b", "times": 1 },
        ])
    );
    assert_eq!(done["no_rule_can_say"], serde_json::json!(["ci GET api.github.com/bucket//key", "ci get api.github.com/user"]));
    let rules = world.nexus(&["policy", "suggest"]).ok();
    assert!(
        rules.contains(
            "provider = \"github\"\nmethods = \"GET\"\npaths = [\"/repos/octo/hello/issues/*\", \"/repos/octo/hello/labels/*\"]"
        ),
        "{rules}"
    );
    assert!(!rules.contains("inside") && !rules.contains("hosts = \"api") && !rules.contains("run-"), "{rules}");
    assert!(rules.contains("hosts = \"pypi.org\"") && !rules.contains("ago") && !rules.contains("DELETE"), "{rules}");
    they_let_on_what_was_seen_and_no_more(&world, &rules);
}

fn they_let_on_what_was_seen_and_no_more(world: &World, rules: &str) {
    world.policy("suggested", rules);
    world.config("[policy]\ndefault = \"deny\"\n");
    world.nexus(&["agent", "add", "ci"]).ok();
    let outcome = |method: &str, url: &str| {
        world.nexus(&["explain", "--json", "--agent", "ci", method, url]).json()["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(outcome("GET", "https://api.github.com/repos/octo/hello/issues/99"), "auth_required");
    assert_eq!(outcome("DELETE", "https://api.github.com/repos/octo/hello/issues/99"), "refuse");
    assert_eq!((outcome("GET", "https://pypi.org/"), outcome("GET", "https://evil.test/")), ("tunnel".into(), "refuse".into()));
}
