//! `Question`: a request, or a CONNECT, as far as rules look at it.

use std::cell::OnceCell;
use std::time::SystemTime;

use super::overriding::{in_body, in_coded, may_name_method, says_nothing};
use crate::model::{AgentName, Fit, Host, Inside, Methods, Preset, ProviderId, Readings, UserName, readings};

/// Who wants to go where, and whose place that is.
pub(crate) struct Question<'q> {
    pub(crate) agent: &'q AgentName,
    pub(crate) user: Option<&'q UserName>,
    pub(crate) host: &'q Host,
    pub(crate) port: u16,
    /// The providers whose place it is, or may be.
    pub(crate) owners: &'q [(&'q ProviderId, Fit)],
    pub(crate) now: SystemTime,
}

/// What a provider's file says of a request.
pub(crate) type Presets<'q> = dyn Fn(&ProviderId, Preset, &Asked<'_>) -> Inside + 'q;

/// What is asked for there.
pub(crate) struct Asked<'q> {
    pub(crate) method: &'q str,
    /// Path and query as sent.
    pub(crate) target: &'q http::uri::PathAndQuery,
    pub(crate) content: Content<'q>,
    /// What follows is no request's (WebSocket): nobody sees what is done there.
    pub(crate) upgrade: bool,
    overriding: OnceCell<Methods>,
    readings: OnceCell<Option<Readings<'q>>>,
}

/// What is known of a body before it comes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Content<'q> {
    /// `Content-Type`; `None` where two fields say it.
    pub(crate) kind: Option<&'q [u8]>,
    /// It names more than one type, so that nobody knows which one counts.
    pub(crate) ambiguous: bool,
    /// In bytes; `None` = that will be seen.
    pub(crate) length: Option<u64>,
    /// What was read of it.
    pub(crate) seen: Seen<'q>,
}

/// What was read of a body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Seen<'q> {
    /// Nothing yet.
    #[default]
    Nothing,
    /// This, which is not all of it.
    Partly(&'q [u8]),
    /// All of it, compressed.
    Coded,
    /// All of it.
    Whole(&'q [u8]),
    /// What it puts in the method's place.
    Methods(Methods),
}

impl Content<'_> {
    /// Whether services may find another method in the body than `method`: in that of a POST, as the frameworks do it that look there.
    pub(crate) fn may_name_method(&self, method: &str) -> bool {
        method == "POST" && self.length != Some(0) && may_name_method(self.kind, self.ambiguous)
    }

    /// Whether they may, and nothing of the body was read.
    pub(crate) fn may_name_method_unread(&self, method: &str) -> bool {
        matches!(self.seen, Seen::Nothing) && self.may_name_method(method)
    }

    /// Whether a body that begins with `first` can't name one, whatever follows.
    pub(crate) fn says_nothing(&self, first: &[u8]) -> bool {
        says_nothing(self.kind, self.ambiguous, first)
    }

    /// What the body puts in the place of `method`, as far as it was read.
    pub(crate) fn methods(&self, method: &str) -> Methods {
        match self.seen {
            Seen::Nothing => Methods::default(),
            Seen::Methods(methods) => methods,
            Seen::Partly(first) if self.may_name_method(method) && !self.says_nothing(first) => Methods::ANY,
            Seen::Whole(body) if self.may_name_method(method) => in_body(self.kind, self.ambiguous, body),
            Seen::Coded if self.may_name_method(method) => in_coded(self.kind, self.ambiguous),
            Seen::Partly(_) | Seen::Coded | Seen::Whole(_) => Methods::default(),
        }
    }
}

impl<'q> Asked<'q> {
    /// A request as it came.
    pub(crate) fn new(method: &'q str, target: &'q http::uri::PathAndQuery, content: Content<'q>, upgrade: bool) -> Self {
        Self { method, target, content, upgrade, overriding: OnceCell::new(), readings: OnceCell::new() }
    }

    /// The method, and those that a parameter or the body puts in its place: for those who read it.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &str> + Clone {
        let by_query = || self.target.query().map(Methods::of_query).unwrap_or_default();
        let overriding = *self.overriding.get_or_init(|| by_query().and(self.content.methods(self.method)));
        let own: &str = self.method;
        let others = overriding.iter().map(|method| -> &str { method });
        std::iter::once(own).chain(others.filter(move |method| *method != own))
    }

    /// How services may read the path; `None` if it has no meaning.
    pub(super) fn readings(&self) -> Option<&Readings<'q>> {
        self.readings.get_or_init(|| readings(self.target.path()).ok()).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_puts_another_method_in_place_is_another_reading() {
        for (target, also) in [
            ("/x?_method=DELETE", Some("DELETE")),
            ("/x?a=1&method=delete", Some("DELETE")),
            ("/x?%5Fmethod=%44elete", Some("DELETE")),
            ("/x?X-HTTP-Method-Override=PATCH", Some("PATCH")),
            ("/x?_HttpMethod=patch", Some("PATCH")),
            ("/x?_method=GET&_method=DELETE", Some("DELETE")),
            ("/x?.method=DELETE", Some("DELETE")),
            ("/x?+_method=DELETE", Some("DELETE")),
            ("/x?method=flickr.photos.search", None),
            ("/x?_method=GET", None),
            ("/x?payment_method=DELETE", None),
            ("/x", None),
        ] {
            let path = target.parse().expect("a target");
            let asked = Asked::new("GET", &path, Content::default(), false);
            assert_eq!(asked.methods().nth(1), also, "{target}");
            assert_eq!(asked.methods().next(), Some("GET"));
        }
    }
}
