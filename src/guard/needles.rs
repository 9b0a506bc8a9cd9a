//! The forms of secrets, compiled: a short piece of each is searched for, all at once, and what stands around a find is read.

use std::fmt;

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Input, Span};

use super::SHORTEST;
use super::form::{Form, Reach};
use super::scrubber::StandIn;
use super::spelled::{Letter, escapes};
use crate::model::Secret;

/// The letters of a form that are searched for.
const WINDOW: usize = 4;
/// The same where each is escaped.
const ESCAPED: usize = 2;
/// As many as are searched for at once without a loss of speed.
const AT_ONCE: usize = 48;
/// A tail of fewer letters of a form goes out at once: a message that ends so must not wait for the next one.
const HELD_FROM: usize = 4;

/// What a find may be a part of: the number of a form, and of the letter in it that begins there.
type Anchor = (usize, usize);

/// Secrets, ready to be searched for.
pub(crate) struct Needles {
    forms: Vec<Form>,
    groups: Vec<Group>,
    /// What a name of a field may hold: names are in lower case.
    lower: Vec<Form>,
    /// Bytes that a spelling may begin with.
    begins: [bool; 256],
    /// Bytes that may stand in one.
    within: [bool; 256],
    longest: usize,
    /// As many letters as the longest form has.
    letters: usize,
    /// As many as the shortest one has.
    shortest: usize,
}

/// Pieces that are searched for at once.
struct Group {
    search: Search,
    anchors: Vec<Vec<Anchor>>,
}

enum Search {
    /// By vector instructions.
    Packed(Searcher),
    /// Where there are none.
    Automaton(AhoCorasick),
}

/// A spelling of a secret in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) form: usize,
}

/// What of a text's end may be the beginning of a spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    /// From here on it must be known when the text goes on.
    pub(super) kept: usize,
    /// From here on it must not go out before that.
    pub(super) held: usize,
}

impl fmt::Debug for Needles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Needles").field("forms", &self.forms.len()).finish_non_exhaustive()
    }
}

