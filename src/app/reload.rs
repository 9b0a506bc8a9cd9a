//! What changes while we run: providers, agents, the default policy, the root that signs. A bad file leaves the old one live.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::announced::InForce;
use super::client_ca;
use super::config::{Config, Unmatched, Verdict};
use super::home::{Home, HomeError};
use super::parts;
use super::parts::BuildError;
use super::restart::waiting;
use super::rules::rules_digest;
use super::settings;
use crate::agent::Registered;
use crate::attention::stamp;
use crate::audit::Log;
use crate::ca;
use crate::gateway::{Gateway, ProviderFiles};
use crate::node::Held;
use crate::policy::Rule;
use crate::provider::{Catalogue, Shelf};
use crate::proxy::{Pages, Proxy};
use crate::registration;
use crate::seal::DataKey;
use crate::vault::Store;

/// What a reload reads again.
pub(super) struct Reload {
    pub(super) home: Home,
    pub(super) overrides: Vec<(String, String)>,
    pub(super) extra_agents: Vec<Registered>,
    pub(super) live: Mutex<Live>,
    pub(super) root: SigningRoot,
    pub(super) proxy: Arc<Proxy>,
    pub(super) store: Arc<Store>,
    pub(super) gateway: Option<Arc<Gateway>>,
    /// What others than the proxy see of the catalogue.
    pub(super) catalogue: Arc<ArcSwap<Catalogue>>,
    pub(super) look: parts::Look,
    /// Where the proxy listens.
    pub(super) addresses: Vec<SocketAddr>,
    /// The gateway's connections, where they are taken from one.
    pub(super) node: Option<Arc<Held>>,
    /// What people change is told to it.
    pub(super) log: Arc<Log>,
}

/// What was taken last of each part.
pub(super) struct Live {
    pub(super) config: Config,
    /// The configuration of the start, whose addresses and bounds are in force.
    started: Config,
    /// The configuration came from a file: then that file does not just go.
    from_file: bool,
    catalogue: Catalogue,
    written: Vec<Arc<Rule>>,
    in_force: InForce,
    /// Of callers; `None` at first, since a file may have changed while the proxy started.
    callers: Option<client_ca::Written>,
}

impl Live {
    /// What the start took.
    pub(super) fn new(home: &Home, config: &Config, catalogue: Catalogue, written: Vec<Arc<Rule>>) -> Mutex<Self> {
        let from_file = !matches!(home.config_text(), Ok(None));
        let digest = rules_digest(&written, config);
        let agents = home.agents_digest().unwrap_or_default();
        let in_force = InForce { digest, since: stamp(SystemTime::now()), mistake: None, agents };
        Mutex::new(Self {
            config: config.clone(),
            started: config.clone(),
            from_file,
            catalogue,
            written,
            in_force,
            callers: None,
        })
    }

    /// What of `config` is new and does not take effect now.
    fn tell_waiting(&self, config: &Config) {
        let keys = waiting(&self.started, config);
        if !keys.is_empty() && !waiting(&self.config, config).is_empty() {
            tracing::warn!(keys = keys.join(", "), "these keys take effect at the next start of the proxy");
        }
    }
}

/// Which root signs, and what opens its key once there is another.
pub(super) struct SigningRoot {
    key: DataKey,
    fingerprint: Mutex<String>,
}

impl SigningRoot {
    /// The root that `pages` tell of.
    pub(super) fn new(key: DataKey, pages: &Pages) -> Self {
        Self { key, fingerprint: Mutex::new(pages.fingerprint.clone()) }
    }
}

/// `nexus.toml`, and the rules of all files.
type Written = (Config, Vec<Arc<Rule>>);

impl Reload {
    /// Has the gateway add providers and change agents through it.
    pub(super) fn shared(self) -> Arc<Self> {
        let shared = Arc::new(self);
        if let Some(gateway) = &shared.gateway {
            let (reread, asked) = (Arc::downgrade(&shared), Arc::downgrade(&shared));
            gateway.take_provider_files(ProviderFiles {
                shelf: Shelf::at(shared.home.providers()),
                reread: Box::new(move || reread.upgrade().iter().for_each(|reload| reload.reread_providers())),
                is_open: Box::new(move || asked.upgrade().is_some_and(|reload| reload.is_open())),
            });
            gateway.take_trials(super::tried::trials(&shared));
            gateway.take_roster(super::roster::roster(&shared, &shared.addresses));
            gateway.take_insight(super::insight::insight(&shared));
        }
        shared
    }

