//! Both directions against Python's `cryptography`, and the import of JarvisCore's two ciphers.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nexus::seal::{DataKey, Passphrase};
use nexus::vault::{Error, Store, import_jarviscore};

use super::{Home, SECRET, entry, id, passphrase, settings, token};

const JARVIS: &str = r#"{
  "github": {"provider": "github", "auth_type": "oauth2", "client_id": "ghXX1234", "client_secret": "pät 🚀",
    "registered_at": "2024-05-01T12:00:00.123456", "scopes": ["repo", 1e3]},
  "jira:alice@example.com": {"provider": "jira", "auth_type": "basic_auth", "username": "alice", "password": "x\ty",
    "registered_at": "2024-05-01T12:00:00+00:00"},
  "a thing of its own": [1, 2, null]
}"#;

fn python(arguments: &[&str], input: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vault_reference.py");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let mut command = Command::new(target.join("test-venv/bin/python"));
    command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("tests/install.sh makes target/test-venv, where Python has its `cryptography`");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("waited");
    assert!(output.status.success(), "the reference failed: {arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn what_python_seals_we_read_and_what_we_write_python_reads() {
    let home = Home::new();
    python(&["write", &home.path().display().to_string(), SECRET, "gcm"], JARVIS);
    let store = home.open();
    assert_eq!(store.list().expect("read"), [id("github"), id("jira:alice@example.com")]);
    assert_eq!(token(&store, "github").as_deref(), Some("pät 🚀"));
    let summary = store.summary().expect("read");
    assert_eq!(summary[0].client_id.as_deref(), Some("ghXX****"));

    store.register(&id("stripe"), entry("sk-ß\u{1}")).expect("written");
    let changed = store.update(&id("github"), |entry| entry.hosts = vec![String::from("api.github.com")]);
    assert!(changed.expect("written").is_some());
    let text = python(&["read", &home.path().display().to_string(), SECRET], "");
    let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut expected: serde_json::Value = serde_json::from_str(JARVIS).expect("JSON");
    assert_eq!(read["stripe"]["access_token"], "sk-ß\u{1}");
    assert!(read["stripe"]["registered_at"].as_str().is_some_and(|at| at.ends_with("+00:00")));
    expected["stripe"] = read["stripe"].clone();
    expected["github"]["schema"] = 1.into();
    expected["github"]["hosts"] = vec!["api.github.com"].into();
    assert_eq!(read, expected);
}

#[test]
fn keys_and_salts_are_the_same() {
    let home = Home::new();
    home.open().register(&id("github"), entry("one")).expect("written");
    let salt = std::fs::read_to_string(home.path().join(".salt")).expect("a salt");
    assert_eq!(salt.len(), 44);
    let hexadecimal = python(&["key", &salt, SECRET], "");
    let bytes: Vec<u8> = hexadecimal
        .trim()
        .as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(str::from_utf8(two).expect("digits"), 16).expect("a byte"))
        .collect();
    let key = DataKey::from_bytes(bytes.try_into().expect("32 bytes"));
    assert_eq!(token(&Store::with_key(settings(home.path()), key), "github").as_deref(), Some("one"));
}

#[test]
#[cfg(target_os = "linux")]
fn the_fallback_secret_is_that_of_uuid_getnode() {
    let answer = python(&["node"], "");
    let (number, kind) = answer.trim().split_once(' ').expect("two words");
    let Some(secret) = Passphrase::of_this_machine() else {
        assert_eq!(kind, "random", "Python found {number}, we nothing");
        return;
    };
    let home = Home::new();
    python(&["write", &home.path().display().to_string(), number, "gcm"], JARVIS);
    let store = Store::open(settings(home.path()), &secret).expect("opened");
    assert_eq!(store.list().expect("the same secret").len(), 2);
}

#[test]
fn import_reads_both_ciphers_and_changes_nothing() {
    for cipher in ["gcm", "stream"] {
        let home = Home::new();
        python(&["write", &home.path().display().to_string(), SECRET, cipher], JARVIS);
        // JarvisCore leaves permissions to the umask.
        std::fs::set_permissions(home.file(), std::fs::Permissions::from_mode(0o644)).expect("chmod");
        let before = (home.bytes(), home.names());
        let imported = import_jarviscore(home.path(), &passphrase()).expect(cipher);
        let ids: Vec<_> = imported.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["github", "jira:alice@example.com"], "{cipher}");
        let password = imported[1].1.fields.field("password").map(|password| password.expose().as_str());
        assert_eq!(password, Some("x\ty"), "{cipher}");
        let wrong = import_jarviscore(home.path(), &Passphrase::new("wrong").expect("not empty"));
        assert!(matches!(wrong, Err(Error::WrongSecretOrDamaged(_))), "{cipher}");
        assert_eq!((home.bytes(), home.names()), before, "{cipher}");

        let target = Home::new();
        let store = target.store();
        for (id, entry) in imported {
            store.register(&id, entry).expect("written");
        }
        assert_eq!(token(&store, "github").as_deref(), Some("pät 🚀"), "{cipher}");
    }
    let empty = Home::new();
    assert!(matches!(import_jarviscore(empty.path(), &passphrase()), Err(Error::NothingToImport(_))));
}
