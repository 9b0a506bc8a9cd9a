//! `nexus env`.

use crate::world::{Done, World};

fn value(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.contains(&format!("{name}="))).unwrap_or_else(|| panic!("{name} in {text}"));
    line.split_once('=').unwrap().1.trim_matches('\'').to_owned()
}

#[test]
fn the_running_proxy_is_named_else_the_configured_one() {
    let world = World::new();
    world.config("[proxy]\nlisten = [\"0.0.0.0:18091\"]\n[policy]\ndefault = \"allow\"\n");
    let away = world.nexus(&["env"]);
    assert!(away.err.contains("no proxy is up"), "{}", away.err);
    assert_eq!(value(&away.out, "HTTPS_PROXY"), "http://127.0.0.1:18091");
    world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\n");
    let up = world.up();
    let there = world.nexus(&["env"]);
    assert_eq!(there.err, "");
    assert_eq!(value(&there.out, "https_proxy"), format!("http://{}", up.address));
    let address = up.address.clone();
    up.kill();
    // A file left behind by a proxy that was killed convinces nobody.
    assert!(world.read("proxy.addr").contains(&address));
    assert!(world.nexus(&["env"]).err.contains("no proxy is up"));
}

#[test]
fn every_format_names_the_ca_and_holds_the_same_variables() {
    let world = World::new();
    world.register(&["openai"], "api_key=sk-0123456789abcdef\n");
    let sha = world.nexus(&["ca", "show", "--json"]).json()["roots"][0]["sha256"].as_str().unwrap().to_owned();
    for format in ["sh", "fish", "powershell", "dotenv", "docker", "json", "github"] {
        let done = world.nexus(&["env", "--format", format]);
        let (data, talk) = (done.out.contains(&sha), done.err.contains(&sha));
        assert!(data != talk && talk == matches!(format, "json" | "github"), "{format}: {done:?}");
        for name in ["HTTPS_PROXY", "NODE_EXTRA_CA_CERTS", "OPENAI_API_KEY", "GIT_TERMINAL_PROMPT"] {
            assert!(done.out.contains(name), "{format}: {name}");
        }
    }
    let json = world.nexus(&["env", "--json"]).json();
    assert!(json["SSL_CERT_FILE"].as_str().unwrap().ends_with("ca-bundle.pem"), "{json}");
}

#[test]
fn i1_a_placeholder_has_the_shape_of_the_credential_and_nothing_of_it() {
    let world = World::new();
    world.register(&["openai"], "api_key=sk-0123456789abcdef\n");
    world.register(&["github", "--user", "alice"], "access_token=ghp_0123456789abcdef\n");
    let read = |arguments: &[&str]| world.nexus(arguments).json();
    let json = read(&["env", "--json"]);
    let placeholder = json["OPENAI_API_KEY"].as_str().unwrap();
    assert!(placeholder.starts_with("sk-proj-") && placeholder.len() == 8 + 36, "{placeholder}");
    assert!(json["GITHUB_TOKEN"].as_str().unwrap().starts_with("ghp_"), "{json}");
    assert_eq!(json["OPENAI_API_KEY"], read(&["env", "--json"])["OPENAI_API_KEY"]);
    assert!(json.get("STRIPE_API_KEY").is_none(), "{json}");
    // Mailchimp's clients read the host off the end of the key.
    world.register(&["mailchimp"], "api_key=0123456789abcdef0123456789abcdef-us21\n");
    let json = read(&["env", "--json"]);
    let placeholder = json["MAILCHIMP_API_KEY"].as_str().unwrap();
    assert!(placeholder.ends_with("-us21") && placeholder.len() == 36 + 5, "{placeholder}");
    assert!(!json.to_string().contains("0123456789abcdef"));
}

/// A file that comes to call a credential no secret, or a tenant, after it was registered.
#[test]
fn i1_no_word_of_a_provider_file_makes_nexus_show_a_credential() {
    let world = World::new();
    let file = |secret: bool, hosts: &str, suffix: &str| {
        format!(
            "name = \"acme\"\nslots = [\"authorization\"]\n[[field]]\nname = \"api_key\"\nprompt = \"Key\"\nsecret = {secret}\n\
             [[field]]\nname = \"site\"\nprompt = \"Site\"\nsecret = false\n\
             [[inject]]\nhosts = [\"{{site}}.acme.test\"{hosts}]\nstrategy = {{ bearer = \"{{access_token}}\" }}\n\
             [placeholder]\nACME_KEY = {{ prefix = \"a_\", suffix = \"{suffix}\" }}\n"
        )
    };
    world.provider("acme", &file(true, "", "-{site}"));
    world.register(&["acme"], "access_token=at-0123456789\napi_key=0123456789abcdef\nsite=Initech\n");
    let variable = || world.nexus(&["env", "--json"]).json()["ACME_KEY"].as_str().unwrap().to_owned();
    assert!(variable().ends_with("-initech"), "{}", variable());
    world.provider("acme", &file(false, ", \"{api_key}.acme.test\"", "-{api_key}-{site}"));
    assert_eq!(variable().len(), "a_".len() + 36, "{}", variable());
    let up = world.up_saying("{api_key}.acme.test");
    for arguments in [
        &["env"][..],
        &["env", "--json"],
        &["status"],
        &["status", "--json"],
        &["show", "acme"],
        &["list", "--json"],
        &["providers", "show", "acme"],
        &["providers", "trust", "acme"],
        &["providers", "trust", "acme", "--json"],
        &["explain", "https://x.acme.test/"],
        &["run", "--", "env"],
    ] {
        let done = world.nexus(arguments);
        assert!(!format!("{done:?}").contains("0123456789abcdef"), "{arguments:?}: {done:?}");
    }
    let said = world.nexus(&["providers", "trust", "acme"]).failed(1);
    assert!(said.contains("  + {api_key}.acme.test"), "{said}");
    up.kill();
}

