//! The catalogue as a whole: what every file keeps to, and a table of what goes on the wire that was made without looking at any file
//! (`placements.py`).

#![expect(clippy::expect_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use nexus::model::{Credential, Host, Secret};
use nexus::provider::{
    AboutToken, Catalogue, HostPattern, InjectRule, Matter, Occasion, PathPattern, Placement, Prepared, Provider, Slot,
    Template, TokenResponse, prepare, strip_body, strip_target,
};
use serde::Deserialize;

/// Fields that every connection may have.
const COMMON: [&str; 4] = ["access_token", "api_key", "password", "username"];

fn files() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/providers");
    let entries = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files
        .map(|path| {
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            (name, std::fs::read_to_string(&path).expect("text"))
        })
        .collect()
}

#[test]
fn every_file_is_written_alike() {
    let order = ["name", "title", "category", "console", "whoami", "verified", "beside", "slots"];
    for (name, text) in files() {
        assert!(text.starts_with("# "), "{name} begins with a word about the service");
        assert!(text.ends_with('\n') && !text.contains('\t') && !text.contains("\n\n\n"), "{name}");
        let odd = text.lines().find(|line| line.len() > 140 || line.ends_with(' ') || !line.is_ascii());
        assert_eq!(odd, None, "{name}");
        let head = text.lines().take_while(|line| !line.starts_with('['));
        let keys = head.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        let keys: Vec<&str> = keys.filter_map(|line| line.split([' ', '=']).next()).collect();
        let sorted: Vec<&str> = order.into_iter().filter(|key| keys.contains(key)).collect();
        assert_eq!(keys, sorted, "{name}: the keys at the top are in this order");
    }
}

#[test]
fn every_provider_says_what_a_person_needs() {
    let categories: BTreeSet<&str> = include_str!("categories.txt").lines().collect();
    for provider in Catalogue::builtin().iter() {
        let id = &provider.id;
        assert!(categories.contains(provider.category.as_str()), "{id}: {}", provider.category);
        let own_page = provider.hosts().any(|host| host.tenant().is_some());
        assert!(provider.console.is_some() || own_page || !provider.verified, "{id} has no console");
        assert!(!provider.title.is_empty(), "{id}");
        for field in &provider.fields {
            let tenant = provider.hosts().any(|host| host.tenant() == Some(&field.name));
            let made_of = provider.grants.iter().any(|grant| grant.reads(&field.name));
            let used = used(provider).any(|name| name == field.name) || endpoint(provider, &field.name) || made_of;
            assert!(tenant || used, "{id}: the field {} is used nowhere", field.name);
            assert!(!tenant || !field.secret, "{id}: {} stands in a host name, which everyone sees", field.name);
            assert!(field.prompt != field.name, "{id}: {} has no prompt of its own", field.name);
        }
    }
}

/// Whether a token endpoint's address has the field in it.
fn endpoint(provider: &Provider, name: &str) -> bool {
    provider.token_endpoints().any(|url| url.contains(&format!("{{{name}}}")))
}

fn used(provider: &Provider) -> impl Iterator<Item = &str> {
    let placed = provider.inject.iter().flat_map(|rule| &rule.placements).flat_map(|placement| placement.templates());
    let suffixes = provider.placeholders.iter().filter_map(|placeholder| placeholder.suffix.as_ref());
    let told = provider.token_responses.iter().flat_map(TokenResponse::templates);
    let told = told.chain(provider.about_tokens.iter().flat_map(AboutToken::templates));
    let told = told.chain(provider.whoami.iter().map(|whoami| &whoami.path));
    placed.chain(suffixes).chain(told).flat_map(Template::fields)
}

