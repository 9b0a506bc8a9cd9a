//! The names of the helper files in their folder: what `variables.rs` points at and `helpers.rs` writes.

use std::fs;
use std::path::{Path, PathBuf};

/// How a helper file begins that carries over a file of the caller's. PEM and wget's settings both take such a line for a remark.
const CARRIED: &str = "# carried over from ";

/// The first line of a helper file that carries over `own`.
pub(super) fn carried(own: &Path) -> String {
    match own.to_str() {
        Some(text) if !text.contains(['\n', '\r']) => format!("{CARRIED}{text}\n"),
        _ => String::new(),
    }
}

/// The caller's file that a helper file carries over: a shell that has our variables already is asked for its own ones by this.
pub(super) fn carried_from(helper: &Path) -> Option<PathBuf> {
    let text = fs::read(helper).ok()?;
    let line = text.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok()?.strip_prefix(CARRIED).map(PathBuf::from)
}

/// The Node preload script.
pub(super) fn preload(folder: &Path) -> PathBuf {
    folder.join("preload.cjs")
}

/// Our root and the caller's own `NODE_EXTRA_CA_CERTS`.
pub(super) fn node_ca(folder: &Path) -> PathBuf {
    folder.join("node-ca.pem")
}

/// The folder of the Python script, which a program's own modules come after.
pub(super) fn python_folder(folder: &Path) -> PathBuf {
    folder.join("python")
}

/// The folder of the PHP ini file.
pub(super) fn php_folder(folder: &Path) -> PathBuf {
    folder.join("php")
}

/// The script that every PHP script begins with. Not in the ini's folder, which PHP reads `*.ini` from.
pub(super) fn php_prepend(folder: &Path) -> PathBuf {
    folder.join("prepend.php")
}

/// The Java trust store.
pub(super) fn trust_store(folder: &Path) -> PathBuf {
    folder.join("trust.jks")
}

/// The settings of wget.
pub(super) fn wgetrc(folder: &Path) -> PathBuf {
    folder.join("wgetrc")
}

/// The settings of wget2.
pub(super) fn wget2rc(folder: &Path) -> PathBuf {
    folder.join("wget2rc")
}
