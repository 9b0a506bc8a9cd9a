//! Bodies under a content coding, where they are searched: asked for only as far as they can be decoded, and passed on decoded.
//!
//! The length of what is found is not known before it is found, so a coded body would have to be coded anew as a whole; a caller is near,
//! and the way that is worth compressing lies behind us.

use http::header::{ACCEPT_CHARSET, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_EXTENSIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::body::ResponseBody;
use super::refusal::Refusal;
use super::tongue::Tongue;
use crate::guard::{Coding, Decoder};

/// What these say is of the coded body (RFC 9530, RFC 2616 §14.15).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];
/// Codings of the messages within a body: gRPC's and Connect's.
const MESSAGES: [HeaderName; 2] =
    [HeaderName::from_static("grpc-accept-encoding"), HeaderName::from_static("connect-accept-encoding")];
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// Lets a service use only codings that are known here, none for a part of a body, and none for messages within one.
pub(super) fn ask_for_known(headers: &mut HeaderMap) {
    let asks = headers.keys().fold(Asks::default(), Asks::of);
    if asks.otherwise {
        strip_unknown(headers);
    }
    if asks.part {
        headers.insert(ACCEPT_ENCODING, IDENTITY);
    } else if asks.coded && !members(headers, &ACCEPT_ENCODING).all(is_known) {
        let known: Vec<&[u8]> = members(headers, &ACCEPT_ENCODING).filter(|member| is_known(member)).collect();
        let known = HeaderValue::from_bytes(&known.join(&b", "[..])).ok().filter(|known| !known.is_empty());
        headers.insert(ACCEPT_ENCODING, known.unwrap_or(IDENTITY));
    }
}

/// What the names of a request's fields ask for. They are looked at once: a search for each costs more.
#[derive(Default)]
struct Asks {
    part: bool,
    coded: bool,
    otherwise: bool,
}

impl Asks {
    fn of(self, name: &HeaderName) -> Self {
        match name.as_str() {
            "range" => Self { part: true, ..self },
            "accept-encoding" => Self { coded: true, ..self },
            "accept-charset" | "sec-websocket-extensions" | "grpc-accept-encoding" | "connect-accept-encoding" => {
                Self { otherwise: true, ..self }
            }
            _ => self,
        }
    }
}

/// Takes out what asks for codings that nobody here knows.
#[cold]
fn strip_unknown(headers: &mut HeaderMap) {
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    // UTF-16 would be another spelling of everything; browsers don't send the field either (RFC 9110 §12.5.2).
    headers.remove(ACCEPT_CHARSET);
    for name in MESSAGES {
        if let Some(codings) = headers.get_mut(&name) {
            *codings = IDENTITY;
        }
    }
}

fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn is_known(member: &[u8]) -> bool {
    Coding::named(member.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()).is_some()
}

/// What decodes the body of a response; `None` where it is as it is.
///
/// # Errors
/// A coding that is not known, or a part of a coded body.
pub(super) fn decoder(status: StatusCode, headers: &HeaderMap) -> Result<Option<Box<Decoder>>, Refusal> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return Ok(None);
    }
    let codings: Option<Vec<Option<Coding>>> = members(headers, &CONTENT_ENCODING).map(Coding::named).collect();
    let codings: Vec<Coding> = codings.ok_or(Refusal::Coding)?.into_iter().flatten().collect();
    match codings.as_slice() {
        [] => Ok(None),
        _ if status == StatusCode::PARTIAL_CONTENT => Err(Refusal::Coding),
        codings => Decoder::new(codings).map(|decoder| Some(Box::new(decoder))).ok_or(Refusal::Coding),
    }
}

/// `response`, whose body is decoded, once its beginning is known to be what its coding says: a caller that has seen the head can only be
/// cut off. Nobody waits so for events, which may be long in coming.
pub(super) async fn begun(mut response: Response<ResponseBody>, tongue: Tongue) -> Response<ResponseBody> {
    if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let Err((why, entry)) = response.body_mut().look_ahead().await else { return response };
    let refusal = Refusal::Undecodable(why);
    let Some(mut entry) = entry else { return refusal.response_in(tongue, "") };
    refusal.record_in(&mut entry);
    refusal.response_in(tongue, entry.id().as_str())
}

/// Takes from the fields of a response what is no longer true once its body is decoded. The entity tag stays: who asks for a part by it
/// asks for none that is coded, and services compare it with their own (RFC 9110 §13.1.1).
pub(super) fn describe_decoded(headers: &mut HeaderMap) {
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    DIGESTS.iter().for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(fields: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
        let fields = fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers: HeaderMap = fields.collect();
        ask_for_known(&mut headers);
        let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn t40_only_codings_that_are_known_are_asked_for() {
        let one = |said: &'static str| asked(&[("accept-encoding", said)]).remove(0).1;
        assert_eq!(one("gzip, deflate, br, zstd"), "gzip, deflate, br, zstd");
        assert_eq!(one("br;q=1.0, GZIP;q=0.5, *;q=0"), "br;q=1.0, GZIP;q=0.5");
        assert_eq!(one("gzip, dcb, compress, dcz"), "gzip");
        assert_eq!((one("*").as_str(), one("lzma").as_str(), one("").as_str()), ("identity", "identity", ""));
        assert_eq!(asked(&[]), []);
        assert_eq!(asked(&[("accept-charset", "utf-16")]), []);
        let part = asked(&[("range", "bytes=0-9"), ("accept-encoding", "gzip")]);
        assert!(part.contains(&("accept-encoding".into(), "identity".into())), "{part:?}");
        assert!(asked(&[("range", "bytes=0-9")]).contains(&("accept-encoding".into(), "identity".into())));
        let messages = asked(&[("grpc-accept-encoding", "gzip, identity"), ("sec-websocket-extensions", "permessage-deflate")]);
        assert_eq!(messages, [("grpc-accept-encoding".into(), "identity".into())]);
    }

    #[test]
    fn t40_what_can_not_be_decoded_is_refused() {
        let outcome = |status: u16, said: &'static str| {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(said))]);
            decoder(StatusCode::from_u16(status).expect("a status"), &headers).map(|decoder| decoder.is_some())
        };
        for said in ["gzip", "x-gzip", "BR", "zstd", "deflate", "gzip, br", "identity, gzip"] {
            assert!(matches!(outcome(200, said), Ok(true)), "{said}");
            assert!(outcome(206, said).is_err(), "{said}");
        }
        for said in ["identity", "", "aws-chunked", "UTF-8"] {
            assert!(matches!(outcome(206, said), Ok(false)), "{said}");
        }
        for said in ["compress", "lzma", "gzip, lzma", "gzip, gzip, gzip", "gzip br"] {
            assert!(outcome(200, said).is_err(), "{said}");
        }
    }
}
