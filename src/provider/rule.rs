//! What one provider file says, parsed: every name is a type, every path and host a pattern.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::about_token::AboutToken;
use super::action::Action;
use super::body::Pointer;
use super::expired::Signals;
use super::grant::Grant;
use super::mint::Mint;
use super::oauth2::OAuth2;
use super::path::PathPattern;
use super::pattern::{BindError, HostPattern};
use super::preset::Presets;
use super::strategy::{Fields, Placement};
use super::template::Template;
use super::token_response::TokenResponse;
use super::whoami::WhoAmI;
use crate::model::{Host, Methods, ProviderId, Readings, has_one_shape, readings};

/// A service Nexus knows.
#[derive(Debug)]
pub struct Provider {
    /// `github`; also the file's name.
    pub id: ProviderId,
    /// `GitHub`, for people.
    pub title: String,
    /// `development`, for people.
    pub category: String,
    /// The page where a person makes the app or key.
    pub console: Option<String>,
    /// Requests that show whether a credential works: see [`Provider::whoami_of`].
    pub whoami: Vec<WhoAmI>,
    /// Why there is none, where its file says so.
    pub no_whoami: Option<String>,
    /// Every place where this provider takes a credential, and `Authorization` whatever its file says; all are stripped from what a
    /// caller sends.
    pub slots: Vec<Slot>,
    /// The OAuth 2.0 endpoints, where it has them.
    pub oauth2: Option<OAuth2>,
    /// Providers that have hosts of this one, too: a request goes with whichever of them has a connection, this one first.
    pub beside: Vec<ProviderId>,
    /// How its answers say that a credential is dead.
    pub signals: Signals,
    /// Which of its requests change nothing, and which delete nothing.
    pub presets: Presets,
    /// Ways to a token from what is stored; the first whose fields the connection has is used where it has no refresh token.
    pub grants: Vec<Grant>,
    /// What callers that ask its token endpoints for tokens of their own are answered, where a file says it.
    pub token_responses: Vec<TokenResponse>,
    /// What callers that end a placeholder, or ask what one is good for, are answered, where a file says it.
    pub about_tokens: Vec<AboutToken>,
    /// Where and how to inject; the first rule that matches host, port and path, and whose fields the connection has, wins.
    pub inject: Vec<InjectRule>,
    /// Variables that its SDKs insist on, and the shape of their values.
    pub placeholders: Vec<Placeholder>,
    /// What a person must hand over beyond the fields that every provider may have (`api_key`, `username`, …): tenants first.
    pub fields: Vec<Field>,
    /// `false` where the facts were recalled, not read at the vendor's.
    pub verified: bool,
}

/// Scopes that ask who the person is, or for a refresh token (OpenID Connect Core §5.4 and §11): any service's.
const IDENTITY_SCOPES: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

/// The scopes that tell one service from another (RFC 6749 §3.3; some write commas).
pub(super) fn words_of(scope: &str) -> impl Iterator<Item = &str> {
    scope.split([' ', ',']).filter(|word| !word.is_empty() && !IDENTITY_SCOPES.contains(word))
}

impl Provider {
    /// The endpoints that hand out tokens; no caller may reach them through us (RFC 6749 §3.2).
    pub fn token_endpoints(&self) -> impl Iterator<Item = &str> {
        let shut = self.grants.iter().filter(|grant| grant.kind.has_private_endpoint());
        self.refreshing().chain(shut.filter_map(|grant| grant.token_url.as_deref()))
    }

    fn refreshing(&self) -> impl Iterator<Item = &str> {
        let oauth2 = self.oauth2.iter();
        oauth2.flat_map(|oauth2| [Some(oauth2.token_url.as_str()), oauth2.refresh_url.as_deref()]).flatten()
    }

    /// What registration seals in an entry with these fields besides its hosts: every address that a secret of it is sent to when it is
    /// renewed, as this file writes it.
    pub fn token_urls(&self, fields: Fields<'_>) -> Vec<String> {
        let granting =
            self.grants.iter().filter(|grant| grant.is_filled_by(fields)).filter_map(|grant| grant.token_url.as_deref());
        let own = self.is_for_own_server(fields);
        let mut urls: Vec<String> = Vec::new();
        for url in self.refreshing().chain(granting).filter(|url| !own || url.contains('{')) {
            if !urls.iter().any(|known| known == url) {
                urls.push(url.to_owned());
            }
        }
        urls
    }

    /// Whether some rule puts a token on requests that a person's log-in gives.
    pub fn places_access_tokens(&self) -> bool {
        let templates = self.inject.iter().flat_map(|rule| &rule.placements).flat_map(super::Placement::templates);
        templates.into_iter().any(|template| template.fields().any(|name| name == "access_token"))
    }

