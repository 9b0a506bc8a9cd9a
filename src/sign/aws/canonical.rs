//! Signs a request by a plan, through `aws-sigv4`.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode,
};
use aws_sigv4::sign::v4::SigningParams;
use http::header::{AUTHORIZATION, HOST};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, percent_decode_str, percent_encode};
use tracing::Dispatch;

use super::asked::Place;
use super::chunked::Rechunk;
use super::error::Error;
use super::keys::Keys;
use super::payload::{CONTENT_SHA256, Payload};
use super::query::{self, ESCAPED};
use super::{Plan, Scope};
use crate::sign::{Signed, Unsigned};

const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT_SHA256_NAME: HeaderName = HeaderName::from_static(CONTENT_SHA256);

/// How long path and query may get once they are encoded. A URI ends at 65,534 bytes, and the signer panics at a longer one.
const MAX_TARGET: usize = 60_000;

/// What `UriEncode` leaves in a path.
const PATH_ESCAPED: &AsciiSet = &ESCAPED.remove(b'/');

/// Signs a request whose slots are empty. What is set replaces the caller's; a body in chunks goes through the [`Rechunk`].
///
/// The same request, keys and time give the same signature; another time or other keys are another call.
///
/// # Errors
/// Keys that no signature can be made with, a body that is needed and not there, text that cannot be signed.
pub(crate) fn sign(unsigned: &Unsigned<'_>, keys: &Keys<'_>, plan: &Plan) -> Result<(Signed, Option<Rechunk>), Error> {
    keys.check()?;
    check_time(unsigned.time)?;
    if unsigned.headers.contains_key(SECURITY_TOKEN) {
        return Err(Error::LeftOver);
    }
    let target = match plan.place() {
        Place::Header => unsigned.target.to_string(),
        Place::Query { .. } => query::without_signature(unsigned.target),
    };
    check_target(&target, keys)?;
    let (instructions, seed) = run(unsigned, &target, keys, plan)?;
    let rechunk = match plan.payload {
        Payload::Chunked { trailers } => {
            let key = keys.signing_key(unsigned.time, &plan.scope);
            let stamp = instructions.headers().find(|(name, _value)| *name == AMZ_DATE).map_or("", |(_name, value)| value);
            Some(Rechunk::new(key, stamp, &plan.scope, seed, trailers))
        }
        _ => None,
    };
    let signed = match plan.place() {
        Place::Header => Signed { headers: header_fields(&instructions)?, target: None },
        Place::Query { .. } => Signed { headers: Vec::new(), target: Some(presigned(target, &instructions)?) },
    };
    Ok((signed, rechunk))
}

/// The signer at work: what it wants set, and the signature.
fn run(unsigned: &Unsigned<'_>, target: &str, keys: &Keys<'_>, plan: &Plan) -> Result<(SigningInstructions, String), Error> {
    let method = unsigned.method.as_str();
    let uri = format!("https://{}{}", unsigned.host, canonical_target(target, &plan.scope));
    let headers = covered(unsigned, plan)?;
    let body = signable(&plan.payload, unsigned.body)?;
    let identity = keys.credentials().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&plan.scope.region)
        .name(&plan.scope.service)
        .time(unsigned.time)
        .settings(settings(unsigned, plan))
        .build()
        .map_err(|error| Error::Signer(Box::new(error)))?
        .into();
    let request =
        SignableRequest::new(method, uri, headers.into_iter(), body).map_err(|error| Error::Signer(Box::new(error)))?;
    // The signer traces all that it signs, a session token in the query included. None of it may reach a log.
    let output = tracing::dispatcher::with_default(&Dispatch::none(), || aws_sigv4::http_request::sign(request, &params));
    Ok(output.map_err(|error| Error::Signer(Box::new(error)))?.into_parts())
}

