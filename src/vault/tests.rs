use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::document::Document;
use super::seen::Seen;
use super::*;
use crate::disk::{self, Lock};
use crate::model::{ConnectionId, Credential, GatewayId, Secret};
use crate::seal::DataKey;

/// What JarvisCore and others might have written: every kind of JSON value, spellings that fold, things that are no entries.
const STRANGE: &str = r#"{
  "google-sheets": {
    "provider": "google-sheets",
    "auth_type": "oauth2",
    "client_id": "id",
    "client_secret": "t\u00f6p \ud83d\ude80",
    "registered_at": "2024-05-01T12:00:00.5",
    "empty": "",
    "number": 12345678901234567890123.50,
    "nested": {"list": [1, 1e400, null, true, "\u0041"]},
    "status": "who knows",
    "expires_at": 1714564800
  },
  "not a name!": {"provider": "x", "auth_type": "api_key", "api_key": "kept"},
  "list": [1, 2],
  "half": {"provider": "half"},
  "sealed": {"provider": "sealed", "auth_type": "api_key", "hosts": "everything"}
}"#;

fn id(text: &str) -> ConnectionId {
    text.parse().expect("a connection id")
}

fn document(text: &str) -> Document<'_> {
    Document::parse(Path::new("nexus.enc"), text.as_bytes()).expect("a document")
}

fn rendered(document: &Document<'_>) -> String {
    String::from_utf8(document.render().expect("rendered").to_vec()).expect("text")
}

fn entry(fields: &[(&str, &str)]) -> Entry {
    let mut credential = Credential::default();
    for (name, value) in fields {
        credential.set(name, Secret::new(String::from(*value)));
    }
    Entry::new("github".parse().expect("a name"), AuthType::OAuth2, credential)
}

fn field(entry: &Entry, name: &str) -> Option<String> {
    entry.effective_field(name).map(|value| value.expose().clone())
}

#[test]
fn an_entry_is_read_into_what_we_know_and_what_we_do_not() {
    let entry = document(STRANGE).entry(&id("google_sheets")).expect("there").expect("understood");
    assert_eq!(entry.provider.as_str(), "google_sheets");
    assert_eq!(field(&entry, "client_secret").as_deref(), Some("töp 🚀"));
    assert_eq!(entry.registered_at, Some(UNIX_EPOCH + Duration::from_millis(1_714_564_800_500)));
    assert_eq!(entry.expires_at, Some(UNIX_EPOCH + Duration::from_secs(1_714_564_800)));
    assert_eq!(entry.status, Status::Unknown);
    assert_eq!(
        entry.other.names().collect::<Vec<_>>(),
        ["provider", "registered_at", "empty", "number", "nested", "status", "expires_at"]
    );
}

#[test]
fn a_rewrite_keeps_what_it_does_not_understand_word_for_word() {
    let mut document = document(STRANGE);
    let mut entry = document.entry(&id("google_sheets")).expect("there").expect("understood");
    entry.fields.set("access_token", Secret::new(String::from("new")));
    document.set(&id("google_sheets"), &entry);
    let text = rendered(&document);
    for kept in [
        "\n  \"google-sheets\": {\n    \"provider\": \"google-sheets\",\n    \"auth_type\": \"oauth2\",\n    \"access_token\": \"new\",\n",
        "\"registered_at\": \"2024-05-01T12:00:00.5\"",
        "\"expires_at\": 1714564800",
        "\"empty\": \"\"",
        "\"number\": 12345678901234567890123.50",
        "\"nested\": {\"list\": [1, 1e400, null, true, \"\\u0041\"]}",
        "\"status\": \"who knows\"",
        "\"not a name!\": {\"provider\": \"x\", \"auth_type\": \"api_key\", \"api_key\": \"kept\"}",
        "\"list\": [1, 2]",
        "\"half\": {\"provider\": \"half\"}",
    ] {
        assert!(text.contains(kept), "{kept}\nis not in\n{text}");
    }
}

#[test]
fn a_new_time_or_provider_takes_the_place_of_the_kept_text() {
    let mut document = document(STRANGE);
    let mut entry = document.entry(&id("google_sheets")).expect("there").expect("understood");
    entry.provider = "google_drive".parse().expect("a name");
    entry.registered_at = Some(UNIX_EPOCH);
    entry.expires_at = None;
    entry.status = Status::Attention;
    document.set(&id("google_sheets"), &entry);
    let text = rendered(&document);
    let written = document_entry(&text);
    assert_eq!((written.provider.as_str(), written.registered_at), ("google_drive", Some(UNIX_EPOCH)));
    assert_eq!((written.expires_at, written.status), (None, Status::Attention));
}

