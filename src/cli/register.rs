//! `nexus register`: a credential into the vault, its hosts sealed with it.

use std::io::BufRead as _;
use std::time::SystemTime;

use anyhow::Context as _;
use nexus::app::Reach;
use nexus::model::{ConnectionId, Credential, Secret};
use nexus::provider::Provider;
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
    let mut fields = collect(terminal, options)?;
    if fields.names().next().is_none() {
        ask(terminal, provider, &mut fields)?;
    }
    provider.derive_fields(&mut fields);
    let expires_at = options.expires.as_deref().map(|text| when::parse(text, SystemTime::now())).transpose()?;
    let entry = entry(provider, &id, fields, expires_at)?;
    let hosts = entry.hosts.clone();
    let store = context.store()?;
    let replaced = store.get(&id)?.is_some();
    store.register(&id, entry)?;
    if !provider.verified {
        terminal.warn(&format!("the facts about {} were not verified against its documentation", provider.title));
    }
    let verb = if replaced { "replaced" } else { "registered" };
    terminal.either(&json!({ "registered": id.as_str(), "replaced": replaced, "hosts": hosts }), || {
        format!("{verb} {id} for {}\n", hosts.join(", "))
    })
}

/// Makes the entry and seals the hosts that its fields bind and the token endpoints of the provider.
fn entry(provider: &Provider, id: &ConnectionId, fields: Credential, expires_at: Option<SystemTime>) -> anyhow::Result<Entry> {
    let auth_type = auth_type(&fields);
    let mut entry = Entry::new(id.provider().clone(), auth_type, fields);
    let usable = provider.inject.iter().any(|rule| rule.accepts(&|name| entry.effective_field(name)));
    if !usable && entry.fields.field("refresh_token").is_none() {
        anyhow::bail!(other_fields(provider));
    }
    let reach = Reach::named(provider, &entry).context("a field that is part of a host name is not valid")?;
    reach.seal(&mut entry);
    if entry.hosts.is_empty() {
        anyhow::bail!(other_fields(provider));
    }
    entry.expires_at = expires_at;
    Ok(entry)
}

fn other_fields(provider: &Provider) -> Hint {
    let wanted: Vec<String> = provider.fields.iter().map(|field| format!("--field {}=…", field.name)).collect();
    let wanted = if wanted.is_empty() { "--api-key …".to_owned() } else { wanted.join(" ") };
    let message = format!("{} needs other fields than were given", provider.title);
    Hint::new(message, format!("nexus register {} {wanted}", provider.id))
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
fn collect(terminal: &Terminal, options: &Register) -> anyhow::Result<Credential> {
    let mut fields = Credential::default();
    let given = [
        ("client_id", &options.client_id, None),
        ("client_secret", &options.client_secret, Some("NEXUS_CLIENT_SECRET")),
        ("api_key", &options.api_key, Some("NEXUS_API_KEY")),
        ("username", &options.username, None),
        ("password", &options.password, Some("NEXUS_PASSWORD")),
        ("access_token", &options.access_token, Some("NEXUS_ACCESS_TOKEN")),
        ("refresh_token", &options.refresh_token, None),
    ];
    for (name, flag, variable) in given {
        let secret = !matches!(name, "client_id" | "username");
        if flag.is_some() && secret {
            terminal.warn(&format!("{name} came by the command line, where other processes and the shell's history see it; prefer a prompt, --stdin or a variable"));
        }
        let value = flag.clone().or_else(|| variable.and_then(Context::variable));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields.set(name, Secret::new(value));
        }
    }
    for field in &options.fields {
        let (name, value) = field.split_once('=').with_context(|| "--field takes NAME=VALUE".to_owned())?;
        fields.set(name, Secret::new(value.to_owned()));
    }
    if options.stdin {
        for line in std::io::stdin().lock().lines() {
            let line = zeroize::Zeroizing::new(line.context("cannot read standard input")?);
            if line.trim().is_empty() {
                continue;
            }
            let (name, value) = line.split_once('=').context("standard input takes one name=value a line")?;
            fields.set(name.trim(), Secret::new(value.to_owned()));
        }
    }
    Ok(fields)
}

/// Asks a person for what the provider's file says it needs.
fn ask(terminal: &Terminal, provider: &Provider, fields: &mut Credential) -> anyhow::Result<()> {
    if !terminal.can_ask() {
        anyhow::bail!(Hint::new(
            "no field was given and there is nobody to ask",
            format!("nexus register {} --stdin", provider.id)
        ));
    }
    if let Some(console) = &provider.console {
        terminal.say(&format!("{}: make or find the credential at {console}", provider.title));
    }
    let wanted: Vec<(String, String, bool)> = if provider.fields.is_empty() {
        let name = if provider.oauth2.is_some() { "access_token" } else { "api_key" };
        vec![(name.to_owned(), name.replace('_', " "), true)]
    } else {
        provider.fields.iter().map(|field| (field.name.clone(), field.prompt.clone(), field.secret)).collect()
    };
    for (name, prompt, secret) in wanted {
        let value = if secret { terminal.ask_secret(&prompt)? } else { terminal.ask(&prompt)? };
        if !value.is_empty() {
            fields.set(&name, Secret::new(value));
        }
    }
    Ok(())
}
