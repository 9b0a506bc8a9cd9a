//! Fields that are written beside others of the same connection: what was there before goes where it was sealed for, and nowhere else.

use std::collections::BTreeSet;

use super::reach::Reach;
use crate::oauth;
use crate::provider::Provider;
use crate::vault::Entry;

/// What a log-in changes. The rest of a connection says where its secrets go, or may come to say so.
const OF_A_LOG_IN: [&str; 6] = ["access_token", "refresh_token", "client_id", "client_secret", "scope", "subject"];

/// Whether the secrets that `after` has from `before` go to the same hosts and the same token endpoints as before, whatever was sealed.
pub(crate) fn stays(provider: &Provider, before: &Entry, after: &Entry) -> bool {
    let (Some(from), Some(to)) = (places(provider, before), places(provider, after)) else { return false };
    from == to && before.fields.names().all(|name| is_free(provider, name) || is_same(before, after, name))
}

/// The hosts and the token endpoints, the holes of the provider's file filled; `None` where a field fits no hole.
fn places(provider: &Provider, entry: &Entry) -> Option<(BTreeSet<String>, BTreeSet<Option<String>>)> {
    let Reach { hosts, token_urls } = Reach::named(provider, entry).ok()?;
    let filled = |url: &String| oauth::endpoint(url, &|name| entry.fields.field(name)).ok();
    Some((hosts.into_iter().collect(), token_urls.iter().map(filled).collect()))
}

/// Whether the field is a secret, or what a log-in gives: no address has it in a hole.
fn is_free(provider: &Provider, name: &str) -> bool {
    let is_tenant = || provider.hosts().any(|host| host.tenant() == Some(name));
    let is_secret = || provider.fields.iter().any(|field| field.name == name && field.secret);
    (OF_A_LOG_IN.contains(&name) || is_secret()) && !is_tenant()
}

fn is_same(before: &Entry, after: &Entry, name: &str) -> bool {
    match (before.fields.field(name), after.fields.field(name)) {
        (Some(old), Some(new)) => old.same(new),
        (old, new) => old.is_none() && new.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Credential, Secret};
    use crate::provider::parse;
    use crate::vault::AuthType;

    const FILE: &str = r#"
        name = "acme"
        title = "Acme"
        slots = ["authorization"]
        [[field]]
        name = "site"
        prompt = "site"
        secret = false
        [[field]]
        name = "realm"
        prompt = "realm"
        secret = false
        [oauth2]
        token_url = "https://log-in.acme.example/{realm}/token"
        [[inject]]
        hosts = ["{site}.acme.example"]
        strategy = { bearer = "{access_token}" }
    "#;

    fn entry(fields: &[(&str, &str)]) -> Entry {
        let mut credential = Credential::default();
        fields.iter().for_each(|(name, value)| credential.set(name, Secret::new((*value).to_owned())));
        Entry::new("acme".parse().expect("a name"), AuthType::OAuth2, credential)
    }

    #[test]
    fn i2_what_is_left_of_a_credential_goes_where_it_went() {
        let provider = parse("acme.toml", FILE).expect("a provider");
        let old = [("site", "one"), ("realm", "r"), ("access_token", "a"), ("refresh_token", "b"), ("note", "n")];
        let stays = |more: &[(&str, &str)]| stays(&provider, &entry(&old), &entry(&[&old, more].concat()));
        assert!(stays(&[]) && stays(&[("access_token", "c"), ("refresh_token", "d"), ("client_id", "e"), ("new", "f")]));
        for moved in [("site", "two"), ("realm", "s"), ("note", "m"), ("site", "a/b"), ("realm", "a/b"), ("site", "")] {
            assert!(!stays(&[moved]), "{moved:?}");
        }
        let alone = entry(&[("access_token", "a")]);
        for added in [("site", "one"), ("realm", "r")] {
            assert!(!super::stays(&provider, &alone, &entry(&[("access_token", "a"), added])), "{added:?}");
        }
    }
}
