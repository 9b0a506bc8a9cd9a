//! `Case`: the answer for one request, by what the rules say of it and what the vault holds.

use std::sync::Arc;

use super::answer::{Explanation, MatchedRule, Outcome};
use super::ruled::{self, Ruled};
use crate::agent::Frozen;
use crate::app::node::Unheard;
use crate::decide::{
    Answering, Asking, Decision, Fitting, LogIns, Named, Occupants, Reason, Route, Rules, Unmatched, Unregistered, preferred,
};
use crate::model::{ConnectionId, Host, Target, is_readable};
use crate::policy::{Rule, Ruling, does};
use crate::provider::{Matter, Provider, prepare};
use crate::proxy::{self, Foreseen};
use crate::registration::{is_client, placed, to_be_fetched};
use crate::vault::{Entry, Snapshot, Status};

/// What begins the part about log-ins.
const LOG_IN: &str = "of a person's log-in: ";

/// One request, and what its answer depends on.
pub(super) struct Case<'a> {
    pub(super) rules: &'a Rules,
    pub(super) vault: &'a Snapshot,
    /// What a gateway that does not answer has lent.
    pub(super) unheard: Option<&'a Unheard>,
    pub(super) asking: Asking<'a>,
    /// What is in its body, where that is asked about.
    pub(super) body: Option<&'a str>,
    /// Whether a parent proxy looks names up.
    pub(super) parent: bool,
}