    /// How well the scopes of a log-in fit this provider among those that share a token endpoint. First 4 for each that its file names and 3
    /// for each that is a part of one of those; then, where that says nothing, 1 for each whose address is at one of its hosts: Microsoft's
    /// are, but those of all of Google's services are at one host.
    pub fn fits_scopes(&self, scope: &str) -> (usize, usize) {
        let granting = self.grants.iter().flat_map(|grant| &grant.scopes);
        let own: Vec<&str> = self.oauth2.iter().flat_map(|oauth2| &oauth2.scopes).chain(granting).map(String::as_str).collect();
        let narrower = |word: &str, own: &str| word.strip_prefix(own).is_some_and(|rest| rest.starts_with(['.', ':', '/']));
        let named = |word: &str| match () {
            () if own.contains(&word) => 4,
            () if own.iter().any(|own| narrower(word, own)) => 3,
            () => 0,
        };
        let hosts: Vec<String> = self.hosts().map(ToString::to_string).collect();
        let is_at_own = |word: &&str| {
            let host = word.strip_prefix("https://").and_then(|rest| rest.split('/').next());
            host.is_some_and(|host| hosts.iter().any(|own| own == host))
        };
        (words_of(scope).map(named).sum(), words_of(scope).filter(is_at_own).count())
    }

    /// Every host pattern of every rule, in the file's order; the same one may come twice.
    pub fn hosts(&self) -> impl Iterator<Item = &HostPattern> {
        self.inject.iter().flat_map(|rule| &rule.hosts)
    }

    /// Whether these fields name a server that its user runs: a credential for that one goes to no other, the vendor's neither.
    pub fn is_for_own_server(&self, fields: Fields<'_>) -> bool {
        self.hosts()
            .any(|pattern| pattern.is_own() && pattern.tenant().is_some_and(|field| super::strategy::present(fields, field)))
    }

    /// Host patterns of `rules` that a credential with these fields is for.
    fn hosts_for<'a>(
        &self,
        rules: impl Iterator<Item = &'a InjectRule>,
        fields: Fields<'_>,
    ) -> impl Iterator<Item = &'a HostPattern> {
        let own = self.is_for_own_server(fields);
        rules.flat_map(|rule| &rule.hosts).filter(move |pattern| !own || pattern.is_own())
    }

    /// The hosts that a credential with these fields may reach, each once, as registration seals them in the entry. Those of the
    /// rules that take it; where none does yet (its access token is still to be fetched), those of every rule. One for a server that
    /// its user runs reaches that server only.
    ///
    /// # Errors
    /// A tenant field that is there, but is not a DNS label.
    pub fn bound_hosts(&self, fields: Fields<'_>) -> Result<Vec<String>, BindError> {
        let mut hosts = Vec::new();
        let taken = self.inject.iter().any(|rule| rule.accepts(fields));
        let rules = self.inject.iter().filter(|rule| !taken || rule.accepts(fields));
        for pattern in self.hosts_for(rules, fields) {
            match pattern {
                HostPattern::Below(below) => hosts.push(below.to_string()),
                pattern => hosts.extend(pattern.bind(fields)?.map(|host| host.to_string())),
            }
        }
        hosts.sort();
        hosts.dedup();
        Ok(hosts)
    }

    /// The hosts by which a connection with these fields is known: those that were sealed with it; of one in which nothing was sealed (as
    /// JarvisCore writes them), those that these patterns bind.
    pub fn hosts_of<'a>(&self, sealed: Option<&'a [String]>, fields: Fields<'_>) -> Cow<'a, [String]> {
        sealed.map_or_else(|| Cow::Owned(self.bound_hosts(fields).unwrap_or_default()), Cow::Borrowed)
    }

    /// `hosts`, which are bound to a connection with these fields, as anybody may read them: one is written as the file writes it where
    /// it shows a field that no host of `sealed` shows. A file may have come to call a credential a tenant.
    pub fn open_hosts(&self, hosts: &[String], sealed: &[String], fields: Fields<'_>) -> Vec<String> {
        let own = |field: &str| super::strategy::open_label(fields, sealed, field).is_some();
        let hides = |pattern: &&HostPattern| pattern.tenant().is_some_and(|field| !own(field));
        let shown = |host: &String| {
            let binds = |pattern: &&HostPattern| {
                pattern.bind(fields).is_ok_and(|bound| bound.is_some_and(|bound| bound.to_string() == *host))
            };
            let hidden = || self.hosts().filter(hides).find(binds);
            if sealed.contains(host) { host.clone() } else { hidden().map_or_else(|| host.clone(), ToString::to_string) }
        };
        hosts.iter().map(shown).collect()
    }

    /// Whether a credential with these fields may go to `host`: the hosts that were sealed with it decide; one in which nothing was
    /// sealed (as JarvisCore writes them) reaches what these patterns bind.
    ///
    /// A name that was sealed with a `*` counts only for `rule`s whose signatures hold for one host.
    pub fn reaches(&self, rule: usize, host: &Host, sealed: Option<&[String]>, fields: Fields<'_>) -> bool {
        let signs = self.inject.get(rule).is_some_and(InjectRule::signs_for_one_host);
        match sealed {
            None => self.hosts_for(self.inject.iter(), fields).any(|pattern| match pattern {
                HostPattern::Below(_) => pattern.matches(host),
                pattern => pattern.bind(fields).is_ok_and(|bound| bound.as_ref() == Some(host)),
            }),
            Some(sealed) => sealed
                .iter()
                .filter(|allowed| signs || !allowed.starts_with('*'))
                .any(|allowed| HostPattern::sealed_as(allowed, host)),
        }
    }
}

