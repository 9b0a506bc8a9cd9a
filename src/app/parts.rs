//! From files to parts: what every room is handed is made here.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;

use super::client_ca::client_verifier;
use super::config::Config;
use super::home::{Home, HomeError};
use super::init::{InitError, open_root, trusted};
use super::settings;
use crate::agent::{Agents, AppPlaceholders, PlaceholderKey, Registered, Registry};
use crate::audit;
use crate::ca::{self, Issuer};
use crate::decide::{self, Rules};
use crate::model::IdError;
use crate::policy::{Policy, Rule};
use crate::provider::Catalogue;
use crate::proxy::{Listener, Pages};
use crate::seal::{DataKey, Passphrase};
use crate::vault::{self, Snapshot, Store};

/// What an application is made from.
pub struct Setup {
    /// The home folder, initialised.
    pub home: Home,
    /// The configuration, checked.
    pub config: Config,
    /// What opens the vault.
    pub passphrase: Passphrase,
    /// The passphrase is JarvisCore's guessable fallback.
    pub weak_secret: bool,
    /// Agents besides those of the files, such as the one of `nexus run`.
    pub agents: Vec<Registered>,
    /// What is started of it.
    pub planes: Planes,
}

/// What is started of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planes {
    /// The proxy alone.
    Proxy,
    /// The proxy, and the gateway where `gateway.enabled` says so.
    Both,
    /// The gateway alone.
    Gateway,
}

