//! Which service's connection a log-in becomes, and what is stored of it.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::LogInError;
use crate::broker::NotCaptured;
use crate::decide::Answering;
use crate::model::{Credential, Secret};
use crate::oauth::{Asked, Login};
use crate::provider::{Provider, Renewal, Shape, TokenResponse};
use crate::vault::{AuthType, CaptureError, Captured, Entry};

/// Those that a person's token is of use to.
pub(super) fn usable<'a>(answering: &'a [Answering]) -> impl Iterator<Item = (&'a Arc<Provider>, &'a TokenResponse)> {
    let response = |(provider, number): &'a (Arc<Provider>, usize)| Some((provider, provider.token_responses.get(*number)?));
    let persons = |(provider, response): &(&Arc<Provider>, &TokenResponse)| {
        response.shape == Shape::OAuth2 && provider.places_access_tokens()
    };
    answering.iter().filter_map(response).filter(persons)
}

/// Of the services of one vendor that share the endpoint, the first whose scopes fit best; of those, one that is renewed by log-ins.
pub(super) fn fittest<'a>(answering: &'a [Answering], scope: &str) -> Option<(&'a Arc<Provider>, &'a TokenResponse)> {
    let fit = |(provider, response): (&Provider, &TokenResponse)| {
        let (named, at_hosts) = provider.fits_scopes(scope);
        (named, at_hosts + response.fits_bare_scopes(scope), provider.oauth2.is_some())
    };
    let best = usable(answering).enumerate().max_by_key(|(at, (provider, response))| (fit((provider, response)), Reverse(*at)));
    best.map(|(_, found)| found)
}

/// That there is nobody whom the token would be of use to.
pub(super) fn no_use(answering: &[Answering]) -> LogInError {
    LogInError::NoUse(answering.first().map(|(provider, _)| provider.title.clone()).unwrap_or_default())
}

/// What is stored: the tokens, and what renews them, for the hosts and the token endpoints that the provider's file gives them now.
pub(super) fn connection(
    provider: &Provider,
    (login, asked): (&Login, &Asked),
    named: Vec<(String, String)>,
    whose: Captured,
) -> Entry {
    let mut fields = Credential::default();
    for (name, value) in named {
        fields.set(&name, Secret::new(value));
    }
    let shown = |value: &Option<Zeroizing<String>>| value.as_ref().map(|value| Secret::new(value.to_string()));
    let tokens = [
        ("access_token", Some(login.access_token.duplicate())),
        ("refresh_token", login.refresh_token.as_ref().map(Secret::duplicate)),
    ];
    let client = [("client_id", shown(&asked.client_id)), ("client_secret", shown(&asked.client_secret))];
    let scope = [("scope", login.scope.clone().or_else(|| asked.scope.clone()).map(Secret::new))];
    for (name, value) in tokens.into_iter().chain(client).chain(scope) {
        value.into_iter().for_each(|value| fields.set(name, value));
    }
    provider.derive_fields(&mut fields);
    let mut entry = Entry::new(provider.id.clone(), AuthType::OAuth2, fields);
    let is_spent = provider.spends("client_secret");
    let hosts = provider.bound_hosts(&|name| entry.placed_field(name, is_spent)).unwrap_or_default();
    let token_urls = provider.token_urls(&|name| entry.fields.field(name));
    entry.seal(hosts);
    entry.token_urls = token_urls;
    let lifetime = provider.renewal(&|name| entry.fields.field(name)).and_then(Renewal::default_lifetime);
    let usual = || lifetime.and_then(|lifetime| SystemTime::now().checked_add(lifetime));
    entry.expires_at = login.expires_at.or_else(usual);
    entry.captured = Some(whose);
    entry
}

pub(super) fn not_stored(error: NotCaptured) -> LogInError {
    match error {
        NotCaptured::Store(CaptureError::TooMany(count)) => LogInError::TooMany(count),
        error => {
            tracing::error!(error = &error as &dyn std::error::Error, "a log-in could not be stored");
            LogInError::NotStored(error)
        }
    }
}
