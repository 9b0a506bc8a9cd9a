//! Calls that a path doesn't tell apart: AWS's Query and JSON protocols name them in a parameter or a header.

use std::str::FromStr;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::body::may_be_form;
use super::rule::InjectRule;
use super::slot::{decode_form, query_name};

/// The parameter of the Query protocol.
const PARAMETER: &[u8] = b"Action";
/// The header of the JSON protocols: `Service_20260101.Action`.
const HEADER: &str = "x-amz-target";

/// A call by its name, as IAM writes it: `sts:AssumeRole`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The signing name of the service that knows it; `None` = whichever it is.
    service: Option<Box<str>>,
    name: Box<str>,
}

/// Not `SERVICE:NAME` or `NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a call such as \"sts:AssumeRole\" or \"AssumeRole\": letters, digits and -")]
pub struct ActionError;

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let word = |word: &str| {
            let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            plain.then(|| word.into()).ok_or(ActionError)
        };
        Ok(match text.split_once(':') {
            Some((service, name)) => Self { service: Some(word(service)?), name: word(name)? },
            None => Self { service: None, name: word(text)? },
        })
    }
}

impl Action {
    /// The path that the CBOR protocol gives it (Smithy, "RPC v2 CBOR").
    pub(super) fn path(&self) -> String {
        format!("/service/*/operation/{}", self.name)
    }

    fn is(&self, name: &[u8]) -> bool {
        self.name.as_bytes().eq_ignore_ascii_case(name.trim_ascii())
    }
}

impl InjectRule {
    /// Whether the body must be at hand to tell which call it is, where the request will be signed for `service` if that is known.
    pub fn needs_body_for_actions(&self, headers: &HeaderMap, service: Option<&str>) -> bool {
        let known_to = |action: &Action| match (&action.service, service) {
            // A service takes a signature for itself only, and reads a form whatever its type says.
            (Some(own), Some(service)) => **own == *service && !is_another_protocol(headers),
            _ => may_be_form(headers),
        };
        self.mint_actions.iter().any(known_to)
    }

    /// Whether the answer to a request with this query carries a new credential; any name that stands there counts.
    pub fn mints_by_query(&self, query: Option<&str>) -> bool {
        !self.mint_actions.is_empty() && query.is_some_and(|query| self.names_a_mint(query.as_bytes()))
    }

    /// The same by the fields and the body.
    pub fn mints_by_content(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let minted = |name: &[u8]| self.mint_actions.iter().any(|action| action.is(name));
        let named = |value: &http::HeaderValue| value.as_bytes().rsplit(|byte| *byte == b'.').next().is_some_and(minted);
        !self.mint_actions.is_empty() && (headers.get_all(HEADER).iter().any(named) || self.names_a_mint(body))
    }

    fn names_a_mint(&self, form: &[u8]) -> bool {
        form.split(|byte| *byte == b'&').any(|piece| {
            let value = piece.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default();
            let said = decode_form(value);
            query_name(piece).trim_ascii().eq_ignore_ascii_case(PARAMETER)
                && self.mint_actions.iter().any(|action| action.is(&said))
        })
    }
}

/// Whether the body is of AWS's JSON or CBOR protocols, without doubt.
fn is_another_protocol(headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(CONTENT_TYPE).iter();
    let first = said.next().map(|value| value.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    said.next().is_none() && !first.contains(&b',') && (first.starts_with(b"application/x-amz-"))
}

#[cfg(test)]
mod tests {
    use super::{Action, ActionError};
    use crate::provider::Catalogue;
    use http::{HeaderMap, HeaderValue, Method};

    fn typed(kind: &'static str) -> HeaderMap {
        [(http::header::CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect()
    }

    #[test]
    fn t44_i1_a_call_that_answers_with_new_keys_is_told_by_its_name() {
        let catalogue = Catalogue::builtin();
        let rule = &catalogue.get(&"aws".parse().expect("a name")).expect("it ships").inject[0];
        let form = typed("application/x-www-form-urlencoded; charset=utf-8");
        for body in [
            "Action=GetSessionToken&Version=2011-06-15",
            "a=1&%41ction=AssumeRole",
            "action=createaccesskey",
            "Action=GetCallerIdentity&Action=AssumeRole",
        ] {
            assert!(rule.mints_by_content(&form, body.as_bytes()) && rule.mints_by_query(Some(body)), "{body}");
        }
        let target: HeaderMap = [(
            http::HeaderName::from_static("x-amz-target"),
            HeaderValue::from_static("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
        )]
        .into_iter()
        .collect();
        assert!(rule.mints_by_content(&target, b"{}"));
        assert!(rule.mints(&Method::POST, "/service/STS/operation/Assume%52ole"));
        assert!(!rule.mints_by_content(&form, b"Action=GetCallerIdentity"));
        assert!(!rule.mints_by_query(Some("Action=DescribeInstances")) && !rule.mints_by_query(None));
    }

    #[test]
    fn t44_i1_a_body_is_looked_into_whatever_it_says_it_is_where_the_service_knows_such_a_call() {
        let catalogue = Catalogue::builtin();
        let rule = &catalogue.get(&"aws".parse().expect("a name")).expect("it ships").inject[0];
        for kind in ["application/x-www-form-urlencoded", "application/octet-stream", "multipart/form-data", "application/json"]
        {
            assert!(rule.needs_body_for_actions(&typed(kind), Some("sts")), "{kind}");
            // An object of any size and type.
            assert!(!rule.needs_body_for_actions(&typed(kind), Some("s3")), "{kind}");
        }
        assert!(rule.needs_body_for_actions(&HeaderMap::new(), Some("iam")));
        assert!(!rule.needs_body_for_actions(&typed("application/x-amz-json-1.1"), Some("ecr")));
        let mut doubtful = typed("application/x-amz-json-1.1");
        doubtful.append(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        assert!(rule.needs_body_for_actions(&doubtful, Some("sts")));
    }

    #[test]
    fn an_action_is_a_name_with_or_without_its_service() {
        let parse = |text: &str| text.parse::<Action>();
        assert_eq!(parse("sts:AssumeRole").map(|action| action.path()), Ok("/service/*/operation/AssumeRole".to_owned()));
        assert!(parse("AssumeRole").is_ok());
        for bad in ["", ":", "sts:", ":AssumeRole", "sts:a:b", "a b", "a*", "sts:Assume/Role"] {
            assert_eq!(parse(bad), Err(ActionError), "{bad}");
        }
    }
}
