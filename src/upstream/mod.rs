//! The service's side: resolve, refuse, dial, verify, pool, send. Floor 1.
//!
//! Promises: upstream TLS is always verified (I4); the address that was checked is the address that is dialled, and it is never
//! ours, a metadata service's, or a private one that was not allowed (I5); one pool per worker, no lock.

mod address;
mod dial;
mod direct;
mod error;
mod lookup;
mod parent;
mod peek;
mod pool;
mod received;
mod resolve;
mod send;
mod shape;
mod stream;
mod timers;
mod tls;
mod unprocessed;

pub(crate) use address::METADATA;
pub(crate) use dial::Dialler;
pub(crate) use error::{Error, certificate_fault};
pub(crate) use parent::Parent;
pub(crate) use pool::{Destination, Lease, Pool, Sent, Versions};
pub(crate) use received::{BodyError, Received};
pub(crate) use resolve::{Override, Policy};
pub(crate) use shape::{Written, request_written, written};
pub(crate) use stream::Stream;

use std::time::Duration;

use rustls_pki_types::CertificateDer;

/// What the upstream side is told. Times are bounds, not goals.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Trusted besides the system's roots.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    /// Private ranges that may be dialled.
    pub(crate) allow_private: Vec<ipnet::IpNet>,
    /// Names that are dialled elsewhere, like `curl --resolve`.
    pub(crate) resolve: Vec<Override>,
    /// A proxy between us and the world.
    pub(crate) parent: Option<Parent>,
    /// Name look-up, TCP connect and the parent's answer, together.
    pub(crate) connect_timeout: Duration,
    /// The TLS handshake.
    pub(crate) handshake_timeout: Duration,
    /// From the last byte of the request to the head of the response.
    pub(crate) head_timeout: Duration,
    /// How long a request body may be slow before it is held to `upload_rate`.
    pub(crate) upload_grace: Duration,
    /// Bytes a second that a request body must bring on average until the head of its response has come.
    pub(crate) upload_rate: u64,
    /// Name look-ups of one agent at once.
    pub(crate) agent_lookups: usize,
    /// Names without an address that one agent may ask for in a minute.
    pub(crate) unknown_names_per_minute: u32,
    /// How long an unused connection is kept.
    pub(crate) pool_idle_timeout: Duration,
    /// How many unused connections one worker keeps for one host.
    pub(crate) pool_idle_per_host: usize,
    /// Whether `h2` is offered to services.
    pub(crate) http2: bool,
}
