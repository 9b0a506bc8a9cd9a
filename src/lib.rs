//! Nexus: a forward HTTP(S) egress proxy that holds credentials so that programs don't.
//!
//! The floors, top to bottom; a room imports only from floors below its own (`tests/architecture.rs` keeps it so):
//!
//! | floor | rooms |
//! |---|---|
//! | 4 | [`app`]: configuration, build, start, reload, drain |
//! | 3 | `gateway`: the control plane; `node`: connections that a gateway lends; `proxy`: the data plane |
//! | 2 | `approval`: what a person is asked before a request goes on; `broker`: live credentials; `consent`: log-ins; `decide`: rules compiled into one snapshot; `loan`: what nodes are lent; `registration`: what a person typed, as a connection |
//! | 1 | [`agent`], `attention`, [`audit`], [`ca`], `listener`, `oauth`, [`policy`], [`provider`], `upstream`, [`vault`] |
//! | 0 | `ample`, [`disk`], `guard`, `head`, `local`, [`model`], `plaintext`, `read_ahead`, [`seal`], `sign`, `telemetry`, `wording`, `write_through` |

pub mod app;

mod gateway;
mod node;
mod proxy;

mod approval;
mod broker;
mod consent;
mod decide;
mod loan;
mod registration;

pub mod agent;
mod attention;
pub mod audit;
pub mod ca;
mod listener;
mod oauth;
pub mod policy;
pub mod provider;
mod upstream;
pub mod vault;

mod ample;
pub mod disk;
mod guard;
mod head;
mod local;
pub mod model;
mod plaintext;
mod read_ahead;
pub mod seal;
mod sign;
mod telemetry;
mod wording;
mod write_through;

#[doc(hidden)]
pub mod fuzzing;

pub use app::App;
