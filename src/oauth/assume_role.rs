//! AWS STS AssumeRole: long-lived keys and a role become temporary ones. Not OAuth, yet the same two functions.
//!
//! Source: AWS STS API Reference, "AssumeRole" and "Common Errors"; version 2011-06-15, the Query protocol, answers in XML.

use std::time::SystemTime;

use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use roxmltree::{Document, Node};

use super::reply::{TokenReply, is_token, retry_after};
use super::request::{TokenRequest, Unready, raw};
use super::verdict::Refused;
use crate::model::Secret;
use crate::sign::Unsigned;
use crate::sign::aws::{Defaults, Keys, Plan, sign};

/// Who asks for which role.
#[derive(Debug)]
pub(crate) struct Role<'a> {
    /// The long-lived key's name.
    pub(crate) access_key_id: &'a Secret<String>,
    /// The long-lived key.
    pub(crate) secret_access_key: &'a Secret<String>,
    /// Where the keys are temporary ones already.
    pub(crate) session_token: Option<&'a Secret<String>>,
    /// The region to sign for, where the endpoint's name does not tell.
    pub(crate) region: Option<&'a Secret<String>>,
    /// Form parameters: `RoleArn`, `RoleSessionName`, `ExternalId`, `DurationSeconds`.
    pub(crate) params: &'a [(&'a str, &'a Secret<String>)],
}

/// Temporary keys.
#[derive(Debug)]
pub(crate) struct RoleKeys {
    /// `AccessKeyId`.
    pub(crate) access_key_id: Secret<String>,
    /// `SecretAccessKey`.
    pub(crate) secret_access_key: Secret<String>,
    /// `SessionToken`.
    pub(crate) session_token: Secret<String>,
    /// `Expiration`.
    pub(crate) expires_at: SystemTime,
}