/// `[[field]]`: something that a person must hand over at registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// `site`.
    pub name: String,
    /// What to ask: `Site name, the part before .atlassian.net`.
    pub prompt: String,
    /// Whether to ask without echo and to guard the value; `false` for tenants and user names.
    pub secret: bool,
    /// What the value looks like, for people: `us21`.
    pub hint: Option<String>,
    /// Whether the value is what a file holds, of several lines: a key, a certificate. No request carries one.
    pub file: bool,
    /// Where the value comes from if nobody gave it.
    pub derived: Option<Derived>,
}

/// `from = "api_key", after_last = "-"`: Mailchimp's data centre is written at the end of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// The field it is read from.
    pub from: String,
    /// The value is what follows the last of these.
    pub after_last: String,
}

/// One place in a request that can carry a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// A header field: `authorization`.
    Header(HeaderName),
    /// A query parameter, written `query:access_token`.
    Query(String),
    /// A cookie, written `cookie:session`.
    Cookie(String),
    /// A segment of the path, counted from 1, written `path:1`. Where no rule takes the path there is none.
    Path(u8),
    /// A member of a JSON body, written `json:api_key` or `json:/params/args/2`.
    Json(Pointer),
    /// A field of a form in the body, written `form:token`.
    Form(String),
}

/// One `[[inject]]` table.
#[derive(Debug)]
pub struct InjectRule {
    /// The hosts it speaks of.
    pub hosts: Vec<HostPattern>,
    /// 443 unless the file says otherwise.
    pub port: u16,
    /// Empty = every path.
    pub paths: Vec<PathPattern>,
    /// How the credential goes on; all of them are applied. Never empty.
    pub placements: Vec<Placement>,
    /// Headers without which the service refuses; added only when the caller sent none of that name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Which methods are sent again after a 401.
    pub replay: ReplayRule,
    /// Whether `Set-Cookie` may reach the caller.
    pub set_cookie: bool,
    /// Endpoints whose answers carry a new credential, or that end the one that they are asked with; refused.
    pub mints: Vec<MethodPath>,
    /// Those of them whose answer says where the new credential stands: captured, where the operator wants that.
    pub captures: Vec<Mint>,
    /// Calls whose answers carry a new credential, by the name that a parameter `Action` or AWS's target header gives them; refused.
    pub mint_actions: Vec<Action>,
    /// A host match without a path match is refused instead of forwarded without injection.
    pub refuse_other_paths: bool,
    /// The path itself is secret (webhooks): masked in every record.
    pub secret_path: bool,
}

impl InjectRule {
    /// Whether a credential with these fields has all that this rule places, and either names a server of its user's own that the rule
    /// speaks of, or a tenant for each other host.
    pub fn accepts(&self, fields: Fields<'_>) -> bool {
        let has = |name: &str| super::strategy::present(fields, name);
        let bound = |pattern: &HostPattern| pattern.tenant().is_none_or(has);
        let (own, others): (Vec<&HostPattern>, Vec<&HostPattern>) = self.hosts.iter().partition(|pattern| pattern.is_own());
        self.placements.iter().all(|placement| placement.is_filled_by(&has))
            && (own.into_iter().any(bound) || (!others.is_empty() && others.into_iter().all(bound)))
    }

