//! `Reading`: the rows of a range, read as they were at one moment.

use std::cmp::Reverse;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use super::histogram::Histogram;
use super::level::Level;
use super::rollup::HOSTS;
use super::stats::{Alarm, Begun, Counts, Named, Names, NewHost, NewHosts, Stats, Step, Wanted};
use super::steps::{Dimension, NAMED};
use super::sum::{self, Sum};

/// New hosts and alarms that are told.
const TOLD: usize = 50;
/// Rows of a level's steps.
const OF_RANGE: &str = "level = ?1 AND step BETWEEN ?2 AND ?3 AND dimension = ?4";
/// What a request is that has begun.
const BEGUN: Sum = Sum { requests: 1, ..Sum::NONE };

/// How large a name is in each step, by name.
type Sizes = HashMap<String, Vec<(usize, u64)>, RandomState>;

/// What is being read.
pub(super) struct Reading {
    wanted: Wanted,
    level: Level,
    /// The number of the first step.
    first: i64,
    steps: Vec<(Counts, Histogram)>,
    /// What has begun and not ended: its step and its names, in the order of [`NAMED`].
    begun: Vec<(usize, [String; 3])>,
    names: Vec<Names>,
    new_hosts: NewHosts,
    canaries: Vec<Alarm>,
}

impl Reading {
    pub(super) fn new(wanted: Wanted, now: i64) -> Self {
        let level = wanted.range.level();
        let steps = std::iter::repeat_with(Default::default).take(usize::try_from(level.steps).unwrap_or_default()).collect();
        let first = level.first(now);
        Self {
            wanted,
            level,
            first,
            steps,
            begun: Vec::new(),
            names: Vec::new(),
            new_hosts: NewHosts::default(),
            canaries: Vec::new(),
        }
    }

    /// Counts what is held, where it began.
    pub(super) fn hold(&mut self, held: &Begun) {
        let Some(at) = self.place(self.level.step(held.time)) else { return };
        self.begin(at, [&held.provider, &held.agent, &held.host].map(Clone::clone));
        self.steps.get_mut(at).into_iter().for_each(|(counts, _)| counts.held += 1);
    }

    fn begin(&mut self, at: usize, names: [String; 3]) {
        if let Some((counts, _)) = self.steps.get_mut(at) {
            counts.sum.requests += 1;
            counts.unfinished += 1;
        }
        self.begun.push((at, names));
    }

    /// Reads all of it as it was at one moment.
    pub(super) fn read(&mut self, database: &Connection) -> rusqlite::Result<()> {
        let moment = database.unchecked_transaction()?;
        self.sums(&moment)?;
        self.times(&moment)?;
        self.unfinished(&moment)?;
        self.names = (0..NAMED.len()).map(|dimension| self.names(&moment, dimension)).collect::<Result<_, _>>()?;
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
        let mut rows = database.prepare(&sum::rows(OF_RANGE))?;
        let mut rows = rows.query(self.range(Dimension::All))?;
        while let Some(row) = rows.next()? {
            let at = self.place(row.get(0)?);
            if let Some((counts, _)) = at.and_then(|at| self.steps.get_mut(at)) {
                counts.sum += Sum::read(row, 3)?;
            }
        }
        Ok(())
    }

    /// The values of [`OF_RANGE`].
    fn range(&self, dimension: Dimension) -> (u8, i64, i64, u8) {
        (self.level.number, self.first, self.first + self.level.steps - 1, dimension as u8)
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
            self.begin(at, [row.get(1)?, row.get(2)?, row.get(3)?]);
        }
        Ok(())
    }

    /// The largest of dimension number `which`, and the rest. Of most names no more is read than makes them large or small.
    fn names(&self, database: &Connection, which: usize) -> rusqlite::Result<Names> {
        let by = self.wanted.by;
        let mut found: Vec<(String, Vec<(usize, u64)>)> = self.sizes(database, which)?.into_iter().collect();
        let size = |rows: &[(usize, u64)]| rows.iter().map(|(_, size)| size).sum::<u64>();
        found.sort_by_cached_key(|(name, rows)| (Reverse(size(rows)), name.clone()));
        found.truncate(self.wanted.top);
        let mut rest = Sum::default();
        self.steps.iter().for_each(|(counts, _)| rest += counts.sum);
        let mut series: Vec<u64> = self.steps.iter().map(|(counts, _)| by.of(&counts.sum)).collect();
        let mut items = Vec::new();
        for (name, rows) in found {
            let mut own = vec![0; series.len()];
            for (at, size) in rows {
                own.get_mut(at).into_iter().for_each(|place| *place += size);
                series.get_mut(at).into_iter().for_each(|place| *place = place.saturating_sub(size));
            }
            let sum = self.sum_of(database, which, &name)?;
            rest -= sum;
            items.push(Named { name: some(name), sum, series: own });
        }
        let others = (rest != Sum::default()).then_some(Named { name: None, sum: rest, series });
        Ok(Names { items, others })
    }

    /// How large each name of dimension number `which` is in each step.
    fn sizes(&self, database: &Connection, which: usize) -> rusqlite::Result<Sizes> {
        let mut sizes = Sizes::default();
        let text = format!("SELECT step, name, {} FROM sums WHERE {OF_RANGE}", self.wanted.by.column());
        let mut rows = database.prepare(&text)?;
        let mut rows = rows.query(self.range(NAMED.get(which).copied().unwrap_or(Dimension::All)))?;
        while let Some(row) = rows.next()? {
            let Some(at) = self.place(row.get(0)?) else { continue };
            let (name, size) = (row.get_ref(1)?.as_str()?, row.get(2)?);
            match sizes.get_mut(name) {
                Some(known) => known.push((at, size)),
                None => drop(sizes.insert(name.to_owned(), vec![(at, size)])),
            }
        }
        let one = self.wanted.by.of(&BEGUN);
        for (at, name) in self.begun.iter().filter_map(|(at, names)| Some((*at, names.get(which)?))) {
            sizes.entry(name.clone()).or_default().push((at, one));
        }
        Ok(sizes)
    }

    /// All that is counted for a name of dimension number `which`.
    fn sum_of(&self, database: &Connection, which: usize, name: &str) -> rusqlite::Result<Sum> {
        let mut total = Sum::default();
        let mut rows = database.prepare_cached(&sum::rows("level = ?1 AND step = ?2 AND dimension = ?3 AND name = ?4"))?;
        let dimension = NAMED.get(which).copied().unwrap_or(Dimension::All) as u8;
        for step in self.first..self.first + self.level.steps {
            let found = rows.query_row((self.level.number, step, dimension, name), |row| Sum::read(row, 3)).optional()?;
            total += found.unwrap_or_default();
        }
        let begun = self.begun.iter().filter(|(_, names)| names.get(which).is_some_and(|one| one == name));
        begun.for_each(|_| total += BEGUN);
        Ok(total)
    }

    pub(super) fn told(mut self, complete: bool) -> Stats {
        let (mut all, mut totals) = (Histogram::default(), Counts::default());
        for (counts, histogram) in &self.steps {
            totals.sum += counts.sum;
            totals.unfinished += counts.unfinished;
            totals.held += counts.held;
            all.add_all(histogram);
        }
        totals.take_times(&all);
        let mut names = self.names.drain(..);
        let [providers, agents, hosts] = [(); 3].map(|()| names.next().unwrap_or_default());
        drop(names);
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
