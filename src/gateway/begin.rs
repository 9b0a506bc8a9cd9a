//! How a connection is asked for: a person is sent to the service's page, or to a form of ours.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::RETRY_AFTER;

use super::access::{App, Asked, Level as _, OUR_USER, Registrar, Who};
use super::context::{CALLBACK, Gateway};
use super::flow::{Flow, Step, Wanted};
use super::keep::can_keep;
use super::pending::{Begun, PendingError};
use super::problem::Problem;
use super::return_url::ReturnUrl;
use crate::broker;
use crate::consent::{self, Account, Wish};
use crate::model::{ConnectionId, Credential, GatewayId, ProviderId, Secret, UserName};
use crate::provider::Provider;
use crate::registration::ways;
use crate::vault::{Entry, Snapshot, Status};

/// What an app wants.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) provider: String,
    /// Whom it is for; nobody in particular where none is named.
    pub(super) user: Option<String>,
    /// Whom the program says it acts for.
    pub(super) subject: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) return_url: Option<String>,
    /// Whether the question is handed to nobody else who asks for the same.
    pub(super) exclusive: bool,
}

/// How a person answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// At the service's page.
    Consent,
    /// By typing a credential.
    Form,
}

/// A question that a person can answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) id: GatewayId,
    pub(super) connection: ConnectionId,
    pub(super) page: Secret<String>,
    pub(super) state: Secret<String>,
    pub(super) scopes: Vec<String>,
    /// The person was asked before, and has not answered.
    pub(super) asked_before: bool,
}

impl Gateway {
    /// The service called `name`, where `who` may use it.
    ///
    /// # Errors
    /// 404 alike for one that there is not and one that is not for this key.
    pub(super) fn provider(&self, who: &Who, name: &str) -> Result<Arc<Provider>, Problem> {
        let id: Option<ProviderId> = name.parse().ok().filter(|id| who.may_use(id));
        let catalogue = self.ports.catalogue.load();
        id.and_then(|id| catalogue.get(&id).cloned()).ok_or_else(|| {
            let message = "no provider of this name is known, or it is not for this key; GET /v1/providers lists them. A \
                           file in the providers folder of the gateway's home adds one, and so does an administrator's POST \
                           /v1/providers that says where its API is (api_base_url or hosts)";
            Problem::new(StatusCode::NOT_FOUND, "unknown_provider", message)
        })
    }

    /// Makes a question of what `who` wants. Blocks on the disk.
    ///
    /// # Errors
    /// What is wrong with the wish, or with the state of things.
    pub(super) fn begin(&self, asked: &Asked<App>, request: Request) -> Result<Question, Problem> {
        let who = &asked.who;
        let provider = self.provider(who, &request.provider)?;
        let vault = self.vault()?;
        let user = self.for_whom(&vault, who, request.user.as_deref())?;
        self.of_subject(&vault, (who, request.subject.as_deref()), user.as_ref())?;
        let return_url = self.return_url(request.return_url.as_deref())?;
        let named = || ConnectionId::new(provider.id.clone(), user.clone());
        let connection = Self::connection_of(&vault, &provider.id, user.as_ref()).unwrap_or_else(named);
        let (own, consents) = (vault.get(&connection).map(AsRef::as_ref), by_consent(&vault, &provider, &connection));
        if own.is_some_and(|own| own.captured.is_some()) {
            return Err(of_an_agent(&connection));
        }
        if self.is_in_use(who.asker(), &connection, own, if consents { By::Consent } else { By::Form }) {
            return Err(in_use(&connection, consents));
        }
        let id = GatewayId::random().map_err(|error| out_of_random(&error))?;
        let wanted = Wanted {
            id,
            asker: who.asker().to_owned(),
            connection,
            scopes: request.scopes,
            return_url,
            exclusive: request.exclusive,
        };
        // By the service's page where it has one that can be used.
        let (page, step) = match consents {
            true => self.consent(&vault, &provider, &wanted)?,
            false => self.form(&provider)?,
        };
        self.keep_question(asked, wanted, (page, step))
    }

