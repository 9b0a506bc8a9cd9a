//! The lines: written by a gateway, read by its nodes; and the question for another credential.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::agent::PlaceholderKey;
use crate::model::{ConnectionId, IdError};
use crate::vault::{self, Entry, Lent, LentRenewal, NotUnderstood};

/// The longest line that is read: room for a connection with keys and certificates.
const MAX_LINE: usize = 512 * 1024;

/// Past these a heartbeat is none.
const HEARTBEATS: std::ops::RangeInclusive<u64> = 1..=60;

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    /// Its text is kept out: it may hold a secret.
    #[error("a line is not the JSON object that was expected, at column {0}")]
    Json(usize),
    #[error("a line names no connection")]
    Name(#[from] IdError),
    #[error("a connection is not understood")]
    Entry(#[from] NotUnderstood),
    #[error("a line is longer than {MAX_LINE} bytes")]
    Long,
}

/// What the first line says.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// How often the gateway says that it lives.
    pub(crate) heartbeat: Duration,
    /// What its apps' placeholders are made with.
    pub(crate) placeholders: Option<PlaceholderKey>,
}

/// What a line says.
#[derive(Debug)]
pub(crate) enum Change {
    /// The first one.
    Hello(Greeting),
    /// A connection as it is now.
    Put(ConnectionId, Box<Entry>),
    /// A connection that is no more, or no longer for nodes.
    Gone(ConnectionId),
    /// All that there is has been told.
    Synced,
    /// The gateway lives.
    Alive,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    hello: Option<Hello<'a>>,
    #[serde(borrow)]
    put: Option<Put<'a>>,
    gone: Option<Gone>,
    synced: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
struct Hello<'a> {
    heartbeat_secs: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    placeholder_key: Option<&'a str>,
}

#[derive(Deserialize)]
struct Put<'a> {
    id: String,
    version: String,
    renewal: Word,
    #[serde(default)]
    client: bool,
    #[serde(borrow)]
    entry: &'a RawValue,
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    version: &'a str,
    renewal: Word,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    client: bool,
    entry: &'a Entry,
}

#[derive(Serialize, Deserialize)]
struct Gone {
    id: String,
}

/// [`LentRenewal`] on the wire.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    None,
    Able,
    First,
}

/// What a node asks when a connection's credential is about to end, or was refused.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// The connection.
    pub(crate) id: String,
    /// The version that the node has.
    pub(crate) version: String,
    /// Whether a service answered 401 to it.
    pub(crate) refused: bool,
}

/// When a node used connections last, in seconds since 1970.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Used {
    pub(crate) unix_secs: BTreeMap<String, u64>,
}

/// What it is answered: the connection as it is now, and when to ask again where it could not be renewed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) id: ConnectionId,
    pub(crate) entry: Box<Entry>,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct WrittenAnswer<'a> {
    #[serde(flatten)]
    put: Written<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_secs: Option<u64>,
}

#[derive(Deserialize)]
struct ReadAnswer<'a> {
    id: String,
    version: String,
    renewal: Word,
    #[serde(default)]
    client: bool,
    #[serde(borrow)]
    entry: &'a RawValue,
    retry_after_secs: Option<u64>,
}

/// Reads one line, without its end.
///
/// # Errors
/// As [`Malformed`] says; after [`Malformed::Name`] and [`Malformed::Entry`] the next line may still be read.
pub(crate) fn read(line: &[u8]) -> Result<Change, Malformed> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|cause| Malformed::Json(cause.column()))?;
    match line {
        Line { hello: Some(hello), .. } => {
            let (least, most) = HEARTBEATS.into_inner();
            let heartbeat = Duration::from_secs(hello.heartbeat_secs.clamp(least, most));
            Ok(Change::Hello(Greeting { heartbeat, placeholders: hello.placeholder_key.and_then(PlaceholderKey::read) }))
        }
        Line { put: Some(Put { id, version, renewal, client, entry }), .. } => {
            Ok(Change::Put(id.parse()?, Box::new(lent(entry, (&version, renewal, client))?)))
        }
        Line { gone: Some(gone), .. } => Ok(Change::Gone(gone.id.parse()?)),
        Line { synced: Some(_), .. } => Ok(Change::Synced),
        Line { .. } => Ok(Change::Alive),
    }
}

