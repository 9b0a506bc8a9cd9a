//! Configuration, build, start, reload, drain. Floor 4.

mod alive;
mod announced;
mod client_ca;
pub mod config;
mod endpoint;
mod explain;
mod frozen;
mod gateway;
pub mod harmless;
mod home;
mod init;
mod insight;
pub mod login;
mod needs;
mod node;
mod numbers;
mod parts;
mod passing;
pub mod registration;
mod reload;
mod restart;
mod roster;
mod rules;
mod run;
mod secret;
mod settings;
mod told;
mod traces;
mod trial;
mod tried;
mod watch;
mod webhook;

pub use crate::broker::Standing;
pub use crate::gateway::{
    Key as GatewayKey, KeyKind as GatewayKeyKind, KeysError as GatewayKeysError, PendingError, ReturnUrl, ReturnUrlError,
};
pub use announced::{Announced, InForce};
pub use config::Config;
pub use explain::{ExplainError, Explainer, Explanation, Inquired, MatchedRule, Outcome, Ruled, ShownRule, explain};
pub use gateway::{ITSELF, LocalGateway};
pub use home::{Home, HomeError};
pub use init::{InitError, Made, Rotated, check_key, drop_old, init, open_root, rotate, trusted, write_bundle};
pub use node::{AskError, Consent, Link, Node, NodeError, Typed, Unheard, UrlError};
pub use parts::{BuildError, Planes, Setup, check, warm_up};
pub use passing::Passing;
pub use roster::reachable;
pub use rules::{policy_of, rules_digest};
pub use run::{App, Running};
pub use secret::{Origin, SecretError, dotenv_value, handed_down, passphrase};
pub use trial::{Trial, TrialError, Tried, Verdict, trials, try_all};
