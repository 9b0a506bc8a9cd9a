//! `Node`: what makes a proxy take its connections from a gateway, as the environment or `$NEXUS_HOME/.env` names it.

mod asked;
mod consent;
mod key;
mod link;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use ipnet::IpNet;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::config::Config;
use super::home::{Home, HomeError};
use super::parts::{self, BuildError};
use super::secret::dotenv_value;
use super::settings;
use crate::agent::AppPlaceholders;
use crate::broker;
use crate::ca;
use crate::disk;
use crate::model::{Authority, Host, Scheme, Secret};
use crate::node::{self, Door, Held, Url};
use crate::upstream::{self, Dialler};
use crate::vault::{Snapshot, Store};

pub use self::asked::{AskError, Typed};
pub use self::consent::Consent;
use self::key::{Place, key};
use self::link::unserved;
pub use self::link::{Link, Unheard};
pub use crate::node::UrlError;

/// How long the first requests wait for the gateway's connections.
const FIRST: Duration = Duration::from_secs(5);

/// How long it may take to answer a command.
const ANSWER: Duration = Duration::from_secs(60);

/// The largest file with a key or certificates that is read.
const LIMIT: u64 = 256 * 1024;

/// A gateway, and how this machine shows itself to it.
#[derive(Debug)]
pub struct Node {
    url: Url,
    key: Option<Secret<String>>,
    /// Where the key is, if it may change there while we run.
    place: Option<Place>,
    /// Who may have signed the gateway's certificate; `None` = whom everything else trusts.
    roots: Option<Vec<CertificateDer<'static>>>,
}

