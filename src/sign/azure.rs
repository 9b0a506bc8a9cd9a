//! Azure Storage: the Shared Key of an account (Microsoft, "Authorize with Shared Key") and stored shared access signatures.
//!
//! Blob, Queue, File and Data Lake sign a longer text than Table; the host says which it is.

use std::cmp::Ordering;

use base64::engine::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::uri::{InvalidUri, PathAndQuery};

use super::mac::{Encoding, Hash, hmac};
use super::text::{Query, parameters, sensitive, unescape};
use super::time::Timestamp;
use super::{Signed, Unsigned};
use crate::model::Secret;

const DATE: HeaderName = HeaderName::from_static("x-ms-date");
const VERSION: HeaderName = HeaderName::from_static("x-ms-version");
/// The versions that a request without `x-ms-version` gets; Shared Key of this form needs one.
const BLOB_VERSION: HeaderValue = HeaderValue::from_static("2021-12-02");
const TABLE_VERSION: HeaderValue = HeaderValue::from_static("2019-02-02");
/// From this version on an empty body signs an empty length, before it `0`.
const EMPTY_LENGTH_SINCE: &[u8] = b"2015-02-21";

/// The fields that stand by position in what is signed, after the method and before `x-ms-*`. The date is signed as `x-ms-date`.
const POSITIONED: [HeaderName; 11] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    HeaderName::from_static("content-md5"),
    header::CONTENT_TYPE,
    header::DATE,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
];

/// Why a request to Azure Storage could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Not `ACCOUNT.SERVICE.…`.
    #[error("{0} is not a storage host: one begins with ACCOUNT.blob, .queue, .file, .dfs or .table")]
    Host(String),
    /// Another account than the connection's.
    #[error("the host is of another storage account than the connection's, {0}")]
    Account(String),
    /// Not base64.
    #[error("the account key is not standard base64: copy the whole key, with = at its end")]
    Key,
    /// A chunked body.
    #[error("the body's length is not known before it is sent, but Shared Key signs it: send Content-Length")]
    UnknownLength,
    /// A `Content-Length` that is no number.
    #[error("the Content-Length is not a number")]
    Length,
    /// A clock before 1970.
    #[error("the clock is out of the range that a date can show")]
    Clock,
    /// `OPTIONS *`.
    #[error("Shared Key can't sign a target that is not a path")]
    NoPath,
    /// A shared access signature without its signature.
    #[error("the shared access signature has no sig: store the whole query string, beginning with sv= or ?sv=")]
    NoSig,
    /// A parameter twice.
    #[error("the shared access signature has a parameter twice: store one signature")]
    Twice,
    /// Line ends, blanks, `#`, what is not ASCII, and names that no parameter of a signature has.
    #[error("the shared access signature has characters that no query string has: store the query string only")]
    Character,
    /// What was made is no target.
    #[error("the request and the shared access signature make no valid target together")]
    Target(#[source] InvalidUri),
    /// What was made is no header value.
    #[error("the account's name can't stand in a header field")]
    Name(#[source] http::header::InvalidHeaderValue),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    /// Blob, Queue, File, Data Lake.
    Blob,
    Table,
}

/// Signs `request` with the key of `account`: `x-ms-date` anew, `x-ms-version` where the request has none, `Authorization`.
///
/// The length signed is that of `Content-Length`, else of the body at hand, else zero.
///
/// # Errors
/// As [`Error`] says.
pub(crate) fn sign(account: &str, key: &Secret<String>, request: &Unsigned<'_>) -> Result<Signed, Error> {
    let service = service(account, request.host)?;
    let key = Encoding::Base64.decode(key.expose()).filter(|key| !key.is_empty()).ok_or(Error::Key)?;
    let date = Timestamp::HttpDate.format(request.time).ok_or(Error::Clock)?;
    let default = if service == Service::Table { TABLE_VERSION } else { BLOB_VERSION };
    let mut headers = vec![(DATE, HeaderValue::try_from(date).map_err(Error::Name)?)];
    if !request.headers.contains_key(VERSION) {
        headers.push((VERSION, default));
    }
    let mut all = request.headers.clone();
    headers.iter().for_each(|(name, value)| _ = all.insert(name, value.clone()));
    let message = match service {
        Service::Blob => blob_message(account, request, &all)?,
        Service::Table => table_message(account, request, &all)?,
    };
    let signature = STANDARD.encode(hmac(Hash::Sha256, &key, &message));
    let value = sensitive(format!("SharedKey {account}:{signature}").as_bytes()).map_err(Error::Name)?;
    headers.push((AUTHORIZATION, value));
    Ok(Signed { headers, target: None })
}

/// `ACCOUNT.blob.core.windows.net`, `ACCOUNT.z12.blob.storage.azure.net`, `ACCOUNT-secondary.table.…`.
fn service(account: &str, host: &str) -> Result<Service, Error> {
    let mut labels = host.split('.');
    let label = labels.next().unwrap_or_default().to_ascii_lowercase();
    let is_zone = |label: &str| label.strip_prefix('z').is_some_and(|rest| rest.parse::<u8>().is_ok());
    let service = labels.find(|label| !is_zone(label)).unwrap_or_default().to_ascii_lowercase();
    let service = match service.as_str() {
        "blob" | "queue" | "file" | "dfs" => Service::Blob,
        "table" => Service::Table,
        _ => return Err(Error::Host(host.to_owned())),
    };
    let primary = label.strip_suffix("-secondary").unwrap_or(&label);
    if account.is_empty() || primary != account {
        return Err(Error::Account(account.to_owned()));
    }
    Ok(service)
}

/// The string to sign of Blob, Queue and File, version 2009-09-19 and later.
fn blob_message(account: &str, request: &Unsigned<'_>, headers: &HeaderMap) -> Result<Vec<u8>, Error> {
    let length = length(request)?;
    let version = headers.get(VERSION).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut message = request.method.as_str().as_bytes().to_vec();
    for name in POSITIONED {
        message.push(b'\n');
        match name {
            // With x-ms-date the line of the date is empty.
            header::DATE => {}
            header::CONTENT_LENGTH => match length {
                Some(0) if version < EMPTY_LENGTH_SINCE => message.push(b'0'),
                Some(0) | None => {}
                Some(length) => message.extend(length.to_string().bytes()),
            },
            _ => message.extend(value_of(headers, &name)),
        }
    }
    message.push(b'\n');
    for name in own_names(headers) {
        message.extend(name.as_str().bytes());
        message.push(b':');
        message.extend(value_of(headers, name));
        message.push(b'\n');
    }
    message.extend(resource(account, request.target)?.bytes());
    message.extend(canonical_query(request.target.query().unwrap_or_default()));
    Ok(message)
}

/// The string to sign of Table, whose date line is never empty.
fn table_message(account: &str, request: &Unsigned<'_>, headers: &HeaderMap) -> Result<Vec<u8>, Error> {
    let mut message = request.method.as_str().as_bytes().to_vec();
    for name in [HeaderName::from_static("content-md5"), header::CONTENT_TYPE, DATE] {
        message.push(b'\n');
        message.extend(value_of(headers, &name));
    }
    message.push(b'\n');
    message.extend(resource(account, request.target)?.bytes());
    let query = request.target.query().unwrap_or_default().as_bytes();
    if let Some((_, value)) = parameters(query).find(|(name, _)| unescape(name) == b"comp") {
        message.extend(b"?comp=");
        message.extend(unescape(value));
    }
    Ok(message)
}

/// The length on the wire; `None` where no body is announced.
fn length(request: &Unsigned<'_>) -> Result<Option<u64>, Error> {
    if request.headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Error::UnknownLength);
    }
    match request.headers.get(header::CONTENT_LENGTH) {
        Some(value) => value.to_str().ok().and_then(|text| text.parse().ok()).map(Some).ok_or(Error::Length),
        None => Ok(request.body.map(|body| body.len() as u64).filter(|length| *length > 0)),
    }
}

