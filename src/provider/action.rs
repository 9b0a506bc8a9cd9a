//! Calls that a path doesn't tell apart: AWS's Query and JSON protocols name them in a parameter or a header.

use http::HeaderMap;

use super::body::may_be_form;
use super::rule::InjectRule;
use super::slot::{decode_form, query_name};

/// The parameter of the Query protocol.
const PARAMETER: &[u8] = b"Action";
/// The header of the JSON protocols: `Service_20260101.Action`.
const HEADER: &str = "x-amz-target";

impl InjectRule {
    /// Whether the body must be at hand to tell which call it is.
    pub fn needs_body_for_actions(&self, headers: &HeaderMap) -> bool {
        !self.mint_actions.is_empty() && may_be_form(headers)
    }

    /// Whether the answer carries a new credential, by the name of the call; any name that stands there counts.
    pub fn mints_by_action(&self, headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> bool {
        if self.mint_actions.is_empty() {
            return false;
        }
        let minted = |name: &[u8]| self.mint_actions.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name.trim_ascii()));
        let parameter = |piece: &[u8]| {
            let value = piece.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default();
            query_name(piece).trim_ascii().eq_ignore_ascii_case(PARAMETER) && minted(&decode_form(value))
        };
        let form = if may_be_form(headers) { body } else { &[] };
        let named = |value: &http::HeaderValue| value.as_bytes().rsplit(|byte| *byte == b'.').next().is_some_and(minted);
        headers.get_all(HEADER).iter().any(named)
            || query.unwrap_or_default().as_bytes().split(|byte| *byte == b'&').any(parameter)
            || form.split(|byte| *byte == b'&').any(parameter)
    }
}

#[cfg(test)]
mod tests {
    use crate::provider::Catalogue;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn t44_i1_a_call_that_answers_with_new_keys_is_told_by_its_name() {
        let catalogue = Catalogue::builtin();
        let rule = &catalogue.get(&"aws".parse().expect("a name")).expect("it ships").inject[0];
        let form: HeaderMap =
            [(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"))]
                .into_iter()
                .collect();
        let none = HeaderMap::new();
        for body in [
            "Action=GetSessionToken&Version=2011-06-15",
            "a=1&%41ction=AssumeRole",
            "action=createaccesskey",
            "Action=GetCallerIdentity&Action=AssumeRole",
        ] {
            assert!(
                rule.mints_by_action(&form, None, body.as_bytes()) && rule.mints_by_action(&none, Some(body), b""),
                "{body}"
            );
            assert!(rule.mints_by_action(&none, None, body.as_bytes()), "without a type: {body}");
        }
        let target: HeaderMap = [(
            http::HeaderName::from_static("x-amz-target"),
            HeaderValue::from_static("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
        )]
        .into_iter()
        .collect();
        assert!(rule.mints_by_action(&target, None, b"{}"));
        assert!(!rule.mints_by_action(&form, Some("Action=DescribeInstances"), b"Action=GetCallerIdentity"));
        assert!(rule.needs_body_for_actions(&form));
    }
}
