//! Registering, changing, noticing what others change.

use std::os::unix::fs::PermissionsExt as _;

use nexus::model::Secret;
use nexus::vault::{Error, Status, Store};

use super::{Home, SECRET, entry, id, token};

#[test]
fn entries_are_registered_changed_listed_and_deleted() {
    let home = Home::new();
    let store = home.store();
    assert!(store.snapshot().expect("no file is an empty vault").is_empty());
    assert!(store.update(&id("github"), |_| ()).expect("nothing to change").is_none());
    assert!(!store.delete(&id("github")).expect("nothing to delete"));
    assert!(!home.file().exists());
    store.register(&id("github"), entry("one")).expect("written");
    let updated = store
        .update(&id("github"), |entry| entry.fields.set("access_token", Secret::new(String::from("two"))))
        .expect("written")
        .expect("there");
    assert_eq!(updated.effective_field("access_token").map(|token| token.expose().as_str()), Some("two"));
    assert!(std::sync::Arc::ptr_eq(&updated, store.snapshot().expect("read").get(&id("github")).expect("there")));
    let info = store.auth_info(&id("github")).expect("read").expect("there");
    assert_eq!(info.names().collect::<Vec<_>>(), ["access_token"]);
    assert!(store.summary().expect("read")[0].registered_at.is_some());
    assert_eq!(std::fs::metadata(home.file()).expect("there").permissions().mode() & 0o777, 0o600);
    assert!(store.delete(&id("GitHub")).expect("deleted"));
    assert!(store.list().expect("read").is_empty());
    assert_eq!(home.names(), [".nexus.enc.lock", ".nexus.enc.seen", "nexus.enc"]);
}

#[test]
fn a_field_with_a_name_of_the_vault_is_refused() {
    let home = Home::new();
    let store = home.store();
    let mut odd = entry("one");
    odd.fields.set("schema", Secret::new(String::from("2")));
    assert!(matches!(store.register(&id("github"), odd), Err(Error::ReservedField(name)) if name == "schema"));
    assert!(!home.file().exists());
}

#[test]
fn a_change_on_disk_is_in_the_next_snapshot() {
    let home = Home::new();
    let (reader, writer) = (home.store(), home.store());
    let mut generations = Vec::new();
    for number in 0..20 {
        writer.register(&id("github"), entry(&format!("token {number:04}"))).expect("written");
        assert_eq!(token(&reader, "github"), Some(format!("token {number:04}")));
        generations.push(reader.snapshot().expect("read").generation());
    }
    assert!(generations.is_sorted_by(|one, two| one < two), "{generations:?}");
    // In place, within one tick of the clock, the same size: nothing about the file shows the change.
    let (one, two) = (home.bytes(), {
        writer.register(&id("github"), entry("token 9999")).expect("written");
        home.bytes()
    });
    for _ in 0..20 {
        home.overwrite(&one);
        assert_eq!(token(&reader, "github").as_deref(), Some("token 0019"));
        home.overwrite(&two);
        assert_eq!(token(&reader, "github").as_deref(), Some("token 9999"));
    }
    std::fs::remove_file(home.file()).expect("removed");
    assert!(reader.snapshot().expect("an empty vault").is_empty());
}

#[test]
fn an_old_file_put_back_is_noticed_until_the_next_write() {
    let home = Home::new();
    let store = home.store();
    let rolled_back = |store: &Store| store.snapshot().expect("read").rolled_back();
    store.register(&id("github"), entry("revoked")).expect("written");
    let old = home.bytes();
    store.register(&id("github"), entry("current")).expect("written");
    assert!(!rolled_back(&store) && !rolled_back(&home.store()));
    home.overwrite(&old);
    assert!(rolled_back(&store) && rolled_back(&home.store()));
    assert_eq!(token(&store, "github").as_deref(), Some("revoked"), "a warning, not a failure");
    store.register(&id("stripe"), entry("new")).expect("written");
    assert!(!rolled_back(&store) && !rolled_back(&home.store()));
    std::fs::remove_file(home.file()).expect("removed");
    assert!(rolled_back(&store) && rolled_back(&home.store()));
}

#[test]
fn what_another_program_wrote_is_no_rollback_but_can_be_rolled_back_to() {
    let (home, other) = (Home::new(), Home::new());
    let store = home.store();
    store.register(&id("github"), entry("ours")).expect("written");
    other.store().register(&id("github"), entry("theirs")).expect("written");
    home.overwrite(&other.bytes());
    assert!(!store.snapshot().expect("read").rolled_back());
    let theirs = home.bytes();
    store.register(&id("github"), entry("ours again")).expect("written");
    home.overwrite(&theirs);
    assert!(store.snapshot().expect("read").rolled_back());
}

#[test]
fn i1_nothing_on_disk_holds_a_secret_in_clear() {
    let home = Home::new();
    let store = home.open();
    store.register(&id("github"), entry("needle-in-a-haystack")).expect("written");
    store.update(&id("github"), |entry| entry.status = Status::Attention).expect("written");
    for name in home.names() {
        let bytes = std::fs::read(home.path().join(&name)).expect("read");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("needle") && !text.contains(SECRET) && !text.contains("github"), "{name}");
        let mode = std::fs::metadata(home.path().join(&name)).expect("stat").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}
