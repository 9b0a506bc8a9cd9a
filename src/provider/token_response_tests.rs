use super::*;
use crate::model::Secret;

const TAIL: &str = "Abcdefghijklmnopqrstuvwxyz0123456789";
const NOW: u64 = 1_800_000_000;

fn occasion<'a>(scope: Option<&'a str>, fields: Fields<'a>) -> Occasion<'a> {
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    Occasion { tail: TAIL, now, scope, renewable: false, refresh_token: None, exchanged: false, fields, hosts: &[] }
}

fn response() -> TokenResponse {
    TokenResponse {
        at: Vec::new(),
        shape: Shape::OAuth2,
        access_token: Made::Prefix("ya29.".to_owned()),
        refresh_token: Some(Made::Prefix("1//".to_owned())),
        id_token: None,
        token_type: "Bearer".to_owned(),
        lifetime: Duration::from_secs(3599),
        expires_on: false,
        poll_status: 400,
        scope: Some("all".to_owned()),
        bare_scopes: false,
        members: vec![
            ("instance_url".to_owned(), Member::Text("https://{site}.acme.example".parse().expect("a template"))),
            ("permissions".to_owned(), Member::Object(Vec::new())),
        ],
    }
}

#[test]
fn an_answer_has_the_members_of_the_standard_and_the_vendors_own() {
    let site = Secret::new("Initech".to_owned());
    let fields = |name: &str| (name == "site").then_some(&site);
    let hosts = ["initech.acme.example".to_owned()];
    let body = response().body(&Occasion { hosts: &hosts, ..occasion(Some("a b"), &fields) });
    let wanted = json!({
        "access_token": format!("ya29.{TAIL}"), "token_type": "Bearer", "expires_in": 3599, "scope": "a b",
        "instance_url": "https://initech.acme.example", "permissions": {},
    });
    assert_eq!(body, wanted);
    let renewed = response().body(&Occasion { renewable: true, exchanged: true, ..occasion(None, &fields) });
    assert_eq!(renewed["refresh_token"], format!("1//{TAIL}"));
    let own = Occasion { renewable: true, refresh_token: Some("my-own"), ..occasion(None, &fields) };
    assert_eq!(response().body(&own)["refresh_token"], "my-own");
    assert_eq!(renewed["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(renewed["scope"], "all");
}

/// "Request an access token", Azure AD v1.0: times are texts.
#[test]
fn the_older_answer_of_azure_says_when_it_begins_and_ends() {
    let body = TokenResponse { expires_on: true, ..response() }.body(&occasion(None, &|_| None));
    assert_eq!((&body["not_before"], &body["expires_on"]), (&json!("1800000000"), &json!("1800003599")));
    assert_eq!(response().body(&occasion(None, &|_| None)).get("expires_on"), None);
}

#[test]
fn i1_what_is_no_scope_and_no_label_does_not_come_back() {
    let site = Secret::new("evil.test/?x=".to_owned());
    let fields = |name: &str| (name == "site").then_some(&site);
    for scope in ["a\"b", "a\nb", "<ä>", "", "a\\b"] {
        let body = response().body(&occasion(Some(scope), &fields));
        assert_eq!((body["scope"].as_str(), body.get("instance_url")), (Some("all"), None), "{scope:?}");
    }
    let endless = "a".repeat(MAX_ECHO + 1);
    assert_eq!(response().body(&occasion(Some(&endless), &|_| None))["scope"], "all");
}

#[test]
fn i1_a_field_is_told_only_where_a_sealed_host_shows_it() {
    let site = Secret::new("Initech".to_owned());
    let told = |hosts: &[&str]| {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let fields = |name: &str| (name == "site").then_some(&site);
        response().body(&Occasion { hosts: &hosts, ..occasion(None, &fields) }).get("instance_url").is_some()
    };
    assert!(told(&["api.acme.example", "initech.acme.example"]) && told(&["initech.acme.example:8443"]));
    assert!(!told(&["api.acme.example"]) && !told(&["initech2.acme.example"]) && !told(&[]));
}

#[test]
fn a_made_up_json_web_token_parses_and_ends_in_the_future() {
    for (algorithm, length) in [(JwtAlgorithm::Rs256, 256), (JwtAlgorithm::Es256, 64), (JwtAlgorithm::Hs256, 32)] {
        let claims = vec![("iss".to_owned(), Member::Text("https://acme.example".parse().expect("a template")))];
        let token = Made::Jwt { algorithm, claims }.token(Duration::from_secs(60), &occasion(None, &|_| None));
        let parts: Vec<Vec<u8>> =
            token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("strict base64url")).collect();
        let read = |part: &[u8]| serde_json::from_slice::<Value>(part).expect("JSON");
        assert_eq!(read(&parts[0])["alg"], algorithm.word());
        assert_eq!(
            read(&parts[1]),
            json!({ "sub": "placeholder", "iss": "https://acme.example", "iat": NOW, "exp": NOW + 60 })
        );
        assert_eq!((parts.len(), parts[2].len()), (3, length));
        assert!(token.contains(&format!(".{TAIL}_")), "{token}");
    }
}

#[test]
fn an_installations_token_has_githubs_own_form() {
    let response = TokenResponse { shape: Shape::GithubApp, ..response() };
    let body = response.body(&occasion(None, &|_| None));
    let wanted = json!({ "token": format!("ya29.{TAIL}"), "expires_at": "2027-01-15T08:59:59Z", "permissions": {} });
    assert_eq!((body, response.shape.status()), (wanted, 201));
}

#[test]
fn i2_an_endpoint_is_taken_only_where_every_reading_of_the_path_means_it() {
    let endpoint = Endpoint::of_url("https://{site}.acme.example/t/{id}/token").expect("an endpoint");
    let host: Host = "initech.acme.example".parse().expect("a host");
    for (path, taken) in [
        ("/t/1/token", true),
        ("/t/1/token/", true),
        ("/t/1/token?x", true),
        ("/t/1/Token", false),
        ("/t/1/x/../token", false),
        ("/t/%2e%2e/token", false),
        ("/t/1/token//", false),
        ("/t/1", false),
        ("/", false),
    ] {
        assert_eq!(endpoint.takes(&host, path), taken, "{path}");
    }
    assert!(!endpoint.takes(&"acme.example".parse().expect("a host"), "/t/1/token"));
}

#[test]
fn i6_a_path_names_the_account_whose_fields_it_says() {
    let endpoint = Endpoint::of_url("https://{site}.acme.example/t/{id}/token").expect("an endpoint");
    let response = TokenResponse { at: vec![endpoint], ..response() };
    let host: Host = "initech.acme.example".parse().expect("a host");
    let id = Secret::new("Tenant-1".to_owned());
    let fields = |name: &str| (name == "id").then_some(&id);
    for (path, named) in [
        ("/t/tenant-1/token", true),
        ("/t/TENANT-1/token/", true),
        ("/t/tenant%2D1/token?x", true),
        ("/t/tenant-2/token", false),
        ("/t/common/token", false),
        ("/tenant-1/t/token", false),
    ] {
        assert_eq!(response.names(&host, path, &fields), named, "{path}");
    }
    assert!(!response.names(&host, "/t/tenant-1/token", &|_| None));
    let nameless = Endpoint::of_url("https://acme.example/token").expect("an endpoint");
    let nameless = TokenResponse { at: vec![nameless], ..self::response() };
    assert!(!nameless.names(&"acme.example".parse().expect("a host"), "/token", &fields));
}
