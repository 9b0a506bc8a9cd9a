//! `nexus register`, `list`, `show`, `remove` and `providers`.

use std::process::Stdio;

use crate::world::World;

const KEY: &str = "sk_test_0123456789abcdef";

fn one(world: &World) -> serde_json::Value {
    let list = world.nexus(&["list", "--json"]).json();
    let all = list["connections"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{list}");
    all[0].clone()
}

#[test]
fn i1_a_credential_goes_in_and_is_never_shown_again() {
    let world = World::new();
    let said = world.nexus_with(&["register", "--stdin", "stripe", "--json"], &format!("api_key={KEY}\n"));
    let shown = said.json();
    assert_eq!((shown["registered"].as_str(), shown["replaced"].as_bool()), (Some("stripe"), Some(false)));
    assert_eq!(shown["hosts"], serde_json::json!(["api.stripe.com", "files.stripe.com"]));
    let connection = one(&world);
    assert_eq!((connection["provider"].as_str(), connection["auth_type"].as_str()), (Some("stripe"), Some("api_key")));
    for command in [
        &["list"][..],
        &["show", "stripe"],
        &["show", "stripe", "--json"],
        &["list", "--json"],
        &["status"],
        &["explain", "https://api.stripe.com/v1"],
    ] {
        let done = world.nexus(command);
        assert!(!done.out.contains(KEY) && !done.err.contains(KEY), "{command:?}");
    }
    assert!(!world.read("nexus.enc").contains(KEY));
    assert_eq!(world.nexus(&["remove", "stripe", "--json"]).json()["removed"], "stripe");
    let said = world.nexus(&["remove", "stripe"]).failed(1);
    assert!(said.contains("stripe is not registered") && said.contains("nexus list"), "{said}");
}

#[test]
fn a_secret_comes_from_a_variable_without_a_word_and_by_argument_with_a_warning() {
    let world = World::new().with("NEXUS_API_KEY", KEY);
    let quiet = world.nexus(&["register", "stripe"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""));
    let world = World::new();
    let loud = world.nexus(&["register", "stripe", "--api-key", KEY]);
    assert!(loud.err.contains("came by the command line") && !loud.err.contains(KEY), "{}", loud.err);
    loud.ok();
}

#[test]
fn what_is_given_twice_or_too_long_for_any_service_is_refused() {
    let world = World::new();
    for (arguments, text) in [
        (&["register", "stripe", "--stdin"][..], "api_key=one-0123456789\napi_key=two-0123456789\n"),
        (&["register", "stripe", "--stdin", "--api-key", "one-0123456789"], "api_key=two-0123456789\n"),
    ] {
        let said = world.nexus_with(arguments, text).failed(1);
        assert!(said.contains("api_key is given twice, so nothing was stored"), "{said}");
    }
    let said = world.nexus_with(&["register", "stripe", "--stdin"], &format!("api_key={}\n", "a".repeat(40_000))).failed(1);
    assert!(said.contains("api_key is longer than 32 KiB"), "{said}");
    assert!(world.nexus(&["list", "--json"]).json()["connections"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn a_secret_of_a_field_by_argument_is_warned_of_and_no_hint_asks_for_one_there() {
    let world = World::new();
    let fields =
        ["register", "jira", "--field", "password=0123456789abcdef", "--field", "site=acme", "--username", "a@b.example"];
    let loud = world.nexus(&fields);
    assert_eq!(loud.err.matches("came by the command line").count(), 1, "{}", loud.err);
    assert!(loud.err.contains("password came by the command line") && !loud.err.contains("0123456789abcdef"), "{}", loud.err);
    let said = world.nexus_with(&["register", "jira", "--stdin"], "site=acme\n").failed(1);
    assert!(said.contains("password=…") && !said.contains("--field password"), "{said}");
    let world = World::new().with("NEXUS_REFRESH_TOKEN", "ghr_0123456789");
    let quiet = world.nexus(&["register", "github", "--client-id", "x"]);
    assert_eq!(quiet.err.lines().count(), 1, "{quiet:?}");
    assert!(quiet.err.contains("GitHub spends a refresh token at each renewal"), "{quiet:?}");
    assert!(world.nexus(&["show", "github"]).ok().contains("refresh_token"));
}

#[test]
fn i1_a_credential_that_no_header_can_carry_is_refused_at_registration() {
    let world = World::new();
    for (arguments, word) in [
        (["register", "stripe", "--api-key", "sk\r\nX-Evil: 1"], "api_key holds a line end"),
        (["register", "stripe", "--api-key", "sk_\u{e9}"], "api_key holds a character"),
        (["register", "github", "--refresh-token", "ghr_1\n"], "refresh_token holds a line end"),
    ] {
        let said = world.nexus(&arguments).failed(1);
        assert!(said.contains(word) && said.contains("nothing was stored") && !said.contains("Evil"), "{said}");
    }
    assert_eq!(world.nexus(&["list", "--json"]).json()["connections"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_bare_token_is_told_which_name_goes_before_it() {
    let world = World::new();
    for text in ["gho_0123456789\n", "Z2hvXzAxMjM0NTY3ODk=\n"] {
        let said = world.nexus_with(&["register", "github", "--stdin"], text).failed(1);
        assert!(said.contains("such as access_token=…") && !said.contains("0123456789"), "{said}");
    }
    let said = world.nexus_with(&["register", "github"], "gho_0123456789\n").failed(1);
    assert!(said.contains("a line for each: access_token=…"), "{said}");
}

#[test]
fn on_a_terminal_nothing_typed_stores_nothing_and_a_second_registration_is_asked_about() {
    let world = World::new();
    let line = format!("{} register openai", env!("CARGO_BIN_EXE_nexus"));
    let done = world.on_terminal(&line, &[("api key: ", "\n")]);
    assert!(done.code == Some(1) && done.out.contains("nothing was typed"), "{}", done.out);
    world.register(&["openai"], "api_key=sk-first-0123456789\n");
    let before = world.read("nexus.enc");
    let done = world.on_terminal(&line, &[("[y/N]: ", "n\n")]);
    assert!(done.code == Some(1) && done.out.contains("nothing was changed"), "{}", done.out);
    assert_eq!(world.read("nexus.enc"), before);
    let done = world.on_terminal(&line, &[("[y/N]: ", "y\n"), ("api key: ", "sk-second-0123456789\n")]);
    assert!(done.code == Some(0) && done.out.contains("replaced openai"), "{}", done.out);
}

#[test]
fn t138_i1_a_registration_leaves_no_core() {
    use std::io::BufRead as _;
    let world = World::new();
    let mut command = world.command(&["register", "stripe", "--api-key", KEY, "--stdin"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // It warns of the argument, then waits for its standard input.
    let mut line = String::new();
    std::io::BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("came by the command line"), "{line}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_person_is_asked_without_echo() {
    let world = World::new();
    let line = format!("{} register openai", env!("CARGO_BIN_EXE_nexus"));
    let done = world.on_terminal(&line, &[("api key: ", "sk-typed-0123456789\n")]);
    assert_eq!(done.code, Some(0), "{}", done.out);
    assert!(done.out.contains("https://platform.openai.com/api-keys") && !done.out.contains("typed"), "{}", done.out);
    assert_eq!(one(&world)["connection"], "openai");
}

#[test]
fn nobody_is_asked_where_there_is_no_terminal() {
    let said = World::new().nexus(&["register", "stripe"]).failed(1);
    assert!(said.contains("nobody to ask") && said.contains("nexus register stripe --stdin"), "{said}");
}

#[test]
fn a_tenant_becomes_part_of_the_hosts_or_is_refused() {
    let world = World::new();
    world.register(
        &["jira", "--user", "alice", "--expires", "30d"],
        "username=a@b.example\npassword=0123456789abcdef\nsite=Acme\n",
    );
    let shown = world.nexus(&["show", "jira", "--user", "alice", "--json"]).json();
    assert_eq!(shown["hosts"], serde_json::json!(["acme.atlassian.net", "api.atlassian.com"]));
    assert_eq!(shown["connection"], "jira:alice");
    assert!(shown["expires_at"].is_string());
    let bad = world.nexus_with(&["register", "jira", "--stdin"], "username=a\npassword=p\nsite=evil.example/\n").failed(1);
    assert!(bad.contains("site is not one label") && !bad.contains("evil"), "{bad}");
    let missing = world.nexus_with(&["register", "jira", "--stdin"], "site=acme\n").failed(1);
    assert!(missing.contains("needs other fields") && missing.contains("--field site="), "{missing}");
}

#[test]
fn a_second_registration_replaces_the_first_and_says_so() {
    let world = World::new();
    world.register(&["stripe"], "api_key=first-0123456789\n");
    let done = world.nexus_with(&["register", "stripe", "--stdin"], "api_key=second-0123456789\n");
    assert!(done.out.starts_with("replaced stripe"), "{}", done.out);
    one(&world);
}

#[test]
fn a_table_is_aligned_and_coloured_only_where_asked() {
    let world = World::new();
    world.register(&["github"], "client_id=Iv1.abcdef\nclient_secret=0123456789abcdef0123\n");
    world.register(&["stripe", "--user", "bob"], "api_key=sk_test_0123456789\n");
    let text = world.nexus(&["list"]).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("Provider  Auth type"), "{text}");
    assert!(lines[1].contains("Iv1.****") && lines[2].contains("bob"), "{text}");
    let column = |line: &str, word: &str| line.find(word).unwrap();
    assert_eq!(column(lines[0], "User"), column(lines[2], "bob"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(world.nexus(&["list", "--color", "always"]).ok().contains("\u{1b}[1m"));
    let world = world.with("CLICOLOR_FORCE", "1");
    assert!(world.nexus(&["list"]).ok().contains('\u{1b}'));
    let world = world.with("NO_COLOR", "1").with("CLICOLOR_FORCE", "");
    assert!(!world.nexus(&["list"]).ok().contains('\u{1b}'));
    assert_eq!(world.nexus(&["list", "--user", "bob", "--json"]).json()["connections"].as_array().unwrap().len(), 1);
}

#[test]
fn i9_two_registrations_at_once_lose_nothing() {
    let world = World::new();
    world.register(&["openai"], "api_key=sk-0123456789\n");
    let names = ["stripe", "linear", "apollo", "brevo", "notion", "airtable"];
    let start = |name: &&str| {
        let mut command = world.command(&["register", name]);
        command
            .env("NEXUS_API_KEY", KEY)
            .env("NEXUS_ACCESS_TOKEN", KEY)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = names.iter().map(start).collect();
    for child in children {
        crate::world::Done::from(child.wait_with_output().unwrap()).ok();
    }
    let list = world.nexus(&["list", "--json"]).json();
    assert_eq!(list["connections"].as_array().unwrap().len(), 1 + names.len(), "{list}");
}

#[test]
fn a_name_that_is_nearly_right_is_recognised() {
    let world = World::new();
    let said = world.nexus(&["register", "githb", "--api-key", "x"]).failed(1);
    assert!(said.contains("did you mean github?") && said.contains("nexus providers list"), "{said}");
    let said = world.nexus(&["register", "../x", "--api-key", "x"]).failed(1);
    assert!(said.contains("not valid"), "{said}");
}

#[test]
fn a_gateway_that_is_away_is_told_and_the_local_vault_used() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::new().with("NEXUS_GATEWAY_URL", &format!("http://{gone}")).with("NEXUS_API_KEY", KEY);
    let done = world.nexus(&["register", "stripe"]);
    assert!(done.err.contains("does not answer; the local vault is used"), "{}", done.err);
    assert_eq!(one(&world)["connection"], "stripe");
}

const ACME: &str = "name = \"acme\"\ntitle = \"Acme\"\ncategory = \"tests\"\nwhoami = \"GET https://api.acme.test/me?x=1\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"api.acme.test\"]\nstrategy = { bearer = \"{api_key}\" }\n[placeholder]\nACME_TOKEN = \"acme_\"\nACME_REGION = { fixed = \"eu\" }\n";

#[test]
fn the_catalogue_is_listed_and_shown() {
    let world = World::new();
    world.provider("acme", ACME);
    let list = world.nexus(&["providers", "list", "--json"]).json();
    let all = list["providers"].as_array().unwrap();
    assert!(all.len() >= 16 && all.iter().any(|one| one["name"] == "acme" && one["builtin"] == false), "{list}");
    let list = world.nexus(&["providers", "list", "--category", "tests"]).ok();
    assert_eq!(list.lines().count(), 2, "{list}");
    let none = world.nexus(&["providers", "list", "--category", "nope"]);
    assert!(none.err.contains("categories are"), "{}", none.err);
    let found = world.nexus(&["providers", "list", "ACME.test"]).ok();
    assert!(found.lines().count() == 2 && found.contains("Acme"), "{found}");
    assert!(world.nexus(&["providers", "list", "acme-token"]).ok().contains("Acme"));
    assert!(world.nexus(&["providers", "list", "no such thing"]).err.contains("nothing was found"));
    let shown = world.nexus(&["providers", "show", "acme"]).ok();
    assert!(
        shown.contains("Authorization: Bearer {api_key}")
            && shown.contains("ACME_TOKEN")
            && shown.contains("GET https://api.acme.test/me?x=1")
            && shown.contains("a file of your own"),
        "{shown}"
    );
    assert_eq!(world.nexus(&["providers", "show", "github", "--json"]).json()["rules"][0]["strategy"][0], "bearer");
}

#[test]
fn a_provider_file_is_checked_and_a_mistake_shown_with_a_caret() {
    let world = World::new();
    let file = world.path("acme.toml");
    std::fs::write(&file, ACME).unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(world.nexus(&["providers", "check", path, "--json"]).json()["valid"], true);
    std::fs::write(&file, ACME.replace("hosts =", "hosst =")).unwrap();
    let said = world.nexus(&["providers", "check", path]).failed(1);
    assert!(said.contains("acme.toml:7:1: unknown key `hosst`; did you mean `hosts`?") && said.contains("^^^^^"), "{said}");
    std::fs::write(&file, ACME.replace("api.acme.test", "api.github.com")).unwrap();
    let said = world.nexus(&["providers", "check", path]).failed(1);
    assert!(said.contains(":7:10: api.github.com belongs to github already") && said.contains("^^^^^"), "{said}");
    let untried = ACME.replace("whoami = \"GET https://api.acme.test/me?x=1\"\n", "");
    let before = untried.replace("api.acme.test\"]", "api.github.com\"]\npaths = [\"/v1/**\"]");
    std::fs::write(&file, before).unwrap();
    let done = world.nexus(&["providers", "check", path]);
    assert!(done.err.contains("acme takes /v1/** of api.github.com over from github"), "{done:?}");
    done.ok();
    let file = world.path("github.toml");
    std::fs::write(&file, include_str!("../../config/providers/github.toml")).unwrap();
    let done = world.nexus(&["providers", "check", file.to_str().unwrap()]);
    assert!(done.err.contains("github comes with nexus"), "{done:?}");
    done.ok();
    let said = world.nexus(&["providers", "check", "nowhere.toml"]).failed(1);
    assert!(said.contains("cannot read nowhere.toml"), "{said}");
}

#[test]
fn i7_what_is_no_provider_file_is_refused_before_it_is_read_to_its_end() {
    let world = World::new();
    let file = world.path("acme.toml");
    let check = |path: &str| world.nexus(&["providers", "check", path]).failed(1);
    for (bytes, part) in [
        (vec![b'#'; 2_000_000], "acme.toml is larger than 64 KiB; a file describes one service"),
        (b"name = \"acme\"\ntitle = \"\xff\"\n".to_vec(), "acme.toml:2:10: this is not text in UTF-8"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let said = check(file.to_str().unwrap());
        assert!(said.contains(part), "{said}");
    }
    let said = check("/dev/zero");
    assert!(said.contains("larger than 64 KiB"), "{said}");
    let said = check(world.path("").to_str().unwrap());
    assert!(said.contains("cannot read"), "{said}");
}

/// Acme, which renews its tokens, as of its rule's first day and after a second host was written into it.
fn acme_renews(hosts: &str) -> String {
    format!(
        "name = \"acme\"\nslots = [\"authorization\"]\n[oauth2]\ntoken_url = \"https://auth.acme.test/token\"\n\
         [[inject]]\nhosts = [{hosts}]\nstrategy = {{ bearer = \"{{access_token}}\" }}\n"
    )
}

#[test]
fn i2_t32_a_credential_without_an_access_token_is_sealed_as_well() {
    for fields in ["refresh_token=r-0123456789\nclient_id=c\n", "client_id=c\nclient_secret=s-0123456789abcdef\n"] {
        let world = World::new();
        world.provider("acme", &acme_renews("\"api.acme.test\""));
        let done = world.nexus_with(&["register", "--stdin", "acme", "--json"], fields).json();
        assert_eq!(done["hosts"], serde_json::json!(["api.acme.test"]), "{fields}");
        world.provider("acme", &acme_renews("\"api.acme.test\", \"evil.test\""));
        let answer = world.nexus(&["explain", "https://evil.test/", "--json"]).json();
        assert_ne!(answer["outcome"], "inject", "{answer}");
        assert_eq!(world.nexus(&["show", "acme", "--json"]).json()["hosts"], done["hosts"]);
    }
}

#[test]
fn i2_a_credential_whose_tenant_is_not_named_is_not_taken() {
    let world = World::new();
    world.provider("acme", &acme_renews("\"{site}.acme.test\""));
    let said = world.nexus_with(&["register", "--stdin", "acme"], "refresh_token=r-0123456789\nclient_id=c\n").failed(1);
    assert!(said.contains("needs other fields") && said.contains("--field site="), "{said}");
}

#[test]
fn i2_a_widened_file_reaches_a_credential_only_after_it_is_trusted() {
    let world = World::new();
    world.provider("acme", ACME);
    world.register(&["acme"], "api_key=acme-0123456789\n");
    world.provider("acme", &ACME.replace("\"api.acme.test\"", "\"api.acme.test\", \"evil.acme.test\""));
    let answer = world.nexus(&["explain", "https://evil.acme.test/", "--json"]).json();
    assert_eq!(
        (answer["outcome"].as_str(), answer["command"].as_str()),
        (Some("refuse"), Some("nexus providers trust acme")),
        "{answer}"
    );
    let said = world.nexus(&["providers", "trust", "acme"]).failed(1);
    assert!(said.contains("  + evil.acme.test") && said.contains("nexus providers trust acme --yes"), "{said}");
    let line = format!("{} providers trust acme", env!("CARGO_BIN_EXE_nexus"));
    let no = world.on_terminal(&line, &[("[y/N]: ", "\n")]);
    assert_eq!(no.code, Some(1), "{}", no.out);
    assert_eq!(world.nexus(&["explain", "https://evil.acme.test/", "--json"]).json()["outcome"], "refuse");
    let yes = world.nexus(&["providers", "trust", "acme", "--yes", "--json"]).json();
    assert_eq!(yes["changes"][0]["after"], serde_json::json!(["api.acme.test", "evil.acme.test"]));
    assert_eq!(world.nexus(&["explain", "https://evil.acme.test/", "--json"]).json()["outcome"], "inject");
    let again = world.nexus(&["providers", "trust", "acme"]).ok();
    assert!(again.contains("already"), "{again}");
    let said = world.nexus(&["providers", "trust", "stripe"]).failed(1);
    assert!(said.contains("has no connection"), "{said}");
}

const RENEWING: &str = "name = \"acme\"\nslots = [\"authorization\"]\n[oauth2]\ntoken_url = \"https://auth.acme.test/token\"\n[[inject]]\nhosts = [\"api.acme.test\"]\nstrategy = { bearer = \"{access_token}\" }\n";

#[test]
fn i2_a_file_that_moves_the_token_endpoint_is_told_of_and_takes_effect_when_trusted() {
    let world = World::new();
    world.provider("acme", RENEWING);
    world.register(&["acme"], "access_token=at-0123456789\nrefresh_token=rt-0123456789\nclient_secret=cs-0123456789\n");
    let shown = world.nexus(&["show", "acme", "--json"]).json();
    assert_eq!(shown["token_urls"], serde_json::json!(["https://auth.acme.test/token"]));
    assert_eq!(world.nexus(&["status", "--json"]).json()["vault"]["widened"], serde_json::json!([]));
    let moved = RENEWING.replace("auth.acme.test", "evil.test") + "[placeholder]\nACME_TOKEN = \"acme_\"\n";
    world.provider("acme", &moved);
    let status = world.nexus(&["status"]);
    assert_eq!(status.code, Some(1), "{}", status.out);
    assert!(
        status.out.contains("token endpoint https://evil.test/token") && status.out.contains("nexus providers trust acme"),
        "{}",
        status.out
    );
    let up = world.up_saying("nexus providers trust acme");
    // Put back and moved again under the running proxy: each load looks.
    world.provider("acme", RENEWING);
    world.provider("acme", &moved);
    up.says("nexus providers trust acme");
    up.kill();
    let said = world.nexus(&["providers", "trust", "acme"]).failed(1);
    assert!(
        said.contains("  + token endpoint https://evil.test/token")
            && said.contains("  - token endpoint https://auth.acme.test"),
        "{said}"
    );
    let yes = world.nexus(&["providers", "trust", "acme", "--yes", "--json"]).json();
    assert_eq!(yes["changes"][0]["token_urls"]["after"], serde_json::json!(["https://evil.test/token"]));
    assert_eq!(world.nexus(&["status", "--json"]).json()["ok"], true);
}

#[test]
fn i2_a_credential_without_an_access_token_yet_is_sealed_all_the_same() {
    let world = World::new();
    world.provider("acme", RENEWING);
    for fields in [
        "client_id=id\nclient_secret=cs-0123456789\nrefresh_token=rt-0123456789\n",
        "client_id=id\nclient_secret=cs-0123456789\n",
    ] {
        world.register(&["acme"], fields);
        let shown = world.nexus(&["show", "acme", "--json"]).json();
        assert_eq!(shown["hosts"], serde_json::json!(["api.acme.test"]), "{fields}");
    }
}

#[test]
fn a_tenant_that_nobody_named_is_told_of() {
    let world = World::new();
    let done = world.nexus_with(&["register", "jira", "--stdin"], "username=me@acme.test\npassword=dummy-0123456789\n");
    assert!(done.err.contains("without --field site=… this credential does not go to {site}.atlassian.net"), "{done:?}");
    let done =
        world.nexus_with(&["register", "jira", "--stdin"], "username=me@acme.test\npassword=dummy-0123456789\nsite=acme\n");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
}

#[test]
fn where_token_requests_are_answered_is_shown_and_checked() {
    let world = World::new();
    let shown = world.nexus(&["providers", "show", "google-drive"]).ok();
    assert!(
        shown.contains("asks for a token of its own at") && shown.contains("https://oauth2.googleapis.com/token"),
        "{shown}"
    );
    let json = world.nexus(&["providers", "show", "github_app", "--json"]).json();
    let wanted =
        serde_json::json!([{ "at": ["https://api.github.com/app/installations/*/access_tokens"], "shape": "github_app" }]);
    assert_eq!(json["token_responses"], wanted);
    let file = world.path("acme.toml");
    let text = "name = \"acme\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"api.acme.test\"]\n\
                strategy = { bearer = \"{access_token}\" }\n[[token_response]]\naccess_token = \"acme_\"\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let refused = world.nexus(&["providers", "check", path]);
    assert!(refused.err.contains("acme.toml:6:1: no place to answer at"), "{}", refused.err);
    std::fs::write(&file, format!("{text}at = [\"POST https://auth.acme.test/token\"]\n")).unwrap();
    let checked = world.nexus(&["providers", "check", path]).ok();
    assert!(checked.ends_with("; it answers at https://auth.acme.test/token\n"), "{checked}");
    assert_eq!(world.nexus(&["providers", "check", path, "--json"]).json()["answers"][0], "https://auth.acme.test/token");
}

#[test]
fn an_app_that_goes_with_what_it_is_replaced_by_is_told() {
    let world = World::new();
    world.register(&["slack"], "client_id=the-client\nclient_secret=the-secret-of-it\n");
    let done = world.nexus_with(&["register", "slack", "--stdin"], "access_token=xoxb-0123456789abcdef\n");
    assert!(done.code == Some(0) && done.err.contains("the app that slack had"), "{}", done.err);
    let again = world.nexus_with(&["register", "slack", "--stdin"], "access_token=xoxb-fedcba9876543210\n");
    assert!(again.code == Some(0) && !again.err.contains("the app that"), "{}", again.err);
}
