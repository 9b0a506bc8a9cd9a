//! The data plane: a caller's stream in, a response out. Floor 3.
//!
//! [`exchange`] is the request path; everything else here brings requests to it or carries its answers away.

mod about_token;
mod activity;
mod attention;
mod authenticate;
mod beside;
mod body;
mod caller;
mod captures;
mod choose;
mod coded;
mod connect;
mod content;
mod door;
mod exchange;
mod express;
mod foresee;
mod forward;
mod guarded;
mod hello;
mod hold;
mod inside;
mod intercept;
mod internal;
mod judge;
mod load;
mod log_in;
mod meter;
mod mint;
mod observe;
mod outbound;
mod outlive;
mod placeholders;
mod put_on;
mod refusal;
mod refused;
mod renew;
mod replay;
mod respond;
mod ruled;
mod scrubbed;
mod serve;
mod token_response;
mod tongue;
mod tunnel;
mod upgrade;
mod waiting;
mod worker;

pub(crate) use captures::Captures;
pub(crate) use foresee::{Foreseen, before_dialling, before_rules, is_own};
pub(crate) use internal::Pages;
pub(crate) use load::Loads;
pub(crate) use meter::Meters;
pub(crate) use waiting::Waiting;
pub(crate) use worker::{Listener, Proxy, Settings, Worker};
