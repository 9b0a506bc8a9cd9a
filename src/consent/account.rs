//! `Account`: whose consent is asked, by which client, for what.

use std::sync::Arc;

use super::error::Error;
use crate::model::{ConnectionId, Credential, Secret};
use crate::oauth::{self, Authentication, Client, Encoding, Issuer};
use crate::provider::{ClientAuthentication, OAuth2, Provider, TokenBody};
use crate::vault::Entry;

/// What a person asks for.
#[derive(Debug)]
pub struct Wish {
    /// The connection that is to come of it.
    pub connection: ConnectionId,
    /// What it is to be good for; empty = what the provider's file says.
    pub scopes: Vec<String>,
    /// `client_id` and `client_secret`, and tenants; each goes before what is registered.
    pub fields: Credential,
}

/// An account that is about to be connected.
#[derive(Debug)]
pub struct Account {
    pub(super) provider: Arc<Provider>,
    pub(super) connection: ConnectionId,
    /// The client and the tenants.
    pub(super) fields: Credential,
    pub(super) scopes: Vec<String>,
}

impl Account {
    /// What `wish` comes to. The client is that of the wish, else the one that `own`, the connection as it is, was registered with, else
    /// that of `app`, the provider's default connection.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn new(provider: Arc<Provider>, wish: Wish, own: Option<&Entry>, app: Option<&Entry>) -> Result<Self, Error> {
        let Some(oauth2) = &provider.oauth2 else { return Err(Error::NoLogin(provider.title.clone())) };
        if own.is_some_and(|own| own.captured.is_some()) {
            return Err(Error::OfAnAgent(wish.connection));
        }
        let Wish { connection, scopes, fields: given } = wish;
        let mut fields = Credential::default();
        let registered: Vec<&Entry> = [own, app].into_iter().flatten().filter(|entry| entry.captured.is_none()).collect();
        let holder = match present(&given, "client_id") {
            Some(_given) => None,
            None => Some(registered.iter().find(|entry| present(&entry.fields, "client_id").is_some()).ok_or_else(|| {
                let (provider, title, console) = (provider.id.clone(), provider.title.clone(), provider.console.clone());
                Error::NoClient { provider, title, console }
            })?),
        };
        let sealed =
            |entry: &Entry| [oauth2.token_url.as_str(), oauth2.renewal_url()].iter().all(|url| entry.may_renew_at(url));
        if !holder.map_or(own, |holder| Some(*holder)).is_none_or(sealed) {
            return Err(Error::NotSealed(connection));
        }
        let client = holder.map_or(&given, |holder| &holder.fields);
        copy(client, "client_id", &mut fields);
        copy(client, "client_secret", &mut fields);
        for name in provider.fields.iter().filter(|field| !field.secret && !field.file).map(|field| &field.name) {
            let known = registered.iter().map(|entry| &entry.fields);
            if let Some(holder) = std::iter::once(&given).chain(known).find(|known| present(known, name).is_some()) {
                copy(holder, name, &mut fields);
            }
        }
        if provider.is_for_own_server(&|name| fields.field(name)) && !oauth2.asks_own_server() {
            return Err(Error::OwnServer(provider.title.clone()));
        }
        let endpoint = |fields: &Credential| oauth::endpoint(&oauth2.token_url, &|name| present(fields, name)).ok();
        if let Some(holder) = holder
            && endpoint(&holder.fields).is_some_and(|known| endpoint(&fields).as_ref() != Some(&known))
        {
            return Err(Error::NotSealed(connection));
        }
        // Who names none gets what the app was registered for, and else what is usual.
        let of_app = || app.map(Entry::wanted_scopes).filter(|scopes| !scopes.is_empty());
        let scopes = if scopes.is_empty() { of_app().unwrap_or_else(|| oauth2.scopes.clone()) } else { each(&scopes) };
        Ok(Self { connection, fields, scopes, provider })
    }

    /// The connection that is to come of it.
    pub fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    /// The service.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// Whether a tenant of it is another than that of `entry`.
    pub fn moves(&self, entry: &Entry) -> bool {
        let tenants = self.provider.hosts().filter_map(|host| host.tenant());
        let differs = |name: &str| match (present(&self.fields, name), present(&entry.fields, name)) {
            (Some(new), Some(old)) => !new.same(old),
            (new, _) => new.is_some(),
        };
        tenants.into_iter().any(differs)
    }

    /// Whether what `entry` holds was another tenant's, or another server's, or was sealed before there was any.
    pub(super) fn leaves(&self, entry: &Entry) -> bool {
        let differs = |name: &str| match (present(&self.fields, name), present(&entry.fields, name)) {
            (Some(new), Some(old)) => !new.same(old),
            _ => false,
        };
        let own = |fields: &Credential| self.provider.is_for_own_server(&|name| fields.field(name));
        let moved = own(&self.fields) != own(&entry.fields);
        let added = entry.is_sealed() && self.moves(entry);
        moved || added || self.provider.hosts().filter_map(|host| host.tenant()).any(differs)
    }

    pub(super) fn oauth2(&self) -> Result<&OAuth2, Error> {
        self.provider.oauth2.as_ref().ok_or_else(|| Error::NoLogin(self.provider.title.clone()))
    }

    pub(super) fn client_id(&self) -> Result<&Secret<String>, Error> {
        present(&self.fields, "client_id").ok_or_else(|| oauth::Unready::Incomplete.into())
    }

    /// An address of the provider's file, its holes filled.
    pub(super) fn address(&self, template: &str) -> Result<String, Error> {
        Ok(oauth::endpoint(template, &|name| present(&self.fields, name))?)
    }

    /// What is asked for, as the service writes it.
    pub(super) fn scope(&self) -> Result<String, Error> {
        Ok(self.scopes.join(&self.oauth2()?.scope_separator))
    }

    pub(super) fn client(&self) -> Result<Client<'_>, Error> {
        Ok(client(self.oauth2()?, &self.fields))
    }

    /// Who must have answered.
    pub(super) fn issuer(&self) -> Result<Issuer, Error> {
        let oauth2 = self.oauth2()?;
        let urls = [oauth2.authorize_url.as_deref(), Some(oauth2.token_url.as_str())];
        let filled: Vec<String> = urls.into_iter().flatten().map(|url| self.address(url)).collect::<Result<_, _>>()?;
        let pairs: Vec<(&str, &str)> = urls.into_iter().flatten().zip(filled.iter().map(String::as_str)).collect();
        Ok(Issuer::new(oauth2.issuer.as_deref(), &pairs))
    }
}

/// `--scope "a b"` names two.
fn each(scopes: &[String]) -> Vec<String> {
    let parts = scopes.iter().flat_map(|scope| scope.split([' ', ',']));
    parts.filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

/// The client as the provider's file has it show itself.
pub(super) fn client<'a>(oauth2: &OAuth2, fields: &'a Credential) -> Client<'a> {
    let authentication = match oauth2.client_authentication {
        ClientAuthentication::Basic => Authentication::Basic,
        ClientAuthentication::Post => Authentication::Post,
        ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt => Authentication::None,
    };
    let encoding = match oauth2.token_body {
        TokenBody::Form => Encoding::Form,
        TokenBody::Json => Encoding::Json,
    };
    Client { encoding, authentication, id: present(fields, "client_id"), secret: present(fields, "client_secret") }
}

pub(super) fn present<'a>(fields: &'a Credential, name: &str) -> Option<&'a Secret<String>> {
    fields.field(name).filter(|value| !value.matches(""))
}

pub(super) fn copy(from: &Credential, name: &str, into: &mut Credential) {
    if let Some(value) = present(from, name) {
        into.set(name, value.duplicate());
    }
}
