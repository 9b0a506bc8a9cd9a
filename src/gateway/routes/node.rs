//! Proxies elsewhere: `GET /v1/node/stream` tells a node the connections and every change, `POST /v1/node/renew` renews one for it.
//!
//! Only a node's key gets here (I11), and what it gets is what goes on requests, never what only renewals need (room `loan`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use tokio::time::interval;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::attention::{Reason, Report, Words};
use crate::broker;
use crate::gateway::access::{Asked, Node, Who};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::{InBody, InQuery};
use crate::gateway::problem::Problem;
use crate::gateway::voice::{Left, Voice};
use crate::loan::{self, Told};
use crate::model::{AgentName, ConnectionId, ProviderId};
use crate::provider::{Catalogue, Provider};
use crate::registration::is_client;
use crate::vault::{Entry, Snapshot};

/// How often a node hears that we live.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How often it is looked whether anything has changed: a change is told well within a second.
const LOOK: Duration = Duration::from_millis(200);

/// When a node should ask again, where nothing else is known.
const LATER: Duration = Duration::from_secs(5);

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(node_stream))
        .routes(routes!(node_renew))
        .routes(routes!(node_used))
        .routes(routes!(node_attention))
}

/// How much is told.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Extent {
    /// End when all that there is has been told once.
    #[serde(default)]
    once: bool,
}

