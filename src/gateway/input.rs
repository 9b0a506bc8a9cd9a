//! What a request brings, read with bounds; what can't be read is a problem that names the member.

use axum::RequestPartsExt as _;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use utoipa::IntoParams;
use zeroize::Zeroizing;

use super::context::Shared;
use super::problem::Problem;
use super::settings::BODY;
use crate::oauth::form_decoded;

/// The parts of the path.
#[derive(Debug)]
pub(crate) struct InPath<T>(pub(crate) T);

/// The query.
#[derive(Debug)]
pub(crate) struct InQuery<T>(pub(crate) T);

/// The query, in two parts that handlers share.
#[derive(Debug)]
pub(crate) struct InQueries<A, B>(pub(crate) A, pub(crate) B);

/// A JSON body. Forms and plain text are refused: a web page could send them without being asked (threat 150).
#[derive(Debug)]
pub(crate) struct InBody<T>(pub(crate) T);

/// A whole number, which JSON may write as `900.0` (JSON Schema calls that an integer as well).
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Number")]
pub(crate) struct Whole(pub(crate) u64);

impl TryFrom<serde_json::Number> for Whole {
    type Error = &'static str;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole, not negative and exact")]
    fn try_from(number: serde_json::Number) -> Result<Self, &'static str> {
        /// Up to here every whole number has a double of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let whole = |number: &f64| number.fract() == 0.0 && (0.0..=EXACT).contains(number);
        let written_otherwise = || number.as_f64().filter(whole).map(|number| number as u64);
        number.as_u64().or_else(written_otherwise).map(Self).ok_or("expected a whole number")
    }
}

impl<T: DeserializeOwned + Send + 'static> FromRequestParts<Shared> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _gateway: &Shared) -> Result<Self, Problem> {
        let Path(value) = parts.extract().await.map_err(|_unreadable: axum::extract::rejection::PathRejection| {
            Problem::malformed("a part of the path can't be read")
        })?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned + IntoParams + Send + 'static> FromRequestParts<Shared> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _gateway: &Shared) -> Result<Self, Problem> {
        known_alone(parts, &names::<T>())?;
        read(parts).await.map(Self)
    }
}

impl<A, B> FromRequestParts<Shared> for InQueries<A, B>
where
    A: DeserializeOwned + IntoParams + Send + 'static,
    B: DeserializeOwned + IntoParams + Send + 'static,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _gateway: &Shared) -> Result<Self, Problem> {
        known_alone(parts, &[names::<A>(), names::<B>()].concat())?;
        Ok(Self(read(parts).await?, read(parts).await?))
    }
}

async fn read<T: DeserializeOwned + 'static>(parts: &mut Parts) -> Result<T, Problem> {
    let query = parts.extract::<Query<T>>().await;
    let unread =
        |error: QueryRejection| Problem::malformed(format!("the query can't be read: {}", of_query(&error.body_text())));
    query.map(|Query(value)| value).map_err(unread)
}

/// The parameters that the document names.
fn names<T: IntoParams>() -> Vec<String> {
    T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect()
}

/// A condition that nobody reads would be taken for one that holds. Only where the contract is our own: clients of the Nexus contract may send more.
fn known_alone(parts: &Parts, known: &[String]) -> Result<(), Problem> {
    let query = parts.uri.query().filter(|_| parts.uri.path().starts_with("/api/")).unwrap_or_default();
    let given = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or_default());
    let unknown = given.map(form_decoded).find(|name| !known.iter().any(|known| known == name));
    match unknown {
        None => Ok(()),
        Some(name) => {
            let message =
                format!("the query can't be read: it has no parameter `{}` here, only {}", printable(&name), known.join(", "));
            Err(Problem::malformed(message))
        }
    }
}

/// A host to look for, or all names below one.
///
/// # Errors
/// 400 for another pattern: nothing would be found, whatever there is.
pub(crate) fn host_pattern(host: Option<&str>) -> Result<(), Problem> {
    let name = host.unwrap_or_default();
    let is_below = name.strip_prefix("*.").is_some_and(|name| !name.is_empty() && !name.contains('*'));
    if is_below || !name.contains('*') {
        return Ok(());
    }
    Err(Problem::malformed("host is a name, or *.example.com for all names below it; without host it is every one"))
}

/// A name that is looked for as it is.
///
/// # Errors
/// 400 for a pattern.
pub(crate) fn whole_name(parameter: &str, name: Option<&str>) -> Result<(), Problem> {
    if !name.unwrap_or_default().contains('*') {
        return Ok(());
    }
    Err(Problem::malformed(format!("{parameter} is a whole name, no pattern; without {parameter} it is every one")))
}

