//! `[[inject]]` tables.

use http::{HeaderName, HeaderValue, Method};

use super::mint::{self, Mints};
use super::signers::{self, SIGNERS};
use super::source::{Table, Text, Value, suggestion};
use super::{COMMON_FIELDS, Error, RENEWAL_FIELDS};
use crate::provider::grant::Grant;
use crate::provider::path::PathPattern;
use crate::provider::pattern::{HostPattern, PatternError};
use crate::provider::rule::{Field, InjectRule, MethodPath, ReplayRule, Slot};
use crate::provider::slot::{parse_header_name, parse_plain_name};
use crate::provider::strategy::Placement;
use crate::provider::template::Template;

const KEYS: &[&str] = &[
    "hosts",
    "port",
    "paths",
    "strategy",
    "headers",
    "replay",
    "set_cookie",
    "mints",
    "mint_actions",
    "other_paths",
    "secret_path",
];

const STRATEGIES: [&str; 8] = ["bearer", "basic", "header", "query", "cookie", "path", "json", "form"];

pub(super) fn read(value: &Value<'_>, slots: &[Slot], fields: &[Field], grants: &[Grant]) -> Result<InjectRule, Error> {
    let table = value.table(KEYS)?;
    let hosts: Vec<HostPattern> = table.need("hosts")?.list(|host| host.text()?.parse())?;
    table.need("hosts")?.not_empty(&hosts)?;
    let placements = strategy(&table.need("strategy")?, &Known { slots, fields, grants, hosts: &hosts })?;
    let signs = |placement: &Placement| matches!(placement, Placement::Sign(signer) if signer.binds_the_host());
    if hosts.iter().any(|host| matches!(host, HostPattern::Below(_))) && !placements.iter().all(signs) {
        return Err(table.need("hosts")?.refuse(PatternError::Wildcard.to_string()));
    }
    let paths: Vec<PathPattern> = list(&table, "paths", |path| path.text()?.parse())?;
    check_segments(&table, &placements, &paths)?;
    let Mints { paths: mints, actions: mint_actions, captures } = mint::read(&table, fields, &placements)?;
    let flag = |key| table.get(key).map_or(Ok(false), |value| value.boolean());
    Ok(InjectRule {
        port: table.get("port").map_or(Ok(443), |port| port.number("a port from 1 to 65535"))?,
        paths,
        headers: table.get("headers").map_or(Ok(Vec::new()), |value| headers(&value, slots))?,
        replay: table.get("replay").map_or(Ok(ReplayRule::All), |value| {
            word(&value, &[("all", ReplayRule::All), ("safe", ReplayRule::Safe), ("never", ReplayRule::Never)])
        })?,
        set_cookie: flag("set_cookie")?,
        mint_actions,
        mints,
        captures,
        refuse_other_paths: table
            .get("other_paths")
            .map_or(Ok(false), |value| word(&value, &[("refuse", true), ("pass", false)]))?,
        secret_path: flag("secret_path")?,
        hosts,
        placements,
    })
}

/// A secret segment needs paths that have it.
fn check_segments(table: &Table<'_>, placements: &[Placement], paths: &[PathPattern]) -> Result<(), Error> {
    let segments = placements.iter().filter_map(|placement| match placement {
        Placement::Path { segment, .. } => Some(usize::from(*segment)),
        _ => None,
    });
    for segment in segments {
        if paths.is_empty() || !paths.iter().all(|path| path.has_segment(segment)) {
            let message = format!("the rule needs `paths`, each with a segment {segment} that is not **: [\"/bot*/**\"]");
            return Err(table.need("strategy")?.refuse(message));
        }
    }
    Ok(())
}

/// One of a few words.
pub(super) fn word<T: Copy>(value: &Value<'_>, words: &[(&str, T)]) -> Result<T, Error> {
    let text = value.text()?;
    let found = words.iter().find(|(word, _)| *word == text.value);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        text.refuse(format!("expected one of {}", known.join(", ")))
    })
}

fn list<T>(table: &Table<'_>, key: &str, read: impl Fn(Value<'_>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    table.get(key).map_or(Ok(Vec::new()), |value| value.list(read))
}

/// `POST /path`, `* /path` or `/path`.
pub(super) fn method_path(text: &Text<'_>) -> Result<MethodPath, Error> {
    let (method, path) = text.value.split_once(' ').unwrap_or(("*", text.value));
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let method = match (method, known.into_iter().find(|known| known == method)) {
        ("*", _) => None,
        (_, Some(method)) => Some(method),
        (_, None) => return Err(text.refuse("expected a method such as POST, or *, a space and a path")),
    };
    let path: PathPattern = path.parse().map_err(|error| text.refuse(format!("{error}")))?;
    Ok(MethodPath { method, path })
}

fn headers(value: &Value<'_>, slots: &[Slot]) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (key, value) in value.entries()? {
        let name = parse_header_name(key.value).map_err(|error| key.refuse(error.to_string()))?;
        if name == http::header::AUTHORIZATION || slots.contains(&Slot::Header(name.clone())) {
            return Err(key.refuse(format!("{name} is a slot; a credential goes there by `strategy`")));
        }
        if headers.iter().any(|(earlier, _)| *earlier == name) {
            return Err(key.refuse(format!("{name} is there twice")));
        }
        let text = value.text()?;
        let value: HeaderValue = text.value.parse().map_err(|_bad: http::header::InvalidHeaderValue| {
            text.refuse("not a header value: visible ASCII and spaces only")
        })?;
        headers.push((name, value));
    }
    Ok(headers)
}

/// What a placement is held against.
pub(super) struct Known<'k> {
    slots: &'k [Slot],
    fields: &'k [Field],
    grants: &'k [Grant],
    hosts: &'k [HostPattern],
}

