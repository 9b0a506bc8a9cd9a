//! What a service answers to a request for a new credential: it is taken out, a worthless one put in, and whatever else could be one with
//! it. Pure.

use http::HeaderValue;
use serde_json::{Map, Value};

use super::cleaned::{Cleaner, StandIns};
use super::granted::{SHORTEST, texts, wipe};
use super::reply::{is_json, is_token};
use crate::model::Secret;

/// Why a credential can't be taken out of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OddKey {
    /// No JSON object.
    #[error("it is no JSON object")]
    Format,
    /// The service has another answer than the provider's file says.
    #[error("it has no text for {0} where the provider's file says, or one that no request could carry")]
    Missing(String),
    /// It, or the one that it was made with, would still be in what the caller gets.
    #[error("a credential is in it where nobody expects one")]
    Repeated,
}

/// A field of the connection and where it stands in the answer: names of members, numbers of items.
pub(crate) struct Place<'a> {
    pub(crate) field: &'a str,
    pub(crate) names: &'a [Box<str>],
    /// What the caller gets in its place; `None` for what is no secret, and stays.
    pub(crate) stand_in: Option<String>,
}

/// What was taken out, wiped when it goes. It has no `Debug`: all of it may be secret.
pub(crate) struct NewKey {
    pub(crate) fields: Vec<(String, Secret<String>)>,
    document: Value,
}

impl Drop for NewKey {
    fn drop(&mut self) {
        wipe(&mut self.document);
    }
}

/// Reads the answer, which was decoded already. `None` for one that has no body at all.
///
/// # Errors
/// As [`OddKey`] says: then it is not for the caller.
pub(crate) fn read_new_key(kind: Option<&HeaderValue>, body: &[u8], places: &[Place<'_>]) -> Result<Option<NewKey>, OddKey> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let members: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    let document = members.filter(|_| kind.is_none_or(is_json)).map(Value::Object).ok_or(OddKey::Format)?;
    let mut key = NewKey { fields: Vec::new(), document };
    for place in places {
        let text = at(&key.document, place.names).and_then(Value::as_str).map(|text| Secret::new(text.to_owned()));
        let text = text.filter(is_token).ok_or_else(|| OddKey::Missing(place.field.to_owned()))?;
        key.fields.push((place.field.to_owned(), text));
    }
    Ok(Some(key))
}

impl NewKey {
    /// What the caller gets: the same members, but nothing of worth in them. What `shows` names stays, `other` stands for what looks like
    /// a credential.
    ///
    /// # Errors
    /// [`OddKey::Repeated`] where a credential that was taken out, or one of `used`, would still be there.
    pub(crate) fn answer(
        &self,
        places: &[Place<'_>],
        (shows, other): (&[&[Box<str>]], &str),
        used: &[&Secret<String>],
    ) -> Result<String, OddKey> {
        let Value::Object(members) = &self.document else { return Err(OddKey::Format) };
        let stand_ins =
            StandIns { access_token: other, refresh_token: other, other, signature: &|_algorithm| other.to_owned() };
        let mut cleaner = Cleaner::new(&stand_ins);
        let mut cleaned = Value::Object(cleaner.object(members, 0));
        for place in places {
            let value = match &place.stand_in {
                Some(stand_in) => Value::from(stand_in.as_str()),
                None => at(&self.document, place.names).cloned().unwrap_or_default(),
            };
            *at_mut(&mut cleaned, place.names).ok_or(OddKey::Format)? = value;
        }
        for names in shows {
            let shown = at(&self.document, names).filter(|value| !value.is_object() && !value.is_array());
            if let Some((place, shown)) = at_mut(&mut cleaned, names).zip(shown) {
                *place = shown.clone();
            }
        }
        let Value::Object(cleaned) = cleaned else { return Err(OddKey::Format) };
        let taken = |name: &str| places.iter().any(|place| place.field == name && place.stand_in.is_some());
        let own = self.fields.iter().filter(|(name, _)| taken(name)).map(|(_name, value)| value);
        let mut secrets = own.chain(used.iter().copied());
        if secrets.any(|secret| texts(&cleaned).any(|text| holds(text, secret.expose()))) {
            return Err(OddKey::Repeated);
        }
        Ok(Value::Object(cleaned).to_string())
    }
}

/// A short one would be found in innocent text.
fn holds(text: &str, secret: &str) -> bool {
    if secret.len() < SHORTEST { text == secret } else { text.contains(secret) }
}

fn at<'v>(value: &'v Value, names: &[Box<str>]) -> Option<&'v Value> {
    names.iter().try_fold(value, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        value => value.get(&**name),
    })
}

