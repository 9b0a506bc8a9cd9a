//! `Rule`: one that is checked and has a name.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::asked::{Asked, Presets, Question};
use super::graphql::Does;
use super::row::{Action, Mode, Per, Row};
use super::terms::{MethodTerm, ProviderTerm};
use crate::model::{Fit, Inside, Preset, ProviderId, Rate, Volume};

/// One rule of the policy.
#[derive(Debug)]
pub struct Rule {
    name: Arc<str>,
    file: Arc<str>,
    counter: Arc<str>,
    pub(super) row: Row,
}

/// What a rule says of a request that it speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Allow,
    /// Within its limits.
    Limit,
    /// If its body turns out to be the preset's.
    IfBody,
    /// If a person says yes.
    Approve,
    Deny,
}

/// How much a rule says before the request is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// Nothing: it speaks of others.
    No,
    /// That depends on the request; whether it could let one go on.
    Later(bool),
    /// This.
    Now(Word),
}

impl Rule {
    /// A checked rule of `file`.
    pub(super) fn new(row: Row, file: &Arc<str>) -> Self {
        let short = || file.rsplit('/').next().unwrap_or_default();
        let name = row.name.as_ref().map_or_else(|| format!("{}:{}", short(), row.line.0).into(), |name| name.as_str().into());
        let counter = if row.name.is_some() { Arc::clone(&name) } else { format!("\n{}", said(&row)).into() };
        Self { name, file: Arc::clone(file), counter, row }
    }

    /// What records call it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Under what its requests are counted: its name, or where it has none, all that it says, whatever line it stands in. No name has the
    /// line end that this begins with.
    pub(crate) fn counter(&self) -> &Arc<str> {
        &self.counter
    }

    /// It says the same as `others` rules before it, and counts by itself.
    pub(super) fn tell_apart(&mut self, others: usize) {
        self.counter = format!("{} {others}", self.counter).into();
    }

    /// Where it stands: the file, and the line from 1.
    pub fn place(&self) -> (&str, usize) {
        (&self.file, self.row.line.0)
    }

