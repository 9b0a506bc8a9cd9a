//! `whoami`: what shows that a credential works, or why nothing does.

use http::Method;
use http::uri::PathAndQuery;

use super::Error;
use super::source::{Table, Text, Value};
use crate::provider::pattern::HostPattern;
use crate::provider::rule::{InjectRule, Provider};
use crate::provider::strategy::Placement;
use crate::provider::template::Template;
use crate::provider::whoami::{FixedBody, WhoAmI};

/// What GraphQL calls operations that do more than to read (June 2018, section 2.3).
const OPERATIONS: [&str; 2] = ["mutation", "subscription"];

/// The requests; or, where there is none, why.
pub(super) type Asked = (Vec<WhoAmI>, Option<String>);

/// `"GET https://…"`, `{ at = "POST https://…", json = "…" }`, a list of these, or `{ none = "every request is billed" }`.
pub(super) fn read(value: &Value<'_>, provider: &Provider) -> Result<Asked, Error> {
    if value.is_table()
        && let Some(reason) = value.table(&["none", "at", "json", "form"])?.get("none")
    {
        value.table(&["none"])?;
        return Ok((Vec::new(), Some(reason.plain()?)));
    }
    let requests = if value.is_list() { value.list(|one| request(&one, provider))? } else { vec![request(value, provider)?] };
    value.not_empty(&requests)?;
    Ok((requests.concat(), None))
}

/// One of them; without a host it is one for each host of the first rule that takes its path.
fn request(value: &Value<'_>, provider: &Provider) -> Result<Vec<WhoAmI>, Error> {
    let table = if value.is_table() { Some(value.table(&["at", "json", "form"])?) } else { None };
    let at = table.as_ref().map_or(Ok(*value), |table| table.need("at"))?.text()?;
    let shape = || at.refuse("expected GET, HEAD or POST, a space and an https:// URL of one of the hosts below, or a path");
    let (method, target) = at.value.split_once(' ').ok_or_else(shape)?;
    let known = [Method::GET, Method::HEAD, Method::POST];
    let method = known.into_iter().find(|known| known == method).ok_or_else(shape)?;
    let body = table.as_ref().map_or(Ok(None), body)?;
    if body.is_some() && method != Method::POST {
        return Err(at.refuse("only a POST has a body"));
    }
    let (places, path): (Vec<(HostPattern, u16)>, &str) = if target.starts_with('/') {
        (Vec::new(), target)
    } else {
        let rest = target.strip_prefix("https://").ok_or_else(shape)?;
        let (authority, path) = rest.split_at_checked(rest.find('/').ok_or_else(shape)?).ok_or_else(shape)?;
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
        let port: u16 = port.parse().map_err(|_not_a_number| shape())?;
        (vec![(host.parse().map_err(|error| at.refuse(format!("{error}")))?, port)], path)
    };
    let path = template(&at, path, provider)?;
    let one = |(host, port)| WhoAmI { method: method.clone(), host, port, path: path.clone(), body: body.clone() };
    let all: Vec<WhoAmI> = if places.is_empty() {
        let takes = |rule: &&InjectRule| rule.hosts.first().is_some_and(|host| one((host.clone(), rule.port)).is_for(rule));
        let rule = provider.inject.iter().find(takes).ok_or_else(|| at.refuse("no [[inject]] takes the path"))?;
        rule.hosts.iter().map(|host| one((host.clone(), rule.port))).collect()
    } else {
        places.into_iter().map(one).collect()
    };
    all.iter().try_for_each(|one| covered(&at, one, &provider.inject))?;
    Ok(all)
}

