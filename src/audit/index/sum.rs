//! `Sum`: what many requests were together.

use std::ops::{AddAssign, SubAssign};

use rusqlite::{Row, Statement};
use serde::Serialize;
use utoipa::ToSchema;

use super::feed::Kind;
use super::line::Line;

/// The columns are written once, so that no table and no statement has them in another order.
macro_rules! sum {
    ($(#[$doc:meta])* $first:ident, $($(#[$docs:meta])* $name:ident),+ $(,)?) => {
        /// What many requests were together.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        #[schema(as = Counts)]
        pub(crate) struct Sum {
            $(#[$doc])* pub(crate) $first: u64,
            $($(#[$docs])* pub(crate) $name: u64),+
        }

        impl Sum {
            /// Nothing.
            pub(super) const NONE: Self = Self { $first: 0 $(, $name: 0)+ };
            const COLUMNS: &str = concat!(stringify!($first) $(, ", ", stringify!($name))+);
            const MORE: &str = concat!(
                stringify!($first), " = ", stringify!($first), " + excluded.", stringify!($first)
                $(, ", ", stringify!($name), " = ", stringify!($name), " + excluded.", stringify!($name))+
            );

            fn values(&self) -> impl Iterator<Item = u64> {
                [self.$first $(, self.$name)+].into_iter()
            }

            fn places(&mut self) -> impl Iterator<Item = &mut u64> {
                [&mut self.$first $(, &mut self.$name)+].into_iter()
            }
        }
    };
}

sum! {
    /// All of them: tunnels are requests here, and so are those that were refused.
    requests,
    /// That went on with a credential of a connection.
    injected,
    /// That Nexus itself said no to: answered by it, with a status below 500.
    refused,
    /// That the service said no to: a status from 400 to 499 that is not Nexus's.
    rejected,
    /// With a status from 500 on, the service's or Nexus's own where the service was not reached.
    errors,
    /// Without an answer: the caller left before there was one.
    unanswered,
    /// For which a credential was renewed after the service had refused it.
    renewed,
    /// That were sent a second time, with the credential that was renewed.
    replayed,
    /// Secrets that were kept from callers, wherever they stood in answers.
    scrubbed,
    /// That held a placeholder where it does not belong.
    canaries,
    /// Bytes of bodies and tunnels towards services.
    bytes_up,
    /// Bytes of bodies and tunnels towards callers.
    bytes_down,
}

impl Sum {
    /// Both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes_up.saturating_add(self.bytes_down)
    }

    /// Adds what `line` tells, the last of its request.
    pub(super) fn add(&mut self, outcome: Outcome, line: &Line<'_>) {
        let count = if line.count.is_empty() { 1 } else { line.count.parse().unwrap_or(0) };
        self.requests += count;
        match outcome {
            Outcome::Answered => {}
            Outcome::Refused => self.refused += count,
            Outcome::Rejected => self.rejected += count,
            Outcome::Failed => self.errors += count,
            Outcome::Unanswered => self.unanswered += count,
        }
        self.injected += u64::from(line.verdict == "inject");
        self.renewed += u64::from(line.notes.renewed);
        self.replayed += u64::from(line.notes.replayed);
        self.canaries += u64::from(line.notes.canary);
        self.scrubbed = self.scrubbed.saturating_add(line.guard_hits);
        self.bytes_up = self.bytes_up.saturating_add(line.bytes_up);
        self.bytes_down = self.bytes_down.saturating_add(line.bytes_down);
    }

    /// Whose columns begin at number `from` of `row`.
    pub(super) fn read(row: &Row<'_>, from: usize) -> rusqlite::Result<Self> {
        let mut sum = Self::default();
        sum.places().enumerate().try_for_each(|(at, place)| row.get(from + at).map(|value| *place = value))?;
        Ok(sum)
    }

    /// Executes a statement of [`add`].
    pub(super) fn write(
        &self,
        statement: &mut Statement<'_>,
        (level, step, dimension): (u8, i64, u8),
        name: &str,
    ) -> rusqlite::Result<()> {
        statement.raw_bind_parameter(1, level)?;
        statement.raw_bind_parameter(2, step)?;
        statement.raw_bind_parameter(3, dimension)?;
        statement.raw_bind_parameter(4, name)?;
        self.values().enumerate().try_for_each(|(at, value)| statement.raw_bind_parameter(at + 5, value))?;
        statement.raw_execute().map(drop)
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.places().zip(other.values()).for_each(|(place, more)| *place = place.saturating_add(more));
    }
}

impl SubAssign for Sum {
    fn sub_assign(&mut self, other: Self) {
        self.places().zip(other.values()).for_each(|(place, less)| *place = place.saturating_sub(less));
    }
}

/// The table of them.
pub(super) fn table() -> String {
    format!(
        "CREATE TABLE sums (level INTEGER, step INTEGER, dimension INTEGER, name TEXT, {}, \
         PRIMARY KEY (level, step, dimension, name)) WITHOUT ROWID;",
        Sum::COLUMNS
    )
}

/// Adds to a row.
pub(super) fn add() -> String {
    let values = ", ?".repeat(Sum::default().values().count());
    format!("INSERT INTO sums VALUES (?, ?, ?, ?{values}) ON CONFLICT DO UPDATE SET {}", Sum::MORE)
}

/// Reads the rows that fulfil `condition`: step, dimension, name, and from column 3 on the sum.
pub(super) fn rows(condition: &str) -> String {
    format!("SELECT step, dimension, name, {} FROM sums WHERE {condition}", Sum::COLUMNS)
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With what was asked for, or a redirection; a tunnel has no other end.
    Answered,
    Refused,
    Rejected,
    Failed,
    Unanswered,
}

impl Outcome {
    /// Of a request's last line; `None` for lines of other things.
    pub(super) fn of(kind: &Kind) -> Option<Self> {
        let tunnel = match kind.event.as_str() {
            "close" | "refuse" | "tunnel_refuse" => false,
            // A CONNECT that was opened: its requests have lines of their own.
            "tunnel_close" if kind.verdict == "intercept" => return None,
            "tunnel_close" => true,
            "refuse_many" => return Some(Self::Refused),
            _ => return None,
        };
        Some(match kind.status {
            500.. => Self::Failed,
            _ if kind.verdict == "refuse" => Self::Refused,
            400.. => Self::Rejected,
            0 if !tunnel => Self::Unanswered,
            _ => Self::Answered,
        })
    }

    /// Whether the time that it took says something of a service: not what Nexus answered itself, nor a tunnel, nor a stream both ways.
    pub(super) fn is_timed(self, kind: &Kind) -> bool {
        self != Self::Unanswered
            && kind.event == "close"
            && kind.status != 101
            && matches!(kind.verdict.as_str(), "inject" | "pass")
    }
}
