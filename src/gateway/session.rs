//! `Sessions`: people who look at the page. A link that works once becomes a session, in memory alone: a restart signs everybody out.
//!
//! A session is two secrets that only belong together: one in a cookie that no script can read, and one that the page keeps where no other
//! origin can (cookies are sent to every port of a host, RFC 6265 section 8.5; what a page stores is not).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::agent::{Token, hash};
use crate::model::AgentName;

/// How long a link works.
pub(super) const LINK: Duration = Duration::from_secs(5 * 60);
/// How the asker of a question is known that somebody at the page asked. No key has a blank in its name.
pub(super) const AT_THE_PAGE: &str = " at the page";
/// Links that nobody has followed yet.
const LINKS: usize = 100;
/// People at a time.
const SESSIONS: usize = 1_000;

/// What somebody at the page may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// All that an administrator's key may.
    Operator,
    /// Sees what there is to see, and answers held requests.
    Approver,
    /// Sees what there is to see.
    Auditor,
}

impl Role {
    /// `operator`, `approver` or `auditor`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
        }
    }
}

/// Somebody who is signed in.
pub(crate) struct Session {
    /// Who, as whoever made the link said.
    pub(crate) name: AgentName,
    /// What they may do.
    pub(crate) role: Role,
    /// When it ends, whatever they do.
    pub(crate) ends: SystemTime,
    /// By what their questions are known as theirs. With a blank, so that it is no key's name.
    pub(crate) asker: String,
    cookie: [u8; 32],
    page: [u8; 32],
}

/// The two secrets of a new session, told once.
pub(super) struct Begun {
    pub(super) cookie: Token,
    pub(super) page: Token,
    pub(super) session: Arc<Session>,
}

/// How long sessions last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lasting {
    /// While nothing is done.
    pub(crate) idle: Duration,
    /// In any case.
    pub(crate) all: Duration,
}

/// All of them, and the links to new ones.
pub(crate) struct Sessions {
    lasting: Lasting,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    links: HashMap<[u8; 32], Link>,
    /// By the hash of the cookie.
    sessions: HashMap<[u8; 32], (Arc<Session>, SystemTime)>,
}

struct Link {
    name: AgentName,
    role: Role,
    ends: SystemTime,
}

/// Why there is no new link or session.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// As many as there may be.
    #[error("there are as many of them as there may be")]
    TooMany,
    /// The system has no random numbers.
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
}

impl Sessions {
    pub(crate) fn new(lasting: Lasting) -> Self {
        Self { lasting, held: Mutex::default() }
    }

    /// A link for somebody, which works once.
    pub(super) fn invite(&self, name: AgentName, role: Role, now: SystemTime) -> Result<(Token, SystemTime), Refused> {
        let (token, ends) = (Token::page()?, now + LINK);
        let mut held = self.held();
        held.links.retain(|_, link| now < link.ends);
        if held.links.len() >= LINKS {
            return Err(Refused::TooMany);
        }
        held.links.insert(token.hash(), Link { name, role, ends });
        Ok((token, ends))
    }

    /// Signs in whoever followed the link; `None` where it is none, or not any more. Where there is no room, it is not used up.
    pub(super) fn begin(&self, link: &str, now: SystemTime) -> Result<Option<Begun>, Refused> {
        let (cookie, page) = (Token::page()?, Token::page()?);
        let mut held = self.held();
        held.links.retain(|_, link| now < link.ends);
        let link = hash(link);
        if !held.links.contains_key(&link) {
            return Ok(None);
        }
        held.sessions.retain(|_, (session, seen)| self.lasts(session, *seen, now));
        if held.sessions.len() >= SESSIONS {
            return Err(Refused::TooMany);
        }
        let Some(Link { name, role, .. }) = held.links.remove(&link) else { return Ok(None) };
        let (asker, ends) = (format!("{name}{AT_THE_PAGE}"), now + self.lasting.all);
        let session = Arc::new(Session { name, role, ends, asker, cookie: cookie.hash(), page: page.hash() });
        held.sessions.insert(session.cookie, (Arc::clone(&session), now));
        Ok(Some(Begun { cookie, page, session }))
    }

    /// The session of the two secrets. `active` says that a person did something, which puts off the end for want of that.
    pub(super) fn find(&self, cookie: &str, page: &str, active: bool, now: SystemTime) -> Option<Arc<Session>> {
        use subtle::ConstantTimeEq as _;
        let mut held = self.held();
        let (session, seen) = held.sessions.get_mut(&hash(cookie))?;
        if !self.lasts(session, *seen, now) || !bool::from(session.page.ct_eq(&hash(page))) {
            return None;
        }
        if active {
            *seen = now;
        }
        Some(Arc::clone(session))
    }

