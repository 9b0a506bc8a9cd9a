//! Strategies that sign: the credential proves itself on a request and never goes on it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method};

use super::rule::Slot;
use super::strategy::{Fields, InjectError};
use super::template::Template;
use crate::model::{Credential, Scheme, Secret};
use crate::sign::{self, Signed, Unsigned, aws, azure, digest, hmac, oauth1};

pub(crate) use crate::sign::aws::{ChunkError, Rechunk};

/// How a rule signs, and which fields of a connection it takes for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    pub(super) kind: Kind,
    pub(super) parts: Vec<Part>,
}

/// The schemes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// AWS Signature Version 4, for this service where the file names one.
    Aws { service: Option<String> },
    /// Azure Storage: Shared Key.
    AzureSharedKey,
    /// Azure Storage: a shared access signature that somebody else made.
    AzureSas,
    /// HMAC over what the file says.
    Hmac(Arc<hmac::Scheme>),
    /// OAuth 1.0a (RFC 5849).
    OAuth1(oauth1::Method),
    /// HTTP Digest (RFC 7616).
    Digest,
}

/// What a scheme needs of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The scheme's word for it: `secret_access_key`.
    pub(super) role: Box<str>,
    pub(super) value: Template,
    /// Whether it can be left out.
    pub(super) optional: bool,
}

impl Signer {
    /// The word of the strategy in a provider file.
    pub(super) fn word(&self) -> &'static str {
        match self.kind {
            Kind::Aws { .. } => "aws_sigv4",
            Kind::AzureSharedKey => "azure_shared_key",
            Kind::AzureSas => "azure_sas",
            Kind::Hmac(_) => "hmac",
            Kind::OAuth1(_) => "oauth1",
            Kind::Digest => "digest",
        }
    }

    /// What everybody may know of its parts: the rest is guarded in answers.
    fn is_public(&self, role: &str) -> bool {
        match self.kind {
            Kind::Aws { .. } => matches!(role, "access_key_id" | "region"),
            Kind::AzureSharedKey => role == "account",
            Kind::OAuth1(_) => matches!(role, "consumer_key" | "token" | "realm"),
            Kind::Digest => role == "username",
            Kind::AzureSas | Kind::Hmac(_) => false,
        }
    }

    /// Every place that the signature goes to, or a caller's own could stand in.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let query = |names: &[&str]| names.iter().map(|name| Slot::Query((*name).to_owned())).collect::<Vec<_>>();
        let authorization = vec![Slot::Header(AUTHORIZATION)];
        match &self.kind {
            Kind::Aws { .. } => {
                let token = Slot::Header(HeaderName::from_static("x-amz-security-token"));
                let presigned = query(&["X-Amz-Credential", "X-Amz-Security-Token", "X-Amz-Signature"]);
                [authorization, vec![token], presigned].concat()
            }
            Kind::AzureSharedKey => [authorization, query(&["sig"])].concat(),
            Kind::AzureSas => query(&["sig"]),
            Kind::Hmac(scheme) => scheme.places.iter().filter(|place| place.is_last()).map(Slot::from).collect(),
            Kind::OAuth1(_) | Kind::Digest => authorization,
        }
    }

    /// The templates, those that can be left out too.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.parts.iter().map(|part| &part.value)
    }

    pub(super) fn is_filled_by(&self, has: &dyn Fn(&str) -> bool) -> bool {
        self.parts.iter().all(|part| part.optional || part.value.is_filled_by(has))
    }

    /// Whether what is signed holds for one host only, whichever it is: such a signature may go to hosts that the file doesn't spell out.
    pub(super) fn binds_the_host(&self) -> bool {
        matches!(self.kind, Kind::Aws { .. })
    }

    /// With the fields of a connection; `None` where it lacks one. `fill` fills a template and says whether it is guarded.
    pub(super) fn ready(
        &self,
        fields: Fields<'_>,
        mut fill: impl FnMut(&Template, bool) -> Result<Option<Secret<String>>, InjectError>,
    ) -> Result<Option<Signing>, InjectError> {
        let mut values = Vec::new();
        for Part { role, value, optional } in &self.parts {
            let there = value.is_filled_by(&|name| super::strategy::present(fields, name));
            if !there && *optional {
                continue;
            }
            let Some(value) = fill(value, !self.is_public(role))? else { return Ok(None) };
            values.push((role.clone(), value));
        }
        Ok(Some(Signing { kind: self.kind.clone(), values, session: ArcSwapOption::empty() }))
    }
}