#[test]
fn with_agents_the_token_is_brought_and_checked() {
    let world = World::new();
    world.register(&["openai"], "api_key=sk-0123456789abcdef\n");
    world.register(&["stripe"], "api_key=sk_test_0123456789abcdef\n");
    let token =
        world.nexus(&["agent", "add", "ci", "--provider", "openai", "--json"]).json()["token"].as_str().unwrap().to_owned();
    let said = world.nexus(&["env"]).failed(1);
    assert!(said.contains("say which with --agent") && said.contains("nexus agent list"), "{said}");
    let said = world.nexus(&["env", "--agent", "ci"]).failed(1);
    assert!(said.contains("kept as a hash only") && said.contains("NEXUS_AGENT_TOKEN=… nexus env --agent ci"), "{said}");
    let said = world.nexus(&["env", "--agent", "nobody"]).failed(1);
    assert!(said.contains("no agent called nobody"), "{said}");
    let world = world.with("NEXUS_AGENT_TOKEN", "nxa_wrong");
    let said = world.nexus(&["env", "--agent", "ci"]).failed(1);
    assert!(said.contains("is not the token of ci") && !said.contains("nxa_wrong"), "{said}");
    let world = world.with("NEXUS_AGENT_TOKEN", &token);
    let json = world.nexus(&["env", "--agent", "ci", "--json"]).json();
    assert!(json["HTTPS_PROXY"].as_str().unwrap().starts_with(&format!("http://ci:{token}@127.0.0.1:")), "{json}");
    // What the agent may not use has no placeholder for it.
    assert!(json.get("OPENAI_API_KEY").is_some() && json.get("STRIPE_API_KEY").is_none(), "{json}");
}

#[test]
fn java_gets_the_listener_that_is_bound_to_the_agent() {
    let world = World::new();
    let token = world.nexus(&["agent", "add", "ci", "--json"]).json()["token"].as_str().unwrap().to_owned();
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:18191\"]\nagent_listen = { aa = \"127.0.0.1:18192\", ci = \"127.0.0.1:18193\" }\n",
    );
    let world = world.with("NEXUS_AGENT_TOKEN", &token);
    let json = world.nexus(&["env", "--agent", "ci", "--json"]).json();
    assert!(json["JAVA_TOOL_OPTIONS"].as_str().unwrap().contains("-Dhttps.proxyPort=18193"), "{json}");
    assert!(json["HTTPS_PROXY"].as_str().unwrap().ends_with(":18191"), "{json}");
}

#[test]
fn a_shell_takes_the_variables_and_a_gateway_stays_outside_the_proxy() {
    let world = World::new().with("NEXUS_GATEWAY_URL", "http://gateway.test:8090");
    let line = format!(
        "eval \"$({} env 2>/dev/null)\"; printf '%s|%s|' \"$NO_PROXY\" \"$SSL_CERT_FILE\"; test -s \"$WGETRC\" && test -s \"$NODE_EXTRA_CA_CERTS\"",
        env!("CARGO_BIN_EXE_nexus")
    );
    let text = Done::from(world.program("sh", &["-c", &line]).output().unwrap()).ok();
    assert_eq!(text, format!("localhost,127.0.0.1,::1,gateway.test|{}|", world.home("ca-bundle.pem").display()));
}

#[test]
fn during_a_rotation_both_roots_are_trusted_by_those_that_add() {
    let world = World::new();
    world.nexus(&["ca", "rotate"]).ok();
    let json = world.nexus(&["env", "--json"]).json();
    for name in ["NODE_EXTRA_CA_CERTS", "DENO_CERT"] {
        let text = std::fs::read_to_string(json[name].as_str().unwrap()).unwrap();
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2, "{name}");
    }
}

#[test]
fn i1_a_program_of_googles_gets_a_key_file_that_is_nobodys() {
    let world = World::new();
    let name = "GOOGLE_APPLICATION_CREDENTIALS";
    assert!(world.nexus(&["env", "--json"]).json().get(name).is_none());
    world.register(&["google-drive"], "access_token=ya29.0123456789abcdef\n");
    world.register(&["google-sheets"], "access_token=ya29.0123456789abcdef\n");
    let text = world.nexus(&["env", "--format", "dotenv"]).out;
    assert_eq!(text.matches(name).count(), 1, "{text}");
    let path = world.nexus(&["env", "--json"]).json()[name].as_str().unwrap().to_owned();
    let read = || std::fs::read_to_string(&path).unwrap();
    let first = read();
    let file: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&file["type"], &file["token_uri"]), (&"service_account".into(), &"https://oauth2.googleapis.com/token".into()));
    assert!(file["private_key"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n") && !first.contains("ya29."));
    // A command gets it too, whatever the caller's own says; `nexus env` leaves the caller's own alone.
    let world = world.with(name, "/own/key.json");
    let shown = world.nexus(&["run", "--", "sh", "-c", "cat \"$GOOGLE_APPLICATION_CREDENTIALS\""]).ok();
    assert_eq!(shown, first);
    assert!(world.nexus(&["env", "--json"]).json().get(name).is_none());
    assert_eq!(world.nexus(&["run", "--keep", name, "--", "printenv", name]).ok().trim(), "/own/key.json");
}
