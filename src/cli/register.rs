//! `nexus register`: a credential into the vault, its hosts sealed with it.

use std::io::{BufRead as _, Read as _};
use std::time::SystemTime;

use anyhow::Context as _;
use nexus::app::{Reach, try_out};
use nexus::model::{ConnectionId, Credential, Secret};
use nexus::provider::{HostPattern, Provider, WhoAmI, prepare};
use nexus::vault::{AuthType, Entry};
use serde_json::json;

use super::arguments::Register;
use super::context::{Context, Hint, connection};
use super::terminal::Terminal;
use super::{gateway, providers, when};

/// The largest key or certificate that is read.
const FILE_LIMIT: usize = 64 * 1024;
/// Services take no longer header fields; most stop at 8 KiB.
const FIELD_LIMIT: usize = 32 * 1024;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Register) -> anyhow::Result<()> {
    let id = connection(&options.provider, options.user.as_deref())?;
    context.require_home()?;
    gateway::warn_if_away(context, terminal);
    let catalogue = context.catalogue(terminal);
    let provider = providers::find(&catalogue, id.provider())?;
    let store = context.store()?;
    context.warn_if_guessable(terminal)?;
    let replaced = store.get(&id)?.is_some();
    if replaced && terminal.can_ask() {
        let question = format!("{id} is registered already. Replace its credential, with all that belongs to it?");
        anyhow::ensure!(terminal.confirm(&question)?, "nothing was changed: {id} keeps its credential");
    }
    let mut fields = collect(terminal, provider, options)?;
    if fields.names().next().is_none() {
        ask(terminal, provider, &mut fields)?;
    }
    provider.derive_fields(&mut fields);
    let expires_at = options.expires.as_deref().map(|text| when::parse(text, SystemTime::now())).transpose()?;
    let entry = entry(provider, &id, fields, expires_at)?;
    let hosts = entry.hosts.clone();
    let (warnings, check) = (warnings(provider, &entry), page_to_try(provider, &entry));
    store.register(&id, entry)?;
    warnings.iter().for_each(|warning| terminal.warn(warning));
    let verb = if replaced { "replaced" } else { "registered" };
    terminal.either(&json!({ "registered": id.as_str(), "replaced": replaced, "hosts": hosts }), || {
        format!("{verb} {id} for {}\n", hosts.join(", "))
    })?;
    if let Some(url) = check.filter(|_| terminal.can_ask()) {
        terminal.hint(&format!("whether it works: nexus run -- curl '{url}'"));
    }
    Ok(())
}

/// What a person should know of the credential.
fn warnings(provider: &Provider, entry: &Entry) -> Vec<String> {
    let mut warnings = Vec::new();
    if !provider.verified {
        warnings.push(format!("the facts about {} were not verified against its documentation", provider.title));
    }
    let rotates = provider.oauth2.as_ref().is_some_and(|oauth2| oauth2.rotates);
    if rotates && entry.fields.field("refresh_token").is_some() {
        let title = &provider.title;
        warnings.push(format!(
            "{title} spends a refresh token at each renewal: from the first one on, whoever else has this one has lost it"
        ));
    }
    let without = |(field, host)| format!("without --field {field}=… this credential does not go to {host}");
    warnings.extend(unbound(provider, entry).into_iter().map(without));
    warnings
}

/// The one request, without a body, that shows whether `entry` works.
fn page_to_try(provider: &Provider, entry: &Entry) -> Option<String> {
    let field = |name: &str| entry.fields.field(name);
    let tried: Vec<&WhoAmI> = provider.whoami_of(&field).collect();
    match tried.as_slice() {
        [whoami] if whoami.method == http::Method::GET => whoami.bound_url(&field),
        _ => None,
    }
}