#[test]
fn every_pattern_is_read_again_as_it_is_shown() {
    for provider in Catalogue::builtin().iter() {
        for host in provider.hosts() {
            assert_eq!(host.to_string().parse::<HostPattern>().as_ref(), Ok(host));
        }
        for path in provider.inject.iter().flat_map(|rule| &rule.paths) {
            assert_eq!(path.to_string().parse::<PathPattern>().as_ref(), Ok(path));
        }
        for slot in &provider.slots {
            assert_eq!(slot.to_string().parse::<Slot>().as_ref(), Ok(slot));
        }
    }
}

#[test]
fn every_token_response_is_of_the_standards_form_and_holds_nothing_but_placeholders() {
    const TAIL: &str = "Abcdefghijklmnopqrstuvwxyz0123456789";
    let secret = Secret::new("a-secret-of-the-connection".to_owned());
    let mut seen = 0;
    for provider in Catalogue::builtin().iter() {
        let open = |name: &str| provider.fields.iter().any(|field| field.name == name && !field.secret && !field.file);
        let (label, hosts) = (Secret::new("acme".to_owned()), ["acme.example".to_owned()]);
        let fields = |name: &str| if open(name) { Some(&label) } else { Some(&secret) };
        for response in &provider.token_responses {
            seen += 1;
            let now = std::time::SystemTime::now();
            let body = response.body(&Occasion {
                tail: TAIL,
                now,
                scope: Some("asked for"),
                renewable: true,
                refresh_token: None,
                exchanged: true,
                fields: &fields,
                hosts: &hosts,
            });
            let text = body.to_string();
            assert!(
                !text.contains("secret-of") && !text.contains('{'.to_string().repeat(2).as_str()),
                "{}: {text}",
                provider.id
            );
            let names = ["access_token", "token", "refresh_token", "id_token"];
            let tokens: Vec<&str> = names.iter().filter_map(|name| body.get(name)?.as_str()).collect();
            assert!(!tokens.is_empty(), "{}: {text}", provider.id);
            for token in tokens {
                assert!(token.ends_with(TAIL) || token.contains(&format!(".{TAIL}_")), "{}: {token}", provider.id);
                assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "{}: {token}", provider.id);
            }
            let lasts = response.lifetime.as_secs();
            assert!((60..=86_400).contains(&lasts), "{}: {lasts} seconds", provider.id);
        }
    }
    assert!(seen >= 50, "{seen}");
}

#[test]
fn what_is_told_of_a_connection_is_a_label_of_its_hosts() {
    let mut seen = 0;
    for provider in Catalogue::builtin().iter() {
        let suffixes = provider.placeholders.iter().filter_map(|placeholder| placeholder.suffix.as_ref());
        let told = provider.token_responses.iter().flat_map(|response| response.templates());
        let told = told.chain(provider.about_tokens.iter().flat_map(|about| about.templates()));
        for field in suffixes.chain(told).flat_map(|template| template.fields()) {
            seen += 1;
            let hole = format!("{{{field}}}");
            let shows = provider.hosts().any(|host| host.to_string().split('.').any(|label| label == hole));
            assert!(shows, "{}: {hole} would never be told", provider.id);
        }
    }
    assert!(seen >= 3, "{seen}");
}

#[test]
fn who_ends_a_token_or_asks_about_one_is_answered_where_nothing_is_injected() {
    let catalogue = Catalogue::builtin();
    let mut seen = (0, 0);
    for provider in catalogue.iter() {
        for about in &provider.about_tokens {
            match about.matter {
                Matter::Revocation => seen.0 += 1,
                Matter::Introspection => seen.1 += 1,
            }
            for (method, place) in &about.at {
                let path = place.path.to_string().replace('*', "x");
                let here = catalogue.iter().flat_map(|other| &other.inject).filter(|rule| rule.port == 443);
                let here = here.filter(|rule| rule.hosts.contains(&place.host));
                let here: Vec<&InjectRule> = here.filter(|rule| rule.path_specificity(&path).is_some()).collect();
                let shut = here.is_empty() || here.iter().any(|rule| rule.mints(method, &path));
                assert!(shut, "{}: {method} {place}", provider.id);
                assert!(provider.token_endpoints().all(|url| url != place.to_string()), "{}: {place}", provider.id);
            }
        }
    }
    assert!(seen.0 >= 40 && seen.1 >= 6, "{seen:?}");
}

