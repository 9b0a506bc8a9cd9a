//! Every grant as two pure functions: build the request, read the answer; and what callers ask for themselves. Knows no network and no clock. Floor 1.

mod asked;
mod assertion;
mod assume_role;
mod authorization;
mod cleaned;
mod device;
mod encoding;
mod granted;
mod id_token;
mod issuer;
mod key_file;
mod minted;
mod port;
mod reply;
mod request;
mod revocation;
mod shown;
mod verdict;

pub(crate) use asked::{Asked, AskedAbout, AskedGrant, InvalidRequest, read_about, read_request};
pub(crate) use assertion::{Assertion, KeyForm, Life, random_id, sign};
pub(crate) use assume_role::{Role, RoleKeys, assume_role, read_role};
pub(crate) use authorization::{Authorization, Callback, Code, Consent, Denied, Strange, Unguessable};
pub(crate) use cleaned::StandIns;
pub(crate) use device::{Device, Poll, SLOWER, ask_device, read_device, read_poll};
pub(crate) use encoding::Encoding;
pub(crate) use granted::{GRANTED_LIMIT, Granted, Login, Odd, mentions_token, read_granted};
pub(crate) use id_token::{Expected, Person, Unacceptable, read_id_token};
pub(crate) use issuer::Issuer;
pub(crate) use key_file::KeyFile;
pub(crate) use minted::{NewKey, OddKey, Place, read_new_key};
pub(crate) use port::{BoxFuture, Cause, TokenEndpoint};
pub(crate) use reply::{REPLY_LIMIT, TokenReply, Tokens, read, read_installation};
pub(crate) use request::{Authentication, Client, TokenRequest, Unready, bearing, endpoint, grant, grant_by_get, refresh};
pub(crate) use revocation::{TokenKind, read_revocation, revoke};
pub use shown::shown;
pub(crate) use verdict::Refused;
