//! The broker against a vault and a token endpoint that do what the worst real ones do.

mod ahead;
mod disk;
pub(super) mod fakes;
mod grants;
mod made;
mod on_401;
mod sealed;
mod storage;
mod threads;
mod verdicts;
