//! Held against what Microsoft's SDKs for Python sent (azure-storage-blob 12.31, azure-storage-queue 12.18, azure-data-tables 12.7,
//! requests caught in a transport of our own) and against the examples of "Authorize with Shared Key".

use std::time::{Duration, SystemTime};

use http::Method;

use super::*;

/// The base64 of the bytes 0 to 63.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
/// Sun, 22 Nov 2026 09:18:51 GMT, when the SDKs signed.
const NOW: u64 = 1_795_339_131;

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn signed(method: &str, url: &str, headers: &HeaderMap) -> Result<Signed, Error> {
    let (host, rest) = url.split_once('/').expect("a path");
    let target = format!("/{rest}").parse().expect("a target");
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let request = Unsigned { method: &method, host, target: &target, headers, body: None, time };
    sign("myaccount", &Secret::new(KEY.to_owned()), &request)
}

fn field(signed: &Signed, name: &str) -> Option<String> {
    signed.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.to_str().expect("ASCII").to_owned())
}

fn authorization(method: &str, url: &str, headers: &[(&'static str, &'static str)]) -> String {
    let signed = signed(method, url, &fields(headers)).expect("signs");
    assert_eq!(field(&signed, "x-ms-date").as_deref(), Some("Sun, 22 Nov 2026 09:18:51 GMT"));
    field(&signed, "authorization").expect("a signature")
}

#[test]
fn an_upload_with_metadata_is_signed_as_the_sdk_does() {
    let headers = [
        ("content-length", "11"),
        ("x-ms-meta-a_b", "1"),
        ("x-ms-meta-ab", "2"),
        ("x-ms-meta-a1", "x  y"),
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-version", "2026-10-06"),
        ("content-type", "application/octet-stream"),
        ("accept", "application/xml"),
        ("x-ms-client-request-id", "bb67cfa6-e655-11f1-8e17-02fc00000001"),
    ];
    assert_eq!(
        authorization("PUT", "myaccount.blob.core.windows.net/my-container/dir/%C3%A4%20b%2Bc.txt", &headers),
        "SharedKey myaccount:/CeTTyxEDkS88EcrsFLXgziJf21FVpR9erC5qG0iYYA="
    );
}

#[test]
fn a_listing_and_a_queue_message_are_signed_as_the_sdk_does() {
    let listing = [("x-ms-version", "2026-10-06"), ("x-ms-client-request-id", "bb68bc72-e655-11f1-8e17-02fc00000001")];
    let url = "myaccount.blob.core.windows.net/my-container?restype=container&comp=list&prefix=a%20b%2F%26%2B&include=snapshots,metadata";
    assert_eq!(authorization("GET", url, &listing), "SharedKey myaccount:iOCa3fVWa9NUXLNkRHfD58/Cx7HU/IsyTSeZmCZzduI=");
    let message = [
        ("content-length", "97"),
        ("content-type", "application/xml"),
        ("x-ms-version", "2026-10-06"),
        ("x-ms-client-request-id", "bb6916d6-e655-11f1-8e17-02fc00000001"),
    ];
    let url = "myaccount.queue.core.windows.net/q/messages?visibilitytimeout=5";
    assert_eq!(authorization("POST", url, &message), "SharedKey myaccount:ZxMi/XtAqPWn/JoAZ25k9//M6vqNfcfosjdbGz5b4Dc=");
}

#[test]
fn table_requests_are_signed_as_the_sdk_does() {
    let url = "myaccount.table.core.windows.net/people()?$filter=Name%20eq%20%27O%27%27Brien%27";
    assert_eq!(authorization("GET", url, &[]), "SharedKey myaccount:GWxdjzKnhiyjzoWz4oWccJeAezuMopcAhPN2/dZZqfA=");
    let url = "myaccount.table.core.windows.net/?restype=service&comp=properties";
    assert_eq!(authorization("GET", url, &[]), "SharedKey myaccount:wyLQj1GTAsPO2S23+cBbULxQS75K8GHxltQgvK98cls=");
    let entity = [("content-type", "application/json;odata=nometadata"), ("content-length", "112")];
    let url = "myaccount.table.core.windows.net/people";
    assert_eq!(authorization("POST", url, &entity), "SharedKey myaccount:YvoZPioY47DqvsH7Gy6O/CVulSXRT3s7/1o0bBjuuRo=");
}