/// The connections, and every change of them.
///
/// JSON lines. The first is `{"hello": {"heartbeat_secs": 2, "placeholder_key"}}`: how often it says that it lives, and what the
/// placeholders of apps are made with, so that the node knows them. Then come `{"put": {"id", "version", "renewal", "entry"}}` for each
/// connection, `{"synced": {}}`, and from then on a `put` for each that has changed, `{"gone": {"id"}}` for each that is no more, and
/// `{}` at every heartbeat. An `entry` has `provider`, `auth_type`, the fields that go on requests, `registered_at`, `expires_at`,
/// `hosts` and `status`; `renewal` is `none`, `able`, or `first` where it must be renewed before it can be used;
/// `client` says that the gateway has a client for log-ins. An app that nobody has logged in by is told with `app` and without a credential.
#[utoipa::path(get, path = "/v1/node/stream", tags = ["node", "stream"], params(Extent), security(("key" = ["node"])), responses(
    (status = 200, body = String, content_type = "application/x-ndjson", description = "Lines without an end"),
))]
async fn node_stream(
    State(gateway): State<Shared>,
    asked: Asked<Node>,
    InQuery(extent): InQuery<Extent>,
) -> Result<Response, Problem> {
    asked.note(&gateway, "node_stream", &[]).await?;
    let (voice, telling) = Voice::new();
    let teller = Teller { gateway, who: asked.who, told: Told::default(), voice };
    tokio::spawn(teller.run(extent.once));
    let mut response = Response::new(Body::new(telling));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// Tells one node.
struct Teller {
    gateway: Shared,
    who: Who,
    told: Told,
    voice: Voice,
}

impl Teller {
    async fn run(mut self, once: bool) {
        let mut stopping = self.gateway.stopping.clone();
        let work = async {
            self.voice.say(loan::write_hello(HEARTBEAT, self.gateway.ports.apps.own())).await?;
            let mut looks = interval(LOOK);
            loop {
                looks.tick().await;
                if !self.gateway.still_admits(&self.who) {
                    return Ok(());
                }
                // While the vault can't be read nothing has changed; the proxy's own log says why.
                let vault = self.gateway.on_disk(|gateway| gateway.ports.store.snapshot()).await;
                let told = match vault {
                    Ok(Ok(vault)) => self.round(&vault).await?,
                    Ok(Err(_)) | Err(_) => false,
                };
                if told && once {
                    return Ok::<(), Left>(());
                }
            }
        };
        tokio::select! {
            ended = work => if ended.is_err() {
                tracing::debug!("a node has left, or takes nothing");
            },
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    /// Tells what has changed, and that we live; answers true.
    async fn round(&mut self, vault: &Snapshot) -> Result<bool, Left> {
        let catalogue = self.gateway.ports.catalogue.load_full();
        let lent = |name: &ProviderId| self.who.may_use(name);
        let providers = |name: &ProviderId| -> Option<Arc<Provider>> { catalogue.get(name).filter(|_| lent(name)).cloned() };
        for id in self.told.due(vault, &providers) {
            if let Some(line) = self.told.tell(&id, vault, &providers, &self.gateway.ports.lender) {
                self.voice.say(line).await?;
            }
        }
        if let Some(line) = self.told.synced() {
            self.voice.say(line).await?;
        }
        if self.voice.silent() >= HEARTBEAT {
            self.voice.say(loan::write_alive()).await?;
        }
        Ok(true)
    }
}

/// A connection whose credential is about to end, or was refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NodeRenewal)]
struct Complaint {
    /// The connection.
    #[schema(example = "github:alice")]
    id: String,
    /// The version that the node has.
    version: String,
    /// Whether a service answered 401 to it.
    refused: bool,
}

/// A connection as it is now, renewed first where the node's version is still the newest.
///
/// Nodes that ask at the same time cause one renewal. The answer has the members of a `put`, and `retry_after_secs` where it should have
/// been renewed and could not be.
#[utoipa::path(post, path = "/v1/node/renew", tag = "node", request_body = Complaint, security(("key" = ["node"])), responses(
    (status = 200, body = Object, content_type = "application/json", description = "The connection as it is now"),
    (status = 404, body = crate::gateway::problem::Document, content_type = "application/problem+json", description = "There is no such connection for nodes"),
))]
async fn node_renew(
    State(gateway): State<Shared>,
    asked: Asked<Node>,
    InBody(complaint): InBody<Complaint>,
) -> Result<Response, Problem> {
    let id: ConnectionId = complaint.id.parse().map_err(|_no_name| missing())?;
    let provider = gateway.ports.catalogue.load().get(id.provider()).cloned();
    let provider = provider.filter(|_| asked.who.sees(&id)).ok_or_else(missing)?;
    asked.note(&gateway, "node_renew", &[("connection", id.as_str())]).await?;
    let lender = &gateway.ports.lender;
    let is_seen = |entry: &Entry| *lender.version(entry) == *complaint.version;
    let renewed = gateway.ports.broker.renew_lent(&id, &provider, &is_seen, complaint.refused).await;
    let (entry, why) = renewed.map_err(|error| not_renewed(&error))?;
    let copy = lender.lend(&provider, &entry).ok_or_else(missing)?;
    let retry_after = why.map(|why| {
        tracing::info!(connection = %id, node = asked.who.name(), reason = %why, "not renewed for a node");
        why.retry_after().unwrap_or(LATER)
    });
    let mut response = Response::new(Body::from(Bytes::from_owner(loan::write_answer(&id, &copy, retry_after))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// When a node used connections last.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NodeUses)]
struct Used {
    /// By connection, in seconds since 1970.
    unix_secs: BTreeMap<String, f64>,
}

/// Notes when a node used connections last, for `nexus list` here.
#[utoipa::path(post, path = "/v1/node/used", tag = "node", request_body = Used, security(("key" = ["node"])), responses(
    (status = 204, description = "Noted; connections that there are not are passed over"),
))]
async fn node_used(
    State(gateway): State<Shared>,
    asked: Asked<Node>,
    InBody(used): InBody<Used>,
) -> Result<StatusCode, Problem> {
    let at = |secs| SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(secs).ok()?);
    let latest = used.unix_secs.into_iter().filter_map(|(id, secs)| Some((id.parse().ok()?, at(secs)?)));
    let latest: Vec<(ConnectionId, SystemTime)> = latest.filter(|(id, _)| asked.who.sees(id)).collect();
    let noted = gateway.on_disk(move |gateway| {
        let vault = gateway.ports.store.snapshot().ok();
        let exists = |id: &ConnectionId| vault.as_ref().is_none_or(|vault| vault.get(id).is_some());
        gateway.ports.uses.note(&latest, (gateway.ports.clock)(), exists)
    });
    noted.await?.map_err(|error| Problem::unreadable(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes in what a node refused requests for, for the list of what needs a person here.
///
/// A node tells each item when it is new and when it is settled, and all that are open every twenty seconds; one that is not told of any
/// more has lapsed a minute later.
#[utoipa::path(post, path = "/v1/node/attention", tag = "node", request_body = Report, security(("key" = ["node"])), responses(
    (status = 204, description = "Taken; items that can't be read are passed over"),
))]
async fn node_attention(
    State(gateway): State<Shared>,
    asked: Asked<Node>,
    InBody(report): InBody<Report>,
) -> Result<StatusCode, Problem> {
    let Who::Key(key) = asked.who else { return Err(Problem::internal()) };
    let take = move |gateway: &Gateway| {
        let (vault, catalogue, now) =
            (gateway.ports.store.snapshot().ok(), gateway.ports.catalogue.load_full(), (gateway.ports.clock)());
        let words = |connection: &ConnectionId, reason| words(&key.name, connection, reason, (&catalogue, vault.as_deref()));
        let told = report.items.iter().filter_map(|one| one.read(now, words)).collect();
        gateway.ports.attention.take(&key.name, told, now);
    };
    gateway.on_disk(take).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What people are told is said here: a node names what is wrong, and can't have anybody type what it likes.
fn words(node: &AgentName, connection: &ConnectionId, reason: Reason, known: (&Catalogue, Option<&Snapshot>)) -> Words {
    let (catalogue, vault) = known;
    let name = connection.provider();
    let provider = catalogue.get(name);
    let title = provider.map_or_else(|| name.to_string(), |provider| provider.title.clone());
    let default = ConnectionId::new(name.clone(), None);
    let entries = [connection, &default].into_iter().filter_map(|id| vault?.get(id));
    let client = provider.is_some_and(|provider| entries.into_iter().any(|entry| is_client(provider, entry)));
    let mut words = Words::new(&title, connection, reason, None, client);
    if reason == Reason::Pending {
        // Log-ins that programs made themselves stay on their machine.
        words.content = format!("{} It is typed on the machine of the node {node}.", words.content);
    }
    words
}

fn missing() -> Problem {
    Problem::missing("there is no such connection for nodes")
}

fn not_renewed(error: &broker::Error) -> Problem {
    match error {
        broker::Error::NotRegistered { .. } | broker::Error::Pending { .. } => missing(),
        broker::Error::Vault(_) => Problem::unreadable(error),
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "renewal", "the connection can't be renewed now"),
    }
}