impl Needles {
    /// Compiles those of `secrets` that are long enough to be searched for.
    pub(crate) fn new<'s>(secrets: impl IntoIterator<Item = &'s Secret<String>>) -> Self {
        let secrets = secrets.into_iter().map(|secret| secret.expose().as_bytes()).filter(|secret| secret.len() >= SHORTEST);
        let secrets: Vec<&[u8]> = secrets.collect();
        let lower = secrets.iter().flat_map(|secret| Form::in_names(secret)).collect();
        let forms: Vec<Form> = secrets.into_iter().flat_map(Form::all).collect();
        let mut pieces: Vec<(Vec<u8>, Vec<Anchor>)> = Vec::new();
        for (number, form) in forms.iter().enumerate() {
            let start = window(form.letters());
            let letters = form.letters().get(start..start + WINDOW).unwrap_or_default();
            pieces.extend(spellings(letters).into_iter().map(|piece| (piece, vec![(number, start)])));
            // What was encoded already nobody escapes without need.
            if form.is_plain() {
                let start = calm(form.letters());
                let letters = form.letters().get(start..start + ESCAPED).unwrap_or_default();
                pieces.extend(escaped(letters).into_iter().map(|piece| (piece, vec![(number, start)])));
            }
        }
        let groups = without_prefixes(pieces).chunks(AT_ONCE).filter_map(Group::new).collect();
        let (mut begins, mut within) = ([false; 256], [false; 256]);
        forms.iter().filter_map(|form| form.letters().first()).for_each(|letter| mark(&mut begins, letter));
        mark(&mut begins, b"%\\&=");
        forms.iter().flat_map(Form::letters).for_each(|letter| mark(&mut within, letter));
        mark(&mut within, b"%\\&=#;{}uUx0123456789abcdefABCDEFXamplgtquos");
        let longest = forms.iter().map(Form::longest).max().unwrap_or_default();
        let letters = forms.iter().map(|form| form.letters().len()).max().unwrap_or_default();
        let shortest = forms.iter().map(|form| form.letters().len()).min().unwrap_or_default();
        Self { forms, groups, lower, begins, within, longest, letters, shortest }
    }

    /// Whether nothing is searched for.
    pub(crate) fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// `text`, which is whole, with `stand_in` in place of the secrets in it, and how many they were; `None` where there is none.
    pub(crate) fn replaced(&self, text: &[u8], stand_in: &dyn Fn() -> StandIn) -> Option<(Vec<u8>, u32)> {
        if text.len() < self.shortest {
            return None;
        }
        let runs = if memchr::memchr2(b'%', b'\\', text).is_some() { self.read_through(text) } else { self.find(text) };
        let hits = u32::try_from(runs.len()).unwrap_or(u32::MAX);
        (hits > 0).then(|| (self.replace(text, &runs, 0, &stand_in()), hits))
    }

    /// Whether a name that is written in lower case holds a secret.
    pub(crate) fn name(&self, name: &[u8]) -> bool {
        if name.len() < self.shortest {
            return false;
        }
        let whole = |form: &Form| (0..name.len()).any(|at| matches!(form.reach(name, at, 0), Reach::Whole(_)));
        self.lower.iter().filter(|form| form.letters().len() <= name.len()).any(whole)
    }

    /// `text` with `stand_in` in each of `runs`, as far as it has not `gone` out.
    pub(super) fn replace(&self, text: &[u8], runs: &[Run], gone: usize, stand_in: &StandIn) -> Vec<u8> {
        let mut replaced = text.to_vec();
        for run in runs {
            let Some(form) = self.forms.get(run.form) else { continue };
            // What has gone out already is known to be too little of it.
            let place = replaced.get_mut(run.start.max(gone)..run.end).unwrap_or_default();
            let text = form.stand_in(stand_in, run.end - run.start);
            let rest = text.len().saturating_sub(place.len());
            place.iter_mut().zip(text.iter().skip(rest)).for_each(|(old, new)| *old = *new);
        }
        replaced
    }

    /// The spellings in `text`, in order, none within another.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Run> {
        let mut runs = Vec::new();
        self.groups.iter().for_each(|group| group.find(text, &self.forms, &mut runs));
        runs.sort_unstable_by_key(|run| (run.start, usize::MAX - run.end));
        let mut end = 0;
        runs.retain(|run| {
            let apart = run.start >= end;
            end = if apart { run.end } else { end };
            apart
        });
        runs
    }

    /// The same where any letters may be escaped: a short text has the time for a look at each of its bytes.
    fn read_through(&self, text: &[u8]) -> Vec<Run> {
        let (mut runs, mut at) = (Vec::new(), 0);
        while let Some(byte) = text.get(at) {
            let begins = marked(&self.begins, *byte);
            let whole =
                self.forms.iter().enumerate().filter(|_| begins).filter_map(|(number, form)| match form.reach(text, at, 0) {
                    Reach::Whole(end) => Some(Run { start: at, end, form: number }),
                    Reach::Open(_) | Reach::None => None,
                });
            let found = whole.max_by_key(|run| run.end);
            at = found.map_or(at + 1, |run| run.end);
            runs.extend(found);
        }
        runs
    }

    /// What of the end of `text`, from `after` on, may be the beginning of a spelling.
    pub(super) fn tail(&self, text: &[u8], after: usize) -> Tail {
        let end = text.len();
        let possible = text.get(after..).unwrap_or_default().iter().rev().take(self.longest);
        let run = possible.take_while(|byte| marked(&self.within, **byte)).count();
        // Without an escape there are no more bytes than letters.
        let escaped = text.iter().rev().take(run).any(|byte| escapes(*byte));
        let run = if escaped { run } else { run.min(self.letters) };
        let mut tail = Tail { kept: end, held: end };
        for at in end - run..end {
            if !text.get(at).is_some_and(|byte| marked(&self.begins, *byte)) {
                continue;
            }
            let open = self.forms.iter().filter_map(|form| match form.reach(text, at, 0) {
                Reach::Open(letters) => Some(letters),
                Reach::Whole(_) | Reach::None => None,
            });
            let Some(letters) = open.max() else { continue };
            tail.kept = tail.kept.min(at);
            if letters >= HELD_FROM {
                tail.held = at;
                break;
            }
        }
        tail
    }
}

impl Group {
    fn new(pieces: &[(Vec<u8>, Vec<Anchor>)]) -> Option<Self> {
        let bytes = || pieces.iter().map(|(piece, _)| piece.as_slice());
        let packed = Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(bytes()).build();
        let search = match packed {
            Some(searcher) => Search::Packed(searcher),
            None => Search::Automaton(AhoCorasick::new(bytes()).ok()?),
        };
        Some(Self { search, anchors: pieces.iter().map(|(_, anchors)| anchors.clone()).collect() })
    }

    fn find(&self, text: &[u8], forms: &[Form], runs: &mut Vec<Run>) {
        let mut from = 0;
        while let Some((piece, at)) = self.search.next(text, from) {
            from = at + 1;
            let anchors = self.anchors.get(piece).map(Vec::as_slice).unwrap_or_default();
            let found = anchors.iter().filter_map(|(form, letter)| {
                let (start, end) = forms.get(*form)?.around(text, at, *letter)?;
                Some(Run { start, end, form: *form })
            });
            if let Some(run) = found.max_by_key(|run| run.end - run.start) {
                from = run.end.max(from);
                runs.push(run);
            }
        }
    }
}

impl Search {
    fn next(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let found = match self {
            Self::Packed(searcher) => searcher.find_in(text, Span { start: from, end: text.len() }),
            Self::Automaton(automaton) => automaton.find(Input::new(text).span(from..text.len())),
        };
        found.map(|found| (found.pattern().as_usize(), found.start()))
    }
}

fn mark(table: &mut [bool; 256], bytes: &[u8]) {
    for byte in bytes {
        if let Some(marked) = table.get_mut(usize::from(*byte)) {
            *marked = true;
        }
    }
}

fn marked(table: &[bool; 256], byte: u8) -> bool {
    table.get(usize::from(byte)).is_some_and(|marked| *marked)
}

