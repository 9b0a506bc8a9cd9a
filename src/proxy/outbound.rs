//! What of a request is for the service: its method may go on, and nothing that belongs to this hop or to a credential goes with it.

use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, COOKIE, EXPECT, HOST, MAX_FORWARDS, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, request};

use super::door::{Arrived, NEXUS_CONNECTION};
use super::observe::{is_hop_by_hop, strip_hop_by_hop};
use super::refusal::Refusal;
use super::upgrade;
use crate::agent::Agent;
use crate::decide::Occupants;
use crate::model::Target;
use crate::provider::{Plan, strip_target};

/// A request without any credential: what is sent has one put over it.
pub(super) struct Outbound {
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) agent: Arc<str>,
    /// The request asks for another protocol: HTTP/1.1 it is.
    pub(super) upgrade: bool,
    /// What the caller's own signature said, where it is to be made anew.
    pub(super) plan: Plan,
}

/// TRACE echoes what it was sent (RFC 9110 §9.3.8); a second CONNECT would leave the tunnel.
pub(super) fn check_method(parts: &request::Parts) -> Result<(), Refusal> {
    let extended = parts.extensions.get::<hyper::ext::Protocol>().is_some();
    if parts.method == Method::OPTIONS && hops_used_up(&parts.headers) {
        return Err(Refusal::Method("OPTIONS with Max-Forwards: 0 goes no further"));
    }
    refused_method(&parts.method).filter(|_why| !extended).map_or(Ok(()), |why| Err(Refusal::Method(why)))
}

/// Why no request of this method is forwarded, if none is.
pub(super) fn refused_method(method: &Method) -> Option<&'static str> {
    match method.as_str() {
        "CONNECT" => Some("CONNECT inside a tunnel is not allowed"),
        name if name.eq_ignore_ascii_case("trace") => Some("TRACE is not forwarded"),
        name if name.eq_ignore_ascii_case("track") => Some("TRACK is not forwarded"),
        _ => None,
    }
}

/// RFC 9110 §7.6.2: a proxy does not pass on what may go no further.
fn hops_used_up(headers: &HeaderMap) -> bool {
    headers.get(MAX_FORWARDS).is_some_and(|left| !left.is_empty() && left.as_bytes().iter().all(|digit| *digit == b'0'))
}

/// The request without anything that belongs to this hop or to the slots of the host's providers; the credential is put on per send.
pub(super) fn outbound(
    arrived: Arrived,
    parts: &mut request::Parts,
    occupants: Option<&Occupants>,
    (agent, upgrade, plan): (&Arc<Agent>, bool, Plan),
) -> Result<Outbound, Refusal> {
    let mut target = arrived.target;
    let mut headers = std::mem::take(&mut parts.headers);
    let kept = upgrade.then(|| upgrade::request_fields(&headers, &parts.extensions));
    if target.method == Method::CONNECT {
        target.method = Method::GET;
    }
    let trailers = if headers.keys().any(is_special) { strip_special(&mut headers) } else { false };
    if let Some(occupants) = occupants {
        strip_target(&occupants.slots, &mut headers, &mut target.path)
            .map_err(|_long| Refusal::Target("the path is too long"))?;
        super::door::strip_routing_hints(&mut headers);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    set_host(&mut headers, &target);
    headers.extend(kept.into_iter().flatten());
    Ok(Outbound { target, headers, agent: Arc::clone(&agent.label), upgrade, plan })
}

/// A log-in as its caller sent it, its own client's credential and all, but for what is `stripped`. The answer will be read.
pub(super) fn of_log_in(
    arrived: &Arrived,
    headers: &HeaderMap,
    agent: &Agent,
    stripped: Option<&Occupants>,
) -> Result<Outbound, Refusal> {
    let (mut target, mut headers) = (arrived.target.clone(), headers.clone());
    strip_special(&mut headers);
    if let Some(occupants) = stripped {
        strip_target(&occupants.slots, &mut headers, &mut target.path)
            .map_err(|_long| Refusal::Target("the path is too long"))?;
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    set_host(&mut headers, &target);
    Ok(Outbound { target, headers, agent: Arc::clone(&agent.label), upgrade: false, plan: Plan::default() })
}

/// Whether [`strip_special`] has anything to do with a field. Most requests have none: one look at the names costs less than a search for
/// each.
fn is_special(name: &HeaderName) -> bool {
    is_hop_by_hop(name) || matches!(name.as_str(), "cookie" | "expect") || *name == NEXUS_CONNECTION
}

/// Takes out what is not for the service, wherever it is; says whether the caller takes trailers.
fn strip_special(headers: &mut HeaderMap) -> bool {
    let trailers = takes_trailers(headers);
    join_cookies(headers);
    strip_hop_by_hop(headers);
    headers.remove(EXPECT);
    headers.remove(NEXUS_CONNECTION);
    trailers
}

/// Whether the caller takes trailers (RFC 9110 §10.1.4). The word is for one hop, so it is said anew.
fn takes_trailers(headers: &HeaderMap) -> bool {
    let member = |member: &[u8]| {
        member.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"trailers")
    };
    headers.get_all(TE).iter().any(|value| value.as_bytes().split(|byte| *byte == b',').any(member))
}

/// HTTP/2 may split the cookies (RFC 9113 §8.2.3); whoever reads HTTP/1.1 takes the first line for all of them.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(mut whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        whole.set_sensitive(true);
        headers.insert(COOKIE, whole);
    }
}

/// `Host` as it is written on the wire: no default port.
pub(super) fn host_value(target: &Target) -> Option<HeaderValue> {
    HeaderValue::from_str(&target.authority.as_written(target.scheme)).ok()
}

/// Sets `Host`, keeping its place in the order if it has one.
pub(super) fn set_host(headers: &mut HeaderMap, target: &Target) {
    // Nearly always it is there already, as it has to be.
    let mut said = headers.get_all(HOST).iter();
    let plain = said.next().is_some_and(|host| target.authority.is_plainly(target.scheme, host.as_bytes()));
    if plain && said.next().is_none() {
        return;
    }
    if let Some(value) = host_value(target) {
        headers.insert(HOST, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request may have any of them alone, so that its name is all that tells.
    #[test]
    fn i3_whatever_is_taken_out_is_known_by_its_name() {
        let names = [
            "connection",
            "keep-alive",
            "proxy",
            "proxy-authorization",
            "proxy-connection",
            "proxy-anything",
            "te",
            "transfer-encoding",
            "upgrade",
            "http2-settings",
            "expect",
            "nexus-connection",
            "cookie",
        ];
        for name in names {
            let mut headers = HeaderMap::new();
            for value in ["x-a", "b=2"] {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert!(headers.keys().any(is_special), "{name}");
            strip_special(&mut headers);
            assert_eq!(headers.len(), usize::from(name == "cookie"), "{name}");
        }
        for name in ["accept", "authorization", "host", "prox", "proxyx", "trailer", "user-agent", "x-a"] {
            assert!(!is_special(&HeaderName::from_static(name)), "{name}");
        }
    }
}
