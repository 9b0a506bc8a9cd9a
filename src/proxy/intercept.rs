//! CONNECT we open: the caller's TLS ends here, with a leaf certificate for the CONNECT host.

use std::rc::Rc;

use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use super::caller::{Caller, Intercepted, Prefixed};
use super::connect::Opened;
use super::door::Inside;
use super::hello::refuse_name;
use super::worker::Worker;
use crate::model::Host;
use crate::read_ahead::ReadAhead;

impl Worker {
    /// Ends the TLS on `stream`. A server name other than the CONNECT host is refused before any
    /// certificate is shown (threats 2 and 4).
    pub(super) async fn intercept(self: &Rc<Self>, stream: Prefixed<Caller>, mut inside: Box<Inside>) -> Option<Opened> {
        let accepting = async {
            let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), ReadAhead::new(stream));
            let mut start = acceptor.await.map_err(|_error| "not_tls")?;
            let hello = start.client_hello();
            let name = hello.server_name().map(Box::<str>::from);
            if !names(name.as_deref(), &inside.authority.host) {
                inside.sni = name;
                refuse_name(&mut start.io).await;
                return Err("sni_mismatch");
            }
            let config = self.proxy.issuer.load().server_config(&inside.authority.host, name.is_some());
            let config = config.map_err(|error| {
                tracing::warn!(%error, host = %inside.authority.host, "no leaf certificate");
                "no_certificate"
            })?;
            inside.sni = name;
            // A caller that breaks off here does not trust our CA: the log says so, since the caller seldom does.
            start.into_stream(config).await.map_err(|_error| "handshake_failed")
        };
        let outcome = timeout(self.proxy.settings.handshake_timeout, accepting).await;
        match outcome.unwrap_or(Err("handshake_late")) {
            Ok(stream) => Some(Opened::Tls(Intercepted::new(stream), inside)),
            Err(word) => {
                self.note_failed_handshake(&inside, word);
                None
            }
        }
    }

    fn note_failed_handshake(&self, inside: &Inside, word: &'static str) {
        let mut entry = self.failed(inside);
        if let Some(sni) = &inside.sni {
            entry.sni(sni.as_bytes());
        }
        if inside.refused.is_none() {
            entry.refusal("tls", 421);
        }
        entry.note(word);
    }
}

/// No server name is taken for the CONNECT host; an address is never named (RFC 6066 §3).
fn names(sni: Option<&str>, host: &Host) -> bool {
    let Some(sni) = sni else { return true };
    sni.parse::<Host>().is_ok_and(|named| named == *host)
}
