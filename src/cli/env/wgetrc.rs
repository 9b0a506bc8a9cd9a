//! The settings files of wget and wget2: naming one replaces the caller's own, so its lines are carried over.

use std::fs;
use std::path::{Path, PathBuf};

use super::Inputs;
use super::placement::{self, Carrier, WGET2RC, WGETRC};

/// Commands of the caller's file that would undo what the environment says. Compared without case, `-` and `_`, as wget does.
const UNDONE: [&str; 7] = ["cacertificate", "cadirectory", "useproxy", "httpproxy", "httpsproxy", "proxyuser", "proxypassword"];

/// Where our `wgetrc` is, and what stands in it.
pub(super) fn wgetrc(inputs: &Inputs<'_>) -> (PathBuf, String) {
    let home = (inputs.inherited)("HOME").map(|home| PathBuf::from(home).join(".wgetrc"));
    combined(inputs, WGETRC, &[variable(inputs, "WGETRC", WGETRC), home])
}

/// Where our `wget2rc` is, and what stands in it.
pub(super) fn wget2rc(inputs: &Inputs<'_>) -> (PathBuf, String) {
    let home = (inputs.inherited)("HOME").map(PathBuf::from);
    let config = (inputs.inherited)("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".config")));
    let candidates = [
        variable(inputs, "WGET2RC", WGET2RC),
        config.map(|folder| folder.join("wget/wget2rc")),
        home.map(|home| home.join(".wget2rc")),
    ];
    combined(inputs, WGET2RC, &candidates)
}

fn variable(inputs: &Inputs<'_>, name: &str, carrier: Carrier) -> Option<PathBuf> {
    let own = (inputs.inherited)(name).filter(|own| !own.is_empty()).and_then(|own| std::path::absolute(own).ok())?;
    if carrier.is_at(&inputs.helpers, &own) { placement::carried_from(&own) } else { Some(own) }
}

/// The first file there is, without what we replace, and then our line. A file that can't be read is as good as none.
fn combined(inputs: &Inputs<'_>, carrier: Carrier, candidates: &[Option<PathBuf>]) -> (PathBuf, String) {
    let found = candidates.iter().flatten().find_map(|path| Some((path, fs::read_to_string(path).ok()?)));
    let place = carrier.place(&inputs.helpers, found.as_ref().map(|(path, _)| path.as_path()));
    let (remark, own) = found.map(|(path, own)| (placement::carried(path), own)).unwrap_or_default();
    let kept = own.lines().filter(|line| !undone(line)).map(|line| format!("{line}\n"));
    let ours = format!("ca_certificate = {}\n", text(&inputs.bundle));
    (place, std::iter::once(remark).chain(kept).chain([ours]).collect())
}

fn undone(line: &str) -> bool {
    let command = line.split('=').next().unwrap_or_default();
    let command: String = command.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    UNDONE.contains(&command.as_str())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::variables::tests::inputs;
    use super::*;

    #[test]
    fn the_callers_lines_stay_except_for_those_that_undo_ours() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(".wgetrc"), "tries = 3\nCA-Certificate = /x\n use_proxy=off\n# note\n").unwrap();
        let own = |name: &str| (name == "HOME").then(|| text(home.path()));
        let remark = format!("# carried over from {}/.wgetrc\n", text(home.path()));
        assert_eq!(wgetrc(&inputs(&own)).1, format!("{remark}tries = 3\n# note\nca_certificate = /h/ca-bundle.pem\n"));
    }

    #[test]
    fn a_shell_that_has_our_variables_keeps_its_own_lines() {
        let folder = tempfile::tempdir().unwrap();
        let (own, helpers) = (folder.path().join("own rc"), folder.path().join("env"));
        fs::write(&own, "tries = 3\n").unwrap();
        fs::create_dir(&helpers).unwrap();
        let with = |value: PathBuf| {
            let inherited = |name: &str| (name == "WGETRC").then(|| text(&value));
            wgetrc(&Inputs { helpers: helpers.clone(), ..inputs(&inherited) })
        };
        let first = with(own.clone());
        fs::write(&first.0, &first.1).unwrap();
        assert!(first.1.contains("tries = 3\n"), "{first:?}");
        assert_eq!(with(first.0.clone()), first);
        // Of another version of ours, which had one file for all.
        fs::write(helpers.join("wgetrc"), &first.1).unwrap();
        assert_eq!(with(helpers.join("wgetrc")), first);
        // Another shell's file is another helper.
        let other = folder.path().join("other rc");
        fs::write(&other, "tries = 4\n").unwrap();
        let second = with(other);
        assert!(second.0 != first.0 && second.1.contains("tries = 4\n"), "{second:?}");
        fs::write(&second.0, &second.1).unwrap();
        fs::remove_file(own).unwrap();
        placement::forget_gone(&helpers);
        assert!(first.0.exists() && second.0.exists(), "somebody may still use it");
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 60 * 60);
        for place in [&first.0, &second.0] {
            fs::File::options().append(true).open(place).unwrap().set_modified(long_ago).unwrap();
        }
        placement::forget_gone(&helpers);
        assert!(!first.0.exists() && second.0.exists());
    }

    #[test]
    fn our_own_file_is_not_taken_for_the_callers() {
        let own = |name: &str| (name == "WGET2RC").then(|| "/h/env/wget2rc".to_owned());
        let ours = (PathBuf::from("/h/env/wget2rc"), "ca_certificate = /h/ca-bundle.pem\n".to_owned());
        assert_eq!(wget2rc(&inputs(&own)), ours);
    }
}
