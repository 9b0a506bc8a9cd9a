//! One form of a secret: plain, at one alignment of base64, or hexadecimal; each letter of it behind any escapes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::{Zeroize as _, Zeroizing};

use super::scrubber::StandIn;
use super::spelled::{Letter, Positions, WIDEST, escapes, is, read, read_back};

/// What a form is of.
#[derive(Clone, Copy)]
enum Coding {
    Plain,
    /// Without the first so many bytes, which share their letters with what stands before; those at the end likewise.
    Base64(usize),
    Hexadecimal,
}

/// One form of a secret.
pub(super) struct Form {
    letters: Vec<Letter>,
    coding: Coding,
    /// How long the secret is.
    length: usize,
}

/// How much of a form a text holds from one place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    None,
    /// As many letters as the text has.
    Open(usize),
    /// All of it, up to here.
    Whole(usize),
}

impl Drop for Form {
    fn drop(&mut self) {
        self.letters.iter_mut().for_each(|letter| letter.zeroize());
    }
}

impl Form {
    /// All forms of `secret`.
    pub(super) fn all(secret: &[u8]) -> impl Iterator<Item = Self> {
        let length = secret.len();
        let form = move |letters, coding| Self { letters, coding, length };
        let plain = form(secret.iter().map(|byte| [*byte; 2]).collect(), Coding::Plain);
        let hexadecimal = Self::digits(secret);
        let aligned = (0..3).map(move |skip| {
            let whole = whole_groups(secret, skip);
            let (usual, for_urls) = (Zeroizing::new(STANDARD.encode(whole)), Zeroizing::new(URL_SAFE.encode(whole)));
            form(pairs(usual.as_bytes(), for_urls.as_bytes()), Coding::Base64(skip))
        });
        let aligned: Vec<Self> = aligned.collect();
        [plain, hexadecimal].into_iter().chain(aligned)
    }

    /// Those that a name in lower case may hold. In base64 nobody could read it.
    pub(super) fn in_names(secret: &[u8]) -> [Self; 2] {
        let letters = secret.iter().map(|byte| [byte.to_ascii_lowercase(), *byte]).collect();
        [Self { letters, coding: Coding::Plain, length: secret.len() }, Self::digits(secret)]
    }

    fn digits(secret: &[u8]) -> Self {
        let (lower, upper) = (hexadecimal(secret), Zeroizing::new(hexadecimal(secret).to_ascii_uppercase()));
        Self { letters: pairs(lower.as_bytes(), upper.as_bytes()), coding: Coding::Hexadecimal, length: secret.len() }
    }

    pub(super) fn letters(&self) -> &[Letter] {
        &self.letters
    }

    /// Whether it is the secret as it is.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.coding, Coding::Plain)
    }

    /// How long its longest spelling may be.
    pub(super) fn longest(&self) -> usize {
        self.letters.len().saturating_mul(WIDEST)
    }

    /// How much of it, its first `skipped` letters aside, stands in `text` at `at`.
    pub(super) fn reach(&self, text: &[u8], at: usize, skipped: usize) -> Reach {
        // Nearly all end here.
        if let (Some(letter), Some(byte)) = (self.letters.get(skipped), text.get(at))
            && !is(*letter, *byte)
            && !escapes(*byte)
        {
            return Reach::None;
        }
        let (mut here, mut next) = (Positions::from_slice(&[at]), Positions::new());
        let mut open = None;
        for (number, letter) in self.letters.iter().enumerate().skip(skipped) {
            for at in here.drain(..) {
                if read(text, at, *letter, &mut next) {
                    open = Some(number);
                }
            }
            next.dedup();
            if next.is_empty() {
                return open.map_or(Reach::None, Reach::Open);
            }
            std::mem::swap(&mut here, &mut next);
        }
        here.iter().max().map_or(Reach::None, |end| Reach::Whole(*end))
    }

    /// The whole spelling whose letter `number` begins at `at`.
    pub(super) fn around(&self, text: &[u8], at: usize, number: usize) -> Option<(usize, usize)> {
        let Reach::Whole(end) = self.reach(text, at, number) else { return None };
        // An escape that was escaped again has more backslashes.
        let more = text.get(..at).unwrap_or_default().iter().rev().take(WIDEST).take_while(|byte| **byte == b'\\').count();
        let more = if text.get(at) == Some(&b'\\') { more } else { 0 };
        let (mut here, mut before): (Positions, _) = ((at - more..=at).collect(), Positions::new());
        for letter in self.letters.get(..number)?.iter().rev() {
            here.drain(..).for_each(|at| read_back(text, at, *letter, &mut before));
            before.sort_unstable();
            before.dedup();
            std::mem::swap(&mut here, &mut before);
        }
        here.iter().min().map(|start| (*start, end))
    }

    /// What is to stand in place of a spelling of it of so many bytes.
    pub(super) fn stand_in(&self, stand_in: &StandIn, width: usize) -> Vec<u8> {
        let coded = match self.coding {
            Coding::Plain => return stand_in.of_length(width),
            Coding::Hexadecimal => hexadecimal(&stand_in.of_length(self.length)).as_bytes().to_vec(),
            Coding::Base64(skip) => STANDARD.encode(whole_groups(&stand_in.of_length(self.length), skip)).into_bytes(),
        };
        coded.into_iter().chain(std::iter::repeat(b'0')).take(width).collect()
    }
}

/// The part whose base64 does not depend on what stands around it.
fn whole_groups(secret: &[u8], skip: usize) -> &[u8] {
    let aligned = secret.get(skip..).unwrap_or_default();
    aligned.get(..aligned.len() / 3 * 3).unwrap_or_default()
}

fn pairs(one: &[u8], other: &[u8]) -> Vec<Letter> {
    one.iter().zip(other).map(|(one, other)| [*one, *other]).collect()
}

fn hexadecimal(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        text.extend(char::from_digit(digit.into(), 16));
    }
    text
}
