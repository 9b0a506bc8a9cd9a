//! `Rollup`: what happened, counted by time, so that an overview reads a few thousand rows instead of millions.
//!
//! Each [`Level`](super::level::Level) has a row for each step, and one for each provider, agent and host of it. A line is counted in the
//! finest level that reaches back to it, and what was counted there is added to the coarser ones when it is written. So the tables are the
//! same whether lines came one by one or all at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use foldhash::fast::RandomState;
use rusqlite::Connection;

use super::feed::Kind;
use super::histogram::{Histogram, slot};
use super::level::LEVELS;
use super::line::Line;
use super::steps::{self, Dimension, NAMED, Place};
use super::sum::{Outcome, Sum};

/// After so many lines of the log a step is brought to its bound. By the number of the line, which no batch changes.
const EVERY: u64 = if cfg!(test) { 1024 } else { 16_384 };
/// Hosts that are remembered.
pub(super) const HOSTS: i64 = 50_000;
/// Alarms that are remembered, the newest.
const ALARMS: i64 = 1_000;
/// Names that are known by number from one batch to the next.
const NUMBERED: usize = 50_000;
/// Microseconds.
const MINUTE: i64 = 60_000_000;

/// The number of a level, and of a step of it.
type Step = (u8, i64);
/// The sums of a step's names, by dimension and number of the name.
type Names = HashMap<(u8, u32), Sum, RandomState>;

/// What is counted and not yet written.
#[derive(Debug, Default)]
pub(super) struct Rollup {
    now: i64,
    /// The times that are counted: neither older than the levels reach, nor still to come.
    counted: Range<i64>,
    /// By step and kind.
    sums: HashMap<(u8, i64, i64), Sum, RandomState>,
    slots: HashMap<(u8, i64, u32), u64, RandomState>,
    /// The names of each kind, in the order of [`NAMED`].
    kinds: HashMap<i64, [u32; 3], RandomState>,
    names: Numbered,
    /// Steps that may have more names than they should; `None` = that is to be found out.
    touched: Option<BTreeSet<Place>>,
    /// Hosts that are remembered; `None` = that is to be found out.
    hosts: Option<i64>,
    /// The minute in which old steps were removed last.
    swept: i64,
}

impl Rollup {
    /// Takes the time of day, for all that is counted until it is told again.
    pub(super) fn set_now(&mut self, now: i64) {
        self.now = now;
        self.counted = LEVELS.last().map(|level| level.holds(now)).unwrap_or_default();
    }

    /// Counts a request of the kind number `number` that ended at `time`.
    pub(super) fn count(&mut self, (number, kind): (i64, &Kind), time: i64, line: &Line<'_>) {
        let Some(outcome) = Outcome::of(kind).filter(|_| self.counted.contains(&time)) else { return };
        let Some(level) = LEVELS.iter().find(|level| level.holds(self.now).contains(&time)) else { return };
        let step = level.step(time);
        let names = &mut self.names;
        self.kinds.entry(number).or_insert_with(|| NAMED.map(|dimension| names.number(kind.name(dimension))));
        self.sums.entry((level.number, step, number)).or_default().add(outcome, line);
        if outcome.is_timed(kind) {
            *self.slots.entry((level.number, step, slot(line.lasted_us()))).or_default() += 1;
        }
    }

    /// Remembers the host of `kind` if something left for it, at `time`. To be called for each kind at least once.
    pub(super) fn reached(&mut self, database: &Connection, kind: &Kind, time: i64) -> rusqlite::Result<()> {
        if !kind.leaves() {
            return Ok(());
        }
        let known = match self.hosts {
            Some(known) => known,
            None => database.query_row("SELECT count(*) FROM hosts", [], |row| row.get(0))?,
        };
        let mut insert = database.prepare_cached("INSERT OR IGNORE INTO hosts VALUES (?1, ?2, ?3, ?4)")?;
        let new = if known < HOSTS { insert.execute((&kind.host, time, &kind.agent, &kind.provider))? } else { 0 };
        self.hosts = Some(known + i64::from(new > 0));
        Ok(())
    }

