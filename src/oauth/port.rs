//! The way to token endpoints, as those see it who ask them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::reply::TokenReply;
use super::request::TokenRequest;

/// A boxed future, so that the trait below can be a trait object.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What went wrong in a place that is known only by its trait; shared by all who waited.
pub(crate) type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Sends a request to a token endpoint over verified TLS.
pub(crate) trait TokenEndpoint: Send + Sync + 'static {
    /// Sends once, follows no redirect, reads at most [`super::REPLY_LIMIT`] bytes and one more.
    fn send(&self, request: TokenRequest) -> BoxFuture<'_, Result<TokenReply, Cause>>;
}
