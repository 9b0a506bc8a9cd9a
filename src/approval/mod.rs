//! What a person is asked before a request may go on, and what they answer. Floor 2.
//!
//! [`Approvals`] is the list of questions, bounded and in memory. It knows no HTTP: whoever holds a request asks here and waits.

mod desk;
mod fields;
mod grant;
mod held;
mod item;
mod lasting;
mod notice;
mod numbers;
mod preview;
mod question;
mod settings;
mod waiting;

#[cfg(test)]
mod tests;

pub(crate) use desk::{Approvals, Claimed, Found, NotAsked, NotDone};
pub(crate) use fields::Fields;
pub(crate) use grant::{Answer, Approved, How, Passing, ShownGrant};
pub(crate) use held::Held;
pub(crate) use item::{Shown, State};
pub(crate) use lasting::Lasting;
pub(crate) use notice::{Reply, ReplyTo};
pub(crate) use preview::{READ, View};
pub(crate) use question::{Body, Print, Question};
pub(crate) use settings::Settings;
pub(crate) use waiting::Word;
