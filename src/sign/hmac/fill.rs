//! Filling a template for one request.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::super::Unsigned;
use super::super::text::{escape, parameters, unescape_form};
use super::Error;
use super::template::{Hole, Piece, Template};
use crate::model::Credential;

/// What holes are filled with.
#[derive(Clone, Copy)]
pub(super) struct Filling<'a> {
    pub(super) credential: &'a Credential,
    pub(super) nonce: &'a str,
    pub(super) timestamp: &'a str,
    /// Once there is one.
    pub(super) signature: Option<&'a str>,
    /// The request, and path and query as they will be sent, for what is signed.
    pub(super) request: Option<(&'a Unsigned<'a>, &'a str)>,
}

impl Filling<'_> {
    /// The text, each hole filled.
    pub(super) fn fill(&self, template: &Template) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut text = Zeroizing::new(Vec::with_capacity(512));
        for piece in &template.0 {
            match piece {
                Piece::Text(literal) => text.extend_from_slice(literal.as_bytes()),
                Piece::Hole(hole) => self.append(hole, &mut text)?,
            }
        }
        Ok(text)
    }

    fn append(&self, hole: &Hole, text: &mut Zeroizing<Vec<u8>>) -> Result<(), Error> {
        match hole {
            Hole::Field(name) => {
                let field = self.credential.field(name).ok_or_else(|| unfilled(hole))?;
                if field.has_control() {
                    return Err(Error::Control(name.clone()));
                }
                text.extend_from_slice(field.expose().as_bytes());
            }
            Hole::Nonce if self.nonce.is_empty() => return Err(unfilled(hole)),
            Hole::Nonce if self.nonce.contains(char::is_control) => return Err(Error::Control("nonce".into())),
            Hole::Nonce => text.extend_from_slice(self.nonce.as_bytes()),
            Hole::Timestamp => text.extend_from_slice(self.timestamp.as_bytes()),
            Hole::Signature => {
                text.extend_from_slice(self.signature.ok_or_else(|| unfilled(hole))?.as_bytes());
            }
            _ => return self.append_part(hole, text),
        }
        Ok(())
    }

    /// A part of the request. Its bytes hold no line end of their own, the body's apart: a head that was parsed has none.
    fn append_part(&self, hole: &Hole, text: &mut Zeroizing<Vec<u8>>) -> Result<(), Error> {
        let Some((request, target)) = self.request else { return Err(unfilled(hole)) };
        let query = target.split_once('?').map_or("", |(_, query)| query);
        match hole {
            Hole::Method => text.extend_from_slice(request.method.as_str().as_bytes()),
            Hole::Host => text.extend_from_slice(request.host.as_bytes()),
            Hole::Path => text.extend_from_slice(request.target.path().as_bytes()),
            Hole::Query => text.extend_from_slice(query.as_bytes()),
            Hole::SortedQuery => text.extend_from_slice(sorted(query).as_bytes()),
            Hole::PathAndQuery => text.extend_from_slice(target.as_bytes()),
            Hole::Body => text.extend_from_slice(request.body.ok_or(Error::NoBody)?),
            Hole::BodySha256Hex => {
                let hash = Sha256::digest(request.body.ok_or(Error::NoBody)?);
                text.extend_from_slice(HEXLOWER.encode(&hash).as_bytes());
            }
            Hole::Timestamp | Hole::Nonce | Hole::Signature | Hole::Field(_) => {}
        }
        Ok(())
    }
}

fn unfilled(hole: &Hole) -> Error {
    Error::Unfilled(hole.name().into())
}

/// Sorted by decoded name, then value; each encoded anew.
fn sorted(query: &str) -> Zeroizing<String> {
    let decode = |(name, value)| (unescape_form(name), unescape_form(value));
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = parameters(query.as_bytes()).map(decode).collect();
    pairs.sort();
    let pieces: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    Zeroizing::new(pieces.join("&"))
}