fn settings(unsigned: &Unsigned<'_>, plan: &Plan) -> SigningSettings {
    let mut settings = SigningSettings::default();
    // What is signed is chosen by the plan; the signer's own list would leave out what a caller signed.
    settings.excluded_headers = None;
    if plan.scope.is_s3() {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    if plan.scope.states_payload() || unsigned.headers.contains_key(CONTENT_SHA256_NAME) {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if let Place::Query { expires } = plan.place() {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(u64::from(expires)));
        if plan.scope.adds_token_late() {
            settings.session_token_mode = SessionTokenMode::Exclude;
        }
    }
    settings
}

fn signable<'a>(payload: &Payload, body: Option<&'a [u8]>) -> Result<SignableBody<'a>, Error> {
    Ok(match payload {
        Payload::Hash(hash) => SignableBody::Precomputed(hash.clone()),
        Payload::Unsigned => SignableBody::UnsignedPayload,
        Payload::UnsignedTrailer => SignableBody::StreamingUnsignedPayloadTrailer,
        Payload::Chunked { trailers: true } => SignableBody::StreamingSignedPayloadTrailer,
        Payload::Chunked { trailers: false } => SignableBody::Precomputed(String::from("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")),
        Payload::Whole => SignableBody::Bytes(body.ok_or(Error::NoBody)?),
    })
}

/// The header fields that are signed, without those that the signer adds itself.
fn covered<'a>(unsigned: &'a Unsigned<'_>, plan: &Plan) -> Result<Vec<(&'a str, &'a str)>, Error> {
    let in_header = plan.place() == Place::Header;
    let set = |name: &HeaderName| {
        *name == HOST || *name == AUTHORIZATION || (in_header && (*name == AMZ_DATE || *name == CONTENT_SHA256_NAME))
    };
    let mut covered = vec![(HOST.as_str(), unsigned.host)];
    for (name, value) in unsigned.headers.iter().filter(|(name, _value)| !set(name) && plan.covers(name)) {
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_not_utf8| Error::HeaderText(name.clone()))?;
        covered.push((name.as_str(), text));
    }
    Ok(covered)
}

/// The target as the signer is given it. S3 reads a path's text and encodes that anew, so what the caller left bare is encoded.
fn canonical_target<'a>(target: &'a str, scope: &Scope) -> Cow<'a, str> {
    if !scope.is_s3() {
        return Cow::Borrowed(target);
    }
    let (path, rest) = target.split_at(target.find('?').unwrap_or(target.len()));
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    Cow::Owned(format!("{}{rest}", percent_encode(&decoded, PATH_ESCAPED)))
}

/// RFC 9110 §5.6.7 has four digits for a year, and so has AWS.
fn check_time(time: SystemTime) -> Result<(), Error> {
    const YEAR_10000: u64 = 253_402_300_800;
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) if since.as_secs() < YEAR_10000 => Ok(()),
        _ => Err(Error::Clock),
    }
}

/// What the signer would lose or panic at.
fn check_target(target: &str, keys: &Keys<'_>) -> Result<(), Error> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !query::is_text(query) {
        return Err(Error::QueryText);
    }
    // Each parameter gets an = if it has none, and the signature's own are about 1,000 bytes beside the key and the token.
    let added = query.matches('&').count() + 1_000 + 3 * (keys.access_key_id.len() + keys.token_length());
    let length = query::encoded_length(path) + query::encoded_length(query) + added;
    if length > MAX_TARGET { Err(Error::TooLong) } else { Ok(()) }
}

/// The header fields to set, those that prove something marked.
fn header_fields(instructions: &SigningInstructions) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    instructions
        .headers()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| Error::Write(error.into()))?;
            let mut value = HeaderValue::from_str(value).map_err(|error| Error::Write(error.into()))?;
            value.set_sensitive(name == AUTHORIZATION || name == SECURITY_TOKEN);
            Ok((name, value))
        })
        .collect()
}

/// The target with the signature behind the caller's own parameters.
fn presigned(mut target: String, instructions: &SigningInstructions) -> Result<PathAndQuery, Error> {
    for (name, value) in instructions.params() {
        query::append(&mut target, name, value);
    }
    target.parse().map_err(|error: http::uri::InvalidUri| Error::Write(error.into()))
}
