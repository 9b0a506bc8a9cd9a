//! CONNECT (RFC 9110 §9.3.6): who asks, for what, and what becomes of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::BytesMut;
use http::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::authenticate::{Origin, Shown, note_agent, note_source};
use super::body::ResponseBody;
use super::caller::{Caller, Intercepted, Prefixed};
use super::door::{Door, Inside, is_own_name};
use super::hello;
use super::hours::Hours;
use super::load::Counted;
use super::refusal::Refusal;
use super::refused::Refused;
use super::tunnel::{self, Leave};
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::{Door as Entrance, Entry, Kind, Verdict};
use crate::decide::{Connect, ConnectRefusal, Passage};
use crate::head::Head;
use crate::model::{Authority, AuthorityError, Host, Scheme};

/// What follows a CONNECT.
pub(super) enum Next {
    /// Refused with a challenge; the caller may try again on the same stream.
    Again(Response<ResponseBody>),
    /// Refused for good.
    Close(Response<ResponseBody>),
    /// Opened: requests inside are read.
    Open(Box<Inside>),
    /// Left shut: the service is there.
    Tunnel(Box<Tunnel>),
}

/// A service's stream that waits for the caller's bytes.
pub(super) struct Tunnel {
    service: TcpStream,
    entry: Entry,
    agent: Arc<Agent>,
    authority: Authority,
    _connection: Counted,
}

/// What is inside a CONNECT, ready to be read.
pub(super) enum Opened {
    /// TLS, ended.
    Tls(Intercepted, Box<Inside>),
    /// Plain HTTP to port 80.
    Clear(Caller, BytesMut, Box<Inside>),
}

/// The whole answer to a CONNECT that is accepted.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

impl Worker {
    /// Decides a CONNECT whose head is `head` over `request`.
    pub(super) async fn connect(self: &Rc<Self>, head: &Head, request: &[u8], origin: &Origin) -> Next {
        let mut entry = self.spool.begin(Kind::Tunnel);
        note_source(&mut entry, origin);
        entry.door(Entrance::Connect);
        let view = head.view(request);
        let authority: Authority = match view.target.parse() {
            Ok(authority) => authority,
            Err(error) => {
                entry.unparsed(view.target.as_bytes());
                return Next::Close(refuse(entry, &Refusal::Target(malformed_authority(error))));
            }
        };
        entry.method(b"CONNECT");
        entry.authority(&authority);
        let shown = view.field("proxy-authorization").map_or(Shown::Nothing, Shown::Authorization);
        let agent = match self.authenticate(origin, shown) {
            Ok(agent) => agent,
            Err(Refusal::UnknownAgent) if is_own_name(&authority.host) => {
                entry.discard();
                return Next::Open(Box::new(inside(origin, authority, None, None, None)));
            }
            Err(refusal @ Refusal::UnknownAgent) => return Next::Again(refuse(entry, &refusal)),
            Err(refusal) => return Next::Close(refuse(entry, &refusal)),
        };
        note_agent(&mut entry, &agent);
        self.connect_as(agent, authority, origin, entry).await
    }

    async fn connect_as(self: &Rc<Self>, agent: Arc<Agent>, authority: Authority, origin: &Origin, mut entry: Entry) -> Next {
        if *self.proxy.draining.borrow() {
            return Next::Close(refuse(entry, &Refusal::Draining));
        }
        let load = self.proxy.loads.of(&agent.label);
        let Some(connection) = load.connection(self.proxy.settings.agent_connections) else {
            return Next::Close(refuse(entry, &Refusal::Limit("connections of this agent")));
        };
        let own = is_own_name(&authority.host);
        let stopped = if own { None } else { self.stops(&authority, &agent, &mut entry) };
        let (way, asks) = match own || stopped.is_some() {
            true => (Connect::Intercept, false),
            false => self.decide_connect(&authority, &agent, &mut entry),
        };
        let refused = match way {
            Connect::Tunnel => match self.dial_tunnel(&agent, &authority, &mut entry).await {
                Ok(service) => {
                    return Next::Tunnel(Box::new(Tunnel { service, entry, agent, authority, _connection: connection }));
                }
                Err(refusal) => match self.told_inside(&refusal, authority.port) {
                    Some(refused) => Some(refused),
                    None => return Next::Close(refuse(entry, &refusal)),
                },
            },
            Connect::Intercept => stopped,
            Connect::Refuse(ConnectRefusal { rule: Some(rule), .. }) => Some(Refused::Named(rule)),
            Connect::Refuse(ConnectRefusal { reason, .. }) => Some(Refused::Rule(reason)),
        };
        match refused.as_ref().map(Refused::refusal) {
            Some(refusal) => refusal.record_in(&mut entry),
            None => entry.verdict(Verdict::Intercept),
        }
        // What a person is asked about holds no connection to the service.
        if refused.is_none() && !own && !asks {
            self.dial_ahead(&authority, &agent, &mut entry).await;
        }
        let mut inside = inside(origin, authority, Some(agent), Some(connection), refused);
        inside.load = Some(load);
        inside.unused.set(Some(Box::new(entry)));
        Next::Open(Box::new(inside))
    }

