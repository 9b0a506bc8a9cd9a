//! Nodes: proxies that take their connections from a gateway, which alone spends refresh tokens.

mod away;
mod hostile;
mod house;
mod life;
mod needs;