#[test]
fn the_callers_own_date_and_signature_count_for_nothing() {
    let url = "myaccount.queue.core.windows.net/q/messages?visibilitytimeout=5";
    let with = [("x-ms-date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("date", "Thu, 01 Jan 1970 00:00:00 GMT")];
    assert_eq!(authorization("GET", url, &with), authorization("GET", url, &[]));
}

#[test]
fn a_version_is_added_only_where_there_is_none() {
    let blob = signed("GET", "myaccount.blob.core.windows.net/c", &HeaderMap::new()).expect("signs");
    assert_eq!(field(&blob, "x-ms-version").as_deref(), Some("2021-12-02"));
    let table = signed("GET", "myaccount.table.core.windows.net/Tables", &HeaderMap::new()).expect("signs");
    assert_eq!(field(&table, "x-ms-version").as_deref(), Some("2019-02-02"));
    let given = signed("GET", "myaccount.blob.core.windows.net/c", &fields(&[("x-ms-version", "2020-10-02")])).expect("signs");
    assert_eq!(field(&given, "x-ms-version"), None);
    assert!(given.headers.iter().any(|(name, value)| name == "authorization" && value.is_sensitive()));
}

fn message(url: &str, method: &Method, headers: &HeaderMap) -> String {
    let (host, rest) = url.split_once('/').expect("a path");
    let target = format!("/{rest}").parse().expect("a target");
    let request = Unsigned { method, host, target: &target, headers, body: None, time: SystemTime::UNIX_EPOCH };
    String::from_utf8(blob_message("myaccount", &request, headers).expect("a message")).expect("ASCII")
}

/// "Authorize with Shared Key", the example of Get Container Metadata.
#[test]
fn the_string_to_sign_is_the_documented_one() {
    let headers = fields(&[("x-ms-version", "2015-02-21"), ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT")]);
    assert_eq!(
        message(
            "myaccount.blob.core.windows.net/mycontainer?comp=metadata&restype=container&timeout=20",
            &Method::GET,
            &headers
        ),
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
         /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    );
}

#[test]
fn every_positioned_field_has_its_line() {
    let headers = fields(&[
        ("content-encoding", "1"),
        ("content-language", "2"),
        ("content-length", "3"),
        ("content-md5", "4"),
        ("content-type", "5"),
        ("date", "never"),
        ("if-modified-since", "7"),
        ("if-match", "8"),
        ("if-none-match", "9"),
        ("if-unmodified-since", "10"),
        ("range", "11"),
    ]);
    assert_eq!(
        message("myaccount.file.core.windows.net/", &Method::PUT, &headers),
        "PUT\n1\n2\n3\n4\n5\n\n7\n8\n9\n10\n11\n/myaccount/"
    );
}

#[test]
fn an_empty_body_signs_no_length_but_in_old_versions_a_zero() {
    let line = |version| {
        let headers = fields(&[("content-length", "0"), ("x-ms-version", version)]);
        message("myaccount.blob.core.windows.net/c", &Method::PUT, &headers).split('\n').nth(3).map(str::to_owned)
    };
    assert_eq!(line("2015-02-21").as_deref(), Some(""));
    assert_eq!(line("2014-02-14").as_deref(), Some("0"));
}

/// The examples of "Constructing the canonicalized resource string".
#[test]
fn parameters_are_lower_case_sorted_decoded_and_joined() {
    let of = |query: &str| String::from_utf8(canonical_query(query)).expect("UTF-8");
    let several = "restype=container&comp=list&include=snapshots&include=metadata&include=uncommittedblobs";
    assert_eq!(of(several), "\ncomp:list\ninclude:metadata,snapshots,uncommittedblobs\nrestype:container");
    assert_eq!(of("Prefix=a%2Fb+c&empty="), "\nempty:\nprefix:a/b+c");
    assert_eq!(of(""), "");
}

#[test]
fn a_secondary_host_signs_the_primary_resource() {
    let headers = HeaderMap::new();
    let secondary = "myaccount-secondary.blob.core.windows.net/mycontainer/myblob";
    assert_eq!(
        message(secondary, &Method::GET, &headers),
        message(&secondary.replace("-secondary", ""), &Method::GET, &headers)
    );
    assert!(signed("GET", secondary, &headers).is_ok());
}

/// The order that `_storage_header_sort` of azure-storage-blob gives these names.
#[test]
fn names_are_sorted_as_the_service_sorts_them() {
    let expected = [
        "x-ms-blob-type",
        "x-ms-date",
        "x-ms-meta-",
        "x-ms-meta-a",
        "x-ms-meta-a.b",
        "x-ms-meta-a_b",
        "x-ms-meta-a1",
        "x-ms-meta-aa",
        "x-ms-meta-ab",
        "x-ms-meta-a-b",
        "x-ms-meta-a--b",
        "x-ms-meta-abc",
        "x-ms-meta-ab-c",
        "x-ms-meta-a-bc",
        "x-ms-metab",
        "x-ms-meta-zz",
        "x-ms-meta-z'z",
        "x-ms-meta-z-z",
        "x-ms-meta-zz!",
        "x-ms-meta-zz~",
        "x-ms-version",
    ];
    let mut sorted = expected;
    sorted.reverse();
    sorted.sort_by(|one, other| collate(one, other));
    assert_eq!(sorted, expected);
}

#[test]
fn a_host_of_another_account_or_service_is_refused() {
    let refused = |host: &str| signed("GET", &format!("{host}/c"), &HeaderMap::new()).expect_err("a refusal").to_string();
    for host in ["other.blob.core.windows.net", "myaccount-x.blob.core.windows.net", "-secondary.blob.core.windows.net"] {
        assert!(refused(host).contains("another storage account"), "{host}");
    }
    for host in ["myaccount.vault.azure.net", "myaccount", "management.azure.com"] {
        assert!(refused(host).contains("not a storage host"), "{host}");
    }
    assert!(signed("GET", "myaccount.z12.blob.storage.azure.net/c", &HeaderMap::new()).is_ok());
}

#[test]
fn a_body_of_unknown_length_is_refused_with_what_to_do() {
    let sent =
        |headers: &[(&'static str, &'static str)]| signed("PUT", "myaccount.blob.core.windows.net/c/b", &fields(headers));
    let error = sent(&[("transfer-encoding", "chunked")]).expect_err("a refusal");
    assert!(matches!(error, Error::UnknownLength) && error.to_string().contains("send Content-Length"));
    assert!(matches!(sent(&[("content-length", "1a")]), Err(Error::Length)));
}

#[test]
fn i1_a_key_that_is_not_base64_is_refused_without_showing_it() {
    let (target, headers) = (PathAndQuery::from_static("/"), HeaderMap::new());
    let host = "a.blob.core.windows.net";
    let request =
        Unsigned { method: &Method::GET, host, target: &target, headers: &headers, body: None, time: SystemTime::UNIX_EPOCH };
    let error = sign("a", &Secret::new("hunter2!".to_owned()), &request).expect_err("a refusal");
    assert!(matches!(error, Error::Key) && !format!("{error} {error:?}").contains("hunter2"));
}

mod sas {
    use super::*;

    fn merged(sas: &str, target: &'static str) -> Result<String, Error> {
        let signed = with_sas(&Secret::new(sas.to_owned()), &PathAndQuery::from_static(target))?;
        Ok(signed.target.expect("a target").to_string())
    }

    #[test]
    fn the_signature_replaces_the_callers_and_stays_byte_for_byte() {
        let sas = "?sv=2022-11-02&se=2030-01-01T00%3A00%3a00Z&sig=a%2Bb%2fc%3D";
        let expected = "/c/b?comp=block&sig=a%2Bb%2fc%3D&blockid=QQ%3D%3D&sv=2022-11-02&se=2030-01-01T00%3A00%3a00Z";
        assert_eq!(merged(sas, "/c/b?comp=block&sig=none&blockid=QQ%3D%3D&s%69g=x").expect("merges"), expected);
        assert_eq!(merged("sig=x&sv=1", "/c").expect("merges"), "/c?sig=x&sv=1");
    }

    #[test]
    fn i1_what_is_not_one_signature_is_refused_without_showing_it() {
        for sas in ["", "?", "sv=1&se=2", "sv=1&sig=", "sig"] {
            assert!(matches!(merged(sas, "/c"), Err(Error::NoSig)), "{sas}");
        }
        assert!(matches!(merged("sig=hunter2&sig=b", "/c"), Err(Error::Twice)));
        for sas in ["sig=a\r\nb", "sig=a#b", "sig=a b", "sig=é", "https://a.example/c?sig=hunter2", "si%67=hunter2"] {
            let error = merged(sas, "/c").expect_err("a refusal");
            assert!(matches!(error, Error::Character) && !format!("{error:?}").contains("hunter2"), "{sas}");
        }
    }
}
