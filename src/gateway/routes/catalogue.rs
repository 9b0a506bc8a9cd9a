//! The catalogue: which services are known, what a person enters for each, and where that is had.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gateway::access::{Asked, Operator};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::{InPath, InQuery};
use crate::gateway::paging::{MOST, Part};
use crate::gateway::problem::{Document, Problem};
use crate::model::{ConnectionId, Preset, ProviderId};
use crate::provider::{HostPattern, Provider};
use crate::registration::{Wanted, is_client, ways};

/// One label of a host's name (RFC 1123 section 2.1), and a name of several.
const LABEL: &str = "[A-Za-z0-9](?:[A-Za-z0-9\\-]{0,61}[A-Za-z0-9])?";
const NAME: &str = "[A-Za-z0-9](?:[A-Za-z0-9.\\-]{0,251}[A-Za-z0-9])?";

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(catalogue)).routes(routes!(catalogue_entry))
}

/// A service of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
struct CatalogueRow {
    /// Its name.
    id: String,
    /// Its name for people.
    title: String,
    /// What kind of service it is.
    category: String,
    /// What its connections are made of: `oauth2` (a log-in), `api_key`, `basic_auth`, `grant` (tokens are made of what is entered).
    takes: Vec<&'static str>,
    /// The hosts that its credentials go to; `{field}` is what a person enters.
    hosts: Vec<String>,
    /// Whether its file comes with Nexus; else it is one of the gateway's home.
    builtin: bool,
    /// Whether what its file says was read at the vendor's.
    verified: bool,
    /// How many connections of it there are.
    connections: usize,
}

/// A part of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
struct CataloguePart {
    /// In the order of their names.
    providers: Vec<CatalogueRow>,
    /// The cursor of what follows.
    next: Option<String>,
    /// All that is like that.
    total: usize,
}

/// What a person enters.
#[derive(Debug, Serialize, ToSchema)]
struct CatalogueField {
    /// Its name in `fields` of `POST /api/connections`.
    name: String,
    /// What a person is asked for.
    prompt: String,
    /// What the value looks like.
    hint: Option<String>,
    /// Whether it must not be shown.
    secret: bool,
    /// Whether it is what a file holds, of several lines.
    file: bool,
    /// As a regular expression (ECMA-262, the whole value), where it is a part of a host's name.
    pattern: Option<&'static str>,
    /// The host that it is a part of.
    part_of: Option<String>,
}

/// How people log in.
#[derive(Debug, Serialize, ToSchema)]
struct CatalogueLogIn {
    /// On a page of the service, which sends the browser back to `redirect_uri`.
    browser: bool,
    /// By a code that is typed on a page of the service.
    device: bool,
    /// Whether an app is registered that they log in by.
    app: bool,
    /// What an app is registered with at the service.
    redirect_uri: String,
    /// What is usually asked for.
    scopes: Vec<String>,
}

/// All that a person needs to know of a service to connect it.
#[derive(Debug, Serialize, ToSchema)]
struct CatalogueEntry {
    #[serde(flatten)]
    row: CatalogueRow,
    /// The page where a key or an app is made.
    console: Option<String>,
    /// What is entered, in each of the ways to a credential, the usual one first.
    ways: Vec<Vec<CatalogueField>>,
    /// How people log in, where they can.
    log_in: Option<CatalogueLogIn>,
    /// Words that a rule may use for its requests: `read_only`, `no_delete`.
    presets: Vec<&'static str>,
    /// The requests by which a credential is tried, of which one has to succeed.
    tried_by: Vec<String>,
    /// Why there is none.
    not_tried: Option<String>,
    /// Variables that its programs read.
    variables: Vec<String>,
}

/// The services that are known.
#[utoipa::path(get, path = "/api/catalogue", tag = "providers", params(Part),
    security(("key" = ["admin", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = CataloguePart, description = "Those that `q` is about: by name, title, category, host or variable"),
))]
async fn catalogue(
    State(gateway): State<Shared>,
    _asked: Asked<Operator>,
    InQuery(part): InQuery<Part>,
) -> Result<Json<CataloguePart>, Problem> {
    let wanted = part.wanted()?.or(MOST);
    let part = move |gateway: &Gateway| {
        let (catalogue, mut counts) = (gateway.ports.catalogue.load(), BTreeMap::<ProviderId, usize>::new());
        for (id, _) in gateway.vault()?.iter() {
            *counts.entry(id.provider().clone()).or_default() += 1;
        }
        let all = catalogue.iter().filter(|provider| wanted.fits(|| texts(provider)));
        let found = wanted.of(all, |provider| provider.id.as_str());
        let row = |provider: &Provider| {
            let count = counts.get(&provider.id).copied().unwrap_or_default();
            row(provider, catalogue.is_builtin(&provider.id), count)
        };
        let providers = found.rows.into_iter().map(|provider| row(provider)).collect();
        Ok(CataloguePart { providers, next: found.next, total: found.total })
    };
    gateway.on_disk(part).await?.map(Json)
}

