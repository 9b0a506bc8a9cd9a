//! `nexus providers`: the catalogue, and where a credential and its secrets may go.

use nexus::app::registration::Reach;
use nexus::model::{ConnectionId, ProviderId};
use nexus::provider::{Catalogue, Grant, GrantKind, Matter, OAuth2, Placement, Provider};
use nexus::vault::{Entry, Store};
use serde_json::{Value, json};

use super::arguments::Providers;
use super::context::{Context, Hint};
use super::terminal::Terminal;
use super::{register, when};

/// How alike two names must be to be taken for a slip of the finger.
const ALIKE: f64 = 0.85;

pub(super) fn run(context: &Context, terminal: &Terminal, action: &Providers) -> anyhow::Result<()> {
    match action {
        Providers::List { search, category } => list(context, terminal, search.as_deref(), category.as_deref()),
        Providers::Show { name } => show(context, terminal, name),
        Providers::Check { file } => check(terminal, file),
        Providers::Trust { name, yes } => trust(context, terminal, name, *yes),
    }
}

/// The provider called `id`, or an error that names one which is spelled alike.
pub(super) fn find<'c>(catalogue: &'c Catalogue, id: &ProviderId) -> anyhow::Result<&'c Provider> {
    if let Some(provider) = catalogue.get(id) {
        return Ok(provider);
    }
    let alike = |other: &Provider| strsim::jaro_winkler(other.id.as_str(), id.as_str());
    let scored = catalogue.iter().map(|other| (alike(other), other.id.as_str())).filter(|(score, _)| *score >= ALIKE);
    let best = scored.max_by(|one, two| one.0.total_cmp(&two.0));
    let meant = best.map(|(_, name)| format!("; did you mean {name}?")).unwrap_or_default();
    anyhow::bail!(Hint::new(format!("there is no provider called {id}{meant}"), "nexus providers list"))
}

