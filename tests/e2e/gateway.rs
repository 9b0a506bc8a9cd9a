//! The gateway as apps, proxies, browsers and strangers meet it. One file per promise.

mod access;
mod adopted;
mod asked;
mod bounds;
mod browsers;
mod counted;
mod described;
pub(crate) mod events;
mod keyless;
mod keys;
mod killed;
mod life;
mod listed;
mod page;
mod rostered;
mod rules;
mod searched;
mod typed;
