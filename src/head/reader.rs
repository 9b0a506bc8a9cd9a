//! The state of one direction of a connection: which bytes are sound and may be handed on. No I/O.

use std::sync::Arc;

use super::chunked::{Chunked, Done};
use super::fields::Declared;
use super::{Expectation, Head, Limits, Malformed, Parser, Shape, Verdict};

/// 1xx responses before a final one.
const INTERIM_RESPONSES: u8 = 16;

/// Sees what a reader reads. `()` looks away and costs nothing.
pub(crate) trait Watch {
    /// A head was read from the front of `bytes`.
    fn head(&mut self, head: &Head, bytes: &[u8]);
    /// Bytes of a body.
    fn data(&mut self, data: &[u8]);
    /// A message ended at this position of the bytes.
    fn end(&mut self, at: usize);
}

impl Watch for () {
    fn head(&mut self, _: &Head, _: &[u8]) {}
    fn data(&mut self, _: &[u8]) {}
    fn end(&mut self, _: usize) {}
}

/// Whose messages are read.
#[derive(Debug)]
enum Side {
    Requests(Arc<Verdict>),
    Responses { expectation: Arc<Expectation>, interim: u8 },
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Head(Parser),
    Length(u64),
    Chunked(Chunked),
    Trailers(Parser),
    /// A response body that ends with the stream.
    UntilClose,
    /// Not known before the service has answered a wish for another protocol.
    Held,
    /// Another protocol's.
    Raw,
}

/// What [`Reader::advance`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// So many bytes at the front are sound and complete enough to be handed on.
    pub(crate) clean: usize,
    /// What stands behind them, if it is wrong.
    pub(crate) malformed: Option<Malformed>,
}

/// Reads messages, one after the other, from bytes that arrive in any pieces.
#[derive(Debug)]
pub(crate) struct Reader {
    side: Side,
    phase: Phase,
    limits: Limits,
}

impl Reader {
    /// A reader of what a caller sends.
    pub(crate) fn requests(verdict: Arc<Verdict>, limits: Limits) -> Self {
        Self { side: Side::Requests(verdict), phase: Phase::Head(Parser::new(Shape::Request)), limits }
    }

    /// A reader of what a service sends.
    pub(crate) fn responses(expectation: Arc<Expectation>, limits: Limits) -> Self {
        let side = Side::Responses { expectation, interim: 0 };
        Self { side, phase: Phase::Head(Parser::new(Shape::Response)), limits }
    }

    /// Looks at `bytes`: those that the last call found not to be clean, and new ones behind them.
    pub(crate) fn advance(&mut self, bytes: &[u8], watch: &mut impl Watch) -> Step {
        let mut clean = 0;
        loop {
            let rest = bytes.get(clean..).unwrap_or_default();
            if rest.is_empty() {
                return Step { clean, malformed: None };
            }
            match self.part(rest, watch) {
                Ok(0) => return Step { clean, malformed: None },
                Ok(used) => {
                    clean += used;
                    if matches!(self.phase, Phase::Head(_) | Phase::Held) && !self.in_interim() {
                        watch.end(clean);
                    }
                }
                Err((used, malformed)) => return Step { clean: clean + used, malformed: Some(malformed) },
            }
        }
    }

