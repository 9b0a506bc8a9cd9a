//! `Draft`: a service as a program describes it, and the text of the provider file that says the same.

use std::fmt::Write as _;

use crate::model::{Host, ProviderId};

/// A service that no provider file knows yet. Its text is held against the rules of provider files by [`parse`](super::parse) like any
/// other: nothing here checks what that one does.
#[derive(Debug)]
pub struct Draft {
    /// Its name, for people too: one that a program chose could pass for another service's.
    pub id: ProviderId,
    /// Where its API is. A credential goes to these over TLS on port 443, and nowhere else.
    pub hosts: Vec<Host>,
    /// A harmless request of one of the hosts (`GET https://…`).
    pub whoami: Option<String>,
    /// How it authenticates.
    pub way: Way,
}

/// How a service authenticates.
#[derive(Debug)]
pub enum Way {
    /// A person consents; the token is a bearer's.
    OAuth2 {
        /// Where a person consents.
        authorize_url: String,
        /// Where tokens are obtained.
        token_url: String,
        /// What is usually asked for.
        scopes: Vec<String>,
        /// More parameters of the authorization request.
        params: Vec<(String, String)>,
    },
    /// A key.
    Key {
        /// What the field is called, and what a person is asked for.
        field: (String, Option<String>),
        /// Where it goes.
        place: Place,
    },
    /// A user's name and password (RFC 7617); what a person is asked for.
    Basic {
        /// For the name.
        username: Option<String>,
        /// For the password.
        password: Option<String>,
    },
}

/// Where a key goes on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A header field, with what stands before the key.
    Header(String, String),
    /// A query parameter.
    Query(String),
}

impl Draft {
    /// The text of its file.
    pub fn text(&self) -> String {
        let id = quoted(self.id.as_str());
        let mut text =
            format!("# Described by POST /v1/providers; the gateway's audit log says by whom. Yours to change.\nname = {id}\n");
        if let Some(whoami) = &self.whoami {
            line(&mut text, "whoami", &quoted(whoami));
        }
        let (slot, strategy) = self.way.placed();
        line(&mut text, "slots", &list([slot.as_str()]));
        line(&mut text, "verified", "false");
        self.way.write(&mut text);
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        text.push_str("\n[[inject]]\n");
        line(&mut text, "hosts", &list(hosts.iter().map(String::as_str)));
        line(&mut text, "strategy", &strategy);
        text
    }
}

impl Way {
    /// The slot that it writes to, and the strategy that does.
    fn placed(&self) -> (String, String) {
        let header = |name: &str, value: &str| {
            (name.to_ascii_lowercase(), format!("{{ header = {{ name = {}, value = {} }} }}", quoted(name), quoted(value)))
        };
        match self {
            Self::OAuth2 { .. } => ("authorization".to_owned(), "{ bearer = \"{access_token}\" }".to_owned()),
            Self::Basic { .. } => {
                let strategy = "{ basic = { username = \"{username}\", password = \"{password}\" } }";
                ("authorization".to_owned(), strategy.to_owned())
            }
            Self::Key { field: (field, _), place: Place::Header(name, before) } => {
                header(name, &format!("{before}{{{field}}}"))
            }
            Self::Key { field: (field, _), place: Place::Query(name) } => {
                let strategy = format!("{{ query = {{ name = {}, value = \"{{{field}}}\" }} }}", quoted(name));
                (format!("query:{name}"), strategy)
            }
        }
    }

    /// What the file says besides, in tables of its own.
    fn write(&self, text: &mut String) {
        match self {
            Self::OAuth2 { authorize_url, token_url, scopes, params } => {
                text.push_str("\n[oauth2]\n");
                line(text, "authorize_url", &quoted(authorize_url));
                line(text, "token_url", &quoted(token_url));
                line(text, "scopes", &list(scopes.iter().map(String::as_str)));
                if !params.is_empty() {
                    text.push_str("\n[oauth2.authorize_params]\n");
                    params.iter().for_each(|(name, value)| line(text, &quoted(name), &quoted(value)));
                }
            }
            Self::Key { field: (name, prompt), .. } => field(text, name, prompt.as_deref(), true),
            Self::Basic { username, password } => {
                field(text, "username", username.as_deref(), false);
                field(text, "password", password.as_deref(), true);
            }
        }
    }
}

