//! `mints`, and what of their answers can be captured.

use super::extras::quiet;
use super::inject::method_path;
use super::source::{Table, Text, Value};
use super::{COMMON_FIELDS, Error};
use crate::provider::action::Action;
use crate::provider::body::Pointer;
use crate::provider::mint::{Mint, Minted};
use crate::provider::path::PathPattern;
use crate::provider::pattern::PatternError;
use crate::provider::rule::{Field, MethodPath};
use crate::provider::strategy::Placement;

/// What `mints` and `mint_actions` say.
pub(super) struct Mints {
    pub(super) paths: Vec<MethodPath>,
    pub(super) actions: Vec<Action>,
    pub(super) captures: Vec<Mint>,
}

/// Of one rule, which puts `placements` on requests.
pub(super) fn read(table: &Table<'_>, fields: &[Field], placements: &[Placement]) -> Result<Mints, Error> {
    let mut paths = Vec::new();
    let mut captures = Vec::new();
    for entry in table.get("mints").map_or(Ok(Vec::new()), |list| list.list(Ok))? {
        if !entry.is_table() {
            paths.push(method_path(&entry.text()?)?);
            continue;
        }
        let mint = mint(&entry, fields, placements)?;
        // Where nobody captures it, it is refused like the others.
        paths.push(mint.at.clone());
        captures.push(mint);
    }
    let named = table.get("mint_actions").map_or(Ok(Vec::new()), |list| list.list(|name| action(&name.text()?)))?;
    let (actions, by_path): (Vec<Action>, Vec<MethodPath>) = named.into_iter().unzip();
    paths.extend(by_path);
    Ok(Mints { paths, actions, captures })
}

fn action(name: &Text<'_>) -> Result<(Action, MethodPath), Error> {
    let action: Action = name.parse()?;
    let path: PathPattern = action.path().parse().map_err(|error: PatternError| name.refuse(error.to_string()))?;
    Ok((action, MethodPath { method: None, path }))
}

/// `{ at = "POST /v1/keys", capture = { api_key = { member = "key", prefix = "acme_" } }, shows = ["key_id"] }`.
fn mint(entry: &Value<'_>, fields: &[Field], placements: &[Placement]) -> Result<Mint, Error> {
    let table = entry.table(&["at", "capture", "shows"])?;
    let place = table.need("at")?.text()?;
    let at = method_path(&place)?;
    if at.method.is_none() {
        return Err(place.refuse("name the one method that answers with the credential, as in POST /v1/keys"));
    }
    let capture = table.need("capture")?;
    let captured: Vec<Minted> =
        capture.entries()?.iter().map(|(name, value)| minted(name, value, fields)).collect::<Result<_, _>>()?;
    let open = |name: &str| name == "username" || fields.iter().any(|own| own.name == name && !own.secret && !own.file);
    let has = |name: &str| open(name) || captured.iter().any(|own| own.name == name);
    let places = |own: &Minted| {
        own.prefix.is_some()
            && placements.iter().flat_map(Placement::templates).any(|one| one.fields().any(|name| name == own.name))
    };
    if !captured.iter().any(places) || !placements.iter().all(|placement| placement.is_filled_by(&has)) {
        return Err(capture.refuse("with these fields this [[inject]] puts no credential on requests"));
    }
    let shows = table.get("shows").map_or(Ok(Vec::new()), |list| list.list(|one| one.text()?.parse::<Pointer>()))?;
    Ok(Mint { at, fields: captured, shows })
}

/// `api_key = "key"`, or `api_key = { member = "/data/key", prefix = "acme_" }`.
fn minted(name: &Text<'_>, value: &Value<'_>, fields: &[Field]) -> Result<Minted, Error> {
    let own = fields.iter().find(|own| own.name == name.value);
    let known = own.map_or(COMMON_FIELDS.contains(&name.value), |own| !own.file);
    if !known {
        return Err(name.refuse(format!("{} is no field that a connection of this provider has", name.value)));
    }
    let secret = own.map_or(!matches!(name.value, "username" | "client_id"), |own| own.secret);
    let (member, prefix) = match value.is_table() {
        false => (value.text()?, None),
        true => {
            let table = value.table(&["member", "prefix"])?;
            (table.need("member")?.text()?, table.get("prefix"))
        }
    };
    let prefix = match (secret, prefix) {
        (true, None) => Some(String::new()),
        (true, Some(prefix)) => {
            let text = prefix.text()?;
            quiet(&text)?;
            Some(text.value.to_owned())
        }
        (false, None) => None,
        (false, Some(prefix)) => return Err(prefix.refuse("this field is no secret, so nothing stands for it")),
    };
    Ok(Minted { name: name.value.to_owned(), member: member.parse()?, prefix })
}
