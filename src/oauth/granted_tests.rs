use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

const JSON: &str = "application/json; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

fn read(kind: &str, body: &str) -> Result<Granted, Odd> {
    let kind = (!kind.is_empty()).then(|| HeaderValue::from_str(kind).expect("a value"));
    read_granted(kind.as_ref(), body.as_bytes(), UNIX_EPOCH)
}

fn login(kind: &str, body: &str) -> Box<Login> {
    match read(kind, body) {
        Ok(Granted::Tokens(login)) => login,
        Ok(Granted::Nothing) => panic!("no tokens in {body}"),
        Err(odd) => panic!("{odd}: {body}"),
    }
}

fn answered(login: &Login) -> String {
    let signature = |algorithm: &str| format!("TAIL_{algorithm}");
    let stand_ins = StandIns { access_token: "p_TAIL", refresh_token: "r_TAIL", other: "TAIL", signature: &signature };
    login.answer(&stand_ins).expect("an answer").0
}

fn document(body: &Value) -> Value {
    serde_json::from_str(&answered(&login(JSON, &body.to_string()))).expect("JSON")
}

fn odd(kind: &str, body: &str) -> Option<Odd> {
    read(kind, body).err()
}

#[test]
fn i1_tokens_are_replaced_and_what_is_no_credential_stays() {
    let kept = json!({
        "token_type": "bearer", "expires_in": 28800, "scope": "repo read:user https://www.googleapis.com/auth/drive.readonly",
        "created_at": "2026-01-02T03:04:05.000Z", "instance_url": "https://acme.my.salesforce.com", "ok": true, "nothing": null,
        "id": "https://login.salesforce.com/id/00Dx0000000BV7zEAG/005x00000012Q9PAAU", "bot_id": "9a1f2c3d-0000-4444-8888-aaaabbbbcccc",
        "team": { "id": "T0123ABCDE", "name": "Acme Company" }, "api_domain": "https://www.zohoapis.com", "ext_expires_in": 3599,
        "account": { "email_address": "someone", "user_email": "somebody.with.a.long.name@example.com", "uuid": "9a1f2c3d-0000-4444-8888-aaaabbbbcccc" },
        "refresh_token_expires_in": "15897600", "domain": "acme-developers.hubspot.com", "scopes": ["a", "b"]
    });
    let secret = json!({
        "access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a", "refresh_token": "ghr_1B4a2e77838347a7E420ce178F2E7c6912E169246c34E1cc",
        "id_token": "not.a.jwt", "signature": "SSSbLO/X9D4F/uLfOvjst0Bcb8u0hrgSSS=", "session_state": "short", "code": "1234",
        "incoming_webhook": { "url": "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX" },
        "authed_user": { "id": "U1234", "access_token": "xoxp-0123456789-abcdef" }, "unknown": "0123456789abcdef", "list": ["0123456789abcdef"],
        "name": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "link": "https://acme.example/x?key=abc", "api_key": "k"
    });
    let mut all = kept.as_object().expect("an object").clone();
    all.extend(secret.as_object().expect("an object").clone());
    let mut shown = document(&Value::Object(all));
    let shown = shown.as_object_mut().expect("an object");
    for (name, value) in kept.as_object().expect("an object") {
        assert_eq!(shown.get(name), Some(value), "{name}");
        shown.remove(name);
    }
    let wanted = json!({
        "access_token": "p_TAIL", "refresh_token": "r_TAIL", "id_token": "TAIL", "signature": "TAIL", "session_state": "TAIL", "code": "TAIL",
        "incoming_webhook": "see below", "authed_user": { "id": "U1234", "access_token": "p_TAIL" }, "unknown": "TAIL", "list": ["TAIL"],
        "name": "TAIL", "link": "TAIL", "api_key": "TAIL"
    });
    let hook = shown.insert("incoming_webhook".to_owned(), json!("see below")).expect("a hook");
    assert_eq!(Value::Object(shown.clone()), wanted);
    assert!(!hook.to_string().contains("XXXX"), "{hook}");
}

#[test]
fn i1_an_id_token_parses_says_who_it_is_and_holds_no_credential() {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": "https://login.example/9a1f2c3d-0000-4444-8888-aaaabbbbcccc/v2.0", "aud": "6731de76-14a6-49ae-97bc-6eba6914391e", "exp": 1, "iat": 0,
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "nonce": "678910abcdefghijklmnopqrstuvwxyz", "email": "a@b.example",
        "at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "sid": "s", "wids": ["0123456789abcdef0123456789abcdef"],
        "https://api.openai.com/auth": { "chatgpt_account_id": "9a1f2c3d-0000-4444-8888-aaaabbbbcccc", "session": "x" }
    });
    let signature = URL_SAFE_NO_PAD.encode([7; 64]);
    let token = format!("{}.{}.{signature}", part(&json!({ "alg": "ES256", "kid": "their-key" })), part(&claims));
    let shown = document(&json!({ "access_token": "an-access-token-0123", "id_token": token }));
    let parts: Vec<&str> = shown["id_token"].as_str().expect("a token").split('.').collect();
    let read =
        |at: usize| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(parts[at]).expect("base64url")).expect("JSON");
    assert_eq!((read(0), parts[2]), (json!({ "alg": "ES256", "typ": "JWT", "kid": "placeholder" }), "TAIL_ES256"));
    let mut wanted = claims.as_object().expect("an object").clone();
    for doubtful in ["at_hash", "sid"] {
        wanted.remove(doubtful);
    }
    wanted.insert("wids".to_owned(), json!([]));
    wanted.insert(
        "https://api.openai.com/auth".to_owned(),
        json!({ "chatgpt_account_id": "9a1f2c3d-0000-4444-8888-aaaabbbbcccc" }),
    );
    assert_eq!(read(1), Value::Object(wanted));
}