fn at_mut<'v>(value: &'v mut Value, names: &[Box<str>]) -> Option<&'v mut Value> {
    names.iter().try_fold(value, |value, name| match value {
        Value::Array(items) => items.get_mut(name.parse::<usize>().ok()?),
        value => value.get_mut(&**name),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "SG.their-new-key-0123456789abcdef";

    fn names(path: &str) -> Vec<Box<str>> {
        path.split('/').map(Into::into).collect()
    }

    fn kind() -> HeaderValue {
        HeaderValue::from_static("application/json; charset=utf-8")
    }

    /// What is captured at `path`, and what the caller gets, where `shows` stays.
    fn taken(answer: &Value, path: &str, shows: &[&str]) -> Result<(String, Value), OddKey> {
        let (path, shows) = (names(path), shows.iter().map(|shown| names(shown)).collect::<Vec<_>>());
        let places = [Place { field: "api_key", names: &path, stand_in: Some("SG.placeholder".to_owned()) }];
        let key = read_new_key(Some(&kind()), answer.to_string().as_bytes(), &places)?.expect("a body");
        let used = Secret::new("the-one-it-was-made-with".to_owned());
        let text = key.answer(&places, (&shows.iter().map(Vec::as_slice).collect::<Vec<_>>(), "other"), &[&used])?;
        Ok((key.fields[0].1.expose().clone(), serde_json::from_str(&text).expect("JSON")))
    }

    #[test]
    fn the_key_is_taken_out_and_what_is_shown_stays() {
        let answer =
            json!({ "api_key": KEY, "api_key_id": "aBcDeFgHiJkLmNoPqRsTuV", "name": "Mine", "scopes": ["mail.send"], "n": 7 });
        let wanted = |id: &str| json!({ "api_key": "SG.placeholder", "api_key_id": id, "name": "Mine", "scopes": ["mail.send"], "n": 7 });
        assert_eq!(taken(&answer, "api_key", &["api_key_id"]), Ok((KEY.to_owned(), wanted("aBcDeFgHiJkLmNoPqRsTuV"))));
        assert_eq!(taken(&answer, "api_key", &[]), Ok((KEY.to_owned(), wanted("other"))));
        let nested = json!({ "result": [{ "value": KEY, "id": "x" }], "success": true });
        let wanted = json!({ "result": [{ "value": "SG.placeholder", "id": "x" }], "success": true });
        assert_eq!(taken(&nested, "result/0/value", &[]), Ok((KEY.to_owned(), wanted)));
    }

    #[test]
    fn i1_what_would_leave_the_key_in_the_answer_is_refused() {
        for repeated in [
            json!({ "key": KEY, "name": KEY }),
            json!({ "key": KEY, "id": KEY, "note": "x" }),
            json!({ "key": KEY, "scope": format!("a {KEY}") }),
            json!({ "key": KEY, "name": "x the-one-it-was-made-with" }),
        ] {
            assert_eq!(taken(&repeated, "key", &["id"]), Err(OddKey::Repeated), "{repeated}");
        }
        // One that nothing shows is replaced wherever it is.
        let twice = json!({ "key": KEY, "curl": format!("curl -H 'X: {KEY}'"), "list": [KEY] });
        let (_, shown) = taken(&twice, "key", &[]).expect("an answer");
        assert!(!shown.to_string().contains("their-new"), "{shown}");
        let named = json!({ "key": KEY, KEY: true });
        assert!(taken(&named, "key", &[]).is_ok_and(|(_, shown)| !shown.to_string().contains("their-new")));
    }

    #[test]
    fn an_answer_of_another_shape_is_refused_and_an_empty_one_is_none() {
        let missing = || OddKey::Missing("api_key".to_owned());
        for answer in [json!({}), json!({ "key": "" }), json!({ "key": 7 }), json!({ "key": "a b" }), json!({ "keys": [KEY] })]
        {
            assert_eq!(taken(&answer, "key", &[]), Err(missing()), "{answer}");
        }
        let places = [Place { field: "api_key", names: &names("key"), stand_in: None }];
        let read = |kind: &'static str, body: &str| {
            read_new_key(Some(&HeaderValue::from_static(kind)), body.as_bytes(), &places).map(|key| key.is_some())
        };
        assert_eq!(read("application/json", "  "), Ok(false));
        assert_eq!(read("application/json", &format!("{{\"key\":\"{KEY}\"}}")), Ok(true));
        for (kind, body) in [
            ("application/json", format!("[\"{KEY}\"]")),
            ("text/html", format!("{{\"key\":\"{KEY}\"}}")),
            ("", KEY.to_owned()),
        ] {
            assert_eq!(read(kind, &body), Err(OddKey::Format), "{kind} {body}");
        }
    }
}
