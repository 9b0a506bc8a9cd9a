//! In which words a refusal is told: the SDKs of one vendor read their own service's errors only, and show nothing of any other.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

/// The form of a refusal's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tongue {
    /// A problem document (RFC 9457), for everybody else.
    Problem,
    /// The same with the members that AWS's JSON protocols name an error by: `__type` and `message`.
    AwsJson,
    /// The error of AWS's Query protocol.
    AwsQuery,
    /// The error of Amazon S3.
    AwsStorage,
}

impl Tongue {
    /// What whoever sent these fields reads.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let signed = |value: &&HeaderValue| value.as_bytes().starts_with(b"AWS");
        let signature = headers.get(AUTHORIZATION).filter(signed).and_then(|value| value.to_str().ok());
        let Some(signature) = signature.filter(|text| text.starts_with("AWS4-") || text.starts_with("AWS ")) else {
            return Self::Problem;
        };
        let form =
            || headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        match signature {
            _ if signature.contains("/s3/aws4_request") || signature.starts_with("AWS ") => Self::AwsStorage,
            _ if form() => Self::AwsQuery,
            _ => Self::AwsJson,
        }
    }

    /// The XML of an error; `None` where JSON is read.
    pub(super) fn xml(self, kind: &str, detail: &str, request_id: &str) -> Option<String> {
        let error = format!("<Code>NexusRefusal.{kind}</Code><Message>{}</Message>", escaped(detail));
        match self {
            Self::Problem | Self::AwsJson => None,
            Self::AwsStorage => Some(format!("<Error>{error}<RequestId>{request_id}</RequestId></Error>")),
            Self::AwsQuery => Some(format!(
                "<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            )),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(signature: &str, kind: &'static str) -> Tongue {
        let signature = HeaderValue::from_str(signature).expect("a value");
        Tongue::of(&[(AUTHORIZATION, signature), (CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect())
    }

    #[test]
    fn a_caller_that_signs_for_aws_is_told_as_aws_would() {
        let signed = |service: &str| {
            format!("AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host")
        };
        assert_eq!(of(&signed("s3"), "text/plain"), Tongue::AwsStorage);
        assert_eq!(of("AWS AKIA:x", ""), Tongue::AwsStorage);
        assert_eq!(of(&signed("sts"), "application/x-www-form-urlencoded; charset=utf-8"), Tongue::AwsQuery);
        assert_eq!(of(&signed("dynamodb"), "application/x-amz-json-1.0"), Tongue::AwsJson);
        assert_eq!(of("Bearer AWS4-", "application/json"), Tongue::Problem);
        assert_eq!(Tongue::of(&HeaderMap::new()), Tongue::Problem);
        let xml = Tongue::AwsStorage.xml("policy", "a <b> & c", "1").expect("XML");
        assert_eq!(
            xml,
            "<Error><Code>NexusRefusal.policy</Code><Message>a &lt;b&gt; &amp; c</Message><RequestId>1</RequestId></Error>"
        );
        assert_eq!(Tongue::Problem.xml("policy", "a", "1"), None);
    }
}