/// Reads what a gateway answers to [`Ask`].
///
/// # Errors
/// As [`Malformed`] says.
pub(crate) fn read_answer(text: &[u8]) -> Result<Answer, Malformed> {
    let answer: ReadAnswer<'_> = serde_json::from_slice(text).map_err(|cause| Malformed::Json(cause.column()))?;
    let entry = Box::new(lent(answer.entry, (&answer.version, answer.renewal, answer.client))?);
    Ok(Answer { id: answer.id.parse()?, entry, retry_after: answer.retry_after_secs.map(Duration::from_secs) })
}

/// Whatever a gateway says, what it lends is nobody's own.
fn lent(entry: &RawValue, (version, renewal, client): (&str, Word, bool)) -> Result<Entry, NotUnderstood> {
    let mut entry = vault::read_entry(entry)?;
    let renewal = match renewal {
        Word::None => LentRenewal::None,
        Word::Able => LentRenewal::Able,
        Word::First => LentRenewal::First,
    };
    entry.captured = None;
    entry.lent = Some(Lent { version: version.into(), renewal, client });
    Ok(entry)
}

fn written<'a>(id: &'a ConnectionId, entry: &'a Entry) -> Written<'a> {
    let word = |renewal| match renewal {
        LentRenewal::Able => Word::Able,
        LentRenewal::First => Word::First,
        LentRenewal::None => Word::None,
    };
    let lent = entry.lent.as_ref();
    let version = lent.map(|lent| lent.version.as_ref()).unwrap_or_default();
    let (renewal, client) = lent.map_or((Word::None, false), |lent| (word(lent.renewal), lent.client));
    Written { id: id.as_str(), version, renewal, client, entry }
}

/// The first line.
pub(crate) fn write_hello(heartbeat: Duration, placeholders: &PlaceholderKey) -> Zeroizing<Vec<u8>> {
    #[derive(Serialize)]
    struct First<'a> {
        hello: Hello<'a>,
    }
    let key = placeholders.written();
    line(&First { hello: Hello { heartbeat_secs: heartbeat.as_secs(), placeholder_key: Some(&key) } })
}

/// The line of a gateway that has nothing to say.
pub(crate) fn write_alive() -> Zeroizing<Vec<u8>> {
    line(&serde_json::json!({}))
}

pub(super) fn write_synced() -> Zeroizing<Vec<u8>> {
    line(&serde_json::json!({ "synced": {} }))
}

pub(super) fn write_gone(id: &ConnectionId) -> Zeroizing<Vec<u8>> {
    line(&serde_json::json!({ "gone": Gone { id: id.to_string() } }))
}

pub(super) fn write_put(id: &ConnectionId, entry: &Entry) -> Zeroizing<Vec<u8>> {
    #[derive(Serialize)]
    struct Put<'a> {
        put: Written<'a>,
    }
    line(&Put { put: written(id, entry) })
}

/// The answer to [`Ask`]; `entry` is a copy that [`super::Lender`] made.
pub(crate) fn write_answer(id: &ConnectionId, entry: &Entry, retry_after: Option<Duration>) -> Zeroizing<Vec<u8>> {
    line(&WrittenAnswer { put: written(id, entry), retry_after_secs: retry_after.map(|wait| wait.as_secs().max(1)) })
}

/// Measured first: a buffer that grows leaves secrets behind. What can't be written would be a line without anything.
fn line(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut length = Length(1);
    let mut text = match serde_json::to_writer(&mut length, value) {
        Ok(()) => Zeroizing::new(Vec::with_capacity(length.0)),
        Err(_unwritable) => return Zeroizing::new(b"{}\n".to_vec()),
    };
    if serde_json::to_writer(&mut *text, value).is_err() {
        return Zeroizing::new(b"{}\n".to_vec());
    }
    text.push(b'\n');
    text
}

struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts lines together from the pieces that a stream brings; what it held is wiped.
#[derive(Default)]
pub(crate) struct Lines(Zeroizing<Vec<u8>>);

impl Lines {
    /// Takes a piece, and gives each line that it completes to `take`.
    ///
    /// # Errors
    /// [`Malformed::Long`], and what `take` refuses.
    pub(crate) fn push<E: From<Malformed>>(
        &mut self,
        mut piece: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = piece.split_at(end);
            self.keep(head)?;
            take(&self.0)?;
            zeroize::Zeroize::zeroize(&mut *self.0);
            piece = tail.get(1..).unwrap_or_default();
        }
        Ok(self.keep(piece)?)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let length = self.0.len() + bytes.len();
        if length > MAX_LINE {
            return Err(Malformed::Long);
        }
        if length > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two().max(4096)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