fn list(context: &Context, terminal: &Terminal, search: Option<&str>, category: Option<&str>) -> anyhow::Result<()> {
    let catalogue = context.catalogue(terminal);
    let mut wanted: Vec<&Provider> = catalogue
        .iter()
        .map(AsRef::as_ref)
        .filter(|provider| category.is_none_or(|category| provider.category == category))
        .filter(|provider| search.is_none_or(|search| mentions(provider, search)))
        .collect();
    wanted.sort_by_key(|provider| &provider.category);
    let value: Vec<Value> = wanted.iter().map(|provider| facts(&catalogue, provider)).collect();
    terminal.either(&json!({ "providers": value }), || {
        let cells = wanted.iter().map(|provider| {
            vec![
                provider.category.clone(),
                provider.id.to_string(),
                provider.title.clone(),
                takes_in_short(provider).join(", "),
            ]
        });
        Terminal::table(&["Category", "Name", "Title", "Takes"], cells.collect())
    })?;
    match (wanted.is_empty(), category, search) {
        (false, ..) => {}
        (true, Some(category), None) => {
            let mut known: Vec<&str> = catalogue.iter().map(|provider| provider.category.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            terminal.hint(&format!("nothing is in {category:?}; categories are {}", known.join(", ")));
        }
        (true, ..) => terminal.hint("nothing was found; a file of your own in the providers folder adds a service"),
    }
    Ok(())
}

/// Whether `search` stands in what names the provider, in any case; `-` and `_` are the same letter.
fn mentions(provider: &Provider, search: &str) -> bool {
    let fold = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let wanted = fold(search);
    let names = [provider.id.as_str(), &provider.title, &provider.category].map(str::to_owned);
    let variables = provider.placeholders.iter().map(|placeholder| placeholder.variable.clone());
    names.into_iter().chain(hosts(provider)).chain(variables).any(|text| fold(&text).contains(&wanted))
}

fn facts(catalogue: &Catalogue, provider: &Provider) -> Value {
    json!({
        "name": provider.id.as_str(),
        "title": provider.title,
        "category": provider.category,
        "console": provider.console,
        "whoami": provider.whoami.iter().map(|whoami| json!({
            "method": whoami.method.as_str(),
            "url": whoami.url(),
            "body": whoami.body.as_ref().map(nexus::provider::FixedBody::text),
        })).collect::<Vec<_>>(),
        "no_whoami": provider.no_whoami,
        "builtin": catalogue.is_builtin(&provider.id),
        "verified": provider.verified,
        "takes": takes(provider),
        "hosts": hosts(provider),
        "slots": provider.slots.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "oauth2": provider.oauth2.as_ref().map(endpoints),
        "grants": provider.grants.iter().map(grant).collect::<Vec<_>>(),
        "token_responses": provider.token_responses.iter().map(|response| json!({
            "at": response.at.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "shape": response.shape.word(),
        })).collect::<Vec<_>>(),
        "about_tokens": provider.about_tokens.iter().map(|about| json!({
            "matter": about.matter.word(),
            "at": about.at.iter().map(|(method, at)| format!("{method} {at}")).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "variables": provider.placeholders.iter().map(|placeholder| placeholder.variable.as_str()).collect::<Vec<_>>(),
        "rules": provider.inject.iter().map(|rule| json!({
            "hosts": rule.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "port": rule.port,
            "paths": rule.paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "strategy": rule.placements.iter().map(nexus::provider::Placement::word).collect::<Vec<_>>(),
            "placements": rule.placements.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "captures": rule.captures.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "fields": provider.fields.iter().map(|field| json!({
            "name": field.name, "prompt": field.prompt, "secret": field.secret, "hint": field.hint, "file": field.file,
        })).collect::<Vec<_>>(),
    })
}

fn endpoints(oauth2: &OAuth2) -> Value {
    json!({
        "authorize_url": oauth2.authorize_url,
        "token_url": oauth2.token_url,
        "refresh_url": oauth2.refresh_url,
        "device_url": oauth2.device_url,
        "revocation_url": oauth2.revocation_url,
        "issuer": oauth2.issuer,
        "scopes": oauth2.scopes,
        "scope_separator": oauth2.scope_separator,
        "client_authentication": oauth2.client_authentication.word(),
        "pkce": oauth2.pkce,
    })
}

fn grant(grant: &Grant) -> Value {
    json!({ "kind": grant.kind.word(), "token_url": grant.token_url, "scopes": grant.scopes, "fields": grant.fields() })
}

/// The ways to register: `oauth2`, the kinds of its grants, then the words of the strategies, each once.
fn takes(provider: &Provider) -> Vec<&'static str> {
    words(provider, GrantKind::word, Placement::word)
}

/// As [`takes`], in fewer letters.
fn takes_in_short(provider: &Provider) -> Vec<&'static str> {
    let short = |placement: &Placement| if matches!(placement, Placement::Sign(_)) { "signature" } else { placement.word() };
    words(provider, |_| "grant", short)
}

fn words(
    provider: &Provider,
    grant: fn(GrantKind) -> &'static str,
    placed: fn(&Placement) -> &'static str,
) -> Vec<&'static str> {
    let oauth2 = provider.oauth2.as_ref().map(|_| "oauth2");
    let grants = provider.grants.iter().map(|own| grant(own.kind));
    let placed = provider.inject.iter().flat_map(|rule| &rule.placements).map(placed);
    let mut words: Vec<&str> = Vec::new();
    for word in oauth2.into_iter().chain(grants).chain(placed) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

fn hosts(provider: &Provider) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for host in provider.hosts().map(ToString::to_string) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

fn show(context: &Context, terminal: &Terminal, name: &str) -> anyhow::Result<()> {
    let catalogue = context.catalogue(terminal);
    let provider = find(&catalogue, &name.parse()?)?;
    terminal.either(&facts(&catalogue, provider), || {
        let rules = provider.inject.iter().map(|rule| {
            let hosts: Vec<String> = rule.hosts.iter().map(ToString::to_string).collect();
            let paths: Vec<String> = rule.paths.iter().map(|path| format!("\n  {path}")).collect();
            let placements: Vec<String> = rule.placements.iter().map(ToString::to_string).collect();
            format!("{}\n  {}{}", hosts.join(", "), placements.join("\n  "), paths.concat())
        });
        let fields = provider.fields.iter().map(|field| match field.file {
            true => format!("--field-file {}=PATH  {}", field.name, field.prompt),
            false => format!("--field {}=…  {}", field.name, field.prompt),
        });
        let variables: Vec<&str> = provider.placeholders.iter().map(|placeholder| placeholder.variable.as_str()).collect();
        let mut rows = vec![
            ("Provider", format!("{} ({})", provider.id, provider.title)),
            ("Category", provider.category.clone()),
            ("Takes", takes(provider).join(", ")),
            ("Rules", rules.collect::<Vec<_>>().join("\n")),
            ("Strips", provider.slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        ];
        rows.push(("Expires", expires(provider)));
        rows.extend((!provider.token_responses.is_empty()).then(|| ("Answers", answers(provider))));
        rows.extend((!provider.about_tokens.is_empty()).then(|| ("Of tokens", about_tokens(provider))));
        let captures: Vec<String> = provider.inject.iter().flat_map(|rule| &rule.captures).map(ToString::to_string).collect();
        let how = "new credentials that programs ask for, where proxy.mints = \"capture\"; else they are refused";
        rows.extend((!captures.is_empty()).then(|| ("Captures", format!("{how}\n  {}", captures.join("\n  ")))));
        rows.push(("Register", register::examples(provider).join("\n")));
        rows.push(("Tried by", tried_by(provider)));
        rows.extend(provider.console.iter().map(|console| ("Console", console.clone())));
        rows.extend((!provider.fields.is_empty()).then(|| ("Fields", fields.collect::<Vec<_>>().join("\n"))));
        rows.extend((!variables.is_empty()).then(|| ("Variables", variables.join(", "))));
        let source = if catalogue.is_builtin(&provider.id) { "comes with nexus" } else { "a file of your own" };
        let doubt = if provider.verified { "" } else { "; not verified against the vendor's documentation" };
        rows.push(("Source", format!("{source}{doubt}")));
        Terminal::pairs(&rows)
    })
}

/// What shows that a credential works, or why nothing does.
fn tried_by(provider: &Provider) -> String {
    let requests: Vec<String> = provider.whoami.iter().map(ToString::to_string).collect();
    match (&provider.no_whoami, requests.as_slice()) {
        (Some(reason), _) => format!("nothing: {reason}"),
        (None, []) => "nothing that is known".to_owned(),
        (None, _) => requests.join("\nor "),
    }
}

/// What becomes of the credential, in words.
fn expires(provider: &Provider) -> String {
    let taken = |life: Option<std::time::Duration>| match life {
        Some(life) => format!("\n  taken to live {} where the service doesn't say", when::span(life)),
        None => String::new(),
    };
    let said = provider.signals.expired.iter().map(ToString::to_string);
    let signals = std::iter::once("a 401".to_owned()).chain(said).collect::<Vec<_>>().join(", or\n  ");
    let mut ways: Vec<String> = Vec::new();
    if let Some(oauth2) = &provider.oauth2 {
        let life = taken(oauth2.default_lifetime);
        let once = if oauth2.rotates {
            "\n  where each refresh token is good for one renewal: whoever else has it loses it"
        } else {
            ""
        };
        ways.push(format!("renewed before it expires and after {signals}, at\n  {}{once}{life}", oauth2.renewal_url()));
    }
    for grant in &provider.grants {
        let place = match &grant.token_url {
            Some(url) => format!("at\n  {url}{}", taken(grant.default_lifetime)),
            None => "here: nobody is asked for it".to_owned(),
        };
        let fields = grant.fields().join(", ");
        ways.push(format!("with {fields}: a token is made on first use, before it expires and after {signals},\n  {place}"));
    }
    if ways.is_empty() {
        return format!("never renewed: one that the service refuses, by {signals}, is registered anew");
    }
    ways.join("\n")
}

/// Where programs that ask for tokens of their own are answered.
fn answers(provider: &Provider) -> String {
    let places = provider.token_responses.iter().flat_map(|response| &response.at);
    let places: Vec<String> = places.map(|place| format!("\n  {place}")).collect();
    format!("with placeholders, once a connection exists, who asks for a token of its own at{}", places.concat())
}

/// Bytes of a file that is checked: more than any may have, and not all of one without an end.
const MOST_READ: u64 = 1024 * 1024;

/// Where placeholders are ended or asked about.
fn about_tokens(provider: &Provider) -> String {
    let about = provider.about_tokens.iter().map(|about| {
        let places: Vec<String> = about.at.iter().map(|(method, at)| format!("\n  {method} {at}")).collect();
        let what = match about.matter {
            Matter::Revocation => "who ends a placeholder is told that it is done, and the credential stays, at",
            Matter::Introspection => "who asks what a placeholder is good for is answered at",
        };
        format!("{what}{}", places.concat())
    });
    about.collect::<Vec<_>>().join("\n")
}

fn check(terminal: &Terminal, file: &std::path::Path) -> anyhow::Result<()> {
    use std::io::Read as _;

    use anyhow::Context as _;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file);
    let read = opened.and_then(|opened| opened.take(MOST_READ).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read {}", file.display()))?;
    let text = nexus::provider::text(&name, &bytes)?;
    // Parsed first by itself, so that one that ships can be checked as well.
    let provider = nexus::provider::parse(&name, text)?;
    let mut catalogue = Catalogue::builtin();
    let builtin = catalogue.is_builtin(&provider.id);
    if !builtin {
        catalogue.add(&name, text)?;
    }
    let mut warnings: Vec<String> = catalogue.takeovers().iter().map(ToString::to_string).collect();
    if builtin {
        let id = &provider.id;
        warnings
            .push(format!("{id} comes with nexus: in your own folder a file of this name is not taken; choose another name"));
    }
    let hosts = hosts(&provider);
    let places = provider.token_responses.iter().flat_map(|response| &response.at).map(ToString::to_string);
    let about = provider.about_tokens.iter().flat_map(|about| &about.at).map(|(_method, at)| at.to_string());
    let places: Vec<String> = places.chain(about).collect();
    let value = json!({
        "name": provider.id.as_str(), "valid": true, "hosts": hosts, "answers": places, "warnings": warnings,
    });
    let answers = if places.is_empty() { String::new() } else { format!("; it answers at {}", places.join(", ")) };
    terminal.either(&value, || format!("{name} is valid: {} for {}{answers}\n", provider.id, hosts.join(", ")))?;
    for warning in warnings.iter().filter(|_| !terminal.json) {
        terminal.warn(warning);
    }
    Ok(())
}

/// What would change for one connection.
struct Change {
    connection: ConnectionId,
    before: Reach,
    after: Reach,
    /// `after` for people to read.
    shown: Reach,
}

impl Change {
    fn of(provider: &Provider, connection: ConnectionId, entry: &Entry) -> anyhow::Result<Self> {
        let (before, after) = (Reach::sealed(entry), Reach::named(provider, entry)?);
        let shown = after.shown(&before, provider, entry);
        Ok(Self { connection, before, after, shown })
    }

    fn lines(&self) -> String {
        let compare = |before: &[String], after: &[String], what: &str| {
            let added = after.iter().filter(|one| !before.contains(one)).map(|one| format!("  + {what}{one}\n"));
            let gone = before.iter().filter(|one| !after.contains(one)).map(|one| format!("  - {what}{one}\n"));
            added.chain(gone).collect::<String>()
        };
        let hosts = compare(&self.before.hosts, &self.shown.hosts, "");
        let token_urls = compare(&self.before.token_urls, &self.after.token_urls, "token endpoint ");
        format!("{}\n{hosts}{token_urls}", self.connection)
    }

    fn facts(&self) -> Value {
        json!({
            "connection": self.connection.as_str(),
            "before": self.before.hosts,
            "after": self.shown.hosts,
            "token_urls": { "before": self.before.token_urls, "after": self.after.token_urls },
        })
    }
}

fn trust(context: &Context, terminal: &Terminal, name: &str, yes: bool) -> anyhow::Result<()> {
    context.require_home()?;
    let catalogue = context.catalogue(terminal);
    let provider = find(&catalogue, &name.parse()?)?;
    let store = context.store()?;
    let mut changes = Vec::new();
    for (connection, entry) in store.snapshot()?.iter().filter(|(connection, _)| *connection.provider() == provider.id) {
        changes.push(Change::of(provider, connection.clone(), entry)?);
    }
    if changes.is_empty() {
        anyhow::bail!(Hint::new(format!("{} has no connection", provider.title), format!("nexus register {}", provider.id)));
    }
    changes.retain(|change| change.before != change.after);
    let shown = json!({ "provider": provider.id.as_str(), "changes": changes.iter().map(Change::facts).collect::<Vec<_>>() });
    if changes.is_empty() {
        return terminal.either(&shown, || format!("the credentials of {} reach what its file names already\n", provider.id));
    }
    let lines: String = changes.iter().map(Change::lines).collect();
    terminal.talk(&lines);
    if !yes {
        if !terminal.can_ask() {
            anyhow::bail!(Hint::new(
                "there is nobody to ask whether the credential may go there",
                format!("nexus providers trust {} --yes", provider.id)
            ));
        }
        let question = "Let the credentials reach these hosts, and their secrets these token endpoints?";
        anyhow::ensure!(terminal.confirm(question)?, "nothing was changed");
    }
    for change in &changes {
        seal(&store, provider, change)?;
    }
    terminal.either(&shown, || format!("sealed the reach of {} connections of {}\n", changes.len(), provider.id))
}

/// Writes what was shown, unless the entry has changed meanwhile.
fn seal(store: &Store, provider: &Provider, change: &Change) -> anyhow::Result<()> {
    let mut as_shown = false;
    store.update(&change.connection, |entry| {
        let now = Change::of(provider, change.connection.clone(), entry);
        as_shown = now.is_ok_and(|now| now.before == change.before && now.after == change.after);
        if as_shown {
            change.after.seal(entry);
        }
    })?;
    anyhow::ensure!(as_shown, "{} was changed by somebody else meanwhile; look again", change.connection);
    Ok(())
}