fn document_entry(text: &str) -> Entry {
    document(text).entry(&id("google_sheets")).expect("there").expect("understood")
}

#[test]
fn what_is_no_entry_is_named_and_makes_nothing_else_unusable() {
    let snapshot = Snapshot::of(&document(STRANGE), 1, false, None);
    assert_eq!(snapshot.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["google_sheets"]);
    let strangers: Vec<_> =
        snapshot.strangers().iter().map(|stranger| (stranger.key.as_str(), stranger.cause.to_string())).collect();
    let expected = [
        ("not a name!", "its name is not that of a connection"),
        ("list", "it is not a JSON object"),
        ("half", "it has no auth_type"),
        ("sealed", "its hosts are not a list of strings"),
    ];
    assert_eq!(strangers, expected.map(|(key, cause)| (key, cause.to_owned())));
}

#[test]
fn an_entry_is_laid_out_as_python_would() {
    let mut entry = entry(&[("client_id", "id"), ("access_token", "a\"b\n")]);
    entry.registered_at = Some(UNIX_EPOCH);
    entry.expires_at = Some(UNIX_EPOCH + Duration::from_secs(u64::MAX >> 8));
    entry.hosts = vec![String::from("api.github.com")];
    entry.token_urls = vec![String::from("https://github.com/login")];
    entry.status = Status::Attention;
    let mut document = document("{}");
    assert_eq!(rendered(&document), "{}");
    document.set(&id("github"), &entry);
    let expected = r#"{
  "github": {
    "provider": "github",
    "auth_type": "oauth2",
    "access_token": "a\"b\n",
    "client_id": "id",
    "registered_at": "1970-01-01T00:00:00+00:00",
    "schema": 1,
    "hosts": [
      "api.github.com"
    ],
    "token_urls": [
      "https://github.com/login"
    ],
    "expires_at": "9999-12-30T22:00:00.999999999+00:00",
    "status": "attention"
  }
}"#;
    assert_eq!(rendered(&document), expected);
}

#[test]
fn an_own_spelling_wins_and_removal_takes_them_all() {
    let text = r#"{"git-hub": {"provider": "a", "auth_type": "x"}, "git_hub": {"provider": "b", "auth_type": "x"},
        "GIT-HUB": {"provider": "c", "auth_type": "x"}, "other": {"provider": "o", "auth_type": "x"}}"#;
    let mut document = document(text);
    let snapshot = Snapshot::of(&document, 1, false, None);
    assert_eq!(snapshot.get(&id("git_hub")).map(|entry| entry.provider.as_str()), Some("b"));
    let found = document.entry(&id("git_hub")).expect("there").expect("understood");
    assert_eq!(found.provider.as_str(), "b");
    assert!(document.remove(&id("git_hub")) && !document.remove(&id("git_hub")));
    assert_eq!(document.entries().map(|(key, _)| key).collect::<Vec<_>>(), ["other"]);
}

#[test]
fn of_equal_names_the_last_counts_as_in_python() {
    let text =
        r#"{"a": {"provider": "one", "auth_type": "x"}, "a": {"provider": "two", "auth_type": "x", "k": "1", "k": null}}"#;
    let document = document(text);
    let entry = document.entry(&id("a")).expect("there").expect("understood");
    assert_eq!((entry.provider.as_str(), field(&entry, "k")), ("two", None));
    assert_eq!(entry.other.names().collect::<Vec<_>>(), ["k"]);
    assert_eq!(document.entries().count(), 1);
}