/// Path and query, whose fields anybody may read.
fn template(at: &Text<'_>, path: &str, provider: &Provider) -> Result<Template, Error> {
    let template: Template = path.parse().map_err(|error| at.refuse(format!("{error}")))?;
    let placed = || provider.inject.iter().flat_map(|rule| &rule.placements).flat_map(Placement::templates);
    let secret = |name: &str| placed().any(|one| one.fields().any(|placed| placed == name)) || provider.spends(name);
    let open = |name: &str| provider.fields.iter().any(|own| own.name == name && !own.secret && !own.file) && !secret(name);
    if let Some(name) = template.fields().find(|name| !open(name)) {
        let message = format!("{{{name}}} is no [[field]] with secret = false that no request carries as a credential");
        return Err(at.refuse(message));
    }
    let sample = template.fill(&|_field| Some("x".to_owned())).unwrap_or_default();
    let parsed = sample.parse::<PathAndQuery>().is_ok_and(|parsed| parsed.as_str() == sample);
    if parsed { Ok(template) } else { Err(at.refuse("not a path that a request can have")) }
}

fn body(table: &Table<'_>) -> Result<Option<FixedBody>, Error> {
    let (value, text) = match (table.get("json"), table.get("form")) {
        (None, None) => return Ok(None),
        (Some(_), Some(form)) => return Err(form.refuse("a request has one body: `json` or `form`")),
        (Some(json), None) => (FixedBody::Json as fn(String) -> FixedBody, json.text()?),
        (None, Some(form)) => (FixedBody::Form as fn(String) -> FixedBody, form.text()?),
    };
    let body = value(text.value.to_owned());
    let pairs = || text.value.split('&').all(|pair| pair.contains('=')) && text.value.bytes().all(|b| b.is_ascii_graphic());
    match &body {
        FixedBody::Json(json) if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() => {
            return Err(text.refuse("this is not JSON"));
        }
        FixedBody::Form(_) if !pairs() => return Err(text.refuse("expected a form, as in name=value&other=value")),
        FixedBody::Json(_) | FixedBody::Form(_) => {}
    }
    let mut words = text.value.split(|letter: char| !letter.is_alphanumeric());
    match words.find(|word| OPERATIONS.iter().any(|known| known.eq_ignore_ascii_case(word))) {
        Some(word) => Err(text.refuse(format!("a `whoami` reads and does nothing else, but this is a {word}"))),
        None => Ok(Some(body)),
    }
}

/// Whether some rule puts the credential on this request, and none refuses it.
fn covered(at: &Text<'_>, one: &WhoAmI, inject: &[InjectRule]) -> Result<(), Error> {
    let WhoAmI { host, port, .. } = one;
    if matches!(host, HostPattern::Below(_)) {
        return Err(at.refuse(format!("{host} is no one host; write one that is")));
    }
    if !inject.iter().any(|rule| rule.port == *port && rule.hosts.contains(host)) {
        return Err(at.refuse(format!("{host} is not one of the hosts of any [[inject]] with port {port}")));
    }
    let rules: Vec<&InjectRule> = inject.iter().filter(|rule| one.is_for(rule)).collect();
    if rules.is_empty() {
        return Err(at.refuse("no [[inject]] of this host takes the path"));
    }
    let path = one.sample_path();
    let query = one.path.to_string();
    let query = query.split_once('?').map(|(_path, query)| query);
    let said = one.body.iter().map(|body| body.text().as_bytes());
    let mints = |rule: &&InjectRule| {
        rule.mints(&one.method, &path)
            || rule.mints_by_query(query)
            || said.clone().any(|said| rule.mints_by_content(&http::HeaderMap::new(), said))
    };
    if rules.iter().any(mints) {
        return Err(at.refuse("this request is one of `mints`, which are refused"));
    }
    let fits = |placement: &Placement| match placement {
        Placement::Json { .. } => matches!(one.body, Some(FixedBody::Json(_))),
        Placement::Form { .. } => matches!(one.body, Some(FixedBody::Form(_))),
        _ => true,
    };
    if rules.iter().all(|rule| rule.placements.iter().all(fits)) {
        return Ok(());
    }
    Err(at.refuse("the credential goes into the body, so this needs one of that kind: `json` or `form`"))
}
