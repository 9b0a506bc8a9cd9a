//! What changes while we run: providers, agents, the default policy. A bad file leaves the old one live.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::config::Config;
use super::home::Home;
use super::{parts, sealed};
use crate::agent::Registered;
use crate::provider::Catalogue;
use crate::proxy::Proxy;
use crate::vault::Store;

/// Changes that come close together are taken as one.
const SETTLE: Duration = Duration::from_millis(20);

/// What a reload reads again.
pub(super) struct Reload {
    pub(super) home: Home,
    pub(super) overrides: Vec<(String, String)>,
    pub(super) extra_agents: Vec<Registered>,
    pub(super) proxy: Arc<Proxy>,
    pub(super) store: Arc<Store>,
}

impl Reload {
    /// Reads everything again; each part that is right takes effect, each that is wrong is told of and stays as it was.
    pub(super) fn run(&self) {
        match parts::agents(&self.home, &self.extra_agents, &self.proxy.agents.load()) {
            Ok(registry) => self.proxy.agents.store(Arc::new(registry)),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "agents.toml was not taken; the old one stays");
            }
        }
        match self.home.config(&self.overrides) {
            Ok(config) => self.rules(&config),
            Err(error) => tracing::error!("nexus.toml was not taken; the old one stays: {error}"),
        }
    }

    fn rules(&self, config: &Config) {
        let (catalogue, mistakes) = Catalogue::with_user_folder(&self.home.providers());
        for mistake in &mistakes {
            tracing::error!("a provider file was not taken: {mistake}");
        }
        if !mistakes.is_empty() {
            return;
        }
        self.proxy.rules.store(Arc::new(parts::rules(&catalogue, config, &self.proxy.agents.load())));
        tracing::info!("configuration taken");
        match self.store.snapshot() {
            Ok(vault) => sealed::tell(&catalogue, &vault),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the vault cannot be read"),
        }
    }
}

/// Tells of changes in the home folder and its `providers/`. The watcher lives as long as what is returned.
pub(super) fn watch(home: &Home) -> notify::Result<(notify::RecommendedWatcher, mpsc::Receiver<()>)> {
    let (tell, told) = mpsc::channel(1);
    let interesting = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name == "nexus.toml" || name == "agents.toml" || path.extension().is_some_and(|extension| extension == "toml")
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let relevant = event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| interesting(path)));
        if relevant {
            // Full means that a reload is due already.
            if tell.try_send(()).is_err() {
                tracing::trace!("a reload is due already");
            }
        }
    })?;
    watcher.watch(home.path(), RecursiveMode::NonRecursive)?;
    if home.providers().is_dir() {
        watcher.watch(&home.providers(), RecursiveMode::NonRecursive)?;
    }
    Ok((watcher, told))
}

/// Reloads on each word from `told`, until nobody can say one any more.
pub(super) async fn on_change(reload: Arc<Reload>, mut told: mpsc::Receiver<()>) {
    while told.recv().await.is_some() {
        tokio::time::sleep(SETTLE).await;
        while told.try_recv().is_ok() {}
        let reload = Arc::clone(&reload);
        if tokio::task::spawn_blocking(move || reload.run()).await.is_err() {
            tracing::error!("a reload failed");
        }
    }
}
