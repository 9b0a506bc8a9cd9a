//! What a profile says of a service that no provider file knows, as the draft of such a file. Every mistake names the member.

use http::{StatusCode, Uri};
use serde_json::{Map, Value};

use super::problem::Problem;
use super::profile::Given;
use crate::model::{Authority, Host, ProviderId, is_field_name};
use crate::provider::{Draft, HostPattern, Place, Way};

/// Of one service: more is written into a file by a person.
const HOSTS: usize = 20;
/// The longest address.
const URL: usize = 2048;
/// The longest text that a person reads or that goes on a request.
const TEXT: usize = 200;
/// Fields of a schema, and parameters of an authorization request.
const MEMBERS: usize = 16;
/// What of `params` is for us.
const OURS: [&str; 5] = ["api_base_url", "auth_config", "credential_schema", "hosts", "user_info_endpoint"];
/// Names of fields that mean something else than a key.
const TAKEN: [&str; 6] = ["access_token", "client_id", "client_secret", "password", "refresh_token", "username"];

/// 422: what the profile says makes no provider file.
pub(super) fn unfit(message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "provider", message.into())
}

/// Where an https address leads; `member` names it in the refusal.
///
/// # Errors
/// 422 for what is no such address.
pub(super) fn place(member: &str, url: &str) -> Result<Authority, Problem> {
    let wrong = |why: &str| unfit(format!("profile.{member} {why}; it is an address such as https://api.acme.com/v1"));
    if url.len() > URL || url.contains(['{', '}']) {
        return Err(wrong("is too long or holds braces"));
    }
    let uri: Uri = url.parse().map_err(|_odd: http::uri::InvalidUri| wrong("is no address"))?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong("must begin with https://"));
    }
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    Authority::parse(authority, Some(443)).map_err(|error| wrong(&format!("can't be used: {error}")))
}

impl Given {
    /// Whether it says anything of the service but its name.
    pub(super) fn describes(&self) -> bool {
        let texts = [&self.auth_url, &self.token_url, &self.api_base_url, &self.user_info_endpoint];
        texts.iter().any(|text| text.is_some()) || self.hosts.is_some() || self.auth_config.is_some() || self.params.is_some()
    }

    /// The service called `id`, as it is described.
    ///
    /// # Errors
    /// 422 that names the member.
    pub(super) fn draft(&self, id: ProviderId, scopes: Vec<String>) -> Result<Draft, Problem> {
        let way = match self.auth_type.as_deref().unwrap_or(self.likely_type()) {
            "oauth2" => self.oauth2(scopes)?,
            "api_key" | "header" | "query_param" => self.key()?,
            "basic_auth" => self.basic()?,
            _ => return Err(unfit("profile.auth_type takes oauth2, api_key, header, query_param or basic_auth")),
        };
        let hosts = self.api_hosts()?;
        let whoami = self.text("user_info_endpoint", self.user_info_endpoint.as_deref())?;
        let whoami = whoami.map(|url| whoami_at(&url, &hosts)).transpose()?;
        Ok(Draft { id, hosts, whoami, way })
    }

