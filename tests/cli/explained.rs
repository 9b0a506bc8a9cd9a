//! `nexus explain` answers as the proxy decides.

use serde_json::Value;

use crate::world::World;

fn explain(world: &World, arguments: &[&str]) -> Value {
    let whole: Vec<&str> = [&["explain", "--json"], arguments].concat();
    world.nexus(&whole).json()
}

fn outcome(world: &World, arguments: &[&str]) -> String {
    explain(world, arguments)["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn a_registered_provider_is_injected_and_the_rule_named() {
    let world = World::new();
    world.register(&["github"], "access_token=ghp_0123456789abcdef\n");
    let answer = explain(&world, &["https://api.github.com/user"]);
    assert_eq!((answer["outcome"].as_str(), answer["connect"].as_str()), (Some("inject"), Some("intercept")), "{answer}");
    assert_eq!((answer["provider"].as_str(), answer["connection"].as_str()), (Some("github"), Some("github")));
    assert_eq!((answer["rule"]["number"].as_u64(), answer["strategy"][0].as_str()), (Some(1), Some("bearer")));
    assert_eq!(explain(&world, &["https://github.com/a/b/info/refs"])["strategy"][0], "basic");
    assert_eq!(outcome(&world, &["https://github.com/login"]), "strip");
    let text = world.nexus(&["explain", "api.github.com/user"]).ok();
    assert!(text.starts_with("GET https://api.github.com/user  inject\n") && text.contains("why "), "{text}");
}

#[test]
fn what_is_refused_is_refused_with_its_reason() {
    let world = World::new();
    world.register(&["github"], "access_token=ghp_0123456789abcdef\n");
    world.register(&["aws"], "access_key_id=AKIA0123456789ABCDEF\nsecret_access_key=0123456789abcdef\n");
    for (arguments, word) in [
        (&["https://sts.amazonaws.com/?Version=2011-06-15&Action=AssumeRole"][..], "mints_credentials"),
        (&["http://api.github.com/user"], "cleartext"),
        (&["https://api.github.com:8443/user"], "connect_port"),
        (&["POST", "https://api.github.com/app/installations/1/access_tokens"], "token endpoint"),
        (&["POST", "https://api.github.com/orgs/acme/actions/runners/registration-token"], "mints_credentials"),
        (&["https://github.com/login/oauth/access_token"], "token endpoint"),
    ] {
        let answer = explain(&world, arguments);
        assert_eq!(answer["outcome"], "refuse", "{answer}");
        assert!(answer["why"].as_str().unwrap().contains(word), "{answer}");
    }
}

#[test]
fn a_token_endpoint_of_several_providers_is_ours_as_soon_as_one_has_a_connection() {
    let world = World::new();
    let url = "https://oauth2.googleapis.com/token";
    assert_eq!(outcome(&world, &["POST", url]), "pass");
    // Drive comes first in the catalogue, and has no connection.
    world.register(&["google-sheets"], "access_token=ya29-0123456789abcdef\n");
    let answer = explain(&world, &["GET", url]);
    assert_eq!((answer["outcome"].as_str(), answer["provider"].as_str()), (Some("refuse"), Some("gcp")), "{answer}");
    let answer = explain(&world, &["POST", url]);
    assert_eq!(
        (answer["outcome"].as_str(), answer["connection"].as_str()),
        (Some("answer"), Some("google_sheets")),
        "{answer}"
    );
    assert!(answer["why"].as_str().unwrap().ends_with("is not for callers: nexus renews its tokens itself"), "{answer}");
    // Not for an agent that may not use what stands behind it.
    world.nexus(&["agent", "add", "ci", "--provider", "google-drive"]).ok();
    assert_eq!(explain(&world, &["POST", url, "--agent", "ci"])["outcome"], "refuse");
}

#[test]
fn an_endpoint_that_only_answers_is_opened_for_those_who_may_be_answered() {
    let world = World::new();
    world.provider(
        "acme",
        "name = \"acme\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"api.acme.test\"]\nstrategy = { bearer = \"{api_key}\" }\n\
         [[token_response]]\nat = [\"POST https://auth.acme.test/token\"]\naccess_token = \"acme_\"\n",
    );
    let url = "https://auth.acme.test/token";
    let answer = explain(&world, &["POST", url]);
    assert_eq!((answer["outcome"].as_str(), answer["connect"].as_str()), (Some("pass"), Some("intercept")), "{answer}");
    world.register(&["acme"], "api_key=sk-0123456789abcdef\n");
    world.nexus(&["agent", "add", "ci", "--provider", "github"]).ok();
    let answer = explain(&world, &["POST", url]);
    assert_eq!((answer["outcome"].as_str(), answer["provider"].as_str()), (Some("answer"), Some("acme")), "{answer}");
    let answer = explain(&world, &["POST", url, "--agent", "ci"]);
    assert_eq!((answer["outcome"].as_str(), answer["connect"].as_str()), (Some("tunnel"), Some("tunnel")), "{answer}");
}

#[test]
fn an_unknown_host_is_tunnelled_or_as_configured() {
    let world = World::new();
    assert_eq!(outcome(&world, &["https://example.test/"]), "tunnel");
    assert_eq!(outcome(&world, &["http://example.test/"]), "pass");
    world.config("[proxy]\nunmatched = \"intercept\"\n");
    assert_eq!(outcome(&world, &["https://example.test/"]), "pass");
    world.config("[proxy]\nunmatched = \"refuse\"\n");
    assert_eq!(outcome(&world, &["https://example.test/"]), "refuse");
    let world = world.with("NEXUS__PROXY__UNMATCHED", "tunnel");
    assert_eq!(outcome(&world, &["https://example.test/"]), "tunnel");
}

#[test]
fn without_a_credential_the_command_to_type_is_told() {
    let world = World::new();
    let answer = explain(&world, &["https://api.stripe.com/v1"]);
    assert_eq!((answer["outcome"].as_str(), answer["command"].as_str()), (Some("pass"), Some("nexus register stripe")));
    world.nexus(&["agent", "add", "ci", "--user", "alice"]).ok();
    let answer = explain(&world, &["https://api.stripe.com/v1", "--agent", "ci"]);
    assert_eq!(
        (answer["outcome"].as_str(), answer["command"].as_str()),
        (Some("auth_required"), Some("nexus register stripe --user alice"))
    );
    let done = world.nexus(&["explain", "https://api.stripe.com/v1"]);
    assert!(done.err.contains("Name one with --agent") && done.err.contains("run `nexus register stripe`"), "{}", done.err);
}

#[test]
fn one_connection_of_the_provider_or_of_its_host_is_enough_for_auth_required() {
    let world = World::new();
    world.provider(
        "fitness",
        "name = \"fitness\"\ntitle = \"Fitness\"\nslots = [\"x-fitness-key\"]\n[[inject]]\nhosts = [\"www.googleapis.com\"]\n\
         paths = [\"/fitness/**\"]\nstrategy = { header = { name = \"x-fitness-key\", value = \"{api_key}\" } }\n",
    );
    let urls = ["https://www.googleapis.com/drive/v3/files", "https://www.googleapis.com/fitness/v1/users"];
    assert_eq!(urls.map(|url| outcome(&world, &[url])), ["pass", "pass"]);
    world.register(&["google-drive", "--user", "alice"], "access_token=ya29-0123456789abcdef\n");
    assert_eq!(urls.map(|url| outcome(&world, &[url])), ["auth_required", "auth_required"]);
}

#[test]
fn i6_each_agent_is_told_of_its_own_connection() {
    let world = World::new();
    world.register(&["stripe"], "api_key=sk_test_0123456789\n");
    world.register(&["stripe", "--user", "alice"], "api_key=sk_test_alice6789\n");
    world.nexus(&["agent", "add", "a", "--user", "alice"]).ok();
    world.nexus(&["agent", "add", "b", "--user", "bob"]).ok();
    world.nexus(&["agent", "add", "c", "--provider", "github", "--host", "api.github.com"]).ok();
    let connection = |agent: &str| explain(&world, &["https://api.stripe.com/v1", "--agent", agent])["connection"].clone();
    assert_eq!((connection("a"), connection("b")), ("stripe:alice".into(), serde_json::Value::Null));
    assert_eq!(outcome(&world, &["https://api.stripe.com/v1", "--agent", "b"]), "auth_required");
    assert_eq!(outcome(&world, &["https://api.stripe.com/v1", "--agent", "c"]), "refuse");
    let said = world.nexus(&["explain", "https://api.stripe.com/v1", "--agent", "d"]).failed(1);
    assert!(said.contains("no agent called d"), "{said}");
}

#[test]
fn nonsense_is_not_explained() {
    let world = World::new();
    for (arguments, wanted) in [
        (&["ftp://a.example/"][..], "is not a URL"),
        (&["G T", "https://a.example/"], "is not a method"),
        (&["https://u@a.example/"], "host of the URL"),
        (&["https://0x7f.1/"], "host of the URL"),
    ] {
        let whole: Vec<&str> = [&["explain"], arguments].concat();
        let said = world.nexus(&whole).failed(1);
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
}

/// What the request path answers by itself, no rule asked.
#[test]
fn what_is_refused_by_address_or_method_is_told_as_it_would_be() {
    let world = World::new().with("NEXUS__GATEWAY__LISTEN", "127.0.0.1:8090");
    world.register(&["github"], "access_token=ghp_0123456789abcdef\n");
    for (arguments, wanted, connect, word) in [
        (&["https://169.254.169.254/"][..], "refuse", Some("refuse"), "metadata"),
        (&["https://metadata.google.internal/"], "refuse", Some("refuse"), "metadata"),
        (&["https://localhost/"], "refuse", Some("refuse"), "loopback"),
        (&["https://[::ffff:10.0.0.1]/"], "refuse", Some("refuse"), "private"),
        (&["http://10.0.0.1/"], "refuse", None, "private"),
        (&["http://127.0.0.1:8090/"], "refuse", None, "proxy itself"),
        (&["https://nexus.internal/ca.pem"], "own_page", Some("intercept"), "itself"),
        (&["http://nexus.internal/env"], "own_page", None, "itself"),
        (&["TRACE", "https://api.github.com/"], "refuse", Some("intercept"), "TRACE"),
        (&["CONNECT", "https://api.github.com/"], "refuse", Some("intercept"), "CONNECT"),
        (&["TRACE", "https://example.test/"], "tunnel", Some("tunnel"), "when it is dialled"),
        (&["wss://api.github.com/user"], "inject", Some("intercept"), "github"),
        (&["ws://example.test/"], "pass", None, "no provider"),
    ] {
        let answer = explain(&world, arguments);
        let said = (answer["outcome"].as_str(), answer["connect"].as_str());
        assert_eq!(said, (Some(wanted), connect), "{arguments:?}: {answer}");
        assert!(answer["why"].as_str().unwrap().contains(word), "{arguments:?}: {answer}");
    }
    world.config("[upstream]\nallow_private = [\"10.0.0.0/8\"]\nresolve = { \"localhost\" = \"127.0.0.1:9443\" }\n");
    assert_eq!(outcome(&world, &["https://10.0.0.1/"]), "tunnel");
    assert_eq!(outcome(&world, &["https://localhost/"]), "tunnel");
    assert_eq!(outcome(&world, &["https://127.0.0.1/"]), "refuse");
    let answer = explain(&world, &["http://127.0.0.1:8091/"]);
    assert!(answer["why"].as_str().unwrap().contains("proxy itself"), "where it listens by default: {answer}");
}

#[test]
fn i1_the_secret_of_an_app_is_no_token() {
    let world = World::new();
    let secret = "client_id=Iv1.0123456789abcdef\nclient_secret=0123456789abcdef0123456789abcdef01234567\n";
    let seen = |options: &[&str]| {
        let arguments: Vec<&str> = [&["register", "github", "--stdin"], options].concat();
        let done = world.nexus_with(&arguments, secret);
        assert_eq!(done.code, Some(0), "{done:?}");
        let answer = explain(&world, &["https://api.github.com/user"]);
        (done.err, answer["outcome"].as_str().unwrap_or_default().to_owned(), answer["command"].as_str().map(str::to_owned))
    };
    let (said, outcome, _) = seen(&[]);
    assert!(outcome == "inject" && said.contains("--app"), "as JarvisCore has it, and told: {said}");
    let (said, outcome, command) = seen(&["--app"]);
    assert!(outcome == "pass" && !said.contains("as if it were a token"), "{outcome} {said}");
    assert_eq!(command.as_deref(), Some("nexus login github"), "{said}");
    assert!(!world.nexus(&["env"]).ok().contains("GITHUB_TOKEN"), "nothing stands for a token that is not there");
    let listed = world.nexus(&["show", "github"]).ok();
    assert!(listed.contains("client_id, client_secret") && !listed.contains("0123456789abcdef01234567"), "{listed}");
}

#[test]
fn a_token_that_the_proxy_refuses_is_told_as_refused() {
    let world = World::new();
    world.register(&["github"], "access_token=ghp_0123456789abcdef\n");
    let url = "https://api.github.com/user";
    let token = world.nexus(&["agent", "add", "ci", "--json"]).json()["token"].as_str().expect("a token").to_owned();
    world.nexus(&["agent", "add", "short", "--expires", "1s"]).ok();
    let said = world.nexus(&["explain", url]);
    assert!(said.err.contains("a caller without a token is answered 407"), "{}", said.err);
    let world = world.with("NEXUS_AGENT_TOKEN", &token);
    let answer = explain(&world, &[url]);
    assert_eq!((answer["outcome"].as_str(), answer["agent"].as_str()), (Some("inject"), Some("ci")), "whose token it is");
    assert_eq!(outcome(&world, &[url, "--agent", "ci"]), "inject");
    world.nexus(&["agent", "freeze", "ci"]).ok();
    let answer = explain(&world, &[url]);
    assert_eq!(answer["outcome"], "refuse", "{answer}");
    assert!(answer["why"].as_str().is_some_and(|why| why.contains("frozen")), "{answer}");
    world.nexus(&["agent", "revoke", "ci"]).ok();
    let answer = explain(&world, &[url]);
    assert_eq!(
        (&answer["outcome"], &answer["connect"], &answer["connection"]),
        (&"refuse".into(), &"refuse".into(), &Value::Null)
    );
    assert!(answer["why"].as_str().is_some_and(|why| why.contains("407") && why.contains("revoked")), "{answer}");
    let said = world.nexus(&["explain", url, "--agent", "ci"]).failed(1);
    assert!(said.contains("no agent called ci") && said.contains("407"), "{said}");
    // Another one's.
    world.nexus(&["agent", "add", "other"]).ok();
    let answer = explain(&world, &[url, "--agent", "other"]);
    assert_eq!(answer["outcome"], "refuse", "{answer}");
    assert!(answer["why"].as_str().is_some_and(|why| why.contains("is not the token of other")), "{answer}");
    crate::world::eventually(|| explain(&world, &[url, "--agent", "short"])["why"].to_string().contains("has expired"));
}
