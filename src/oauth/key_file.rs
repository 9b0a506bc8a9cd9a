//! A service account's key file as Google lets one download it ("Using OAuth 2.0 for Server to Server Applications").

use serde::{Deserialize, Deserializer};

use super::request::Unready;
use crate::model::Secret;

/// What is needed of it. Where the assertion goes is not: its `token_uri` is only held against the one that was sealed.
#[derive(Debug)]
pub(crate) struct KeyFile {
    /// `iss`.
    pub(crate) client_email: Secret<String>,
    /// RSA, in PEM.
    pub(crate) private_key: Secret<String>,
    /// `kid`.
    pub(crate) private_key_id: Option<Secret<String>>,
}

#[derive(Deserialize)]
struct Raw {
    r#type: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    client_email: Option<Secret<String>>,
    #[serde(default, deserialize_with = "secret")]
    private_key: Option<Secret<String>>,
    #[serde(default, deserialize_with = "secret")]
    private_key_id: Option<Secret<String>>,
    token_uri: Option<String>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}

impl KeyFile {
    /// Reads `json`, which must name no other token endpoint than `token_url`: a file that somebody else wrote must not move the
    /// assertion to an endpoint of his.
    ///
    /// # Errors
    /// [`Unready::KeyFile`] and [`Unready::ForeignEndpoint`]; never with a value of the file.
    pub(crate) fn read(json: &Secret<String>, token_url: &str) -> Result<Self, Unready> {
        // The parser's own message may quote the key.
        let parsed = serde_json::from_str(json.expose());
        let raw: Raw = parsed.map_err(|_quotes: serde_json::Error| Unready::KeyFile("is not the JSON of a key"))?;
        if raw.r#type.as_deref().is_some_and(|kind| kind != "service_account") {
            return Err(Unready::KeyFile("belongs to another kind of account than a service account"));
        }
        if raw.token_uri.as_deref().is_some_and(|named| named != token_url) {
            return Err(Unready::ForeignEndpoint { expected: token_url.to_owned() });
        }
        let client_email = raw.client_email.filter(filled).ok_or(Unready::KeyFile("has no client_email"))?;
        let private_key = raw.private_key.filter(filled).ok_or(Unready::KeyFile("has no private_key"))?;
        Ok(Self { client_email, private_key, private_key_id: raw.private_key_id.filter(filled) })
    }
}

fn filled(text: &Secret<String>) -> bool {
    !text.matches("")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "https://oauth2.googleapis.com/token";

    fn file(change: impl FnOnce(&mut serde_json::Value)) -> Result<KeyFile, Unready> {
        let mut file = serde_json::json!({
            "type": "service_account", "project_id": "p", "private_key_id": "the-key-id", "private_key": "hunter2-pem",
            "client_email": "robot@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": URL,
            "auth_uri": "https://accounts.google.com/o/oauth2/auth", "universe_domain": "googleapis.com",
        });
        change(&mut file);
        KeyFile::read(&Secret::new(file.to_string()), URL)
    }

    #[test]
    fn a_downloaded_file_is_read() {
        let read = file(|_| ()).expect("a key file");
        assert!(read.client_email.matches("robot@p.iam.gserviceaccount.com") && read.private_key.matches("hunter2-pem"));
        assert!(read.private_key_id.expect("an id").matches("the-key-id"));
        assert!(file(|file| drop(file.as_object_mut().expect("an object").remove("token_uri"))).is_ok());
    }

    #[test]
    fn i2_a_key_file_cannot_move_its_assertion_elsewhere() {
        for uri in
            ["https://evil.example/token", "", "http://oauth2.googleapis.com/token", "https://oauth2.googleapis.com/token/"]
        {
            let error = file(|file| file["token_uri"] = uri.into()).expect_err("another endpoint");
            assert!(matches!(error, Unready::ForeignEndpoint { .. }), "{uri}: {error:?}");
            assert!(!error.to_string().contains("evil"), "{error}");
        }
    }

    #[test]
    fn i1_a_file_that_is_none_is_told_without_a_word_of_it() {
        let changes: [fn(&mut serde_json::Value); 5] = [
            |file| file["type"] = "authorized_user".into(),
            |file| file["client_email"] = "".into(),
            |file| file["private_key"] = serde_json::Value::Null,
            |file| file["private_key"] = 7.into(),
            |file| *file = serde_json::json!(["hunter2"]),
        ];
        for change in changes {
            let error = file(change).expect_err("no key file");
            assert!(matches!(error, Unready::KeyFile(_)), "{error:?}");
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
        }
        let error = KeyFile::read(&Secret::new("hunter2".to_owned()), URL).expect_err("no JSON");
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
    }

    proptest! {
        #[test]
        fn i7_no_text_panics_the_reader(text in "\\PC{0,200}", cut in 0usize..300) {
            prop_assert!(KeyFile::read(&Secret::new(text), URL).is_err());
            let whole = serde_json::json!({ "type": "service_account", "client_email": "a", "private_key": "b", "token_uri": URL });
            let whole = whole.to_string();
            let read = KeyFile::read(&Secret::new(whole.get(..cut).unwrap_or(&whole).to_owned()), URL);
            prop_assert_eq!(read.is_ok(), cut >= whole.len());
        }
    }
}
