//! Landlock (landlock(7)): what this process and its children may do with files, for good.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetStatus,
};

/// The newest version that added rights to files (device ioctl); older kernels take what they know.
const VERSION: ABI = ABI::V5;
/// What the command may read of the home.
pub(super) const SHOWN: [&str; 3] = ["ca.pem", "ca-bundle.pem", "env"];

/// Allows everything, in a domain: what is outside of it can't be traced, and nothing can be mounted or unmounted.
pub(super) fn seal() -> anyhow::Result<()> {
    restrict(allow(ruleset()?, Path::new("/"), AccessFs::from_all(VERSION))?)
}

/// Allows everything but the home, by way of what lies beside it and beside each of its parents. Those folders themselves may
/// only be listed: a right to make files in them would hold in the home as well.
pub(super) fn shut_out(home: &Path) -> anyhow::Result<()> {
    let mut ruleset = allow(ruleset()?, Path::new("/"), AccessFs::ReadDir.into())?;
    for folder in home.ancestors().skip(1) {
        for entry in beside(folder, home) {
            ruleset = allow(ruleset, &entry, AccessFs::from_all(VERSION))?;
        }
    }
    for name in SHOWN {
        ruleset = allow(ruleset, &home.join(name), AccessFs::ReadFile | AccessFs::ReadDir)?;
    }
    restrict(ruleset)
}

/// The entries of `folder` that don't lead to the home. Links are left out: what they lead to is allowed where it is.
fn beside(folder: &Path, home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let solid = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
    solid.map(|entry| entry.path()).filter(|path| !home.starts_with(path)).collect()
}

fn ruleset() -> anyhow::Result<RulesetCreated> {
    Ok(Ruleset::default().handle_access(AccessFs::from_all(VERSION))?.create()?)
}

/// Adds a rule. What is gone or closed to us needs none.
fn allow(ruleset: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> anyhow::Result<RulesetCreated> {
    let (Ok(file), Ok(about)) = (PathFd::new(path), fs::metadata(path)) else { return Ok(ruleset) };
    let access = if about.is_dir() { access } else { access & AccessFs::from_file(VERSION) };
    ruleset.add_rule(PathBeneath::new(file, access)).with_context(|| format!("cannot allow {}", path.display()))
}

fn restrict(ruleset: RulesetCreated) -> anyhow::Result<()> {
    let status = ruleset.restrict_self().context("the kernel refuses Landlock")?;
    anyhow::ensure!(status.ruleset != RulesetStatus::NotEnforced, "the kernel has no Landlock, or it is switched off");
    Ok(())
}
