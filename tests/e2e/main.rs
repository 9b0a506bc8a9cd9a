//! The whole proxy between real TLS services and real callers, on loopback: names by `upstream.resolve`, trust by
//! `upstream.extra_roots`, verification never off. One file per topic; the actors are in `harness/`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers included"
)]

mod attack;
mod doors;
mod frames;
mod grpc;
mod harness;
mod host_safety;
mod protocols;
mod renewal;
mod replay;
mod smoke;
mod smuggling;
mod streams;
mod strip_inject;
mod tunnels;
mod websocket;