impl<T: DeserializeOwned + Send + 'static> FromRequest<Shared> for InBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _gateway: &Shared) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let message = "the body must be JSON, and the field Content-Type must say application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
        }
        let body = whole(request).await?;
        // Members have names: a list of their values is none of ours, though readers take it.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return Err(Problem::malformed("the body can't be read: expected an object"));
        }
        Ok(Self(parse(&body)?))
    }
}

/// One JSON value.
///
/// # Errors
/// 400 that names the member which is wrong.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let place =
            if matches!(path.as_str(), "." | "?") { "the body".to_owned() } else { format!("the member {}", printable(&path)) };
        Problem::malformed(format!("{place} can't be read: {}", mistake(error.inner())))
    })?;
    reader.end().map_err(|_more| Problem::malformed("there is more in the body than one JSON value"))?;
    Ok(value)
}

/// Without what the reader says of itself.
fn of_query(text: &str) -> &str {
    text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text)
}

/// The whole body, at most [`BODY`] bytes.
///
/// # Errors
/// 413 for a larger one, 400 for one that ends early.
pub(crate) async fn whole(request: Request) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let too_large = || {
        let message = format!("the body is larger than {} KiB", BODY / 1024);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    };
    match Limited::new(request.into_body(), BODY).collect().await {
        Ok(body) => Ok(Zeroizing::new(body.to_bytes().to_vec())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(_broken) => Err(Problem::malformed("the body ends early")),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The mistake without the value, which may be a secret: serde tells it before what it expected.
fn mistake(error: &serde_json::Error) -> String {
    let place = format!("(line {}, column {})", error.line(), error.column());
    if error.classify() != Category::Data {
        return format!("it is not JSON {place}");
    }
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let about_names = ["missing field", "unknown field", "duplicate field"].iter().any(|begins| text.starts_with(begins));
    let shown = if about_names { Some(text) } else { text.rsplit_once(", ").map(|(_, wanted)| wanted) };
    let shown = shown.filter(|shown| about_names || shown.starts_with("expected "));
    let shown = shown.unwrap_or("it is of another kind");
    // The name of a type of ours tells nobody anything.
    let shown = if shown.starts_with("expected struct ") { "expected an object" } else { shown };
    format!("{} {place}", printable(shown))
}

/// What a terminal can show, and not too much of it: names of members are the caller's.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| matches!(letter, ' '..='~')).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sent {
        name: String,
        #[serde(default)]
        many: Vec<u8>,
    }

    fn refused(text: &str) -> String {
        use axum::response::IntoResponse as _;
        let problem = parse::<Sent>(text.as_bytes()).expect_err(text);
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
        let body = problem.into_response().into_body();
        let bytes = futures(body.collect()).expect("a body").to_bytes();
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    fn futures<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn i1_a_mistake_names_the_member_and_never_the_value() {
        for (text, words) in [
            (r#"{"name": 7777}"#, "the member name can't be read: expected a string (line 1, column 13)"),
            (r#"{"name": "hunter2", "many": [1, "hunter2"]}"#, "the member many[1] can't be read: expected u8"),
            (r#"{"name": "hunter2", "many": "hunter2, expected"}"#, "the member many can't be read: expected a sequence"),
            (r#"{"many": [300]}"#, "the member many[0] can't be read: expected u8"),
            (r#"{"name": "hunter2", "other": 1}"#, "unknown field `other`"),
            (r#"{"many": []}"#, "missing field `name`"),
            ("[\"hunter2\"", "can't be read"),
            (r#""hunter2""#, "the body can't be read: expected an object"),
            (r#"{"name": "hunter2"} x"#, "more in the body than one"),
            ("", "it is not JSON"),
            ("hunter2", "it is not JSON"),
            ("{hunter2", "the body can't be read: it is not JSON"),
        ] {
            let said = refused(text);
            assert!(said.contains(&words.replace('"', "\\\"")), "{text}: {said}");
            assert!(!said.contains("hunter2") && !said.contains("7777"), "{said}");
        }
        assert_eq!(parse::<Sent>(br#"{"name": "a"}"#).expect("it is right"), Sent { name: "a".into(), many: Vec::new() });
    }

    #[test]
    fn a_query_is_told_of_without_its_reader() {
        let uri = "http://gw/x".parse().expect("a URI");
        let error = Query::<Sent>::try_from_uri(&uri).expect_err("nothing is there").body_text();
        assert_eq!(of_query(&error), "missing field `name`");
    }

    #[test]
    fn i7_a_body_is_bounded() {
        let read = |size| futures(whole(Request::new(Body::from(vec![b' '; size]))));
        assert_eq!(read(BODY).expect("as large as may be").len(), BODY);
        assert_eq!(read(BODY + 1).expect_err("larger").status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn t150_only_json_is_json() {
        let kind = |kind: &str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().expect("a value"))]));
        assert!(kind("application/json") && kind("Application/JSON; charset=utf-8"));
        for other in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx"] {
            assert!(!kind(other), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