/// Builds the signed request to `url`.
///
/// # Errors
/// When `url` is not https, or cannot be signed for with these keys.
pub(crate) fn assume_role(url: &str, role: &Role<'_>, now: SystemTime) -> Result<TokenRequest, Unready> {
    let uri: Uri = url.parse().map_err(|_malformed: http::uri::InvalidUri| Unready::NotHttps)?;
    let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let target = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let fixed = [("Action", "AssumeRole"), ("Version", "2011-06-15")];
    let given = role.params.iter().map(|(name, value)| (*name, value.expose().as_str()));
    let pairs: Vec<(&str, &str)> = fixed.into_iter().chain(given).collect();
    let body = super::encoding::form(&pairs);
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(host)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let defaults = Defaults { service: Some("sts"), region: role.region.map(|region| region.expose().as_str()) };
    let plan = Plan::of(&headers, &target, host, &defaults)?;
    let keys = Keys {
        access_key_id: role.access_key_id.expose(),
        secret_access_key: role.secret_access_key,
        session_token: role.session_token,
    };
    let unsigned = Unsigned { method: &Method::POST, host, target: &target, headers: &headers, body: Some(&body), time: now };
    let (signed, _no_chunks) = sign(&unsigned, &keys, &plan)?;
    let mut sent = super::request::usual_headers();
    sent.retain(|(name, _)| name != ACCEPT);
    sent.push((ACCEPT, HeaderValue::from_static("text/xml")));
    sent.push((CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")));
    sent.extend(signed.headers);
    raw(Method::POST, url.to_owned(), sent, body)
}

/// Codes that end it: a person must look at the keys or the role.
const FINAL: [&str; 8] = [
    "AccessDenied",
    "InvalidClientTokenId",
    "MalformedPolicyDocument",
    "OptInRequired",
    "RegionDisabledException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "ValidationError",
];

/// Reads the reply to [`assume_role`].
///
/// # Errors
/// [`Refused`] for everything but a 200 with a full set of keys. A signature that is refused for its time is the clock's fault, and so not
/// final.
pub(crate) fn read_role(reply: &TokenReply, now: SystemTime) -> Result<RoleKeys, Refused> {
    let status = reply.status;
    let malformed = |reason| Refused::Malformed { status, reason };
    let retry_after = retry_after(reply, now);
    if status.is_redirection() {
        return Err(malformed("it redirects"));
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Refused::Busy { status, retry_after });
    }
    let body = reply.body.expose();
    if body.len() > super::reply::REPLY_LIMIT {
        return Err(malformed("it is larger than 64 KiB"));
    }
    // The parser's own messages quote; DTDs, and with them entities, are refused by it.
    let text = std::str::from_utf8(body).map_err(|_not_text: std::str::Utf8Error| malformed("it is not text"))?;
    let document = Document::parse(text).map_err(|_quotes: roxmltree::Error| malformed("it is not XML"))?;
    let root = document.root_element();
    if status == StatusCode::OK && root.tag_name().name() == "AssumeRoleResponse" {
        let keys = keys(root).map_err(malformed)?;
        return Ok(RoleKeys { expires_at: reply.by_our_clock(keys.expires_at, now), ..keys });
    }
    let error = child(root, "Error").filter(|_| root.tag_name().name() == "ErrorResponse");
    let said = |name| error.and_then(|error| child(error, name)).and_then(|node| node.text()).unwrap_or_default();
    Err(judge(status, said("Code"), said("Message"), retry_after))
}

fn judge(status: StatusCode, code: &str, message: &str, retry_after: Option<std::time::Duration>) -> Refused {
    let clock = message.starts_with("Signature expired") || message.starts_with("Signature not yet current");
    if clock {
        return Refused::Malformed { status, reason: "it takes this machine's clock to be wrong" };
    }
    if ["Throttling", "ThrottlingException", "RequestLimitExceeded", "IDPCommunicationError"].contains(&code) {
        return Refused::Busy { status, retry_after };
    }
    if ["ExpiredToken", "ExpiredTokenException"].contains(&code) {
        return Refused::InvalidGrant { code: "ExpiredToken" };
    }
    match FINAL.iter().find(|known| **known == code) {
        Some(known) => Refused::InvalidClient { code: known },
        None => Refused::Malformed { status, reason: "it holds no keys and no error that we know" },
    }
}

fn keys(root: Node<'_, '_>) -> Result<RoleKeys, &'static str> {
    let credentials = child(root, "AssumeRoleResult").and_then(|result| child(result, "Credentials"));
    let credentials = credentials.ok_or("it has no Credentials")?;
    let text = |name| {
        let value = child(credentials, name).and_then(|node| node.text()).map(|text| Secret::new(text.trim().to_owned()));
        value.filter(is_token).ok_or("a part of the keys is missing or has bytes that no key has")
    };
    let end = text("Expiration")?.expose().parse::<jiff::Timestamp>();
    let end = end.map_err(|_not_a_time: jiff::Error| "its Expiration is not a time of RFC 3339")?;
    Ok(RoleKeys {
        access_key_id: text("AccessKeyId")?,
        secret_access_key: text("SecretAccessKey")?,
        session_token: text("SessionToken")?,
        expires_at: SystemTime::from(end),
    })
}

