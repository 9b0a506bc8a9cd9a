//! Any bytes as a vault, sealed and opened: no panic; what is read is the same after every entry was written anew; a file that
//! does not open is an error for readers and writers, and stays as it is.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nexus::fuzzing::vault_text;
use nexus::model::{Credential, Secret};
use nexus::seal::{self, DataKey, Salt};
use nexus::vault::{AuthType, Entry, Settings, Store};

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    opened(bytes);
    sealed(bytes);
    on_disk(bytes);
    let sealed = seal::seal(&key(), bytes).unwrap().into_bytes();
    let damaged = damage(&sealed, bytes);
    // Base64 has one spelling for each, so that other bytes are never the same text.
    assert!(seal::open(&key(), &damaged).is_err());
    on_disk(&damaged);
}

fn key() -> DataKey {
    DataKey::from_bytes([7; 32])
}

/// As what stands inside.
fn opened(plain: &[u8]) {
    let Ok((before, written)) = vault_text(plain) else { return };
    let (after, again) = vault_text(&written).unwrap();
    assert!(before.same_as(&after), "{before:?}\n{after:?}");
    assert_eq!(written, again, "what was written anew is written so again");
}

/// As what stands outside.
fn sealed(text: &[u8]) {
    for opened in [seal::open(&key(), text), seal::open_stream_cipher(&key(), text)].into_iter().flatten() {
        let again = seal::seal(&key(), &opened).unwrap();
        assert_eq!(seal::open(&key(), again.as_bytes()).unwrap(), opened);
    }
    let salt = std::str::from_utf8(text).ok().and_then(|text| text.parse::<Salt>().ok());
    assert_eq!(salt.map(|salt| salt.to_string().parse::<Salt>().unwrap()), salt);
}

/// As the file, for a reader and for a writer.
fn on_disk(text: &[u8]) {
    let home = Home::new();
    let file = home.0.join("nexus.enc");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let store = Store::with_key(Settings { file: file.clone(), salt: home.0.join(".salt") }, key());
    let read = store.snapshot();
    assert_eq!(fs::read(&file).unwrap(), text, "reading does not write");
    if read.is_ok() {
        return;
    }
    assert_eq!(fs::read_dir(&home.0).unwrap().count(), 1, "nor anything beside it");
    let mut fields = Credential::default();
    fields.set("api_key", Secret::new(String::from("new")));
    let entry = Entry::new("stripe".parse().unwrap(), AuthType::ApiKey, fields);
    store.register(&"stripe".parse().unwrap(), entry).unwrap_err();
    assert_eq!(fs::read(&file).unwrap(), text, "what does not open is not written over");
}

/// Other bytes than `sealed`: which, the content decides.
fn damage(sealed: &[u8], content: &[u8]) -> Vec<u8> {
    let sum = content.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let at = sum % sealed.len();
    let mut damaged = sealed.to_vec();
    match sum % 3 {
        0 => damaged.truncate(at),
        1 => damaged[at] ^= 1 << (sum % 7),
        _ => damaged.insert(at, b'A'),
    }
    damaged
}

/// A folder that goes when it is dropped.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        let thread = format!("{:?}", std::thread::current().id());
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = parent.join(format!("nexus-fuzz-{}-{thread}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}