/// All values of one field, joined by commas as in the one line that a recipient may make of them (RFC 9110 §5.3).
fn value_of(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
    values.join(&b',')
}

/// The names that begin with `x-ms-`, in the service's order.
fn own_names(headers: &HeaderMap) -> Vec<&HeaderName> {
    let mut names: Vec<&HeaderName> = headers.keys().filter(|name| name.as_str().starts_with("x-ms-")).collect();
    names.sort_by(|one, other| collate(one.as_str(), other.as_str()));
    names
}

/// The order in which the service sorts field names. It is not that of the bytes but that of a text comparison in .NET: hyphens and
/// apostrophes count only between names that are otherwise the same, punctuation comes before digits, digits before letters.
fn collate(one: &str, other: &str) -> Ordering {
    const ALPHABET: &str = "!#$%&*.^_`|~+0123456789abcdefghijklmnopqrstuvwxyz";
    let letters = |name: &str| name.chars().filter_map(|letter| ALPHABET.find(letter)).collect::<Vec<usize>>();
    let marks = |name: &str| name.bytes().map(|byte| (byte == b'-', byte == b'\'')).collect::<Vec<_>>();
    letters(one).cmp(&letters(other)).then_with(|| marks(one).cmp(&marks(other)))
}

/// `/ACCOUNT/PATH`, the path as it is sent; the account without `-secondary` for a secondary host too.
fn resource(account: &str, target: &PathAndQuery) -> Result<String, Error> {
    let path = target.path();
    if path.starts_with('/') { Ok(format!("/{account}{path}")) } else { Err(Error::NoPath) }
}

/// Each parameter on a line of its own: name in lower case, values decoded, sorted and joined by commas.
fn canonical_query(query: &str) -> Vec<u8> {
    let decode = |(name, value)| (unescape(name).to_ascii_lowercase(), unescape(value));
    let mut sorted: Vec<(Vec<u8>, Vec<u8>)> = parameters(query.as_bytes()).map(decode).collect();
    sorted.sort();
    let mut text = Vec::new();
    let mut before: Option<&[u8]> = None;
    for (name, value) in &sorted {
        if before == Some(name) {
            text.push(b',');
        } else {
            text.push(b'\n');
            text.extend(name);
            text.push(b':');
        }
        text.extend(value);
        before = Some(name);
    }
    text
}

/// The target with the stored shared access signature in its query, which may begin with `?`.
///
/// What the signature brings replaces the caller's parameters of the same names; values stay byte for byte as stored, for they are
/// what was signed.
///
/// # Errors
/// [`Error::NoSig`], [`Error::Twice`], [`Error::Character`], [`Error::Target`]; none quotes the signature.
pub(crate) fn with_sas(sas: &Secret<String>, target: &PathAndQuery) -> Result<Signed, Error> {
    let text = sas.expose();
    let text = text.strip_prefix('?').unwrap_or(text);
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'?') {
        return Err(Error::Character);
    }
    let mut query = Query::of(target);
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for piece in text.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::Character);
        }
        if seen.iter().any(|(other, _)| *other == name) {
            return Err(Error::Twice);
        }
        seen.push((name, value));
        query.set(name, value);
    }
    if !seen.iter().any(|(name, value)| *name == "sig" && !value.is_empty()) {
        return Err(Error::NoSig);
    }
    Ok(Signed { headers: Vec::new(), target: Some(query.target().map_err(Error::Target)?) })
}

#[cfg(test)]
mod tests;
