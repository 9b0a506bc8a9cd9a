//! The vault as others meet it: JarvisCore's format by an independent implementation, damage, several processes, sudden death.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod damage;
mod life;
mod processes;
mod reference;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nexus::model::{ConnectionId, Credential, Secret};
use nexus::seal::{DataKey, Passphrase};
use nexus::vault::{AuthType, Entry, Settings, Store};

const SECRET: &str = "correct horse battery staple";

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
