//! What Nexus itself answers to a program that ends a token, or asks what one is good for, where the token is a placeholder. Pure.

use http::Method;
use serde_json::{Map, Value};

use super::strategy::{self, Fields};
use super::template::Template;
use super::token_response::{Endpoint, Member, Occasion, is_plain, object, seconds};
use crate::model::Host;

/// `[[revocation]]` or `[[introspection]]`: one answer, at one or more endpoints.
#[derive(Debug)]
pub struct AboutToken {
    /// Which of the two.
    pub matter: Matter,
    /// Where, and by which methods.
    pub at: Vec<(Method, Endpoint)>,
    /// The status of the answer.
    pub status: u16,
    /// What it says in this vendor's own words; `None` = nothing at all (RFC 7009 §2.2 has no body).
    pub members: Option<Vec<(String, Member)>>,
}

/// What a program wants of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// Its end (RFC 7009).
    Revocation,
    /// Word of it (RFC 7662).
    Introspection,
}

/// What is said of a token that is good.
pub struct Good<'a> {
    /// When the program should ask again, at the latest.
    pub until: std::time::SystemTime,
    /// The client that the request shows.
    pub client_id: Option<&'a str>,
}

impl std::fmt::Debug for Good<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Good").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Members that Nexus writes itself (RFC 7662 §2.2).
pub(super) const OWN_MEMBERS: [&str; 6] = ["active", "client_id", "exp", "scope", "sub", "token_type"];

impl Matter {
    /// Its table in a provider file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Introspection => "introspection",
        }
    }
}

impl AboutToken {
    /// Whether such a request to `path` of `host` is for it.
    pub fn takes(&self, method: &Method, host: &Host, path: &str) -> bool {
        self.at.iter().any(|(own, at)| own == method && at.takes(host, path))
    }

    /// The endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.at.iter().map(|(_method, at)| at)
    }

    /// The JSON of one answer; `None` where there is no body. `good` is `None` for a token whose connection is gone.
    ///
    /// Of `fields`, which are the connection's, those are told that are no secret, and what was granted: its `scope`.
    pub fn body<'a>(&self, fields: Fields<'a>, hosts: &'a [String], good: Option<&Good<'_>>) -> Option<Value> {
        let occasion = Occasion::of_no_token(fields, hosts);
        let own = || self.members.as_ref().map(|members| object(members, &occasion));
        let body = match (self.matter, good) {
            (Matter::Revocation, _) => own()?,
            (Matter::Introspection, None) => Map::from_iter([("active".to_owned(), Value::Bool(false))]),
            (Matter::Introspection, Some(good)) => {
                let mut body = good.members(strategy::said(fields, "scope"));
                body.extend(own().unwrap_or_default());
                body
            }
        };
        Some(Value::Object(body))
    }

    /// The templates in it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let mut templates = Vec::new();
        self.members.iter().flatten().for_each(|(_name, member)| member.collect(&mut templates));
        templates.into_iter()
    }
}

impl Good<'_> {
    /// RFC 7662 §2.2.
    fn members(&self, scope: Option<&str>) -> Map<String, Value> {
        let plain = |text: Option<&str>| text.filter(|text| is_plain(text)).map(Value::from);
        let members = [
            ("active", Some(Value::Bool(true))),
            ("scope", plain(scope)),
            ("client_id", plain(self.client_id)),
            ("token_type", Some("Bearer".into())),
            ("exp", Some(seconds(self.until).into())),
            ("sub", Some("placeholder".into())),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;
    use crate::model::Secret;

    fn about(matter: Matter, members: Option<Vec<(String, Member)>>) -> AboutToken {
        let at = Endpoint::of_url("https://auth.acme.example/{site}/revoke").expect("a place");
        AboutToken { matter, at: vec![(Method::POST, at)], status: 200, members }
    }

    fn good(client_id: Option<&str>) -> Good<'_> {
        Good { until: UNIX_EPOCH + Duration::from_secs(1_800_000_000), client_id }
    }

    #[test]
    fn a_revocation_says_what_the_vendor_says() {
        let nothing = |_: &str| None;
        assert_eq!(about(Matter::Revocation, None).body(&nothing, &[], None), None);
        assert_eq!(about(Matter::Revocation, Some(Vec::new())).body(&nothing, &[], None), Some(json!({})));
        let members = vec![("revoked".to_owned(), Member::Boolean(true))];
        assert_eq!(about(Matter::Revocation, Some(members)).body(&nothing, &[], None), Some(json!({ "revoked": true })));
    }

    #[test]
    fn an_introspection_has_the_members_of_the_standard_and_what_is_known() {
        let about =
            about(Matter::Introspection, Some(vec![("team".to_owned(), Member::Text("{site}".parse().expect("a template")))]));
        let (site, scope) = (Secret::new("initech".to_owned()), Secret::new("read write".to_owned()));
        let fields = |name: &str| match name {
            "site" => Some(&site),
            "scope" => Some(&scope),
            _ => None,
        };
        let hosts = ["initech.acme.example".to_owned()];
        let body = about.body(&fields, &hosts, Some(&good(Some("their-client"))));
        let wanted = json!({
            "active": true, "scope": "read write", "client_id": "their-client", "token_type": "Bearer", "exp": 1_800_000_000,
            "sub": "placeholder", "team": "initech",
        });
        assert_eq!(body, Some(wanted));
        let odd = Secret::new("a\"b".to_owned());
        let bare = about.body(&|name| (name == "scope").then_some(&odd), &[], Some(&good(Some("<b>\n"))));
        let wanted = json!({ "active": true, "token_type": "Bearer", "exp": 1_800_000_000, "sub": "placeholder" });
        assert_eq!(bare, Some(wanted));
        assert_eq!(about.body(&fields, &hosts, None), Some(json!({ "active": false })));
    }

    #[test]
    fn a_place_is_taken_by_its_method_and_one_reading_of_the_path() {
        let about = about(Matter::Revocation, None);
        let host: Host = "auth.acme.example".parse().expect("a host");
        let takes = |method: &Method, path: &str| about.takes(method, &host, path);
        assert!(takes(&Method::POST, "/initech/revoke") && takes(&Method::POST, "/initech/revoke/"));
        assert!(!takes(&Method::GET, "/initech/revoke") && !takes(&Method::POST, "/a/../initech/revoke"));
    }
}
