//! What services say about a credential: answers as the vendors document them, and what each is taken for.

#![expect(clippy::expect_used, reason = "a test")]

use http::{HeaderMap, HeaderValue, StatusCode};
use nexus::provider::{Catalogue, Judgement};

const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8")];
const HTML: &[(&str, &str)] = &[("content-type", "text/html; charset=utf-8")];
const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc"), ("grpc-status", "16")];

/// Provider, status, fields and body.
type Answer = (&'static str, u16, &'static [(&'static str, &'static str)], &'static str);

/// Answers to a credential that is dead.
const DEAD: &[Answer] = &[
    ("activecampaign", 403, JSON, r#"{"message":"You are not authorized"}"#),
    ("algolia", 403, JSON, r#"{"message":"Invalid Application-ID or API key","status":403}"#),
    ("amazon_s3", 400, &[], "<Error><Code>ExpiredToken</Code></Error>"),
    ("aws", 400, JSON, r#"{"__type":"com.amazonaws.dynamodb.v20120810#ExpiredTokenException"}"#),
    ("azure_devops", 203, HTML, "<html>Sign in"),
    ("brave_search", 422, JSON, r#"{"error":{"code":"SUBSCRIPTION_TOKEN_INVALID"}}"#),
    ("cloudflare", 403, JSON, r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}"#),
    ("crates_registry", 403, JSON, r#"{"errors":[{"detail":"must be logged in to perform that action"}]}"#),
    ("databricks", 403, JSON, r#"{"error_code":"403","message":"Invalid access token."}"#),
    ("datadog", 403, JSON, r#"{"errors": ["Forbidden"]}"#),
    ("figma", 403, JSON, r#"{"status": 403, "err": "Token expired"}"#),
    ("figma", 403, JSON, r#"{"status": 403, "err": "Invalid token"}"#),
    ("google_ads", 200, GRPC, ""),
    ("google_gemini", 400, JSON, r#"{"error":{"code":400,"details":[{"reason":"API_KEY_INVALID"}]}}"#),
    ("google_maps", 200, JSON, r#"{ "error_message" : "The provided API key is invalid.", "status" : "REQUEST_DENIED" }"#),
    ("langsmith", 403, JSON, r#"{"detail":"Forbidden"}"#),
    ("linear", 400, JSON, r#"{"errors":[{"extensions":{"code":"AUTHENTICATION_ERROR"}}]}"#),
    ("matomo", 200, JSON, r#"{"result":"error","message":"Unable to authenticate with the provided token."}"#),
    ("npm_registry", 401, &[], "{}"),
    ("odoo", 200, JSON, r#"{"error":{"data":{"name":"odoo.exceptions.AccessDenied"}}}"#),
    ("phabricator", 200, JSON, r#"{"result":null,"error_code":"ERR-INVALID-AUTH"}"#),
    ("pinecone", 200, GRPC, ""),
    ("plaid", 400, JSON, r#"{"error_type":"INVALID_INPUT","error_code":"INVALID_API_KEYS"}"#),
    ("pypi_upload", 403, HTML, "403 Invalid or non-existent authentication information."),
    ("qdrant_cloud", 403, &[], "forbidden"),
    ("resend", 400, JSON, r#"{"statusCode":400,"message":"API key is invalid","name":"validation_error"}"#),
    ("safaricom_mpesa", 404, JSON, r#"{"errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#),
    ("serper", 403, JSON, r#"{"message":"Unauthorized.","statusCode":403}"#),
    ("slack", 200, JSON, r#"{"ok":false,"error":"token_expired"}"#),
    ("slack", 200, JSON, r#"{"ok": false, "error": "token_revoked"}"#),
    ("tiktok_ads", 200, JSON, r#"{"code": 40105, "message": "Access token is incorrect or has been revoked."}"#),
    ("travis_ci", 403, &[], "access denied"),
    ("typeform", 403, JSON, r#"{"code":"AUTHENTICATION_FAILED"}"#),
    ("vercel", 403, JSON, r#"{"error":{"code":"forbidden","message":"Not authorized","invalidToken":true}}"#),
    ("wave_accounting", 200, JSON, r#"{"errors":[{"extensions":{"code":"UNAUTHENTICATED"}}]}"#),
    ("whatsapp_business", 400, JSON, r#"{"error":{"message":"Error validating access token","code":190}}"#),
    ("xai", 400, JSON, r#"{"code":"invalid-argument","error":"Incorrect API key provided: xa***"}"#),
];

/// Answers that say nothing about the credential.
const ALIVE: &[Answer] = &[
    ("azure_devops", 203, JSON, "{}"),
    ("cloudflare", 403, JSON, r#"{"success":false,"errors":[{"code":9109}]}"#),
    ("dropbox", 401, JSON, r#"{"error":{".tag":"missing_scope"}}"#),
    ("figma", 403, JSON, r#"{"status":403,"err":"Not allowed"}"#),
    ("ghcr", 401, &[("www-authenticate", r#"Bearer realm="https://a.test/token",error="insufficient_scope""#)], ""),
    ("github", 404, JSON, r#"{"message":"Not Found"}"#),
    ("gitlab", 404, JSON, r#"{"message":"404 Project Not Found"}"#),
    ("google_gemini", 400, JSON, r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#),
    ("google_maps", 200, JSON, r#"{"results":[],"status":"OK"}"#),
    ("mongodb_atlas", 401, &[("www-authenticate", r#"Digest realm="MMS Public API", nonce="x""#)], ""),
    ("msgraph", 401, &[("www-authenticate", r#"Bearer realm="", claims="eyJ", error="insufficient_claims""#)], ""),
    ("npm_registry", 401, &[("www-authenticate", "OTP")], ""),
    ("npm_registry", 401, JSON, r#"{"error":"You must provide a one-time pass."}"#),
    ("npm_registry", 404, JSON, "{}"),
    ("slack", 200, JSON, r#"{"ok":false,"error":"channel_not_found"}"#),
    ("tiktok_ads", 200, JSON, r#"{"code":0,"message":"OK"}"#),
    ("vercel", 403, JSON, r#"{"error":{"code":"forbidden","message":"No access to the team"}}"#),
    ("youtube", 401, JSON, r#"{"error":{"errors":[{"reason":"youtubeSignupRequired"}]}}"#),
];

/// As the proxy does it: by the head, and by the beginning of the body where that must decide.
fn judged(provider: &str, status: u16, fields: &[(&'static str, &'static str)], body: &str) -> Judgement {
    let catalogue = Catalogue::builtin();
    let signals = &catalogue.get(&provider.parse().expect("a name")).expect("a file").signals;
    let headers: HeaderMap =
        fields.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    let status = StatusCode::from_u16(status).expect("a status");
    match signals.judge(status, &headers, None) {
        Judgement::Look => signals.judge(status, &headers, Some(body.as_bytes())),
        decided => decided,
    }
}

#[test]
fn a_credential_that_a_service_calls_dead_is_dead() {
    for (provider, status, fields, body) in DEAD {
        assert_eq!(judged(provider, *status, fields, body), Judgement::Expired, "{provider}: {status} {body}");
    }
}

#[test]
fn what_is_about_something_else_renews_nothing() {
    for (provider, status, fields, body) in ALIVE {
        assert_eq!(judged(provider, *status, fields, body), Judgement::Alive, "{provider}: {status} {body}");
    }
}
