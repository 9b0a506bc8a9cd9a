//! Renewal: a token that dies on the way is replaced once, by one call of the token endpoint, and nobody notices.

mod crowd;
mod dead;
mod endpoint;
pub(crate) mod house;
mod life;
mod moved;
mod once;
mod opinion;
mod signals;
