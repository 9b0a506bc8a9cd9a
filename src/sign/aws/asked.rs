//! What the caller's own signature says. It was made with a placeholder and proves nothing; it says what the caller means to call.

use std::time::SystemTime;

use http::header::{AUTHORIZATION, DATE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::error::Error;
use super::query;
use super::scope::Scope;

/// The one algorithm we sign with.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What ends a credential scope.
const TERMINATOR: &str = "aws4_request";

/// The longest life of a presigned URL, in seconds: seven days.
const MAX_EXPIRES: u32 = 604_800;

/// Where a signature stands on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In `Authorization`.
    Header,
    /// In the query: a presigned URL.
    Query {
        /// Seconds that it is good for, 1 to 604800.
        expires: u32,
    },
}

/// The caller's signature, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The access key id: a placeholder, or the caller's own.
    pub(crate) access_key_id: String,
    /// For which region and service.
    pub(crate) scope: Scope,
    /// The header fields that it covers.
    pub(crate) signed: Vec<HeaderName>,
    /// When it was made, by the caller's clock.
    pub(crate) time: SystemTime,
    /// Where it stands.
    pub(crate) place: Place,
}

impl Asked {
    /// The caller's signature; none where the request carries no AWS signature.
    ///
    /// # Errors
    /// Two signatures, one of another kind, one with a part that is missing, doubled, unknown or ill-formed.
    pub(crate) fn of(headers: &HeaderMap, target: &PathAndQuery) -> Result<Option<Self>, Error> {
        let header = from_header(headers)?;
        let query = from_query(target)?;
        if header.is_some() && query.is_some() {
            return Err(Error::Twice);
        }
        Ok(header.or(query))
    }
}

/// `Authorization: AWS4-HMAC-SHA256 Credential=.., SignedHeaders=.., Signature=..` ("Add the signature to the request").
fn from_header(headers: &HeaderMap) -> Result<Option<Asked>, Error> {
    let signatures = headers.get_all(AUTHORIZATION).iter().filter(|value| value.as_bytes().starts_with(b"AWS"));
    let Some(value) = only(signatures)? else { return Ok(None) };
    if headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return Err(Error::Twice);
    }
    let text = value.to_str().map_err(|_not_ascii| Error::Form("it holds a character that no signature has"))?;
    let Some((scheme, rest)) = text.split_once(' ') else { return Err(Error::Form("nothing follows the algorithm")) };
    check_algorithm(scheme)?;
    let [mut credential, mut signed, mut signature] = [None; 3];
    for part in rest.split(',') {
        let Some((name, value)) = part.trim().split_once('=') else { return Err(Error::Form("a part of it has no =")) };
        let place = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed,
            "Signature" => &mut signature,
            _ => return Err(Error::Form("a part of it is none of Credential, SignedHeaders and Signature")),
        };
        if place.replace(value).is_some() {
            return Err(Error::Form("a part of it stands twice"));
        }
    }
    let time = header_time(headers)?;
    let parts = Parts { credential, signed, signature };
    parts.read(&time, Place::Header).map(Some)
}

/// `X-Amz-Algorithm` and its kind in the query ("Add the signature to the request", query string parameters).
fn from_query(target: &PathAndQuery) -> Result<Option<Asked>, Error> {
    if query::values(target, "AWSAccessKeyId").next().is_some() {
        return Err(Error::Version2);
    }
    let parameter = |name| only(query::values(target, name));
    let (algorithm, credential) = (parameter("X-Amz-Algorithm")?, parameter("X-Amz-Credential")?);
    let (signed, signature) = (parameter("X-Amz-SignedHeaders")?, parameter("X-Amz-Signature")?);
    if algorithm.is_none() && credential.is_none() && signature.is_none() {
        return Ok(None);
    }
    check_algorithm(&algorithm.ok_or(Error::Form("X-Amz-Algorithm is missing"))?)?;
    let time = parameter("X-Amz-Date")?.ok_or(Error::Form("X-Amz-Date is missing"))?;
    let expires = parameter("X-Amz-Expires")?.ok_or(Error::Form("X-Amz-Expires is missing"))?;
    let digits = expires.bytes().all(|b| b.is_ascii_digit());
    let expires = match expires.parse::<u32>() {
        Ok(seconds) if digits && (1..=MAX_EXPIRES).contains(&seconds) => seconds,
        _ => return Err(Error::Expires(expires.into_owned())),
    };
    let parts = Parts { credential: credential.as_deref(), signed: signed.as_deref(), signature: signature.as_deref() };
    parts.read(&time, Place::Query { expires }).map(Some)
}

