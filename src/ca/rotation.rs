//! Rotation: how one root gives way to the next without a caller that trusts only the old one noticing.
//!
//! A caller reads the bundle when it starts, so a new root must be in the bundle for a while before it signs, and the old
//! one must stay there while callers may still meet a leaf it signed. The steps, of which this file decides and the
//! application writes:
//!
//! | step | files | signs | bundle |
//! |---|---|---|---|
//! | before | `ca.pem` | current | current |
//! | `nexus ca rotate` | and `ca.next.pem` with its sealed key | current | current, next |
//! | after the overlap, or `nexus ca rotate --finish` | next becomes `ca.pem`, current goes to `ca.old.pem`, its key is deleted | next | next, current |
//! | the old root expires, or `nexus ca rotate --drop-old` | `ca.old.pem` is cleared | next | next |
//!
//! Each step first writes the bundle that holds more, then changes the signer, so that a crash between two writes leaves a
//! root too many, never one too few. Nothing here forces a caller to read the bundle again: one that runs for longer than
//! the overlap must be restarted, which is why the overlap should be no shorter than [`OVERLAP`], the life of a leaf.

use std::time::{Duration, SystemTime};

use super::Error;
use super::leaf;
use super::read;
use super::root::{BACKDATE, check_range};

/// The shortest overlap that makes sense: how long the next root is in the bundle before it signs.
pub const OVERLAP: Duration = leaf::LIFE;

/// The roots of an installation, as PEM texts.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// `ca.pem`.
    pub current: &'a str,
    /// `ca.next.pem`, while a rotation is under way.
    pub next: Option<&'a str>,
    /// `ca.old.pem`: earlier roots without a key, any number, maybe none.
    pub retired: &'a str,
}

/// Which root signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// The one in `ca.pem`.
    Current,
    /// The one in `ca.next.pem`: it is time to make it the current one.
    Next,
}

/// What follows from a [`Rotation`] at one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which root signs now.
    pub signs: Signs,
    /// When the next root takes over by itself; `None` when no rotation is under way.
    pub due: Option<SystemTime>,
    /// The roots callers should trust now, the signing one first, as PEM; for [`super::bundle`] and `/ca.pem`.
    pub roots: Vec<String>,
}

/// One root as it lies in a file.
struct Held {
    pem: String,
    validity: std::ops::Range<SystemTime>,
}

impl Rotation<'_> {
    /// Decides for `now`: the next root signs once it has been known for `overlap` (zero to finish at once), or as soon as
    /// the current one is not valid. Expired roots leave the list; one that is not valid yet stays, for a clock may be slow.
    ///
    /// # Errors
    /// A text that holds no readable root, or no root that is valid at `now`.
    pub fn plan(&self, now: SystemTime, overlap: Duration) -> Result<Plan, Error> {
        let current = one(self.current)?;
        let next = self.next.map(one).transpose()?;
        let due = next.as_ref().map(|next| takes_over(next, overlap)).transpose()?;
        let current_valid = check_range(&current.validity, now);
        let next_ready = next.as_ref().is_some_and(|next| check_range(&next.validity, now).is_ok());
        let signs = match current_valid {
            Ok(()) if next_ready && due.is_some_and(|due| due <= now) => Signs::Next,
            Ok(()) => Signs::Current,
            Err(_invalid) if next_ready => Signs::Next,
            Err(invalid) => return Err(invalid),
        };
        let pair = match signs {
            Signs::Current => [Some(current), next],
            Signs::Next => [next, Some(current)],
        };
        let living = pair.into_iter().flatten().chain(all(self.retired)?).filter(|held| now < held.validity.end);
        Ok(Plan { signs, due, roots: distinct(living) })
    }
}

/// When a root that was made for a rotation has been known for `overlap`; its start is backdated.
fn takes_over(next: &Held, overlap: Duration) -> Result<SystemTime, Error> {
    next.validity.start.checked_add(BACKDATE).and_then(|made| made.checked_add(overlap)).ok_or(Error::Clock)
}

/// The PEM texts in their order, none twice.
fn distinct(roots: impl Iterator<Item = Held>) -> Vec<String> {
    let mut texts = Vec::new();
    for held in roots {
        if !texts.contains(&held.pem) {
            texts.push(held.pem);
        }
    }
    texts
}

/// The one root of a file.
fn one(pem: &str) -> Result<Held, Error> {
    let mut roots = all(pem)?;
    let found = roots.len();
    roots.pop().filter(|_root| found == 1).ok_or(Error::Count { found })
}

