//! The command line as people and scripts meet it: the built binary, a temporary home, real programs.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

#[path = "../e2e/harness/mod.rs"]
mod harness;

mod agents;
mod authority;
mod catalogue;
mod clients;
mod connected;
mod consented;
mod credentials;
mod crowd;
mod decided;
mod environment;
mod explained;
mod exported;
mod full_disk;
mod gateway;
mod gateway_consents;
mod homes;
mod imported;
mod jarviscore;
mod killed;
mod log;
mod made;
mod node_log_ins;
mod nodes;
mod oidc;
mod overview;
mod page;
mod page_live;
mod page_policy;
mod policies;
mod running;
mod searched;
mod service;
mod states;
mod usage;
mod world;