impl Case<'_> {
    fn answer(&self, outcome: Outcome, why: String) -> Explanation {
        let Target { scheme, authority, method, path } = self.asking.target;
        let port = if authority.port == scheme.default_port() { String::new() } else { format!(":{}", authority.port) };
        Explanation {
            method: method.to_string(),
            url: format!("{}://{}{port}{path}", scheme.as_str(), authority.host),
            agent: self.asking.agent.name.to_string(),
            outcome,
            connect: None,
            provider: None,
            rule: None,
            connection: None,
            strategy: Vec::new(),
            placements: Vec::new(),
            strips: Vec::new(),
            policy: None,
            why,
            command: None,
        }
    }

    pub(super) fn refused(&self, reason: Reason) -> Explanation {
        self.answer(Outcome::Refuse, format!("refused by rule ({}): {}", reason.word(), reason.advice()))
    }

    /// Its agent gets nothing.
    pub(super) fn frozen(&self, frozen: Option<&Frozen>) -> Explanation {
        let why = frozen.map(|frozen| frozen.why.as_str()).unwrap_or_default();
        let command = Some(format!("nexus agent thaw {}", self.asking.agent.name));
        Explanation { command, ..self.answer(Outcome::Refuse, format!("the agent is frozen: {why}")) }
    }

    /// Nothing of the request is seen, its method neither.
    pub(super) fn tunnelled(&self) -> Explanation {
        let later = match self.asking.target.authority.host {
            Host::Name(_) if self.parent => "; the parent proxy looks up its address, which nobody checks",
            Host::Name(_) => "; its address is checked when it is dialled",
            Host::Ip(_) => "",
        };
        self.answer(Outcome::Tunnel, format!("no provider names this host, so its TLS is left shut{later}"))
    }

    /// A request that the proxy reads.
    pub(super) fn opened(&self) -> Explanation {
        match proxy::before_rules(self.asking.target) {
            Some(Foreseen::OwnPage) => self.answer(Outcome::OwnPage, "the proxy answers this name itself".to_owned()),
            Some(Foreseen::Refused(why)) => self.answer(Outcome::Refuse, why),
            None => {
                let Decision { route, ruling, .. } = self.rules.decide(&self.asking);
                let answering = self.rules.token_responses(self.asking.target, self.asking.agent, &route);
                let log_ins = self.rules.log_ins(&route, &answering);
                let about = self.rules.about_tokens(self.asking.target, self.asking.agent, &route);
                let otherwise = self.about_tokens(&about, self.routed(route));
                let otherwise = self.log_ins((log_ins, &answering), otherwise);
                let answer = self.answered(&answering, &otherwise).unwrap_or(otherwise);
                let answer = ruled::told(&ruling, answer);
                self.looked_into(&ruling).unwrap_or(answer)
            }
        }
    }

    /// A refusal by a rule that looks into the body.
    fn looked_into(&self, ruling: &Ruling) -> Option<Explanation> {
        let (body, content) = (self.body?, &self.asking.content);
        let does = does(content.kind.filter(|_| !content.ambiguous), self.asking.target.path.query(), body.as_bytes());
        let outside = |rule: &&Arc<Rule>| !rule.reports() && !rule.lets_on(does);
        let rule = ruling.looks.iter().find(outside)?;
        let ruling = Ruling { denied: Some(Arc::clone(rule)), ..Ruling::default() };
        Some(Explanation { policy: Ruled::of(&ruling), ..self.refused(Reason::Rule) })
    }

    /// A token endpoint where this agent has a connection behind it. What else is asked there is as it would be without.
    fn answered(&self, answering: &[Answering], otherwise: &Explanation) -> Option<Explanation> {
        let (host, path, user) =
            (&self.asking.target.authority.host, self.asking.target.path.path(), self.asking.agent.user.as_ref());
        let mut fitting = Vec::new();
        for (provider, number) in answering {
            let mut one = Fitting::default();
            for id in self.existing(provider).iter().filter(|id| id.is_open_to(user)) {
                if let (Some(response), Some(entry)) = (provider.token_responses.get(*number), self.vault.get(id)) {
                    one.add(id, response, (host, path), &|name| entry.fields.field(name));
                }
            }
            fitting.push(one);
        }
        let chosen = preferred(&fitting.iter().collect::<Vec<_>>(), user);
        let chosen = chosen.and_then(|(number, connection)| Some((answering.get(number)?, connection)));
        let ((provider, _number), connection) = chosen?;
        let why = format!(
            "a program that asks here for a token of its own gets a placeholder for {connection} from nexus, and nothing leaves; {}{}",
            if otherwise.why.starts_with(LOG_IN) { "" } else { LOG_IN },
            otherwise.why
        );
        let answer = self.answer(Outcome::Answer, why).of(provider);
        Some(Explanation { connection: Some(connection.to_string()), ..answer })
    }

    /// Where tokens are ended, or asked about. What is no placeholder is as it would be without.
    fn about_tokens(&self, about: &[Answering], otherwise: Explanation) -> Explanation {
        let Some((provider, matter)) =
            about.iter().find_map(|(provider, number)| Some((provider, provider.about_tokens.get(*number)?.matter)))
        else {
            return otherwise;
        };
        let what = match matter {
            Matter::Revocation => {
                "who ends a token here that is a placeholder is told that it is done, and the credential stays"
            }
            Matter::Introspection => "who asks here about a token that is a placeholder is told that it is good",
        };
        let why = format!("{what}: nexus answers, and nothing leaves; of all else: {}", otherwise.why);
        for (holder, _number) in about {
            if !self.existing(holder).is_empty() {
                return self.answer(Outcome::Answer, why).of(holder);
            }
        }
        Explanation { why, ..otherwise }.of(provider)
    }

    /// What becomes of a log-in, beside what becomes of all else there.
    fn log_ins(&self, (log_ins, answering): (LogIns, &[Answering]), otherwise: Explanation) -> Explanation {
        let agent = &self.asking.agent.name;
        let why = match log_ins {
            LogIns::Pass => return otherwise,
            LogIns::Capture if !answering.iter().any(|(provider, _)| provider.places_access_tokens()) => {
                "refused, as no rule puts its token on requests".to_owned()
            }
            LogIns::Capture => format!(
                "it goes on as the program sends it, and its tokens are captured: they become a new connection of {agent}, \
                 which waits for `nexus approve`, and the program gets placeholders"
            ),
            LogIns::Refuse => "refused (proxy.log_ins)".to_owned(),
        };
        Explanation { why: format!("{LOG_IN}{why}; of all else: {}", otherwise.why), ..otherwise }
    }

    fn routed(&self, route: Route) -> Explanation {
        let settings = self.rules.settings();
        if let Some(owner) = self.rules.evades_capture(self.asking.target, self.asking.agent, &route) {
            let why = format!(
                "it could get a person's tokens at the token endpoint of {} past those who look at log-ins",
                owner.title
            );
            return self.answer(Outcome::Refuse, why).of(&owner);
        }
        match route {
            Route::Refuse(Reason::Mint) if self.rules.knows_answer_of(self.asking.target) => {
                let refused = self.refused(Reason::Mint);
                let why = format!("{}; with proxy.mints = \"capture\" it would be kept here, to be approved", refused.why);
                Explanation { why, ..refused }
            }
            Route::Refuse(reason) => self.refused(reason),
            Route::Pass if settings.unmatched == Unmatched::Intercept => {
                self.answer(Outcome::Pass, "no provider names this host; it is intercepted, and nothing is injected".to_owned())
            }
            Route::Pass => self.answer(Outcome::Pass, "no provider names this host".to_owned()),
            Route::Strip(occupants) => self.stripped(&occupants),
            Route::TokenEndpoint(owners) => self.token_endpoint(&owners),
            Route::Inject(named) => self.named(&self.with_connection(named)),
            Route::Mint(minting) => self.minting(&minting.named),
        }
    }

    /// A request for a new credential, whose answer is captured where a connection is there to make it with.
    fn minting(&self, named: &Named) -> Explanation {
        let answer = self.named(named);
        if answer.outcome != Outcome::Inject {
            return if answer.outcome == Outcome::Pass { self.refused(Reason::Mint).of(&named.provider) } else { answer };
        }
        let why = format!(
            "{}; the credential in the answer is captured: it becomes a new connection of {}, which waits for `nexus approve`, and the \
             program gets a placeholder (proxy.mints)",
            answer.why, self.asking.agent.name
        );
        Explanation { why, ..answer }
    }

    /// Of the providers that share the place, the first that has a connection for this agent; the general one where none has.
    fn with_connection(&self, named: Named) -> Named {
        let user = self.asking.agent.user.as_ref();
        let has = |provider: &Provider| -> bool { ConnectionId::preferred(&self.existing(provider), user).is_some() };
        if named.beside.is_empty() || has(&named.provider) {
            return named;
        }
        for (provider, rules) in &named.beside {
            if has(provider) {
                let (provider, rules, occupants) = (Arc::clone(provider), rules.clone(), Arc::clone(&named.occupants));
                return Named { provider, rules, occupants, beside: Vec::new() };
            }
        }
        named.general()
    }

    fn existing(&self, provider: &Provider) -> Vec<ConnectionId> {
        let mut ids = self.vault.of_provider(&provider.id).to_vec();
        let lent = self.unheard.iter().flat_map(|unheard| &unheard.lent);
        ids.extend(lent.filter(|id| *id.provider() == provider.id).cloned());
        ids
    }

    /// What the proxy does with what it has from a gateway that does not tell what it lends.
    fn away(&self, provider: &Provider, connection: &ConnectionId, unheard: &Unheard) -> Explanation {
        let does = if unheard.refuses { "does not tell this home what it lends" } else { "does not answer" };
        let answer = if unheard.copies {
            let why = format!(
                "{connection} is at the gateway, which {does}; the proxy that is up goes on with its copy (gateway.grace_secs)"
            );
            self.answer(Outcome::Inject, why)
        } else {
            let why = format!(
                "{} is with a gateway that {does}, and no proxy here has a copy that is still good; the answer is 503 gateway",
                provider.title
            );
            Explanation { command: Some("nexus status".to_owned()), ..self.answer(Outcome::Refuse, why) }
        };
        Explanation { connection: Some(connection.to_string()), ..answer.of(provider) }
    }

    /// Without a connection a provider's host is one like others, unless the configuration refuses.
    fn left_alone(&self, provider: &Provider) -> bool {
        self.rules.settings().unregistered == Unregistered::Pass && self.existing(provider).is_empty()
    }

    /// Ours alone as soon as one of those whose it is has a connection.
    fn token_endpoint(&self, owners: &[Arc<Provider>]) -> Explanation {
        let Some(holder) = self.holder(owners) else {
            let answer = self.answer(Outcome::Pass, format!("no credential of {} is registered", titles(owners)));
            return answer.of_first(owners);
        };
        if !is_readable(self.asking.target.path.path()) {
            return self.refused(Reason::Unclear).of(holder);
        }
        let why = format!("the token endpoint of {} is not for callers: nexus renews its tokens itself", holder.title);
        self.answer(Outcome::Refuse, why).of(holder)
    }

    /// A host of providers, and a path that none of their rules names.
    fn stripped(&self, occupants: &Occupants) -> Explanation {
        let providers = &occupants.providers;
        let answer = if self.holder(providers).is_none() {
            self.answer(Outcome::Pass, format!("no credential of {} is registered", titles(providers)))
        } else {
            let why = format!("the host belongs to {}, but no rule names this path", titles(providers));
            Explanation { strips: written(occupants), ..self.answer(Outcome::Strip, why) }
        };
        answer.of_first(providers)
    }

    /// The first of `providers` that is not left alone.
    fn holder<'p>(&self, providers: &'p [Arc<Provider>]) -> Option<&'p Arc<Provider>> {
        providers.iter().find(|provider| !self.left_alone(provider))
    }

    fn named(&self, named: &Named) -> Explanation {
        let provider = &named.provider;
        let existing = self.existing(provider);
        let user = self.asking.agent.user.as_ref();
        let Some(connection) = ConnectionId::preferred(&existing, user) else { return self.unregistered(named, &existing) };
        let Some(entry) = self.vault.get(connection) else { return self.unregistered(named, &existing) };
        let fetched = to_be_fetched();
        let fields = |name: &str| placed(provider, entry, &fetched, name);
        let answer =
            |outcome, why| Explanation { connection: Some(connection.to_string()), ..self.answer(outcome, why).of(provider) };
        let again = || Some(self.anew(provider, connection, entry));
        if !entry.status.serves() {
            let why = format!("{connection} is {}", entry.status.as_str());
            return Explanation { command: again(), ..answer(Outcome::AuthRequired, why) };
        }
        let fitting = named.rules.iter().find_map(|number| {
            let rule = provider.inject.get(*number)?;
            matches!(prepare(&rule.placements, &fields), Ok(Some(_))).then_some((*number, rule))
        });
        let Some((number, rule)) = fitting else {
            let why = format!("{connection} lacks a field that this API needs, or holds one that no header can carry");
            return Explanation { command: again(), ..answer(Outcome::AuthRequired, why) };
        };
        let shown = MatchedRule::of(number, rule);
        if !provider.reaches(number, &self.asking.target.authority.host, entry.sealed_hosts(), &|name| entry.fields.field(name))
        {
            let hosts = if entry.hosts.is_empty() { "none".to_owned() } else { entry.hosts.join(", ") };
            let why = format!("{connection} was registered for other hosts: {hosts}");
            let command = Some(format!("nexus providers trust {}", provider.id));
            return Explanation { rule: Some(shown), command, ..answer(Outcome::Refuse, why) };
        }
        Explanation {
            rule: Some(shown),
            strategy: rule.placements.iter().map(crate::provider::Placement::word).collect(),
            placements: rule.placements.iter().map(ToString::to_string).collect(),
            strips: written(&named.occupants),
            ..answer(Outcome::Inject, chosen(provider, connection, existing.len(), entry))
        }
    }

    fn unregistered(&self, named: &Named, existing: &[ConnectionId]) -> Explanation {
        let provider = &named.provider;
        let id = ConnectionId::new(provider.id.clone(), self.asking.agent.user.clone());
        let lent = ConnectionId::preferred(existing, self.asking.agent.user.as_ref());
        if let Some(unheard) = self.unheard.filter(|_| !existing.is_empty())
            && (lent.is_some() || !unheard.copies)
        {
            return self.away(provider, lent.unwrap_or(&id), unheard);
        }
        let (outcome, then) = if self.holder(&named.occupants.providers).is_none() {
            (Outcome::Pass, "what the caller sent goes on")
        } else {
            (Outcome::AuthRequired, "the answer is auth_required")
        };
        let others = match &self.asking.agent.user {
            _ if existing.is_empty() => String::new(),
            Some(user) => format!(" for {user}, for whom this agent acts"),
            None => " as the default; a placeholder or Nexus-Connection names one".to_owned(),
        };
        let why = format!("no credential of {} is registered{others}; {then}", provider.title);
        let verb = if self.has_app(provider) { "login" } else { "register" };
        Explanation { command: Some(typed(verb, &id)), ..self.answer(outcome, why).of(provider) }
    }

    /// What mends `connection`, by the words of the refusal.
    fn anew(&self, provider: &Provider, connection: &ConnectionId, entry: &Entry) -> String {
        let verb = if self.has_app(provider) || is_client(provider, entry) { "login" } else { "register" };
        typed(verb, connection)
    }

    /// Whether people can log in by an app.
    fn has_app(&self, provider: &Provider) -> bool {
        let app = self.vault.get(&ConnectionId::new(provider.id.clone(), None));
        app.is_some_and(|app| is_client(provider, app))
    }
}

fn titles(providers: &[Arc<Provider>]) -> String {
    providers.iter().map(|provider| provider.title.as_str()).collect::<Vec<_>>().join(" and ")
}

fn written(occupants: &Occupants) -> Vec<String> {
    occupants.slots.iter().map(ToString::to_string).collect()
}

/// Why this connection.
fn chosen(provider: &Provider, connection: &ConnectionId, count: usize, entry: &Entry) -> String {
    let mut why = match (connection.user(), count) {
        (Some(user), _) => format!("{connection} is the connection of {user}, for whom this agent acts"),
        (None, 1) => format!("{connection} is the only connection of {}", provider.title),
        (None, count) => {
            format!("{connection} is the default of {count} connections; a placeholder or Nexus-Connection names another")
        }
    };
    if entry.lent.is_some() {
        why.push_str("; the gateway lends it");
    }
    if entry.status == Status::Attention {
        why.push_str("; it needs attention: its last renewal was refused");
    }
    why
}

fn typed(verb: &str, id: &ConnectionId) -> String {
    let user = id.user().map(|user| format!(" --user {user}")).unwrap_or_default();
    format!("nexus {verb} {}{user}", id.provider())
}
