//! The vault as others meet it: JarvisCore's format by an independent implementation, damage, several processes, sudden death.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nexus::model::{ConnectionId, Credential, Secret};
use nexus::seal::{DataKey, Passphrase};
use nexus::vault::{AuthType, Entry, Error, Settings, Status, Store, import_jarviscore};

const SECRET: &str = "correct horse battery staple";
/// Tells a child process of this test binary what to do.
const TASK: &str = "NEXUS_VAULT_TEST_TASK";

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self) -> PathBuf {
        self.path().join("nexus.enc")
    }

    fn store(&self) -> Store {
        store(self.path(), 1)
    }

    fn open(&self) -> Store {
        Store::open(settings(self.path()), &passphrase()).expect("opened")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).expect("read")
    }

    /// As somebody without manners writes: in place.
    fn overwrite(&self, bytes: &[u8]) {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(self.file()).expect("opened");
        file.write_all(bytes).expect("written");
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("listed");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}

fn settings(folder: &Path) -> Settings {
    Settings { file: folder.join("nexus.enc"), salt: folder.join(".salt") }
}

fn store(folder: &Path, key: u8) -> Store {
    Store::with_key(settings(folder), DataKey::from_bytes([key; 32]))
}

fn passphrase() -> Passphrase {
    Passphrase::new(SECRET).expect("not empty")
}

fn id(text: &str) -> ConnectionId {
    text.parse().expect("a connection id")
}

fn entry(token: &str) -> Entry {
    let mut fields = Credential::default();
    fields.set("access_token", Secret::new(String::from(token)));
    Entry::new("github".parse().expect("a name"), AuthType::OAuth2, fields)
}

fn token(store: &Store, connection: &str) -> Option<String> {
    let entry = store.get(&id(connection)).expect("read")?;
    entry.effective_field("access_token").map(|token| token.expose().clone())
}

