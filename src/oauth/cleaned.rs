//! JSON of a token endpoint without credentials: what is called one, what looks like one, and what nobody knows and is long, is replaced.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::granted::wipe;

/// What stands for what was taken out.
pub(crate) struct StandIns<'a> {
    /// For access tokens.
    pub(crate) access_token: &'a str,
    /// For refresh tokens.
    pub(crate) refresh_token: &'a str,
    /// For all else.
    pub(crate) other: &'a str,
    /// For the signature of a JSON Web Token, by the `alg` of its head (RFC 7515 §4.1.1).
    pub(crate) signature: &'a dyn Fn(&str) -> String,
}

/// Takes credentials out, and remembers which.
pub(super) struct Cleaner<'a> {
    stand_ins: &'a StandIns<'a>,
    /// What it took out; what is a credential for certain must be nowhere else.
    pub(super) taken: Vec<Zeroizing<String>>,
    pub(super) certain: Vec<Zeroizing<String>>,
    /// In the claims of a token nothing is replaced: what is doubtful is left out.
    claims: bool,
}

/// Objects in objects.
const MAX_DEPTH: usize = 8;
/// A word of an unknown member that is as long may be a credential.
const LONG: usize = 16;
/// Names and addresses are no longer.
const MAX_KNOWN: usize = 8 * 1024;

/// Members that are no credential, whatever their length (RFC 6749 §5.1, RFC 8693 §2.2.1, RFC 7519 §4.1, OpenID Connect Core §2 and §5.1;
/// `type` and `object` are what JSON:API and its like call the kind of a thing, which clients compare).
const KNOWN: [&str; 32] = [
    "acr",
    "amr",
    "app_id",
    "aud",
    "azp",
    "client_id",
    "display_name",
    "email",
    "family_name",
    "given_name",
    "id",
    "instance_url",
    "iss",
    "issued_token_type",
    "locale",
    "login",
    "name",
    "nonce",
    "object",
    "oid",
    "preferred_username",
    "scope",
    "scopes",
    "sub",
    "team_name",
    "tid",
    "token_type",
    "type",
    "upn",
    "username",
    "ver",
    "zoneinfo",
];

/// Whatever has one of these in its name is a credential.
const SECRET: [&str; 14] = [
    "token",
    "secret",
    "key",
    "passw",
    "session",
    "cookie",
    "ticket",
    "assertion",
    "credential",
    "jwt",
    "signature",
    "authorization",
    "webhook",
    "hash",
];

/// And what is called so.
const SECRET_NAMES: [&str; 5] = ["code", "device_code", "pwd", "sid", "otp"];

/// Whether a member of this name is a token.
pub(super) fn is_token_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("token") || name.ends_with("jwt")
}

impl<'a> Cleaner<'a> {
    pub(super) fn new(stand_ins: &'a StandIns<'a>) -> Self {
        Self { stand_ins, taken: Vec::new(), certain: Vec::new(), claims: false }
    }

    /// The members that may be shown, the others replaced or left out.
    pub(super) fn object(&mut self, members: &Map<String, Value>, depth: usize) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in members.iter().filter(|(name, _)| is_plain_name(name)) {
            kept.extend(self.value(name, value, depth).map(|value| (name.clone(), value)));
        }
        kept
    }

    fn value(&mut self, name: &str, value: &Value, depth: usize) -> Option<Value> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.clone()),
            Value::String(text) if is_harmless(name, text) => Some(value.clone()),
            Value::String(text) => self.replaced(name, text).map(Value::String),
            Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => None,
            Value::Array(items) => Some(items.iter().filter_map(|item| self.value(name, item, depth + 1)).collect()),
            Value::Object(members) => Some(Value::Object(self.object(members, depth + 1))),
        }
    }

    fn replaced(&mut self, name: &str, text: &str) -> Option<String> {
        let into = if is_secret_name(&name.to_ascii_lowercase()) { &mut self.certain } else { &mut self.taken };
        into.push(Zeroizing::new(text.to_owned()));
        if self.claims {
            return None;
        }
        let stand_ins = self.stand_ins;
        Some(match name {
            "access_token" => stand_ins.access_token.to_owned(),
            "refresh_token" => stand_ins.refresh_token.to_owned(),
            "id_token" => self.identity(text).unwrap_or_else(|| stand_ins.other.to_owned()),
            "client_info" => self.account(text).unwrap_or_else(|| stand_ins.other.to_owned()),
            _ => stand_ins.other.to_owned(),
        })
    }

    /// An ID token (OpenID Connect Core §2) that says the same of the person, and that no key signed.
    fn identity(&mut self, token: &str) -> Option<String> {
        let mut parts = token.split('.');
        let (head, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        self.certain.push(Zeroizing::new(signature.to_owned()));
        let head = decoded(head)?;
        let algorithm =
            head.get("alg").and_then(Value::as_str).filter(|word| KNOWN_ALGORITHMS.contains(word)).unwrap_or("RS256");
        let claims = self.claims(decoded(claims)?);
        let head = encoded(&json!({ "alg": algorithm, "typ": "JWT", "kid": "placeholder" }));
        Some(format!("{head}.{claims}.{}", (self.stand_ins.signature)(algorithm)))
    }

    /// Microsoft's `client_info`: which account it is, by two ids in encoded JSON. MSAL does not start without it.
    fn account(&mut self, text: &str) -> Option<String> {
        decoded(text.trim_end_matches('=')).map(|claims| self.claims(claims))
    }

    /// What of `claims` may be shown, encoded.
    fn claims(&mut self, claims: Map<String, Value>) -> String {
        self.claims = true;
        let kept = self.object(&claims, 0);
        self.claims = false;
        wipe(&mut Value::Object(claims));
        encoded(&Value::Object(kept))
    }
}