/// Makes the entry and seals the hosts that its fields bind and the token endpoints of the provider.
fn entry(provider: &Provider, id: &ConnectionId, fields: Credential, expires_at: Option<SystemTime>) -> anyhow::Result<Entry> {
    let renewable = provider.renewal(&|name| fields.field(name)).is_some();
    let auth_type = if renewable { AuthType::OAuth2 } else { auth_type(&fields) };
    let mut entry = Entry::new(id.provider().clone(), auth_type, fields);
    let is_spent = provider.spends("client_secret");
    let usable = provider.inject.iter().any(|rule| rule.accepts(&|name| entry.placed_field(name, is_spent)));
    if !usable && !renewable && entry.fields.field("refresh_token").is_none() {
        anyhow::bail!(other_fields(provider));
    }
    sendable(provider, &entry)?;
    try_out(provider, &entry).context("the credential makes no token, so nothing was stored")?;
    let reach = Reach::named(provider, &entry).context("a field that is part of a host name is not valid")?;
    reach.seal(&mut entry);
    if entry.hosts.is_empty() {
        anyhow::bail!(other_fields(provider));
    }
    entry.expires_at = expires_at;
    Ok(entry)
}

/// The tenants that nobody named, each with a host that the credential would otherwise go to.
fn unbound(provider: &Provider, entry: &Entry) -> Vec<(String, String)> {
    let is_spent = provider.spends("client_secret");
    let fields = |name: &str| entry.placed_field(name, is_spent);
    let filled = provider.inject.iter().filter(|rule| matches!(prepare(&rule.placements, &fields), Ok(Some(_))));
    let mut unbound: Vec<(String, String)> = Vec::new();
    // A server of one's own, or the vendor's: it is for one of them.
    let missed = |host: &&HostPattern| match is_of_both_kinds(provider) {
        true => !host.is_own() && !provider.is_for_own_server(&fields),
        false => true,
    };
    for host in filled.flat_map(|rule| &rule.hosts).filter(missed) {
        let tenant = host.tenant().filter(|_| matches!(host.bind(&fields), Ok(None)));
        if let Some(tenant) = tenant.filter(|tenant| !unbound.iter().any(|(known, _)| known == tenant)) {
            unbound.push((tenant.to_owned(), host.to_string()));
        }
    }
    unbound
}

/// Refuses now what each request would fail at later.
fn sendable(provider: &Provider, entry: &Entry) -> anyhow::Result<()> {
    let is_file = |name: &str| provider.fields.iter().any(|field| field.name == name && field.file);
    for name in entry.fields.names().filter(|name| !is_file(name)) {
        let odd = entry.fields.field(name).is_some_and(Secret::has_control);
        anyhow::ensure!(!odd, "{name} holds a line end or another control character, so nothing was stored; leave it out");
        let long = entry.fields.field(name).is_some_and(|value| value.is_longer_than(FIELD_LIMIT));
        anyhow::ensure!(!long, "{name} is longer than 32 KiB, which no service takes, so nothing was stored");
    }
    let is_spent = provider.spends("client_secret");
    let fields = |name: &str| entry.placed_field(name, is_spent);
    for rule in provider.inject.iter().filter(|rule| rule.accepts(&fields)) {
        prepare(&rule.placements, &fields).context("the credential cannot go on a request, so nothing was stored")?;
    }
    Ok(())
}

fn other_fields(provider: &Provider) -> Hint {
    let ways: Vec<String> = ways(provider).iter().map(|way| list(way)).collect();
    let message = format!("{} needs other fields than were given: {}", provider.title, ways.join("; or "));
    Hint::new(message, example(provider))
}

fn list(way: &[Wanted]) -> String {
    way.iter().map(|field| format!("{}=…", field.name)).collect::<Vec<_>>().join(", ")
}

/// The command that registers a credential of `provider` the first way, secrets from standard input.
pub(super) fn example(provider: &Provider) -> String {
    example_of(provider, &wanted(provider))
}

