//! Who asks, and whether they may: an argument of every handler, so that none forgets it.
//!
//! `Asked<App>` in a handler's arguments is the check: the handler runs for whoever that level admits, and knows who it is.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use http::Method;
use http::request::Parts;
use zeroize::Zeroizing;

use super::context::{Gateway, Shared};
use super::keys::{Key, Kind};
pub(crate) use super::level::{Admin, App, Approver, Auditor, Level, Node, Open, Operator, Page, Registrar, SignedIn, Watcher};
use super::origin::{Origin, by_a_browser, by_a_page, is_direct};
use super::problem::Problem;
use super::session::{Role, Session};
use super::shown::{PageSecrets, at_the_page, hold_another, shown};
use crate::agent::Agent;
use crate::model::{ConnectionId, ProviderId, UserName};

/// What asks without a key, as our own user.
pub(crate) const OUR_USER: &str = "our user";

/// Refusals of one address that are a line each in a minute.
const REFUSALS: u32 = 60;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// Nobody in particular; what they show besides is the handler's matter.
    Anyone,
    /// A loopback process of the gateway's own user that shows no key.
    Owner,
    /// The command line of this machine, or whoever else can read the home folder.
    CommandLine,
    /// Whoever has this key.
    Key(Arc<Key>),
    /// An agent of the proxy, where agents are admitted.
    Agent(Arc<Agent>),
    /// A person at the page.
    Session(Arc<Session>),
}

/// Who asks, where `W` admits them.
pub(crate) struct Asked<W> {
    /// Who.
    pub(crate) who: Who,
    /// From where.
    pub(crate) source: SocketAddr,
    level: PhantomData<W>,
}

impl Who {
    /// What their key is good for.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Anyone | Self::Owner | Self::Agent(_) => None,
            Self::CommandLine => Some(Kind::Admin),
            Self::Session(session) => (session.role == Role::Operator).then_some(Kind::Admin),
            Self::Key(key) => Some(key.kind),
        }
    }

    /// Their name in logs.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Anyone => "anyone",
            Self::Owner => "owner",
            Self::CommandLine => "command line",
            Self::Key(key) => key.name.as_str(),
            Self::Agent(agent) => agent.name.as_str(),
            Self::Session(session) => session.name.as_str(),
        }
    }

    /// What they may do at the page, where they are there.
    pub(crate) fn role(&self) -> Option<Role> {
        if let Self::Session(session) = self { Some(session.role) } else { None }
    }

    /// What they are, in the audit log.
    fn sort(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Session(session) => session.role.as_str(),
            _ => self.kind().map_or("none", Kind::as_str),
        }
    }

    /// By what their questions are known as theirs. The name of a key holds no blank, so none is taken for who shows no key.
    pub(crate) fn asker(&self) -> &str {
        match self {
            Self::Owner => OUR_USER,
            Self::Session(session) => &session.asker,
            Self::Anyone | Self::CommandLine | Self::Key(_) | Self::Agent(_) => self.name(),
        }
    }

    /// The person whose connections alone they see.
    pub(crate) fn bound_to(&self) -> Option<&UserName> {
        match self {
            Self::Key(key) => key.user.as_ref(),
            Self::Agent(agent) => agent.user.as_ref(),
            Self::Anyone | Self::Owner | Self::CommandLine | Self::Session(_) => None,
        }
    }

    /// The providers that alone they may use.
    pub(crate) fn providers(&self) -> Option<&[ProviderId]> {
        self.key()?.providers.as_deref()
    }

    /// Whether they may use `provider`.
    pub(crate) fn may_use(&self, provider: &ProviderId) -> bool {
        self.key().is_none_or(|key| key.may_use(provider))
    }

    /// Whether they may begin something for `user`.
    pub(crate) fn acts_for(&self, user: Option<&UserName>) -> bool {
        self.key().is_none_or(|key| key.acts_for(user))
    }

    /// Whether they may know of `connection`. Who may not is answered as if it were not there.
    pub(crate) fn sees(&self, connection: &ConnectionId) -> bool {
        self.key().is_none_or(|key| key.sees(connection))
    }

    fn key(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Anyone | Self::Owner | Self::CommandLine | Self::Agent(_) | Self::Session(_) => None,
        }
    }
}

