//! What the fields of a head say about where it goes and where its message ends (RFC 9110 §7.6.1, RFC 9112 §6).

use http::Version;

use super::Malformed;
use super::grammar::{decimal, is_host_port, members, trim};

/// The framing a head declares; what it means for a response also depends on the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    /// Neither field.
    Nothing,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What has been seen of a section's fields so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) count: u16,
    hosts: u8,
    proxy_authorizations: u8,
    chunked: bool,
    pub(super) upgrade: bool,
    /// Something is asked of the next hop alone: `TE`, `Expect`, or a `Connection` that is more than kept alive.
    pub(super) of_hop: bool,
    /// An upgrade to cleartext HTTP/2 is offered, and nothing else: a server may pass over it (RFC 9110 §7.8), so it ends here.
    http2: bool,
    http2_settings: bool,
    length: Option<u64>,
}

impl Seen {
    /// A field of a request head. `raw` still has its optional white space.
    pub(super) fn request_field(&mut self, name: &[u8], raw: &[u8]) -> Result<(), Malformed> {
        match name.len() {
            2 if name.eq_ignore_ascii_case(b"te") => {
                self.of_hop = true;
                Ok(())
            }
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts = self.hosts.saturating_add(1);
                check(is_host_port(trim(raw)), Malformed::Host)
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.of_hop = true;
                check(trim(raw).eq_ignore_ascii_case(b"100-continue"), Malformed::Expect)
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                let alone = trim(raw).eq_ignore_ascii_case(b"h2c");
                self.http2 |= alone;
                self.upgrade |= !alone;
                check(alone || !members(raw).any(is_http2), Malformed::Upgrade)
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.of_hop |= !trim(raw).eq_ignore_ascii_case(b"keep-alive");
                check(!members(raw).any(is_essential), Malformed::Connection)
            }
            14 if name.eq_ignore_ascii_case(b"http2-settings") => {
                check(!self.http2_settings, Malformed::Upgrade)?;
                self.http2_settings = true;
                Ok(())
            }
            19 if name.eq_ignore_ascii_case(b"proxy-authorization") => {
                self.proxy_authorizations = self.proxy_authorizations.saturating_add(1);
                check(self.proxy_authorizations == 1, Malformed::ProxyAuthorizationRepeated)
            }
            14 | 17 => self.response_field(name, raw),
            _ => Ok(()),
        }
    }

    /// A field of a response head, where only the framing matters here.
    pub(super) fn response_field(&mut self, name: &[u8], raw: &[u8]) -> Result<(), Malformed> {
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                check(self.length.is_none(), Malformed::ContentLengthRepeated)?;
                self.length = Some(decimal(plain(raw)).ok_or(Malformed::ContentLength)?);
                Ok(())
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let exact = plain(raw).eq_ignore_ascii_case(b"chunked") && !self.chunked;
                self.chunked = true;
                check(exact, Malformed::TransferEncoding)
            }
            _ => Ok(()),
        }
    }

    /// The framing, once all fields are known.
    pub(super) fn declared(&self, version: Version) -> Result<Declared, Malformed> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Malformed::FramingConflict),
            (true, None) if version != Version::HTTP_11 => Err(Malformed::TransferEncoding),
            (true, None) => Ok(Declared::Chunked),
            (false, Some(length)) => Ok(Declared::Length(length)),
            (false, None) => Ok(Declared::Nothing),
        }
    }

    /// What holds for a request as a whole.
    pub(super) fn check_request(&self, version: Version, connect: bool, declared: Declared) -> Result<(), Malformed> {
        let least = u8::from(version == Version::HTTP_11);
        check((least..=1).contains(&self.hosts), Malformed::HostCount)?;
        check(!self.upgrade || (version == Version::HTTP_11 && !self.http2), Malformed::Upgrade)?;
        check(!self.http2_settings || self.http2, Malformed::Upgrade)?;
        let switches = connect || self.upgrade;
        check(!switches || matches!(declared, Declared::Nothing | Declared::Length(0)), Malformed::UpgradeBody)
    }
}

/// Whether a field may stand behind the body (RFC 9110 §6.5.1).
pub(super) fn may_trail(name: &[u8]) -> bool {
    const NEVER: [&[u8]; 24] = [
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"location",
        b"max-forwards",
        b"range",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
        b"www-authenticate",
        b"authentication-info",
        b"forwarded",
    ];
    let proxy = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"proxy-"));
    !proxy && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
}

/// The value of a framing field: spaces around it are taken, tabs are not, since some readers see another value there.
fn plain(raw: &[u8]) -> &[u8] {
    if raw.contains(&b'\t') { raw } else { trim(raw) }
}

/// Cleartext HTTP/2 by its present and former names (RFC 9113 §3.1).
fn is_http2(protocol: &[u8]) -> bool {
    let named = |name: &[u8]| protocol.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    named(b"h2") || named(b"http/2")
}

/// Fields without which a message has no target or no end, so that no connection can own them.
pub(super) fn is_essential(option: &[u8]) -> bool {
    [&b"host"[..], b"content-length", b"transfer-encoding"].iter().any(|name| option.eq_ignore_ascii_case(name))
}

pub(super) fn check(holds: bool, otherwise: Malformed) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(otherwise) }
}