#[test]
fn every_google_provider_answers_where_google_asks_for_tokens() {
    let google = |provider: &&Provider| provider.token_endpoints().any(|url| url == "https://oauth2.googleapis.com/token");
    let catalogue = Catalogue::builtin();
    for provider in catalogue.iter().map(AsRef::as_ref).filter(google) {
        let places = provider.token_responses.iter().flat_map(|response| &response.at).map(ToString::to_string);
        // The second is what Node's libraries ask, whatever a key file says.
        let wanted = [
            "https://oauth2.googleapis.com/token",
            "https://www.googleapis.com/oauth2/v4/token",
            "https://sts.googleapis.com/v1/token",
            "https://sts.googleapis.com/v1/oauthtoken",
        ];
        assert_eq!(places.collect::<Vec<_>>(), wanted, "{}", provider.id);
        let ended = provider.about_tokens.iter().flat_map(|about| about.endpoints()).map(ToString::to_string);
        let ended: Vec<String> = ended.collect();
        let wanted = ["https://oauth2.googleapis.com/revoke", "https://accounts.google.com/o/oauth2/revoke"];
        assert!(wanted.iter().all(|wanted| ended.iter().any(|place| place == wanted)), "{}", provider.id);
    }
}

/// Fields with which `rule` puts a credential on requests, and what is asked for besides.
fn fields_for(provider: &Provider, rule: &InjectRule, besides: &[&str]) -> Credential {
    let first =
        |template: &Template| template.holes().filter_map(|names| names.first()).map(ToString::to_string).collect::<Vec<_>>();
    let mut names: Vec<String> = rule.placements.iter().flat_map(Placement::templates).flat_map(first).collect();
    names.extend(rule.hosts.iter().filter(|host| !host.is_own()).filter_map(HostPattern::tenant).map(str::to_owned));
    names.extend(besides.iter().map(|name| (*name).to_owned()));
    let own = |name: &str| provider.hosts().any(|host| host.is_own() && host.tenant() == Some(name));
    let mut credential = Credential::default();
    for name in names {
        let value = if own(&name) { "own.example.com" } else { "acme" };
        credential.set(&name, Secret::new(value.to_owned()));
    }
    credential
}

#[test]
fn every_file_says_what_shows_that_a_credential_works_or_why_nothing_does() {
    let catalogue = Catalogue::builtin();
    let (mut tried, mut untried) = (0, 0);
    for provider in catalogue.iter() {
        let id = &provider.id;
        assert_eq!(provider.whoami.is_empty(), provider.no_whoami.is_some(), "{id}: `whoami` is a request, or `none` and why");
        tried += usize::from(!provider.whoami.is_empty());
        untried += usize::from(provider.whoami.is_empty());
        let shown: BTreeSet<String> = provider.whoami.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), provider.whoami.len(), "{id}: a request is there twice");
        for one in &provider.whoami {
            let besides: Vec<&str> = one.path.fields().chain(one.host.tenant()).collect();
            let sent = provider.inject.iter().any(|rule| {
                let credential = fields_for(provider, rule, &besides);
                let field = |name: &str| credential.field(name);
                provider.whoami_of(&field).any(|can| can == one)
            });
            assert!(sent, "{id}: no connection can send {one}");
            // Where two services share a host the longer beginning of the path wins.
            let path = one.path.to_string().replace(['{', '}'], "x");
            let best = |provider: &Provider| {
                let here = provider.inject.iter().filter(|rule| rule.port == one.port && rule.hosts.contains(&one.host));
                here.filter_map(|rule| rule.path_specificity(&path)).max()
            };
            let others = catalogue.iter().filter(|other| other.id != *id && !provider.beside.contains(&other.id));
            let others = others.filter(|other| !other.beside.contains(id));
            // What people run themselves is whose they say it is.
            let taken = others.filter(|_| !one.host.is_own()).filter_map(|other| best(other)).max();
            assert!(taken < best(provider), "{id}: {one} is another's");
        }
    }
    assert!(tried >= 220 && untried <= 25, "{tried} and {untried}");
}