/// Why the gateway that was named can't be used.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// `NEXUS_GATEWAY_URL`.
    #[error("NEXUS_GATEWAY_URL can't be used")]
    Url(#[from] UrlError),
    /// `NEXUS_GATEWAY_KEY`.
    #[error("NEXUS_GATEWAY_KEY is not a key: it holds spaces, line ends or other letters than keys have")]
    Key,
    /// A file that was named is not there.
    #[error("there is no file {0}")]
    Missing(PathBuf),
    /// A file that was named can't be read.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: disk::Error,
    },
    /// No certificates.
    #[error("{0} holds no certificate in PEM form")]
    Certificates(PathBuf),
    /// The home folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The configuration.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Node {
    /// The gateway that `NEXUS_GATEWAY_URL` names, with what is beside it; `None` where none is named. `variable` reads the environment.
    ///
    /// # Errors
    /// As [`NodeError`] says: what is named but can't be used is never passed over.
    pub fn find(home: &Home, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, NodeError> {
        let given = |name: &str| variable(name).filter(|text| !text.is_empty());
        let Some(url) = given("NEXUS_GATEWAY_URL")
            .map(Secret::new)
            .map_or_else(|| dotenv_value(home, "NEXUS_GATEWAY_URL"), |url| Ok(Some(url)))?
        else {
            return Ok(None);
        };
        let url = url.expose().parse()?;
        let (key, place) = key(home, &given)?.unzip();
        let named = given("NEXUS_GATEWAY_CA").map(PathBuf::from);
        let roots = match named {
            Some(path) => Some(certificates(&path)?.ok_or(NodeError::Missing(path))?),
            None => certificates(&home.gateway_ca())?,
        };
        Ok(Some(Self { url, key, place: place.flatten(), roots }))
    }

    /// As [`Node::find`], where somebody gave a key for it; without one what is named is nobody's to take connections from.
    ///
    /// # Errors
    /// As [`NodeError`] says.
    pub fn find_lender(home: &Home, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, NodeError> {
        let given = |name: &str| variable(name).filter(|text| !text.is_empty());
        if key(home, &given)?.is_none() { Ok(None) } else { Self::find(home, variable) }
    }

    /// Whether it is there to take connections from: somebody gave a key for it, and it isn't the one of this home.
    ///
    /// # Errors
    /// When the keys of this home's gateway can't be read.
    pub fn lends(&self, home: &Home, config: &Config) -> Result<bool, HomeError> {
        let Some(key) = &self.key else { return Ok(false) };
        Ok(!(self.is_at(config) && home.gateway_knows(key)?))
    }

    /// Where it is, as it would be written in a variable.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// Where it is.
    pub(super) fn authority(&self) -> &Authority {
        &self.url.authority
    }

    /// Whether it is the gateway that is up in this home: what it keeps is in the vault here.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn is_local(&self, home: &Home) -> Result<bool, HomeError> {
        let same = |address: SocketAddr| self.is_address(address);
        Ok(home.local_gateway()?.is_some_and(|gateway| same(gateway.address)))
    }

    /// Whether it is where `config` has a gateway of its own listen.
    fn is_at(&self, config: &Config) -> bool {
        self.is_address(config.gateway.listen)
    }

    /// Whether a program that listens on `address` of this machine is meant.
    fn is_address(&self, address: SocketAddr) -> bool {
        let Authority { host, port } = &self.url.authority;
        let loopback = match host {
            Host::Ip(named) => named.is_loopback(),
            Host::Name(name) => &**name == "localhost",
        };
        let everywhere = address.ip().is_unspecified() && loopback;
        *port == address.port()
            && (everywhere || address.ip().is_loopback() && loopback || *host == Host::from(address.ip().to_canonical()))
    }

    /// The way to it, with the dialler that everything has, but trusting its own authority alone where one is known.
    fn door(&self, home: &Home, config: &Config) -> Result<Door, NodeError> {
        let mut settings = settings::upstream(home, config)?;
        // It is where a person says it is.
        settings.allow_private = vec![IpNet::V4(ipnet::Ipv4Net::default()), IpNet::V6(ipnet::Ipv6Net::default())];
        if self.url.scheme == Scheme::Http {
            settings.parent = None;
        }
        let crypto = parts::crypto();
        let dialler = match &self.roots {
            Some(roots) => Dialler::pinned(settings, &crypto, roots),
            None => Dialler::new(settings, &crypto),
        };
        let dialler = dialler.map_err(BuildError::Tls)?;
        Door::new(dialler, self.url.clone(), self.key.as_ref()).ok_or(NodeError::Key)
    }

    /// Asks it once; `body` is JSON.
    ///
    /// # Errors
    /// As [`AskError`] says.
    pub async fn ask(
        &self,
        (home, config): (&Home, &Config),
        method: Method,
        path: &str,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Value, AskError> {
        let door = self.door(home, config)?;
        let asked = timeout(ANSWER, door.ask(method, path, body.map(Bytes::from_owner))).await;
        let text = asked.unwrap_or(Err(node::Error::Silent)).map_err(AskError::new)?;
        serde_json::from_slice(&text).map_err(|_text| AskError::NoGateway)
    }

    /// Has it store what a person typed, as `nexus register` does here.
    ///
    /// # Errors
    /// As [`AskError`] says.
    pub async fn register(&self, place: (&Home, &Config), typed: &Typed<'_>) -> Result<Value, AskError> {
        let text = typed.json();
        self.ask(place, Method::POST, "/api/connections", Some(text)).await
    }

    /// All connections that a node of it has at this moment: those that it lends, and of `store` those that it doesn't know.
    ///
    /// # Errors
    /// As [`AskError`] says.
    pub async fn connections(&self, (home, config): (&Home, &Config), store: &Store) -> Result<Snapshot, AskError> {
        let door = self.door(home, config)?;
        let lent = timeout(FIRST, node::look_once(&door)).await.unwrap_or(Err(node::Error::Silent)).map_err(AskError::new)?;
        let own = store.snapshot().map_err(|error| AskError::Named(BuildError::Vault(error).into()))?;
        let served = Link::served(home).map_err(|error| AskError::Named(error.into()))?;
        let credentials = lent.iter().filter(|(_, entry)| !entry.is_app_alone()).map(|(id, _)| id);
        let own = unserved(&own, served.iter().chain(credentials));
        let mut all = lent;
        all.extend(own.iter().map(|(id, entry)| (id.clone(), Arc::clone(entry))));
        Ok(Snapshot::gathered(own.generation(), all))
    }

    /// Whether a person said which authority may have signed the gateway's certificate.
    pub fn is_pinned(&self) -> bool {
        self.roots.is_some()
    }

    /// The gateway at `url`, whose certificate's authority is in `pem`, or, where there is no text, the last certificate that it shows itself.
    /// The handshake has been made with it: it is really the one that signed.
    ///
    /// # Errors
    /// As [`AskError`] says.
    pub async fn offered(place: (&Home, &Config), url: &str, pem: Option<&str>) -> Result<String, AskError> {
        let url: Url = url.parse().map_err(NodeError::Url)?;
        if url.scheme == Scheme::Http {
            return Err(AskError::Failed("http:// has no certificate; nothing is to be trusted".to_owned()));
        }
        let mut node = Self { url, key: None, place: None, roots: None };
        let root = match pem {
            Some(pem) => pem_certificates(pem.as_bytes()),
            None => {
                let shown = node.door(place.0, place.1)?.peek(&parts::crypto()).await.map_err(AskError::new)?;
                shown.into_iter().next_back().into_iter().collect()
            }
        };
        if root.is_empty() {
            return Err(AskError::Failed("no certificate was shown: it speaks no TLS".to_owned()));
        }
        let text = root.iter().map(|root| ca::pem(root)).collect();
        node.roots = Some(root);
        match node.door(place.0, place.1)?.knock().await {
            Ok(()) => Ok(text),
            Err(node::Error::Unreachable(upstream::Error::Tls { .. })) if pem.is_none() => Err(AskError::Failed(
                "it shows its own certificate but not the authority that signed it; get that one's file from there and name it by --ca".to_owned(),
            )),
            Err(error) => Err(AskError::Failed(node::told(&error))),
        }
    }

    /// The copies of its connections, before `store`; `apps` learns its apps' placeholders.
    pub(super) fn hold(
        &self,
        home: &Home,
        config: &Config,
        (store, apps): (&Arc<Store>, &Arc<AppPlaceholders>),
    ) -> Result<Held, NodeError> {
        let settings = node::Settings {
            url: self.url.clone(),
            grace: Duration::from_secs(config.gateway.grace_secs),
            answer: Duration::from_secs(config.renewal.wait_secs),
            file: home.node_file(),
        };
        let local = broker::Home::new(Arc::clone(store), home.locks());
        let door = match self.place.clone() {
            Some(place) => {
                let home = home.clone();
                self.door(&home, config)?.rereading(Box::new(move || place.key(&home).ok().flatten()))
            }
            None => self.door(home, config)?,
        };
        Ok(Held::new(settings, door, (local, Arc::clone(store)), Arc::clone(apps)))
    }
}

/// Keeps the link up from now on, and waits for the first word, so that no caller is refused for being early.
pub(super) async fn begin(held: &Arc<Held>) {
    tokio::spawn(Arc::clone(held).keep_notes());
    tokio::spawn(node::keep_up(Arc::clone(held)));
    held.begun(FIRST).await;
}

fn certificates(path: &Path) -> Result<Option<Vec<CertificateDer<'static>>>, NodeError> {
    let bytes = disk::read_regular(path, LIMIT).map_err(|cause| NodeError::File { path: path.to_owned(), cause })?;
    let Some(bytes) = bytes else { return Ok(None) };
    let found = pem_certificates(&bytes);
    if found.is_empty() { Err(NodeError::Certificates(path.to_owned())) } else { Ok(Some(found)) }
}

/// None where any of them is none.
fn pem_certificates(text: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().unwrap_or_default()
}