    /// Whether `connection` serves as it is `now`, and `asker` may not replace what does. A form takes whatever is typed into it, so
    /// only administrators ask for one then; at the page of the service a person consents, and only who shows no key may not ask for that.
    pub(super) fn is_in_use(&self, asker: &str, connection: &ConnectionId, now: Option<&Entry>, by: By) -> bool {
        let bound = match by {
            By::Form => !self.is_admin(asker),
            By::Consent => asker == OUR_USER,
        };
        bound && now.is_some_and(|now| self.serves(connection, now, (asker, by)))
    }

    /// Our clock is no proof that a credential is dead: the service's 401 is, and what the vault knows. Without a key nobody goes by the 401
    /// alone, which a program may have brought about.
    fn serves(&self, connection: &ConnectionId, entry: &Entry, (asker, by): (&str, By)) -> bool {
        if entry.is_app_alone() {
            // A log-in goes by it; a form would put it away.
            return by == By::Form;
        }
        let catalogue = self.ports.catalogue.load();
        let provider = catalogue.get(connection.provider()).map(AsRef::as_ref);
        let refused = || self.ports.attention.is_refused(connection, entry.registered_at);
        match broker::Standing::of(entry, provider, (self.ports.clock)(), Duration::ZERO).status {
            Status::Active => asker == OUR_USER || !refused(),
            Status::Expired => !refused(),
            _ => false,
        }
    }

    /// A form for `wanted`.
    pub(super) fn ask_by_form(&self, asked: &Asked<App>, provider: &Provider, wanted: Wanted) -> Result<Question, Problem> {
        let form = self.form(provider)?;
        self.keep_question(asked, wanted, form)
    }

    fn keep_question(
        &self,
        asked: &Asked<App>,
        wanted: Wanted,
        (page, step): (Secret<String>, Step),
    ) -> Result<Question, Problem> {
        let now = (self.ports.clock)();
        asked.note_here(self, "gateway_asked", &[("connection", wanted.connection.as_str())])?;
        let flow = Flow::new(&wanted, page, step, now);
        match self.ports.pending.begin(&wanted, flow, now).map_err(|error| not_kept(&error))? {
            Begun::Now(shown) => Ok(shown.question(wanted.connection, wanted.scopes, false)),
            Begun::Already(shown) => Ok(shown.question(wanted.connection, wanted.scopes, true)),
        }
    }

    fn consent(&self, vault: &Snapshot, provider: &Arc<Provider>, wanted: &Wanted) -> Result<(Secret<String>, Step), Problem> {
        let account = account(vault, provider, &wanted.connection, wanted.scopes.clone())
            .map_err(|error| self.no_consent(provider, &error))?;
        let own = vault.get(&wanted.connection).map(AsRef::as_ref);
        can_keep(&account, own).map_err(|error| Problem::conflict("incomplete", told(&error)))?;
        let asked = account.ask(&self.redirect_uri());
        let (url, waiting) = asked.map_err(|error| self.no_consent(provider, &error))?;
        Ok((Secret::new(url), Step::Consent(waiting)))
    }