/// One service: what a person enters to connect it, and where that is had.
#[utoipa::path(get, path = "/api/catalogue/{id}", tag = "providers", params(("id" = String, Path, description = "Its name")),
    security(("key" = ["admin", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = CatalogueEntry, description = "What is known of it"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none of that name"),
))]
async fn catalogue_entry(
    State(gateway): State<Shared>,
    _asked: Asked<Operator>,
    InPath(id): InPath<String>,
) -> Result<Json<CatalogueEntry>, Problem> {
    let missing = || Problem::missing("there is no provider of this name; GET /api/catalogue lists them");
    let id: ProviderId = id.parse().map_err(|_no_name| missing())?;
    gateway.on_disk(move |gateway| entry(gateway, &id).and_then(|found| found.ok_or_else(missing))).await?.map(Json)
}

fn entry(gateway: &Gateway, id: &ProviderId) -> Result<Option<CatalogueEntry>, Problem> {
    let (catalogue, vault) = (gateway.ports.catalogue.load(), gateway.vault()?);
    let Some(provider) = catalogue.get(id) else { return Ok(None) };
    let count = vault.iter().filter(|(connection, _)| connection.provider() == id).count();
    let app = vault.get(&ConnectionId::new(id.clone(), None)).is_some_and(|entry| is_client(provider, entry));
    let field = |wanted: Wanted| field(provider, wanted);
    Ok(Some(CatalogueEntry {
        row: row(provider, catalogue.is_builtin(id), count),
        console: provider.console.clone(),
        ways: ways(provider).into_iter().map(|way| way.into_iter().map(field).collect()).collect(),
        log_in: provider.oauth2.as_ref().map(|oauth2| CatalogueLogIn {
            browser: oauth2.authorize_url.is_some(),
            device: oauth2.device_url.is_some(),
            app,
            redirect_uri: gateway.redirect_uri(),
            scopes: oauth2.scopes.clone(),
        }),
        presets: [Preset::ReadOnly, Preset::NoDelete]
            .into_iter()
            .filter(|preset| provider.presets.offers(*preset))
            .map(Preset::word)
            .collect(),
        tried_by: provider.whoami.iter().map(ToString::to_string).collect(),
        not_tried: provider.no_whoami.clone(),
        variables: provider.placeholders.iter().map(|placeholder| placeholder.variable.clone()).collect(),
    }))
}

fn row(provider: &Provider, builtin: bool, connections: usize) -> CatalogueRow {
    CatalogueRow {
        id: provider.id.to_string(),
        title: provider.title.clone(),
        category: provider.category.clone(),
        takes: takes(provider),
        hosts: hosts(provider),
        builtin,
        verified: provider.verified,
        connections,
    }
}

fn takes(provider: &Provider) -> Vec<&'static str> {
    let by_log_in =
        provider.oauth2.as_ref().is_some_and(|oauth2| oauth2.authorize_url.is_some() || oauth2.device_url.is_some());
    let mut all: Vec<&'static str> = by_log_in.then_some("oauth2").into_iter().collect();
    for way in ways(provider) {
        let made = provider.grants.iter().any(|grant| {
            let fields = grant.fields();
            !fields.is_empty() && fields.iter().all(|name| way.iter().any(|field| field.name == *name))
        });
        let word = match () {
            () if made => "grant",
            () if way.iter().any(|field| field.name == "password") => "basic_auth",
            () => "api_key",
        };
        if !all.contains(&word) {
            all.push(word);
        }
    }
    all
}

fn hosts(provider: &Provider) -> Vec<String> {
    let mut hosts: Vec<String> = provider.hosts().map(ToString::to_string).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// What a person may look for it by.
fn texts(provider: &Provider) -> Vec<String> {
    let names = [provider.id.as_str(), &provider.title, &provider.category].map(str::to_owned);
    let variables = provider.placeholders.iter().map(|placeholder| placeholder.variable.clone());
    names.into_iter().chain(hosts(provider)).chain(variables).collect()
}

fn field(provider: &Provider, wanted: Wanted) -> CatalogueField {
    let Wanted { name, prompt, secret, file } = wanted;
    let host = provider.hosts().find(|host| host.tenant() == Some(&name));
    let pattern = host.map(|host| if host.is_own() { NAME } else { LABEL });
    let part_of = host.filter(|host| !host.is_own()).map(HostPattern::to_string);
    let hint = provider.fields.iter().find(|field| field.name == name).and_then(|field| field.hint.clone());
    CatalogueField { name, prompt, hint, secret, file, pattern, part_of }
}