/// All roots of a file.
fn all(pem: &str) -> Result<Vec<Held>, Error> {
    let held = |der: &[u8]| Ok(Held { pem: read::pem(der), validity: read::facts(&read::parse(der)?)?.validity });
    read::certificates(pem)?.iter().map(|certificate| held(certificate)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::Root;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn start() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn root(made: SystemTime) -> Root {
        Root::create("laptop", made).unwrap()
    }

    fn plan(files: (&Root, Option<&Root>), retired: &str, now: SystemTime) -> Result<Plan, Error> {
        let (current, next) = (files.0.certificate_pem(), files.1.map(Root::certificate_pem));
        Rotation { current: &current, next: next.as_deref(), retired }.plan(now, OVERLAP)
    }

    #[test]
    fn without_a_rotation_the_current_root_signs_alone() {
        let current = root(start());
        let plan = plan((&current, None), "", start()).unwrap();
        assert_eq!(plan, Plan { signs: Signs::Current, due: None, roots: vec![current.certificate_pem()] });
    }

    #[test]
    fn the_next_root_is_trusted_before_it_signs() {
        let (current, next) = (root(start()), root(start() + DAY));
        let plan = plan((&current, Some(&next)), "", start() + DAY).unwrap();
        assert_eq!(plan.signs, Signs::Current);
        assert_eq!(plan.due, Some(start() + DAY + OVERLAP));
        assert_eq!(plan.roots, [current.certificate_pem(), next.certificate_pem()]);
    }

    #[test]
    fn after_the_overlap_the_next_root_signs_and_both_are_trusted() {
        let (current, next) = (root(start()), root(start() + DAY));
        let decide = |now| plan((&current, Some(&next)), "", now).unwrap();
        assert_eq!(decide(start() + DAY + OVERLAP - Duration::from_secs(1)).signs, Signs::Current);
        let done = decide(start() + DAY + OVERLAP);
        assert_eq!(done.signs, Signs::Next);
        assert_eq!(done.roots, [next.certificate_pem(), current.certificate_pem()]);
    }

    #[test]
    fn finishing_early_needs_no_overlap() {
        let (current, next) = (root(start()).certificate_pem(), root(start() + DAY).certificate_pem());
        let rotation = Rotation { current: &current, next: Some(&next), retired: "" };
        assert_eq!(rotation.plan(start() + DAY, Duration::ZERO).unwrap().signs, Signs::Next);
    }

    #[test]
    fn retired_roots_stay_until_they_expire() {
        let (old, older) = (root(start() - DAY), root(start() - 365 * DAY));
        let current = root(start());
        let retired = format!("{}{}{}", old.certificate_pem(), older.certificate_pem(), current.certificate_pem());
        let early = plan((&current, None), &retired, start()).unwrap();
        assert_eq!(early.roots, [current.certificate_pem(), old.certificate_pem(), older.certificate_pem()]);
        let later = plan((&current, None), &retired, older.not_after()).unwrap();
        assert_eq!(later.roots, [current.certificate_pem(), old.certificate_pem()]);
    }

    #[test]
    fn an_expired_root_hands_over_at_once() {
        let current = root(start());
        let now = current.not_after();
        let next = root(now);
        let plan = plan((&current, Some(&next)), "", now).unwrap();
        assert_eq!((plan.signs, plan.roots), (Signs::Next, vec![next.certificate_pem()]));
    }

    #[test]
    fn with_no_living_root_there_is_no_plan() {
        let current = root(start());
        assert!(matches!(plan((&current, None), "", current.not_after()), Err(Error::Expired { .. })));
        assert!(matches!(plan((&current, None), "", start() - DAY), Err(Error::NotYetValid { .. })));
    }

    #[test]
    fn a_next_root_from_the_future_waits() {
        let (current, next) = (root(start()), root(start() + 30 * DAY));
        let plan = plan((&current, Some(&next)), "", start()).unwrap();
        assert_eq!((plan.signs, plan.roots.len()), (Signs::Current, 2));
    }

    #[test]
    fn a_file_without_its_one_root_is_an_error() {
        let current = root(start()).certificate_pem();
        let rotation = Rotation { current: &current, next: Some(""), retired: "" };
        assert!(matches!(rotation.plan(start(), OVERLAP), Err(Error::Count { found: 0 })));
        let rotation = Rotation { current: &current.repeat(2), next: None, retired: "" };
        assert!(matches!(rotation.plan(start(), OVERLAP), Err(Error::Count { found: 2 })));
    }
}
