//! Every way in becomes one `Target`: requests inside a tunnel, absolute-form, and the base-URL path.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use http::header::{HOST, ORIGIN, PROXY_AUTHORIZATION};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, request};

use super::authenticate::{Origin, Shown, note_agent};
use super::load::{Counted, Load};
use super::refusal::Refusal;
use super::refused::Refused;
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::{Door as Entrance, Entry};
use crate::model::{Authority, Host, Scheme, Target};
use crate::provider::same_field;

/// The proxy's own name: its pages are here.
pub(super) const OWN_NAME: &str = "nexus.internal";

/// A way in, for the requests of one stream.
pub(super) enum Door {
    /// Absolute-form and base-URL requests on the proxy port; each shows who it is.
    Open(Outside),
    /// Inside a CONNECT, whose agent and authority bind every request.
    Inside(Box<Inside>),
}

/// A stream of requests to the proxy port itself.
pub(super) struct Outside {
    origin: Origin,
    /// Who the last request came from.
    agent: RefCell<Option<Arc<Agent>>>,
}

/// What a CONNECT settled.
pub(super) struct Inside {
    pub(super) origin: Origin,
    pub(super) authority: Authority,
    pub(super) scheme: Scheme,
    /// `None` only at our own name, whose public pages need no identity.
    pub(super) agent: Option<Arc<Agent>>,
    pub(super) load: Option<Arc<Load>>,
    pub(super) _connection: Option<Counted>,
    /// Nothing goes through the CONNECT; each request is told why.
    pub(super) refused: Option<Refused>,
    pub(super) sni: Option<Box<str>>,
    /// The last `Host` that was held against the authority, so that the next request compares bytes only.
    pub(super) known_host: RefCell<Option<HeaderValue>>,
    /// The record of the CONNECT, until a request inside has one of its own.
    pub(super) unused: Cell<Option<Box<Entry>>>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(mut entry) = self.unused.take() {
            entry.note("no_request");
        }
    }
}

/// A request whose way is known.
#[derive(Clone)]
pub(super) struct Arrived {
    pub(super) target: Target,
    pub(super) agent: Option<Arc<Agent>>,
    pub(super) load: Option<Arc<Load>>,
    pub(super) entrance: Entrance,
}

impl Door {
    /// For requests to the proxy port itself.
    pub(super) fn open(origin: Origin) -> Self {
        Self::Open(Outside { origin, agent: RefCell::new(None) })
    }

    /// Where the stream comes from.
    pub(super) fn origin(&self) -> &Origin {
        match self {
            Self::Open(outside) => &outside.origin,
            Self::Inside(inside) => &inside.origin,
        }
    }

    /// Whose request is under way.
    pub(super) fn agent(&self) -> Option<Arc<Agent>> {
        match self {
            Self::Open(outside) => outside.agent.borrow().clone(),
            Self::Inside(inside) => inside.agent.clone(),
        }
    }

    /// A request is on record: the CONNECT that it came by needs no more words, but for a closing line where it dialled ahead.
    pub(super) fn used(&self) {
        if let Self::Inside(inside) = self
            && let Some(entry) = inside.unused.take()
        {
            // What its name gave away is told nowhere else.
            if entry.is_refused_canary() { drop(entry) } else { entry.discard() }
        }
    }

    /// Writes down what the tunnel settled, so that a request which is refused on arrival is on record with its host and agent.
    pub(super) fn note(&self, entry: &mut Entry, parts: &request::Parts) {
        let Self::Inside(inside) = self else { return };
        entry.door(Entrance::Connect);
        if let Ok(path) = path_of(&parts.uri) {
            entry.request(inside.scheme, Inside::method(parts), &inside.authority, path.as_str());
        }
        if let Some(agent) = &inside.agent {
            note_agent(entry, agent);
        }
        if let Some(sni) = &inside.sni {
            entry.sni(sni.as_bytes());
        }
    }

    /// Finds target and agent of one request; nothing is looked up or dialled before they are known.
    ///
    /// # Errors
    /// 400, 407, 421 or, inside a refused CONNECT, its reason.
    pub(super) fn identify(&self, worker: &Rc<Worker>, parts: &request::Parts) -> Result<Arrived, Refusal> {
        match self {
            Self::Inside(inside) => inside.identify(worker, parts),
            Self::Open(outside) => {
                let arrived = identify_open(worker, &outside.origin, parts)?;
                outside.agent.borrow_mut().clone_from(&arrived.agent);
                Ok(arrived)
            }
        }
    }
}

impl Inside {
    fn identify(&self, worker: &Worker, parts: &request::Parts) -> Result<Arrived, Refusal> {
        self.check_authority(parts)?;
        if let Some(refused) = &self.refused {
            return Err(refused.refusal());
        }
        self.agent.as_deref().map_or(Ok(()), |agent| worker.proxy.check_frozen(agent))?;
        if let Some(agent) = &self.agent
            && !worker.proxy.still_known(agent)
        {
            return Err(Refusal::UnknownAgent);
        }
        let path = path_of(&parts.uri)?;
        let target = self.target(parts, path);
        Ok(Arrived { target, agent: self.agent.clone(), load: self.load.clone(), entrance: Entrance::Connect })
    }

