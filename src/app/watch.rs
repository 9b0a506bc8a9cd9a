//! `Watch`: tells when a file changes that a reload reads, in folders that may come and go.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::config::Config;
use super::home::Home;
use super::reload::Reload;

/// Changes that come close together are taken as one.
const SETTLE: Duration = Duration::from_millis(20);

/// Folders of the home that people make when they have something to put there.
const LATER: [&str; 2] = ["policies", "providers"];

/// What watches, as long as it lives, and what it has to say.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    told: mpsc::Receiver<()>,
    folders: Vec<Folder>,
}

/// A folder that is watched while it is there.
struct Folder {
    path: PathBuf,
    /// Which one it was that is watched: what is made anew under the same name is another.
    watched: Option<(u64, u64)>,
}

impl Watch {
    /// Tells of changes in the home folder (its TOML and PEM files), its `providers/` and `policies/`, and the gateway's certificate; `None`,
    /// with a word to the log, where the system doesn't let us.
    pub(super) fn begin(home: &Home, config: &Config) -> Option<Self> {
        let refused = |error: notify::Error| tracing::warn!(%error, "files are not watched; SIGHUP reloads them");
        Self::start(home, config).map_err(refused).ok()
    }

    fn start(home: &Home, config: &Config) -> notify::Result<Self> {
        let (tell, told) = mpsc::channel(1);
        let gateway = &config.gateway;
        let named: Vec<PathBuf> = gateway.tls_cert.iter().chain(&gateway.tls_key).map(|file| home.path().join(file)).collect();
        let folders = named.iter().filter_map(|file| file.parent().map(Path::to_owned)).filter(|folder| folder != home.path());
        let folders: Vec<PathBuf> = folders.chain([home.providers(), home.policies()]).collect();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let relevant =
                event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| interests(path, &named)));
            if relevant {
                // Full means that a reload is due already.
                if tell.try_send(()).is_err() {
                    tracing::trace!("a reload is due already");
                }
            }
        })?;
        watcher.watch(home.path(), RecursiveMode::NonRecursive)?;
        let folders = folders.into_iter().map(|path| Folder { path, watched: None }).collect();
        let mut watch = Self { watcher, told, folders };
        watch.follow()?;
        Ok(watch)
    }

    /// Watches the folders that are there now.
    fn follow(&mut self) -> notify::Result<()> {
        for folder in &mut self.folders {
            let about = std::fs::metadata(&folder.path).ok().filter(std::fs::Metadata::is_dir);
            let now = about.map(|about| (about.dev(), about.ino()));
            if now.is_some() && now != folder.watched {
                self.watcher.watch(&folder.path, RecursiveMode::NonRecursive)?;
            }
            folder.watched = now;
        }
        Ok(())
    }

    /// Reloads on each change, for as long as the process runs.
    pub(super) async fn run(mut self, reload: Arc<Reload>) {
        while self.told.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            while self.told.try_recv().is_ok() {}
            // Before anything is read: what is put into a new folder from now on is told of, what was there already is read.
            if let Err(error) = self.follow() {
                tracing::warn!(%error, "a folder is not watched; SIGHUP reloads what is in it");
            }
            let reload = Arc::clone(&reload);
            if tokio::task::spawn_blocking(move || reload.run()).await.is_err() {
                tracing::error!("a reload failed");
            }
        }
    }
}

/// Whether a reload reads what is at `path`; `named` are the files that the configuration names.
fn interests(path: &Path, named: &[PathBuf]) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    LATER.contains(&name)
        || named.iter().any(|file| file == path)
        || path.extension().is_some_and(|extension| extension == "toml" || extension == "pem")
}