fn python(arguments: &[&str], input: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vault_reference.py");
    let mut command = Command::new("python3");
    command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python3 with the cryptography package is needed");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("waited");
    assert!(output.status.success(), "the reference failed: {arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

const JARVIS: &str = r#"{
  "github": {"provider": "github", "auth_type": "oauth2", "client_id": "ghXX1234", "client_secret": "pät 🚀",
    "registered_at": "2024-05-01T12:00:00.123456", "scopes": ["repo", 1e3]},
  "jira:alice@example.com": {"provider": "jira", "auth_type": "basic_auth", "username": "alice", "password": "x\ty",
    "registered_at": "2024-05-01T12:00:00+00:00"},
  "a thing of its own": [1, 2, null]
}"#;

mod reference {
    use super::*;

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
}

mod damage {
    use super::*;

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
}

mod life {
    use super::*;

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
    fn an_unchanged_file_is_not_read_again() {
        let home = Home::new();
        let store = home.store();
        store.register(&id("github"), entry("one")).expect("written");
        let first = store.snapshot().expect("read");
        // A stamp this young proves nothing yet; wait until one does.
        let stamp = || nexus::disk::stamp(&home.file()).expect("stat").expect("there");
        let begun = Instant::now();
        while stamp().is_fresh() {
            assert!(begun.elapsed() < Duration::from_secs(5), "the clocks disagree");
            std::thread::yield_now();
        }
        let settled = store.snapshot().expect("read");
        assert!(std::sync::Arc::ptr_eq(&first, &settled), "the same content is the same snapshot");
        let read_at = || std::fs::metadata(home.file()).expect("stat").accessed().expect("a time");
        let before = read_at();
        for _ in 0..10_000 {
            assert!(std::sync::Arc::ptr_eq(&settled, &store.snapshot().expect("cached")));
        }
        assert_eq!(read_at(), before);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
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
}

mod processes {
    use super::*;

    /// Starts this test binary again, to run `child` below with `task`.
    fn start(task: &str, home: &Home) -> Child {
        let binary = std::env::current_exe().expect("our own path");
        let mut command = Command::new(binary);
        command.args(["--exact", "processes::child", "--nocapture", "--test-threads=1"]);
        command.env(TASK, format!("{task} {}", home.path().display())).stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().expect("started")
    }

    /// What a child process does: everything else about this test happens in those that start it.
    #[test]
    fn child() {
        let Ok(task) = std::env::var(TASK) else {
            assert!(std::env::args().all(|argument| argument != "--exact"), "started as a child without a task");
            return;
        };
        let (task, folder) = task.split_once(' ').expect("a task and a folder");
        let store = store(Path::new(folder), 1);
        if task == "write" {
            write_for_ever(&store);
        }
        for number in 0..40 {
            store.register(&id(&format!("github:{task}-{number}")), entry("token")).expect("written");
        }
    }

    /// Both entries always hold the same number, in a file of many pages.
    fn write_for_ever(store: &Store) {
        for number in 0_u32.. {
            let token = format!("{number:08} ").repeat(2_000);
            store.update(&id("github:big"), |entry| entry.fields.set("access_token", Secret::new(token))).expect("written");
            println!("wrote {number}");
            std::io::stdout().flush().expect("written");
        }
    }

    #[test]
    fn two_processes_registering_at_once_lose_nothing() {
        let home = Home::new();
        let children = ["one", "two", "three"].map(|name| start(name, &home));
        for child in children {
            let output = child.wait_with_output().expect("waited");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        assert_eq!(home.store().list().expect("read").len(), 3 * 40);
    }

    #[test]
    fn two_threads_updating_one_entry_lose_nothing() {
        let home = Home::new();
        let store = home.store();
        store.register(&id("github"), entry("")).expect("written");
        std::thread::scope(|scope| {
            for name in ["a", "b"] {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..20 {
                        let set =
                            |entry: &mut Entry| entry.fields.set(&format!("{name}{number}"), Secret::new(String::from("x")));
                        store.update(&id("github"), set).expect("written");
                    }
                });
            }
        });
        let entry = store.get(&id("github")).expect("read").expect("there");
        assert_eq!(entry.fields.names().count(), 40);
    }

    #[test]
    fn i9_death_at_any_moment_of_a_write_leaves_the_old_or_the_new_file() {
        let home = Home::new();
        let store = home.store();
        store.register(&id("github:big"), entry("none")).expect("written");
        let mut cut_short = 0;
        for round in 0..200_u32 {
            let acknowledged = kill_a_writer(&home, round);
            let token = token(&store, "github:big").expect("whole and there");
            let number: u32 = token.get(..8).expect("a number").parse().expect("a number");
            assert_eq!(token, format!("{number:08} ").repeat(2_000), "round {round}");
            assert!(number == acknowledged || number == acknowledged + 1, "round {round}: {number} after {acknowledged}");
            cut_short += u32::from(home.names().iter().any(|name| name.ends_with(".tmp")));
            // A write after it finds the lock free and clears what was left.
            assert!(store.update(&id("github:big"), |_| ()).expect("written").is_some());
            assert_eq!(home.names(), [".nexus.enc.lock", ".nexus.enc.seen", "nexus.enc"], "round {round}");
            assert!(!store.snapshot().expect("read").rolled_back(), "round {round}");
        }
        assert!(cut_short > 0, "no writer was killed while it wrote");
    }

    /// Kills a writer some time after one of its first writes, and returns the last write that it said was done.
    fn kill_a_writer(home: &Home, round: u32) -> u32 {
        let mut child = start("write", home);
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let number = |line: &str| line.trim_end().rsplit_once("wrote ").and_then(|(_, number)| number.parse::<u32>().ok());
        let mut line = String::new();
        let mut last = None;
        while last.is_none() {
            line.clear();
            assert!(output.read_line(&mut line).expect("read") > 0, "the writer ended by itself");
            last = number(&line);
        }
        // Any moment within the next write or two: the golden ratio spreads them evenly.
        let moment = Duration::from_micros(u64::from(round.wrapping_mul(2_654_435_769) >> 20));
        let begun = Instant::now();
        while begun.elapsed() < moment {
            std::hint::spin_loop();
        }
        child.kill().expect("killed");
        child.wait().expect("waited");
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("read");
        // A line that was cut says nothing.
        let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
        whole.lines().filter_map(number).last().or(last).expect("a first write")
    }
}