#[test]
fn an_account_that_msal_reads_out_of_encoded_json_stays_readable() {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let ids = json!({ "uid": "9f4880d8-80ba-4c40-97bc-f7a23c703084", "utid": "f645ad92-e38d-4d1a-b510-d1b09a74a8ca" });
    let mut account = ids.clone();
    account["secret"] = json!("x");
    for (info, wanted) in [(encoded(&account), encoded(&ids)), ("0123456789abcdef0123".to_owned(), "TAIL".to_owned())] {
        let shown = document(&json!({ "access_token": "an-access-token-0123", "client_info": info }));
        assert_eq!(shown["client_info"], json!(wanted));
    }
}

#[test]
fn a_form_is_answered_with_a_form() {
    let login = login(
        FORM,
        "access_token=gho_16C7e42F292c6912&expires_in=28800&refresh_token=ghr_1B4a2e7783&scope=repo%2Cgist&token_type=bearer",
    );
    assert!(login.access_token.matches("gho_16C7e42F292c6912"));
    assert!(login.refresh_token.as_ref().is_some_and(|token| token.matches("ghr_1B4a2e7783")));
    assert_eq!((login.scope.as_deref(), login.expires_at), (Some("repo,gist"), Some(UNIX_EPOCH + Duration::from_secs(28800))));
    let shown = answered(&login);
    let mut pairs: Vec<&str> = shown.split('&').collect();
    pairs.sort_unstable();
    let wanted = [
        "access%5Ftoken=p%5FTAIL",
        "expires%5Fin=28800",
        "refresh%5Ftoken=r%5FTAIL",
        "scope=repo%2Cgist",
        "token%5Ftype=bearer",
    ];
    assert_eq!(pairs, wanted);
}

#[test]
fn a_users_token_one_level_deeper_is_the_token() {
    let body = json!({ "ok": true, "authed_user": { "id": "U1", "access_token": "xoxp-0123456789", "scope": "chat:write" }, "team": { "id": "T1" } });
    let login = login(JSON, &body.to_string());
    assert!(login.access_token.matches("xoxp-0123456789") && login.scope.as_deref() == Some("chat:write"));
    assert!(!answered(&login).contains("xoxp-"));
}

#[test]
fn what_has_no_tokens_goes_on() {
    for (kind, body) in [
        (
            JSON,
            r#"{"error":"authorization_pending","error_description":"The user has not yet entered the code 0123456789abcdef"}"#,
        ),
        (
            FORM,
            "error=authorization_pending&error_description=The+authorization+request+is+still+pending.&error_uri=https%3A%2F%2Fx.example%2Fy",
        ),
        (JSON, r#"{"ok":false,"error":"invalid_code"}"#),
        (JSON, r#"{"ok":true}"#),
        ("", ""),
    ] {
        assert!(matches!(read(kind, body), Ok(Granted::Nothing)), "{body}");
    }
}

#[test]
fn i1_what_can_t_be_told_apart_is_kept_back() {
    for (kind, body, wanted) in [
        (JSON, r#"{"error":"slow_down","access_token":"x0123456789"}"#, Odd::TokensAndError),
        (JSON, r#"{"ok":false,"authed_user":{"access_token":"x0123456789"}}"#, Odd::TokensAndError),
        (JSON, r#"{"id_token":"x0123456789"}"#, Odd::NoAccessToken),
        (JSON, r#"{"data":[{"access_token":"x0123456789"}]}"#, Odd::NoAccessToken),
        (JSON, r#"{"access_token":"a b"}"#, Odd::NoAccessToken),
        (JSON, "{\"access_token\":\"a\\r\\nb\"}", Odd::NoAccessToken),
        (JSON, r#"{"jwt_assertion":"x"}"#, Odd::Unknown),
        (JSON, r#"{"unknown":"0123456789abcdef"}"#, Odd::Unknown),
        (JSON, r#"{"access_token":"x0123456789""#, Odd::Format),
        (JSON, r#"[{"access_token":"x0123456789"}]"#, Odd::Format),
        (JSON, "access_token=x0123456789", Odd::Format),
        (FORM, "scope=repo;access_token=x0123456789", Odd::Format),
        ("text/html", "<html>access_token=x0123456789</html>", Odd::Format),
        ("application/octet-stream", r#"{"access_token":"x0123456789"}"#, Odd::Format),
    ] {
        assert_eq!(odd(kind, body), Some(wanted), "{body}");
    }
    let twice = login(JSON, r#"{"access_token":"x0123456789","scope":"read x0123456789"}"#);
    let stand_ins = StandIns { access_token: "p", refresh_token: "r", other: "o", signature: &|_algorithm| String::new() };
    assert_eq!(twice.answer(&stand_ins).err(), Some(Odd::Repeated));
    let named = login(JSON, r#"{"access_token":"x0123456789","x0123456789":1}"#);
    assert_eq!(named.answer(&stand_ins).err(), Some(Odd::Repeated), "a name may be a secret too");
    let long = login(JSON, r#"{"access_token":"x0123456789abcdef","x0123456789abcdef":1}"#);
    assert_eq!(long.answer(&stand_ins).map(|(text, _)| text), Ok(r#"{"access_token":"p"}"#.to_owned()));
}
