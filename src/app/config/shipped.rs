//! The values as shipped; `config/nexus.example.toml` names each, and a test holds the two against each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytesize::ByteSize;

use super::{
    Approvals, Attention, Audit, Ca, ClientAuth, Fsync, Gateway, Guard, GuardMode, GuardScope, Keyless, Limits, LogIns, Mints,
    Mode, OnFailure, Proxy, Renewal, Replay, Telemetry, Time, Unmatched, Upstream,
};

impl Default for Proxy {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8091))],
            agent_listen: BTreeMap::new(),
            agent_listen_any_user: false,
            unix_listen: Vec::new(),
            unix_mode: Mode::default(),
            peer: Vec::new(),
            client_ca: None,
            client_crl: None,
            client_auth: ClientAuth::Optional,
            client_certificate: Vec::new(),
            unmatched: Unmatched::Tunnel,
            unregistered: None,
            log_ins: LogIns::Capture,
            mints: Mints::Refuse,
            names: Vec::new(),
            connect_ports: Vec::new(),
            workers: 0,
        }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self { mode: GuardMode::Scrub, scope: GuardScope::Request }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            extra_roots: Vec::new(),
            allow_private: Vec::new(),
            resolve: BTreeMap::new(),
            proxy: None,
            proxy_auth_file: None,
            proxy_except: Vec::new(),
            http2: true,
            connect_timeout_secs: 10,
            handshake_timeout_secs: 10,
            head_timeout_secs: 60,
            idle_timeout_secs: 300,
            pool_idle_timeout_secs: 60,
            pool_idle_per_host: 512,
        }
    }
}

impl Default for Replay {
    fn default() -> Self {
        Self { memory: ByteSize::mib(1), expect_timeout_millis: 300 }
    }
}

impl Default for Renewal {
    fn default() -> Self {
        Self {
            ahead_secs: 60,
            timeout_secs: 20,
            ahead_wait_secs: 2,
            wait_secs: 40,
            lock_wait_secs: 15,
            waiters: 8192,
            trial_secs: 60,
            trial_limit_secs: 3600,
            burst: 5,
            refill_secs: 60,
            pause_secs: 5,
            pause_limit_secs: 300,
            connections: 4096,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            agent_connections: 10_000,
            agent_requests: 10_000,
            agent_lookups: 16,
            unknown_names_per_minute: 300,
            http2_streams: 100,
            head_timeout_secs: 30,
            handshake_timeout_secs: 10,
            keep_alive_secs: 300,
            upload_grace_secs: 300,
            content: ByteSize::mib(16),
            upload_rate: ByteSize::b(128),
            drain_secs: 30,
            head_size: ByteSize::kib(64),
            head_fields: 100,
            target_size: ByteSize::kib(16),
            wrong_tokens_per_minute: 30,
            pending_log_ins: 8,
            pending_log_in_hours: 24,
            leases: 10_000,
            agent_leases: 1000,
            lease_secs: 24 * 60 * 60,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::Refuse,
            fsync: Fsync::Interval,
            fsync_secs: 5,
            head_secs: 60,
            segment: ByteSize::mib(64),
            segment_hours: 24,
            compress: true,
            index: true,
            spool: ByteSize::gib(1),
            spool_file: ByteSize::mib(8),
            keep_segments: 0,
            keep_size: ByteSize::b(0),
            keep_days: 0,
            stranger_lines_per_minute: 120,
            line: ByteSize::kib(8),
            linger_millis: 50,
            poll_millis: 100,
        }
    }
}

impl Default for Ca {
    fn default() -> Self {
        Self { cache_hosts: 1000, overlap_days: 30 }
    }
}

impl Default for Attention {
    fn default() -> Self {
        Self { hold: Time::ZERO, hold_limit: 256, agent_hold_limit: 32, webhook: None, webhook_secret_file: None }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp: None, otlp_headers_file: None, sample: 1.0 }
    }
}

impl Default for Approvals {
    fn default() -> Self {
        Self { hold_limit: 256, agent_hold_limit: 32 }
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            names: Vec::new(),
            url: None,
            return_urls: vec!["http://localhost:8000/oauth/callback".to_owned()],
            tls_cert: None,
            tls_key: None,
            plain_http: false,
            keyless: Keyless::Register,
            connections: 1000,
            address_connections: 250,
            wrong_keys_per_minute: 30,
            session_idle_secs: 1800,
            session_secs: 43_200,
            grace_secs: 3600,
        }
    }
}