/// The commands that register it in any way.
pub(super) fn examples(provider: &Provider) -> Vec<String> {
    ways(provider).iter().map(|way| example_of(provider, way)).collect()
}

fn example_of(provider: &Provider, wanted: &[Wanted]) -> String {
    let given = wanted.iter().filter_map(|field| match field {
        Wanted { file: true, name, .. } => Some(format!(" --field-file {name}=PATH")),
        Wanted { secret: false, name, .. } => Some(format!(" --field {name}=…")),
        _ => None,
    });
    let rest = if wanted.iter().any(|field| field.secret && !field.file) { " --stdin" } else { "" };
    format!("nexus register {}{}{rest}", provider.id, given.collect::<String>())
}

fn auth_type(fields: &Credential) -> AuthType {
    let has = |name: &str| fields.field(name).is_some();
    if has("client_id") || has("access_token") || has("refresh_token") {
        AuthType::OAuth2
    } else if has("username") || has("password") {
        AuthType::BasicAuth
    } else {
        AuthType::ApiKey
    }
}

/// Fields from flags, the environment and standard input, each secret from the moment it is read.
fn collect(terminal: &Terminal, provider: &Provider, options: &Register) -> anyhow::Result<Credential> {
    let mut fields = Credential::default();
    let mut said = from_flags(terminal, provider, options, &mut fields);
    let mut set = |name: &str, value| {
        anyhow::ensure!(
            !said.iter().any(|known| known == name),
            "{name} is given twice, so nothing was stored; leave one of them out"
        );
        said.push(name.to_owned());
        fields.set(name, value);
        Ok(())
    };
    for field in &options.fields {
        let (name, value) = field.split_once('=').with_context(|| "--field takes NAME=VALUE".to_owned())?;
        warn_if_secret(terminal, provider, name);
        set(name, Secret::new(value.to_owned()))?;
    }
    for file in &options.files {
        let (name, path) = file.split_once('=').with_context(|| "--field-file takes NAME=PATH".to_owned())?;
        anyhow::ensure!(path != "-" || !options.stdin, "standard input is read once: by --stdin or by --field-file {name}=-");
        set(name, read_file(path)?)?;
    }
    if options.stdin {
        read_lines(provider, &mut set)?;
    }
    Ok(fields)
}

/// Those that have a flag or a variable; gives the names of those that a flag said. What the environment says gives way, what is said twice
/// is a mistake.
fn from_flags(terminal: &Terminal, provider: &Provider, options: &Register, fields: &mut Credential) -> Vec<String> {
    let given = [
        ("client_id", &options.client_id, None),
        ("client_secret", &options.client_secret, Some("NEXUS_CLIENT_SECRET")),
        ("api_key", &options.api_key, Some("NEXUS_API_KEY")),
        ("username", &options.username, None),
        ("password", &options.password, Some("NEXUS_PASSWORD")),
        ("access_token", &options.access_token, Some("NEXUS_ACCESS_TOKEN")),
        ("refresh_token", &options.refresh_token, Some("NEXUS_REFRESH_TOKEN")),
    ];
    for (name, flag, variable) in given {
        if flag.is_some() {
            warn_if_secret(terminal, provider, name);
        }
        let value = flag.clone().or_else(|| variable.and_then(Context::variable));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields.set(name, Secret::new(value));
        }
    }
    given.iter().filter(|(_, flag, _)| flag.is_some()).map(|(name, ..)| (*name).to_owned()).collect()
}

/// `name=value` lines of standard input.
fn read_lines(provider: &Provider, set: &mut dyn FnMut(&str, Secret<String>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = zeroize::Zeroizing::new(line.context("cannot read standard input")?);
        if line.trim().is_empty() {
            continue;
        }
        let named = line.split_once('=').filter(|(name, _)| is_name(name.trim()));
        let (name, value) = named.ok_or_else(|| {
            let example = wanted(provider).into_iter().find(|field| field.secret).map(|field| field.name).unwrap_or_default();
            anyhow::anyhow!("standard input takes one name=value a line, such as {example}=… for {}", provider.title)
        })?;
        set(name.trim(), Secret::new(value.to_owned()))?;
    }
    Ok(())
}