fn strategy(value: &Value<'_>, known: &Known<'_>) -> Result<Vec<Placement>, Error> {
    if !value.is_list() {
        return Ok(vec![placement(value, known)?]);
    }
    let placements = value.list(|value| placement(&value, known))?;
    value.not_empty(&placements)?;
    let slots: Vec<Slot> = placements.iter().flat_map(Placement::slots).collect();
    let twice = slots.iter().enumerate().find(|(at, slot)| slots.iter().take(*at).any(|earlier| earlier == *slot));
    match twice {
        Some((_, slot)) => Err(value.refuse(format!("two strategies write to {slot}"))),
        None => Ok(placements),
    }
}

fn placement(value: &Value<'_>, known: &Known<'_>) -> Result<Placement, Error> {
    let entries = value.entries()?;
    let [(kind, inside)] = entries.as_slice() else {
        return Err(value.refuse("expected one strategy; several at once are a list of tables"));
    };
    let placement = match kind.value {
        "bearer" => Placement::Bearer(template(inside, known)?),
        "basic" => {
            let table = inside.table(&["username", "password"])?;
            let (username, password) = (template(&table.need("username")?, known)?, template(&table.need("password")?, known)?);
            Placement::Basic { username, password }
        }
        "header" => {
            let (name, value) = named(inside, known)?;
            let parsed = parse_header_name(name.value).map_err(|error| name.refuse(error.to_string()))?;
            if parsed == http::header::COOKIE {
                return Err(name.refuse("a cookie goes on by `cookie`, which keeps the others"));
            }
            Placement::Header { name: parsed, value }
        }
        "query" => plain_named(inside, known).map(|(name, value)| Placement::Query { name, value })?,
        "cookie" => plain_named(inside, known).map(|(name, value)| Placement::Cookie { name, value })?,
        "form" => plain_named(inside, known).map(|(name, value)| Placement::Form { name, value })?,
        "json" => {
            let (place, value) = named(inside, known)?;
            Placement::Json { place: place.parse()?, value }
        }
        "path" => segment(inside, known)?,
        signer if SIGNERS.contains(&signer) => Placement::Sign(signers::read(signer, inside, known)?),
        other => {
            let all = || STRATEGIES.into_iter().chain(SIGNERS);
            let hint = suggestion(other, all());
            let words = all().collect::<Vec<_>>().join(", ");
            return Err(kind.refuse(format!("unknown strategy `{}`{hint}; known are {words}", other.escape_debug())));
        }
    };
    check(&placement, inside, known)?;
    Ok(placement)
}

fn segment(inside: &Value<'_>, known: &Known<'_>) -> Result<Placement, Error> {
    let table = inside.table(&["segment", "value"])?;
    let segment = table.need("segment")?.number("the number of a segment from 1 to 16")?;
    Ok(Placement::Path { segment, value: template(&table.need("value")?, known)? })
}

fn named<'s>(inside: &Value<'s>, known: &Known<'_>) -> Result<(Text<'s>, Template), Error> {
    let table = inside.table(&["name", "value"])?;
    Ok((table.need("name")?.text()?, template(&table.need("value")?, known)?))
}

fn plain_named(inside: &Value<'_>, known: &Known<'_>) -> Result<(String, Template), Error> {
    let (name, value) = named(inside, known)?;
    Ok((parse_plain_name(name.value).map_err(|error| name.refuse(error.to_string()))?, value))
}

fn check(placement: &Placement, value: &Value<'_>, known: &Known<'_>) -> Result<(), Error> {
    if placement.templates().flat_map(Template::fields).next().is_none() {
        return Err(value.refuse("names no {field}, so there is no credential to place; fixed headers belong under `headers`"));
    }
    match placement.slots().iter().find(|slot| !known.slots.contains(slot)) {
        Some(slot) => Err(value.refuse(format!("`slots` does not list {slot}, so a caller's own credential could pass there"))),
        None => Ok(()),
    }
}

pub(super) fn template(value: &Value<'_>, known: &Known<'_>) -> Result<Template, Error> {
    let text = value.text()?;
    let template: Template = text.parse()?;
    template.fields().try_for_each(|field| known.check(field)).map_err(|why| text.refuse(why))?;
    Ok(template)
}

/// The template of one field alone.
pub(super) fn field(name: &str, known: &Known<'_>) -> Result<Template, String> {
    known.check(name)?;
    format!("{{{name}}}").parse().map_err(|error: crate::provider::template::TemplateError| error.to_string())
}

impl Known<'_> {
    /// Whether a credential may be made of `field`; else why not.
    fn check(&self, field: &str) -> Result<(), String> {
        let made = self.grants.iter().any(|grant| grant.kind.makes().contains(&field));
        let declared = made || self.fields.iter().any(|own| own.name == field);
        if self.hosts.iter().any(|host| host.tenant() == Some(field)) {
            return Err(format!("{{{field}}} names a host, which everyone can see; it cannot be a credential too"));
        }
        if RENEWAL_FIELDS.contains(&field) || self.grants.iter().any(|grant| grant.spends(field)) {
            return Err(format!("{{{field}}} is for renewals only and never goes on a request"));
        }
        if self.fields.iter().any(|own| own.name == field && own.file) {
            return Err(format!("{{{field}}} is what a file holds and never goes on a request"));
        }
        if !declared && !COMMON_FIELDS.contains(&field) {
            let names = self.fields.iter().map(|own| own.name.as_str()).chain(COMMON_FIELDS);
            let hint = suggestion(field, names);
            return Err(format!("unknown field {{{field}}}{hint}; others are declared by [[field]]"));
        }
        Ok(())
    }
}