/// Variables that several files set: one vendor's programs read them for whichever of its services is connected.
const SHARED_VARIABLES: [&str; 5] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GH_TOKEN", "GITHUB_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"];

#[test]
fn a_variable_is_one_files_or_has_one_shape_in_all_of_them() {
    let catalogue = Catalogue::builtin();
    let mut known: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut with = 0;
    for provider in catalogue.iter() {
        with += usize::from(!provider.placeholders.is_empty());
        let own: BTreeSet<&str> = provider.placeholders.iter().map(|one| one.variable.as_str()).collect();
        assert_eq!(own.len(), provider.placeholders.len(), "{}", provider.id);
        for one in &provider.placeholders {
            let shape = format!("{:?} {} {:?} {:?}", one.prefix, one.fixed, one.suffix, one.file);
            known.entry(&one.variable).or_default().push(shape);
        }
    }
    let shared: Vec<&str> = known.iter().filter(|(_, shapes)| shapes.len() > 1).map(|(variable, _)| *variable).collect();
    assert_eq!(shared, SHARED_VARIABLES);
    let odd = known.iter().find(|(_, shapes)| shapes.iter().any(|shape| Some(shape) != shapes.first()));
    assert_eq!(odd, None, "a program could not tell whose value it has");
    assert!(with >= 130, "{with}");
}

/// Calls that end the credential that they come with, and those that would be handed a placeholder to end.
const LOG_OUTS: [(&str, &str); 36] = [
    ("asana", "POST /-/oauth_revoke"),
    ("box", "POST /oauth2/revoke"),
    ("buildkite", "DELETE /v2/access-token"),
    ("discord", "POST /api/v10/oauth2/token/revoke"),
    ("dropbox", "POST /2/auth/token/revoke"),
    ("freshbooks", "POST /auth/oauth/revoke"),
    ("github", "DELETE /applications/Iv1.abc/grant"),
    ("github", "DELETE /installation/token"),
    ("github_app", "DELETE /installation/token"),
    ("gitlab", "DELETE /api/v4/personal_access_tokens/self"),
    ("heroku", "DELETE /oauth/sessions/~"),
    ("linear", "POST /oauth/revoke"),
    ("mattermost", "POST /api/v4/users/logout"),
    ("miro", "POST /v1/oauth/revoke"),
    ("msgraph", "POST /v1.0/me/revokeSignInSessions"),
    ("netsuite", "POST /services/rest/auth/oauth2/v1/revoke"),
    ("notion", "POST /v1/oauth/revoke"),
    ("okta", "DELETE /api/v1/api-tokens/current"),
    ("okta", "POST /oauth2/default/v1/revoke"),
    ("paypal", "POST /v1/oauth2/token/terminate"),
    ("reddit", "POST /api/v1/revoke_token"),
    ("rocket_chat", "POST /api/v1/logout"),
    ("salesforce", "POST /services/oauth2/revoke"),
    ("shopify", "DELETE /admin/api_permissions/current.json"),
    ("slack", "GET /api/auth.revoke"),
    ("slack", "POST /api/apps.uninstall"),
    ("square", "POST /oauth2/revoke"),
    ("supabase", "POST /v1/oauth/revoke"),
    ("tiktok_ads", "POST /open_api/v1.3/oauth2/revoke_token/"),
    ("todoist", "POST /api/v1/revoke"),
    ("twitter", "POST /1.1/oauth/invalidate_token"),
    ("twitter", "POST /2/oauth2/revoke"),
    ("vercel", "DELETE /v3/user/tokens/current"),
    ("whatsapp_business", "DELETE /v20.0/me/permissions"),
    ("wordpress", "DELETE /wp-json/wp/v2/users/me/application-passwords"),
    ("zendesk", "DELETE /api/v2/oauth/tokens/current.json"),
];

