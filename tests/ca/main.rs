//! The certificate authority before real clients: OpenSSL, Python, Node, GnuTLS and webpki judge what it signs.
//!
//! A client that is not installed fails its test.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers included")]

mod clients;
mod harness;
mod judged;
mod negotiated;
mod tickets;
