//! What needs a person: connections that requests were refused for. Floor 1.
//!
//! [`Attention`] is the list, bounded, in memory and in a file; requests may be held until somebody has acted, and a webhook may tell of it.

mod alarm;
mod held;
mod item;
mod kept;
mod list;
mod need;
mod nodes;
mod notice;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use alarm::Alarm;
pub(crate) use held::Holding;
pub(crate) use kept::read_list;
pub(crate) use list::Attention;
pub(crate) use need::{Need, Reason, Shown, Standing, Words, stamp};
pub(crate) use nodes::{AGAIN, Report};
pub(crate) use notice::{Fared, Key, Notice};
pub(crate) use settings::Settings;