impl<W: Level> Asked<W> {
    /// Tells the audit log of what was handed out or changed: `name` is the event, `details` say of what. To be called before it is.
    ///
    /// # Errors
    /// 503 where the line can't be written: then nothing may be handed out or changed.
    pub(crate) async fn note(
        &self,
        gateway: &Shared,
        name: &'static str,
        details: &[(&'static str, &str)],
    ) -> Result<(), Problem> {
        let who =
            [("by", self.who.name().to_owned()), ("kind", self.who.sort().to_owned()), ("source", self.source.to_string())];
        let told = details.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let all: Vec<(&'static str, String)> = who.into_iter().chain(told).collect();
        let log = Arc::clone(&gateway.ports.log);
        let write = move |_gateway: &Gateway| {
            let all: Vec<(&'static str, &str)> = all.iter().map(|(key, value)| (*key, value.as_str())).collect();
            log.event(name, &all)
        };
        gateway.on_disk(write).await?.map_err(|error| unnoted(&error))
    }

    /// As [`Asked::note`], for who may block.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn note_here(
        &self,
        gateway: &Gateway,
        name: &'static str,
        details: &[(&'static str, &str)],
    ) -> Result<(), Problem> {
        let kind = self.who.sort();
        let source = self.source.to_string();
        let who = [("by", self.who.name()), ("kind", kind), ("source", source.as_str())];
        let all: Vec<(&'static str, &str)> = who.into_iter().chain(details.iter().copied()).collect();
        gateway.ports.log.event(name, &all).map_err(|error| unnoted(&error))
    }
}

fn unnoted(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error, "a request of the gateway can't be noted");
    Problem::unlogged()
}

impl<W: Level> FromRequestParts<Shared> for Asked<W> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Shared) -> Result<Self, Problem> {
        let origin = *parts.extensions.get::<Origin>().ok_or_else(Problem::internal)?;
        let who = if W::OPEN { open::<W>(parts, &gateway.settings.url) } else { gateway.who(parts, &origin, W::AGENTS) };
        let asked = who.map(|who| Self { who, source: origin.peer, level: PhantomData });
        match asked {
            Ok(asked) if W::admits(&asked.who) => Ok(asked),
            Ok(asked) => Err(told(gateway, parts, &asked, refuse::<W>(&asked.who)).await),
            Err(problem) => {
                let nobody = Self { who: Who::Anyone, source: origin.peer, level: PhantomData };
                Err(told(gateway, parts, &nobody, problem).await)
            }
        }
    }
}

/// Notes a refusal; of one address so many in a minute, so that nobody fills the disk with them (threats 118 and 155).
async fn told<W: Level>(gateway: &Shared, parts: &Parts, asked: &Asked<W>, problem: Problem) -> Problem {
    if gateway.refusals.exhausted(asked.source.ip(), REFUSALS) {
        return problem;
    }
    gateway.refusals.wrong(asked.source.ip());
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let details = [("method", parts.method.as_str()), ("path", path), ("refusal", problem.code())];
    // It is refused whether that can be written or not.
    drop(asked.note(gateway, "gateway_refused", &details).await);
    problem
}

impl<W> fmt::Debug for Asked<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Asked").field("who", &self.who).field("source", &self.source).finish()
    }
}

fn refuse<W: Level>(who: &Who) -> Problem {
    match who {
        Who::Anyone => Problem::no_key("show a key in the field X-API-Key; `nexus gateway key add NAME --kind app` makes one"),
        _ => Problem::forbidden("key_kind", format!("this is for {}", W::FOR)),
    }
}

/// What nobody shows a key for. A page of somebody else may lead a person here, but not fill in a form for them (threat 150).
fn open<W: Level>(parts: &Parts, url: &str) -> Result<Who, Problem> {
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    let fine = if W::BROWSERS { reads || sent_by_ourselves(parts, url) } else { !by_a_page(&parts.headers) };
    if fine { Ok(Who::Anyone) } else { Err(by_another_page()) }
}

/// A form that our own page sent, or no browser at all. Behind a proxy that rewrites `Host`, the page is at `url`.
fn sent_by_ourselves(parts: &Parts, url: &str) -> bool {
    let text = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let here = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let at_url = |origin: &str| url.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let same = |origin: &str| origin.split_once("://").is_some_and(|(_, place)| Some(place) == here || at_url(origin));
    text("sec-fetch-site").is_none_or(|site| site == "same-origin") && text("origin").is_none_or(same)
}

fn by_another_page() -> Problem {
    Problem::forbidden("browser", "web pages may not ask for this; a program sends neither Origin nor Sec-Fetch-Site")
}

/// A key that stood in the path, `/k/KEY/…`.
#[derive(Clone)]
pub(super) struct PathKey(pub(super) Arc<Zeroizing<String>>);

impl Gateway {
    /// Who sent these.
    ///
    /// # Errors
    /// 401 for a wrong key, which is never taken for none; 403 for a web page, or a key in a place that is not for it; 429 after too
    /// many wrong ones.
    fn who(&self, parts: &Parts, origin: &Origin, agents: bool) -> Result<Who, Problem> {
        if let Some(secrets) = at_the_page(&parts.headers)? {
            if parts.extensions.get::<PathKey>().is_some() {
                return Err(Problem::malformed("one request shows one key: the page shows none in the path"));
            }
            return self.signed_in(parts, &secrets).map(Who::Session);
        }
        if by_a_page(&parts.headers) {
            return Err(by_another_page());
        }
        let shown = shown(&parts.headers)?;
        if let Some(PathKey(key)) = parts.extensions.get() {
            if hold_another(&shown, key) {
                return Err(Problem::malformed("the path and a field hold different keys; one request shows one"));
            }
            let who = self.holder(&[key.as_str()], origin, false)?;
            let app = who.kind() == Some(Kind::App);
            return if app { Ok(who) } else { Err(Problem::forbidden("key_place", "only keys of apps may stand in a path")) };
        }
        if !shown.is_empty() {
            let shown: Vec<&str> = shown.iter().map(|text| text.as_str()).collect();
            return self.holder(&shown, origin, agents);
        }
        let direct = !by_a_browser(&parts.headers) && is_direct(&parts.headers);
        let owner = self.settings.keyless && direct && self.is_our_user(origin);
        Ok(if owner { Who::Owner } else { Who::Anyone })
    }