#[test]
fn a_log_out_does_not_end_the_stored_credential() {
    let catalogue = Catalogue::builtin();
    for (provider, request) in LOG_OUTS {
        let own = catalogue.get(&provider.parse().unwrap()).unwrap();
        let (method, path) = request.split_once(' ').unwrap();
        assert!(own.inject.iter().any(|rule| rule.mints(&method.parse().unwrap(), path)), "{provider}: {request}");
    }
}

/// Requests whose path is, or holds, a credential.
const SECRET_PATHS: [(&str, &str); 7] = [
    ("discord", "/api/webhooks/1/TOKEN"),
    ("discord", "/api/v10/webhooks/1/TOKEN/messages/@original"),
    ("discord", "/api/v10/interactions/1/TOKEN/callback"),
    ("slack_webhooks", "/services/T0/B0/TOKEN"),
    ("slack_webhooks", "/triggers/T0/1/TOKEN"),
    ("telegram", "/bot1:AA/getMe"),
    ("telegram", "/file/bot1:AA/photos/a.jpg"),
];

#[test]
fn i1_a_path_that_is_a_secret_is_masked_in_records() {
    let catalogue = Catalogue::builtin();
    for (provider, path) in SECRET_PATHS {
        let own = catalogue.get(&provider.parse().unwrap()).unwrap();
        let rule = own.inject.iter().find(|rule| rule.path_specificity(path).is_some()).expect("a rule");
        assert!(rule.secret_path || rule.secret_segments().next().is_some(), "{provider}: {path}");
        assert!(own.inject.iter().all(|rule| !rule.secret_path || rule.path_specificity("/api/v10/users/@me").is_none()));
    }
}

/// One row of the table: a request to `host` for a connection with `fields` carries this and nothing else of the kind.
#[derive(Debug, Deserialize)]
struct Row {
    provider: String,
    alternative: u32,
    host: String,
    path: String,
    tenant: BTreeMap<String, String>,
    fields: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    /// The path on the wire, where it is another one.
    sent_path: Option<String>,
    #[serde(default)]
    json: BTreeMap<String, String>,
    #[serde(default)]
    form: BTreeMap<String, String>,
    /// What is signed is not in the table, but how: the scheme, a word that says more of it, the slot that the signature goes to.
    strategy: Option<String>,
    says: Option<String>,
    signature: Option<String>,
    #[serde(default)]
    required: BTreeMap<String, String>,
    /// Required with a value that is the provider file's choice.
    #[serde(default)]
    required_any: Vec<String>,
}

impl Row {
    /// Its fields under the names of our file. What has a name of its own at the vendor is one of the common fields here: every way of
    /// reading it so.
    fn credentials(&self, provider: &Provider) -> Vec<BTreeMap<String, String>> {
        let known = |name: &&String| COMMON.contains(&name.as_str()) || used(provider).any(|used| used == *name);
        let mut ways = vec![BTreeMap::new()];
        for (name, value) in self.fields.iter().filter(|(name, _)| known(name)) {
            ways.iter_mut().for_each(|way| drop(way.insert(name.clone(), value.clone())));
        }
        for (_name, value) in self.fields.iter().filter(|(name, _)| !known(name)) {
            let with = |way: &BTreeMap<String, String>, name: &str| {
                let mut way = way.clone();
                way.insert(name.to_owned(), value.clone()).is_none().then_some(way)
            };
            ways = ways.iter().flat_map(|way| COMMON.into_iter().filter_map(move |name| with(way, name))).collect();
        }
        for field in provider.hosts().filter_map(HostPattern::tenant) {
            let whole = provider.hosts().any(|host| matches!(host, HostPattern::Own { field: own } if own == field));
            let default = if whole { self.host.as_str() } else { "acme" };
            let label = self.tenant.get(field).map_or(default, String::as_str);
            for way in &mut ways {
                way.entry(field.to_owned()).or_insert_with(|| label.to_owned());
            }
        }
        ways
    }

