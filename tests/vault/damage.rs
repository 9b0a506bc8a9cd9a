//! Files that are not what they should be: an error each, and never a write.

use std::os::unix::fs::PermissionsExt as _;

use nexus::seal::DataKey;
use nexus::vault::{Error, Status, Store};

use super::{Home, entry, id, passphrase, settings, store, token};

/// Tries everything that reads or writes, and returns the one error that all of it must meet.
fn all_refuse(home: &Home, key: u8) -> Error {
    let store = store(home.path(), key);
    let before = home.bytes();
    assert!(store.register(&id("new"), entry("new")).is_err());
    assert!(store.update(&id("github"), |entry| entry.status = Status::Attention).is_err());
    assert!(store.delete(&id("github")).is_err());
    assert_eq!(home.bytes(), before, "a refused file was written");
    store.snapshot().expect_err("refused")
}

fn sealed() -> (Home, Vec<u8>) {
    let home = Home::new();
    home.store().register(&id("github"), entry("secret")).expect("written");
    let bytes = home.bytes();
    (home, bytes)
}

#[test]
fn i9_a_flipped_bit_at_any_byte_is_an_error_and_never_a_write() {
    let (home, bytes) = sealed();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        home.overwrite(&flipped);
        let error = all_refuse(&home, 1);
        let named = matches!(error, Error::WrongSecretOrDamaged(_) | Error::NotBase64 { .. } | Error::Truncated(_));
        assert!(named, "byte {at}: {error}");
    }
    home.overwrite(&bytes);
    assert_eq!(token(&home.store(), "github").as_deref(), Some("secret"));
}

#[test]
fn i9_a_file_cut_at_any_length_is_an_error_and_never_a_write() {
    let (home, bytes) = sealed();
    for length in 0..bytes.len() {
        home.overwrite(&bytes[..length]);
        let error = all_refuse(&home, 1);
        let named = match length {
            0 => matches!(error, Error::Empty(_)),
            _ if length % 4 == 0 && length >= 40 => matches!(error, Error::WrongSecretOrDamaged(_)),
            _ => matches!(error, Error::Truncated(_)),
        };
        assert!(named, "length {length}: {error}");
    }
}

#[test]
fn i9_a_wrong_secret_is_an_error_and_never_a_write() {
    let (home, _) = sealed();
    let error = all_refuse(&home, 2);
    assert!(matches!(error, Error::WrongSecretOrDamaged(_)));
    assert!(error.to_string().contains("NEXUS_SECRET"));
}

#[test]
fn i9_appended_huge_and_foreign_files_are_errors_and_never_written() {
    let (home, mut bytes) = sealed();
    bytes.push(b'\n');
    home.overwrite(&bytes);
    assert!(matches!(all_refuse(&home, 1), Error::NotBase64 { .. }));
    home.overwrite(b"{\"github\": {}}");
    assert!(matches!(all_refuse(&home, 1), Error::NotBase64 { .. }));
    home.overwrite(&vec![b'A'; 16 * 1024 * 1024 + 1]);
    assert!(matches!(all_refuse(&home, 1), Error::Disk(nexus::disk::Error::TooLarge { .. })));
}

#[test]
fn i9_what_opens_but_is_not_ours_is_an_error_and_never_written() {
    let home = Home::new();
    let seal = |text: &str| nexus::seal::seal(&DataKey::from_bytes([1; 32]), text.as_bytes()).expect("sealed");
    home.overwrite(seal(r#"{"github": {"provider": "github", "auth_type": "oauth2", "schema": 2}}"#).as_bytes());
    assert!(matches!(all_refuse(&home, 1), Error::NewerSchema { .. }));
    home.overwrite(seal("[]").as_bytes());
    assert!(matches!(all_refuse(&home, 1), Error::NotJson { .. }));
    home.overwrite(seal("").as_bytes());
    assert!(matches!(all_refuse(&home, 1), Error::NotJson { .. }));
}

#[test]
fn i9_links_and_open_files_are_errors_and_never_written() {
    let (home, bytes) = sealed();
    std::fs::set_permissions(home.file(), std::fs::Permissions::from_mode(0o640)).expect("chmod");
    assert!(matches!(all_refuse(&home, 1), Error::Disk(nexus::disk::Error::Exposed { .. })));
    let elsewhere = home.path().join("elsewhere");
    std::fs::rename(home.file(), &elsewhere).expect("moved");
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    std::os::unix::fs::symlink(&elsewhere, home.file()).expect("linked");
    assert!(matches!(all_refuse(&home, 1), Error::Disk(nexus::disk::Error::Symlink(_))));
    assert_eq!(std::fs::read(&elsewhere).expect("read"), bytes);
}

#[test]
fn i9_a_vault_without_its_salt_never_gets_a_new_one() {
    let home = Home::new();
    home.open().register(&id("github"), entry("secret")).expect("written");
    let salt = std::fs::read(home.path().join(".salt")).expect("a salt");
    std::fs::remove_file(home.path().join(".salt")).expect("removed");
    let refused = Store::open(settings(home.path()), &passphrase()).map(drop);
    assert!(matches!(refused, Err(Error::SaltMissing { .. })), "{refused:?}");
    assert!(!home.path().join(".salt").exists());
    std::fs::write(home.path().join(".salt"), &salt[1..]).expect("written");
    std::fs::set_permissions(home.path().join(".salt"), std::fs::Permissions::from_mode(0o600)).expect("chmod");
    let refused = Store::open(settings(home.path()), &passphrase()).map(drop);
    assert!(matches!(refused, Err(Error::Salt { .. })), "{refused:?}");
}

#[test]
fn an_entry_that_is_not_understood_must_be_removed_before_it_is_replaced() {
    let home = Home::new();
    let seal = |text: &str| nexus::seal::seal(&DataKey::from_bytes([1; 32]), text.as_bytes()).expect("sealed");
    home.overwrite(seal(r#"{"github": {"auth_type": "oauth2"}}"#).as_bytes());
    let store = home.store();
    assert!(matches!(store.register(&id("github"), entry("new")), Err(Error::NotUnderstood { .. })));
    assert!(matches!(store.update(&id("github"), |_| ()), Err(Error::NotUnderstood { .. })));
    store.register(&id("other"), entry("other")).expect("written");
    assert_eq!(store.snapshot().expect("read").strangers().len(), 1);
    assert!(store.delete(&id("github")).expect("removed"));
    store.register(&id("github"), entry("new")).expect("written");
}
