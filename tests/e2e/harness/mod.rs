//! The actors of every test: a scripted [`Upstream`], a [`TokenServer`], the real [`Nexus`], a [`Caller`], and unmodified
//! [`Program`]s. They meet on loopback and trust one throw-away [`Authority`].
#![allow(dead_code, unused_imports, clippy::allow_attributes, reason = "each topic uses its part of the harness")]

mod authority;
mod body;
mod caller;
mod gateway;
mod kept;
mod nexus;
mod program;
pub(crate) mod socket;
mod token_server;
mod upstream;

use std::pin::Pin;
use std::time::Duration;

pub(crate) use authority::Authority;
pub(crate) use body::{Body, BoxError, channel, empty, full};
pub(crate) use caller::{Caller, Refused, Reply, Session, read, read_head, request};
pub(crate) use gateway::{Gateway, Said, said};
pub(crate) use kept::kept;
pub(crate) use nexus::{Builder, Nexus, SECRET};
pub(crate) use program::{Done, Program};
pub(crate) use token_server::{Authentication, CLIENT_ID, CLIENT_SECRET, Odd, TokenServer, access, refresh};
pub(crate) use upstream::{Call, Offers, Seen, Upstream, answer};

/// Past this a test fails instead of hanging.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// Runs one test to its end, or fails it after [`WATCHDOG`].
pub(crate) fn run(test: impl Future<Output = ()>) {
    run_within(WATCHDOG, test);
}

/// As [`run`], for a test that needs another bound.
pub(crate) fn run_within(limit: Duration, test: impl Future<Output = ()>) {
    run_boxed(limit, Box::pin(test));
}

/// A function of its own and without a type of the test's, or the whole runtime would be compiled once for each of them.
fn run_boxed(limit: Duration, test: Pin<Box<dyn Future<Output = ()> + '_>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let ended = runtime.block_on(async { tokio::time::timeout(limit, test).await });
    // What a test left behind must not keep it from failing.
    runtime.shutdown_background();
    ended.expect("the test ends in time");
}

/// Looks again and again until `find` finds something; for what nobody announces, such as a line in a file.
pub(crate) async fn eventually<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The one TLS provider.
pub(crate) fn crypto() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
