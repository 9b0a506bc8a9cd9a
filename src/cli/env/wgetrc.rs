//! The settings files of wget and wget2: naming one replaces the caller's own, so its lines are carried over.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Inputs, placement};

/// Commands of the caller's file that would undo what the environment says. Compared without case, `-` and `_`, as wget does.
const UNDONE: [&str; 7] = ["cacertificate", "cadirectory", "useproxy", "httpproxy", "httpsproxy", "proxyuser", "proxypassword"];

/// The contents of our `wgetrc`.
pub(super) fn wgetrc(inputs: &Inputs<'_>) -> String {
    let home = (inputs.inherited)("HOME").map(|home| PathBuf::from(home).join(".wgetrc"));
    combined(inputs, &[variable(inputs, "WGETRC"), home])
}

/// The contents of our `wget2rc`.
pub(super) fn wget2rc(inputs: &Inputs<'_>) -> String {
    let home = (inputs.inherited)("HOME").map(PathBuf::from);
    let config = (inputs.inherited)("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".config")));
    let candidates =
        [variable(inputs, "WGET2RC"), config.map(|folder| folder.join("wget/wget2rc")), home.map(|home| home.join(".wget2rc"))];
    combined(inputs, &candidates)
}

fn variable(inputs: &Inputs<'_>, name: &str) -> Option<PathBuf> {
    let own = (inputs.inherited)(name).map(PathBuf::from)?;
    let ours = [placement::wgetrc(&inputs.helpers), placement::wget2rc(&inputs.helpers)];
    if ours.contains(&own) { placement::carried_from(&own) } else { Some(own) }
}

/// The first file there is, without what we replace, and then our line. A file that can't be read is as good as none.
fn combined(inputs: &Inputs<'_>, candidates: &[Option<PathBuf>]) -> String {
    let read = |path: &PathBuf| Some((placement::carried(path), fs::read_to_string(path).ok()?));
    let (remark, own) = candidates.iter().flatten().find_map(read).unwrap_or_default();
    let kept = own.lines().filter(|line| !undone(line)).map(|line| format!("{line}\n"));
    std::iter::once(remark).chain(kept).chain([format!("ca_certificate = {}\n", text(&inputs.bundle))]).collect()
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
        assert_eq!(wgetrc(&inputs(&own)), format!("{remark}tries = 3\n# note\nca_certificate = /h/ca-bundle.pem\n"));
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
        let first = with(own);
        fs::write(placement::wgetrc(&helpers), &first).unwrap();
        assert!(first.contains("tries = 3\n"), "{first}");
        assert_eq!(with(placement::wgetrc(&helpers)), first);
    }

    #[test]
    fn our_own_file_is_not_taken_for_the_callers() {
        let own = |name: &str| (name == "WGET2RC").then(|| "/h/env/wget2rc".to_owned());
        assert_eq!(wget2rc(&inputs(&own)), "ca_certificate = /h/ca-bundle.pem\n");
    }
}
