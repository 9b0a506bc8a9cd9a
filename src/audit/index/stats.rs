//! `Stats`: what happened in a range of time, out of the rollups. What has begun and not ended is counted where it began, until it ends.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::histogram::Histogram;
use super::level::{LEVELS, Level};
use super::rollup::HOSTS;
use super::steps::Dimension;
use super::sum::{self, Sum};
use super::{BATCH, Index, now, open_to_read, path_of, read_place};
use crate::audit::error::Error;
use crate::audit::segment;
use crate::audit::settings::Settings;

/// Names of one dimension that can be asked for.
pub(crate) const MOST: u32 = 50;
/// New hosts and alarms that are told.
const TOLD: usize = 50;
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

/// What happened in a range of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Stats {
    range: Range,
    by: Measure,
    /// The length of a step. Steps begin at multiples of it since 1970, in UTC.
    #[schema(minimum = 60)]
    step_secs: i64,
    /// When the first step begins; RFC 3339.
    from: String,
    /// When the last step ends, which is still under way.
    to: String,
    /// False while the log's index is being made, or is far behind: there is more to count.
    complete: bool,
    /// Of all steps.
    totals: Counts,
    /// Each of them, the oldest first.
    steps: Vec<Step>,
    /// By service; requests without a stored credential have none.
    providers: Names,
    /// By who asked; callers that showed no token have no name.
    agents: Names,
    /// By where to.
    hosts: Names,
    /// Hosts that something left for in this time, and never before.
    new_hosts: NewHosts,
    /// Placeholders that were seen where they don't belong, the newest first; up to 50.
    canaries: Vec<Alarm>,
}

/// What requests were together, and how long they took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsCounts)]
struct Counts {
    #[serde(flatten)]
    sum: Sum,
    /// Those of the requests that have begun and not ended.
    unfinished: u64,
    /// Those of the requests whose time is told: a service answered them whole.
    timed: u64,
    /// Half of them took no longer, from the request's head to the end of the answer. All percentiles are at most 3.2 % beside the truth.
    p50_us: Option<u64>,
    /// Nine of ten took no longer.
    p90_us: Option<u64>,
    /// 99 of a hundred took no longer.
    p99_us: Option<u64>,
}

/// What happened in a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsStep)]
struct Step {
    /// When it begins.
    at: String,
    #[serde(flatten)]
    counts: Counts,
}

/// The largest of a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsNames)]
struct Names {
    /// The largest first.
    items: Vec<Named>,
    /// All the rest together.
    others: Option<Named>,
}

/// What was counted for a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsNamed)]
struct Named {
    /// Null where there is none.
    name: Option<String>,
    #[serde(flatten)]
    sum: Sum,
    /// For each step, of what `by` says.
    series: Vec<u64>,
}

/// Hosts that are new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsNewHosts)]
struct NewHosts {
    /// How many.
    count: u64,
    /// The newest 50 of them.
    items: Vec<NewHost>,
    /// 50,000 hosts are remembered; which ones are new is not known any longer.
    full: bool,
}

/// A host that is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsNewHost)]
struct NewHost {
    host: String,
    /// When something left for it first.
    first_seen: String,
    /// Who asked for that.
    agent: Option<String>,
    provider: Option<String>,
}

/// A placeholder where it does not belong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatsAlarm)]
struct Alarm {
    at: String,
    /// Who sent it.
    agent: Option<String>,
    /// Where to.
    host: String,
    /// Where in the request it was.
    place: String,
    /// Whether the request was refused.
    refused: bool,
}

