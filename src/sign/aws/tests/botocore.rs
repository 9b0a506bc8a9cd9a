//! Vectors made with botocore 1.44.5 (`SigV4Auth`, `S3SigV4Auth`, `SigV4QueryAuth`, `S3SigV4QueryAuth`), its clock at
//! 2026-03-14T15:09:26Z.

use super::{Case, EXAMPLE};
use crate::sign::aws::Body;

const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJH+abc==";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const DYNAMODB: Case<'static> = Case {
    method: "POST",
    host: "dynamodb.eu-west-1.amazonaws.com",
    target: "/",
    headers: &[
        ("x-amz-target", "DynamoDB_20120810.ListTables"),
        ("content-type", "application/x-amz-json-1.0"),
        ("user-agent", "Boto3/1.0"),
    ],
    body: Some(br#"{"Limit": 10}"#),
    scope: ("eu-west-1", "dynamodb"),
    time: 1_773_500_966,
    keys: EXAMPLE,
};

const S3: Case<'static> = Case {
    method: "GET",
    host: "bucket.s3.eu-west-1.amazonaws.com",
    target: "/",
    headers: &[("x-amz-content-sha256", EMPTY)],
    body: None,
    scope: ("eu-west-1", "s3"),
    ..DYNAMODB
};

#[test]
fn a_call_of_dynamodb() {
    let signing = DYNAMODB.in_header();
    assert_eq!(
        signing.header("authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260314/eu-west-1/dynamodb/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
         Signature=2fd872ffdde8d15e82e861117a7e8827e2ed6bbc2f64f02dd68e32f51ce80c44"
    );
    assert_eq!((signing.signed.headers.len(), signing.body), (2, Body::Whole));
}

#[test]
fn a_call_with_a_session_token() {
    let signing = Case { keys: (EXAMPLE.0, EXAMPLE.1, Some(TOKEN)), ..DYNAMODB }.in_header();
    assert_eq!(signing.signature(), "081db36d8f234391dc955759e9c6bde0a7c66a76c1619aee19aff5f39aa479e9");
    assert_eq!(signing.header("x-amz-security-token"), TOKEN);
}

#[test]
fn odd_keys_of_s3_are_neither_normalized_nor_encoded_twice() {
    let odd = Case { target: "/a%20b/%C3%BC%2B~//x", ..S3 }.in_header();
    assert_eq!(odd.signature(), "6ba31161f1fd5e0ad399711a3e9d4b5faec9dd882bec12edffa963b9e5d4e9d6");
    let dots = Case { target: "/a/../b/./c", ..S3 }.in_header();
    assert_eq!(dots.signature(), "f37cd31d54e93459217e4abd6fa5fd75adf0cd4520b5ac13a4201569d534830f");
}

#[test]
fn repeated_and_empty_parameters() {
    let target = "/?list-type=2&prefix=a%2Fb%20c&delimiter=&start-after=x&x-id=B&x-id=A";
    let s3 = Case { target, keys: (EXAMPLE.0, EXAMPLE.1, Some(TOKEN)), ..S3 }.in_header();
    assert_eq!(s3.signature(), "d4137084a19ce0c96a060a4f90773fc0f47f8a0c66a4ba702fba30d4d2eb824d");
    let ec2 = Case {
        method: "GET",
        host: "ec2.us-east-1.amazonaws.com",
        target: "/x/../a%20b//c/?b=2&a=&b=1&Aa=~",
        headers: &[],
        body: Some(b""),
        scope: ("us-east-1", "ec2"),
        ..DYNAMODB
    };
    assert_eq!(ec2.in_header().signature(), "6427e22ea03efbfb2f9b260d96f2b257dde06a6db17d1bdb51ded8724131a88f");
}

#[test]
fn a_path_that_is_encoded_twice() {
    let case = Case {
        host: "lambda.us-east-1.amazonaws.com",
        target: "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af/invocations",
        headers: &[("x-amz-invocation-type", "Event")],
        body: Some(b"{}"),
        scope: ("us-east-1", "lambda"),
        ..DYNAMODB
    };
    assert_eq!(case.in_header().signature(), "5ff20a1223af2bf5c0216af39e37b4a1f17fb9240b607ab82f7c85bc4fe7a236");
}

#[test]
fn a_presigned_upload_with_more_headers_and_a_token_keeps_the_order_of_its_parameters() {
    let signing = Case {
        method: "PUT",
        target: "/k%20ey?partNumber=1&uploadId=a%2Bb",
        headers: &[
            ("x-amz-meta-a", " two  words "),
            ("content-type", "text/plain"),
            ("x-amz-server-side-encryption", "AES256"),
        ],
        keys: (EXAMPLE.0, EXAMPLE.1, Some(TOKEN)),
        ..S3
    }
    .in_query(900);
    assert_eq!(signing.signature(), "38b68b60eb2d6698de95e6a29e518b040a97ba17497d9f446c3e30b33d2c62dd");
    let target = signing.signed.target.unwrap();
    assert!(target.as_str().starts_with("/k%20ey?partNumber=1&uploadId=a%2Bb&X-Amz-Algorithm="), "{target}");
    assert_eq!(target.as_str().matches("X-Amz-Security-Token=").count(), 1);
    assert_eq!(target.as_str().matches("X-Amz-Signature=").count(), 1);
}

#[test]
fn a_presigned_call_as_clusters_send_it_for_a_token() {
    let case = Case {
        method: "GET",
        host: "sts.eu-west-1.amazonaws.com",
        target: "/?Action=GetCallerIdentity&Version=2011-06-15",
        headers: &[("x-k8s-aws-id", "my-cluster")],
        body: Some(b""),
        scope: ("eu-west-1", "sts"),
        ..DYNAMODB
    };
    assert_eq!(case.in_query(60).signature(), "d608458ff1ae1dadf2cca6bacf6fbc1995d3734a672db2773a99247ed6a07170");
}
