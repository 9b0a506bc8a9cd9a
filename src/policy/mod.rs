//! Rules as data: who may do what, when and how often; read, checked, and what they say of a request together. Floor 1.

mod allowing;
mod asked;
mod book;
mod file;
mod graphql;
mod index;
mod observations;
mod overriding;
mod parts;
mod row;
mod rule;
mod seen_path;
mod suggest;
mod terms;
mod window;

pub(crate) use allowing::Narrow;
pub(crate) use asked::{Asked, Content, Question, Seen};
pub(crate) use book::{Doorway, Few, Policy, Ruling};
pub use file::{Error, MAX_RULES, read};
pub(crate) use file::{gather, locate};
pub(crate) use graphql::does;
pub use observations::Observations;
pub use row::{Action, Mode, Per, Row};
pub(crate) use rule::Limits;
pub use rule::Rule;
pub use suggest::{Judge, Observed, Suggested, suggest};
