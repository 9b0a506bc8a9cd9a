//! The body of a service's response, however it is read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::direct::{self, Reading};

/// Why a response body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the engine gave it up")]
    Engine(#[from] hyper::Error),
    #[error("its connection gave it up")]
    Direct(#[from] direct::Error),
}

/// A response body that arrives.
pub(crate) enum Received<B: Body + 'static> {
    /// From the engine's task.
    Engine(Incoming),
    /// Read off the connection.
    Direct(Reading<B>),
}

impl<B: Body + 'static> Received<B> {
    /// Does not use the connection again, as far as that is up to the body.
    pub(crate) fn retire(&mut self) {
        if let Self::Direct(reading) = self {
            reading.retire();
        }
    }
}

impl<B: Body + 'static> Body for Received<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(match self.get_mut() {
            Self::Engine(incoming) => ready!(Pin::new(incoming).poll_frame(context)).map(|frame| Ok(frame?)),
            Self::Direct(reading) => ready!(Pin::new(reading).poll_frame(context)).map(|frame| Ok(frame?)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Engine(incoming) => incoming.is_end_stream(),
            Self::Direct(reading) => reading.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Engine(incoming) => incoming.size_hint(),
            Self::Direct(reading) => reading.size_hint(),
        }
    }
}