    fn target(&self, parts: &request::Parts, path: PathAndQuery) -> Target {
        Target { scheme: self.scheme, authority: self.authority.clone(), method: Self::method(parts).clone(), path }
    }

    /// An extended CONNECT goes on as the GET of a WebSocket handshake, so it is decided as one.
    fn method(parts: &request::Parts) -> &Method {
        if parts.method == Method::CONNECT { &Method::GET } else { &parts.method }
    }

    /// The tunnel's authority, the request-target's and `Host` are one (threats 1, 3, 5, 22 to 24).
    fn check_authority(&self, parts: &request::Parts) -> Result<(), Refusal> {
        if let Some(scheme) = parts.uri.scheme_str()
            && scheme != self.scheme.as_str()
        {
            return Err(Refusal::Target("the scheme is not the one of this tunnel"));
        }
        if let Some(authority) = parts.uri.authority() {
            self.same(authority.as_str())?;
        } else if parts.version == Version::HTTP_2 {
            return Err(Refusal::Target("the request has no authority"));
        }
        let Some(host) = parts.headers.get(HOST) else {
            let needless = parts.version == Version::HTTP_2 || parts.version == Version::HTTP_10;
            return if needless { Ok(()) } else { Err(Refusal::Target("the request has no Host")) };
        };
        if self.known_host.borrow().as_ref() == Some(host) {
            return Ok(());
        }
        self.same(host.to_str().map_err(|_opaque| Refusal::Target("the Host is not plain text"))?)?;
        *self.known_host.borrow_mut() = Some(host.clone());
        Ok(())
    }

    fn same(&self, text: &str) -> Result<(), Refusal> {
        let named = Authority::parse(text, Some(self.scheme.default_port()));
        let named = named.map_err(|_malformed| Refusal::Target("the Host or request target is not a host and port"))?;
        if named == self.authority { Ok(()) } else { Err(Refusal::Misdirected) }
    }
}

fn identify_open(worker: &Rc<Worker>, origin: &Origin, parts: &request::Parts) -> Result<Arrived, Refusal> {
    match parts.uri.scheme_str() {
        Some("http") => identify_absolute(worker, origin, parts, Scheme::Http),
        // wget2 asks so, over TLS to the proxy; without that the request would be in the clear on its first hop.
        Some("https") if origin.tls => identify_absolute(worker, origin, parts, Scheme::Https),
        Some(_) => Err(Refusal::Target("the proxy takes http:// in absolute form; use CONNECT for https://")),
        None => match parts.uri.path().strip_prefix("/~") {
            Some(rest) => identify_base_url(worker, origin, parts, rest),
            None if named_ourselves(parts) => identify_own_page(worker, origin, parts),
            None => Err(Refusal::Target("this is a proxy: set it as HTTPS_PROXY instead of calling it")),
        },
    }
}

/// `GET http://host/path` (RFC 9112 §3.2.2), or `https://`.
fn identify_absolute(worker: &Rc<Worker>, origin: &Origin, parts: &request::Parts, scheme: Scheme) -> Result<Arrived, Refusal> {
    let text =
        parts.uri.authority().map(http::uri::Authority::as_str).ok_or(Refusal::Target("the request has no authority"))?;
    let malformed = |_malformed| Refusal::Target("the Host or request target is not a host and port");
    let authority = Authority::parse(text, Some(scheme.default_port())).map_err(malformed)?;
    if let Some(host) = parts.headers.get(HOST) {
        let host = host.to_str().map_err(|_opaque| Refusal::Target("the Host is not plain text"))?;
        if Authority::parse(host, Some(scheme.default_port())).map_err(malformed)? != authority {
            return Err(Refusal::Misdirected);
        }
    }
    let shown = parts.headers.get(PROXY_AUTHORIZATION).map_or(Shown::Nothing, |value| Shown::Authorization(value.as_bytes()));
    let agent = match worker.authenticate(origin, shown) {
        Ok(agent) => Some(agent),
        // The CA's certificate is for whoever reached us: it is needed before anything else works.
        Err(Refusal::UnknownAgent) if is_own_name(&authority.host) => None,
        Err(refusal) => return Err(refusal),
    };
    let target = Target { scheme, authority, method: parts.method.clone(), path: path_of(&parts.uri)? };
    let load = agent.as_ref().map(|agent| worker.proxy.loads.of(&agent.label));
    Ok(Arrived { target, agent, load, entrance: Entrance::Absolute })
}

