//! Rules compiled into one snapshot, and `decide`: pure, the same for the exchange and for `nexus explain`. Floor 2.

mod snapshot;

pub(crate) use snapshot::{Connect, ConnectRefusal, Named, Reason, Route, Rules, Settings, Unmatched, Unregistered};