#[test]
fn a_newer_schema_anywhere_stops_everything() {
    for schema in ["2", "0", "1.0", "\"1\"", "null", "[1]"] {
        let text = format!(r#"{{"a": {{"provider": "a", "auth_type": "x"}}, "later: {{}}": {{"schema": {schema}}}}}"#);
        let parsed = Document::parse(Path::new("nexus.enc"), text.as_bytes()).map(drop);
        assert!(matches!(&parsed, Err(Error::NewerSchema { found, .. }) if found == schema), "{schema} {parsed:?}");
    }
}

#[test]
fn i1_text_that_is_not_json_is_not_quoted() {
    for text in ["", "\"hunter2\"", "[\"hunter2\"]", "{\"a\": hunter2}", "{\"a\": \"hunter2}", "{} hunter2", "\u{feff}{}"] {
        let error = Document::parse(Path::new("nexus.enc"), text.as_bytes()).map(drop).expect_err("refused");
        let shown = format!("{error} {error:?}");
        assert!(matches!(error, Error::NotJson { .. }) && !shown.contains("hunter2"), "{text:?}: {shown}");
    }
    assert!(Document::parse(Path::new("nexus.enc"), b"{\"\xff\": 1}").is_err());
}

#[test]
fn i1_an_entry_shows_no_secret_known_or_unknown() {
    let text =
        r#"{"a": {"provider": "a", "auth_type": "x", "api_key": "hunter2", "odd": ["hunter2"], "odd2": {"k": "hunter2"}}}"#;
    let document = document(text);
    let snapshot = Snapshot::of(&document, 1, false, None);
    let summary: Vec<_> = snapshot.iter().map(|(id, entry)| Summary::of(id, entry)).collect();
    let shown = format!("{snapshot:?} {summary:?}");
    assert!(shown.contains("api_key") && shown.contains("odd2") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn an_oauth2_entry_without_access_token_uses_its_client_secret() {
    let mut entry = entry(&[("client_id", "id"), ("client_secret", "pat"), ("access_token", ""), ("refresh_token", "r")]);
    assert_eq!(field(&entry, "access_token").as_deref(), Some("pat"));
    let info = entry.auth_info();
    assert_eq!(info.names().collect::<Vec<_>>(), ["access_token", "client_id", "client_secret"]);
    entry.fields.set("access_token", Secret::new(String::from("real")));
    assert_eq!(field(&entry, "access_token").as_deref(), Some("real"));
    entry.auth_type = AuthType::ApiKey;
    entry.fields.set("access_token", Secret::new(String::new()));
    assert_eq!(field(&entry, "access_token"), None);
    assert_eq!(entry.auth_info().names().count(), 0);
    entry.auth_type = AuthType::Other(String::from("custom"));
    assert_eq!(entry.auth_info().names().collect::<Vec<_>>(), ["client_id", "client_secret", "refresh_token"]);
}

#[test]
fn unchanged_entries_are_shared_by_snapshots() {
    let one = document(
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "o": [1]}, "b": {"provider": "b", "auth_type": "x", "k": "1"}}"#,
    );
    let two = document(
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "o": [1]}, "b": {"provider": "b", "auth_type": "x", "k": "2"}}"#,
    );
    let before = Snapshot::of(&one, 1, false, None);
    let after = Snapshot::of(&two, 2, false, Some(&before));
    let shared = |name| Arc::ptr_eq(before.get(&id(name)).expect("there"), after.get(&id(name)).expect("there"));
    assert!(shared("a") && !shared("b"));
}

#[test]
fn i2_a_state_that_a_newer_nexus_wrote_is_kept_and_serves_nobody_until_a_person_acts() {
    let text = |status: &str| format!(r#"{{"a": {{"provider": "a", "auth_type": "x", "k": "1", "status": {status}}}}}"#);
    for (word, read) in [
        (r#""suspended""#, Status::Unknown),
        ("7", Status::Unknown),
        (r#""active""#, Status::Active),
        (r#""attention""#, Status::Attention),
        (r#""pending""#, Status::Pending),
        (r#""revoked""#, Status::Revoked),
        (r#""expired""#, Status::Expired),
        (r#""failed""#, Status::Failed),
    ] {
        let text = text(word);
        let read_again = |change: fn(&mut Entry)| {
            let mut document = document(&text);
            let mut entry = document.entry(&id("a")).expect("there").expect("understood");
            assert_eq!(
                (entry.status, entry.status.serves()),
                (read, matches!(read.as_str(), "active" | "attention" | "expired"))
            );
            change(&mut entry);
            document.set(&id("a"), &entry);
            rendered(&document)
        };
        let kept = read_again(|entry| entry.fields.set("k", Secret::new(String::from("2"))));
        assert_eq!(kept.matches(&format!("\"status\": {word}")).count(), 1, "{kept}");
        let cleared = read_again(|entry| entry.status = Status::Active);
        assert!(!cleared.contains("status") || word.contains("active"), "{cleared}");
        let ended = read_again(|entry| entry.status = Status::Revoked);
        assert_eq!(ended.matches("status").count(), 1, "{ended}");
        assert!(ended.contains(r#""status": "revoked""#), "{ended}");
    }
}

#[test]
fn what_is_dead_and_can_t_be_renewed_has_expired() {
    let mut entry = entry(&[("access_token", "a")]);
    let now = UNIX_EPOCH + Duration::from_secs(100);
    assert_eq!(entry.status_at(now, false), Status::Active);
    entry.expires_at = Some(now);
    assert_eq!((entry.status_at(now, false), entry.status_at(now, true)), (Status::Expired, Status::Active));
    assert_eq!(entry.status_at(UNIX_EPOCH, false), Status::Active);
    entry.status = Status::Revoked;
    assert_eq!(entry.status_at(now, false), Status::Revoked, "what a person did says more");
}

#[test]
fn every_member_counts_when_entries_are_compared() {
    let base = r#"{"a": {"provider": "a", "auth_type": "x", "k": "1"}}"#;
    let same = |text: &str| {
        let entry = |text| document(text).entry(&id("a")).expect("there").expect("understood");
        entry(base).same_as(&entry(text))
    };
    assert!(same(base));
    for text in [
        r#"{"a": {"provider": "b", "auth_type": "x", "k": "1"}}"#,
        r#"{"a": {"provider": "a", "auth_type": "y", "k": "1"}}"#,
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "2"}}"#,
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "l": "1"}}"#,
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "l": 1}}"#,
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "hosts": ["h"]}}"#,
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "status": "attention"}}"#,
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "status": "suspended"}}"#,
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "expires_at": 1}}"#,
        r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "registered_at": "2024-05-01T12:00:00Z"}}"#,
    ] {
        assert!(!same(text), "{text}");
    }
}

