//! `nexus register`: a credential into the vault, its hosts sealed with it.

use std::io::{BufRead as _, Read as _};

use anyhow::Context as _;
use nexus::app::registration::{self, Error, Form, Wanted, unbound, ways};
use nexus::model::{ConnectionId, Credential, Secret};
use nexus::provider::{Catalogue, Provider, WhoAmI};
use nexus::vault::{Entry, Store};
use serde_json::{Value, json};

use super::arguments::Register;
use super::context::{Context, Hint, connection};
use super::remote::plain;
use super::terminal::Terminal;
use super::{gateway, providers};

/// The largest key or certificate that is read.
const FILE_LIMIT: usize = 64 * 1024;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Register) -> anyhow::Result<()> {
    let id = connection(&options.provider, options.user.as_deref())?;
    context.require_home()?;
    let keeper = Keeper::new(context, terminal)?;
    let catalogue = context.catalogue(terminal);
    let provider = providers::find(&catalogue, id.provider())?;
    let id = keeper.meant(id)?;
    if let Keeper::Here(_) = keeper {
        gateway::not_lent(context, &id)?;
    }
    let replaced = keeper.has(&id)?;
    if replaced && terminal.can_ask() {
        let question = format!("{id} is registered already. Replace its credential, with all that belongs to it?");
        anyhow::ensure!(terminal.confirm(&question)?, "nothing was changed: {id} keeps its credential");
    }
    let mut fields = collect(terminal, provider, options)?;
    if fields.names().next().is_none() {
        ask(terminal, provider, &mut fields)?;
    }
    // A client without a secret can be nothing else.
    let app = options.app || fields.field("client_secret").is_none();
    let form = Form { provider, fields, expires_at: options.expires, app };
    let entry = registration::entry(form).map_err(|error| hinted(error, provider))?;
    let (hosts, app_alone) = (entry.hosts.clone(), entry.is_app_alone());
    let warnings = warnings(provider, &entry).into_iter().chain(keeper.losing(&id, &entry)?);
    let check = page_to_try(provider, &entry);
    let both = keeper.contested(&catalogue, provider, &entry)?;
    let (place, told) = keeper.register(&id, entry)?;
    warnings.chain(both).chain(told).for_each(|warning| terminal.warn(&warning));
    let verb = if replaced { "replaced" } else { "registered" };
    let value = json!({ "registered": id.as_str(), "replaced": replaced, "hosts": hosts, "gateway": place });
    terminal.either(&value, || {
        let at = place.as_ref().map(|url| format!(" at the gateway {url}")).unwrap_or_default();
        format!("{verb} {id} for {}{at}\n", hosts.join(", "))
    })?;
    if app_alone {
        terminal.hint(&app_hint(&id, place.as_deref()));
    } else if let Some(url) = check.filter(|_| terminal.can_ask()) {
        terminal.hint(&format!("whether it works: nexus run -- curl '{url}'"));
    }
    Ok(())
}

/// With the command that would do, where there is one.
fn hinted(error: Error, provider: &Provider) -> anyhow::Error {
    match error {
        Error::OtherFields { .. } => Hint::new(error.to_string(), example(provider)).into(),
        error => error.into(),
    }
}

/// What to do with an app, which is no credential yet; `place` is the gateway that has it.
fn app_hint(id: &ConnectionId, place: Option<&str>) -> String {
    let (provider, user) = (id.provider(), id.user().map(|user| format!(" --user {user}")).unwrap_or_default());
    let command = format!("nexus login {provider}{user}");
    match place {
        None => format!("an app is registered; connect an account by it: {command}"),
        Some(url) => format!("an app is registered at {url}; connect an account by it: {command}"),
    }
}

/// Who keeps credentials: the gateway that is named and answers, else the vault here.
enum Keeper {
    There(Box<gateway::There>),
    Here(Box<Store>),
}

impl Keeper {
    fn new(context: &Context, terminal: &Terminal) -> anyhow::Result<Self> {
        if let Some(there) = gateway::there(context, terminal)? {
            return Ok(Self::There(Box::new(there)));
        }
        let store = context.store()?;
        context.warn_if_guessable(terminal)?;
        Ok(Self::Here(Box::new(store)))
    }

    /// The connection that `id` means here, its person by name or by number.
    fn meant(&self, id: ConnectionId) -> anyhow::Result<ConnectionId> {
        match self {
            Self::There(_) => Ok(id),
            Self::Here(store) => Ok(store.snapshot()?.meant(&id)),
        }
    }

    fn has(&self, id: &ConnectionId) -> anyhow::Result<bool> {
        match self {
            Self::There(there) => there.has(id),
            Self::Here(store) => Ok(store.get(id)?.is_some()),
        }
    }

    /// A word where an OAuth client goes with what `entry` replaces, as far as that can be seen from here.
    fn losing(&self, id: &ConnectionId, entry: &Entry) -> anyhow::Result<Option<String>> {
        let has = |entry: &Entry| entry.fields.field("client_id").is_some();
        let lost = match self {
            Self::Here(store) if !has(entry) => store.get(id)?.is_some_and(|old| has(&old)),
            Self::Here(_) | Self::There(_) => false,
        };
        let word =
            || format!("the app that {id} had (client_id, client_secret) went with what was replaced; `nexus login` needs one");
        Ok(lost.then(word))
    }

    /// Connections of other services that go to the same server, where they are here.
    fn contested(&self, catalogue: &Catalogue, provider: &Provider, entry: &Entry) -> anyhow::Result<Vec<String>> {
        match self {
            Self::There(_) => Ok(Vec::new()),
            Self::Here(store) => Ok(registration::contested(catalogue, &*store.snapshot()?, provider, entry)),
        }
    }

    /// Stores it, and says at which gateway, if at one, and of what that warns.
    fn register(&self, id: &ConnectionId, entry: Entry) -> anyhow::Result<(Option<String>, Vec<String>)> {
        match self {
            Self::There(there) => {
                let stored = there.register(id, &entry)?;
                let told = stored.get("warnings").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
                Ok((Some(there.url()), told.map(plain).collect()))
            }
            Self::Here(store) => Ok(store.register(id, entry).map(|()| (None, Vec::new()))?),
        }
    }
}

/// What a person should know of the credential.
fn warnings(provider: &Provider, entry: &Entry) -> Vec<String> {
    let mut warnings = Vec::new();
    if !provider.verified {
        warnings.push(format!("the facts about {} were not verified against its documentation", provider.title));
    }
    let has = |name: &str| entry.fields.field(name).is_some();
    let asks = provider.oauth2.as_ref().is_some_and(|oauth2| oauth2.authorize_url.is_some() || oauth2.device_url.is_some());
    let as_token = !entry.app && has("client_id") && has("client_secret") && !has("access_token") && !has("refresh_token");
    if asks && as_token && !provider.spends("client_secret") {
        let title = &provider.title;
        warnings.push(format!(
            "the client secret goes to {title} as if it were a token, as JarvisCore has it; if it is an OAuth app's, register it with --app"
        ));
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

/// What a person is asked for: the fields of the first way.
fn wanted(provider: &Provider) -> Vec<Wanted> {
    ways(provider).into_iter().next().unwrap_or_default()
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
            format!("no field was given and there is nobody to ask; --stdin takes a line for each: {}", Wanted::list(&wanted)),
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
