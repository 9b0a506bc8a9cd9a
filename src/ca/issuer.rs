//! `Issuer`: leaf certificates and the TLS configurations that show them, one per host, made once.
//!
//! All leaves of a run share one key, so that a new host costs one signature. The cache is bounded, two callers that ask for
//! the same new host wait for one signature, and a leaf is made anew at half its life.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ResolvesServerCertUsingSni, WantsServerCert};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ConfigBuilder, ServerConfig, WantsVerifier};

use super::leaf;
use super::root::check_range;
use super::signer::Signer;
use super::ticket::HostTickets;
use super::{Error, Root};
use crate::model::Host;

/// The bounds of an [`Issuer`].
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many hosts' leaf certificates are kept; one costs about 2 KiB. At least 1.
    pub cache_hosts: usize,
}

/// Signs leaf certificates and hands out the TLS configuration for each host. Shared by all workers.
pub struct Issuer {
    signer: Arc<rcgen::Issuer<'static, Signer>>,
    root_validity: Range<SystemTime>,
    template: ServerConfig,
    /// For proxy ports that want to see certificates.
    asking: ArcSwapOption<Asking>,
    run: OnceLock<Run>,
    leaves: Cache<Host, Arc<Leaf>>,
    /// By the address that callers came to; not among `leaves`, since these name more than one host.
    doors: Cache<Host, Arc<Leaf>>,
    minted: AtomicU64,
}

/// How callers are asked for certificates.
struct Asking {
    template: ServerConfig,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// What all leaves of a run share; drawn late, because the first random bytes of a process take some 30 ms.
struct Run {
    key: Signer,
    signing: Arc<dyn SigningKey>,
    ticketer: Arc<dyn ProducesTickets>,
}

/// How many addresses of our own have a certificate kept.
const DOORS: usize = 64;

/// One host's certificate and the configurations made of it so far.
struct Leaf {
    /// From its first valid moment to half its life; outside, it is made anew, whichever way the clock went.
    fresh: Range<SystemTime>,
    resolver: Arc<SingleCertAndKey>,
    named: OnceLock<Arc<ServerConfig>>,
    unnamed: OnceLock<Arc<ServerConfig>>,
}

impl Issuer {
    /// An issuer that signs with `root` and speaks TLS 1.2 and 1.3 with `provider`.
    ///
    /// # Errors
    /// A root that is not valid at `now`, or a provider that cannot do both versions.
    pub fn new(root: &Root, provider: Arc<CryptoProvider>, settings: Settings, now: SystemTime) -> Result<Self, Error> {
        let root_validity = root.not_before()..root.not_after();
        check_range(&root_validity, now)?;
        Ok(Self {
            signer: root.issuer(),
            root_validity,
            template: template(provider)?,
            asking: ArcSwapOption::empty(),
            run: OnceLock::new(),
            leaves: Cache::new(settings.cache_hosts.max(1)),
            doors: Cache::new(DOORS),
            minted: AtomicU64::new(0),
        })
    }

    /// From now on callers of the proxy's own TLS are asked for certificates, which `verifier` judges; with `None` they are not.
    ///
    /// # Errors
    /// A provider that cannot do both versions; then all is as it was.
    pub(crate) fn ask(&self, verifier: Option<Arc<dyn ClientCertVerifier>>) -> Result<(), Error> {
        let asking = verifier.map(|verifier| {
            let (provider, judge) = (Arc::clone(self.template.crypto_provider()), Arc::clone(&verifier));
            let template = common(provider, |builder| builder.with_client_cert_verifier(judge))?;
            Ok::<_, Error>(Arc::new(Asking { template, verifier }))
        });
        self.asking.store(asking.transpose()?);
        Ok(())
    }

    /// What judges callers' certificates, if they are asked for any.
    pub(crate) fn verifier(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        self.asking.load().as_ref().map(|asking| Arc::clone(&asking.verifier))
    }

    /// Draws the key and the ticketer of this run, which the first handshake would wait for otherwise. Blocks some 30 ms.
    ///
    /// # Errors
    /// A failing random source.
    pub fn warm(&self) -> Result<(), Error> {
        self.run().map(|_drawn| ())
    }

    /// The configuration for an intercepted tunnel to `host`: ALPN `h2, http/1.1`, whatever name the caller asks for.
    ///
    /// `sni` says whether the caller sent a server name. Without one it gets no session ticket: there would be nothing to
    /// check on resumption (RFC 8446 §4.6.1). That the name equals `host` is for the caller of this to check.
    ///
    /// # Errors
    /// An expired root, a clock before its start, or a failing random source.
    pub fn server_config(&self, host: &Host, sni: bool) -> Result<Arc<ServerConfig>, Error> {
        self.server_config_at(host, sni, SystemTime::now())
    }

