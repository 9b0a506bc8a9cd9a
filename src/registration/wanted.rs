//! What a person hands over for a credential of a provider, and in which ways.

use crate::provider::{HostPattern, Provider, Template, prepare};
use crate::vault::Entry;

/// A field that a person hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The field's name.
    pub name: String,
    /// What a person is asked for.
    pub prompt: String,
    /// Whether it must not be shown.
    pub secret: bool,
    /// Whether it is what a file holds.
    pub file: bool,
}

impl Wanted {
    /// What the file says about the field, or what its name does.
    fn named(provider: &Provider, name: &str) -> Self {
        if let Some(field) = provider.fields.iter().find(|field| field.name == name) {
            let prompt = field.prompt.clone();
            return Self { name: name.to_owned(), prompt, secret: field.secret, file: field.file };
        }
        let secret = !matches!(name, "username" | "client_id");
        Self { name: name.to_owned(), prompt: name.replace('_', " "), secret, file: false }
    }

    /// `name=…, name=…`, for people.
    pub fn list(way: &[Self]) -> String {
        way.iter().map(|field| format!("{}=…", field.name)).collect::<Vec<_>>().join(", ")
    }
}

/// The ways to a credential, the usual one first: what goes on a request as it is, then what tokens are made from.
pub fn ways(provider: &Provider) -> Vec<Vec<Wanted>> {
    let made = provider.grants.iter().map(|grant| {
        let tenants = provider.fields.iter().map(|field| field.name.as_str()).filter(|name| names_host(provider, name));
        let mut names: Vec<&str> = tenants.collect();
        names.extend(grant.fields().into_iter().filter(|name| !names_host(provider, name)));
        names.into_iter().map(|name| Wanted::named(provider, name)).collect()
    });
    // Where only a token that can be made goes on requests, nobody has one to hand over.
    let tokens_only = provider.oauth2.is_none() && !provider.grants.is_empty() && placed(provider).eq(["access_token"]);
    let direct = (!tokens_only).then(|| direct(provider)).into_iter().flat_map(|way| servers(provider, way));
    direct.chain(made).collect()
}

/// `way`; where a service runs at its vendor's and on servers of its users, the same for each, in the file's order.
fn servers(provider: &Provider, way: Vec<Wanted>) -> Vec<Vec<Wanted>> {
    let is_own = |field: &Wanted| provider.hosts().any(|host| host.is_own() && host.tenant() == Some(&field.name));
    if !is_of_both_kinds(provider) || !way.iter().any(is_own) {
        return vec![way];
    }
    let (own, rest): (Vec<Wanted>, Vec<Wanted>) = way.into_iter().partition(is_own);
    let elsewhere = rest.iter().filter(|field| !names_host(provider, &field.name)).cloned();
    let at_home = own.into_iter().chain(elsewhere).collect();
    if provider.hosts().next().is_some_and(HostPattern::is_own) { vec![at_home, rest] } else { vec![rest, at_home] }
}

/// Whether it runs at its vendor's and on servers of its users.
fn is_of_both_kinds(provider: &Provider) -> bool {
    provider.hosts().any(HostPattern::is_own) && !provider.hosts().all(HostPattern::is_own)
}

fn names_host(provider: &Provider, name: &str) -> bool {
    provider.hosts().any(|host| host.tenant() == Some(name))
}

/// The fields that the first rule places; of alternatives the usual one.
fn placed(provider: &Provider) -> impl Iterator<Item = &str> {
    let placements = provider.inject.first().map(|rule| rule.placements.as_slice()).unwrap_or_default();
    let holes = placements.iter().flat_map(|placement| placement.templates()).flat_map(Template::holes);
    let usual = if provider.oauth2.is_some() { ["access_token", "api_key"] } else { ["api_key", "access_token"] };
    holes.filter_map(move |names| {
        let usual = usual.into_iter().find(|usual| names.iter().any(|name| &**name == *usual));
        usual.or_else(|| names.first().map(AsRef::as_ref))
    })
}

/// What the file declares, but for tokens that are made, and what its first rule needs beside it.
fn direct(provider: &Provider) -> Vec<Wanted> {
    let in_rules = |name: &str| {
        let placements = provider.inject.iter().flat_map(|rule| &rule.placements);
        placements.flat_map(|placement| placement.templates()).flat_map(Template::fields).any(|own| own == name)
    };
    let made_of = |name: &str| provider.grants.iter().any(|grant| grant.reads(name));
    let declared = provider.fields.iter().map(|field| field.name.as_str());
    let declared = declared.filter(|name| names_host(provider, name) || in_rules(name) || !made_of(name));
    let mut wanted: Vec<Wanted> = declared.map(|name| Wanted::named(provider, name)).collect();
    for name in placed(provider) {
        let alternatives = alternatives(provider, name);
        if !wanted.iter().any(|known| alternatives.contains(&known.name.as_str())) {
            wanted.push(Wanted::named(provider, name));
        }
    }
    wanted
}

/// The fields that do as well as `name` in the first rule.
fn alternatives<'p>(provider: &'p Provider, name: &'p str) -> Vec<&'p str> {
    let placements = provider.inject.first().map(|rule| rule.placements.as_slice()).unwrap_or_default();
    let mut holes = placements.iter().flat_map(|placement| placement.templates()).flat_map(Template::holes);
    let hole = holes.find(|names| names.iter().any(|own| **own == *name));
    hole.map_or_else(|| vec![name], |names| names.iter().map(AsRef::as_ref).collect())
}

/// The fields of each way, for an error.
pub(super) fn listed(provider: &Provider) -> String {
    let ways: Vec<String> = ways(provider).iter().map(|way| Wanted::list(way)).collect();
    ways.join("; or ")
}

/// The tenants that nobody named, each with a host that the credential would otherwise go to.
pub fn unbound(provider: &Provider, entry: &Entry) -> Vec<(String, String)> {
    let is_spent = provider.spends("client_secret");
    let fields = |name: &str| entry.placed_field(name, is_spent);
    let filled = provider.inject.iter().filter(|rule| matches!(prepare(&rule.placements, &fields), Ok(Some(_))));
    let mut unbound: Vec<(String, String)> = Vec::new();
    // A server of one's own, or the vendor's: it is for one of them.
    let missed = |host: &&HostPattern| match is_of_both_kinds(provider) {
        true => !host.is_own() && !provider.is_for_own_server(&fields),
        false => true,
    };
    for host in filled.flat_map(|rule| &rule.hosts).filter(missed) {
        let tenant = host.tenant().filter(|_| matches!(host.bind(&fields), Ok(None)));
        if let Some(tenant) = tenant.filter(|tenant| !unbound.iter().any(|(known, _)| known == tenant)) {
            unbound.push((tenant.to_owned(), host.to_string()));
        }
    }
    unbound
}
