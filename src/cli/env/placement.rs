//! The names of the helper files in their folder: what `variables.rs` points at and `helpers.rs` writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus::provider::HelperFile;
use sha2::{Digest as _, Sha256};

/// How a helper file begins that carries over a file of the caller's. PEM and wget's settings both take such a line for a remark.
const CARRIED: &str = "# carried over from ";

/// A helper file that may carry over one of the caller's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carrier {
    stem: &'static str,
    ending: &'static str,
}

/// The settings of wget.
pub(super) const WGETRC: Carrier = Carrier { stem: "wgetrc", ending: "" };
/// The settings of wget2.
pub(super) const WGET2RC: Carrier = Carrier { stem: "wget2rc", ending: "" };
/// Our root and the caller's own `NODE_EXTRA_CA_CERTS`.
pub(super) const NODE_CA: Carrier = Carrier { stem: "node-ca", ending: ".pem" };

/// Hexadecimal digits of a path's hash.
const DIGITS: usize = 8;

impl Carrier {
    /// Its place in `folder`. Each file of a caller's has one of its own: two shells of a home may have different ones.
    pub(super) fn place(self, folder: &Path, own: Option<&Path>) -> PathBuf {
        let hash = |own: &Path| Sha256::digest(own.as_os_str().as_encoded_bytes());
        let hash = own.map(|own| hash(own).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let mark = hash.map(|hash| format!("-{}", hash.get(..DIGITS).unwrap_or_default())).unwrap_or_default();
        folder.join(format!("{}{mark}{}", self.stem, self.ending))
    }

    /// Whether `path` is such a file, whoever's it carries over.
    pub(super) fn is_at(self, folder: &Path, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).filter(|_| path.parent() == Some(folder));
        let mark = name.and_then(|name| name.strip_prefix(self.stem)?.strip_suffix(self.ending));
        let is_hash = |digits: &str| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        mark.is_some_and(|mark| mark.is_empty() || mark.strip_prefix('-').is_some_and(is_hash))
    }
}

/// A shell that began before its file went may still use ours.
const LINGER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Takes away the helper files whose caller's file is gone and that nobody has written for a week, so that they do not pile up.
pub(super) fn forget_gone(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in entries.filter(|path| [WGETRC, WGET2RC, NODE_CA].iter().any(|carrier| carrier.is_at(folder, path))) {
        let written = fs::metadata(&path).and_then(|about| about.modified()).ok();
        let old = written.and_then(|written| written.elapsed().ok()).is_some_and(|age| age > LINGER);
        if old && carried_from(&path).is_some_and(|own| matches!(own.try_exists(), Ok(false))) {
            // Another command may have been faster.
            drop(fs::remove_file(&path));
        }
    }
}

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

/// What a variable of a provider's names.
pub(crate) fn helper_file(folder: &Path, file: HelperFile) -> PathBuf {
    match file {
        HelperFile::GoogleServiceAccount => folder.join("google-service-account.json"),
    }
}

/// The Java trust store.
pub(super) fn trust_store(folder: &Path) -> PathBuf {
    folder.join("trust.jks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_file_is_known_by_its_name_and_nothing_else_is() {
        let folder = Path::new("/h/env");
        for carrier in [WGETRC, WGET2RC, NODE_CA] {
            assert!(carrier.is_at(folder, &carrier.place(folder, None)));
            assert!(carrier.is_at(folder, &carrier.place(folder, Some(Path::new("/own")))));
        }
        assert_eq!(WGETRC.place(folder, None), Path::new("/h/env/wgetrc"));
        for other in
            ["/h/env/wgetrc-1234567", "/h/env/wgetrc-1234567x", "/h/wgetrc", "/h/env/wget2rc", "/h/env/php/wgetrc", "/"]
        {
            assert!(!WGETRC.is_at(folder, Path::new(other)), "{other}");
        }
        assert!(!NODE_CA.is_at(folder, Path::new("/h/env/node-ca.pem.0123456789abcdef")));
    }
}