/// Why an application could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The home folder or its CA.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A file of the home folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The configuration names something that can't be used.
    #[error("{key}: {why}")]
    Config {
        /// `section.key`.
        key: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A rule names what there is not.
    #[error("{file}: line {line}: {why}")]
    Rule {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The guessable fallback secret beyond loopback.
    #[error("listening beyond loopback needs a NEXUS_SECRET of its own")]
    WeakSecret,
    /// The guessable fallback secret with a gateway.
    #[error("a gateway needs a NEXUS_SECRET of its own: the fallback can be guessed by whoever has the file")]
    WeakGateway,
    /// No agents beyond loopback.
    #[error("listening beyond loopback needs agents: loopback is the only place where the kernel says who calls")]
    NoAgents,
    /// rustls.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    /// The audit log.
    #[error("the audit log could not be opened")]
    Audit(#[from] audit::Error),
    /// The vault.
    #[error("the vault could not be opened")]
    Vault(#[from] vault::Error),
    /// The CA.
    #[error("the certificate authority could not be used")]
    Ca(#[from] ca::Error),
    /// A socket.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A Unix socket.
    #[error("cannot listen at {}", path.display())]
    UnixListen {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The gateway's socket.
    #[error("the gateway cannot listen on {address}")]
    Gateway {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The consents under way.
    #[error(transparent)]
    Pending(#[from] crate::gateway::PendingError),
    /// A runtime or thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// The one TLS provider.
pub(super) fn crypto() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Draws the first random number for TLS on a thread of its own. It takes some 30 ms of gathering noise, which pass while the vault's
/// key is derived; without it the first caller would wait for them.
pub fn warm_up() {
    let draw = || {
        if crypto().secure_random.fill(&mut [0; 32]).is_err() {
            tracing::error!("the system gives no random numbers for TLS");
        }
    };
    // Without a thread whoever needs the number first draws it.
    drop(std::thread::Builder::new().name("nexus-warm".into()).spawn(draw));
}

pub(super) fn unlock(setup: &Setup) -> Result<DataKey, BuildError> {
    Ok(vault::unlock(&setup.home.vault(), &setup.passphrase)?)
}

pub(super) fn issuer(
    home: &Home,
    key: &DataKey,
    config: &Config,
    crypto: &Arc<CryptoProvider>,
) -> Result<(Issuer, String), BuildError> {
    let root = open_root(home, key)?;
    let settings = ca::Settings { cache_hosts: config.ca.cache_hosts };
    let issuer = Issuer::new(&root, Arc::clone(crypto), settings, SystemTime::now())?;
    Ok((issuer, root.fingerprint_sha256()))
}

pub(super) fn pages(home: &Home, fingerprint: String) -> Result<Pages, BuildError> {
    let bundle = super::home::read_public_text(&home.bundle())?.unwrap_or_default();
    Ok(Pages { ca: trusted(home)?.concat(), bundle, fingerprint })
}

/// The audit log, whose heads are signed with a key of this home.
pub(super) fn log(home: &Home, config: &Config, key: &DataKey) -> Result<Arc<audit::Log>, BuildError> {
    let head_key = Some(Arc::new(audit::HeadKey::open_or_make(&home.audit_key(), key)?));
    Ok(audit::Log::start(audit::Settings { head_key, ..settings::audit(home, config) })?)
}

pub(super) fn placeholder_key(key: &DataKey) -> PlaceholderKey {
    PlaceholderKey::new(key.subkey("placeholders"))
}

/// Of those that a gateway gives to apps. Its nodes are told it, so it is no agent's.
pub(super) fn app_placeholders(key: &DataKey) -> AppPlaceholders {
    AppPlaceholders::new(PlaceholderKey::new(key.subkey("placeholders of apps")))
}

/// All connections as they are now.
pub(super) type Look = Arc<dyn Fn() -> Result<Arc<Snapshot>, vault::Error> + Send + Sync>;

/// Looks into `store`.
pub(super) fn look(store: Arc<Store>) -> Look {
    Arc::new(move || store.snapshot())
}

/// Tells which providers' connections were registered for a host, as they are now; while the vault can't be read, as it had it before.
pub(super) fn registered(look: Look) -> Arc<decide::Registered> {
    let last: ArcSwap<Snapshot> = ArcSwap::default();
    Arc::new(move |host| {
        if let Ok(now) = look() {
            last.store(now);
        }
        last.load().sealed_with(&host.to_string()).to_vec()
    })
}

/// Compiles the catalogue and what people wrote.
pub(super) fn rules(
    catalogue: &Catalogue,
    written: &[Arc<Rule>],
    (config, agents): (&Config, &Registry),
    registered: Arc<decide::Registered>,
) -> Rules {
    let settings = settings::decide(config, agents);
    let policy = Policy::new(written.to_vec(), !settings.allow);
    Rules::compile(catalogue, settings).with_registered(registered).with_policy(policy)
}

/// The agents of both files and `extra`.
pub(super) fn agents(home: &Home, extra: &[Registered]) -> Result<Registry, HomeError> {
    let (registry, mistakes) = agents_again(home, extra, &Registry::default());
    mistakes.into_iter().next().map_or(Ok(registry), Err)
}

/// `agents`, those that are frozen among them.
pub(super) fn frozen(home: &Home, agents: Agents) -> Result<Arc<Agents>, HomeError> {
    agents.store_frozen(home.frozen()?);
    Ok(Arc::new(agents))
}

/// As [`agents`], while a proxy runs: of a file that can't be used, or is gone, the agents are those that `previous` knows; what is
/// wrong with it is told.
pub(super) fn agents_again(home: &Home, extra: &[Registered], previous: &Registry) -> (Registry, Vec<HomeError>) {
    let known =
        |ephemeral| previous.rows().iter().filter(move |row| row.ephemeral == ephemeral && !extra.contains(row)).cloned();
    let mut mistakes = Vec::new();
    let lasting = match home.lasting() {
        // Without them callers would need no token.
        Ok(None) if known(false).next().is_some() => Err(HomeError::Vanished(home.agents_file())),
        lasting => lasting.map(Option::unwrap_or_default),
    };
    let mut rows = lasting.unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        known(false).collect()
    });
    let passing = home.passing().unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        known(true).collect()
    });
    let names: HashSet<_> = rows.iter().map(|row| row.name.clone()).collect();
    rows.extend(passing.into_iter().filter(|row| !names.contains(&row.name)));
    rows.extend(extra.iter().cloned());
    // A proxy that was started for agents of its own, such as that of one `nexus run`, has no other callers.
    (Registry::update(previous, &rows).closed(!extra.is_empty()), mistakes)
}

/// What `nexus up` would refuse in `config` and in what it names, before anything is opened, bound or dialled.
///
/// # Errors
/// As [`BuildError`] says.
pub fn check(home: &Home, config: &Config, weak_secret: bool) -> Result<(), BuildError> {
    permit(config, weak_secret, &agents(home, &[])?)?;
    super::rules::rules(home, config, &Catalogue::with_user_folder(&home.providers()).0)?;
    client_verifier(home, config, &crypto())?;
    check_named(home, config)
}

/// As [`check`], for what the configuration names alone and takes no part of if anything is wrong.
pub(super) fn check_named(home: &Home, config: &Config) -> Result<(), BuildError> {
    listeners(config)?;
    super::gateway::certificate(home, config)?;
    settings::webhook(home, config)?;
    super::traces::destination(home, config)?;
    settings::upstream(home, config).map(drop)
}

/// Whether it may listen where `config` says.
pub(super) fn permit(config: &Config, weak_secret: bool, agents: &Registry) -> Result<(), BuildError> {
    match config.beyond_loopback() {
        true if weak_secret => Err(BuildError::WeakSecret),
        true if !agents.defined() => Err(BuildError::NoAgents),
        _ => Ok(()),
    }
}

/// Where it listens, and for whom.
pub(super) fn listeners(config: &Config) -> Result<Vec<(SocketAddr, Listener)>, BuildError> {
    let shared = config.proxy.listen.iter().map(|address| Ok((*address, Listener { agent: None })));
    let bound = config.proxy.agent_listen.iter().map(|(name, address)| {
        let refuse = |error: IdError| BuildError::Config { key: "proxy.agent_listen", why: error.to_string() };
        Ok((*address, Listener { agent: Some(name.parse().map_err(refuse)?) }))
    });
    shared.chain(bound).collect()
}

/// A listener that is bound to nobody, or a rule that makes callers nobody, answers 407 to everybody. The agent may come later, so this is no error.
pub(super) fn warn_of_strangers(config: &Config, agents: &Registry) {
    let proxy = &config.proxy;
    let peers = proxy.peer.iter().map(|row| ("[[proxy.peer]]", &row.agent));
    let certificates = proxy.client_certificate.iter().map(|row| ("[[proxy.client_certificate]]", &row.agent));
    for (key, name) in peers.chain(certificates).filter(|(_, name)| !agents.agents().any(|known| known.name == **name)) {
        tracing::warn!("{key} names {name}, which is no agent: whom it fits gets 407 until `nexus agent add {name}`");
    }
    for name in
        config.proxy.agent_listen.keys().filter(|name| !agents.agents().any(|known| known.name.as_str() == name.as_str()))
    {
        tracing::warn!("proxy.agent_listen names {name}, which is no agent: it gets 407 until `nexus agent add {name}`");
    }
}

/// A file of the user's own that stands before a provider that ships: its credential stops there, which somebody may not mean.
pub(super) fn warn_of_takeovers(catalogue: &Catalogue) {
    for takeover in catalogue.takeovers() {
        tracing::warn!("{takeover}");
    }
}
