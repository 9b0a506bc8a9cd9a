//! The judge itself: whatever is wrong with a run is found, wherever it is.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Version};

use crate::case::{Case, cases};
use crate::harness::Seen;
use crate::judge::{Ran, faults};
use crate::stub::{Account, Secrets};

const PLACEHOLDER: &str = "sk-proj-aPlaceholderOfThirtySixLettersAndDig1";

fn case(file: &str) -> Case {
    cases().into_iter().find(|case| case.file == file).expect("a program")
}

/// A run of `openai_chat.py` as it should be, its credential in its place.
fn right(secrets: &Secrets) -> (Case, Ran) {
    let case = case("openai_chat.py");
    let said = format!("OPENAI_API_KEY={PLACEHOLDER}\n{}\n", case.program.prints.join("\n"));
    let account = Account { calls: case.program.calls.clone(), ..Account::default() };
    let value = format!("Bearer {}", secrets.credentials[0]);
    let seen = Seen {
        connection: 0,
        version: Version::HTTP_11,
        method: Method::POST,
        path: "/v1/models?limit=1".to_owned(),
        authority: Some("api.openai.com".to_owned()),
        headers: HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_str(&value).expect("a value"))]),
        body: Some(Bytes::from_static(b"{}")),
        trailers: None,
    };
    (case, Ran { code: Some(0), said, account, seen: vec![seen] })
}

#[test]
fn a_run_as_it_should_be_has_no_fault() {
    let secrets = Secrets::of(&case("openai_chat.py"));
    let (case, ran) = right(&secrets);
    assert_eq!(faults(&case, &secrets, &ran), Vec::<String>::new());
}

#[test]
fn i1_each_thing_that_may_be_wrong_is_a_fault() {
    let secrets = Secrets::of(&case("openai_chat.py"));
    let credential = &secrets.credentials[0];
    let in_base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("me:{PLACEHOLDER}"));
    type Change<'a> = &'a dyn Fn(&mut Ran);
    let changes: [(&str, Change<'_>); 11] = [
        ("it ended with", &|ran| ran.code = Some(1)),
        ("the service answered", &|ran| drop(ran.account.calls.pop())),
        ("the service answered", &|ran| ran.account.calls.swap(0, 1)),
        ("0 calls met an expired credential, 1 renewals", &|ran| ran.account.renewals = 1),
        ("it never printed", &|ran| ran.said = format!("OPENAI_API_KEY={PLACEHOLDER}\n")),
        ("has no placeholder", &|ran| ran.said = ran.said.replace("OPENAI_API_KEY", "OTHER")),
        ("the program saw", &|ran| ran.said.push_str(&secrets.client_secret)),
        ("in the path", &|ran| ran.seen[0].path.push_str(credential)),
        ("in the body", &|ran| ran.seen[0].body = Some(format!("{{\"key\":\"{credential}\"}}").into())),
        ("in x-other", &|ran| drop(ran.seen[0].headers.insert("x-other", in_base64.parse().expect("a value")))),
        ("in authorization", &|ran| {
            ran.seen[0].headers.append("authorization", PLACEHOLDER.parse().expect("a value"));
        }),
    ];
    for (fault, change) in changes {
        let (case, mut ran) = right(&secrets);
        change(&mut ran);
        let found = faults(&case, &secrets, &ran);
        assert!(!found.is_empty() && found.iter().all(|found| found.contains(fault)), "{fault}: {found:?}");
    }
}