/// The one child of this name; of several none.
fn child<'a, 'd>(node: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
    let mut found = node.children().filter(|child| child.is_element() && child.tag_name().name() == name);
    let first = found.next();
    if found.next().is_some() { None } else { first }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use bytes::Bytes;
    use http::header::AUTHORIZATION;
    use proptest::prelude::*;

    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn answer(status: u16, body: &str) -> Result<RoleKeys, Refused> {
        let reply = TokenReply {
            status: StatusCode::from_u16(status).expect("a status"),
            content_type: Some(HeaderValue::from_static("text/xml")),
            retry_after: None,
            date: None,
            body: Secret::new(body.as_bytes().to_vec()),
        };
        read_role(&reply, NOW)
    }

    /// In the form of the API Reference's example.
    const GOOD: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
        <AssumedRoleUser><AssumedRoleId>AROA:nexus</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/nexus</Arn></AssumedRoleUser>
        <Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>wJalr/XUtn+K=</SecretAccessKey>
        <SessionToken>AQoDYXdzEPT//////////w==</SessionToken><Expiration>2019-11-09T13:34:41Z</Expiration></Credentials>
        </AssumeRoleResult><ResponseMetadata><RequestId>c6</RequestId></ResponseMetadata></AssumeRoleResponse>"#;

    fn error(code: &str, message: &str) -> String {
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>c6</RequestId></ErrorResponse>"
        )
    }

    #[test]
    fn the_request_is_signed_for_the_endpoints_region_and_keeps_the_secret_out() {
        let (id, key) = (secret("AKIDEXAMPLE"), secret("hunter2/secret"));
        let (arn, name) = (secret("arn:aws:iam::1:role/r"), secret("nexus"));
        let params = [("RoleArn", &arn), ("RoleSessionName", &name)];
        let role = Role { access_key_id: &id, secret_access_key: &key, session_token: None, region: None, params: &params };
        let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let request = assume_role("https://sts.eu-west-1.amazonaws.com/", &role, now).expect("a request");
        let body = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=nexus";
        assert_eq!(request.body(), Bytes::from_static(body.as_bytes()));
        let (_, value) = request.headers.iter().find(|(name, _)| name == AUTHORIZATION).expect("a signature");
        let start =
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;";
        assert!(value.is_sensitive() && value.to_str().expect("text").starts_with(start), "{value:?}");
        assert!(!format!("{request:?} {role:?}").contains("hunter2"));
        let elsewhere = assume_role("https://sts.test/", &role, now).expect_err("no region");
        assert!(matches!(elsewhere, Unready::Aws(_)), "{elsewhere:?}");
        assert!(matches!(assume_role("http://sts.eu-west-1.amazonaws.com/", &role, now), Err(Unready::NotHttps)));
    }

    #[test]
    fn keys_come_with_their_end() {
        let keys = answer(200, GOOD).expect("keys");
        assert!(keys.access_key_id.matches("ASIAIOSFODNN7EXAMPLE") && keys.secret_access_key.matches("wJalr/XUtn+K="));
        assert!(keys.session_token.matches("AQoDYXdzEPT//////////w=="));
        assert_eq!(keys.expires_at, UNIX_EPOCH + Duration::from_secs(1_573_306_481));
        assert!(!format!("{keys:?}").contains("wJalr"));
    }

    #[test]
    fn t130_odd_xml_is_refused() {
        let entity = format!("<!DOCTYPE a [<!ENTITY b \"x\">]>{GOOD}");
        let twice = GOOD.replace("<Credentials>", "<Credentials/><Credentials>");
        let deep = "<a>".repeat(20_000);
        for body in ["", "{}", "<html></html>", entity.as_str(), twice.as_str(), deep.as_str()] {
            assert!(matches!(answer(200, body), Err(Refused::Malformed { .. })), "{}", body.get(..40).unwrap_or(body));
        }
        for part in ["ASIAIOSFODNN7EXAMPLE", "wJalr/XUtn+K=", "AQoDYXdzEPT//////////w==", "2019-11-09T13:34:41Z"] {
            for other in ["", "a b", "é"] {
                assert!(matches!(answer(200, &GOOD.replace(part, other)), Err(Refused::Malformed { .. })), "{part} {other}");
            }
        }
        assert!(matches!(answer(302, GOOD), Err(Refused::Malformed { .. })));
    }

    #[test]
    fn t124_only_what_a_person_can_mend_is_final() {
        for (status, code, message, last) in [
            (403, "AccessDenied", "User is not authorized", true),
            (403, "InvalidClientTokenId", "The security token is invalid", true),
            (403, "SignatureDoesNotMatch", "The request signature we calculated does not match", true),
            (403, "SignatureDoesNotMatch", "Signature expired: 20150830T123600Z is now earlier than", false),
            (403, "ExpiredToken", "The security token included is expired", true),
            (400, "ValidationError", "1 validation error", true),
            (400, "Throttling", "Rate exceeded", false),
            (403, "SomethingNew", "x", false),
            (500, "AccessDenied", "x", false),
            (429, "AccessDenied", "x", false),
        ] {
            let refused = answer(status, &error(code, message)).expect_err("a refusal");
            assert_eq!(refused.is_final(), last, "{status} {code} {message}");
        }
        assert!(answer(403, "<html>captive</html>").is_err_and(|refused| !refused.is_final()));
    }

    #[test]
    fn i1_a_refusal_shows_no_word_of_the_reply() {
        let refused = answer(403, &error("AccessDenied", "hunter2")).expect_err("a refusal");
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn i7_no_text_panics_the_reader(status in 100u16..1000, text in "\\PC{0,300}", cut in 0usize..1000) {
            prop_assert!(answer(status, &text).is_err());
            let cut = GOOD.get(..cut).unwrap_or(GOOD);
            prop_assert_eq!(answer(200, cut).is_ok(), cut.len() == GOOD.len());
        }
    }
}
