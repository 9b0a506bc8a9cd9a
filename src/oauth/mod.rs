//! Every grant as two pure functions: build the request, read the answer. Knows no network and no clock. Floor 1.

mod refresh;
mod reply;
mod verdict;

pub(crate) use refresh::{Authentication, Client, Encoding, TokenRequest, Unready, endpoint, request};
pub(crate) use reply::{REPLY_LIMIT, TokenReply, Tokens, read};
pub(crate) use verdict::Refused;
