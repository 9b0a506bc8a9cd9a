//! `nexus register`: a credential into the vault, its hosts sealed with it.

use std::io::BufRead as _;
use std::time::SystemTime;

use anyhow::Context as _;
use nexus::app::Reach;
use nexus::model::{ConnectionId, Credential, Secret};
use nexus::provider::{Provider, prepare};
use nexus::vault::{AuthType, Entry};
use serde_json::json;

use super::arguments::Register;
use super::context::{Context, Hint, connection};
use super::terminal::Terminal;
use super::{gateway, providers, when};

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Register) -> anyhow::Result<()> {
    let id = connection(&options.provider, options.user.as_deref())?;
    context.require_home()?;
    gateway::warn_if_away(context, terminal);
    let catalogue = context.catalogue(terminal);
    let provider = providers::find(&catalogue, id.provider())?;
    let store = context.store()?;
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
    let unbound = unbound(provider, &entry);
    let check = provider.whoami.as_ref().filter(|whoami| whoami.method == http::Method::GET);
    let check = check.and_then(|whoami| whoami.bound_url(&|name| entry.effective_field(name)));
    store.register(&id, entry)?;
    if !provider.verified {
        terminal.warn(&format!("the facts about {} were not verified against its documentation", provider.title));
    }
    for (field, host) in unbound {
        terminal.warn(&format!("without --field {field}=… this credential does not go to {host}"));
    }
    let verb = if replaced { "replaced" } else { "registered" };
    terminal.either(&json!({ "registered": id.as_str(), "replaced": replaced, "hosts": hosts }), || {
        format!("{verb} {id} for {}\n", hosts.join(", "))
    })?;
    if let Some(url) = check.filter(|_| terminal.can_ask()) {
        terminal.hint(&format!("whether it works: nexus run -- curl '{url}'"));
    }
    Ok(())
}

/// Makes the entry and seals the hosts that its fields bind and the token endpoints of the provider.
fn entry(provider: &Provider, id: &ConnectionId, fields: Credential, expires_at: Option<SystemTime>) -> anyhow::Result<Entry> {
    let auth_type = auth_type(&fields);
    let mut entry = Entry::new(id.provider().clone(), auth_type, fields);
    let usable = provider.inject.iter().any(|rule| rule.accepts(&|name| entry.effective_field(name)));
    if !usable && entry.fields.field("refresh_token").is_none() {
        anyhow::bail!(other_fields(provider));
    }
    sendable(provider, &entry)?;
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
    let fields = |name: &str| entry.effective_field(name);
    let filled = provider.inject.iter().filter(|rule| matches!(prepare(&rule.placements, &fields), Ok(Some(_))));
    let mut unbound: Vec<(String, String)> = Vec::new();
    for host in filled.flat_map(|rule| &rule.hosts) {
        let tenant = host.tenant().filter(|_| matches!(host.bind(&fields), Ok(None)));
        if let Some(tenant) = tenant.filter(|tenant| !unbound.iter().any(|(known, _)| known == tenant)) {
            unbound.push((tenant.to_owned(), host.to_string()));
        }
    }
    unbound
}

/// Refuses now what each request would fail at later.
fn sendable(provider: &Provider, entry: &Entry) -> anyhow::Result<()> {
    for name in entry.fields.names() {
        let odd = entry.fields.field(name).is_some_and(Secret::has_control);
        anyhow::ensure!(!odd, "{name} holds a line end or another control character, so nothing was stored; leave it out");
    }
    let fields = |name: &str| entry.effective_field(name);
    for rule in provider.inject.iter().filter(|rule| rule.accepts(&fields)) {
        prepare(&rule.placements, &fields).context("the credential cannot go on a request, so nothing was stored")?;
    }
    Ok(())
}