    /// Remembers that a placeholder was seen where it does not belong.
    pub(super) fn alarm(database: &Connection, (time, seq): (i64, u64), kind: &Kind, line: &Line<'_>) -> rusqlite::Result<()> {
        let place = line.canary.as_ref().map(|canary| canary.place.as_ref()).unwrap_or_default();
        let mut insert = database.prepare_cached("INSERT OR IGNORE INTO alarms VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        insert.execute((time, seq, &kind.agent, &kind.host, place, kind.verdict == "refuse"))?;
        let old = "DELETE FROM alarms WHERE (time, seq) <= (SELECT time, seq FROM alarms ORDER BY time DESC, seq DESC LIMIT 1 OFFSET ?1)";
        database.prepare_cached(old)?.execute([ALARMS]).map(drop)
    }

    /// Is told of every line before it is counted: now and then it is time to look after the bounds.
    pub(super) fn at(&mut self, database: &Connection, seq: u64) -> rusqlite::Result<()> {
        if seq.is_multiple_of(EVERY) { self.write(database, true) } else { Ok(()) }
    }

    /// Writes what was counted; where the `bound` is to be kept, the names that are too many in a step go to the others.
    pub(super) fn write(&mut self, database: &Connection, bound: bool) -> rusqlite::Result<()> {
        let mut touched = match self.touched.take() {
            Some(touched) => touched,
            None => steps::crowded(database)?,
        };
        self.times().into_iter().try_for_each(|(step, times)| steps::add_times(database, step, &times))?;
        for ((level, step), names) in self.steps() {
            for (dimension, names) in self.names.told(&names) {
                let place = (level, step, dimension);
                if bound && dimension != Dimension::All as u8 {
                    touched.remove(&place);
                    steps::merge(database, place, names)?;
                } else {
                    touched.insert(place);
                    steps::add(database, place, names)?;
                }
            }
        }
        if bound {
            std::mem::take(&mut touched).into_iter().try_for_each(|place| steps::merge(database, place, BTreeMap::new()))?;
        }
        self.touched = Some(touched);
        if self.names.all.len() > NUMBERED {
            self.kinds.clear();
            self.names = Numbered::default();
        }
        self.sweep(database)
    }

    /// What was counted in each step of each level.
    fn steps(&mut self) -> Vec<(Step, Names)> {
        let mut all: Vec<(Step, Names)> = Vec::new();
        let mut finer: HashMap<i64, Names, RandomState> = HashMap::default();
        for level in LEVELS {
            let mut steps: HashMap<i64, Names, RandomState> = HashMap::default();
            for (step, names) in finer.drain() {
                let into = steps.entry(level.step(step)).or_default();
                names.iter().for_each(|(name, sum)| *into.entry(*name).or_default() += *sum);
            }
            for ((_, step, kind), sum) in self.sums.extract_if(|(number, _, _), _| *number == level.number) {
                let (into, names) = (steps.entry(step).or_default(), self.kinds.get(&kind).copied().unwrap_or_default());
                *into.entry((Dimension::All as u8, 0)).or_default() += sum;
                let each = NAMED.into_iter().zip(names);
                each.for_each(|(dimension, name)| *into.entry((dimension as u8, name)).or_default() += sum);
            }
            all.extend(steps.iter().map(|(step, names)| ((level.number, *step), names.clone())));
            finer = steps.into_iter().map(|(step, names)| (level.begins(step), names)).collect();
        }
        all
    }

    /// How long requests took in each step of each level.
    fn times(&mut self) -> Vec<(Step, Histogram)> {
        let mut all: Vec<(Step, Histogram)> = Vec::new();
        let mut finer: HashMap<i64, Histogram, RandomState> = HashMap::default();
        for level in LEVELS {
            let mut steps: HashMap<i64, Histogram, RandomState> = HashMap::default();
            finer.drain().for_each(|(step, times)| steps.entry(level.step(step)).or_default().add_all(&times));
            for ((_, step, slot), count) in self.slots.extract_if(|(number, _, _), _| *number == level.number) {
                steps.entry(step).or_default().add(slot, count);
            }
            all.extend(steps.iter().map(|(step, times)| ((level.number, *step), times.clone())));
            finer = steps.into_iter().map(|(step, times)| (level.begins(step), times)).collect();
        }
        all
    }

    /// Removes steps that are not shown any longer, once a minute.
    fn sweep(&mut self, database: &Connection) -> rusqlite::Result<()> {
        let minute = self.now.div_euclid(MINUTE);
        if std::mem::replace(&mut self.swept, minute) == minute {
            return Ok(());
        }
        LEVELS.iter().try_for_each(|level| steps::forget(database, level.number, level.oldest(self.now)))
    }
}

/// Names by number, so that a sum is found without a text.
#[derive(Debug, Default)]
struct Numbered {
    all: Vec<String>,
    numbers: HashMap<String, u32, RandomState>,
}

impl Numbered {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// `names` in words, by dimension.
    fn told(&self, names: &Names) -> BTreeMap<u8, BTreeMap<&str, Sum>> {
        let mut told: BTreeMap<u8, BTreeMap<&str, Sum>> = BTreeMap::new();
        for ((dimension, number), sum) in names {
            let name = usize::try_from(*number).ok().and_then(|number| self.all.get(number)).map_or("", String::as_str);
            let name = if *dimension == Dimension::All as u8 { "" } else { name };
            *told.entry(*dimension).or_default().entry(name).or_default() += *sum;
        }
        told
    }
}

impl Kind {
    /// Whether something left for its host.
    fn leaves(&self) -> bool {
        !self.host.is_empty() && matches!(self.verdict.as_str(), "inject" | "pass" | "tunnel")
    }

    fn name(&self, dimension: Dimension) -> &str {
        match dimension {
            Dimension::All => "",
            Dimension::Provider => &self.provider,
            Dimension::Agent => &self.agent,
            Dimension::Host => &self.host,
        }
    }
}
