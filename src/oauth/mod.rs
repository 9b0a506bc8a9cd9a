//! Every grant as two pure functions: build the request, read the answer; and what callers ask for themselves. Knows no network and no clock. Floor 1.

mod asked;
mod assertion;
mod assume_role;
mod cleaned;
mod encoding;
mod granted;
mod key_file;
mod minted;
mod reply;
mod request;
mod verdict;

pub(crate) use asked::{Asked, AskedAbout, AskedGrant, InvalidRequest, read_about, read_request};
pub(crate) use assertion::{Assertion, KeyForm, Life, random_id, sign};
pub(crate) use assume_role::{Role, RoleKeys, assume_role, read_role};
pub(crate) use cleaned::StandIns;
pub(crate) use encoding::Encoding;
pub(crate) use granted::{GRANTED_LIMIT, Granted, Login, Odd, mentions_token, read_granted};
pub(crate) use key_file::KeyFile;
pub(crate) use minted::{NewKey, OddKey, Place, read_new_key};
pub(crate) use reply::{REPLY_LIMIT, TokenReply, Tokens, read, read_installation};
pub(crate) use request::{Authentication, Client, TokenRequest, Unready, bearing, endpoint, grant, grant_by_get, refresh};
pub(crate) use verdict::Refused;