fn field(text: &mut String, name: &str, prompt: Option<&str>, secret: bool) {
    text.push_str("\n[[field]]\n");
    line(text, "name", &quoted(name));
    line(text, "prompt", &quoted(prompt.unwrap_or(&name.replace('_', " "))));
    line(text, "secret", if secret { "true" } else { "false" });
}

fn line(text: &mut String, key: &str, value: &str) {
    // A String takes whatever is written into it.
    writeln!(text, "{key} = {value}").ok();
}

/// As TOML writes a text, whatever is in it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    toml::Value::Array(texts.into_iter().map(|text| toml::Value::String(text.to_owned())).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::{Catalogue, HostPattern, Provider, parse};
    use super::*;

    fn draft(way: Way) -> Draft {
        let host = |name: &str| name.parse().unwrap();
        let whoami = Some("GET https://api.acme.example/v1/me".to_owned());
        Draft { id: "acme".parse().unwrap(), hosts: vec![host("api.acme.example"), host("eu.acme.example")], whoami, way }
    }

    fn read(draft: &Draft) -> Provider {
        parse("acme.toml", &draft.text()).unwrap_or_else(|error| panic!("{error}\n{}", draft.text()))
    }

    fn oauth2(authorize_url: &str, scopes: &[&str]) -> Way {
        Way::OAuth2 {
            authorize_url: authorize_url.to_owned(),
            token_url: "https://login.acme.example/token".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            params: vec![("access_type".to_owned(), "offline".to_owned())],
        }
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was_meant() {
        let provider = read(&draft(oauth2("https://login.acme.example/authorize", &["read", "write:all"])));
        let oauth2 = provider.oauth2.as_ref().unwrap();
        assert_eq!(oauth2.authorize_url.as_deref(), Some("https://login.acme.example/authorize"));
        assert_eq!((oauth2.token_url.as_str(), oauth2.scopes.len()), ("https://login.acme.example/token", 2));
        assert_eq!(oauth2.authorize_params, [("access_type".to_owned(), "offline".to_owned())]);
        let hosts: Vec<String> = provider.hosts().map(HostPattern::to_string).collect();
        assert_eq!(hosts, ["api.acme.example", "eu.acme.example"]);
        assert_eq!(provider.whoami.first().unwrap().url(), "https://api.acme.example/v1/me");
        assert!(!provider.verified && provider.title == "acme");
        let place = |place| read(&draft(Way::Key { field: ("token".into(), Some("Key \"of\" Acme".into())), place }));
        let header = place(Place::Header("X-Acme-Key".into(), "Token ".into()));
        assert_eq!((header.fields[0].name.as_str(), header.fields[0].prompt.as_str()), ("token", "Key \"of\" Acme"));
        assert!(header.slots.iter().any(|slot| slot.to_string() == "x-acme-key"), "{:?}", header.slots);
        let query = place(Place::Query("api_key".into()));
        assert!(query.slots.iter().any(|slot| slot.to_string() == "query:api_key"), "{:?}", query.slots);
        let basic = read(&draft(Way::Basic { username: None, password: Some("Token".into()) }));
        assert_eq!(basic.fields.iter().map(|field| field.secret).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn no_text_leaves_its_quotes() {
        let hostile = "x\"\n[[inject]]\nhosts = [\"evil.example\"]\nstrategy = { bearer = \"{access_token}\" } # '''";
        let is_refused = |way: Way| parse("acme.toml", &draft(way).text()).is_err();
        assert!(is_refused(oauth2(hostile, &[])) && is_refused(oauth2("https://a.example", &[hostile])));
        assert!(is_refused(Way::Key { field: (hostile.into(), None), place: Place::Query("a".into()) }));
        assert!(is_refused(Way::Key { field: ("token".into(), None), place: Place::Header(hostile.into(), String::new()) }));
        assert!(is_refused(Way::Key { field: ("token".into(), None), place: Place::Query(hostile.into()) }));
        // What may be any text is that text, and nothing after it.
        for way in [
            Way::Basic { username: Some(hostile.into()), password: None },
            Way::Key { field: ("token".into(), Some(hostile.into())), place: Place::Query("a".into()) },
        ] {
            let draft = draft(way);
            if let Ok(provider) = parse("acme.toml", &draft.text()) {
                assert_eq!((provider.inject.len(), provider.hosts().count()), (1, 2), "{}", draft.text());
            }
        }
        let mut catalogue = Catalogue::builtin();
        catalogue.add("acme.toml", &draft(oauth2("https://login.acme.example/a", &["read"])).text()).unwrap();
    }
}