    fn form(&self, provider: &Provider) -> Result<(Secret<String>, Step), Problem> {
        if ways(provider).is_empty() {
            let message = format!("nothing that a person could type makes a credential of {}", provider.title);
            return Err(Problem::conflict("no_form", message));
        }
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| out_of_random(&error))?;
        let state = URL_SAFE_NO_PAD.encode(bytes.as_slice());
        let page = format!("{}/v1/capture-credential?state={state}", self.settings.url);
        Ok((Secret::new(page), Step::Form(Secret::new(state))))
    }

    /// The default connection, which is everybody's, is asked for by who could register it too.
    fn for_whom(&self, vault: &Snapshot, who: &Who, user: Option<&str>) -> Result<Option<UserName>, Problem> {
        let Some(user) = user else {
            let missing = || Problem::malformed("the member user_id is missing: it names the person");
            return if Registrar::admits(who) { Ok(None) } else { Err(missing()) };
        };
        let user = self.person(vault, who, user)?;
        match who.acts_for(Some(&user)) {
            true => Ok(Some(user)),
            false => Err(Problem::forbidden("other_user", "this key is for one person, who is not the one of user_id")),
        }
    }

    fn return_url(&self, wanted: Option<&str>) -> Result<Option<String>, Problem> {
        let allowed = &self.settings.return_urls;
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
            return Ok(allowed.first().map(|url| url.as_str().to_owned()));
        };
        // Nowhere: our own page is the last one.
        if wanted == CALLBACK {
            return Ok(None);
        }
        let refuse = |message: String| Problem::forbidden("return_url", message);
        let url = ReturnUrl::parse(wanted).map_err(|why| refuse(format!("return_url can't be used: {why}")))?;
        if allowed.iter().any(|allowed| url.is_at(allowed)) {
            return Ok(Some(url.as_str().to_owned()));
        }
        Err(refuse("return_url is not on the list; add it to gateway.return_urls in the gateway's nexus.toml".to_owned()))
    }

    /// Why nobody can be asked, and what to do.
    pub(super) fn no_consent(&self, provider: &Provider, error: &consent::Error) -> Problem {
        let id = &provider.id;
        match error {
            consent::Error::NoClient { .. } => Problem::conflict(
                "no_client",
                format!(
                    "{error}; make an OAuth app with the redirect URI {}, and name it: \
                     nexus register {id} --app --client-id ID, or POST /v1/providers",
                    self.redirect_uri()
                ),
            ),
            consent::Error::NotSealed(_) => {
                Problem::conflict("not_trusted", format!("{error}; on the gateway's machine: nexus providers trust {id}"))
            }
            error => Problem::conflict("no_consent", told(error)),
        }
    }
}

/// Whether a person consents at the service: it has a page for that, and an app is registered, or there is no other way.
fn by_consent(vault: &Snapshot, provider: &Provider, connection: &ConnectionId) -> bool {
    if provider.oauth2.as_ref().is_none_or(|oauth2| oauth2.authorize_url.is_none()) {
        return false;
    }
    let app = ConnectionId::new(provider.id.clone(), None);
    let has_client = |id: &ConnectionId| vault.get(id).is_some_and(|entry| entry.fields.field("client_id").is_some());
    let typed = ways(provider).iter().any(|way| !way.iter().any(|field| field.name == "access_token"));
    has_client(connection) || has_client(&app) || !typed
}

/// Whose consent is asked: the client is the one that is registered.
///
/// # Errors
/// As [`consent::Error`] says.
pub(super) fn account(
    vault: &Snapshot,
    provider: &Arc<Provider>,
    connection: &ConnectionId,
    scopes: Vec<String>,
) -> Result<Account, consent::Error> {
    let wish = Wish { connection: connection.clone(), scopes, fields: Credential::default() };
    let entry = |id: &ConnectionId| vault.get(id).map(AsRef::as_ref);
    let app = ConnectionId::new(provider.id.clone(), None);
    Account::new(Arc::clone(provider), wish, entry(connection), entry(&app))
}

/// Nothing is asked, since nothing could come of it.
fn in_use(connection: &ConnectionId, consents: bool) -> Problem {
    let message = match consents {
        true => format!(
            "{connection} is connected and works, and a program that shows no key replaces nothing; show a key (`nexus gateway key add \
             NAME` on the gateway's machine makes one)"
        ),
        false => format!(
            "{connection} is connected and works, and only an administrator replaces what works by a form: `nexus register` on the \
             gateway's machine, or an admin key (`nexus gateway key add NAME --kind admin`)"
        ),
    };
    Problem::conflict("connected", message)
}

/// What an agent got by its own log-in is nobody else's to replace.
pub(super) fn of_an_agent(connection: &ConnectionId) -> Problem {
    Problem::conflict("of_an_agent", format!("{connection} is the log-in of an agent, which nothing else can replace"))
}

/// An error with its causes, for people.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub(super) fn not_kept(error: &PendingError) -> Problem {
    match error {
        PendingError::Full => {
            let message = "too many people are being asked already; wait until some have answered";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_pending", message).header(RETRY_AFTER, "60")
        }
        error => Problem::unreadable(error),
    }
}

fn out_of_random(error: &getrandom::Error) -> Problem {
    tracing::error!(%error, "the system gives no random numbers");
    Problem::internal()
}
