//! `[[token_response]]` tables.

use std::time::Duration;

use http::Method;

use super::Error;
use super::extras::quiet;
use super::inject::word;
use super::source::{Table, Text, Value};
use crate::provider::grant::JwtAlgorithm;
use crate::provider::pattern::HostPattern;
use crate::provider::rule::{Field, Provider};
use crate::provider::template::Template;
use crate::provider::token_response::{Endpoint, Made, Member, OWN_CLAIMS, OWN_MEMBERS, Shape, TokenResponse};

const KEYS: &[&str] = &[
    "at",
    "shape",
    "access_token",
    "refresh_token",
    "id_token",
    "token_type",
    "lifetime_secs",
    "expires_on",
    "poll_status",
    "scope",
    "bare_scopes",
    "members",
];

/// What the standard's form alone has.
const OAUTH2_KEYS: [&str; 7] = ["refresh_token", "id_token", "token_type", "expires_on", "poll_status", "scope", "bare_scopes"];

/// A program asks again this soon at the latest, should the connection be gone by then.
const LONGEST: u32 = 30 * 86_400;
/// Objects in objects.
const MAX_DEPTH: usize = 4;

/// Reads one table of the file of `provider`, all else of which is read.
pub(super) fn read(value: &Value<'_>, provider: &Provider) -> Result<TokenResponse, Error> {
    let table = value.table(KEYS)?;
    let shapes = [Shape::OAuth2, Shape::GithubApp].map(|shape| (shape.word(), shape));
    let shape = table.get("shape").map_or(Ok(Shape::OAuth2), |value| word(&value, &shapes))?;
    if shape == Shape::GithubApp
        && let Some((key, value)) = OAUTH2_KEYS.iter().find_map(|key| Some((key, table.get(key)?)))
    {
        return Err(value.refuse(format!("`{key}` is no part of an answer of the shape github_app")));
    }
    let made = |value: Value<'_>| made(&value, provider);
    Ok(TokenResponse {
        at: places(value, &table, provider)?,
        shape,
        access_token: made(table.need("access_token")?)?,
        refresh_token: table.get("refresh_token").map(made).transpose()?,
        id_token: table.get("id_token").map(made).transpose()?,
        token_type: table.get("token_type").map_or(Ok("Bearer".to_owned()), |value| plain_word(&value))?,
        lifetime: lifetime(&table)?,
        expires_on: table.get("expires_on").map_or(Ok(false), |value| value.boolean())?,
        poll_status: poll_status(&table)?,
        scope: table.get("scope").map(|value| scope(&value)).transpose()?,
        bare_scopes: table.get("bare_scopes").map_or(Ok(false), |value| value.boolean())?,
        members: table.get("members").map_or(Ok(Vec::new()), |value| members(&value, &OWN_MEMBERS, provider, 0))?,
    })
}

/// RFC 8628 §3.5.
fn poll_status(table: &Table<'_>) -> Result<u16, Error> {
    let Some(value) = table.get("poll_status") else { return Ok(400) };
    let status = value.number::<u16>("a status")?;
    if status == 200 || (400..500).contains(&status) { Ok(status) } else { Err(value.refuse("expected 200, or 400 to 499")) }
}

/// Those that are named, else the token endpoints of the file.
fn places(value: &Value<'_>, table: &Table<'_>, provider: &Provider) -> Result<Vec<Endpoint>, Error> {
    let places = match table.get("at") {
        Some(at) => at.list(|place| endpoint(&place.text()?, provider))?,
        None => provider.default_endpoints(),
    };
    if places.is_empty() {
        let at = table.get("at").unwrap_or(*value);
        return Err(at.refuse("no place to answer at: this file has no token endpoint, so `at` must name one"));
    }
    Ok(places)
}

/// `POST https://auth.acme.example/token`.
fn endpoint(text: &Text<'_>, provider: &Provider) -> Result<Endpoint, Error> {
    let shape = "expected POST, a space and an https:// URL without port, as in POST https://auth.acme.example/token";
    let url = text.value.strip_prefix("POST ").ok_or_else(|| text.refuse(shape))?;
    place(text, (&Method::POST, url, shape), provider)
}

