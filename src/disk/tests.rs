use super::*;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, b"old").expect("written");
        chmod(&path, mode);
        path
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("listed");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").mode() & 0o7777
}

#[test]
fn a_private_file_is_read_and_a_missing_one_is_none() {
    let folder = Folder::new();
    assert!(read_private(&folder.path("a"), 3).expect("missing").is_none());
    let path = folder.file("a", 0o600);
    assert_eq!(read_private(&path, 3).expect("read").as_deref(), Some(&b"old"[..]));
    assert!(matches!(read_private(&path, 2), Err(Error::TooLarge { limit: 2, .. })));
}

#[test]
fn i9_what_is_not_a_private_file_is_refused() {
    let folder = Folder::new();
    for bits in [0o640, 0o604, 0o644, 0o620, 0o602, 0o610] {
        let path = folder.file("open", bits);
        assert!(matches!(read_private(&path, 9), Err(Error::Exposed { mode, .. }) if mode == bits), "{bits:o}");
        assert_eq!(read_regular(&path, 9).expect("read").as_deref(), Some(&b"old"[..]));
    }
    let path = folder.file("a", 0o600);
    let link = folder.path("link");
    symlink(&path, &link).expect("linked");
    assert!(matches!(read_private(&link, 9), Err(Error::Symlink(_))));
    assert!(matches!(read_regular(&link, 9), Err(Error::Symlink(_))));
    assert!(matches!(read_private(folder.0.path(), 9), Err(Error::NotAFile(_))));
    let pipe = folder.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    assert!(matches!(read_private(&pipe, 9), Err(Error::NotAFile(_))));
    std::fs::hard_link(&path, folder.path("second")).expect("linked");
    assert!(matches!(read_private(&path, 9), Err(Error::Linked(_))));
}

#[test]
fn i9_a_folder_that_others_write_is_refused() {
    let folder = Folder::new();
    let path = folder.file("a", 0o600);
    for bits in [0o770, 0o707, 0o777] {
        chmod(folder.0.path(), bits);
        assert!(matches!(read_private(&path, 9), Err(Error::UnsafeFolder(_))), "{bits:o}");
        assert!(matches!(write_atomic(&path, b"new", 0o600), Err(Error::UnsafeFolder(_))), "{bits:o}");
        assert!(matches!(create_private_dir(folder.0.path()), Err(Error::UnsafeFolder(_))), "{bits:o}");
        write_atomic(&folder.path("public"), b"new", 0o644).expect("what everybody may read may lie anywhere");
    }
    chmod(folder.0.path(), 0o1777);
    assert!(read_private(&path, 9).expect("sticky: nobody can exchange ours").is_some());
    chmod(folder.0.path(), 0o700);
}

#[test]
fn replacing_keeps_nothing_of_the_old_file() {
    let folder = Folder::new();
    let path = folder.file("a", 0o644);
    let before = stamp(&path).expect("stat").expect("there");
    write_atomic(&path, b"new", 0o600).expect("written");
    assert_eq!(std::fs::read(&path).expect("read"), b"new");
    assert_eq!(mode(&path), 0o600);
    let after = stamp(&path).expect("stat").expect("there");
    assert!(before != after && after.is_fresh());
    write_atomic(&path, b"public", 0o644).expect("written");
    assert_eq!(mode(&path), 0o644);
    assert_eq!(folder.names(), ["a"]);
}

#[test]
fn i9_links_and_folders_are_not_replaced() {
    let folder = Folder::new();
    let target = folder.file("target", 0o600);
    let link = folder.path("link");
    symlink(&target, &link).expect("linked");
    assert!(matches!(write_atomic(&link, b"new", 0o600), Err(Error::Symlink(_))));
    assert!(matches!(write_atomic(folder.0.path(), b"new", 0o600), Err(Error::NotAFile(_))));
    assert!(matches!(write_atomic(Path::new(".."), b"new", 0o600), Err(Error::NoName(_))));
    assert_eq!(std::fs::read(&target).expect("read"), b"old");
    assert_eq!(folder.names(), ["link", "target"]);
}

#[test]
fn a_note_is_added_to_a_private_file_only() {
    let folder = Folder::new();
    let path = folder.path("notes");
    append_private(&path, b"a").expect("created");
    append_private(&path, b"b").expect("added");
    assert_eq!(read_private(&path, 9).expect("read").as_deref(), Some(&b"ab"[..]));
    chmod(&path, 0o644);
    assert!(matches!(append_private(&path, b"c"), Err(Error::Exposed { .. })));
    let link = folder.path("link");
    symlink(&path, &link).expect("linked");
    assert!(matches!(append_private(&link, b"c"), Err(Error::Symlink(_))));
    assert_eq!(std::fs::read(&path).expect("read"), b"ab");
}

#[test]
fn leftovers_of_this_file_alone_are_removed() {
    let folder = Folder::new();
    let path = folder.file("a", 0o600);
    for name in [".a.0123456789abcdef.tmp", ".b.0123456789abcdef.tmp", ".a.b.0123456789abcdef.tmp", ".a.seen"] {
        folder.file(name, 0o600);
    }
    let lock = Lock::acquire(&path).expect("free");
    remove_leftovers(&path, &lock).expect("removed");
    assert_eq!(folder.names(), [".a.b.0123456789abcdef.tmp", ".a.lock", ".a.seen", ".b.0123456789abcdef.tmp", "a"]);
}

#[test]
fn a_lock_excludes_a_second_one_until_it_is_dropped() {
    let folder = Folder::new();
    let path = folder.path("a");
    let held = Lock::acquire(&path).expect("free");
    assert!(Lock::try_acquire(&path).expect("asked").is_none());
    assert!(matches!(Lock::acquire_within(&path, Duration::from_millis(5)), Err(Error::Locked(_))));
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || Lock::acquire(&path).map(drop)
    });
    drop(held);
    waiting.join().expect("no panic").expect("the lock came free");
    assert!(Lock::try_acquire(&path).expect("asked").is_some());
}

#[test]
fn i9_a_lock_file_that_is_a_link_is_refused() {
    let folder = Folder::new();
    let target = folder.path("target");
    symlink(&target, folder.path(".a.lock")).expect("linked");
    assert!(matches!(Lock::acquire(&folder.path("a")), Err(Error::Symlink(_))));
    assert!(!target.exists());
}

#[test]
fn a_private_folder_is_made_once_and_not_through_a_link() {
    let folder = Folder::new();
    let home = folder.path("deep/home");
    create_private_dir(&home).expect("made");
    create_private_dir(&home).expect("made before");
    assert_eq!((mode(&home), mode(&folder.path("deep"))), (0o700, 0o700));
    let link = folder.path("link");
    symlink(&home, &link).expect("linked");
    assert!(matches!(create_private_dir(&link), Err(Error::Symlink(_))));
    let file = folder.file("file", 0o600);
    assert!(create_private_dir(&file).is_err());
}

#[test]
fn i9_what_is_there_is_not_written_over_by_who_means_to_be_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    write_first(&file, b"first", PRIVATE).unwrap();
    assert!(matches!(write_first(&file, b"second", PRIVATE), Err(Error::Exists(found)) if found == file));
    assert_eq!(std::fs::read(&file).unwrap(), b"first");
    let metadata = std::fs::metadata(&file).unwrap();
    assert_eq!((metadata.mode() & 0o777, metadata.nlink()), (PRIVATE, 1));
    let link = folder.path().join("b.toml");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
    assert!(matches!(write_first(&link, b"second", PRIVATE), Err(Error::Exists(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside them");
}