impl From<&hmac::Place> for Slot {
    fn from(place: &hmac::Place) -> Self {
        match place {
            hmac::Place::Header(name, _) => Self::Header(name.clone()),
            hmac::Place::Query(name, _) => Self::Query(name.to_string()),
        }
    }
}

/// As a person would write it.
impl fmt::Display for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match &self.kind {
            Kind::Aws { service: Some(service) } => format!("AWS Signature Version 4 for {service}"),
            Kind::Aws { service: None } => "AWS Signature Version 4".to_owned(),
            Kind::AzureSharedKey => "Azure Shared Key".to_owned(),
            Kind::AzureSas => "Azure shared access signature".to_owned(),
            Kind::Hmac(_) => "HMAC signature".to_owned(),
            Kind::OAuth1(method) => format!("OAuth 1.0a {}", method.as_str()),
            Kind::Digest => "HTTP Digest".to_owned(),
        };
        let needed = self.parts.iter().filter(|part| !part.optional);
        let parts: Vec<String> = needed.map(|part| part.value.to_string()).collect();
        write!(formatter, "{scheme} with {}", parts.join(", "))
    }
}

/// What a caller's own signature says, read before it is taken off.
#[derive(Debug, Default)]
pub(crate) struct Plan(Option<Box<aws::Plan>>);

impl Plan {
    /// The signing name of the service that the request will be signed for, where the scheme has such a thing.
    pub(crate) fn service(&self) -> Option<&str> {
        self.0.as_ref().map(|plan| plan.scope.service.as_str())
    }
}

/// A request that is ready but for its signature.
pub(crate) struct Ready<'a> {
    pub(crate) method: &'a Method,
    pub(crate) scheme: Scheme,
    /// As `Host` has it.
    pub(crate) host: &'a str,
    pub(crate) target: &'a PathAndQuery,
    pub(crate) headers: &'a HeaderMap,
    /// Where it is at hand.
    pub(crate) body: Option<&'a [u8]>,
}

/// A [`Signer`] with the fields of one connection.
#[derive(Debug)]
pub(super) struct Signing {
    kind: Kind,
    values: Vec<(Box<str>, Secret<String>)>,
    /// The service's last challenge.
    session: ArcSwapOption<digest::Session>,
}

impl Signing {
    fn value(&self, role: &str) -> Option<&Secret<String>> {
        self.values.iter().find(|(own, _)| &**own == role).map(|(_, value)| value)
    }

    fn needed(&self, role: &'static str) -> Result<&Secret<String>, InjectError> {
        self.value(role).ok_or_else(|| InjectError::Control { field: role.to_owned() })
    }

    /// Reads what a caller's own signature says.
    pub(super) fn plan(&self, headers: &HeaderMap, target: &PathAndQuery, host: &str) -> Result<Plan, InjectError> {
        let Kind::Aws { service } = &self.kind else { return Ok(Plan(None)) };
        let region = self.value("region").map(|region| region.expose().as_str());
        let defaults = aws::Defaults { service: service.as_deref(), region };
        aws::Plan::of(headers, target, host, &defaults).map(|plan| Plan(Some(Box::new(plan)))).map_err(InjectError::sign)
    }

