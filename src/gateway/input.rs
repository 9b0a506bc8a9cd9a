//! What a request brings, read with bounds; what can't be read is a problem that names the member.

use axum::RequestPartsExt as _;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::context::Shared;
use super::problem::Problem;
use super::settings::BODY;

/// The parts of the path.
#[derive(Debug)]
pub(crate) struct InPath<T>(pub(crate) T);

/// The query.
#[derive(Debug)]
pub(crate) struct InQuery<T>(pub(crate) T);

/// A JSON body. Forms and plain text are refused: a web page could send them without being asked (threat 150).
#[derive(Debug)]
pub(crate) struct InBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Send + 'static> FromRequestParts<Shared> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _gateway: &Shared) -> Result<Self, Problem> {
        let Path(value) = parts.extract().await.map_err(|_unreadable: axum::extract::rejection::PathRejection| {
            Problem::malformed("a part of the path can't be read")
        })?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned + Send + 'static> FromRequestParts<Shared> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _gateway: &Shared) -> Result<Self, Problem> {
        let query = parts.extract::<Query<T>>().await;
        let Query(value) =
            query.map_err(|error| Problem::malformed(format!("the query can't be read: {}", error.body_text())))?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned + Send + 'static> FromRequest<Shared> for InBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _gateway: &Shared) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let message = "the body must be JSON, and the field Content-Type must say application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
        }
        let bytes = whole(request).await?;
        let reader = &mut serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut *reader).map_err(|error| {
            let (path, cause) = (error.path().to_string(), error.inner());
            let place = if path == "." { "the body".to_owned() } else { format!("the member {path}") };
            Problem::malformed(format!("{place} can't be read: {}", said(cause)))
        })?;
        reader.end().map_err(|_more| Problem::malformed("there is more than one JSON value in the body"))?;
        Ok(Self(value))
    }
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

/// The mistake without the value, which may be a secret: serde says it after the colon or in quotes.
fn said(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => {
            let text = error.to_string();
            let wanted = text.split_once(", expected ").map(|(_, wanted)| wanted.split(" at line ").next().unwrap_or(wanted));
            let shown = if text.starts_with("missing field")
                || text.starts_with("unknown field")
                || text.starts_with("duplicate field")
            {
                text.split(" at line ")
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .filter(|letter| !letter.is_control())
                    .take(200)
                    .collect()
            } else {
                wanted.map_or_else(|| "it is of another kind".to_owned(), |wanted| format!("expected {wanted}"))
            };
            format!("{shown} ({place})")
        }
        _ => format!("it is not JSON ({place})"),
    }
}
