//! Every grant as two pure functions: build the request, read the answer. Knows no network and no clock. Floor 1.

mod assertion;
mod key_file;
mod reply;
mod request;
mod verdict;

pub(crate) use assertion::{Assertion, KeyForm, Life, random_id, sign};
pub(crate) use key_file::KeyFile;
pub(crate) use reply::{REPLY_LIMIT, TokenReply, Tokens, read, read_installation};
pub(crate) use request::{
    Authentication, Client, Encoding, TokenRequest, Unready, bearing, endpoint, grant, grant_by_get, refresh,
};
pub(crate) use verdict::Refused;
