//! What is slow to make and the same for every test of a build: made by the first that needs it, read by the processes of the others.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tempfile::TempDir;

/// A folder called `name` that `make` has filled, once for this build of the tests and of the binary.
pub(crate) fn kept(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let tests = std::env::current_exe().expect("the tests' own file");
    let stem = tests.file_name().expect("a name").to_string_lossy();
    let built = [&tests, Path::new(env!("CARGO_BIN_EXE_nexus"))].map(age);
    let folder = scratch.join(format!("{name}-{stem}-{:x}-{:x}", built[0], built[1]));
    if !folder.exists() {
        let new = TempDir::new_in(scratch).expect("a folder");
        make(new.path());
        // Whole or not at all; who comes second finds what the first made, and throws its own away.
        if std::fs::rename(new.path(), &folder).is_ok() {
            drop(new.keep());
        }
    }
    assert!(folder.exists(), "{} could not be made", folder.display());
    folder
}

fn age(file: impl AsRef<Path>) -> u128 {
    let changed = std::fs::metadata(file).and_then(|data| data.modified()).expect("a file");
    changed.duration_since(UNIX_EPOCH).expect("after 1970").as_nanos()
}
