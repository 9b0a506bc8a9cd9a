//! `Stats`: what happened in a range of time, out of the rollups. What has begun and not ended is counted where it began, until it ends.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::level::{LEVELS, Level};
use super::reading::Reading;
use super::sum::Sum;
use super::{BATCH, Index, now, open_to_read, path_of, read_place};
use crate::audit::error::Error;
use crate::audit::segment;
use crate::audit::settings::Settings;
use crate::audit::turn::Pace;

/// Names of one dimension that can be asked for.
pub(crate) const MOST: u32 = 50;
/// Where nobody else keeps the index, it is brought up to date for so long before it is read.
const CATCH_UP: Duration = Duration::from_millis(200);
/// A log that goes on is never indexed to its end: this much more of it is still as good as all.
const BEHIND: u64 = 8 * 1024 * 1024;

/// How far back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatsRange)]
pub(crate) enum Range {
    /// In steps of a minute.
    #[serde(rename = "1h")]
    Hour,
    /// In steps of five minutes.
    #[serde(rename = "6h")]
    SixHours,
    /// In steps of a quarter of an hour.
    #[default]
    #[serde(rename = "24h")]
    Day,
    /// In steps of an hour.
    #[serde(rename = "7d")]
    Week,
    /// In steps of six hours.
    #[serde(rename = "30d")]
    Month,
}

/// What makes a name one of the largest, and of what its series are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatsMeasure)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    /// How many requests.
    #[default]
    Requests,
    /// Bytes both ways.
    Bytes,
}

/// What to tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) range: Range,
    pub(crate) by: Measure,
    /// So many names of each dimension.
    pub(crate) top: usize,
}

/// A request that is held: nothing of it is in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Begun {
    /// In microseconds since 1970.
    pub(crate) time: i64,
    pub(crate) provider: String,
    pub(crate) agent: String,
    pub(crate) host: String,
}

/// What happened in a range of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Stats {
    pub(super) range: Range,
    pub(super) by: Measure,
    /// The length of a step. Steps begin at multiples of it since 1970, in UTC.
    #[schema(minimum = 60)]
    pub(super) step_secs: i64,
    /// When the first step begins; RFC 3339.
    pub(super) from: String,
    /// When the last step ends, which is still under way.
    pub(super) to: String,
    /// False while the log's index is being made, or is far behind: there is more to count.
    pub(super) complete: bool,
    /// Of all steps.
    pub(super) totals: Counts,
    /// Each of them, the oldest first.
    pub(super) steps: Vec<Step>,
    /// By service; requests without a stored credential have none.
    pub(super) providers: Names,
    /// By who asked; callers that showed no token have no name.
    pub(super) agents: Names,
    /// By where to.
    pub(super) hosts: Names,
    /// Hosts that something left for in this time, and never before.
    pub(super) new_hosts: NewHosts,
    /// Placeholders that were seen where they don't belong, the newest first; up to 50.
    pub(super) canaries: Vec<Alarm>,
}

/// What requests were together, and how long they took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsCounts)]
pub(super) struct Counts {
    #[serde(flatten)]
    pub(super) sum: Sum,
    /// Those of the requests that have begun and not ended, held ones among them.
    pub(super) unfinished: u64,
    /// Those of the unfinished that are held for a person's word now.
    pub(super) held: u64,
    /// Those of the requests whose time is told: a service answered them whole.
    pub(super) timed: u64,
    /// Half of them took no longer, from the request's head to the end of the answer, without the time of persons. All percentiles are at most 3.2 % beside the truth.
    pub(super) p50_us: Option<u64>,
    /// Nine of ten took no longer.
    pub(super) p90_us: Option<u64>,
    /// 99 of a hundred took no longer.
    pub(super) p99_us: Option<u64>,
}

