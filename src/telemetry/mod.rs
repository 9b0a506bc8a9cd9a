//! Numbers of the data plane: one recorder per worker, and the text that a monitoring system reads them in. Floor 0.

mod exposition;
mod histogram;
mod recorder;
mod series;
mod sources;

pub(crate) use exposition::{Exposition, Kind, Style};
pub(crate) use recorder::{Ended, Recorder, Way};
pub(crate) use series::Method;
pub(crate) use sources::Telemetry;
