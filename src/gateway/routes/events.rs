//! What happens now: requests as Server-Sent Events (HTML section 9.2), for the page and for `curl -N`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval, sleep};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use crate::audit::{TooMany, Watched, Watcher};
use crate::gateway::access::{Asked, Auditor, Who};
use crate::gateway::context::Shared;
use crate::gateway::holding::Holding;
use crate::gateway::input::{InQuery, host_pattern, whole_name};
use crate::gateway::problem::{Document, Problem};
use crate::gateway::sampling::Sampling;
use crate::gateway::voice::{Left, Voice};

/// How many that happened before are told at most.
const EARLIER: u64 = 1_000;
/// The longest text that is looked for.
const TEXT: usize = 200;
/// Things told in one piece.
const PIECE: usize = 256;
/// What comes within this time goes out together.
const TOGETHER: Duration = Duration::from_millis(50);
/// How often a word says that the stream lives, in seconds.
const HEARTBEAT: u32 = 15;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Which requests are told.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Of this agent.
    #[param(max_length = 200, pattern = "^[^*]*$")]
    agent: Option<String>,
    /// To this host, or to all below a name: `*.example.com`.
    #[param(max_length = 255, pattern = r"^(\*\.[^*]+|[^*]*)$")]
    host: Option<String>,
    /// To this service of the catalogue.
    #[param(max_length = 200, pattern = "^[^*]*$")]
    provider: Option<String>,
    /// With this verdict: `inject`, `pass`, `tunnel`, `answer`, `refuse`, `held` (it waits for a person), or `intercept`, which is told of only where it is asked for: the
    /// requests inside such a CONNECT are told of by themselves.
    #[param(max_length = 20)]
    verdict: Option<String>,
    /// Answered with this status or a higher one.
    #[param(minimum = 100, maximum = 599)]
    min_status: Option<u16>,
    /// That hold all of these words, in letters of either case: agent, method, host, path, provider, connection, verdict, rule, refusal,
    /// notes, id; or whose status it is.
    #[param(max_length = 200)]
    text: Option<String>,
    /// So many of what happened before come first; none where nothing is said.
    #[param(minimum = 0, maximum = 1000)]
    earlier: Option<u64>,
    /// Go on after the line of the log with this number, as the field `Last-Event-ID` says it as well.
    since: Option<u64>,
}

impl Which {
    fn read(self) -> Result<(Watched, u64, Option<u64>), Problem> {
        let Self { agent, host, provider, verdict, min_status, text, earlier, since } = self;
        let given = [&agent, &host, &provider, &verdict, &text];
        if given.into_iter().flatten().any(|given| given.chars().count() > 255)
            || text.as_ref().is_some_and(|text| text.chars().count() > TEXT)
        {
            return Err(Problem::malformed("a word to look for is too long"));
        }
        if earlier.is_some_and(|earlier| earlier > EARLIER) {
            return Err(Problem::malformed(format!("earlier is at most {EARLIER}")));
        }
        if min_status.is_some_and(|status| !(100..=599).contains(&status)) {
            return Err(Problem::malformed("min_status is 100 to 599"));
        }
        for (name, text) in [("agent", &agent), ("provider", &provider)] {
            whole_name(name, text.as_deref())?;
        }
        host_pattern(host.as_deref())?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let text = text.unwrap_or_default().to_lowercase().split_whitespace().map(str::to_owned).collect();
        let host = given(host).map(|host| host.to_ascii_lowercase());
        let watched =
            Watched { agent: given(agent), host, provider: given(provider), verdict: given(verdict), min_status, text };
        Ok((watched, earlier.unwrap_or_default(), since))
    }
}