impl Range {
    fn level(self) -> Level {
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
    fn of(self, sum: &Sum) -> u64 {
        match self {
            Self::Requests => sum.requests,
            Self::Bytes => sum.bytes(),
        }
    }
}

/// What the log that `settings` name tells of the time until now.
///
/// # Errors
/// [`Error::Index`] where the index can't be used, [`Error::Io`] where the log can't be read.
pub(crate) fn stats(settings: &Settings, wanted: Wanted) -> Result<Stats, Error> {
    if !settings.index {
        catch_up(&settings.folder)?;
    }
    read(&settings.folder, wanted, now())
}

/// What the index tells at `now`.
pub(in crate::audit) fn read(folder: &Path, wanted: Wanted, now: i64) -> Result<Stats, Error> {
    let mut reading = Reading::new(wanted, now);
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
    while index.advance()? == BATCH && begun.elapsed() < CATCH_UP {}
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

/// What is being read.
struct Reading {
    wanted: Wanted,
    level: Level,
    /// The number of the first step.
    first: i64,
    steps: Vec<(Counts, Histogram)>,
    /// By dimension and name, of each step what there was.
    names: HashMap<(u8, String), Vec<(usize, Sum)>>,
    new_hosts: NewHosts,
    canaries: Vec<Alarm>,
}

impl Reading {
    fn new(wanted: Wanted, now: i64) -> Self {
        let level = wanted.range.level();
        let steps = std::iter::repeat_with(Default::default).take(usize::try_from(level.steps).unwrap_or_default()).collect();
        let first = level.first(now);
        Self { wanted, level, first, steps, names: HashMap::new(), new_hosts: NewHosts::default(), canaries: Vec::new() }
    }

    /// Reads all of it as it was at one moment.
    fn read(&mut self, database: &Connection) -> rusqlite::Result<()> {
        let moment = database.unchecked_transaction()?;
        self.sums(&moment)?;
        self.times(&moment)?;
        self.unfinished(&moment)?;
        let (from, to) = (self.level.begins(self.first), self.level.begins(self.first + self.level.steps));
        self.new_hosts = new_hosts(&moment, from, to)?;
        self.canaries = alarms(&moment, from, to)?;
        moment.commit()
    }

    /// The place of step number `step` among the steps.
    fn place(&self, step: i64) -> Option<usize> {
        usize::try_from(step - self.first).ok().filter(|at| *at < self.steps.len())
    }

    fn sums(&mut self, database: &Connection) -> rusqlite::Result<()> {
        let mut rows = database.prepare(&sum::rows("level = ?1 AND step BETWEEN ?2 AND ?3"))?;
        let mut rows = rows.query((self.level.number, self.first, self.first + self.level.steps - 1))?;
        while let Some(row) = rows.next()? {
            let Some(at) = self.place(row.get(0)?) else { continue };
            let (dimension, sum) = (row.get::<_, u8>(1)?, Sum::read(row, 3)?);
            if dimension == Dimension::All as u8 {
                self.steps.get_mut(at).into_iter().for_each(|(counts, _)| counts.sum += sum);
            } else {
                self.names.entry((dimension, row.get(2)?)).or_default().push((at, sum));
            }
        }
        Ok(())
    }

    fn times(&mut self, database: &Connection) -> rusqlite::Result<()> {
        let mut rows = database.prepare("SELECT step, slots FROM times WHERE level = ?1 AND step BETWEEN ?2 AND ?3")?;
        let mut rows = rows.query((self.level.number, self.first, self.first + self.level.steps - 1))?;
        while let Some(row) = rows.next()? {
            let at = self.place(row.get(0)?);
            if let Some((_, histogram)) = at.and_then(|at| self.steps.get_mut(at)) {
                *histogram = Histogram::read(row.get_ref(1)?.as_blob()?);
            }
        }
        Ok(())
    }

    fn unfinished(&mut self, database: &Connection) -> rusqlite::Result<()> {
        let text = "SELECT time, provider, agent, host FROM pending JOIN kinds ON kinds.id = pending.kind \
                    WHERE time >= ?1 AND verdict <> 'intercept'";
        let mut rows = database.prepare(text)?;
        let mut rows = rows.query([self.level.begins(self.first)])?;
        while let Some(row) = rows.next()? {
            let Some(at) = self.place(self.level.step(row.get(0)?)) else { continue };
            let one = Sum { requests: 1, ..Sum::default() };
            if let Some((counts, _)) = self.steps.get_mut(at) {
                counts.sum += one;
                counts.unfinished += 1;
            }
            for (column, dimension) in [(1, Dimension::Provider), (2, Dimension::Agent), (3, Dimension::Host)] {
                self.names.entry((dimension as u8, row.get(column)?)).or_default().push((at, one));
            }
        }
        Ok(())
    }

    fn told(mut self, complete: bool) -> Stats {
        let (mut all, mut totals) = (Histogram::default(), Counts::default());
        for (counts, histogram) in &self.steps {
            totals.sum += counts.sum;
            totals.unfinished += counts.unfinished;
            all.add_all(histogram);
        }
        totals.take_times(&all);
        let [providers, agents, hosts] =
            [Dimension::Provider, Dimension::Agent, Dimension::Host].map(|dimension| self.names(dimension, totals.sum));
        let step = |(number, (mut counts, histogram)): (i64, (Counts, Histogram))| {
            counts.take_times(&histogram);
            Step { at: stamp(self.level.begins(number)), counts }
        };
        Stats {
            range: self.wanted.range,
            by: self.wanted.by,
            step_secs: self.level.step_secs,
            from: stamp(self.level.begins(self.first)),
            to: stamp(self.level.begins(self.first + self.level.steps)),
            complete,
            totals,
            steps: (self.first..).zip(self.steps).map(step).collect(),
            providers,
            agents,
            hosts,
            new_hosts: self.new_hosts,
            canaries: self.canaries,
        }
    }

    /// The largest of `dimension`, and what is left of `all`.
    fn names(&mut self, dimension: Dimension, all: Sum) -> Names {
        let by = self.wanted.by;
        let of = |(name, rows): (String, Vec<(usize, Sum)>)| {
            let mut sum = Sum::default();
            rows.iter().for_each(|(_, one)| sum += *one);
            (name, sum, rows)
        };
        let mut found: Vec<_> =
            self.names.extract_if(|(of, _), _| *of == dimension as u8).map(|((_, name), rows)| of((name, rows))).collect();
        found.sort_unstable_by(|(one, a, _), (other, b, _)| by.of(b).cmp(&by.of(a)).then_with(|| one.cmp(other)));
        found.truncate(self.wanted.top);
        let mut rest = all;
        let mut series: Vec<u64> = self.steps.iter().map(|(counts, _)| by.of(&counts.sum)).collect();
        let named = |(name, sum, rows): (String, Sum, Vec<(usize, Sum)>)| {
            let mut own = vec![0; series.len()];
            for (at, one) in rows {
                own.get_mut(at).into_iter().for_each(|place| *place += by.of(&one));
                series.get_mut(at).into_iter().for_each(|place| *place = place.saturating_sub(by.of(&one)));
            }
            rest -= sum;
            Named { name: some(name), sum, series: own }
        };
        let items = found.into_iter().map(named).collect();
        let others = (rest != Sum::default()).then_some(Named { name: None, sum: rest, series });
        Names { items, others }
    }
}

impl Counts {
    fn take_times(&mut self, histogram: &Histogram) {
        self.timed = histogram.total();
        [self.p50_us, self.p90_us, self.p99_us] = [50, 90, 99].map(|percent| histogram.percentile(percent));
    }
}

fn new_hosts(database: &Connection, from: i64, to: i64) -> rusqlite::Result<NewHosts> {
    let all: i64 = database.query_row("SELECT count(*) FROM hosts", [], |row| row.get(0))?;
    let count =
        database.query_row("SELECT count(*) FROM hosts WHERE time >= ?1 AND time < ?2", [from, to], |row| row.get(0))?;
    let text = "SELECT host, time, agent, provider FROM hosts WHERE time >= ?1 AND time < ?2 ORDER BY time DESC LIMIT ?3";
    let mut rows = database.prepare(text)?;
    let rows = rows.query_map((from, to, TOLD), |row| {
        let (agent, provider) = (some(row.get(2)?), some(row.get(3)?));
        Ok(NewHost { host: row.get(0)?, first_seen: stamp(row.get(1)?), agent, provider })
    })?;
    Ok(NewHosts { count, items: rows.collect::<Result<_, _>>()?, full: all >= HOSTS })
}

fn alarms(database: &Connection, from: i64, to: i64) -> rusqlite::Result<Vec<Alarm>> {
    let text = "SELECT time, agent, host, place, refused FROM alarms WHERE time >= ?1 AND time < ?2 ORDER BY time DESC, seq DESC LIMIT ?3";
    let mut rows = database.prepare(text)?;
    let rows = rows.query_map((from, to, TOLD), |row| {
        let (agent, host) = (some(row.get(1)?), row.get(2)?);
        Ok(Alarm { at: stamp(row.get(0)?), agent, host, place: row.get(3)?, refused: row.get(4)? })
    })?;
    rows.collect()
}

fn some(name: String) -> Option<String> {
    (!name.is_empty()).then_some(name)
}

/// RFC 3339, to the second.
fn stamp(micros: i64) -> String {
    let time = Timestamp::from_microsecond(micros).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
