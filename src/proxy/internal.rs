//! `http://nexus.internal/`: the CA for whoever reached us, the environment for whoever showed who he is.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use serde_json::json;

use super::body::ResponseBody;
use super::door::Arrived;
use super::refusal::Refusal;
use super::worker::Worker;
use crate::model::{ConnectionId, UserName};
use crate::vault::Status;

/// What the pages are made of.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// `ca.pem`.
    pub(crate) ca: String,
    /// `ca-bundle.pem`.
    pub(crate) bundle: String,
    /// SHA-256 of the CA certificate, `AA:BB:…`.
    pub(crate) fingerprint: String,
}

/// The page that `arrived` asks for.
pub(super) fn page(worker: &Worker, arrived: &Arrived) -> Result<Response<ResponseBody>, Refusal> {
    if arrived.target.method != Method::GET && arrived.target.method != Method::HEAD {
        return Err(Refusal::Method("the pages of the proxy are read with GET"));
    }
    let pages = worker.proxy.pages.load();
    match arrived.target.path.path() {
        "/ca.pem" => Ok(text("application/x-pem-file", pages.ca.clone())),
        "/ca-bundle.pem" => Ok(text("application/x-pem-file", pages.bundle.clone())),
        "/whoami" => whoami(arrived, &pages),
        "/env" => environment(arrived, &pages),
        path => match path.split_at_checked(path.rfind('/').map_or(0, |slash| slash + 1)) {
            Some(("/attention/", id)) => item(worker, arrived, id),
            Some(("/approvals/", id)) => approval(worker, arrived, id),
            Some(("/connections/", name)) => connection(worker, arrived, name),
            _ => Err(Refusal::NoSuchPage),
        },
    }
}

fn whoami(arrived: &Arrived, pages: &Pages) -> Result<Response<ResponseBody>, Refusal> {
    let agent = arrived.agent.as_ref().ok_or(Refusal::UnknownAgent)?;
    let user = agent.user.as_ref().map(ToString::to_string);
    Ok(document(&json!({ "agent": agent.name.as_str(), "user": user, "ca_sha256": pages.fingerprint })))
}

/// What a program behind the proxy needs to know; it has the proxy's address already.
fn environment(arrived: &Arrived, pages: &Pages) -> Result<Response<ResponseBody>, Refusal> {
    let agent = arrived.agent.as_ref().ok_or(Refusal::UnknownAgent)?;
    Ok(document(&json!({
        "agent": agent.name.as_str(),
        "ca": "http://nexus.internal/ca.pem",
        "ca_bundle": "http://nexus.internal/ca-bundle.pem",
        "ca_sha256": pages.fingerprint,
        "bundle_variables": [
            "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "PIP_CERT", "CARGO_HTTP_CAINFO",
            "NPM_CONFIG_CAFILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "HTTPLIB2_CA_CERTS", "WEBSOCKET_CLIENT_CA_BUNDLE",
            "PERL_LWP_SSL_CA_FILE",
        ],
        "ca_variables": ["NODE_EXTRA_CA_CERTS", "DENO_CERT"],
    })))
}

/// `status_url` of `auth_required`: whether somebody has acted. For the agent that was refused alone.
fn item(worker: &Worker, arrived: &Arrived, id: &str) -> Result<Response<ResponseBody>, Refusal> {
    let agent = arrived.agent.as_ref().ok_or(Refusal::UnknownAgent)?;
    let shown = worker.proxy.need_of(id, agent).ok_or(Refusal::NoSuchPage)?;
    serde_json::to_value(&shown).map(|shown| document(&shown)).map_err(|_odd| Refusal::NoSuchPage)
}

/// Where a program that did not wait for a person's word sees whether it was given. For the agent that asked alone.
fn approval(worker: &Worker, arrived: &Arrived, id: &str) -> Result<Response<ResponseBody>, Refusal> {
    let agent = arrived.agent.as_ref().ok_or(Refusal::UnknownAgent)?;
    let shown = worker.proxy.approvals.find_of(id, agent).ok_or(Refusal::NoSuchPage)?;
    Ok(document(&super::standing::standing(&shown)))
}

/// Whether the connection is there, and whether it works as far as we know.
fn connection(worker: &Worker, arrived: &Arrived, name: &str) -> Result<Response<ResponseBody>, Refusal> {
    let agent = arrived.agent.as_ref().ok_or(Refusal::UnknownAgent)?;
    let id: ConnectionId = name.parse().map_err(|_invalid| Refusal::NoSuchPage)?;
    let listed = worker.proxy.broker.connections_of(id.provider()).map_err(super::choose::unreadable)?;
    let theirs = match listed.own.iter().find(|own| own.id == id) {
        Some(own) => worker.owner(agent) == own.agent && UserName::same(agent.user.as_ref(), own.user.as_ref()),
        None => id.is_open_to(agent.user.as_ref()),
    };
    if !agent.may_use(id.provider()) || !theirs {
        return Err(Refusal::NoSuchPage);
    }
    let status = worker.proxy.broker.status(&id).map_err(super::choose::unreadable)?.map_or("missing", Status::as_str);
    Ok(document(&json!({ "connection": id.as_str(), "status": status })))
}

fn document(value: &serde_json::Value) -> Response<ResponseBody> {
    text("application/json", format!("{value}\n"))
}

fn text(kind: &'static str, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
