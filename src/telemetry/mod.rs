//! Numbers and traces of the data plane: one recorder per worker, the text that a monitoring system reads, spans for a collector. Floor 0.

mod exposition;
mod histogram;
mod recorder;
mod series;
mod sources;
mod trace;

pub(crate) use exposition::{Exposition, Kind, Style};
pub(crate) use recorder::{Ended, Recorder, Way};
pub(crate) use series::Method;
pub(crate) use sources::Telemetry;
pub(crate) use trace::{Span, Traces};
