//! Credentials that tokens are made from: registered from files, refused when they can make none, told of in words.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;

use crate::world::World;

fn key() -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
}

fn key_file(token_uri: &str, private_key: &str) -> String {
    let email = "robot@p.iam.gserviceaccount.com";
    let file = json!({ "type": "service_account", "client_email": email, "private_key": private_key, "token_uri": token_uri });
    serde_json::to_string_pretty(&file).unwrap() + "\n"
}

const GOOGLE: &str = "https://oauth2.googleapis.com/token";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// `--field-file`'s value for `field`.
    fn put(&self, field: &str, text: &str) -> String {
        let path = self.0.path().join(field);
        std::fs::write(&path, text).unwrap();
        format!("{field}={}", path.display())
    }
}

#[test]
fn a_service_accounts_key_file_is_registered_as_it_was_downloaded() {
    let (world, folder) = (World::new(), Folder::new());
    let file = folder.put("service_account_json", &key_file(GOOGLE, &key()));
    let done = world.nexus(&["register", "gcs", "--field-file", &file, "--json"]);
    assert_eq!(done.err, "", "{}", done.err);
    assert_eq!(done.json()["hosts"], json!(["storage.googleapis.com"]));
    let shown = world.nexus(&["show", "gcs", "--json"]).json();
    assert_eq!((&shown["fields"], &shown["token_urls"]), (&json!(["service_account_json"]), &json!([GOOGLE])));
    let answer = world.nexus(&["explain", "https://storage.googleapis.com/storage/v1/b", "--json"]).json();
    assert_eq!(answer["outcome"], "inject", "{answer}");
}

#[test]
fn i2_what_can_make_no_token_or_would_take_it_elsewhere_is_not_stored() {
    let (world, folder) = (World::new(), Folder::new());
    for (text, word) in [
        (key_file("https://evil.example/token", &key()), "another token endpoint than https://oauth2.googleapis.com/token"),
        (key_file(GOOGLE, "hunter2"), "not PEM"),
        ("hunter2".to_owned(), "is not the JSON of a key"),
        (r#"{"type":"authorized_user","client_email":"a","private_key":"hunter2"}"#.to_owned(), "another kind of account"),
    ] {
        let file = folder.put("service_account_json", &text);
        let said = world.nexus(&["register", "gcs", "--field-file", &file]).failed(1);
        assert!(said.contains(word) && said.contains("nothing was stored"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("evil"), "{said}");
    }
    assert_eq!(world.nexus(&["list", "--json"]).json()["connections"].as_array().map(Vec::len), Some(0));
}

#[test]
fn each_installation_of_a_github_app_is_a_connection() {
    let (world, key) = (World::new(), key());
    for (user, number) in [("acme", "1"), ("initech", "2")] {
        let number = format!("installation_id={number}");
        let arguments = [
            "register",
            "github_app",
            "--user",
            user,
            "--field",
            "app_id=7",
            "--field",
            &number,
            "--field-file",
            "private_key=-",
        ];
        world.nexus_with(&arguments, &key).ok();
    }
    let shown = world.nexus(&["show", "github_app:acme", "--json"]).json();
    assert_eq!(shown["token_urls"], json!(["https://api.github.com/app/installations/{installation_id}/access_tokens"]));
    assert_eq!(shown["auth_type"], "oauth2");
    let half = world.nexus(&["register", "github_app", "--field", "app_id=7"]).failed(1);
    assert!(half.contains("app_id=…, private_key=…, installation_id=…"), "{half}");
}

#[test]
fn a_file_is_read_once_whole_and_within_bounds() {
    let (world, folder) = (World::new(), Folder::new());
    let huge = folder.put("private_key", &"x".repeat(64 * 1024 + 1));
    for (arguments, word) in [
        (&["--field-file", "private_key"][..], "--field-file takes NAME=PATH"),
        (&["--field-file", "private_key=/nonexistent/key.pem"], "cannot read /nonexistent/key.pem"),
        (&["--field-file", &huge], "is larger than 64 KiB"),
        (&["--field-file", "private_key=-", "--stdin"], "standard input is read once"),
    ] {
        let all: Vec<&str> = ["register", "github_app"].iter().chain(arguments).copied().collect();
        let said = world.nexus(&all).failed(1);
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn i2_a_client_that_makes_tokens_is_sealed_for_its_own_environment() {
    let world = World::new();
    world.register(&["paypal"], "client_id=live-0123456789\nclient_secret=hunter2-0123456789\n");
    world.register(&["paypal:sandbox"], "client_id=test-0123456789\nclient_secret=hunter2-0123456789\nenvironment=sandbox\n");
    let sealed = |connection: &str| {
        let shown = world.nexus(&["show", connection, "--json"]).json();
        (shown["hosts"].clone(), shown["token_urls"].clone())
    };
    let live = "https://api-m.paypal.com/v1/oauth2/token";
    assert_eq!(sealed("paypal"), (json!(["api-m.paypal.com"]), json!([live])));
    let (hosts, urls) = sealed("paypal:sandbox");
    assert!(hosts.as_array().is_some_and(|hosts| hosts.contains(&json!("api-m.sandbox.paypal.com"))), "{hosts}");
    assert_eq!(urls[0], "https://api-m.{environment}.paypal.com/v1/oauth2/token");
    let answer = world.nexus(&["explain", "https://api-m.paypal.com/v1/x", "--json"]).json();
    assert_eq!(answer["outcome"], "inject", "{answer}");
}

#[test]
fn what_to_hand_over_and_where_it_goes_is_told_in_words() {
    let world = World::new();
    let said = world.nexus(&["register", "databricks"]).failed(1);
    assert!(said.contains("workspace=…, api_key=…") && said.contains("nexus register databricks"), "{said}");
    let shown = world.nexus(&["providers", "show", "databricks"]).ok();
    for words in [
        "with client_id, client_secret, workspace: a token is made on first use",
        "https://{workspace}.cloud.databricks.com/oidc/v1/token",
        "nexus register databricks --field workspace=… --field client_id=… --stdin",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let shown = world.nexus(&["providers", "show", "apple_app_store"]).ok();
    assert!(shown.contains("here: nobody is asked for it") && shown.contains("--field-file private_key=PATH"), "{shown}");
    let json = world.nexus(&["providers", "show", "zoom", "--json"]).json();
    assert_eq!(json["grants"][0]["kind"], "account_credentials");
    assert_eq!(json["grants"][0]["fields"], json!(["client_id", "client_secret", "account_id"]));
}