/// `/~TOKEN/host[:port]/path`, for programs that take a base URL and no proxy. Browsers are kept out.
fn identify_base_url(worker: &Rc<Worker>, origin: &Origin, parts: &request::Parts, rest: &str) -> Result<Arrived, Refusal> {
    let from_a_page =
        parts.headers.contains_key(ORIGIN) || parts.headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"));
    if from_a_page {
        return Err(Refusal::Target("base URLs are not for web pages"));
    }
    let (token, rest) = rest.split_once('/').ok_or(Refusal::Target("a base URL is /~TOKEN/host/path"))?;
    let agent = worker.authenticate(origin, Shown::Token(token))?;
    let (host, _path) = rest.split_once('/').unwrap_or((rest, ""));
    let malformed = |_malformed| Refusal::Target("a base URL is /~TOKEN/host/path");
    let authority = Authority::parse(host, Some(443)).map_err(malformed)?;
    let start = "/~/".len() + token.len() + host.len();
    let path = parts.uri.path_and_query().and_then(|whole| whole.as_str().get(start..)).unwrap_or_default();
    let path = if path.is_empty() || path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
    let path = path.parse::<PathAndQuery>().map_err(|_invalid| Refusal::Target("a base URL is /~TOKEN/host/path"))?;
    let target = Target { scheme: Scheme::Https, authority, method: parts.method.clone(), path };
    let load = worker.proxy.loads.of(&agent.label);
    Ok(Arrived { target, agent: Some(agent), load: Some(load), entrance: Entrance::BaseUrl })
}

/// `GET /ca.pem` with `Host: nexus.internal`.
fn identify_own_page(worker: &Rc<Worker>, origin: &Origin, parts: &request::Parts) -> Result<Arrived, Refusal> {
    let shown = parts.headers.get(PROXY_AUTHORIZATION).map_or(Shown::Nothing, |value| Shown::Authorization(value.as_bytes()));
    let agent = match worker.authenticate(origin, shown) {
        Ok(agent) => Some(agent),
        Err(Refusal::UnknownAgent) => None,
        // Who guesses tokens is slowed down here as everywhere.
        Err(refusal) => return Err(refusal),
    };
    let authority = own_authority().ok_or(Refusal::NoSuchPage)?;
    let target = Target { scheme: Scheme::Http, authority, method: parts.method.clone(), path: path_of(&parts.uri)? };
    Ok(Arrived { target, agent, load: None, entrance: Entrance::Absolute })
}

fn named_ourselves(parts: &request::Parts) -> bool {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    host.and_then(|host| Authority::parse(host, Some(80)).ok()).is_some_and(|authority| is_own_name(&authority.host))
}

fn own_authority() -> Option<Authority> {
    Authority::parse(OWN_NAME, Some(80)).ok()
}

/// Whether `host` is `nexus.internal`.
pub(super) fn is_own_name(host: &Host) -> bool {
    host.name() == Some(OWN_NAME)
}

/// The path must begin with `/`, so that it can't join with a host to another host (threat 16).
fn path_of(uri: &Uri) -> Result<PathAndQuery, Refusal> {
    match uri.path_and_query() {
        None => Ok(PathAndQuery::from_static("/")),
        Some(path) if path.as_str().starts_with('/') || path.as_str() == "*" => Ok(path.clone()),
        Some(path) if path.as_str().is_empty() || path.as_str().starts_with('?') => {
            format!("/{path}").parse().map_err(|_invalid| Refusal::Target("the path is not valid"))
        }
        Some(_) => Err(Refusal::Target("the path does not begin with a slash")),
    }
}

/// Names the connection that the caller wants; never forwarded.
pub(super) const NEXUS_CONNECTION: HeaderName = HeaderName::from_static("nexus-connection");

/// Takes out the fields by which some services pick another host, path or method than the request's (threat 21), as they are and with
/// `_` for `-`, as CGI's heirs read them.
pub(super) fn strip_routing_hints(headers: &mut HeaderMap) {
    // Nearly no request has one: their first letters tell.
    let may_be =
        |name: &&HeaderName| matches!(name.as_str().as_bytes(), [b'x', b'-' | b'_', ..] | [b'f', b'o', ..] | [b's', b'c', ..]);
    let is_hint = |name: &&HeaderName| ROUTING_HINTS.iter().any(|hint| same_field(hint, name.as_str()));
    if !headers.keys().filter(may_be).any(|name| is_hint(&name)) {
        return;
    }
    let spelled: Vec<HeaderName> = headers.keys().filter(may_be).filter(is_hint).cloned().collect();
    for name in spelled {
        headers.remove(name);
    }
}

/// Rules about minting endpoints speak of methods, so an overriding one would slip past them.
const ROUTING_HINTS: [&str; 38] = [
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-host",
    "x-original-host",
    "forwarded",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-proto",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-tunneled-method",
    "x-original-method",
    // Paths, or what stands before them: IIS, nginx's habits, WSGI and CGI, Envoy.
    "x-original-uri",
    "x-original-path",
    "x-rewrite-uri",
    "x-override-url",
    "x-http-path-override",
    "x-forwarded-path",
    "x-forwarded-url",
    "x-script-name",
    "script-name",
    "x-envoy-original-path",
    "x-envoy-original-dst-host",
    "x-forwarded-context",
    "x-forwarded-request-uri",
    "x-request-uri",
    "x-method",
    "x-http-url-override",
    "x-real-url",
    "x-proxy-url",
    "x-orig-path",
];