fn other_fields(provider: &Provider) -> Hint {
    let lines: Vec<String> = wanted(provider).iter().map(|field| format!("{}=…", field.name)).collect();
    Hint::new(format!("{} needs other fields than were given: {}", provider.title, lines.join(", ")), example(provider))
}

/// The command that registers a credential of `provider`, secrets from standard input.
pub(super) fn example(provider: &Provider) -> String {
    let wanted = wanted(provider);
    let plain = wanted.iter().filter(|field| !field.secret).map(|field| format!(" --field {}=…", field.name));
    let rest = if wanted.iter().any(|field| field.secret) { " --stdin" } else { "" };
    format!("nexus register {}{}{rest}", provider.id, plain.collect::<String>())
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
    for field in &options.fields {
        let (name, value) = field.split_once('=').with_context(|| "--field takes NAME=VALUE".to_owned())?;
        warn_if_secret(terminal, provider, name);
        fields.set(name, Secret::new(value.to_owned()));
    }
    if options.stdin {
        for line in std::io::stdin().lock().lines() {
            let line = zeroize::Zeroizing::new(line.context("cannot read standard input")?);
            if line.trim().is_empty() {
                continue;
            }
            let named = line.split_once('=').filter(|(name, _)| is_name(name.trim()));
            let (name, value) = named.ok_or_else(|| {
                let example =
                    wanted(provider).into_iter().find(|field| field.secret).map(|field| field.name).unwrap_or_default();
                anyhow::anyhow!("standard input takes one name=value a line, such as {example}=… for {}", provider.title)
            })?;
            fields.set(name.trim(), Secret::new(value.to_owned()));
        }
    }
    Ok(fields)
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
struct Wanted {
    name: String,
    prompt: String,
    secret: bool,
}

/// What the file declares, and what its first rule needs beside it.
fn wanted(provider: &Provider) -> Vec<Wanted> {
    let of = |field: &nexus::provider::Field| Wanted {
        name: field.name.clone(),
        prompt: field.prompt.clone(),
        secret: field.secret,
    };
    let mut wanted: Vec<Wanted> = provider.fields.iter().map(of).collect();
    let placements = provider.inject.first().map(|rule| rule.placements.as_slice()).unwrap_or_default();
    for names in placements.iter().flat_map(|placement| placement.templates()).flat_map(nexus::provider::Template::holes) {
        let usual = if provider.oauth2.is_some() { ["access_token", "api_key"] } else { ["api_key", "access_token"] };
        let usual = usual.into_iter().find(|usual| names.iter().any(|name| &**name == *usual));
        let Some(name) = usual.or_else(|| names.first().map(AsRef::as_ref)) else { continue };
        if !wanted.iter().any(|known| names.iter().any(|name| **name == *known.name)) {
            wanted.push(Wanted { name: name.to_owned(), prompt: name.replace('_', " "), secret: name != "username" });
        }
    }
    wanted
}

/// Asks a person for what the provider's file says it needs.
fn ask(terminal: &Terminal, provider: &Provider, fields: &mut Credential) -> anyhow::Result<()> {
    if !terminal.can_ask() {
        let lines: Vec<String> = wanted(provider).iter().map(|field| format!("{}=…", field.name)).collect();
        anyhow::bail!(Hint::new(
            format!("no field was given and there is nobody to ask; --stdin takes a line for each: {}", lines.join(", ")),
            format!("nexus register {} --stdin", provider.id)
        ));
    }
    if let Some(console) = &provider.console {
        terminal.say(&format!("{}: make or find the credential at {console}", provider.title));
    }
    for Wanted { name, prompt, secret } in wanted(provider) {
        let value = if secret { terminal.ask_secret(&prompt)? } else { terminal.ask(&prompt)? };
        if !value.is_empty() {
            fields.set(&name, Secret::new(value));
        }
    }
    if fields.names().next().is_none() {
        anyhow::bail!(Hint::new("nothing was typed, so nothing was stored", format!("nexus register {}", provider.id)));
    }
    Ok(())
}
