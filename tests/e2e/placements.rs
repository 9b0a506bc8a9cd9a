//! Every way to place a credential, as a service sees it: one rule for each, and a caller that fills the same places with its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::attack::talk;
use crate::harness::{Authority, Builder, Caller, Offers, Seen, Upstream, answer, run};

const STOLEN: &str = "STOLEN-BY-SOMEBODY-0123456789";
/// With letters that a query must escape.
const KEY: &str = "own+key/0123456789=abcdef";

/// (the rule's host, its strategy, a look at what arrived)
type Kind = (&'static str, &'static str, fn(&Seen) -> bool);

const KINDS: [Kind; 8] = [
    ("bearer.kind.test", "{ bearer = \"{api_key}\" }", |seen| seen.bearer() == Some(KEY)),
    ("basic.kind.test", "{ basic = { username = \"{username}\", password = \"{api_key}\" } }", |seen| {
        is_basic(seen, &format!("me:{KEY}"))
    }),
    ("user.kind.test", "{ basic = { username = \"{api_key}\", password = \"\" } }", |seen| is_basic(seen, &format!("{KEY}:"))),
    ("password.kind.test", "{ basic = { username = \"\", password = \"{api_key}\" } }", |seen| {
        is_basic(seen, &format!(":{KEY}"))
    }),
    ("header.kind.test", "{ header = { name = \"x-key\", value = \"Key {api_key}\" } }", |seen| {
        seen.header("x-key") == Some(&format!("Key {KEY}")) && seen.header("authorization").is_none()
    }),
    ("query.kind.test", "{ query = { name = \"key\", value = \"{api_key}\" } }", |seen| {
        seen.path == "/a?kept=1&key=own%2Bkey%2F0123456789%3Dabcdef"
    }),
    ("cookie.kind.test", "{ cookie = { name = \"s\", value = \"{api_key}\" } }", |seen| {
        seen.header("cookie").is_some_and(|cookies| cookies.split("; ").any(|cookie| cookie == format!("s={KEY}")))
    }),
    (
        "several.kind.test",
        "[{ header = { name = \"x-key\", value = \"{api_key}\" } }, { query = { name = \"user\", value = \"{username}\" } }]",
        |seen| seen.header("x-key") == Some(KEY) && seen.path == "/a?kept=1&user=me",
    ),
];

fn is_basic(seen: &Seen, pair: &str) -> bool {
    seen.header("authorization") == Some(&format!("Basic {}", STANDARD.encode(pair)))
}

/// All in one provider, so that each request has the slots of every kind.
fn provider() -> String {
    let rules = KINDS.map(|(host, strategy, _)| format!("[[inject]]\nhosts = [\"{host}\"]\nstrategy = {strategy}\n")).concat();
    let slots = "[\"authorization\", \"x-key\", \"query:key\", \"query:user\", \"cookie:s\"]";
    format!("name = \"kind\"\nslots = {slots}\n{rules}")
}

#[test]
fn i3_each_strategy_puts_the_credential_in_its_place_and_leaves_no_other() {
    run(async {
        let ca = Authority::new();
        let names = KINDS.map(|(host, ..)| host);
        let service = Upstream::serve(&ca, &names, Offers::Http1, |_call| async { answer(200, "") }).await;
        let mut builder = Builder::new(&ca).provider("kind", &provider());
        for name in names {
            builder = builder.resolve(name, service.address);
        }
        let nexus = builder.register("kind", &[("api_key", KEY), ("username", "me")]).start();
        for (host, strategy, arrived) in KINDS {
            let bytes = format!(
                "GET /a?key={STOLEN}&kept=1&user={STOLEN} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {STOLEN}\r\n\
                 X-Key: {STOLEN}\r\nCookie: s={STOLEN}; kept=2\r\nConnection: close\r\n\r\n"
            );
            let raw = talk(Caller::new(&nexus).tls(host, &[]).await, bytes.as_bytes()).await;
            let seen = service.seen().pop().expect("a request");
            assert!(raw.status() == 200 && arrived(&seen), "{strategy}: {seen:?}");
            let text = format!("{seen:?}");
            assert!(!text.contains("STOLEN") && text.contains("kept=1") && text.contains("kept=2"), "{strategy}: {text}");
            // Nothing but what this strategy writes stands in any slot.
            let filled = ["authorization", "x-key"].iter().filter(|name| seen.header(name).is_some()).count();
            assert_eq!(
                filled,
                usize::from(!strategy.contains("query = {") && !strategy.contains("cookie") || strategy.starts_with('['))
            );
        }
    });
}

#[test]
fn i1_a_webhook_is_put_in_whole_and_no_record_shows_it() {
    const SECRET: &str = "Sl4ckSecretOfTheWebhook0";
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["hooks.slack.com"], Offers::Http1, |_call| async { answer(200, "ok") }).await;
        let fields = [("team_id", "T0TEAM"), ("webhook_id", "B0HOOK"), ("api_key", SECRET)];
        let builder = Builder::new(&ca).resolve("hooks.slack.com", service.address);
        let nexus = builder.register("slack_webhooks", &fields).start();
        for (path, wanted) in [
            ("/services/T00000000/B00000000/STOLEN", Some(format!("/services/T0TEAM/B0HOOK/{SECRET}"))),
            ("/triggers/T00000000/1/STOLEN", Some(format!("/triggers/T0TEAM/B0HOOK/{SECRET}"))),
            ("/workflows/T00000000/A1/2/STOLEN", None),
            ("/services/T00000000/STOLEN", None),
        ] {
            let before = service.seen().len();
            let bytes =
                format!("POST {path} HTTP/1.1\r\nHost: hooks.slack.com\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
            let raw = talk(Caller::new(&nexus).tls("hooks.slack.com", &[]).await, bytes.as_bytes()).await;
            assert_eq!(raw.status() == 200, wanted.is_some(), "{path}: {}", raw.status());
            let arrived: Vec<String> = service.seen().into_iter().skip(before).map(|seen| seen.path).collect();
            assert_eq!(arrived, wanted.into_iter().collect::<Vec<_>>(), "{path}");
        }
        nexus.audit_line(|line| line["event"] == "refuse").await;
        let records = format!("{:?}", nexus.audit());
        for secret in [SECRET, "T0TEAM", "B0HOOK", "/services/T00000000/B00000000/STOLEN", "/triggers/T0"] {
            assert!(!records.contains(secret), "{secret}: {records}");
        }
    });
}
