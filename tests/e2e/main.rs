//! The whole proxy between real TLS services and real callers, on loopback: names by `upstream.resolve`, trust by
//! `upstream.extra_roots`, verification never off. One file per topic; the actors are in `harness/`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers included; a table of attacks is as long as it is"
)]

mod about_token;
mod approvals;
mod attack;
mod attention;
mod bounds;
mod canary;
mod client_certificate;
mod doors;
mod exhaustion;
mod floods;
mod frames;
mod gateway;
mod grpc;
mod guard;
mod harness;
mod host_safety;
mod hostile_service;
mod identity;
mod inside;
mod leases;
mod log_in;
mod made;
mod metrics;
mod mint;
mod node;
mod own_names;
mod parents;
mod placements;
mod policy;
mod protocols;
mod reload;
mod renewal;
mod replay;
mod secrets;
mod shared_host;
mod signing;
mod slow;
mod smoke;
mod smuggling;
mod ssrf;
mod streams;
mod strip_inject;
mod tls;
mod token_response;
mod traces;
mod tunnels;
mod unix_socket;
mod users;
mod websocket;
