//! What a caller's signature says, and which are refused.

use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::sign::aws::{Asked, Error, Place};

const GOOD: &str = "AWS4-HMAC-SHA256 Credential=PLACEHOLDER/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-date,\
                    Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

const QUERY: &str = "/k?a=b&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=PLACEHOLDER%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                     &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host%3Brange\
                     &X-Amz-Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

fn in_header(authorization: &str, date: (&'static str, &str)) -> Result<Option<Asked>, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_bytes(authorization.as_bytes()).unwrap());
    headers.insert(date.0, date.1.parse().unwrap());
    Asked::of(&headers, &"/".parse().unwrap())
}

fn in_query(target: &str) -> Result<Option<Asked>, Error> {
    Asked::of(&HeaderMap::new(), &target.parse().unwrap())
}

const DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");

#[test]
fn a_signature_in_the_header_is_read_with_and_without_spaces() {
    for text in [GOOD.to_owned(), GOOD.replace(',', ", ")] {
        let asked = in_header(&text, DATE).unwrap().unwrap();
        assert_eq!(asked.access_key_id, "PLACEHOLDER");
        assert_eq!((asked.scope.region.as_str(), asked.scope.service.as_str()), ("us-east-1", "s3"));
        assert_eq!(asked.signed, ["host", "range", "x-amz-date"]);
        assert_eq!(asked.time, SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600));
        assert_eq!(asked.place, Place::Header);
    }
    let dated = in_header(GOOD, ("date", "Fri, 24 May 2013 00:00:00 GMT")).unwrap().unwrap();
    assert_eq!(Some(dated), in_header(GOOD, DATE).unwrap());
}

#[test]
fn a_signature_in_the_query_is_read() {
    let asked = in_query(QUERY).unwrap().unwrap();
    assert_eq!(asked.place, Place::Query { expires: 86_400 });
    assert_eq!(asked.signed, ["host", "range"]);
    assert_eq!((asked.scope.region.as_str(), asked.scope.service.as_str()), ("us-east-1", "s3"));
}

#[test]
fn a_request_without_an_aws_signature_asks_for_nothing() {
    assert!(in_query("/?X-Amz-Target=a&x=y").unwrap().is_none());
    assert!(in_header("Bearer placeholder", DATE).unwrap().is_none());
}

#[test]
fn ill_formed_signatures_in_the_header_are_refused_with_a_reason() {
    let reason = |from: &str, to: &str| in_header(&GOOD.replace(from, to), DATE).unwrap_err().to_string();
    for (from, to, expected) in [
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256", "nothing follows the algorithm"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "signed with SigV4A"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", "\"AWS4-HMAC-SHA512\""),
        ("AWS4-HMAC-SHA256", "AWS", "signature version 2"),
        ("Signature=", "Sig=", "none of Credential"),
        ("Signature=", "Signature", "has no ="),
        ("SignedHeaders=", "Signature=", "stands twice"),
        ("PLACEHOLDER/", "", "is not KEY/DATE"),
        ("PLACEHOLDER/", "a/b/", "is not KEY/DATE"),
        ("PLACEHOLDER/", "/", "access key id is empty"),
        ("aws4_request", "aws5_request", "is not KEY/DATE"),
        ("us-east-1", "us east 1", "can't be an AWS region"),
        ("us-east-1", "", "can't be an AWS region"),
        ("/s3/", "/s3%0a/", "can't be an AWS service"),
        ("20130524", "20130525", "not the date of the request"),
        ("Signature=f0", "Signature=F0", "64 lower-case hex"),
        ("Signature=f0", "Signature=0", "64 lower-case hex"),
        ("host;range", "range", "host is not among"),
        ("host;range", "host;;range", "lower-case names"),
        ("host;range", "Host;range", "lower-case names"),
        ("host", "h\u{f6}st", "a character that no signature has"),
    ] {
        let text = reason(from, to);
        assert!(text.contains(expected), "{from} -> {to}: {text}");
    }
    for (name, value, expected) in [
        ("x-amz-date", "20130524T000000", "not of the form"),
        ("x-amz-date", "20130524T250000Z", "not of the form"),
        ("x-amz-date", "20130524000000ZZ", "not of the form"),
        ("date", "Fri, 24 Mai 2013", "can't be read"),
        ("x-date", "20130524T000000Z", "x-amz-date is missing"),
    ] {
        let text = in_header(GOOD, (name, value)).unwrap_err().to_string();
        assert!(text.contains(expected), "{name} {value}: {text}");
    }
}

#[test]
fn ill_formed_signatures_in_the_query_are_refused_with_a_reason() {
    for (from, to, expected) in [
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", "X-Amz-Algorithm is missing"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "SigV4A"),
        ("X-Amz-Credential=", "Credential=", "credential is missing"),
        ("X-Amz-Date=", "Date=", "X-Amz-Date is missing"),
        ("X-Amz-Expires=", "Expires=", "X-Amz-Expires is missing"),
        ("=86400", "=0", "asks to live 0 seconds"),
        ("=86400", "=604801", "1 to 604800"),
        ("=86400", "=%2B60", "1 to 604800"),
        ("X-Amz-Signature=", "Signature=", "signature is missing"),
        ("a=b", "x-amz-date=20130524T000000Z", "more than one"),
        ("a=b", "AWSAccessKeyId=x", "signature version 2"),
    ] {
        let text = in_query(&QUERY.replace(from, to)).unwrap_err().to_string();
        assert!(text.contains(expected), "{from} -> {to}: {text}");
    }
    assert!(in_query(&QUERY.replace("=86400", "=604800")).is_ok());
}

#[test]
fn two_signatures_are_one_too_many() {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, GOOD.parse().unwrap());
    headers.insert(DATE.0, DATE.1.parse().unwrap());
    assert!(matches!(Asked::of(&headers, &QUERY.parse().unwrap()), Err(Error::Twice)));
    headers.append(AUTHORIZATION, "Bearer x".parse().unwrap());
    assert!(matches!(Asked::of(&headers, &"/".parse().unwrap()), Err(Error::Twice)));
}