    /// Reads the files of agents again, and nothing else.
    pub(super) fn reread_agents(&self) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.proxy.agents.load().defined();
        let digest = self.agents_of_others();
        self.agents_taken(&mut live, (before, digest));
    }

    /// Has `change` write files of agents, and takes them up where it did. It has told the log who it is for.
    ///
    /// # Errors
    /// Those of `change`.
    pub(super) fn change_agents(&self, change: impl FnOnce(&Home) -> Result<bool, HomeError>) -> Result<bool, HomeError> {
        // Held from before anything is written, and others' changes are taken before: so each is told once, as whose it is.
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.proxy.agents.load().defined();
        let others = self.agents_of_others();
        let done = change(&self.home);
        let digest = if matches!(done, Ok(true)) { self.agents() } else { others };
        self.agents_taken(&mut live, (before, digest));
        done
    }

    fn agents_taken(&self, live: &mut Live, (before, digest): (bool, Option<String>)) {
        // What the rules know of agents is whether there are any.
        if self.proxy.agents.load().defined() != before {
            self.rules(live, false);
        }
        self.tell_agents(live, digest);
    }

    /// Takes the agents of the files; those of a file with a mistake stay as they were. Answers a digest of the files if all were right.
    fn agents(&self) -> Option<String> {
        // What is written from now on may be taken and is not in it: then another look will tell.
        let digest = self.home.agents_digest();
        let (registry, mistakes) = parts::agents_again(&self.home, &self.extra_agents, &self.proxy.agents.load());
        self.proxy.agents.store(Arc::new(registry));
        let frozen_taken = super::frozen::again(&self.home, &self.proxy.agents);
        for mistake in &mistakes {
            tracing::error!(error = mistake as &dyn std::error::Error, "agents were not taken; the old ones stay");
        }
        digest.ok().filter(|_| mistakes.is_empty() && frozen_taken)
    }

    /// The same of what others wrote, which is told to the log.
    fn agents_of_others(&self) -> Option<String> {
        let agents = &self.proxy.agents;
        let (registry, frozen) = (agents.load_full(), agents.frozen());
        let digest = self.agents();
        // The proxy of one `nexus run` is there for its own agents; others of the home tell of the rest.
        if self.extra_agents.is_empty() {
            super::told::agents(&self.log, &registry, &agents.load());
            super::told::frozen(&self.log, &frozen, &agents.frozen());
        }
        digest
    }

    /// Reads provider files again, and nothing else.
    fn reread_providers(&self) {
        self.rules(&mut self.live.lock().unwrap_or_else(PoisonError::into_inner), false);
    }

    /// Whether callers reach hosts that nobody wrote about.
    fn is_open(&self) -> bool {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.config.policy.default != Some(Verdict::Deny) && live.config.proxy.unmatched != Unmatched::Refuse
    }

    /// Reads everything again; each part that is right takes effect, each that is wrong is told of and stays as it was. A file that is
    /// gone or empty, and was not before, is wrong: editors empty a file before they write it, and that moment must open nothing.
    pub(super) fn run(&self) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let agents = self.agents_of_others();
        let agents_taken = self.keys() && agents.is_some();
        let config = self.config(&mut live);
        let mistake = config.err().inspect(|mistake| tracing::error!("{mistake}"));
        let config_taken = mistake.is_none();
        self.tell_rules(&mut live, mistake);
        self.certificate(&live.started);
        let callers_taken = self.callers(&mut live);
        self.rules(&mut live, agents_taken && config_taken && callers_taken);
        self.tell_agents(&mut live, agents);
        if let Err(error) = self.roots(&live.config) {
            tracing::error!(error = &error as &dyn std::error::Error, "the CA's files were not taken; the old root signs");
        }
    }

    /// The rules and what holds where none of them fits are taken together or not at all.
    ///
    /// # Errors
    /// Why nothing was taken.
    fn config(&self, live: &mut Live) -> Result<(), String> {
        let written = self.written(live).map_err(|error| match &error {
            BuildError::Rule { .. } | BuildError::Home(HomeError::Policy(_)) => {
                format!("the policy was not taken; the old one stays, and the old nexus.toml: {error}")
            }
            _ => {
                // A mistake in the file says where it is; what the system said is a cause.
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                format!("nexus.toml was not taken; the old one stays: {error}{cause}")
            }
        })?;
        match written {
            Some((config, written)) => {
                live.tell_waiting(&config);
                parts::warn_of_strangers(&config, &self.proxy.agents.load());
                live.from_file |= self.home.config_file().exists();
                self.proxy.attention.bound(settings::attention(&config));
                (live.config, live.written) = (config, written);
                Ok(())
            }
            None if live.from_file => {
                let gone = HomeError::Vanished(self.home.config_file());
                Err(format!("nexus.toml was not taken; the old one stays: {gone}"))
            }
            None => Ok(()),
        }
    }

    /// The configuration and the rules that were taken last.
    pub(super) fn taken(&self) -> (Config, Vec<Arc<Rule>>) {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        (live.config.clone(), live.written.clone())
    }

    /// Which rules are in force.
    pub(super) fn in_force(&self) -> InForce {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).in_force.clone()
    }

    /// Writes down which rules are in force, for commands that read those on disk.
    fn tell_rules(&self, live: &mut Live, mistake: Option<String>) {
        let digest = rules_digest(&live.written, &live.config);
        let since = if digest == live.in_force.digest { live.in_force.since.clone() } else { stamp(SystemTime::now()) };
        self.announce(live, InForce { digest, since, mistake, agents: live.in_force.agents.clone() });
    }

    /// Writes down which agents are in force, for commands that changed them.
    fn tell_agents(&self, live: &mut Live, digest: Option<String>) {
        if let Some(agents) = digest {
            self.announce(live, InForce { agents, ..live.in_force.clone() });
        }
    }

    fn announce(&self, live: &mut Live, now: InForce) {
        if live.in_force == now {
            return;
        }
        live.in_force = now;
        if let Err(error) = self.home.announce_rules(&live.in_force) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "which rules and agents are in force was not written down"
            );
        }
    }

    /// The files to watch besides those of the home.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        super::watch::files(&self.home, &live.started, &live.config)
    }

    /// Takes the gateway's keys; a file that can't be used leaves the old ones in force.
    fn keys(&self) -> bool {
        let Some(gateway) = &self.gateway else { return true };
        match super::gateway::keys_again(&self.home, gateway) {
            Ok(keys) => gateway.take_keys(keys),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "keys of the gateway were not taken; the old ones stay"
                );
                return false;
            }
        }
        true
    }

    /// Takes the certificate that the gateway shows, and its key; files that can't be used, or don't belong together yet, leave the old ones.
    fn certificate(&self, started: &Config) {
        let Some(gateway) = &self.gateway else { return };
        match super::gateway::tls(&self.home, started, &gateway.itself) {
            Ok(tls) => gateway.take_tls(tls),
            Err(error) => tracing::error!("the gateway's certificate was not taken; the old one stays: {error}"),
        }
    }

    /// Takes the rules by which callers are known without a token, and the authorities and lists that judge their certificates: all of it
    /// or nothing.
    fn callers(&self, live: &mut Live) -> bool {
        let written = client_ca::Written::of(&self.home, &live.config);
        if live.callers.as_ref() == Some(&written) {
            return true;
        }
        let verifier = client_ca::client_verifier(&self.home, &live.config, &parts::crypto());
        if let Err(error) = verifier.and_then(|verifier| Ok(self.proxy.issuer.load().ask(verifier)?)) {
            tracing::error!("who callers are was not taken; the old authorities, lists and rules stay: {error}");
            return false;
        }
        self.proxy.callers.store(settings::callers(&live.config));
        live.callers = Some(written);
        true
    }

    /// `nexus.toml` and the rules as they stand now; `None` where the file is gone or empty and something relied on it.
    fn written(&self, live: &Live) -> Result<Option<Written>, BuildError> {
        let config = match self.home.written_config(&self.overrides)? {
            Some(config) => config,
            None if live.from_file => return Ok(None),
            // There never was one: the rules of other files are all that there is.
            None => live.config.clone(),
        };
        parts::check_named(&self.home, &config)?;
        let there = || super::rules::vanished(&live.written).map_or(Ok(()), |gone| Err(HomeError::Vanished(gone)));
        there()?;
        let (catalogue, _told_later) = live.catalogue.again(&self.home.providers());
        let written = super::rules::rules(&self.home, &config, &catalogue)?;
        // Or it went between the two looks, and its rules were not read.
        there()?;
        Ok(Some((config, written)))
    }

    /// A rotation changes what signs, and every step of it what callers should trust.
    fn roots(&self, config: &Config) -> Result<(), BuildError> {
        let mut signing = self.root.fingerprint.lock().unwrap_or_else(PoisonError::into_inner);
        let there = super::home::read_public_text(&self.home.ca())?.unwrap_or_default();
        let there = ca::describe(&there)?.into_iter().next().map(|about| about.sha256);
        if there.is_some_and(|there| there != *signing) {
            let (issuer, fingerprint) = parts::issuer(&self.home, &self.root.key, config, &parts::crypto())?;
            issuer.warm()?;
            issuer.ask(self.proxy.issuer.load().verifier())?;
            self.proxy.issuer.store(Arc::new(issuer));
            tracing::info!(sha256 = fingerprint, "another root signs from now on");
            *signing = fingerprint;
        }
        self.proxy.pages.store(Arc::new(parts::pages(&self.home, signing.clone())?));
        Ok(())
    }

    /// A provider file with a mistake leaves its old provider, and nothing else, as it was.
    fn rules(&self, live: &mut Live, others_taken: bool) {
        let (catalogue, mistakes) = live.catalogue.again(&self.home.providers());
        for mistake in &mistakes {
            tracing::error!("a provider file was not taken: {mistake}");
        }
        parts::warn_of_takeovers(&catalogue);
        let registered = parts::registered(Arc::clone(&self.look));
        let rules = parts::rules(&catalogue, &live.written, (&live.config, &self.proxy.agents.load()), registered);
        self.proxy.rules.store(Arc::new(rules));
        if others_taken && mistakes.is_empty() {
            tracing::info!("configuration taken");
        }
        match self.store.snapshot() {
            Ok(vault) => registration::tell(&catalogue, &vault),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the vault cannot be read"),
        }
        self.catalogue.store(Arc::new(catalogue.clone()));
        live.catalogue = catalogue;
    }
}
