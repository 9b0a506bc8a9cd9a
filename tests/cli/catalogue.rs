//! Every provider that ships, with a dummy credential of each kind it takes: what `nexus explain` says of each of its hosts, and what
//! would stand on the wire. A rule that no row of the table reaches fails the test.

use std::collections::BTreeSet;

use base64::Engine as _;
use http::HeaderMap;
use nexus::app::{Explanation, Home, Outcome, explain, passphrase};
use nexus::provider::{Catalogue, prepare};
use nexus::vault::{Store, unlock};

use crate::world::World;

/// A registration, and what becomes of requests after it.
struct Row {
    provider: &'static str,
    fields: &'static str,
    hosts: &'static [&'static str],
    /// Slots that are emptied wherever the credential goes on, in any order.
    strips: &'static [&'static str],
    cases: &'static [(&'static str, &'static str, Expected)],
}

/// What becomes of one request.
#[derive(Clone, Copy)]
enum Expected {
    /// This field stands on the request.
    Field(&'static str, &'static str),
    /// `Authorization: Basic` of this pair.
    Basic(&'static str),
    /// Refused by rule; the reason holds this word.
    Refused(&'static str),
    /// Answered with placeholders, where a program asks for a token of its own.
    Answered,
    /// Slots emptied, nothing put on.
    Stripped,
    /// The provider's host, but this kind of credential has nothing for it.
    Missing,
    /// No provider's host.
    Unknown,
}

use Expected::{Answered, Basic, Field, Missing, Refused, Stripped, Unknown};

const BEARER_TOKEN: Expected = Field("authorization", "Bearer dummy-token-0123456789");
const BEARER_KEY: Expected = Field("authorization", "Bearer dummy-key-0123456789");
const TOKEN: &str = "access_token=dummy-token-0123456789\n";
const KEY: &str = "api_key=dummy-key-0123456789\n";
const MINT: Expected = Refused("mints_credentials");
const ENDPOINT: Expected = Refused("token endpoint");

const GITHUB_HOSTS: &[&str] = &["api.github.com", "github.com", "raw.githubusercontent.com", "uploads.github.com"];
const GITHUB_SLOTS: &[&str] = &[
    "authorization",
    "query:access_token",
    "query:client_secret",
    "query:token",
    "cookie:user_session",
    "cookie:__Host-user_session_same_site",
];
const GOOGLE_SLOTS: &[&str] =
    &["authorization", "x-goog-api-key", "query:key", "query:access_token", "query:oauth_token", "query:bearer_token"];
/// Of all that have a part of www.googleapis.com: Maps signs in two parameters more.
const GOOGLE_SHARED_SLOTS: &[&str] = &[
    "authorization",
    "x-goog-api-key",
    "query:key",
    "query:access_token",
    "query:oauth_token",
    "query:bearer_token",
    "query:client",
    "query:signature",
];
const JIRA_SLOTS: &[&str] = &[
    "authorization",
    "query:jwt",
    "query:os_username",
    "query:os_password",
    "cookie:cloud.session.token",
    "cookie:tenant.session.token",
    "cookie:JSESSIONID",
];

const ROWS: &[Row] = &[
    Row {
        provider: "airtable",
        fields: TOKEN,
        hosts: &["api.airtable.com", "content.airtable.com"],
        strips: &["authorization", "query:api_key"],
        cases: &[
            ("GET", "https://api.airtable.com/v0/meta/whoami", BEARER_TOKEN),
            ("POST", "https://content.airtable.com/v0/b/r/f/uploadAttachment", BEARER_TOKEN),
            ("POST", "https://airtable.com/oauth2/v1/token", ENDPOINT),
        ],
    },
    Row {
        provider: "anthropic",
        fields: KEY,
        hosts: &["api.anthropic.com"],
        strips: &["x-api-key", "authorization"],
        cases: &[
            ("POST", "https://api.anthropic.com/v1/messages", Field("x-api-key", "dummy-key-0123456789")),
            ("POST", "https://api.anthropic.com/v1/oauth/token", MINT),
        ],
    },
    Row {
        provider: "anthropic",
        fields: TOKEN,
        hosts: &["api.anthropic.com"],
        strips: &["x-api-key", "authorization"],
        cases: &[("POST", "https://api.anthropic.com/v1/messages", BEARER_TOKEN)],
    },
    Row {
        provider: "apollo",
        fields: KEY,
        hosts: &["api.apollo.io", "app.apollo.io"],
        strips: &["x-api-key", "authorization", "query:api_key", "json:api_key"],
        cases: &[
            ("POST", "https://api.apollo.io/api/v1/people/match", Field("x-api-key", "dummy-key-0123456789")),
            ("POST", "https://app.apollo.io/api/v1/contacts", Field("x-api-key", "dummy-key-0123456789")),
            ("GET", "https://app.apollo.io/login", Stripped),
            ("POST", "https://app.apollo.io/api/v1/oauth/token", MINT),
        ],
    },
    Row {
        provider: "brevo",
        fields: KEY,
        hosts: &["api.brevo.com"],
        strips: &["api-key", "partner-key", "authorization"],
        cases: &[
            ("GET", "https://api.brevo.com/v3/account", Field("api-key", "dummy-key-0123456789")),
            ("POST", "https://api.brevo.com/v3/corporate/subAccount/key", MINT),
        ],
    },
    Row {
        provider: "github",
        fields: TOKEN,
        hosts: GITHUB_HOSTS,
        strips: GITHUB_SLOTS,
        cases: &[
            ("GET", "https://api.github.com/user", BEARER_TOKEN),
            ("POST", "https://uploads.github.com/repos/o/r/releases/1/assets", BEARER_TOKEN),
            ("GET", "https://raw.githubusercontent.com/o/r/main/README.md", BEARER_TOKEN),
            (
                "GET",
                "https://github.com/o/r.git/info/refs?service=git-upload-pack",
                Basic("x-access-token:dummy-token-0123456789"),
            ),
            ("POST", "https://github.com/o/r.git/git-receive-pack", Basic("x-access-token:dummy-token-0123456789")),
            ("POST", "https://github.com/o/r.git/info/lfs/objects/batch", Basic("x-access-token:dummy-token-0123456789")),
            ("GET", "https://github.com/settings/tokens", Stripped),
            ("POST", "https://api.github.com/app/installations/1/access_tokens", ENDPOINT),
            ("POST", "https://github.com/login/oauth/access_token", Answered),
            ("GET", "http://api.github.com/user", Refused("cleartext")),
            ("GET", "https://codeload.github.com/o/r/zip/main", Unknown),
        ],
    },
    Row {
        provider: "github",
        fields: "api_key=dummy-key-0123456789\n",
        hosts: GITHUB_HOSTS,
        strips: GITHUB_SLOTS,
        cases: &[("GET", "https://api.github.com/user", BEARER_KEY)],
    },
    Row {
        provider: "google_drive",
        fields: TOKEN,
        hosts: &["www.googleapis.com"],
        strips: GOOGLE_SHARED_SLOTS,
        cases: &[
            ("GET", "https://www.googleapis.com/drive/v3/files", BEARER_TOKEN),
            ("POST", "https://www.googleapis.com/upload/drive/v3/files?uploadType=media", BEARER_TOKEN),
            ("POST", "https://www.googleapis.com/batch/drive/v3", BEARER_TOKEN),
            ("GET", "https://www.googleapis.com/download/drive/v3/files/x?alt=media", BEARER_TOKEN),
            ("GET", "https://www.googleapis.com/tasks/v1/users/@me/lists", Stripped),
            ("GET", "https://www.googleapis.com/drive/../youtube/v3/videos", Stripped),
            ("POST", "https://oauth2.googleapis.com/token", Answered),
        ],
    },
    Row {
        provider: "google_sheets",
        fields: TOKEN,
        hosts: &["sheets.googleapis.com"],
        strips: GOOGLE_SLOTS,
        cases: &[
            ("GET", "https://sheets.googleapis.com/v4/spreadsheets/x", BEARER_TOKEN),
            ("POST", "https://oauth2.googleapis.com/token", Answered),
        ],
    },
    Row {
        provider: "hubspot",
        fields: TOKEN,
        hosts: &["api.hubapi.com"],
        strips: &["authorization", "query:hapikey", "query:access_token"],
        cases: &[
            ("GET", "https://api.hubapi.com/crm/v3/objects/contacts", BEARER_TOKEN),
            ("POST", "https://api.hubapi.com/oauth/2026-03/token", Answered),
            ("POST", "https://api.hubapi.com/oauth/v1/token", Answered),
            ("GET", "https://api.hubapi.com/oauth/v1/token", MINT),
        ],
    },
    Row {
        provider: "jira",
        fields: "username=me@acme.example\npassword=dummy-password-0123456789\nsite=Acme\n",
        hosts: &["acme.atlassian.net", "api.atlassian.com"],
        strips: JIRA_SLOTS,
        cases: &[
            ("GET", "https://acme.atlassian.net/rest/api/3/myself", Basic("me@acme.example:dummy-password-0123456789")),
            ("GET", "https://acme.atlassian.net/secure/attachment/1/a.png", Basic("me@acme.example:dummy-password-0123456789")),
            ("GET", "https://acme.atlassian.net/plugins/x", Stripped),
            ("POST", "https://acme.atlassian.net/rest/auth/1/session", MINT),
            ("GET", "https://evil.atlassian.net/rest/api/3/myself", Refused("registered for other hosts")),
            (
                "GET",
                "https://api.atlassian.com/ex/jira/cloud-id/rest/api/3/myself",
                Basic("me@acme.example:dummy-password-0123456789"),
            ),
            ("GET", "https://a.b.atlassian.net/rest/api/3/myself", Unknown),
            ("POST", "https://auth.atlassian.com/oauth/token", Answered),
        ],
    },
    Row {
        provider: "jira",
        fields: TOKEN,
        hosts: &["api.atlassian.com"],
        strips: JIRA_SLOTS,
        cases: &[
            ("GET", "https://api.atlassian.com/ex/jira/cloud-id/rest/api/3/myself", BEARER_TOKEN),
            ("GET", "https://api.atlassian.com/oauth/token/accessible-resources", BEARER_TOKEN),
            ("GET", "https://acme.atlassian.net/rest/api/3/myself", Missing),
        ],
    },
    Row {
        provider: "linear",
        fields: TOKEN,
        hosts: &["api.linear.app", "uploads.linear.app"],
        strips: &["authorization"],
        cases: &[
            ("POST", "https://api.linear.app/graphql", BEARER_TOKEN),
            ("GET", "https://uploads.linear.app/a/b", BEARER_TOKEN),
            ("POST", "https://api.linear.app/oauth/token", ENDPOINT),
            ("POST", "https://api.linear.app/oauth/revoke", MINT),
        ],
    },
    Row {
        provider: "linear",
        fields: KEY,
        hosts: &["api.linear.app", "uploads.linear.app"],
        strips: &["authorization"],
        cases: &[
            ("POST", "https://api.linear.app/graphql", Field("authorization", "dummy-key-0123456789")),
            ("GET", "https://uploads.linear.app/a/b", Field("authorization", "dummy-key-0123456789")),
        ],
    },
    Row {
        provider: "mailchimp",
        fields: "api_key=dummy-key-0123456789-us21\n",
        hosts: &["us21.api.mailchimp.com"],
        strips: &["authorization", "query:apikey"],
        cases: &[
            ("GET", "https://us21.api.mailchimp.com/3.0/ping", Basic("nexus:dummy-key-0123456789-us21")),
            ("GET", "https://us5.api.mailchimp.com/3.0/ping", Refused("registered for other hosts")),
            ("POST", "https://us21.api.mailchimp.com/3.0/authorized-apps", MINT),
            ("POST", "https://login.mailchimp.com/oauth2/token", ENDPOINT),
        ],
    },
    Row {
        provider: "mailchimp",
        fields: "access_token=dummy-token-0123456789\ndc=us5\n",
        hosts: &["us5.api.mailchimp.com"],
        strips: &["authorization", "query:apikey"],
        cases: &[("GET", "https://us5.api.mailchimp.com/3.0/ping", BEARER_TOKEN)],
    },
    Row {
        provider: "notion",
        fields: KEY,
        hosts: &["api.notion.com"],
        strips: &["authorization"],
        cases: &[
            ("POST", "https://api.notion.com/v1/search", BEARER_KEY),
            ("POST", "https://api.notion.com/v1/oauth/token", ENDPOINT),
            ("POST", "https://api.notion.com/v1/oauth/introspect", MINT),
        ],
    },
    Row {
        provider: "openai",
        fields: KEY,
        hosts: &[
            "ae.api.openai.com",
            "api.openai.com",
            "au.api.openai.com",
            "eu.api.openai.com",
            "in.api.openai.com",
            "jp.api.openai.com",
            "us.api.openai.com",
        ],
        strips: &["authorization", "api-key", "sec-websocket-protocol"],
        cases: &[
            ("POST", "https://api.openai.com/v1/responses", BEARER_KEY),
            ("POST", "https://eu.api.openai.com/v1/responses", BEARER_KEY),
            ("POST", "https://api.openai.com/v1/realtime/client_secrets", MINT),
            ("GET", "https://evil.api.openai.com/v1/models", Unknown),
        ],
    },
    Row {
        provider: "openai",
        fields: TOKEN,
        hosts: &["chatgpt.com"],
        strips: &["authorization", "api-key", "sec-websocket-protocol"],
        cases: &[
            ("POST", "https://chatgpt.com/backend-api/codex/responses", BEARER_TOKEN),
            ("GET", "https://chatgpt.com/", Stripped),
            ("POST", "https://auth.openai.com/oauth/token", Answered),
        ],
    },
    Row {
        provider: "slack",
        fields: TOKEN,
        hosts: &["files.slack.com", "slack.com", "www.slack.com"],
        strips: &["authorization", "query:token", "query:t", "form:token", "cookie:d"],
        cases: &[
            ("POST", "https://slack.com/api/chat.postMessage", BEARER_TOKEN),
            ("POST", "https://www.slack.com/api/chat.postMessage", BEARER_TOKEN),
            ("GET", "https://files.slack.com/files-pri/T-F/download/a.txt", BEARER_TOKEN),
            ("GET", "https://slack.com/signin", Stripped),
            ("POST", "https://slack.com/api/oauth.v2.access", Answered),
            ("GET", "https://slack.com/api/oauth.v2.access", ENDPOINT),
            ("POST", "https://www.slack.com/api/oauth.v2.access", Answered),
            ("POST", "https://slack.com/api/tooling.tokens.rotate", MINT),
        ],
    },
    Row {
        provider: "stripe",
        fields: KEY,
        hosts: &["api.stripe.com", "files.stripe.com"],
        strips: &["authorization", "query:key"],
        cases: &[
            ("POST", "https://api.stripe.com/v1/charges", BEARER_KEY),
            ("POST", "https://files.stripe.com/v1/files", BEARER_KEY),
            ("POST", "https://api.stripe.com/v1/ephemeral_keys", MINT),
        ],
    },
];

/// A home, its vault and the catalogue, opened once.
struct Opened {
    home: Home,
    store: Store,
    catalogue: Catalogue,
}

impl Opened {
    fn of(world: &World) -> Self {
        let home = Home::new(world.home(""));
        let (passphrase, _origin) = passphrase(&home, &|_name| None).unwrap();
        let store = Store::with_key(home.vault(), unlock(&home.vault(), &passphrase).unwrap());
        Self { home, store, catalogue: Catalogue::builtin() }
    }

    fn explain(&self, method: &str, url: &str) -> Explanation {
        explain(&self.home, &self.home.config(&[]).unwrap(), (&self.store.snapshot().unwrap(), None), None, (method, url))
            .unwrap()
    }

    /// What the rule that was named puts on an empty request: its fields, each `name: value`.
    fn on_the_wire(&self, answer: &Explanation) -> Vec<String> {
        let provider = self.catalogue.get(&answer.provider.as_ref().unwrap().parse().unwrap()).unwrap();
        let rule = &provider.inject[answer.rule.as_ref().unwrap().number - 1];
        let entry = self.store.get(&answer.connection.as_ref().unwrap().parse().unwrap()).unwrap().unwrap();
        let prepared = prepare(&rule.placements, &|name| entry.effective_field(name)).unwrap().unwrap();
        let (mut headers, mut target) = (HeaderMap::new(), "/x?kept=1".parse().unwrap());
        prepared.apply(&mut headers, &mut target).unwrap();
        assert_eq!(target, "/x?kept=1", "a credential in the URL of {url}", url = answer.url);
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }
}

fn sorted(list: &[&str]) -> Vec<String> {
    let mut list: Vec<String> = list.iter().map(|one| (*one).to_owned()).collect();
    list.sort();
    list
}

fn check(opened: &Opened, row: &Row, method: &str, url: &str, expected: Expected) -> Option<(String, usize)> {
    let answer = opened.explain(method, url);
    let shown = serde_json::to_value(&answer).unwrap();
    let injected = |field: String| {
        assert_eq!(shown["outcome"], "inject", "{method} {url}: {shown}");
        assert_eq!(answer.connection.as_deref(), Some(row.provider), "{shown}");
        assert_eq!(opened.on_the_wire(&answer), [field], "{shown}");
        let mut strips = answer.strips.clone();
        strips.sort();
        assert_eq!(strips, sorted(row.strips), "{method} {url}");
    };
    match expected {
        Field(name, value) => injected(format!("{name}: {value}")),
        Basic(pair) => {
            injected(format!("authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)));
        }
        Refused(word) => {
            // Where tokens are ended, who shows a placeholder is answered.
            let ended = shown["outcome"] == "answer" && answer.why.contains("of all else: refused");
            assert!(shown["outcome"] == "refuse" || ended, "{method} {url}: {shown}");
            assert!(answer.why.contains(word), "{method} {url}: {shown}");
        }
        // Rows before this one may have a connection there as well.
        Answered => {
            assert!(shown["outcome"] == "answer" && answer.connection.is_some(), "{method} {url}: {shown}");
            assert!(answer.placements.is_empty() && answer.why.contains("log-in: "), "{shown}");
        }
        Stripped => {
            assert_eq!(shown["outcome"], "strip", "{method} {url}: {shown}");
            assert!(answer.placements.is_empty() && !answer.strips.is_empty(), "{shown}");
        }
        Missing => assert_eq!(shown["outcome"], "auth_required", "{method} {url}: {shown}"),
        Unknown => assert!(matches!(answer.outcome, Outcome::Tunnel | Outcome::Pass), "{method} {url}: {shown}"),
    }
    let number = answer.rule.as_ref()?.number;
    (answer.outcome == Outcome::Inject).then(|| (row.provider.to_owned(), number))
}

#[test]
fn i2_each_credential_goes_where_its_providers_file_says_and_nowhere_else() {
    let world = World::new();
    let opened = Opened::of(&world);
    let mut reached = BTreeSet::new();
    for row in ROWS {
        // A second row of a provider replaces what the first one registered.
        world.register(&[row.provider], row.fields);
        let entry = opened.store.get(&row.provider.parse().unwrap()).unwrap().unwrap();
        assert_eq!(entry.hosts, sorted(row.hosts), "{}", row.provider);
        let provider = opened.catalogue.get(&row.provider.parse().unwrap()).unwrap();
        assert_eq!(entry.token_urls, provider.token_urls(&|name| entry.fields.field(name)), "{}", row.provider);
        for (method, url, expected) in row.cases {
            reached.extend(check(&opened, row, method, url, *expected));
        }
    }
    let rules = |provider: &nexus::provider::Provider| {
        let id = provider.id.to_string();
        (1..=provider.inject.len()).map(move |number| (id.clone(), number)).collect::<Vec<_>>()
    };
    let catalogue = Catalogue::builtin();
    let of_rows = ROWS.iter().map(|row| catalogue.get(&row.provider.parse().unwrap()).unwrap());
    let all: BTreeSet<(String, usize)> = of_rows.flat_map(|provider| rules(provider)).collect();
    let missed: Vec<_> = all.difference(&reached).collect();
    assert!(missed.is_empty(), "rules that no row reaches: {missed:?}");
}

#[test]
fn without_a_credential_each_host_passes_or_is_refused_as_configured() {
    let world = World::new();
    for (unregistered, outcome) in [("pass", Outcome::Pass), ("refuse", Outcome::AuthRequired)] {
        world.config(&format!("[proxy]\nunregistered = \"{unregistered}\"\n"));
        let opened = Opened::of(&world);
        for row in ROWS {
            for (method, url, expected) in row.cases {
                let answer = opened.explain(method, url);
                let shown = serde_json::to_value(&answer).unwrap();
                if matches!(expected, Field(..) | Basic(_) | Missing) {
                    assert_eq!(answer.outcome, outcome, "{unregistered} {method} {url}: {shown}");
                    let command = answer.command.as_deref();
                    assert_eq!(command, Some(format!("nexus register {}", row.provider).as_str()), "{shown}");
                    assert!(answer.placements.is_empty() && answer.strips.is_empty(), "{shown}");
                }
                if matches!(expected, Stripped) {
                    let left = if unregistered == "pass" { Outcome::Pass } else { Outcome::Strip };
                    assert_eq!(answer.outcome, left, "{unregistered} {method} {url}: {shown}");
                }
            }
        }
    }
}