    /// Who is at the page. Only a page of our own asks for them.
    fn signed_in(&self, parts: &Parts, secrets: &PageSecrets) -> Result<Arc<Session>, Problem> {
        if !sent_by_ourselves(parts, &self.settings.url) {
            return Err(by_another_page());
        }
        let PageSecrets { cookies, page, active } = secrets;
        let now = (self.ports.clock)();
        let found = cookies.iter().find_map(|cookie| self.sessions.find(cookie, page, *active, now));
        // Whose session has ended shows it again and again: that is no guess.
        found.ok_or_else(Problem::signed_out)
    }

    /// Whoever has one of the keys that were shown; the first that is one counts.
    fn holder(&self, shown: &[&str], origin: &Origin, agents: bool) -> Result<Who, Problem> {
        let now = (self.ports.clock)();
        let keys = self.keys.load();
        let holder = |text: &&str| match keys.find(text, now) {
            Some(key) => Some(Who::Key(key)),
            None if self.own.is(text) => Some(Who::CommandLine),
            None if agents => self.ports.agents.by_token(text, now).map(Who::Agent),
            None => None,
        };
        shown.iter().find_map(holder).ok_or_else(|| {
            let source = origin.peer.ip();
            if self.guesses.exhausted(source, self.settings.wrong_keys_per_minute) {
                return Problem::too_many_guesses();
            }
            self.guesses.wrong(source);
            Problem::no_key(
                "this is no key of this gateway, or not any more; `nexus gateway key list` on its machine shows them",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri("/").header("host", "gw.example:8090");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn t150_a_page_is_led_to_by_anybody_and_filled_in_by_itself() {
        let page =
            |method: &str, fields: &[(&str, &str)]| open::<Page>(&parts(method, fields), "https://nexus.example/gw").is_ok();
        let elsewhere = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(page("GET", &elsewhere) && page("HEAD", &elsewhere) && page("GET", &[]));
        let own = [("origin", "http://gw.example:8090"), ("sec-fetch-site", "same-origin")];
        assert!(page("POST", &own) && page("POST", &[]) && page("POST", &own[..1]) && page("POST", &own[1..]));
        assert!(page("POST", &[("origin", "https://nexus.example"), ("sec-fetch-site", "same-origin")]), "behind a proxy");
        for fields in [
            &elsewhere[..1],
            &[("origin", "http://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://gw.example:8090.evil.example")],
            &[("origin", "http://gw.example")],
            &[("origin", "http://nexus.example")],
            &[("origin", "https://nexus")],
            &[("origin", "https://")],
            &[("origin", "")],
            &[("origin", "http://gw.example:8090"), ("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!page("POST", fields), "{fields:?}");
            assert!(open::<Open>(&parts("GET", fields), "").is_err(), "{fields:?}");
        }
    }
}