    /// Whether it has not ended.
    pub(super) fn holds(&self, session: &Session, now: SystemTime) -> bool {
        self.held().sessions.get(&session.cookie).is_some_and(|(known, seen)| self.lasts(known, *seen, now))
    }

    /// Signs out.
    pub(super) fn end(&self, session: &Session) {
        self.held().sessions.remove(&session.cookie);
    }

    /// Signs everybody out, and makes links that nobody followed worthless. Says how many there were.
    pub(super) fn end_all(&self) -> usize {
        let held = std::mem::take(&mut *self.held());
        held.sessions.len() + held.links.len()
    }

    fn lasts(&self, session: &Session, seen: SystemTime, now: SystemTime) -> bool {
        // A clock that was set back makes nobody stay longer than from now on.
        let idle = now.duration_since(seen).unwrap_or_default();
        now < session.ends && idle < self.lasting.idle
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sessions").field("lasting", &self.lasting).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        START + Duration::from_secs(seconds)
    }

    fn sessions() -> Sessions {
        Sessions::new(Lasting { idle: Duration::from_secs(600), all: Duration::from_secs(3600) })
    }

    fn begin(sessions: &Sessions, now: SystemTime) -> Begun {
        let (link, _ends) = sessions.invite("alice".parse().expect("a name"), Role::Auditor, now).expect("a link");
        sessions.begin(link.text().expose(), now).expect("room").expect("a session")
    }

    fn there(sessions: &Sessions, begun: &Begun, active: bool, now: SystemTime) -> bool {
        sessions.find(begun.cookie.text().expose(), begun.page.text().expose(), active, now).is_some()
    }

    #[test]
    fn a_session_ends_when_nothing_is_done_and_in_any_case() {
        let sessions = sessions();
        let begun = begin(&sessions, at(0));
        assert!(there(&sessions, &begun, true, at(599)) && there(&sessions, &begun, false, at(1198)));
        assert!(!there(&sessions, &begun, true, at(1199)), "who only looks does nothing");
        let begun = begin(&sessions, at(2000));
        for minute in 0..59 {
            assert!(there(&sessions, &begun, true, at(2000 + minute * 60)));
        }
        assert!(!there(&sessions, &begun, true, at(2000 + 3600)) && !sessions.holds(&begun.session, at(2000 + 3600)));
    }

    #[test]
    fn a_link_ends_in_five_minutes_and_with_its_use() {
        let sessions = sessions();
        let invite = || sessions.invite("alice".parse().expect("a name"), Role::Operator, at(0)).expect("a link").0;
        let late = invite();
        assert!(sessions.begin(late.text().expose(), at(300)).expect("room").is_none());
        assert!(sessions.begin(late.text().expose(), at(0)).expect("room").is_none(), "it is gone");
        let link = invite();
        assert!(sessions.begin(link.text().expose(), at(299)).expect("room").is_some());
        assert!(sessions.begin(link.text().expose(), at(299)).expect("room").is_none());
    }

    #[test]
    fn i7_there_are_so_many_and_no_more() {
        let sessions = sessions();
        let invite = |now| sessions.invite("alice".parse().expect("a name"), Role::Operator, now);
        let all: Vec<_> = (0..LINKS).map(|_| invite(at(0))).collect();
        assert!(all.iter().all(Result::is_ok) && matches!(invite(at(1)), Err(Refused::TooMany)));
        assert!(invite(at(300)).is_ok(), "those that nobody followed are gone");
        sessions.end_all();
        let begun: Vec<_> = (0..SESSIONS).map(|_| begin(&sessions, at(400))).collect();
        let one_more = invite(at(400)).expect("a link").0;
        assert!(matches!(sessions.begin(one_more.text().expose(), at(400)), Err(Refused::TooMany)));
        sessions.end(&begun[0].session);
        assert!(sessions.begin(one_more.text().expose(), at(401)).expect("room").is_some(), "it was not used up");
        assert!(!there(&sessions, &begun[0], true, at(401)) && there(&sessions, &begun[1], true, at(401)));
    }

    #[test]
    fn i1_no_secret_is_shown_by_debug() {
        let sessions = sessions();
        let begun = begin(&sessions, at(0));
        let shown = format!("{sessions:?}{:?}", begun.session);
        assert!(!shown.contains("nxp_") && !shown.contains("cookie"), "{shown}");
    }
}