    pub(super) fn needs_body(&self, headers: &HeaderMap, plan: &Plan) -> bool {
        match &self.kind {
            Kind::Aws { .. } => plan.0.as_ref().is_some_and(|plan| plan.body() == aws::Body::Whole),
            Kind::Hmac(scheme) => scheme.needs_body(),
            Kind::OAuth1(_) => oauth1::needs_body(headers),
            // The challenge may ask for it (`auth-int`), and comes after the first send.
            Kind::Digest => true,
            Kind::AzureSharedKey | Kind::AzureSas => false,
        }
    }

    /// Takes a service's challenge to a request that `answered` an earlier one or not; `true` where a second one can do better.
    pub(super) fn challenged(&self, headers: &HeaderMap, answered: bool) -> bool {
        if self.kind != Kind::Digest {
            return false;
        }
        let Ok(Some(challenge)) = digest::Challenge::strongest(headers) else { return false };
        let answered = answered && !challenge.is_stale();
        let session = nonce().ok().and_then(|cnonce| digest::Session::new(challenge, cnonce).ok());
        let taken = session.is_some();
        self.session.store(session.map(Arc::new));
        taken && !answered
    }

    pub(super) fn sign(&self, ready: &Ready<'_>, plan: &Plan) -> Result<(Signed, Option<Rechunk>), InjectError> {
        let Ready { method, host, target, headers, body, .. } = *ready;
        let request = Unsigned { method, host, target, headers, body, time: SystemTime::now() };
        let signed = match (&self.kind, &plan.0) {
            (Kind::Aws { .. }, Some(plan)) => {
                let keys = aws::Keys {
                    access_key_id: self.needed("access_key_id")?.expose(),
                    secret_access_key: self.needed("secret_access_key")?,
                    session_token: self.value("session_token"),
                };
                return aws::sign(&request, &keys, plan).map_err(InjectError::sign);
            }
            (Kind::Aws { .. }, None) => return Err(InjectError::Segment),
            (Kind::AzureSharedKey, _) => {
                azure::sign(self.needed("account")?.expose(), self.needed("key")?, &request).map_err(InjectError::sign)
            }
            (Kind::AzureSas, _) => azure::with_sas(self.needed("token")?, target).map_err(InjectError::sign),
            (Kind::Hmac(scheme), _) => scheme.sign(&self.credential(), &request, &nonce()?).map_err(InjectError::sign),
            (Kind::OAuth1(method), _) => {
                let client = self.client(*method)?;
                oauth1::sign(&client, ready.scheme, &request, &nonce()?).map_err(InjectError::sign)
            }
            (Kind::Digest, _) => match &*self.session.load() {
                // The service has to say what to answer first.
                None => Ok(Signed::default()),
                Some(session) => {
                    session.sign(self.needed("username")?, self.needed("password")?, &request).map_err(InjectError::sign)
                }
            },
        };
        signed.map(|signed| (signed, None))
    }

    fn client(&self, method: oauth1::Method) -> Result<oauth1::Client<'_>, InjectError> {
        Ok(oauth1::Client {
            consumer_key: self.needed("consumer_key")?,
            consumer_secret: self.needed("consumer_secret")?,
            token: self.value("token").zip(self.value("token_secret")),
            method,
            realm: self.value("realm").map(|realm| realm.expose().as_str()),
        })
    }

    fn credential(&self) -> Credential {
        let mut credential = Credential::default();
        for (role, value) in &self.values {
            credential.set(role, value.duplicate());
        }
        credential
    }
}

/// 128 random bits, in hexadecimal.
fn nonce() -> Result<String, InjectError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(InjectError::sign)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Puts a signature on.
pub(crate) fn put_signature_on(signed: Signed, headers: &mut HeaderMap, target: &mut PathAndQuery) {
    let sign::Signed { headers: fields, target: whole } = signed;
    for (name, value) in fields {
        headers.insert(name, value);
    }
    if let Some(whole) = whole {
        *target = whole;
    }
}