    /// What becomes of it, and whether a person may be asked about what is inside.
    fn decide_connect(&self, authority: &Authority, agent: &Agent, entry: &mut Entry) -> (Connect, bool) {
        let passage = self.proxy.rules.load().decide_connect(authority, agent, SystemTime::now());
        let Passage { connect, rule, reports, asks } = passage;
        rule.iter().for_each(|rule| entry.rule(rule.name()));
        reports.iter().for_each(|rule| entry.report(rule.name()));
        (connect, asks)
    }

    /// The caller's handshake and the service's overlap. The name is resolved and shown to the service whether or not a request
    /// follows, so the log has it first (I8); without the log nothing is dialled, and the request will be told why.
    async fn dial_ahead(self: &Rc<Self>, authority: &Authority, agent: &Agent, entry: &mut Entry) {
        let worth = authority.port != 80 && self.proxy.rules.load().leads_there(&authority.host);
        if worth && !self.pool.has_idle(Scheme::Https, authority) && entry.open().await.is_ok() {
            tokio::task::spawn_local(Rc::clone(&self.pool).warm(authority.clone(), Arc::clone(&agent.label)));
        }
    }

    async fn dial_tunnel(&self, agent: &Agent, authority: &Authority, entry: &mut Entry) -> Result<TcpStream, Refusal> {
        self.take_own(agent)?;
        entry.verdict(Verdict::Tunnel);
        entry.open().await?;
        let (service, address) = self.dialler.tcp(authority, &agent.label).await?;
        entry.dialled(address);
        Ok(service)
    }

    /// What was decided of an address is told to the request inside, since nobody shows the body of a refused CONNECT. Where neither
    /// TLS nor HTTP is spoken there is none to tell.
    fn told_inside(&self, refusal: &Refusal, port: u16) -> Option<Refused> {
        let spoken = port == 80 || !self.proxy.rules.load().takes_any_bytes(port);
        Refused::decided(refusal).filter(|_| spoken)
    }

    /// Moves bytes both ways until one side ends.
    pub(super) async fn tunnel(self: &Rc<Self>, mut caller: Caller, mut buffer: BytesMut, tunnel: Box<Tunnel>) {
        let Tunnel { mut service, mut entry, agent, authority, _connection } = *tunnel;
        if caller.write_all(ESTABLISHED).await.is_err() || caller.flush().await.is_err() {
            return entry.note("caller_left");
        }
        if let Err(word) = self.check_hello(&mut caller, &mut buffer, &mut entry, authority.port).await {
            return entry.note(word);
        }
        let early = buffer.len() as u64;
        if service.write_all_buf(&mut buffer).await.is_err() {
            return entry.note("broken_off");
        }
        let over = self.proxy.until_over(&agent, Hours::of_tunnel(&self.proxy, &agent, authority));
        let leave = Leave { idle: self.proxy.settings.idle_timeout, over };
        let (moved, outcome) = match caller {
            Caller::Tcp(caller) => relay_tcp(caller, service, leave).await,
            caller @ Caller::Tls(_) => tunnel::relay(caller, service, leave).await,
        };
        entry.status(200);
        entry.sent(moved.up + early);
        entry.received(moved.down);
        if let Err(end) = outcome {
            entry.note(end.word());
        }
    }