/// What happened in a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsStep)]
pub(super) struct Step {
    /// When it begins.
    pub(super) at: String,
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// The largest of a dimension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsNames)]
pub(super) struct Names {
    /// The largest first.
    pub(super) items: Vec<Named>,
    /// All the rest together.
    pub(super) others: Option<Named>,
}

/// What was counted for a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsNamed)]
pub(super) struct Named {
    /// Null where there is none.
    pub(super) name: Option<String>,
    #[serde(flatten)]
    pub(super) sum: Sum,
    /// For each step, of what `by` says.
    pub(super) series: Vec<u64>,
}

/// Hosts that are new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsNewHosts)]
pub(super) struct NewHosts {
    /// How many.
    pub(super) count: u64,
    /// The newest 50 of them.
    pub(super) items: Vec<NewHost>,
    /// 50,000 hosts are remembered; which ones are new is not known any longer.
    pub(super) full: bool,
}

/// A host that is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsNewHost)]
pub(super) struct NewHost {
    pub(super) host: String,
    /// When something left for it first.
    pub(super) first_seen: String,
    /// Who asked for that.
    pub(super) agent: Option<String>,
    pub(super) provider: Option<String>,
}

/// A placeholder where it does not belong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsAlarm)]
pub(super) struct Alarm {
    pub(super) at: String,
    /// Who sent it.
    pub(super) agent: Option<String>,
    /// Where to.
    pub(super) host: String,
    /// Where in the request it was.
    pub(super) place: String,
    /// Whether the request was refused.
    pub(super) refused: bool,
}

impl Range {
    pub(super) fn level(self) -> Level {
        let [hour, six_hours, day, week, month] = LEVELS;
        match self {
            Self::Hour => hour,
            Self::SixHours => six_hours,
            Self::Day => day,
            Self::Week => week,
            Self::Month => month,
        }
    }
}

impl Measure {
    pub(super) fn of(self, sum: &Sum) -> u64 {
        match self {
            Self::Requests => sum.requests,
            Self::Bytes => sum.bytes(),
        }
    }

    /// The same in SQL.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes_up + bytes_down",
        }
    }
}

/// What the log that `settings` name tells of the time until now; it has no line of what is `held`.
///
/// # Errors
/// [`Error::Index`] where the index can't be used, [`Error::Io`] where the log can't be read.
pub(crate) fn stats(settings: &Settings, wanted: Wanted, held: &[Begun]) -> Result<Stats, Error> {
    if !settings.index {
        catch_up(&settings.folder)?;
    }
    read(&settings.folder, wanted, (now(), held))
}

/// What the index tells at `now`, with what is held then.
pub(in crate::audit) fn read(folder: &Path, wanted: Wanted, (now, held): (i64, &[Begun])) -> Result<Stats, Error> {
    let mut reading = Reading::new(wanted, now);
    held.iter().for_each(|one| reading.hold(one));
    let complete = match open_to_read(folder).map_err(Error::index(&path_of(folder)))? {
        Some(database) => {
            reading.read(&database).map_err(Error::index(&path_of(folder)))?;
            is_complete(folder, &database)?
        }
        None => segment::numbers(folder)?.is_empty(),
    };
    Ok(reading.told(complete))
}

/// Does what nobody else does, for a while.
fn catch_up(folder: &Path) -> Result<(), Error> {
    let (mut index, begun) = (Index::open(folder)?, Instant::now());
    while index.advance(Pace::Brisk)? == BATCH && begun.elapsed() < CATCH_UP {}
    Ok(())
}

/// Whether the index is as far as the log, or nearly.
fn is_complete(folder: &Path, database: &Connection) -> Result<bool, Error> {
    let place = read_place(database).map_err(Error::index(&path_of(folder)))?;
    let Some(&last) = segment::numbers(folder)?.last() else { return Ok(true) };
    let length = std::fs::metadata(segment::path_of(folder, last)).map_or(0, |file| file.len());
    let read = if place.segment == last { place.offset } else { 0 };
    Ok(place.segment + 1 >= last && length.saturating_sub(read) <= BEHIND)
}