    /// Whether all that it puts on a request are signatures, each of which holds for one host.
    pub(super) fn signs_for_one_host(&self) -> bool {
        self.placements.iter().all(|placement| matches!(placement, Placement::Sign(signer) if signer.binds_the_host()))
    }

    /// Segments of the path, counted from 1, that are a credential.
    pub fn secret_segments(&self) -> impl Iterator<Item = usize> {
        self.placements.iter().filter_map(|placement| match placement {
            Placement::Path { segment, .. } => Some(usize::from(*segment)),
            _ => None,
        })
    }

    /// How long a prefix of `path` it spells out, if it takes `path` in every reading of it; 0 where it takes every path.
    ///
    /// Between two providers on one host the longer prefix wins; within one provider the first rule does.
    pub fn path_specificity(&self, path: &str) -> Option<usize> {
        // A segment that is replaced must be the same one to whoever reads the path.
        if self.secret_segments().next().is_some() && !has_one_shape(path) {
            return None;
        }
        if self.paths.is_empty() {
            return Some(0);
        }
        let all = readings(path).ok()?;
        self.paths.iter().filter(|pattern| pattern.matches_all_of(&all)).map(PathPattern::specificity).max()
    }

    /// Whether the answer may carry a new credential, in any reading of `path`, and by any method that its query puts in place.
    pub fn mints(&self, method: &Method, path: &str) -> bool {
        if self.mints.is_empty() {
            return false;
        }
        let all = readings(path).ok();
        let others = path.split_once('?').map(|(_path, query)| Methods::of_query(query)).unwrap_or_default();
        let by = |method: &str| self.mints.iter().any(|mint| mint.matches(method, all.as_ref()));
        by(method.as_str()) || others.iter().any(by)
    }

    /// Whether it may by one of the methods `others` in place of `method`.
    pub(crate) fn mints_in_place(&self, method: &str, others: Methods, path: &str) -> bool {
        // Nearly every entry is of the method that creates, or of all of them.
        let named = |mint: &&MethodPath| mint.method.as_ref().is_some_and(|own| own != method);
        if !self.mints.iter().any(|mint| named(&mint)) {
            return false;
        }
        let all = readings(path).ok();
        others.iter().any(|by| self.mints.iter().filter(named).any(|mint| mint.matches(by, all.as_ref())))
    }

    /// Adds the headers that the service insists on, where the caller sent none of that name.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
}

/// `replay = "all" | "safe" | "never"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayRule {
    /// Every method: a 401 means "not processed" (RFC 9110 §15.5.2).
    All,
    /// Only safe methods (RFC 9110 §9.2.1).
    Safe,
    /// None.
    Never,
}

/// `POST /app/installations/*/access_tokens`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodPath {
    /// `None` = any method, written `*`.
    pub method: Option<Method>,
    /// The path.
    pub path: PathPattern,
}

impl MethodPath {
    /// Whether it speaks of this request in any reading of its path: it is made for refusing, so doubt is a match.
    fn matches(&self, method: &str, path: Option<&Readings<'_>>) -> bool {
        // Some services take `post` for POST.
        let same = |own: &Method| own.as_str().eq_ignore_ascii_case(method);
        self.method.as_ref().is_none_or(same) && self.path.matches_any_of(path)
    }
}

/// `GITHUB_TOKEN = "ghp_"`: a variable and the prefix of its worthless value.
#[derive(Debug, Clone)]
pub struct Placeholder {
    /// The environment variable.
    pub variable: String,
    /// What the value begins with; the rest is made per agent and connection.
    pub prefix: String,
    /// A fixed value instead of a made one (a region, a flag).
    pub fixed: bool,
    /// What follows the made part, of fields that are no secret: `-{dc}`, off which an SDK reads its host.
    pub suffix: Option<Template>,
    /// The value is the path of this file instead.
    pub file: Option<HelperFile>,
}

/// `file = "google_service_account"`: a file that an SDK insists on, with nothing of worth in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelperFile {
    /// A key file of a service account that is nobody's.
    GoogleServiceAccount,
}

impl Placeholder {
    /// The variable's value around `tail`, which is made per agent and connection. The suffix is left out where the connection lacks
    /// one of its fields, or none of its `hosts` (as [`Provider::hosts_of`] has them) shows it.
    pub fn value(&self, tail: &str, fields: Fields<'_>, hosts: &[String]) -> String {
        let label = |name: &str| super::strategy::open_label(fields, hosts, name);
        let suffix = self.suffix.as_ref().and_then(|suffix| suffix.fill(&label)).unwrap_or_default();
        format!("{}{}{suffix}", self.prefix, if self.fixed { "" } else { tail })
    }
}