/// What a file holds, `-` being standard input; the line end at its end is the editor's.
fn read_file(path: &str) -> anyhow::Result<Secret<String>> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(FILE_LIMIT + 1));
    let limit = u64::try_from(FILE_LIMIT + 1)?;
    let read = if path == "-" {
        std::io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    let length = read.with_context(|| format!("cannot read {path}"))?;
    anyhow::ensure!(length <= FILE_LIMIT, "{path} is larger than 64 KiB, so it is no key");
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The command line is seen by other processes and kept by shells.
fn warn_if_secret(terminal: &Terminal, provider: &Provider, name: &str) {
    let known = matches!(name, "client_secret" | "api_key" | "password" | "access_token" | "refresh_token");
    if known || provider.fields.iter().any(|field| field.name == name && field.secret) {
        terminal.warn(&format!("{name} came by the command line, where other processes and the shell's history see it; prefer a prompt, --stdin or a variable"));
    }
}

/// So that a bare token that ends in `=` is not taken for a name.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What a person must hand over.
#[derive(Clone)]
struct Wanted {
    name: String,
    prompt: String,
    secret: bool,
    file: bool,
}

impl Wanted {
    /// What the file says about the field, or what its name does.
    fn named(provider: &Provider, name: &str) -> Self {
        if let Some(field) = provider.fields.iter().find(|field| field.name == name) {
            let prompt = field.prompt.clone();
            return Self { name: name.to_owned(), prompt, secret: field.secret, file: field.file };
        }
        let secret = !matches!(name, "username" | "client_id");
        Self { name: name.to_owned(), prompt: name.replace('_', " "), secret, file: false }
    }
}

/// What a person is asked for: the fields of the first way.
fn wanted(provider: &Provider) -> Vec<Wanted> {
    ways(provider).into_iter().next().unwrap_or_default()
}

/// The ways to a credential, the usual one first: what goes on a request as it is, then what tokens are made from.
fn ways(provider: &Provider) -> Vec<Vec<Wanted>> {
    let made = provider.grants.iter().map(|grant| {
        let tenants = provider.fields.iter().map(|field| field.name.as_str()).filter(|name| names_host(provider, name));
        let mut names: Vec<&str> = tenants.collect();
        names.extend(grant.fields().into_iter().filter(|name| !names_host(provider, name)));
        names.into_iter().map(|name| Wanted::named(provider, name)).collect()
    });
    // Where only a token that can be made goes on requests, nobody has one to hand over.
    let tokens_only = provider.oauth2.is_none() && !provider.grants.is_empty() && placed(provider).eq(["access_token"]);
    let direct = (!tokens_only).then(|| direct(provider)).into_iter().flat_map(|way| servers(provider, way));
    direct.chain(made).collect()
}

/// `way`; where a service runs at its vendor's and on servers of its users, the same for each, in the file's order.
fn servers(provider: &Provider, way: Vec<Wanted>) -> Vec<Vec<Wanted>> {
    let is_own = |field: &Wanted| provider.hosts().any(|host| host.is_own() && host.tenant() == Some(&field.name));
    if !is_of_both_kinds(provider) || !way.iter().any(is_own) {
        return vec![way];
    }
    let (own, rest): (Vec<Wanted>, Vec<Wanted>) = way.into_iter().partition(is_own);
    let elsewhere = rest.iter().filter(|field| !names_host(provider, &field.name)).cloned();
    let at_home = own.into_iter().chain(elsewhere).collect();
    if provider.hosts().next().is_some_and(HostPattern::is_own) { vec![at_home, rest] } else { vec![rest, at_home] }
}

/// Whether it runs at its vendor's and on servers of its users.
fn is_of_both_kinds(provider: &Provider) -> bool {
    provider.hosts().any(HostPattern::is_own) && !provider.hosts().all(HostPattern::is_own)
}

fn names_host(provider: &Provider, name: &str) -> bool {
    provider.hosts().any(|host| host.tenant() == Some(name))
}

/// The fields that the first rule places; of alternatives the usual one.
fn placed(provider: &Provider) -> impl Iterator<Item = &str> {
    let placements = provider.inject.first().map(|rule| rule.placements.as_slice()).unwrap_or_default();
    let holes = placements.iter().flat_map(|placement| placement.templates()).flat_map(nexus::provider::Template::holes);
    let usual = if provider.oauth2.is_some() { ["access_token", "api_key"] } else { ["api_key", "access_token"] };
    holes.filter_map(move |names| {
        let usual = usual.into_iter().find(|usual| names.iter().any(|name| &**name == *usual));
        usual.or_else(|| names.first().map(AsRef::as_ref))
    })
}

/// What the file declares, but for tokens that are made, and what its first rule needs beside it.
fn direct(provider: &Provider) -> Vec<Wanted> {
    let in_rules = |name: &str| {
        let placements = provider.inject.iter().flat_map(|rule| &rule.placements);
        placements
            .flat_map(|placement| placement.templates())
            .flat_map(nexus::provider::Template::fields)
            .any(|own| own == name)
    };
    let made_of = |name: &str| provider.grants.iter().any(|grant| grant.reads(name));
    let declared = provider.fields.iter().map(|field| field.name.as_str());
    let declared = declared.filter(|name| names_host(provider, name) || in_rules(name) || !made_of(name));
    let mut wanted: Vec<Wanted> = declared.map(|name| Wanted::named(provider, name)).collect();
    for name in placed(provider) {
        let alternatives = alternatives(provider, name);
        if !wanted.iter().any(|known| alternatives.contains(&known.name.as_str())) {
            wanted.push(Wanted::named(provider, name));
        }
    }
    wanted
}

/// The fields that do as well as `name` in the first rule.
fn alternatives<'p>(provider: &'p Provider, name: &'p str) -> Vec<&'p str> {
    let placements = provider.inject.first().map(|rule| rule.placements.as_slice()).unwrap_or_default();
    let mut holes = placements.iter().flat_map(|placement| placement.templates()).flat_map(nexus::provider::Template::holes);
    let hole = holes.find(|names| names.iter().any(|own| **own == *name));
    hole.map_or_else(|| vec![name], |names| names.iter().map(AsRef::as_ref).collect())
}

/// Asks a person for what the provider's file says it needs.
fn ask(terminal: &Terminal, provider: &Provider, fields: &mut Credential) -> anyhow::Result<()> {
    if !terminal.can_ask() {
        let wanted = wanted(provider);
        let command = match wanted.iter().any(|field| field.file) {
            true => example(provider),
            false => format!("nexus register {} --stdin", provider.id),
        };
        anyhow::bail!(Hint::new(
            format!("no field was given and there is nobody to ask; --stdin takes a line for each: {}", list(&wanted)),
            command
        ));
    }
    if let Some(console) = &provider.console {
        terminal.say(&format!("{}: make or find the credential at {console}", provider.title));
    }
    for Wanted { name, prompt, secret, file } in wanted(provider) {
        let value = match (file, secret) {
            (true, _) => terminal.ask(&format!("{prompt} (path of the file)"))?,
            (false, true) => terminal.ask_secret(&prompt)?,
            (false, false) => terminal.ask(&prompt)?,
        };
        if !value.is_empty() {
            fields.set(&name, if file { read_file(&value)? } else { Secret::new(value) });
        }
    }
    if fields.names().next().is_none() {
        anyhow::bail!(Hint::new("nothing was typed, so nothing was stored", format!("nexus register {}", provider.id)));
    }
    Ok(())
}