/// The place that `url` in `text` names, where no rule of the file sends such requests on; `shape` says what is expected.
pub(super) fn place(
    text: &Text<'_>,
    (method, url, shape): (&Method, &str, &str),
    provider: &Provider,
) -> Result<Endpoint, Error> {
    let shape = || text.refuse(shape);
    let rest = url.strip_prefix("https://").ok_or_else(shape)?;
    let (host, _path) = rest.split_at_checked(rest.find('/').ok_or_else(shape)?).ok_or_else(shape)?;
    let host: HostPattern = host.parse().map_err(|error| text.refuse(format!("{error}")))?;
    if !matches!(host, HostPattern::Exact(_) | HostPattern::Tenant { .. }) {
        return Err(shape());
    }
    let endpoint = Endpoint::of_url(url).ok_or_else(|| text.refuse("not a path that a pattern can have"))?;
    if provider.default_endpoints().iter().any(|known| known.is_at(&endpoint)) {
        return Ok(endpoint);
    }
    let path = endpoint.path.to_string().replace('*', "x");
    let here = |rule: &&crate::provider::InjectRule| rule.port == 443 && rule.hosts.iter().any(|own| own.overlaps(&host));
    // `mints` hold for the host, whichever of its rules has them.
    let shut = |rule: &crate::provider::InjectRule| rule.port == 443 && rule.hosts.contains(&host) && rule.mints(method, &path);
    let mut open = provider.inject.iter().filter(here).filter(|rule| !rule.mints(method, &path));
    if !provider.inject.iter().any(shut) && open.any(|rule| rule.path_specificity(&path).is_some()) {
        return Err(
            text.refuse("an [[inject]] of this file sends such requests on with the credential; name the path in its `mints`")
        );
    }
    Ok(endpoint)
}

/// `"ya29."`, or `{ jwt = "RS256", claims = { iss = "https://acme.example" } }`.
fn made(value: &Value<'_>, provider: &Provider) -> Result<Made, Error> {
    if !value.is_table() {
        let text = value.text()?;
        quiet(&text)?;
        return Ok(Made::Prefix(text.value.to_owned()));
    }
    let table = value.table(&["jwt", "claims"])?;
    let algorithms = [JwtAlgorithm::Rs256, JwtAlgorithm::Es256, JwtAlgorithm::Hs256].map(|one| (one.word(), one));
    let algorithm = word(&table.need("jwt")?, &algorithms)?;
    let claims = table.get("claims").map_or(Ok(Vec::new()), |value| members(&value, &OWN_CLAIMS, provider, 0))?;
    Ok(Made::Jwt { algorithm, claims })
}

fn lifetime(table: &Table<'_>) -> Result<Duration, Error> {
    let Some(value) = table.get("lifetime_secs") else { return Ok(Duration::from_secs(3600)) };
    let seconds = value.number::<u32>("a number of seconds")?;
    if seconds > LONGEST {
        return Err(value.refuse("a token that is asked for lives for 30 days at most"));
    }
    Ok(Duration::from_secs(seconds.into()))
}

/// Text without anything that would have to be escaped.
fn plain_word(value: &Value<'_>) -> Result<String, Error> {
    let text = value.text()?;
    quiet(&text)?;
    Ok(text.value.to_owned())
}

fn scope(value: &Value<'_>) -> Result<String, Error> {
    let text = value.text()?;
    let plain = |byte: u8| byte == b' ' || (byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    if text.value.bytes().all(plain) {
        return Ok(text.value.to_owned());
    }
    Err(text.refuse("scopes are visible ASCII without quotes and backslashes, with a space between two"))
}

pub(super) fn members(
    value: &Value<'_>,
    own: &[&str],
    provider: &Provider,
    depth: usize,
) -> Result<Vec<(String, Member)>, Error> {
    if depth == MAX_DEPTH {
        return Err(value.refuse(format!("tables in tables: {MAX_DEPTH} are enough")));
    }
    let member = |(name, value): (Text<'_>, Value<'_>)| {
        if own.contains(&name.value) {
            return Err(name.refuse(format!("{} is nexus's own to set", name.value)));
        }
        Ok((name.value.to_owned(), member(&value, provider, depth)?))
    };
    let mut members: Vec<(String, Member)> = value.entries()?.into_iter().map(member).collect::<Result<_, _>>()?;
    // The order of keys in a table means nothing.
    members.sort_by(|one, two| one.0.cmp(&two.0));
    Ok(members)
}

fn member(value: &Value<'_>, provider: &Provider, depth: usize) -> Result<Member, Error> {
    if value.is_table() {
        return members(value, &[], provider, depth + 1).map(Member::Object);
    }
    if let Ok(boolean) = value.boolean() {
        return Ok(Member::Boolean(boolean));
    }
    if let Ok(number) = value.number::<u32>("a number") {
        return Ok(Member::Number(number));
    }
    let text = value.text().map_err(|_other| value.refuse("expected a text, a whole number, true, false or a table"))?;
    let template: Template = text.parse()?;
    let open = |name: &str| provider.fields.iter().any(|field: &Field| field.name == name && !field.secret && !field.file);
    if let Some(name) = template.fields().find(|name| !open(name)) {
        let message = format!("{{{name}}} is no [[field]] with secret = false, so it is not told to callers");
        return Err(text.refuse(message));
    }
    check_host(&text, provider)?;
    Ok(Member::Text(template))
}

/// A URL with a `{field}` leads a program to where the credential is registered for, or nowhere.
fn check_host(text: &Text<'_>, provider: &Provider) -> Result<(), Error> {
    let Some(rest) = text.value.strip_prefix("https://") else { return Ok(()) };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !host.contains('{') || provider.hosts().any(|own| own.to_string() == host) {
        return Ok(());
    }
    Err(text.refuse(format!("{host} is not one of the hosts of any [[inject]]")))
}