    /// What each rule of the host that takes `fields` puts on a request, and whether it insists on what the row does. Which of them it
    /// is depends on the path.
    fn sent(&self, provider: &Provider, fields: &BTreeMap<String, String>) -> Vec<(Wire, bool)> {
        let mut credential = Credential::default();
        fields.iter().for_each(|(name, value)| credential.set(name, Secret::new(value.clone())));
        let host: Host = self.host.parse().expect("a host");
        let here = |pattern: &HostPattern| match pattern {
            HostPattern::Own { field } => self.tenant.get(field) == Some(&self.host),
            pattern => pattern.matches(&host),
        };
        let there = provider.inject.iter().filter(|rule| rule.hosts.iter().any(here));
        let there = there.filter(|rule| self.sent_path.is_none() || rule.path_specificity(&self.path).is_some());
        let insists = |rule: &InjectRule| {
            let has = |name: &str, value: &str| rule.headers.iter().any(|(own, text)| own == name && text == value);
            let named = |name: &String| rule.headers.iter().any(|(own, _)| own.as_str() == name.as_str());
            self.required.iter().all(|(name, value)| has(name, value)) && self.required_any.iter().all(named)
        };
        there.filter_map(|rule| Some((self.placed(provider, rule, &credential)?, insists(rule)))).collect()
    }

    fn wanted(&self) -> Wire {
        Wire {
            path: self.sent_path.clone().unwrap_or_else(|| "/probe".to_owned()),
            headers: pairs(&self.headers),
            query: pairs(&self.query),
            json: pairs(&self.json),
            form: pairs(&self.form),
            signed: self.strategy.as_ref().map(|word| self.signed(word)),
        }
    }

    fn signed(&self, word: &str) -> [String; 3] {
        [word.to_owned(), self.says.clone().unwrap_or_default(), self.signature.clone().unwrap_or_default()]
    }

    /// What `rule` puts on a request that carries a stranger's credential in every slot.
    fn placed(&self, provider: &Provider, rule: &InjectRule, credential: &Credential) -> Option<Wire> {
        // A reading that cannot be sent is none.
        let prepared = prepare(&rule.placements, &|name| credential.field(name)).ok()??;
        let (mut headers, mut target) = self.theirs(provider);
        strip_target(&provider.slots, &mut headers, &mut target).expect("a target");
        prepared.apply(&mut headers, &mut target).ok()?;
        let text = |value: &HeaderValue| String::from_utf8(value.as_bytes().to_vec()).expect("text");
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        headers.sort();
        let path = percent_encoding::percent_decode_str(target.path()).decode_utf8().expect("text").into_owned();
        let signs = |placement: &&Placement| matches!(placement, Placement::Sign(_));
        let signed = rule.placements.iter().find(signs).map(|placement| {
            let says = self.says.clone().filter(|says| placement.to_string().contains(says)).unwrap_or_default();
            let own: Vec<String> = placement.slots().iter().map(ToString::to_string).collect();
            [placement.word().to_owned(), says, self.signature.clone().filter(|slot| own.contains(slot)).unwrap_or_default()]
        });
        let query = form_pairs(target.query().unwrap_or_default());
        Some(Wire { path, headers, query, json: self.json(provider, &prepared), form: self.form(provider, &prepared), signed })
    }

