//! The overview: known traffic by curl through the built binary, and the numbers that the gateway and the page make of it.

use serde_json::{Value, json};

use crate::consented::{log_in, with_app};
use crate::oidc::Oidc;
use crate::page::{driven_by, link};
use crate::world::{Up, World};

/// Makes an agent that acts for `user`; what it asks for by way of the proxy, curl asks for.
fn agent(world: &World, name: &str, user: &str) -> impl Fn(&Up, &[&str]) + use<> {
    let made = world.nexus(&["agent", "add", name, "--user", user, "--json"]).json();
    let token = made["token"].as_str().expect("a token").to_owned();
    let (name, authority) = (name.to_owned(), world.home("ca.pem"));
    move |up, urls| {
        let proxy = format!("http://{name}:{token}@{}", up.address);
        let asked = urls.iter().flat_map(|url| ["-o", "/dev/null", url]);
        let mut curl = std::process::Command::new("curl");
        let done = curl.args(["-sS", "-x", &proxy, "--cacert"]).arg(&authority).args(asked).output().expect("curl");
        assert!(done.status.success(), "{done:?}");
    }
}

/// A proxy behind which are 13 requests: 9 for alice to a service where she has an account, of which 2 are refused by a rule, one is
/// answered 404, and one is answered only after her token was renewed; 3 to a port where nobody listens; one for bob, who has no account.
fn scene() -> (World, Up, Oidc) {
    let (world, oidc) = with_app();
    let config = world.read("nexus.toml").replace("[upstream]\n", "[upstream]\nallow_private = [\"127.0.0.0/8\"]\n");
    let rule = "[[rule]]\nname = \"no-secrets\"\nhosts = [\"api.acme.example\"]\npaths = \"/secret\"\naction = \"deny\"\n";
    world.config(&format!("{config}{rule}"));
    log_in(&world, &oidc.browser(&world, "alice"), "alice", &[]).1.ok();
    let (triage, nightly) = (agent(&world, "triage", "alice"), agent(&world, "nightly", "bob"));
    let up = world.up();
    let [me, secret, missing] = ["v1/me", "secret", "v1/nothing"].map(|path| format!("https://api.acme.example/{path}"));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{nobody}/");
    triage(&up, &[&me, &me, &me, &me, &secret, &secret, &missing, &away, &away, &away]);
    oidc.expire(&world);
    triage(&up, &[&me, &me]);
    nightly(&up, &[&me]);
    (world, up, oidc)
}

#[test]
fn known_traffic_is_counted_exactly_and_the_page_says_so() {
    let (world, _up, oidc) = scene();
    let links = ["operator", "operator", "auditor"].map(|role| link(&world, role));
    let seen = driven_by("over.mjs", &world, "overview", &[&["13".to_owned()], links.as_slice(), &[oidc.mapped()]].concat());
    of_the_gateway(&seen);
    of_the_page(&seen);
    let mend = &seen["mend"];
    assert!(mend["href"].as_str().is_some_and(|href| href.starts_with("https://login.acme.example/auth")), "{mend}");
    assert_eq!(mend["rel"], "noopener noreferrer");
    assert_eq!(seen["mended"], json!(["resolved"]), "{seen}");
    let [crowd, alone] = [0, 1].map(|at| seen["together"][at].as_str().unwrap_or_default());
    assert!(
        crowd.contains("asked for 1,001 times by nightly, ci, <b>evil</b>\\u{202e}, a, b, c, d, e, and 2 more, last"),
        "{seen}"
    );
    assert!(alone.contains("once by ci, last") && seen["together"].as_array().map(Vec::len) == Some(2), "{seen}");
    assert_eq!(seen["crowd"], json!({ "over": 0, "markup": 0 }));
    let card = seen["card"].as_str().expect("a card");
    assert!(card.contains("Or run nexus login acme --user bob") && !card.contains("Ask the operator"), "{card}");
    let (before, after) = (&seen["stays"]["before"], &seen["stays"]["after"]);
    assert_eq!((&before["top"], &before["now"], &after["focus"]), (&after["top"], &after["now"], &json!(true)), "{seen}");
    assert_eq!((&seen["stays"]["over"], &seen["stays"]["markup"]), (&json!(0), &json!(0)), "{seen}");
    assert_eq!((&seen["looks"], &seen["wrong"]), (&json!([]), &json!([])), "{seen}");
}

fn of_the_gateway(seen: &Value) {
    let totals = &seen["stats"]["totals"];
    let names =
        ["requests", "refused", "rejected", "errors", "unanswered", "unfinished", "renewed", "replayed", "injected", "timed"];
    let counted = names.map(|name| totals[name].as_u64().unwrap_or(99));
    assert_eq!(counted, [13, 3, 1, 3, 0, 0, 1, 1, 7, 7], "{totals}");
    let half = totals["p50_us"].as_u64().unwrap_or_default();
    assert!(half > 0 && totals["p99_us"].as_u64() >= Some(half) && totals["bytes_down"].as_u64() > Some(0), "{totals}");
    assert!(seen["ranges"].as_array().is_some_and(|all| all.len() == 4 && all.iter().all(|one| one == totals)), "{seen}");
    let of = |dimension: &str, name: &str| {
        let items = seen["stats"][dimension]["items"].as_array().expect("items").iter();
        items.filter(|item| item["name"] == name).map(|item| item["requests"].as_u64().unwrap_or_default()).sum::<u64>()
    };
    assert_eq!((of("agents", "triage"), of("agents", "nightly")), (12, 1), "{seen}");
    assert_eq!(
        (of("hosts", "api.acme.example"), of("hosts", "127.0.0.1"), of("providers", "acme")),
        (10, 3, 10),
        "what a rule refuses is its provider's too: {seen}"
    );
}

fn of_the_page(seen: &Value) {
    let tiles = json!([["requests", "13"], ["refused", "3"], ["errors", "3"], ["renewals", "1"]]);
    assert_eq!(seen["tiles"].as_array().map(|all| &all[..4]), tiles.as_array().map(Vec::as_slice), "{seen}");
    let table = json!({ "answered": 6, "the service said no": 1, "refused": 3, "errors": 3, "no answer": 0, "under way": 0 });
    assert_eq!(seen["table"], table, "{seen}");
    let mut spoken = seen["spoken"]["words"].as_array().expect("words").iter().filter_map(Value::as_str);
    assert!(spoken.any(|words| words.contains("answered") && !words.contains("answered 0")), "{seen}");
    assert_eq!((&seen["spoken"]["steps"], &seen["spoken"]["first"]), (&json!(60), &json!("1")));
    assert_eq!((&seen["url"], &seen["focus"]), (&json!("?range=1h"), &json!("1 hour")));
    assert_eq!(seen["search"], "?range=1h&of=agents&by=bytes");
    assert!(seen["provider"].as_str().is_some_and(|href| href.starts_with("/search?provider=acme&from=20")), "{seen}");
    assert!(seen["fresh"].as_array().is_some_and(|hosts| hosts.contains(&json!("api.acme.example"))), "{seen}");
}