#[test]
fn a_file_that_has_settled_is_not_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { file: folder.path().join("nexus.enc"), salt: folder.path().join(".salt") };
    let file = settings.file.clone();
    let store = Store::with_key(settings, DataKey::from_bytes([1; 32]));
    store.register(&id("github"), entry(&[("access_token", "one")])).expect("written");
    let first = store.snapshot().expect("read");
    // A stamp this young proves nothing yet; wait until one does.
    let fresh = || disk::stamp(&file).expect("stat").is_some_and(|stamp| stamp.is_fresh());
    assert!(store.cached().expect("stat").is_none() || !fresh(), "it could have changed without a trace");
    let begun = Instant::now();
    while fresh() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the clocks disagree");
        std::thread::yield_now();
    }
    let second = store.snapshot().expect("read");
    assert!(Arc::ptr_eq(&first, &second), "the same content is the same snapshot");
    assert!(store.cached().expect("stat").is_some_and(|cached| Arc::ptr_eq(&cached, &second)));
    store.register(&id("stripe"), entry(&[("access_token", "two")])).expect("written");
    assert!(store.cached().expect("stat").is_none(), "the file is another one");
}

#[test]
fn the_list_of_states_knows_old_ones_and_stays_short() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("nexus.enc");
    let lock = Lock::acquire(&file).expect("free");
    assert!(!Seen::read(&file).has_passed(None));
    let state = |number: u16| {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&number.to_be_bytes());
        digest
    };
    for number in 0..1_100 {
        Seen::read(&file).remember(&file, state(number), &lock).expect("written");
    }
    let seen = Seen::read(&file);
    assert!(seen.ends_with(&state(1_099)) && !seen.has_passed(Some(&state(1_099))));
    assert!(seen.has_passed(Some(&state(1_098))) && seen.has_passed(Some(&state(512))) && seen.has_passed(None));
    assert!(!seen.has_passed(Some(&state(511))), "forgotten");
    assert!(!seen.has_passed(Some(&state(1_100))), "new");
}

#[test]
fn what_is_put_changes_what_is_there_or_begins_anew_and_a_no_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { file: folder.path().join("nexus.enc"), salt: folder.path().join(".salt") };
    let store = Store::with_key(settings, DataKey::from_bytes([7; 32]));
    let put = |token: &str, refuse: bool| {
        store.put(&id("github:alice"), entry(&[("client_id", "fresh")]), |entry| {
            entry.fields.set("access_token", Secret::new(token.to_owned()));
            if refuse { Err(Error::ReservedField("no".into())) } else { Ok(()) }
        })
    };
    let held = || store.get(&id("github:alice")).expect("a vault");
    assert!(put("refused", true).is_err() && held().is_none());
    put("one", false).expect("written");
    let first = held().expect("an entry");
    assert_eq!((field(&first, "client_id").as_deref(), field(&first, "access_token").as_deref()), (Some("fresh"), Some("one")));
    store.update(&id("github:alice"), |entry| entry.fields.set("note", Secret::new("kept".into()))).expect("written");
    assert!(put("refused", true).is_err());
    put("two", false).expect("written");
    let last = held().expect("an entry");
    assert_eq!((field(&last, "note").as_deref(), field(&last, "access_token").as_deref()), (Some("kept"), Some("two")));
    assert_eq!(last.registered_at, first.registered_at);
}