/// The parts that both places share, still text.
struct Parts<'a> {
    credential: Option<&'a str>,
    signed: Option<&'a str>,
    signature: Option<&'a str>,
}

impl Parts<'_> {
    fn read(&self, time: &str, place: Place) -> Result<Asked, Error> {
        let credential = self.credential.ok_or(Error::Form("the credential is missing"))?;
        let fields: Vec<&str> = credential.split('/').collect();
        let [access_key_id, date, region, service, TERMINATOR] = fields[..] else {
            return Err(Error::Form("the credential is not KEY/DATE/REGION/SERVICE/aws4_request"));
        };
        if access_key_id.is_empty() || !access_key_id.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
            return Err(Error::Form("the access key id is empty or holds a character that none has"));
        }
        let scope = Scope::new(region, service)?;
        let signature = self.signature.ok_or(Error::Form("the signature is missing"))?;
        if signature.len() != 64 || !signature.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Error::Form("the signature is not 64 lower-case hex digits"));
        }
        if time.get(..8) != Some(date) {
            return Err(Error::Form("the date of the credential is not the date of the request"));
        }
        Ok(Asked {
            access_key_id: access_key_id.to_owned(),
            scope,
            signed: signed_headers(self.signed.ok_or(Error::Form("the signed headers are missing"))?)?,
            time: parse_time(time)?,
            place,
        })
    }
}

fn check_algorithm(scheme: &str) -> Result<(), Error> {
    match scheme {
        ALGORITHM => Ok(()),
        "AWS" => Err(Error::Version2),
        other if other.starts_with("AWS4-ECDSA-") => Err(Error::Asymmetric),
        other => Err(Error::Algorithm(other.to_owned())),
    }
}

/// Lower-case names between semicolons, `host` among them.
fn signed_headers(text: &str) -> Result<Vec<HeaderName>, Error> {
    const WRONG: Error = Error::Form("the signed headers are not lower-case names between semicolons");
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(WRONG);
    }
    let names: Vec<HeaderName> = text
        .split(';')
        .map(|name| name.parse().map_err(|_invalid: http::header::InvalidHeaderName| WRONG))
        .collect::<Result<_, Error>>()?;
    if !names.contains(&HOST) {
        return Err(Error::Form("host is not among the signed headers"));
    }
    Ok(names)
}

/// `x-amz-date`, else `Date`, in the form of `x-amz-date`.
fn header_time(headers: &HeaderMap) -> Result<String, Error> {
    const WRONG: Error = Error::Form("its date can't be read");
    let amazon = only(headers.get_all("x-amz-date").iter())?;
    let plain = only(headers.get_all(DATE).iter())?;
    let value = amazon.or(plain).ok_or(Error::Form("x-amz-date is missing"))?;
    let text = value.to_str().map_err(|_not_ascii| WRONG)?;
    if amazon.is_some() || !text.contains(',') {
        return Ok(text.to_owned());
    }
    let stamp = jiff::fmt::rfc2822::parse(text).map_err(|_unreadable| WRONG)?.timestamp();
    Ok(stamp.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// `20130524T000000Z`.
fn parse_time(text: &str) -> Result<SystemTime, Error> {
    const WRONG: Error = Error::Form("its date is not of the form 20130524T000000Z");
    let digits = |(at, b): (usize, u8)| matches!((at, b), (8, b'T') | (15, b'Z')) || (at != 8 && at < 15 && b.is_ascii_digit());
    if text.len() != 16 || !text.bytes().enumerate().all(digits) {
        return Err(WRONG);
    }
    let civil = DateTime::strptime("%Y%m%dT%H%M%SZ", text).map_err(|_unreadable| WRONG)?;
    Ok(civil.to_zoned(TimeZone::UTC).map_err(|_out_of_range| WRONG)?.timestamp().into())
}

/// The one of them, if any.
fn only<T>(mut values: impl Iterator<Item = T>) -> Result<Option<T>, Error> {
    let first = values.next();
    if values.next().is_some() {
        return Err(Error::Twice);
    }
    Ok(first)
}