    /// A request with a stranger's credential in every slot of its head.
    fn theirs(&self, provider: &Provider) -> (HeaderMap, PathAndQuery) {
        let mut headers = HeaderMap::new();
        let mut query = vec!["kept=1".to_owned()];
        for slot in &provider.slots {
            match slot {
                Slot::Header(name) => {
                    headers.append(name, HeaderValue::from_static("theirs"));
                }
                Slot::Query(name) => query.push(format!("{name}=theirs")),
                Slot::Cookie(name) => {
                    headers.append("cookie", HeaderValue::from_str(&format!("{name}=theirs")).expect("a value"));
                }
                Slot::Path(_) | Slot::Json(_) | Slot::Form(_) => {}
            }
        }
        let path = if self.sent_path.is_some() { &self.path } else { "/probe" };
        (headers, format!("{path}?{}", query.join("&")).parse().expect("a target"))
    }

    /// What stands in a JSON body that came with a stranger's credential in every place that the provider or the row names.
    fn json(&self, provider: &Provider, prepared: &Prepared) -> Vec<(String, String)> {
        let slots = provider.slots.iter().filter(|slot| matches!(slot, Slot::Json(_))).map(ToString::to_string);
        let places: BTreeSet<String> = slots.filter_map(|slot| slot.strip_prefix("json:").map(str::to_owned)).collect();
        let mut body = serde_json::json!({ "kept": 1 });
        for place in places.iter().chain(self.json.keys()) {
            write(&mut body, place, "theirs");
        }
        let body = within(provider, prepared, "application/json", body.to_string());
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let mut found = Vec::new();
        leaves(&body, "", &mut found);
        found.sort();
        found
    }

    /// The same of a form.
    fn form(&self, provider: &Provider, prepared: &Prepared) -> Vec<(String, String)> {
        let named = |slot: &Slot| match slot {
            Slot::Form(name) => Some(format!("&{name}=theirs")),
            _ => None,
        };
        let theirs: String = provider.slots.iter().filter_map(named).collect();
        let body = within(provider, prepared, "application/x-www-form-urlencoded", format!("kept=1{theirs}"));
        form_pairs(std::str::from_utf8(&body).expect("text"))
    }
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Names and values, decoded, but for what was there from the beginning.
fn form_pairs(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().expect("text").into_owned();
    let split = text.split('&').filter_map(|pair| pair.split_once('='));
    let mut pairs: Vec<_> =
        split.filter(|(name, _)| *name != "kept").map(|(name, value)| (decode(name), decode(value))).collect();
    pairs.sort();
    pairs
}

/// `body` emptied of strangers' credentials and, where the credential goes into a body of this kind, with it.
fn within(provider: &Provider, prepared: &Prepared, kind: &'static str, body: String) -> Vec<u8> {
    let headers: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect();
    let emptied = strip_body(&provider.slots, &headers, body.as_bytes()).expect("readable");
    let body = emptied.map_or_else(|| body.into_bytes(), |emptied| emptied.to_vec());
    let filled = prepared.body(&headers, &body).ok().flatten().map(|filled| filled.to_vec());
    filled.unwrap_or(body)
}

/// Puts `text` into `body` at `place`, with all that must be around it.
fn write(body: &mut serde_json::Value, place: &str, text: &str) {
    let mut at = body;
    for step in place.trim_start_matches('/').split('/') {
        at = match step.parse::<usize>() {
            Ok(index) => {
                if at.is_null() {
                    *at = serde_json::json!([]);
                }
                let items = at.as_array_mut().expect("an array");
                items.resize(items.len().max(index + 1), serde_json::Value::Null);
                &mut items[index]
            }
            Err(_) => &mut at[step],
        };
    }
    *at = text.into();
}

/// Every text of `body` and its place, as provider files write it.
fn leaves(body: &serde_json::Value, place: &str, found: &mut Vec<(String, String)>) {
    match body {
        serde_json::Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(value, &format!("{place}/{name}"), found));
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| leaves(value, &format!("{place}/{at}"), found));
        }
        serde_json::Value::String(text) => {
            let top = place.strip_prefix('/').filter(|name| !name.contains('/'));
            found.push((top.unwrap_or(place).to_owned(), text.clone()));
        }
        _ => {}
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Wire {
    path: String,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    json: Vec<(String, String)>,
    form: Vec<(String, String)>,
    signed: Option<[String; 3]>,
}