    /// [`Issuer::server_config`] as of `now`.
    ///
    /// # Errors
    /// As there.
    pub fn server_config_at(&self, host: &Host, sni: bool, now: SystemTime) -> Result<Arc<ServerConfig>, Error> {
        let run = self.run()?;
        let leaf = self.leaf(&self.leaves, run, (host, &[]), now)?;
        let config = if sni && host.name().is_some() {
            leaf.named.get_or_init(|| {
                let mut config = self.config(&leaf);
                config.ticketer = Arc::new(HostTickets::new(&host.to_string(), Arc::clone(&run.ticketer)));
                config.send_tls13_tickets = 1;
                Arc::new(config)
            })
        } else {
            leaf.unnamed.get_or_init(|| Arc::new(self.config(&leaf)))
        };
        Ok(Arc::clone(config))
    }

    /// The configuration for a proxy port that itself speaks TLS and is reached at `host`: ALPN `http/1.1` only, no tickets.
    ///
    /// The certificate names `host` and all of `other`: whoever reaches us by a forwarded port, or sends no server name, is
    /// shown the name he knows. `other` is the same in every call.
    ///
    /// # Errors
    /// As for [`Issuer::server_config`].
    pub fn listener_config(&self, host: &Host, other: &[Host]) -> Result<Arc<ServerConfig>, Error> {
        let leaf = self.leaf(&self.doors, self.run()?, (host, other), SystemTime::now())?;
        let made = |template: &ServerConfig| {
            let mut config = template.clone();
            config.cert_resolver = Arc::clone(&leaf.resolver) as _;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(config)
        };
        // Made for each handshake, so that none is held against what was in force before.
        if let Some(asking) = &*self.asking.load() {
            return Ok(made(&asking.template));
        }
        Ok(Arc::clone(leaf.unnamed.get_or_init(|| made(&self.template))))
    }

    /// How many hosts the cache holds now.
    pub fn cached_hosts(&self) -> usize {
        self.leaves.len()
    }

    /// How many leaf certificates it has signed.
    pub fn minted(&self) -> u64 {
        self.minted.load(Ordering::Relaxed)
    }

    /// The host's leaf in `kept`, made if there is none that is fresh.
    fn leaf(
        &self,
        kept: &Cache<Host, Arc<Leaf>>,
        run: &Run,
        names: (&Host, &[Host]),
        now: SystemTime,
    ) -> Result<Arc<Leaf>, Error> {
        check_range(&self.root_validity, now)?;
        let (host, _other) = names;
        if let Some(leaf) = kept.get(host) {
            if leaf.fresh.contains(&now) {
                return Ok(leaf);
            }
            kept.remove_if(host, |leaf| !leaf.fresh.contains(&now));
        }
        kept.get_or_insert_with(host, || self.mint(run, names, now).map(Arc::new))
    }

    fn mint(&self, run: &Run, names: (&Host, &[Host]), now: SystemTime) -> Result<Leaf, Error> {
        let validity = leaf::validity(&self.root_validity, now)?;
        let certificate = leaf::mint(&self.signer, &run.key, names, &validity)?;
        self.minted.fetch_add(1, Ordering::Relaxed);
        let half = validity.end.duration_since(now).map_or(now, |left| now + left / 2);
        Ok(Leaf {
            fresh: validity.start..half,
            resolver: Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate], Arc::clone(&run.signing)))),
            named: OnceLock::new(),
            unnamed: OnceLock::new(),
        })
    }

    fn config(&self, leaf: &Leaf) -> ServerConfig {
        let mut config = self.template.clone();
        config.cert_resolver = Arc::clone(&leaf.resolver) as _;
        config
    }

    /// Two first callers may both draw; one draw is kept.
    fn run(&self) -> Result<&Run, Error> {
        if let Some(run) = self.run.get() {
            return Ok(run);
        }
        let key = Signer::generate()?;
        let signing = self.template.crypto_provider().key_provider.load_private_key(key.to_der()).map_err(Error::Tls)?;
        let ticketer = Ticketer::new().map_err(Error::Tls)?;
        Ok(self.run.get_or_init(|| Run { key, signing, ticketer }))
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Issuer").field("cached_hosts", &self.cached_hosts()).finish_non_exhaustive()
    }
}

/// What all configurations have in common; it knows no certificate yet.
fn template(provider: Arc<CryptoProvider>) -> Result<ServerConfig, Error> {
    let provider = Arc::new(prefer_aes_128(Arc::unwrap_or_clone(provider)));
    common(provider, |builder| builder.with_no_client_auth())
}

fn common(
    provider: Arc<CryptoProvider>,
    callers: impl FnOnce(ConfigBuilder<ServerConfig, WantsVerifier>) -> ConfigBuilder<ServerConfig, WantsServerCert>,
) -> Result<ServerConfig, Error> {
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12]).map_err(Error::Tls)?;
    let mut config = callers(builder).with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// AES-128-GCM first, as the cheapest where the hardware knows AES; ChaCha20 last, for callers that offer only that.
fn prefer_aes_128(mut provider: CryptoProvider) -> CryptoProvider {
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => 2,
        _ => 1,
    });
    provider
}
