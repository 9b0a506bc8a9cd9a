//! `Watch`: tells when a file changes that a reload reads, in folders that may come and go.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::client_ca;
use super::config::Config;
use super::home::Home;
use super::reload::Reload;

/// Changes that come close together are taken as one.
const SETTLE: Duration = Duration::from_millis(20);

/// Folders of the home that people make when they have something to put there.
const LATER: [&str; 2] = ["policies", "providers"];

/// As many symbolic links as the kernel follows for one path.
const MAX_LINKS: usize = 40;

/// What watches, as long as it lives, and what it has to say.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    told: mpsc::Receiver<()>,
    home: Home,
    /// The folders besides the home that are watched now.
    watched: Vec<PathBuf>,
    names: Arc<ArcSwap<Names>>,
}

/// Names of files that a reload reads, and of links on the way to them, besides those that are known by their endings.
type Names = HashSet<OsString>;

impl Watch {
    /// Tells of changes in the home folder (its TOML and PEM files), its `providers/` and `policies/`, and of the files that `config` names;
    /// `None`, with a word to the log, where the system doesn't let us.
    pub(super) fn begin(home: &Home, config: &Config) -> Option<Self> {
        let refused = |error: notify::Error| tracing::warn!(%error, "files are not watched; SIGHUP reloads them");
        Self::start(home, config).map_err(refused).ok()
    }

    fn start(home: &Home, config: &Config) -> notify::Result<Self> {
        let (tell, told) = mpsc::channel(1);
        let names = Arc::new(ArcSwap::from_pointee(Names::new()));
        let interesting = Arc::clone(&names);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Full means that a reload is due already.
            if event.is_ok_and(|event| is_relevant(&event, &interesting.load())) && tell.try_send(()).is_err() {
                tracing::trace!("a reload is due already");
            }
        })?;
        watcher.watch(home.path(), RecursiveMode::NonRecursive)?;
        let mut watch = Self { watcher, told, home: home.clone(), watched: Vec::new(), names };
        watch.follow(&files(home, config, config));
        Ok(watch)
    }

    /// Watches the folders that are there now. All of them anew: one that was removed and made again can have the number of the one before,
    /// and the watcher gives up a path when it hears, late, that what was there is gone.
    fn follow(&mut self, named: &[PathBuf]) {
        for path in self.watched.drain(..) {
            if let Err(error) = self.watcher.unwatch(&path) {
                tracing::trace!(%error, "it was given up already");
            }
        }
        let mut names: Names = named.iter().filter_map(|file| file.file_name().map(OsStr::to_owned)).collect();
        let folders = named.iter().filter_map(|file| file.parent().map(Path::to_owned));
        // Two watches of one folder would be one to the kernel, and end together.
        let mut seen: HashSet<(u64, u64)> = identity(self.home.path()).into_iter().collect();
        for folder in [self.home.policies(), self.home.providers()].into_iter().chain(folders) {
            let links = links(self.home.path(), &folder);
            names.extend(links.iter().filter_map(|link| link.file_name().map(OsStr::to_owned)));
            let beside = links.iter().filter_map(|link| link.parent().map(Path::to_owned));
            for path in beside.chain([folder]) {
                if identity(&path).is_some_and(|folder| seen.insert(folder)) {
                    match self.watcher.watch(&path, RecursiveMode::NonRecursive) {
                        Ok(()) => self.watched.push(path),
                        // It may be gone again, of which the home or its own folder tells.
                        Err(error) => {
                            tracing::warn!(%error, folder = %path.display(), "a folder is not watched; SIGHUP reloads what is in it");
                        }
                    }
                }
            }
        }
        self.names.store(Arc::new(names));
    }

    /// Reloads on each change, for as long as the process runs.
    pub(super) async fn run(mut self, reload: Arc<Reload>) {
        while self.told.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            while self.told.try_recv().is_ok() {}
            // Before anything is read: what is put into a new folder from now on is told of, what was there already is read.
            let mut files = reload.files();
            loop {
                self.follow(&files);
                let again = Arc::clone(&reload);
                if tokio::task::spawn_blocking(move || again.run()).await.is_err() {
                    tracing::error!("a reload failed");
                }
                // Another file that is named now was read before it was watched.
                let now = reload.files();
                if now == files {
                    break;
                }
                files = now;
            }
        }
    }
}

/// Whether a reload reads what `event` is of, or may: the system loses events that come too fast, and says so.
fn is_relevant(event: &notify::Event, names: &Names) -> bool {
    event.need_rescan() || !event.kind.is_access() && event.paths.iter().any(|path| interests(path, names))
}

fn interests(path: &Path, names: &Names) -> bool {
    let name = path.file_name().unwrap_or_default();
    LATER.iter().any(|later| name == *later)
        || names.contains(name)
        || path.extension().is_some_and(|extension| extension == "toml" || extension == "pem")
}

/// The files that the configuration names and a reload reads: the gateway's are those of the start.
pub(super) fn files(home: &Home, started: &Config, now: &Config) -> Vec<PathBuf> {
    let gateway = started.gateway.tls_cert.iter().chain(&started.gateway.tls_key);
    gateway.chain(client_ca::files(now)).map(|file| home.path().join(file)).collect()
}

/// The symbolic links on the way to `path`, itself among them; those on the way to `home` are taken as they were at the start. What is
/// mounted into containers (a ConfigMap, a Secret) changes by one link alone, which stands beside the files, not in their folder.
fn links(home: &Path, path: &Path) -> Vec<PathBuf> {
    let (mut at, rest) = match path.strip_prefix(home) {
        Ok(rest) => (home.to_owned(), rest),
        Err(_elsewhere) => (PathBuf::new(), path),
    };
    let mut rest: Vec<OsString> = rest.components().rev().map(|part| part.as_os_str().to_owned()).collect();
    let mut links = Vec::new();
    while let Some(part) = rest.pop().filter(|_| links.len() < MAX_LINKS) {
        if Path::new(&part).components().next() == Some(Component::ParentDir) {
            at.pop();
            continue;
        }
        at.push(&part);
        let Ok(target) = std::fs::read_link(&at) else { continue };
        rest.extend(target.components().rev().map(|part| part.as_os_str().to_owned()));
        links.push(at.clone());
        at.pop();
    }
    links
}

/// Which folder it is; `None` where there is none.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let about = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_dir)?;
    Some((about.dev(), about.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_to_a_folder_is_found_and_a_circle_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (home, mount) = (folder.path().join("home"), folder.path().join("mount"));
        std::fs::create_dir_all(mount.join("..one/rules")).unwrap();
        std::fs::create_dir(&home).unwrap();
        symlink("..one", mount.join("..data")).unwrap();
        symlink("../mount/..data/rules", home.join("policies")).unwrap();
        assert_eq!(links(&home, &home.join("policies")), [home.join("policies"), mount.join("..data")]);
        assert_eq!(links(&home, &home.join("providers")), Vec::<PathBuf>::new());
        symlink("providers", home.join("providers")).unwrap();
        assert_eq!(links(&home, &home.join("providers")).len(), MAX_LINKS);
    }
}
