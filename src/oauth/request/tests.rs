use super::*;

const URL: &str = "https://auth.example/token";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn built(authentication: Authentication, id: Option<&str>, password: Option<&str>) -> (Option<String>, String) {
    let (id, password) = (id.map(secret), password.map(secret));
    let client = Client { encoding: Encoding::Form, authentication, id: id.as_ref(), secret: password.as_ref() };
    let request = refresh(URL.to_owned(), &client, &secret("r/1+2 3")).expect("a request");
    let header = request.headers.iter().find(|(name, _)| name == AUTHORIZATION);
    let header = header.map(|(_, value)| value.to_str().expect("text").to_owned());
    (header, String::from_utf8(request.body().to_vec()).expect("text"))
}

#[test]
fn basic_form_encodes_id_and_secret_before_base64() {
    let (header, body) = built(Authentication::Basic, Some("a:b"), Some("p %é"));
    assert_eq!(header.as_deref(), Some(format!("Basic {}", STANDARD.encode("a%3Ab:p+%25%C3%A9")).as_str()));
    assert_eq!(body, "grant_type=refresh_token&refresh_token=r%2F1%2B2+3");
}

#[test]
fn post_puts_id_and_secret_into_the_form() {
    let (header, body) = built(Authentication::Post, Some("id"), Some("a&b"));
    assert_eq!(header, None);
    assert_eq!(body, "grant_type=refresh_token&refresh_token=r%2F1%2B2+3&client_id=id&client_secret=a%26b");
}

#[test]
fn a_public_client_names_itself_and_sends_no_secret() {
    for authentication in [Authentication::None, Authentication::Basic] {
        let given = if authentication == Authentication::None { Some("never sent") } else { None };
        let (header, body) = built(authentication, Some("id"), given);
        assert_eq!(header, None);
        assert_eq!(body, "grant_type=refresh_token&refresh_token=r%2F1%2B2+3&client_id=id");
    }
}

#[test]
fn a_connection_of_bare_tokens_sends_only_the_token() {
    assert_eq!(built(Authentication::Post, None, None).1, "grant_type=refresh_token&refresh_token=r%2F1%2B2+3");
}

#[test]
fn a_service_that_wants_json_gets_json() {
    let odd = "a\"\\\n\u{7f}é😀 z";
    let (id, password) = (secret("id"), secret(odd));
    let client =
        Client { encoding: Encoding::Json, authentication: Authentication::Post, id: Some(&id), secret: Some(&password) };
    let request = refresh(URL.to_owned(), &client, &secret("r/1")).expect("a request");
    let sent: serde_json::Value = serde_json::from_slice(&request.body()).expect("json");
    let meant =
        serde_json::json!({ "grant_type": "refresh_token", "refresh_token": "r/1", "client_id": "id", "client_secret": odd });
    assert_eq!(sent, meant);
    assert!(request.headers.contains(&(CONTENT_TYPE, HeaderValue::from_static("application/json"))));
}

#[test]
fn json_is_asked_for() {
    let client = Client { encoding: Encoding::Form, authentication: Authentication::None, id: None, secret: None };
    let request = refresh(URL.to_owned(), &client, &secret("r")).expect("a request");
    assert!(request.headers.contains(&(ACCEPT, HeaderValue::from_static("application/json"))));
}

#[test]
fn i1_debug_shows_neither_token_nor_secret() {
    let (id, password) = (secret("the-id"), secret("the-secret"));
    for authentication in [Authentication::Basic, Authentication::Post] {
        let client = Client { encoding: Encoding::Form, authentication, id: Some(&id), secret: Some(&password) };
        let request = refresh(URL.to_owned(), &client, &secret("the-token")).expect("a request");
        let shown = format!("{client:?} {request:?}");
        let encoded = STANDARD.encode("the-id:the-secret");
        assert!(!["the-id", "the-secret", "the-token", &encoded].iter().any(|text| shown.contains(text)), "{shown}");
    }
}

#[test]
fn i4_refresh_tokens_never_leave_without_tls() {
    let client = Client { encoding: Encoding::Form, authentication: Authentication::None, id: None, secret: None };
    for url in ["http://auth.example/token", "auth.example", "", "HTTPS//x"] {
        assert!(matches!(refresh(url.to_owned(), &client, &secret("r")), Err(Unready::NotHttps)), "{url}");
        assert!(matches!(endpoint(url, &|_| None), Err(Unready::NotHttps)), "{url}");
    }
}

#[test]
fn a_grant_has_its_parameters_before_the_client() {
    let (id, password, audience) = (secret("id"), secret("a&b"), secret("https://api.example/"));
    let client =
        Client { encoding: Encoding::Form, authentication: Authentication::Post, id: Some(&id), secret: Some(&password) };
    let request = grant(URL.to_owned(), &client, "client_credentials", &[("audience", &audience)]).expect("a request");
    assert_eq!(request.method, Method::POST);
    assert_eq!(
        request.body(),
        "grant_type=client_credentials&audience=https%3A%2F%2Fapi.example%2F&client_id=id&client_secret=a%26b"
    );
}