    fn likely_type(&self) -> &'static str {
        let schema = self.schema().ok().unwrap_or_default();
        match () {
            () if self.is_app() || self.auth_url.is_some() || self.token_url.is_some() => "oauth2",
            () if schema.iter().any(|(name, _)| name == "password") => "basic_auth",
            () => "api_key",
        }
    }

    fn oauth2(&self, scopes: Vec<String>) -> Result<Way, Problem> {
        let url = |member: &str, url: &Option<String>| match url {
            Some(url) => place(member, url).map(|_| url.clone()),
            None => Err(unfit(format!(
                "the member profile.{member} is missing: an unknown OAuth service needs auth_url and token_url"
            ))),
        };
        let (authorize_url, token_url) = (url("auth_url", &self.auth_url)?, url("token_url", &self.token_url)?);
        let mut params = Vec::new();
        for (name, value) in self.params.iter().flatten().filter(|(name, _)| !OURS.contains(&name.as_str())) {
            let value = value.as_str().filter(|value| is_line(value) && is_line(name) && params.len() < MEMBERS);
            let message = "profile.params: of an OAuth service these are parameters of the authorization request: at most 16, of one line of text each";
            params.push((name.clone(), value.ok_or_else(|| unfit(message))?.to_owned()));
        }
        Ok(Way::OAuth2 { authorize_url, token_url, scopes, params })
    }

    fn key(&self) -> Result<Way, Problem> {
        let config = self.object("auth_config", self.auth_config.as_ref())?;
        let of = |name: &str| one_line(config, "profile.auth_config", name);
        let (named, schema) = (of("credential_field")?, self.schema()?);
        let field = match (named, schema.as_slice()) {
            (None, []) => ("api_key".to_owned(), None),
            (None, [one]) => one.clone(),
            (Some(name), []) => (name, None),
            (Some(name), [one]) if one.0 == name => one.clone(),
            _ => {
                let message = "params.credential_schema has one property: the key, named as auth_config.credential_field says. A service with \
                               several needs a provider file";
                return Err(unfit(message));
            }
        };
        if !is_field_name(&field.0) || TAKEN.contains(&field.0.as_str()) {
            return Err(unfit("a key's field is called by lower-case letters, digits and _, as in api_key"));
        }
        let place = match (of("header_name")?, of("value_prefix")?.unwrap_or_default(), of("param_name")?) {
            (None, before, None) if before.is_empty() => Place::Header("Authorization".to_owned(), "Bearer ".to_owned()),
            (None, before, None) => Place::Header("Authorization".to_owned(), before),
            (Some(name), before, None) => Place::Header(name, before),
            (None, before, Some(name)) if before.is_empty() => Place::Query(name),
            _ => return Err(unfit("auth_config holds header_name, perhaps with value_prefix, or param_name alone")),
        };
        match &place {
            Place::Header(_, before) if before.contains(['{', '}']) => Err(unfit("auth_config.value_prefix holds no braces")),
            _ => Ok(Way::Key { field, place }),
        }
    }

    fn basic(&self) -> Result<Way, Problem> {
        let (mut username, mut password) = (None, None);
        for (name, prompt) in self.schema()? {
            match name.as_str() {
                "username" => username = prompt,
                "password" => password = prompt,
                _ => return Err(unfit("params.credential_schema of basic_auth has the properties username and password")),
            }
        }
        Ok(Way::Basic { username, password })
    }

    /// What is typed, and what a person is asked for.
    fn schema(&self) -> Result<Vec<(String, Option<String>)>, Problem> {
        let wrong = || {
            let message =
                "params.credential_schema is a JSON Schema of an object: at most 16 properties, with titles of one line";
            unfit(message)
        };
        let Some(schema) = self.params.as_ref().and_then(|params| params.get("credential_schema")) else {
            return Ok(Vec::new());
        };
        let properties = match schema.as_object().ok_or_else(wrong)?.get("properties") {
            Some(properties) => properties.as_object().ok_or_else(wrong)?,
            None => return Ok(Vec::new()),
        };
        if properties.len() > MEMBERS {
            return Err(wrong());
        }
        let read = |(name, property): (&String, &Value)| match property.get("title") {
            None | Some(Value::Null) => Ok((name.clone(), None)),
            Some(Value::String(title)) if is_line(title) => Ok((name.clone(), Some(title.clone()))),
            Some(_) => Err(wrong()),
        };
        properties.iter().map(read).collect()
    }

    fn api_hosts(&self) -> Result<Vec<Host>, Problem> {
        let mut hosts: Vec<Host> = Vec::new();
        if let Some(url) = self.text("api_base_url", self.api_base_url.as_deref())? {
            let place = place("api_base_url", &url)?;
            if place.port != 443 {
                return Err(unfit("profile.api_base_url: a service on another port than 443 needs a provider file"));
            }
            hosts.push(name_of(&place.host.to_string(), "api_base_url")?);
        }
        for text in self.listed_hosts()? {
            hosts.push(name_of(&text, "hosts")?);
        }
        hosts.sort();
        hosts.dedup();
        match hosts.len() {
            0 => Err(unfit(
                "the member profile.api_base_url (or profile.hosts) is missing: a credential goes only to hosts that are named, such as \
                 \"api_base_url\": \"https://api.acme.com\" or \"hosts\": [\"api.acme.com\"]",
            )),
            1..=HOSTS => Ok(hosts),
            _ => Err(unfit("profile.hosts names at most 20 hosts")),
        }
    }

    fn listed_hosts(&self) -> Result<Vec<String>, Problem> {
        let wrong = || unfit("params.hosts is a list of names such as api.acme.com");
        match (&self.hosts, self.params.as_ref().and_then(|params| params.get("hosts"))) {
            (Some(hosts), _) => Ok(hosts.clone()),
            (None, None | Some(Value::Null)) => Ok(Vec::new()),
            (None, Some(hosts)) => {
                let hosts = hosts.as_array().ok_or_else(wrong)?.iter();
                hosts.map(|host| host.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
        }
    }

    /// A member of the profile, or of `params`.
    fn text(&self, name: &str, own: Option<&str>) -> Result<Option<String>, Problem> {
        match own {
            Some(own) => Ok(Some(own.to_owned())),
            None => one_line(self.params.as_ref(), "profile.params", name),
        }
    }

    fn object<'g>(
        &'g self,
        name: &str,
        own: Option<&'g Map<String, Value>>,
    ) -> Result<Option<&'g Map<String, Value>>, Problem> {
        match (own, self.params.as_ref().and_then(|params| params.get(name))) {
            (Some(own), _) => Ok(Some(own)),
            (None, None | Some(Value::Null)) => Ok(None),
            (None, Some(inner)) => inner.as_object().map(Some).ok_or_else(|| unfit(format!("params.{name} is an object"))),
        }
    }
}

/// The text called `name` in `object`, which is `place` in the body.
fn one_line(object: Option<&Map<String, Value>>, place: &str, name: &str) -> Result<Option<String>, Problem> {
    match object.and_then(|object| object.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= URL && !text.chars().any(char::is_control) => Ok(Some(text.clone())),
        Some(_) => Err(unfit(format!("{place}.{name} is one line of text"))),
    }
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= TEXT && !text.chars().any(char::is_control)
}

/// One name, spelled out: what has holes or stars is for a person to write.
fn name_of(text: &str, member: &str) -> Result<Host, Problem> {
    match text.parse() {
        Ok(HostPattern::Exact(host)) => Ok(host),
        Ok(_) => Err(unfit(format!("profile.{member}: a host is spelled out here; one with {{}} or * needs a provider file"))),
        Err(error) => Err(unfit(format!("profile.{member}: {error}"))),
    }
}

fn whoami_at(url: &str, hosts: &[Host]) -> Result<String, Problem> {
    let place = place("user_info_endpoint", url)?;
    if place.port != 443 || !hosts.contains(&place.host) {
        let message = "profile.user_info_endpoint is not at one of the hosts that profile.api_base_url and profile.hosts name; a credential goes \
                       nowhere else";
        return Err(unfit(message));
    }
    let slash = if url.matches('/').count() > 2 { "" } else { "/" };
    Ok(format!("GET {url}{slash}"))
}