/// Requests as they happen.
///
/// Server-Sent Events without an end; each has a JSON object. `request`: one that began (`event` is `open` or `tunnel_open`), or ended
/// (`close`, `tunnel_close`, `refuse`, `tunnel_refuse`); this one has all that the log says of it, `began` among it. Its `id:` goes into `Last-Event-ID`
/// of who comes back. `held`: one that waits for a person's word, of which the log has no line yet; `approval` is what it is answered by
/// (`/api/approvals/{id}`). `released`: it does not wait any longer, and its `request` follows. `hello` comes first, and says how much is told at most in a second. Above that there are samples: only ends, of one of
/// `kept_one_of` requests. `rate` says so once a second while something happens, with how many requests ended in that second in all
/// (`all`), as asked for (`matching`), and were told of (`told`). `lost`: so many (`count`; null = nobody knows) were not taken in time, or had
/// happened too long before. `end`: why nothing more comes (`signed_out`, `stopping`). Lines that begin with a colon only say that the stream lives.
#[utoipa::path(get, path = "/api/events", tags = ["audit", "stream"], params(Which), security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = String, content_type = "text/event-stream", description = "Events without an end"),
    (status = 429, body = Document, content_type = "application/problem+json", description = "As many watch by this key or session as may: 8"),
    (status = 503, body = Document, content_type = "application/problem+json", description = "As many watch as may: 32"),
))]
async fn events(
    State(gateway): State<Shared>,
    asked: Asked<Auditor>,
    InQuery(which): InQuery<Which>,
    fields: HeaderMap,
) -> Result<Response, Problem> {
    let (watched, earlier, since) = which.read()?;
    let last = fields.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let watcher = gateway.live.watch(credential(&asked.who)).map_err(|error| {
        let status = match error {
            TooMany::All => StatusCode::SERVICE_UNAVAILABLE,
            TooMany::Share => StatusCode::TOO_MANY_REQUESTS,
        };
        let message = format!("{error}; end another one, or come back later");
        Problem::new(status, "watchers", message).header(RETRY_AFTER, "10")
    })?;
    let (voice, telling) = Voice::new();
    let holding = Holding::new(&gateway.ports.approvals);
    let sampling = Sampling::default();
    let teller = Teller { gateway, who: asked.who, watched, watcher, holding, sampling, voice, silent: 0 };
    tokio::spawn(teller.run(earlier, last.or(since)));
    let mut response = Response::new(Body::new(telling));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// By what they were admitted: a key, or one session of a person.
fn credential(who: &Who) -> Arc<str> {
    match who {
        // Whoever watches holds it: as long as they do, it is nowhere else.
        Who::Session(session) => format!("{} {:p}", who.asker(), Arc::as_ptr(session)).into(),
        who => who.asker().into(),
    }
}

/// Tells one who watches.
struct Teller {
    gateway: Shared,
    who: Who,
    watched: Watched,
    watcher: Watcher,
    holding: Holding,
    sampling: Sampling,
    voice: Voice,
    /// Seconds since anything was said.
    silent: u32,
}

impl Teller {
    async fn run(mut self, earlier: u64, after: Option<u64>) {
        let mut stopping = self.gateway.stopping.clone();
        let ended = tokio::select! {
            ended = self.tell(earlier, after) => ended,
            _ = stopping.wait_for(|stopping| *stopping) => Ok("stopping"),
        };
        let said = match ended {
            Ok(why) => self.say(&format!("event: end\ndata: {{\"why\":\"{why}\"}}\n\n")).await,
            Err(left) => Err(left),
        };
        if said.is_err() {
            tracing::debug!("who watched has left, or takes nothing");
        }
    }

    /// Until it may not go on; says why.
    async fn tell(&mut self, earlier: u64, after: Option<u64>) -> Result<&'static str, Left> {
        self.say(&format!("event: hello\ndata: {{\"most\":{},\"heartbeat_secs\":{HEARTBEAT}}}\n\n", Sampling::MOST)).await?;
        if !self.watcher.begin(earlier, after).await {
            self.say("event: lost\ndata: {\"count\":null}\n\n").await?;
        }
        self.before().await?;
        self.held().await?;
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.sampling.begin(self.watcher.ended());
        seconds.tick().await;
        loop {
            tokio::select! {
                () = self.watcher.changed() => {
                    self.now().await?;
                    sleep(TOGETHER).await;
                }
                () = self.holding.changed() => self.held().await?,
                _ = seconds.tick() => {
                    if !self.gateway.still_admits(&self.who) {
                        return Ok("signed_out");
                    }
                    self.second().await?;
                }
            }
        }
    }

    /// What happened before, the last of it where it is much.
    async fn before(&mut self) -> Result<(), Left> {
        let mut all = Vec::new();
        loop {
            let (taken, lost) = self.watcher.take(PIECE);
            if taken.is_empty() {
                break;
            }
            all.extend(taken.into_iter().filter(|happened| self.watched.has(happened)));
            let over = all.len().saturating_sub(usize::try_from(EARLIER).unwrap_or_default());
            all.drain(..over);
            self.lost(lost + over as u64).await?;
        }
        for piece in all.chunks(PIECE) {
            let mut text = String::new();
            for happened in piece {
                self.sampling.note(happened);
                write_event(&mut text, happened.seq, &happened.json);
            }
            self.say(&text).await?;
        }
        Ok(())
    }

    /// What happened since.
    async fn now(&mut self) -> Result<(), Left> {
        loop {
            let (taken, lost) = self.watcher.take(PIECE);
            self.lost(lost).await?;
            if taken.is_empty() {
                return Ok(());
            }
            let mut text = String::new();
            let one_of = self.watcher.one_of();
            for happened in taken.iter().filter(|happened| self.watched.has(happened)) {
                if self.sampling.takes(happened, one_of) {
                    write_event(&mut text, happened.seq, &happened.json);
                }
            }
            self.say(&text).await?;
        }
    }

    /// What waits for a person now, and what does not any longer.
    async fn held(&mut self) -> Result<(), Left> {
        let text = self.holding.news(&self.gateway.ports.approvals, &self.watched, &mut self.sampling);
        self.say(&text).await
    }

    /// A second is over.
    async fn second(&mut self) -> Result<(), Left> {
        self.watcher.keep_reading();
        if self.voice.is_left() {
            return Err(Left);
        }
        self.silent += 1;
        if let Some(rate) = self.sampling.second(self.watcher.ended(), self.watcher.one_of()) {
            return self.say(&format!("event: rate\ndata: {rate}\n\n")).await;
        }
        if self.silent >= HEARTBEAT { self.say(": it lives\n\n").await } else { Ok(()) }
    }

    async fn lost(&mut self, count: u64) -> Result<(), Left> {
        if count == 0 { Ok(()) } else { self.say(&format!("event: lost\ndata: {{\"count\":{count}}}\n\n")).await }
    }

    async fn say(&mut self, text: &str) -> Result<(), Left> {
        if text.is_empty() {
            return Ok(());
        }
        self.silent = 0;
        self.voice.say(Zeroizing::new(text.as_bytes().to_vec())).await
    }
}

fn write_event(text: &mut String, seq: u64, json: &str) {
    // Writing to a String doesn't fail.
    write!(text, "id: {seq}\nevent: request\ndata: {json}\n\n").unwrap_or_default();
}