/// Where the letters begin that are the rarest in other text, and that the fewest escaping functions touch.
fn window(letters: &[Letter]) -> usize {
    let worth = |letter: &Letter| match letter {
        [one, other] if one != other => 0,
        [b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b'0' | b'1', _] => 5,
        [b'a'..=b'z', _] => 6,
        [b'0'..=b'9', _] => 8,
        [b'A'..=b'Z', _] => 9,
        _ => 0,
    };
    let windows = letters.windows(WINDOW).enumerate();
    // The same letter four times over is padding.
    let distinct =
        |window: &[Letter]| window.iter().enumerate().filter(|(at, one)| !window.iter().take(*at).any(|w| w == *one)).count();
    let worth_of = |window: &[Letter]| window.iter().map(worth).sum::<usize>() + 4 * distinct(window);
    let least = |window: &[Letter]| window.iter().map(worth).min().unwrap_or_default().min(1);
    windows.max_by_key(|(_, window)| (least(window), worth_of(window))).map_or(0, |(at, _)| at)
}

type Escape = fn(u8) -> String;

const ESCAPES: [Escape; 16] = [
    |byte| format!("%{byte:02x}"),
    |byte| format!("%{byte:02X}"),
    |byte| format!("%25{byte:02x}"),
    |byte| format!("%25{byte:02X}"),
    |byte| format!("\\u{byte:04x}"),
    |byte| format!("\\u{byte:04X}"),
    |byte| format!("\\u{{{byte:x}}}"),
    |byte| format!("\\u{{{byte:X}}}"),
    |byte| format!("\\x{byte:02x}"),
    |byte| format!("\\{byte:03o}"),
    |byte| format!("&#{byte};"),
    |byte| format!("&#{byte:03};"),
    |byte| format!("&#x{byte:x};"),
    |byte| format!("&#x{byte:X};"),
    |byte| format!("={byte:02X}"),
    |byte| format!("={byte:02x}"),
];

/// Where two letters stand that most escapes have but one spelling of: then there are fewer to search for.
fn calm(letters: &[Letter]) -> usize {
    let calmness = |letter: &Letter| match letter[0] {
        // No letter among its hexadecimal digits, and three decimal ones.
        b'd'..=b'i' | b'p'..=b'y' => 2,
        b'0'..=b'9' | b'A'..=b'I' | b'P'..=b'Y' | b'a'..=b'c' => 1,
        _ => 0,
    };
    let pairs = letters.windows(ESCAPED).map(|pair| pair.iter().map(calmness).sum::<usize>()).enumerate();
    pairs.min_by_key(|(_, calmness)| usize::MAX - calmness).map_or(0, |(at, _)| at)
}

/// How `letters` look behind functions that escape everything. Two are as rare so as four are otherwise.
fn escaped(letters: &[Letter]) -> Vec<Vec<u8>> {
    let all = |escape: &Escape| letters.iter().map(|letter| escape(letter[0])).collect::<String>().into_bytes();
    distinct(ESCAPES.iter().map(all).collect())
}

/// How `letters` look behind functions that escape nothing, or all but letters and digits.
fn spellings(letters: &[Letter]) -> Vec<Vec<u8>> {
    let variants: [Vec<u8>; 2] = [0, 1].map(|side| letters.iter().filter_map(|letter| letter.get(side).copied()).collect());
    let mut found: Vec<Vec<u8>> = variants.to_vec();
    for variant in &variants {
        for escape in ESCAPES {
            let odd = |byte: &u8| if byte.is_ascii_alphanumeric() { char::from(*byte).to_string() } else { escape(*byte) };
            found.push(variant.iter().map(odd).collect::<String>().into_bytes());
        }
        let slashed = |byte: &u8| if byte.is_ascii_alphanumeric() { vec![*byte] } else { vec![b'\\', *byte] };
        found.push(variant.iter().flat_map(slashed).collect());
        // RFC 8259 §7, and what some writers of JSON add to it.
        for must in [&b"\"\\"[..], b"\"\\/"] {
            let slashed = |byte: &u8| if must.contains(byte) { vec![b'\\', *byte] } else { vec![*byte] };
            found.push(variant.iter().flat_map(slashed).collect());
        }
        let named = |byte: &u8| match byte {
            b'&' => b"&amp;".to_vec(),
            b'<' => b"&lt;".to_vec(),
            b'>' => b"&gt;".to_vec(),
            b'"' => b"&quot;".to_vec(),
            b'\'' => b"&#39;".to_vec(),
            byte => vec![*byte],
        };
        found.push(variant.iter().flat_map(named).collect());
    }
    distinct(found)
}

fn distinct(mut pieces: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

/// Of two pieces of which one begins with the other, the shorter one stands for both.
fn without_prefixes(mut pieces: Vec<(Vec<u8>, Vec<Anchor>)>) -> Vec<(Vec<u8>, Vec<Anchor>)> {
    pieces.sort();
    let mut kept: Vec<(Vec<u8>, Vec<Anchor>)> = Vec::new();
    for (piece, anchors) in pieces {
        match kept.last_mut() {
            Some((shorter, known)) if piece.starts_with(shorter) => known.extend(anchors),
            _ => kept.push((piece, anchors)),
        }
    }
    kept
}