/// Rows that the files read otherwise, and why; each of their providers has another row.
const OTHERWISE: &[(&str, u32, &str)] = &[
    ("apify", 2, "the same key as Bearer"),
    ("apollo", 2, "the same key in a header"),
    ("fly_io", 2, "the same token as Bearer"),
    ("gitlab", 2, "personal tokens are taken as Bearer too"),
    ("google_gemini", 2, "the same key in a header"),
    ("google_maps", 1, "this host's services read the query alone"),
    ("heroku", 2, "the same key as Bearer"),
    ("mailchimp", 1, "any user name will do"),
    ("matomo", 2, "the same key as Bearer"),
    ("mixpanel", 2, "the project's token stands in each event of a list, and is no secret"),
    ("phabricator", 2, "the same token in a form"),
    ("plaid", 2, "the same pair in headers"),
    ("posthog", 2, "the project's key is public, and bodies are compressed"),
    ("prestashop", 2, "the same key as Basic"),
    ("qdrant_cloud", 2, "the same key in a header"),
    ("segment", 2, "the write key belongs to api.segment.io"),
    ("stripe", 2, "the one key is taken in both forms; it goes as Bearer"),
    ("tailscale", 2, "the same key as Bearer"),
    ("tavily", 2, "the same key as Bearer"),
    ("trello", 1, "key and token in the Authorization field, the row's second form"),
    ("what3words", 2, "the same key in a header"),
    ("whatsapp_business", 2, "the same token as Bearer"),
    ("woocommerce", 2, "the same pair as Basic"),
    ("wordpress", 1, "only hosts of one's own take Basic"),
];

#[test]
fn i2_what_goes_on_the_wire_is_what_the_table_says() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("placements.json")).expect("the table");
    let catalogue = Catalogue::builtin();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for row in &rows {
        let provider = catalogue.get(&row.provider.parse().expect("a name")).expect("a file for each row");
        let sent: Vec<_> = row.credentials(provider).iter().flat_map(|fields| row.sent(provider, fields)).collect();
        let fits = sent.iter().any(|(wire, insists)| *insists && *wire == row.wanted());
        let otherwise =
            OTHERWISE.iter().any(|(name, alternative, _why)| *name == row.provider && *alternative == row.alternative);
        if fits {
            seen.insert(provider.id.clone());
        }
        if fits == otherwise {
            let Row { provider, alternative, required, required_any, .. } = row;
            wrong.push(format!(
                "{provider} {alternative}: {:?} with {required:?} {required_any:?}\n  but {sent:?}",
                row.wanted()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    let unseen = catalogue.iter().filter(|one| !seen.contains(&one.id)).map(|provider| provider.id.to_string());
    assert_eq!(unseen.collect::<Vec<_>>(), Vec::<String>::new(), "no row holds for these");
}

/// The rows of the table of facts that call their refresh tokens rotating.
const ROTATING: &str = "airtable azure_devops azure_storage box calendly confluence digitalocean discord dynamics etsy freshbooks \
    github gitlab jira keap linear miro msgraph notion quickbooks sage_business_cloud_accounting shopify slack supabase twitter \
    typeform wrike xero zoom";

#[test]
fn the_services_that_spend_a_refresh_token_at_each_renewal_are_those_of_the_table() {
    let catalogue = Catalogue::builtin();
    let rotating = catalogue.iter().filter(|provider| provider.oauth2.as_ref().is_some_and(|oauth2| oauth2.rotates));
    let rotating: Vec<&str> = rotating.map(|provider| provider.id.as_str()).collect();
    assert_eq!(rotating, ROTATING.split_whitespace().collect::<Vec<_>>());
}
