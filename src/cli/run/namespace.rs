//! A private mount namespace in which the home holds nothing but what the command may read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_remount};
use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

use super::landlock;

/// Room for the bundle and the helper files, many times over.
const OPTIONS: &std::ffi::CStr = c"mode=0700,size=32m";

/// Puts a read-only folder over the home and seals this process in. It must have one thread only.
pub(super) fn hide(home: &Path) -> anyhow::Result<()> {
    let here = std::env::current_dir().context("cannot find the working folder")?;
    let shown = read(home, &landlock::SHOWN.map(PathBuf::from)).context("cannot read what the command may see")?;
    enter().context("cannot enter a namespace")?;
    // What is mounted outside from now on is seen inside, but not the other way.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC).context("cannot detach the mounts")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("nexus", home, "tmpfs", flags, OPTIONS).context("cannot cover the home")?;
    for (path, contents) in shown {
        write(&home.join(path), &contents).context("cannot fill the cover of the home")?;
    }
    mount_remount(home, flags | MountFlags::RDONLY, c"").context("cannot make the cover of the home read-only")?;
    // A working folder in the home would still be the one below the cover.
    std::env::set_current_dir(&here).context("the working folder is in NEXUS_HOME; run the command in another one")?;
    landlock::seal()
}

/// The files below `names`, with their contents; folders are walked. What is not there is not shown.
fn read(home: &Path, names: &[PathBuf]) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for name in names {
        let path = home.join(name);
        if path.is_dir() {
            let entries: io::Result<Vec<_>> = fs::read_dir(&path)?.map(|entry| Ok(name.join(entry?.file_name()))).collect();
            files.extend(read(home, &entries?)?);
        } else if path.is_file() {
            files.push((name.clone(), fs::read(&path)?));
        }
    }
    Ok(files)
}

fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, contents)
}

/// Root needs no user namespace, and keeps its view of who owns a file without one.
fn enter() -> io::Result<()> {
    if geteuid().is_root() && unshare(UnshareFlags::NEWNS).is_ok() {
        return Ok(());
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    // user_namespaces(7): a group can be mapped only once setgroups is given up.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

#[expect(deprecated, reason = "it was deprecated for UnshareFlags::FILES, which takes descriptors from under other threads")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}
