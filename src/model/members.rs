//! `Members`: a JSON object (RFC 8259 §4) one level deep, as it was written.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object in their order, equal names and all, their values untouched in the text they were read from. It has no
/// `Debug`: a value may be a secret.
pub(crate) struct Members<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, &str)>> {
        let Members(members) = serde_json::from_str(text).ok()?;
        Some(members.into_iter().map(|(name, value)| (name, value.get())).collect())
    }

    #[test]
    fn members_keep_their_order_their_equals_and_how_their_values_are_written() {
        let members = read(r#" {"b": 1.50, "a":{"b" :2}, "\u0062":[ ] } "#).expect("an object");
        let members: Vec<(&str, &str)> = members.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(members, [("b", "1.50"), ("a", r#"{"b" :2}"#), ("b", "[ ]")]);
        assert_eq!(read("{}"), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_whole_object_is_refused() {
        for text in ["[]", "7", "null", "", "{", r#"{"a":1,}"#, r#"{"a":1}x"#, "{1:2}", r#"{"a":}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
