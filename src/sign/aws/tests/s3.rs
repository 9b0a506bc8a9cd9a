//! The examples of the Amazon S3 API Reference: "Signature Calculations for the Authorization Header" and "Authenticating Requests:
//! Using Query Parameters".

use super::{Case, LIST};
use crate::sign::aws::Body;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn get_object() {
    let headers = &[("range", "bytes=0-9"), ("x-amz-content-sha256", EMPTY)];
    let signing = Case { target: "/test.txt", headers, ..LIST }.in_header();
    assert_eq!(
        signing.header("authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
         Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
    assert_eq!((signing.header("x-amz-date"), signing.body), ("20130524T000000Z", Body::Streamed));
}

#[test]
fn put_object() {
    let headers = &[
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
    ];
    let case = Case { method: "PUT", target: "/test%24file.text", headers, ..LIST };
    let signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
    assert_eq!(case.in_header().signature(), signature);
    // S3 decodes a path before it encodes it, so a bare letter is the same.
    assert_eq!(Case { target: "/test$file.text", ..case }.in_header().signature(), signature);
}

#[test]
fn get_bucket_lifecycle_and_list_objects() {
    let headers = &[("x-amz-content-sha256", EMPTY)];
    let lifecycle = Case { target: "/?lifecycle", headers, ..LIST }.in_header();
    assert_eq!(lifecycle.signature(), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    let list = Case { headers, ..LIST }.in_header();
    assert_eq!(list.signature(), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

#[test]
fn a_presigned_url() {
    let signing = Case { target: "/test.txt", ..LIST }.in_query(86_400);
    assert_eq!(
        signing.signed.target.unwrap(),
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
}

#[test]
fn unsigned_payloads_are_stated_as_the_caller_did() {
    for word in ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"] {
        let signing = Case { headers: &[("x-amz-content-sha256", word)], ..LIST }.in_header();
        assert_eq!((signing.header("x-amz-content-sha256"), signing.body), (word, Body::Streamed));
    }
}
