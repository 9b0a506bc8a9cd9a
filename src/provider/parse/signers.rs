//! Strategies that sign: `aws_sigv4`, `azure_shared_key`, `azure_sas`, `hmac`, `oauth1`, `digest`.

use std::sync::Arc;

use super::Error;
use super::inject::{Known, template};
use super::source::{Table, Value, suggestion};
use crate::provider::signer::{Kind, Part, Signer};
use crate::provider::slot::{parse_header_name, parse_plain_name};
use crate::sign::hmac::{Encoding, Hash, Output, Place, Scheme, Template, Timestamp};
use crate::sign::oauth1;

pub(super) const SIGNERS: [&str; 6] = ["aws_sigv4", "azure_shared_key", "azure_sas", "hmac", "oauth1", "digest"];

/// A name and whether the key can be left out.
type Key = (&'static str, bool);

const AWS: [Key; 4] = [("access_key_id", false), ("secret_access_key", false), ("session_token", true), ("region", true)];
const AZURE: [Key; 2] = [("account", false), ("key", false)];
const OAUTH1: [Key; 5] =
    [("consumer_key", false), ("consumer_secret", false), ("token", true), ("token_secret", true), ("realm", true)];
const DIGEST: [Key; 2] = [("username", false), ("password", false)];

/// Reads the strategy called `word`, one of [`SIGNERS`].
pub(super) fn read(word: &str, inside: &Value<'_>, known: &Known<'_>) -> Result<Signer, Error> {
    match word {
        "aws_sigv4" => {
            let table = inside.table(&["access_key_id", "secret_access_key", "session_token", "region", "service"])?;
            let service = table.get("service").map(|value| value.plain()).transpose()?;
            Ok(Signer { kind: Kind::Aws { service }, parts: parts(&table, &AWS, known)? })
        }
        "azure_shared_key" => {
            Ok(Signer { kind: Kind::AzureSharedKey, parts: parts(&inside.table(&["account", "key"])?, &AZURE, known)? })
        }
        "azure_sas" => {
            let part = Part { role: "token".into(), value: template(inside, known)?, optional: false };
            Ok(Signer { kind: Kind::AzureSas, parts: vec![part] })
        }
        "oauth1" => {
            let table = inside.table(&["consumer_key", "consumer_secret", "token", "token_secret", "realm", "method"])?;
            let method = table.need("method")?.text()?;
            let named = oauth1::Method::named(method.value).map_err(|error| method.refuse(error.to_string()))?;
            Ok(Signer { kind: Kind::OAuth1(named), parts: parts(&table, &OAUTH1, known)? })
        }
        "digest" => {
            let table = inside.table(&["username", "password"])?;
            Ok(Signer { kind: Kind::Digest, parts: parts(&table, &DIGEST, known)? })
        }
        _ => hmac(inside, known),
    }
}

fn parts(table: &Table<'_>, keys: &[Key], known: &Known<'_>) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    for (role, optional) in keys {
        let value = if *optional { table.get(role) } else { Some(table.need(role)?) };
        if let Some(value) = value {
            // What everybody sees in the host's name is no credential: it only says whose key it is.
            let value = if *role == "account" { named(&value)? } else { template(&value, known)? };
            parts.push(Part { role: (*role).into(), value, optional: *optional });
        }
    }
    Ok(parts)
}

/// A template that may name a tenant.
fn named(value: &Value<'_>) -> Result<crate::provider::template::Template, Error> {
    value.text()?.parse()
}

fn hmac(inside: &Value<'_>, known: &Known<'_>) -> Result<Signer, Error> {
    let table = inside.table(&["hash", "key", "key_encoding", "message", "output", "timestamp", "places"])?;
    let scheme = Scheme {
        hash: word(&table, "hash", None, Hash::named, "sha1, sha256, sha512")?,
        key: message(&table.need("key")?)?,
        key_encoding: word(&table, "key_encoding", Some("utf8"), Encoding::named, "utf8, base64, hex")?,
        message: message(&table.need("message")?)?,
        output: word(&table, "output", Some("hex"), Output::named, "hex, HEX, base64, base64url")?,
        timestamp: word(
            &table,
            "timestamp",
            Some("unix"),
            Timestamp::named,
            "unix, unix_millis, rfc3339, rfc3339_millis, http_date",
        )?,
        places: table.need("places")?.list(|value| place(&value))?,
    };
    scheme.check().map_err(|unusable| inside.refuse(unusable.to_string()))?;
    let mut parts: Vec<Part> = Vec::new();
    for name in scheme.fields() {
        if parts.iter().all(|part| &*part.role != name) {
            let value = super::inject::field(name, known).map_err(|why| inside.refuse(why))?;
            parts.push(Part { role: name.into(), value, optional: false });
        }
    }
    Ok(Signer { kind: Kind::Hmac(Arc::new(scheme)), parts })
}

fn message(value: &Value<'_>) -> Result<Template, Error> {
    let text = value.text()?;
    text.value.parse().map_err(|error: crate::sign::hmac::template::TemplateError| text.refuse(error.to_string()))
}

/// One of a few words; `otherwise` where the key is not there.
fn word<T>(
    table: &Table<'_>,
    key: &'static str,
    otherwise: Option<&str>,
    named: fn(&str) -> Option<T>,
    words: &str,
) -> Result<T, Error> {
    let value = match (table.get(key), otherwise.and_then(named)) {
        (Some(value), _) => value,
        (None, Some(otherwise)) => return Ok(otherwise),
        (None, None) => table.need(key)?,
    };
    let text = value.text()?;
    named(text.value).ok_or_else(|| {
        let hint = suggestion(text.value, words.split(", "));
        text.refuse(format!("expected one of {words}{hint}"))
    })
}

fn place(value: &Value<'_>) -> Result<Place, Error> {
    let table = value.table(&["header", "query", "value"])?;
    let template = message(&table.need("value")?)?;
    match (table.get("header"), table.get("query")) {
        (Some(header), None) => {
            let name = header.text()?;
            let parsed = parse_header_name(name.value).map_err(|error| name.refuse(error.to_string()))?;
            Ok(Place::Header(parsed, template))
        }
        (None, Some(query)) => {
            let name = query.text()?;
            let parsed = parse_plain_name(name.value).map_err(|error| name.refuse(error.to_string()))?;
            Ok(Place::Query(parsed.into(), template))
        }
        _ => Err(value.refuse("expected `header` or `query`, the name of where `value` goes")),
    }
}