/// A part of a JSON Web Token (RFC 7515 §3.1).
fn decoded(part: &str) -> Option<Map<String, Value>> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(part).ok()?);
    serde_json::from_slice(&bytes).ok()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Those that there is a stand-in for.
const KNOWN_ALGORITHMS: [&str; 3] = ["RS256", "ES256", "HS256"];

/// A name may be one of the service's own making; a long one could be a credential.
fn is_plain_name(name: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.');
    (name.len() <= 48 && name.bytes().all(letters)) || is_plain(name, LONG)
}

/// Whether the text of a member may be shown.
fn is_harmless(name: &str, text: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if text.is_empty() {
        return true;
    }
    if KNOWN.contains(&name.as_str()) {
        let address = text.contains("://") && !scopes(&name) && text.contains(['?', '@', '#']);
        return text.len() <= MAX_KNOWN && !address && !looks_signed(text);
    }
    if is_secret_name(&name) {
        let lifetime = name.contains("expire") && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        return lifetime || is_time(text);
    }
    let names = name.ends_with("id") || name.ends_with("ids");
    let address = name.ends_with("email") && text.len() <= 320 && text.matches('@').count() == 1;
    is_time(text) || is_plain(text, LONG) || address || (names && is_identifier(text))
}

fn scopes(name: &str) -> bool {
    matches!(name, "scope" | "scopes")
}

fn is_secret_name(name: &str) -> bool {
    SECRET_NAMES.contains(&name) || SECRET.iter().any(|word| name.contains(word))
}

fn is_time(text: &str) -> bool {
    text.len() <= 64 && (text.parse::<Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok())
}

/// `003x000000XyZ12AAF`, `T0123ABCD`, a UUID (RFC 9562): no service makes a credential so short.
fn is_identifier(text: &str) -> bool {
    let uuid = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    uuid || (text.len() <= 24
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':')))
}

/// Whether it could be a JSON Web Token, whoever calls it what.
fn looks_signed(text: &str) -> bool {
    text.split_whitespace().any(|word| word.starts_with("eyJ") && word.matches('.').count() >= 2)
}

/// Text whose every word is shorter than `long`, or an address without query and user whose every segment is.
fn is_plain(text: &str, long: usize) -> bool {
    let address = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match address {
        Some(rest) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let short = |segment: &str| segment.len() < long;
            !rest.contains(['?', '#', '@'])
                && host.len() <= 253
                && host.split('.').all(|label| label.len() < 40)
                && path.split('/').all(short)
        }
        None => {
            text.split(|letter: char| letter.is_whitespace() || ",;()'\"&|".contains(letter)).all(|word| is_short(word, long))
        }
    }
}

/// Short, or a name of the domain name system of short labels.
fn is_short(word: &str, long: usize) -> bool {
    let labels = || word.split('.').all(|label| (1..long).contains(&label.len()));
    let ending = || word.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_lowercase()));
    word.len() < long || (word.contains('.') && word.len() <= 64 && labels() && ending())
}
