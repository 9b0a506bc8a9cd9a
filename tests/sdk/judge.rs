//! What is wrong with a run: calls that differ from the table's, a credential or a placeholder where none belongs.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use nexus::provider::Catalogue;

use crate::case::{Case, Service};
use crate::harness::Seen;
use crate::stub::{Account, Secrets};

/// More calls than any program makes: one of them repeats itself.
const MANY: usize = 20;

/// A run that has ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// The environment, a line each, and then all that the program said.
    pub(crate) said: String,
    pub(crate) account: Account,
    pub(crate) seen: Vec<Seen>,
}

/// Every fault, in words; none for a run as it should be.
pub(crate) fn faults(case: &Case, secrets: &Secrets, ran: &Ran) -> Vec<String> {
    let Account { calls, expired, renewals, faults } = &ran.account;
    let mut all = faults.clone();
    let mut must = |holds: bool, fault: String| all.extend((!holds).then_some(fault));
    must(ran.code == Some(0), format!("it ended with {:?}", ran.code));
    must(*calls == case.program.calls, format!("the service answered {:#?}", &calls[..calls.len().min(MANY)]));
    let once = usize::from(case.program.expires.is_some());
    let renewed = if case.service.oauth2.is_some() { once } else { 0 };
    let as_planned = if case.service.server.is_some() { (*expired > 0) == (once > 0) } else { *expired == once };
    must(as_planned && *renewals == renewed, format!("{expired} calls met an expired credential, {renewals} renewals"));
    for word in &case.program.prints {
        must(ran.said.contains(word), format!("it never printed {word:?}"));
    }
    for secret in secrets.all().filter(|secret| holds(ran.said.as_bytes(), secret)) {
        must(false, format!("the program saw {secret}"));
    }
    let placeholders = placeholders(&case.service, &ran.said);
    must(!placeholders.is_empty(), "its environment has no placeholder".to_owned());
    all.extend(ran.seen.iter().flat_map(|seen| strays(&case.service, secrets, &placeholders, seen)));
    all
}

/// The placeholders that the environment in `said` holds for the service.
fn placeholders(service: &Service, said: &str) -> BTreeSet<String> {
    let catalogue = Catalogue::builtin();
    let provider = catalogue.get(&service.name.parse().expect("a name")).expect("a provider");
    let made = provider.placeholders.iter().filter(|placeholder| !placeholder.fixed).map(|placeholder| &placeholder.variable);
    let value = |name: &String| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    made.filter_map(value).map(str::to_owned).collect()
}

/// Credentials outside of their place and placeholders anywhere in a request.
fn strays(service: &Service, secrets: &Secrets, placeholders: &BTreeSet<String>, seen: &Seen) -> Vec<String> {
    let host = seen.authority.as_deref().unwrap_or_default();
    let path = seen.path.split('?').next().unwrap_or_default();
    // There a refresh token and a client secret belong; the stub looked at them.
    let renewal = service.oauth2.as_ref().is_some_and(|endpoint| endpoint.at == format!("{host}{path}"));
    let place = if renewal { "" } else { service.header(host) };
    let fields = seen.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let body = seen.body.as_deref().unwrap_or_default();
    let parts: Vec<(&str, &[u8])> = fields.chain([("the path", seen.path.as_bytes()), ("the body", body)]).collect();
    let mut found = Vec::new();
    for (name, bytes) in parts {
        let stray = |secret: &str| (holds(bytes, secret)).then(|| format!("{} {host}{path}: {secret} in {name}", seen.method));
        found.extend(placeholders.iter().filter_map(|placeholder| stray(placeholder)));
        if name != place && !renewal {
            found.extend(secrets.all().filter_map(stray));
        }
    }
    found
}

/// Whether `secret` stands in `bytes` as it is or in base64, whatever stands before it.
fn holds(bytes: &[u8], secret: &str) -> bool {
    let spelled = (0..3).map(|skip| {
        let aligned = &secret.as_bytes()[skip..];
        STANDARD_NO_PAD.encode(&aligned[..aligned.len() / 3 * 3])
    });
    let mut spellings = spelled.chain([secret.to_owned()]);
    spellings.any(|spelling| memchr::memmem::find(bytes, spelling.as_bytes()).is_some())
}
