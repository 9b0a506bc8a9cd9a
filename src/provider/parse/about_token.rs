//! `[[revocation]]` and `[[introspection]]` tables.

use http::Method;

use super::Error;
use super::source::{Table, Text, Value};
use super::token_response::{members, place};
use crate::provider::about_token::{AboutToken, Matter, OWN_MEMBERS};
use crate::provider::rule::Provider;
use crate::provider::token_response::Endpoint;

/// Those by which vendors let a token be ended or asked about.
const METHODS: [Method; 3] = [Method::POST, Method::GET, Method::DELETE];

/// Reads every such table of the file of `provider`, all else of which is read.
pub(super) fn read_all(root: &Table<'_>, provider: &Provider) -> Result<Vec<AboutToken>, Error> {
    let mut all = Vec::new();
    for matter in [Matter::Revocation, Matter::Introspection] {
        if let Some(list) = root.get(matter.word()) {
            all.extend(list.list(|value| read(matter, &value, provider))?);
        }
    }
    Ok(all)
}

fn read(matter: Matter, value: &Value<'_>, provider: &Provider) -> Result<AboutToken, Error> {
    let (keys, own): (&'static [&'static str], &[&str]) = match matter {
        Matter::Revocation => (&["at", "status", "members"], &[]),
        Matter::Introspection => (&["at", "members"], &OWN_MEMBERS),
    };
    let table = value.table(keys)?;
    let places = table.need("at")?;
    let at = places.list(|place| endpoint(&place.text()?, provider))?;
    places.not_empty(&at)?;
    let members = table.get("members").map(|value| members(&value, own, provider, 0)).transpose()?;
    let status = table.get("status").map_or(Ok(200), |value| status(&value, members.is_some()))?;
    Ok(AboutToken { matter, at, status, members })
}

/// RFC 9110 §15.3.
fn status(value: &Value<'_>, has_body: bool) -> Result<u16, Error> {
    match value.number::<u16>("200 or 204")? {
        200 => Ok(200),
        204 if !has_body => Ok(204),
        204 => Err(value.refuse("an answer 204 has no body, so there are no `members`")),
        _ => Err(value.refuse("expected 200 or 204")),
    }
}

/// `POST https://auth.acme.example/revoke`.
fn endpoint(text: &Text<'_>, provider: &Provider) -> Result<(Method, Endpoint), Error> {
    let found = METHODS.into_iter().find_map(|method| {
        let url = text.value.strip_prefix(method.as_str())?.strip_prefix(' ')?;
        Some((method, url))
    });
    let shape =
        "expected POST, GET or DELETE, a space and an https:// URL without port, as in POST https://auth.acme.example/revoke";
    let (method, url) = found.ok_or_else(|| text.refuse(shape))?;
    let place = place(text, (&method, url, shape), provider)?;
    if provider.default_endpoints().iter().any(|known| known.is_at(&place)) {
        return Err(text.refuse("this is where tokens are asked for; [[token_response]] says what is answered there"));
    }
    Ok((method, place))
}
