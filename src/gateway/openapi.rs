//! The document that describes every operation (OpenAPI 3.1), made from the code of the handlers.

use utoipa::OpenApi as _;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

use super::problem::Document;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Nexus gateway",
        description = "Connections: who registers, watches and fetches them. `/v1` is the Nexus contract, `/api` is Nexus's own.\n\nKeys are made by `nexus gateway key add`. A security requirement names the kinds of key that an operation is for; `owner` is a program of the gateway's own user on its machine, which needs none; `agent` is an agent of the proxy beside it, which shows its token.",
    ),
    components(schemas(Document)),
    tags(
        (name = "attention", description = "What needs a person"),
        (name = "approvals", description = "Requests that a rule holds for a person's word"),
        (name = "health", description = "Whether it works"),
        (name = "connections", description = "Connections: asked for, watched, used"),
        (name = "providers", description = "Services, and their apps"),
        (name = "agents", description = "Callers of the proxy"),
        (name = "pages", description = "What a person's browser meets"),
        (name = "audit", description = "What happened"),
        (name = "policy", description = "Rules: those in force, and those that the log would have needed"),
        (name = "node", description = "For proxies elsewhere"),
    ),
)]
struct Base;

/// What every operation may be answered with besides what it says itself.
const EVERYWHERE: [(&str, &str); 8] = [
    ("400", "The request can't be read"),
    ("408", "It was not whole, or not done, in time"),
    ("414", "The path is too long"),
    ("431", "There are too many fields, or too large ones"),
    ("421", "It names a host that this gateway is not known as"),
    ("403", "Whoever asks may not, or it is a web page"),
    ("500", "The gateway failed"),
    ("503", "The vault or the audit log can't be used now, or the gateway is ending"),
];

/// And what those that want a key may be.
const WITH_KEY: [(&str, &str); 2] = [("401", "No key, or a wrong one"), ("429", "Too many wrong keys")];

/// And those with a body.
const WITH_BODY: [(&str, &str); 2] = [("413", "The body is too large"), ("415", "The body is not JSON")];

/// The document before any operation.
pub(super) fn base() -> OpenApi {
    let mut document = Base::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.info.license = None;
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}

/// Adds to each operation what every one may be answered with.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for item in document.paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in all.into_iter().flatten() {
            let (keyed, bodied) = (operation.security.is_some(), operation.request_body.is_some());
            let more = WITH_KEY.iter().filter(|_| keyed).chain(WITH_BODY.iter().filter(|_| bodied));
            for (status, meaning) in EVERYWHERE.iter().chain(more) {
                operation.responses.responses.entry((*status).to_owned()).or_insert_with(|| problem(meaning));
            }
        }
    }
    document
}

fn problem(meaning: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    RefOr::T(ResponseBuilder::new().description(meaning).content("application/problem+json", content).build())
}
