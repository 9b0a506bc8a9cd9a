//! What the operator says about hosts that have no rule, no credential or an unusual port.

/// What happens to hosts that no provider names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmatched {
    /// Bytes pass untouched.
    Tunnel,
    /// TLS is ended here and begun anew; nothing is injected.
    Intercept,
    /// No way out.
    Refuse,
}

/// What happens at a provider's host that has no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unregistered {
    /// What the caller sent goes on.
    Pass,
    /// `auth_required` at once.
    Refuse,
}

/// What happens to a caller's own log-in at a provider's token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogIns {
    /// Its token becomes a connection that waits for approval; the caller gets a placeholder.
    Capture,
    /// It is a request like others.
    Pass,
    /// No way out.
    Refuse,
}

/// What happens to a caller's request for a new credential, where the provider's file says how its answer is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mints {
    /// No way out.
    Refuse,
    /// The credential becomes a connection that waits for approval; the caller gets a placeholder.
    Capture,
}

/// What happens where a placeholder is seen that does not belong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCanary {
    /// The request goes on, and somebody is told.
    Alarm,
    /// It is refused as well.
    Refuse,
    /// And its agent gets nothing more until a person thaws it.
    Freeze,
}

impl OnCanary {
    /// As it is written.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Refuse => "refuse",
            Self::Freeze => "freeze",
        }
    }
}

/// What `decide` is told besides the catalogue.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) unmatched: Unmatched,
    pub(crate) unregistered: Unregistered,
    /// Ports besides 80 and 443 that CONNECT may name.
    pub(crate) connect_ports: Vec<u16>,
    /// `[policy] default`: false = what no provider's rule names by host and path is refused.
    pub(crate) allow: bool,
    pub(crate) log_ins: LogIns,
    pub(crate) mints: Mints,
    pub(crate) on_canary: OnCanary,
}