    /// `allow`, `deny`, `limit`, `approve`, or the preset's name.
    pub fn action(&self) -> &'static str {
        match (self.row.preset, self.row.action) {
            (Some(preset), _) => preset.word(),
            (None, Some(Action::Allow)) => "allow",
            (None, Some(Action::Limit)) => "limit",
            (None, Some(Action::Approve)) => "approve",
            (None, Some(Action::Deny) | None) => "deny",
        }
    }

    /// All that it says, as TOML.
    pub(crate) fn text(&self) -> String {
        self.row.text()
    }

    /// What the person who wrote it has to say to those whom it refuses.
    pub fn reason(&self) -> Option<&str> {
        self.row.reason.as_ref().map(super::row::Sentence::as_str)
    }

    /// How long a request waits for a person's word.
    pub(crate) fn patience(&self) -> Duration {
        self.row.timeout.unwrap_or_default().duration()
    }

    /// What requests of it do, as the person who wrote it says it.
    pub(crate) fn summary(&self) -> Option<&str> {
        self.row.summary.as_ref().map(super::row::Summary::as_str)
    }

    /// All that it says, hashed: a rule that is changed is another one, whatever it is called.
    pub(crate) fn digest(&self) -> [u8; 32] {
        // A row holds nothing that JSON can't.
        Sha256::digest(serde_json::to_vec(&(&*self.name, &self.row)).unwrap_or_default()).into()
    }

    /// Whether it is only told of.
    pub fn reports(&self) -> bool {
        self.row.mode == Some(Mode::Report)
    }

    /// The provider and the preset, where it names one.
    pub fn presets(&self) -> impl Iterator<Item = (&ProviderId, Preset)> {
        self.row.preset.into_iter().flat_map(|preset| self.providers().map(move |id| (id, preset)))
    }

    /// Whether it lets a request on that does this.
    pub(crate) fn lets_on(&self, does: Does) -> bool {
        self.row.preset.is_none_or(|preset| does.is_inside(preset))
    }

    /// The providers that it names.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderId> {
        self.row.provider.iter().filter_map(|term| if let ProviderTerm::One(id) = term { Some(id) } else { None })
    }

    /// Whether it speaks of methods or paths.
    pub(super) fn looks_at_requests(&self) -> bool {
        !self.row.methods.is_empty() || !self.row.paths.is_empty() || self.row.preset.is_some()
    }

    /// Whether it speaks of methods.
    pub(super) fn looks_at_methods(&self) -> bool {
        !self.row.methods.is_empty() || self.row.preset.is_some()
    }

    /// Whether a person's word is waited for.
    pub(super) fn asks(&self) -> bool {
        self.row.action == Some(Action::Approve) && !self.reports()
    }

    /// Whether it speaks of some times only.
    pub(super) fn is_timed(&self) -> bool {
        self.row.when.is_some() || self.row.expires.is_some()
    }

    /// How long until it ends, if that is ahead.
    pub(super) fn ends_in(&self, now: SystemTime) -> Option<Duration> {
        self.row.expires?.time().duration_since(now).ok().filter(|left| !left.is_zero())
    }

    /// What it counts.
    pub(crate) fn limits(&self) -> Limits {
        let Row { rate, burst, concurrency, bytes, per_day, per, .. } = &self.row;
        Limits {
            rate: *rate,
            burst: *burst,
            concurrency: *concurrency,
            bytes: *bytes,
            per_day: *per_day,
            per: per.unwrap_or_default(),
        }
    }

    /// Whether it speaks of who asks, where and when.
    fn fits_place(&self, question: &Question<'_>) -> Fit {
        let row = &self.row;
        let any = |none: bool, fits: &dyn Fn() -> bool| none || fits();
        let certain = any(row.agents.is_empty(), &|| row.agents.iter().any(|term| term.is(question.agent)))
            && any(row.users.is_empty(), &|| question.user.is_some_and(|user| row.users.iter().any(|own| own.0 == *user)))
            && any(row.hosts.is_empty(), &|| row.hosts.iter().any(|term| term.is(question.host)))
            && any(row.ports.is_empty(), &|| row.ports.contains(&question.port))
            && row.expires.is_none_or(|end| !end.is_past(question.now));
        if !certain || row.when.as_ref().is_some_and(|window| !window.has(question.now)) {
            return Fit::No;
        }
        if row.provider.is_empty() {
            return Fit::Yes;
        }
        let fits = |(id, fit): &(&ProviderId, Fit)| if self.names(id) { *fit } else { Fit::No };
        question.owners.iter().map(fits).max().unwrap_or(Fit::No)
    }

    fn names(&self, id: &ProviderId) -> bool {
        self.row.provider.iter().any(|term| match term {
            ProviderTerm::Any => true,
            ProviderTerm::One(own) => own == id,
        })
    }

    /// Whether it speaks of this request.
    pub(super) fn fits(&self, question: &Question<'_>, asked: &Asked<'_>) -> Fit {
        let row = &self.row;
        let mut fit = self.fits_place(question);
        if fit > Fit::No && !row.methods.is_empty() {
            fit = fit.and(MethodTerm::any_fits(&row.methods, asked.methods()));
        }
        if fit > Fit::No && !row.paths.is_empty() {
            fit = fit.and(self.fits_path(asked));
        }
        if fit > Fit::No { fit.and(self.fits_content(asked)) } else { fit }
    }

    fn fits_path(&self, asked: &Asked<'_>) -> Fit {
        // What has no meaning may be any path.
        let Some(readings) = asked.readings() else { return Fit::Maybe };
        self.row.paths.iter().map(|path| path.fits(readings, &self.row.parts)).max().unwrap_or(Fit::No)
    }

    fn fits_content(&self, asked: &Asked<'_>) -> Fit {
        let (row, content) = (&self.row, &asked.content);
        let kind = match content.kind {
            _ if row.content_types.is_empty() => Fit::Yes,
            _ if content.ambiguous => Fit::Maybe,
            Some(kind) => Fit::of(row.content_types.iter().any(|term| term.is(kind))),
            None => Fit::No,
        };
        let sized = row.larger_than.is_some() || row.smaller_than.is_some();
        let size = match content.length {
            _ if !sized => Fit::Yes,
            None => Fit::Maybe,
            Some(length) => Fit::of(
                row.larger_than.is_none_or(|more| length > more.as_u64())
                    && row.smaller_than.is_none_or(|fewer| length < fewer.as_u64()),
            ),
        };
        kind.and(size)
    }

    /// What it says of a request that it speaks of.
    pub(super) fn word(&self, question: &Question<'_>, asked: &Asked<'_>, presets: &Presets<'_>) -> Word {
        let word = match self.row.action {
            Some(Action::Deny) => Word::Deny,
            Some(Action::Limit) => Word::Limit,
            Some(Action::Approve) => Word::Approve,
            Some(Action::Allow) | None => Word::Allow,
        };
        let Some(preset) = self.row.preset else { return word };
        // Of several providers that share the place, each one's file must say so.
        let owners = question.owners.iter().filter(|(id, fit)| *fit > Fit::No && self.names(id));
        let inside = owners.map(|(id, _)| presets(id, preset, asked));
        inside.fold(word, |word, inside| match (word, inside) {
            (Word::Deny, _) | (_, Inside::No) => Word::Deny,
            (_, Inside::IfBody) => Word::IfBody,
            (word, Inside::Yes) => word,
        })
    }

    /// What it says of a CONNECT, whose requests are not seen yet.
    pub(super) fn ahead(&self, question: &Question<'_>) -> Ahead {
        let row = &self.row;
        if self.fits_place(question) == Fit::No {
            return Ahead::No;
        }
        let bodies = !row.content_types.is_empty() || row.larger_than.is_some() || row.smaller_than.is_some();
        // A provider's place is more than its host.
        let later = !row.methods.is_empty() || !row.paths.is_empty() || bodies || !row.provider.is_empty();
        match row.action {
            Some(Action::Deny) if later => Ahead::Later(false),
            Some(Action::Deny) => Ahead::Now(Word::Deny),
            // What is counted, or shown to a person, is requests.
            Some(Action::Limit | Action::Approve) => Ahead::Later(true),
            Some(Action::Allow) | None if later => Ahead::Later(true),
            Some(Action::Allow) | None => Ahead::Now(Word::Allow),
        }
    }
}

/// All that it says, but for where.
fn said(row: &Row) -> String {
    // A row holds nothing that JSON can't.
    serde_json::to_string(row).unwrap_or_default()
}

/// What a rule counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) rate: Option<Rate>,
    pub(crate) burst: Option<u32>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) bytes: Option<Volume>,
    pub(crate) per_day: Option<u32>,
    pub(crate) per: Per,
}