    /// Reads to the end of the part that `bytes` begin with, or as far as they go; 0 while that can't be told yet.
    fn part(&mut self, bytes: &[u8], watch: &mut impl Watch) -> Result<usize, (usize, Malformed)> {
        match &mut self.phase {
            Phase::Head(parser) => {
                if !self.side.may_speak() {
                    return Err((0, Malformed::Unsolicited));
                }
                let Some(head) = parser.feed(bytes, &self.limits).map_err(|malformed| (0, malformed))? else { return Ok(0) };
                self.phase = self.side.after(&head).map_err(|malformed| (0, malformed))?;
                watch.head(&head, bytes);
                Ok(head.len())
            }
            Phase::Length(left) => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                watch.data(bytes.get(..used).unwrap_or_default());
                *left -= used as u64;
                if *left == 0 {
                    self.phase = self.side.next_head();
                }
                Ok(used)
            }
            Phase::Chunked(chunked) => {
                let progress = chunked.advance(bytes, watch);
                if progress.result.map_err(|malformed| (progress.used, malformed))? == Done::LastChunk {
                    self.phase = self.side.trailers();
                }
                Ok(progress.used)
            }
            Phase::Trailers(parser) => {
                let Some(trailers) = parser.feed(bytes, &self.limits).map_err(|malformed| (0, malformed))? else {
                    return Ok(0);
                };
                self.phase = self.side.next_head();
                Ok(trailers.len())
            }
            Phase::Held => Ok(0),
            Phase::UntilClose | Phase::Raw => {
                watch.data(bytes);
                Ok(bytes.len())
            }
        }
    }

    /// Whether the stream may end here: between messages, or where its end is the message's.
    pub(crate) fn may_end(&self) -> bool {
        matches!(self.phase, Phase::Head(_) | Phase::UntilClose | Phase::Held | Phase::Raw)
    }

    /// Whether an error now is one of a head, not of a body.
    pub(crate) fn is_at_head(&self) -> bool {
        matches!(self.phase, Phase::Head(_))
    }

    /// Whether it waits for the answer to a wish for another protocol.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held)
    }

    /// The wish was granted.
    pub(crate) fn become_raw(&mut self) {
        self.phase = Phase::Raw;
    }

    /// The wish was not granted.
    pub(crate) fn resume(&mut self) {
        self.phase = self.side.next_head();
    }

    /// The limits it keeps.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The request side's handle.
    pub(super) fn verdict(&self) -> Option<&Arc<Verdict>> {
        match &self.side {
            Side::Requests(verdict) => Some(verdict),
            Side::Responses { .. } => None,
        }
    }

    /// The response side's handle.
    pub(super) fn expectation(&self) -> Option<&Expectation> {
        match &self.side {
            Side::Requests(_) => None,
            Side::Responses { expectation, .. } => Some(expectation),
        }
    }

    fn in_interim(&self) -> bool {
        matches!(self.side, Side::Responses { interim: 1.., .. })
    }
}

impl Side {
    fn may_speak(&self) -> bool {
        match self {
            Self::Requests(_) => true,
            Self::Responses { expectation, .. } => expectation.is_due(),
        }
    }

    fn next_head(&self) -> Phase {
        Phase::Head(Parser::new(match self {
            Self::Requests(_) => Shape::Request,
            Self::Responses { .. } => Shape::Response,
        }))
    }

    fn trailers(&self) -> Phase {
        Phase::Trailers(Parser::new(match self {
            Self::Requests(_) => Shape::RequestTrailers,
            Self::Responses { .. } => Shape::ResponseTrailers,
        }))
    }

    /// What follows `head` (RFC 9112 §6.3).
    fn after(&mut self, head: &Head) -> Result<Phase, Malformed> {
        match self {
            Self::Requests(verdict) => {
                verdict.released();
                if head.wants_upgrade() || head.is_connect() {
                    return Ok(Phase::Held);
                }
                Ok(self.body(head.declared(), self.next_head()))
            }
            Self::Responses { expectation, interim } => match head.status() {
                101 => {
                    switch(expectation, head)?;
                    Ok(Phase::Raw)
                }
                100..=199 => {
                    *interim += 1;
                    if *interim > INTERIM_RESPONSES { Err(Malformed::TooManyInterim) } else { Ok(self.next_head()) }
                }
                status => {
                    let empty = expectation.is_of_head() || matches!(status, 204 | 304);
                    expectation.answered();
                    *interim = 0;
                    let declared = if empty { Declared::Length(0) } else { head.declared() };
                    Ok(self.body(declared, Phase::UntilClose))
                }
            },
        }
    }

    fn body(&self, declared: Declared, undeclared: Phase) -> Phase {
        match declared {
            Declared::Length(0) => self.next_head(),
            Declared::Length(length) => Phase::Length(length),
            Declared::Chunked => Phase::Chunked(Chunked::new()),
            Declared::Nothing => undeclared,
        }
    }
}

/// A 101 must have been asked for, and has no body that could hide bytes of the new protocol.
fn switch(expectation: &Expectation, head: &Head) -> Result<(), Malformed> {
    if !expectation.is_of_upgrade() {
        return Err(Malformed::UnrequestedSwitch);
    }
    if !matches!(head.declared(), Declared::Nothing | Declared::Length(0)) {
        return Err(Malformed::UpgradeBody);
    }
    expectation.answered();
    Ok(())
}
