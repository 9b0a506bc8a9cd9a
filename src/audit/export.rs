//! The log, handed over: as its own lines, or each request told once in a form that other tools read.

mod csv;
mod found;
mod ocsf;
mod otlp;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::time::{Duration, SystemTime};

use foldhash::fast::RandomState;
use serde_json::{Map, Value};

use super::error::Error;
use super::segment;
use super::shelf::{begun_at, told_time};
use super::tail::Tail;

pub use found::FoundExport;

/// Requests under way that are remembered until they end; past it the oldest are told as they are.
const UNDER_WAY: usize = 100_000;

/// How the log is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Its own lines: what `verify` proves.
    Lines,
    /// Comma-separated values (RFC 4180), one row for each request or event.
    Csv,
    /// OCSF 1.6.0 HTTP Activity (class 4002), one object a line for each request and each tunnel.
    Ocsf,
    /// OpenTelemetry log records in OTLP's JSON encoding, some of them a line, as OTLP's file exporter writes.
    Otlp,
}

/// Gives the log piece by piece, oldest first.
#[derive(Debug)]
pub struct Export {
    tail: Tail,
    form: Form,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    under_way: HashMap<String, Account, RandomState>,
    /// Their ids in the order in which they began; some may have ended.
    began: VecDeque<String>,
    /// What comes before anything else, or after it.
    ready: VecDeque<String>,
    over: bool,
}

impl Export {
    /// The lines of the log in `folder` that were written from `since` on, `until` then.
    ///
    /// # Errors
    /// [`Error::Io`] where a segment can't be read.
    pub fn open(folder: &Path, format: Format, since: Option<SystemTime>, until: Option<SystemTime>) -> Result<Self, Error> {
        let tail = Tail::from_segment(folder, first_segment(folder, since)?)?;
        let form = Form::new(format);
        let ready = form.begins().into_iter().collect();
        let (under_way, began) = (HashMap::default(), VecDeque::new());
        Ok(Self { tail, form, since, until, under_way, began, ready, over: false })
    }

    /// The next piece, with its line end; `None` at the end of the log.
    ///
    /// # Errors
    /// [`Error::Io`] where a segment can't be read.
    pub fn next_piece(&mut self) -> Result<Option<String>, Error> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.over {
                return Ok(None);
            }
            match self.tail.next_line(Duration::ZERO)? {
                Some(line) => self.take(line),
                None => self.end(),
            }
        }
    }

    fn take(&mut self, mut line: String) {
        let Some(time) = told_time(line.as_bytes()) else { return };
        if self.until.is_some_and(|until| time > until) {
            return;
        }
        let early = self.since.is_some_and(|since| time < since);
        if self.form.format == Format::Lines {
            line.push('\n');
            return self.ready.extend(Some(line).filter(|_| !early));
        }
        let Some(account) = Account::read(&line, time) else { return };
        match (account.text("id"), account.event()) {
            (Some(id), "open" | "tunnel_open") => self.begin(id.to_owned(), account),
            (Some(id), _) => {
                let began = self.under_way.remove(id);
                let account = began.map_or_else(|| account.clone(), |began| began.ended_by(account.clone()));
                self.ready_unless(early, &account);
            }
            (None, _) => self.ready_unless(early, &account),
        }
    }

    fn begin(&mut self, id: String, account: Account) {
        self.began.push_back(id.clone());
        self.under_way.insert(id, account);
        if self.under_way.len() > UNDER_WAY {
            self.tell_oldest();
        } else if self.began.len() > 2 * UNDER_WAY {
            self.began.retain(|id| self.under_way.contains_key(id));
        }
    }

    /// Tells of the request that has been under way longest.
    fn tell_oldest(&mut self) {
        while let Some(id) = self.began.pop_front() {
            if let Some(account) = self.under_way.remove(&id) {
                let early = self.since.is_some_and(|since| account.time < since);
                return self.ready_unless(early, &account);
            }
        }
    }

    fn ready_unless(&mut self, early: bool, account: &Account) {
        if !early {
            self.ready.extend(self.form.tell(account));
        }
    }

    /// Tells of what never ended.
    fn end(&mut self) {
        while !self.under_way.is_empty() {
            self.tell_oldest();
        }
        self.ready.extend(self.form.ends());
        self.over = true;
    }
}

/// Requests and events in one format.
#[derive(Debug)]
struct Form {
    format: Format,
    /// What waits for company.
    batch: Vec<Value>,
}

impl Form {
    fn new(format: Format) -> Self {
        Self { format, batch: Vec::new() }
    }

    /// What comes before everything.
    fn begins(&self) -> Option<String> {
        (self.format == Format::Csv).then(csv::header)
    }

    /// What is to be written now of `account`, and of those that waited.
    fn tell(&mut self, account: &Account) -> Option<String> {
        match self.format {
            Format::Lines => None,
            Format::Csv => Some(csv::row(account)),
            Format::Ocsf => ocsf::event(account).map(|event| format!("{event}\n")),
            Format::Otlp => {
                self.batch.push(otlp::record(account));
                (self.batch.len() == otlp::BATCH).then(|| otlp::request(std::mem::take(&mut self.batch)))
            }
        }
    }

    /// What still waits.
    fn ends(&mut self) -> Option<String> {
        (!self.batch.is_empty()).then(|| otlp::request(std::mem::take(&mut self.batch)))
    }
}

/// The segment before the one in which `since` lies: a request that ended then may have begun before.
fn first_segment(folder: &Path, since: Option<SystemTime>) -> Result<u32, Error> {
    let numbers = segment::numbers(folder)?;
    let Some(since) = since else { return Ok(numbers.first().copied().unwrap_or(1)) };
    let mut found = None;
    for &number in numbers.iter().rev() {
        if found.is_some() {
            return Ok(number);
        }
        found = begun_at(folder, number)?.filter(|begun| *begun <= since).map(|_| number);
    }
    Ok(numbers.first().copied().unwrap_or(1))
}

/// All that the log says of one request, tunnel or event.
#[derive(Debug, Clone)]
struct Account {
    /// Of its last line.
    time: SystemTime,
    began: Option<SystemTime>,
    words: Map<String, Value>,
}

impl Account {
    /// Reads a line; `None` for one that only the chain needs.
    fn read(line: &str, time: SystemTime) -> Option<Self> {
        let words: Map<String, Value> = serde_json::from_str(line).ok()?;
        let account = Self { time, began: None, words };
        (!matches!(account.event(), "segment" | "head")).then_some(account)
    }

    /// Both lines: what the last one says goes before what the first one said.
    fn ended_by(mut self, last: Self) -> Self {
        self.words.extend(last.words);
        Self { time: last.time, began: Some(self.time), words: self.words }
    }

    fn event(&self) -> &str {
        self.text("event").unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.words.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.words.get(name).and_then(Value::as_u64)
    }

    fn notes(&self) -> Vec<&str> {
        self.words.get("notes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// A number that the log has of the process that asked: `uid` or `pid` of `uid=1000 pid=42`.
    fn process(&self, name: &str) -> Option<u64> {
        let mut words = self.text("process")?.split(' ').filter_map(|word| word.split_once('='));
        words.find(|(own, _)| *own == name)?.1.parse().ok()
    }

    /// `1.2.3.4:5` as address and port.
    fn endpoint(&self, name: &str) -> Option<std::net::SocketAddr> {
        self.text(name)?.parse().ok()
    }
}

/// Since 1970.
fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