#[test]
fn i6_one_person_by_name_and_by_number_is_one_connection_of_a_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { file: folder.path().join("nexus.enc"), salt: folder.path().join(".salt") };
    let store = Store::with_key(settings, DataKey::from_bytes([7; 32]));
    // Python: uuid.uuid5(uuid.NAMESPACE_DNS, "alice").
    let number = "github:c2ef90b9-02bc-5d53-93cd-92652b6e1b41";
    store.register(&id("github:alice"), entry(&[("access_token", "first")])).expect("a write");
    store.register(&id(number), entry(&[("access_token", "second")])).expect("a write");
    let change = |entry: &mut Entry| {
        entry.fields.set("refresh_token", Secret::new("third".to_owned()));
        Ok::<_, Error>(())
    };
    store.put(&id(number), entry(&[]), change).expect("a write");
    assert_eq!(store.list().expect("names"), [id("github:alice")]);
    let held = store.get(&id("github:alice")).expect("a vault").expect("an entry");
    let tokens = ["access_token", "refresh_token"].map(|name| field(&held, name));
    assert_eq!(tokens, ["second", "third"].map(|text| Some(text.to_owned())));
    for (one, other) in [("github:bob", "slack:bob"), ("slack", "slack:alice")] {
        store.register(&id(one), entry(&[])).expect("a write");
        store.register(&id(other), entry(&[])).expect("a write");
        assert!(store.get(&id(one)).expect("a vault").is_some() && store.get(&id(other)).expect("a vault").is_some());
    }
}

#[test]
fn a_handle_of_the_gateway_finds_its_connection_also_after_it_was_registered_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { file: folder.path().join("nexus.enc"), salt: folder.path().join(".salt") };
    let store = Store::with_key(settings, DataKey::from_bytes([7; 32]));
    let handles: Vec<GatewayId> = (0..10).map(|_| GatewayId::random().expect("random")).collect();
    let alice = id("github:alice");
    let mut first = entry(&[("access_token", "one")]);
    handles[..9].iter().for_each(|handle| first.answer_to(handle.clone()));
    store.register(&alice, first).expect("written");
    let mut second = entry(&[("access_token", "two")]);
    second.answer_to(handles[9].clone());
    store.register(&alice, second).expect("written");
    let reader = Store::with_key(
        Settings { file: folder.path().join("nexus.enc"), salt: folder.path().join(".salt") },
        DataKey::from_bytes([7; 32]),
    );
    let snapshot = reader.snapshot().expect("a vault");
    let found = |number: usize| snapshot.by_gateway_id(&handles[number]).map(ConnectionId::as_str);
    assert_eq!((found(1), found(2), found(9)), (None, Some("github:alice"), Some("github:alice")), "the newest eight");
    assert_eq!(field(snapshot.get(&alice).expect("an entry"), "access_token").as_deref(), Some("two"));
    let odd = r#"{"a": {"provider": "a", "auth_type": "x", "k": "1", "gateway_ids": ["x"]}}"#;
    let kept = document(odd).entry(&id("a")).expect("there").expect("understood");
    assert_eq!((kept.gateway_ids.len(), kept.other.names().collect::<Vec<_>>()), (0, vec!["gateway_ids"]));
}

#[test]
fn a_glance_costs_nothing_and_sees_what_any_writer_was_told_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { file: folder.path().join("nexus.enc"), salt: folder.path().join(".salt") };
    let store = || Store::with_key(settings.clone(), DataKey::from_bytes([1; 32]));
    let (busy, other) = (store(), store());
    other.register(&id("github"), entry(&[("access_token", "one")])).expect("written");
    let (over, told, begun) = (std::sync::atomic::AtomicBool::new(false), std::sync::atomic::Ordering::SeqCst, Instant::now());
    std::thread::scope(|threads| {
        // As many requests do, so that the look before is always a young one.
        threads.spawn(|| {
            while !over.load(told) && begun.elapsed() < Duration::from_secs(20) {
                busy.glance().expect("read");
            }
        });
        for round in 0..20 {
            let name = id(&format!("github:r{round}"));
            other.register(&name, entry(&[("access_token", "two")])).expect("written");
            assert!(busy.glance().expect("read").get(&name).is_some(), "registered");
            other.delete(&name).expect("written");
            assert!(busy.glance().expect("read").get(&name).is_none(), "removed");
        }
        over.store(true, told);
    });
}