#[test]
fn i1_a_get_shows_the_client_in_a_header_and_nothing_of_it_in_the_query() {
    let (id, password, realm) = (secret("the-id"), secret("the-secret"), secret("a b"));
    for authentication in [Authentication::Basic, Authentication::Post, Authentication::None] {
        let client = Client { encoding: Encoding::Form, authentication, id: Some(&id), secret: Some(&password) };
        let request = grant_by_get(URL, &client, "client_credentials", &[("realm", &realm)]).expect("a request");
        assert_eq!(request.url, "https://auth.example/token?grant_type=client_credentials&realm=a+b");
        assert_eq!((request.method.clone(), request.body()), (Method::GET, Bytes::new()));
        let (_, value) = request.headers.iter().find(|(name, _)| name == AUTHORIZATION).expect("a header");
        assert_eq!(value.to_str().expect("text"), format!("Basic {}", STANDARD.encode("the-id:the-secret")));
        assert!(value.is_sensitive());
        assert!(!request.headers.iter().any(|(name, _)| name == CONTENT_TYPE));
    }
    let client = Client { encoding: Encoding::Form, authentication: Authentication::Basic, id: Some(&id), secret: None };
    assert!(matches!(grant_by_get(URL, &client, "client_credentials", &[]), Err(Unready::Incomplete)));
}

#[test]
fn i4_no_grant_leaves_without_tls() {
    let (id, password) = (secret("id"), secret("password"));
    let client =
        Client { encoding: Encoding::Form, authentication: Authentication::Basic, id: Some(&id), secret: Some(&password) };
    let url = "http://auth.example/token";
    assert!(matches!(grant(url.to_owned(), &client, "x", &[]), Err(Unready::NotHttps)));
    assert!(matches!(grant_by_get(url, &client, "x", &[]), Err(Unready::NotHttps)));
    assert!(matches!(bearing(url.to_owned(), &id), Err(Unready::NotHttps)));
}

#[test]
fn i1_a_bearer_of_a_signed_token_does_not_print_it() {
    let request = bearing(URL.to_owned(), &secret("eyJ.a.b")).expect("a request");
    assert_eq!((request.method.clone(), request.body()), (Method::POST, Bytes::new()));
    assert!(!format!("{request:?}").contains("eyJ.a.b"));
    let (_, value) = request.headers.iter().find(|(name, _)| name == AUTHORIZATION).expect("a header");
    assert_eq!(value.to_str().expect("text"), "Bearer eyJ.a.b");
}

#[test]
fn holes_take_one_label_of_the_host_or_one_segment_of_the_path() {
    let (site, tenant) = (secret("acme-1"), secret("contoso.example"));
    let field = |name: &str| match name {
        "site" => Some(&site),
        "tenant" => Some(&tenant),
        _ => None,
    };
    let url = endpoint("https://{site}.auth.example/{tenant}/token", &field).expect("an address");
    assert_eq!(url, "https://acme-1.auth.example/contoso.example/token");
    assert!(matches!(endpoint("https://{tenant}.auth.example/", &field), Err(Unready::UnfitField { .. })));
    assert!(matches!(endpoint("https://{other}.auth.example/", &field), Err(Unready::MissingField { .. })));
    assert!(matches!(endpoint("https://{site", &field), Err(Unready::Template)));
}

#[test]
fn a_hole_that_is_the_whole_host_takes_a_host_name() {
    let own = secret("git.acme.example");
    for (template, url) in [
        ("https://{host}/oauth/token", "https://git.acme.example/oauth/token"),
        ("https://{host}", "https://git.acme.example"),
        ("https://{host}?a", "https://git.acme.example?a"),
    ] {
        assert_eq!(endpoint(template, &|_| Some(&own)).expect("an address"), url);
    }
    for template in ["https://{host}.acme.example/", "https://a-{host}/", "https://{host}{host}/"] {
        assert!(matches!(endpoint(template, &|_| Some(&own)), Err(Unready::UnfitField { .. })), "{template}");
    }
}

#[test]
fn i2_what_is_no_host_name_is_no_whole_host() {
    for value in
        ["10.0.0.1", "::1", "[::1]", "localhost", "git", "a.example:1", "a.example.", "me@a.example", "a.example/x", "a..b", ""]
    {
        let value = secret(value);
        let filled = endpoint("https://{host}/token", &|_| Some(&value));
        assert!(matches!(filled, Err(Unready::UnfitField { .. })), "{}", value.expose());
    }
}

#[test]
fn i2_a_field_cannot_move_the_token_endpoint_elsewhere() {
    for value in ["evil.example/", "evil.example#", "a@evil", "a:1", "", "-a", "a b", "..", "a\r\nb", "%2e", "é"] {
        let value = secret(value);
        for template in ["https://{site}.auth.example/token", "https://auth.example/{site}/token"] {
            let filled = endpoint(template, &|_| Some(&value));
            assert!(matches!(filled, Err(Unready::UnfitField { .. })), "{template} {}", value.expose());
        }
    }
}