    /// What goes to a TLS port is TLS (threats 29 and 93), and not to a host that is decided elsewhere under another name (18).
    async fn check_hello(
        &self,
        caller: &mut Caller,
        buffer: &mut BytesMut,
        entry: &mut Entry,
        port: u16,
    ) -> Result<(), &'static str> {
        if self.proxy.rules.load().takes_any_bytes(port) {
            return Ok(());
        }
        let checking = async {
            let Some(name) = hello::read(caller, buffer).await? else { return Ok(()) };
            entry.sni(name.as_bytes());
            if !name.parse().is_ok_and(|host: Host| self.proxy.rules.load().knows(&host)) {
                return Ok(());
            }
            entry.refusal("tls", 421);
            hello::refuse_name(caller).await;
            Err("sni_mismatch")
        };
        tokio::time::timeout(self.proxy.settings.handshake_timeout, checking).await.unwrap_or(Err("handshake_late"))
    }

    /// Accepts the CONNECT and ends what is inside: TLS, or on port 80 plain HTTP. Nothing else passes, nothing is spliced.
    pub(super) async fn open(
        self: &Rc<Self>,
        mut caller: Caller,
        mut buffer: BytesMut,
        mut inside: Box<Inside>,
    ) -> Option<Opened> {
        if caller.write_all(ESTABLISHED).await.is_err() || caller.flush().await.is_err() {
            return None;
        }
        if buffer.is_empty() {
            let first = tokio::time::timeout(self.proxy.settings.handshake_timeout, caller.read_buf(&mut buffer));
            if !matches!(super::serve::unless_draining(self, first).await, Some(Ok(Ok(1..)))) {
                return None;
            }
        }
        let tls = buffer.first() == Some(&0x16);
        if tls {
            inside.scheme = Scheme::Https;
            return self.intercept(Prefixed::new(buffer, caller), inside).await;
        }
        if inside.authority.port != 80 {
            self.not_tls(caller, *inside).await;
            return None;
        }
        inside.scheme = Scheme::Http;
        Some(Opened::Clear(caller, buffer, inside))
    }

    /// Serves the requests of an opened CONNECT.
    pub(super) async fn requests(self: &Rc<Self>, opened: Opened) {
        match opened {
            Opened::Clear(caller, buffer, inside) => Box::pin(self.http1(caller, buffer, Door::Inside(inside))).await,
            Opened::Tls(stream, inside) if stream.speaks_http2() => {
                Box::pin(self.http2(stream, Door::Inside(inside))).await;
            }
            Opened::Tls(stream, inside) => Box::pin(self.express(stream, Door::Inside(inside))).await,
        }
    }

    /// The record of a CONNECT that was accepted and got no further.
    pub(super) fn failed(&self, inside: &Inside) -> Entry {
        if let Some(entry) = inside.unused.take() {
            return *entry;
        }
        let mut entry = self.spool.begin(Kind::Tunnel);
        note_source(&mut entry, &inside.origin);
        entry.door(Entrance::Connect);
        entry.authority(&inside.authority);
        entry
    }

    /// What should be TLS and isn't is closed, with a word for those who read HTTP.
    async fn not_tls(self: &Rc<Self>, mut caller: Caller, inside: Inside) {
        let mut entry = self.failed(&inside);
        entry.note("not_tls");
        let refusal = inside.refused.as_ref().map(Refused::refusal);
        let response = refuse(entry, &refusal.unwrap_or(Refusal::Target("what goes to this port must be TLS")));
        drop(super::serve::answer(&mut caller, response).await);
    }
}

#[cfg(target_os = "linux")]
async fn relay_tcp(
    caller: Prefixed<TcpStream>,
    service: TcpStream,
    leave: Leave<impl Future<Output = tunnel::End>>,
) -> (tunnel::Moved, Result<(), tunnel::End>) {
    let (prefix, caller) = caller.into_parts();
    if prefix.is_empty() {
        return tunnel::relay_tcp(&caller, &service, leave).await;
    }
    tunnel::relay(Prefixed::new(prefix, caller), service, leave).await
}

#[cfg(not(target_os = "linux"))]
async fn relay_tcp(
    caller: Prefixed<TcpStream>,
    service: TcpStream,
    leave: Leave<impl Future<Output = tunnel::End>>,
) -> (tunnel::Moved, Result<(), tunnel::End>) {
    tunnel::relay(caller, service, leave).await
}

fn inside(
    origin: &Origin,
    authority: Authority,
    agent: Option<Arc<Agent>>,
    connection: Option<Counted>,
    refused: Option<Refused>,
) -> Inside {
    Inside {
        origin: origin.clone(),
        authority,
        scheme: Scheme::Https,
        agent,
        load: None,
        _connection: connection,
        refused,
        sni: None,
        known_host: RefCell::new(None),
        unused: Cell::new(None),
    }
}

pub(super) fn refuse(mut entry: Entry, refusal: &Refusal) -> Response<ResponseBody> {
    refusal.record_in(&mut entry);
    refusal.response(entry.id().as_str())
}

fn malformed_authority(error: AuthorityError) -> &'static str {
    match error {
        AuthorityError::NoPort => "CONNECT names no port",
        AuthorityError::Port => "the port of CONNECT is not a number from 1 to 65535",
        AuthorityError::Userinfo => "user information before the host is not allowed",
        AuthorityError::Host(_) => "the host of CONNECT is not a name or address",
    }
}
