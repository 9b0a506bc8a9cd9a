//! `Fields`: what a person is shown of a request's header: bounded, without what could be a credential.

use serde::Serialize;
use utoipa::ToSchema;

use super::preview::{field, plain};

/// How many are shown, and how much of each value.
const MOST: usize = 24;
const LONG: usize = 200;

/// Fields that choose the account, the action or the target, and hold no credential: they come first, with all that they say.
const TELLING: [&str; 24] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-amz-target",
    "soapaction",
    "destination",
    "depth",
    "overwrite",
    "if-match",
    "if-none-match",
    "range",
    "content-encoding",
    "stripe-account",
    "stripe-version",
    "openai-organization",
    "openai-project",
    "anthropic-version",
    "anthropic-beta",
    "notion-version",
    "x-github-api-version",
    "x-goog-user-project",
    "x-amz-copy-source",
    "x-ms-version",
    "upgrade",
];

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalField)]
pub(crate) struct Field {
    /// In small letters.
    pub(crate) name: String,
    /// Its value, without what could be a credential; at most 200 bytes.
    pub(crate) value: String,
}

/// Those that are shown, and how many are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) shown: Vec<Field>,
    pub(crate) more: usize,
}

impl Fields {
    /// Of all that say something of what the request does. Many of no meaning don't crowd out one that has some.
    pub(crate) fn of<'a>(all: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut all: Vec<(usize, &str, &[u8])> = all.map(|(name, value)| (rank(name), name, value)).collect();
        // Values of one name stay in their order.
        all.sort_by_key(|(rank, name, _)| (*rank, *name));
        let shown = all.iter().take(MOST).map(|(rank, name, value)| {
            let value = String::from_utf8_lossy(value);
            let value = if *rank < TELLING.len() { value.into_owned() } else { field(name, &value) };
            Field { name: plain(name, LONG).0, value: bounded(&value) }
        });
        Self { shown: shown.collect(), more: all.len().saturating_sub(MOST) }
    }
}

fn rank(name: &str) -> usize {
    TELLING.iter().position(|telling| *telling == name).unwrap_or(TELLING.len())
}

fn bounded(value: &str) -> String {
    match plain(value, LONG - 3) {
        (shown, true) => shown + "...",
        (shown, false) => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: &[(&str, &str)]) -> Vec<String> {
        let fields = Fields::of(fields.iter().map(|(name, value)| (*name, value.as_bytes())));
        fields.shown.into_iter().map(|Field { name, value }| format!("{name}: {value}")).collect()
    }

    #[test]
    fn what_chooses_account_and_action_is_shown_first_and_as_it_is() {
        let fields = [
            ("x-request", "plain words"),
            ("stripe-account", "acct_1032D82eZvKYlo2C"),
            ("x-amz-target", "DynamoDB_20120810.DeleteItem"),
            ("x-http-method-override", "DELETE"),
        ];
        assert_eq!(
            shown(&fields),
            [
                "x-http-method-override: DELETE",
                "x-amz-target: DynamoDB_20120810.DeleteItem",
                "stripe-account: acct_1032D82eZvKYlo2C",
                "x-request: plain words"
            ]
        );
    }

    #[test]
    fn i1_what_could_be_a_credential_is_not_shown() {
        for (name, value) in [
            ("authorization", "Bearer hunter2"),
            ("cookie", "sid=hunter2"),
            ("x-api-key", "hunter2"),
            ("x-goog-api-key", "hunter2"),
            ("private-token", "hunter2"),
            ("x-note", "password: hunter2"),
            ("x-note", "Basic hunter2"),
            ("x-note", "ghp_hunter20123456789abcdefABCDEF0123"),
        ] {
            let shown = shown(&[(name, value)]).concat();
            assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn i7_only_so_many_are_shown_and_none_that_a_terminal_obeys() {
        let many: Vec<String> = (0..200).map(|number| format!("a-{number:03}")).collect();
        let mut all: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        all.push(("x-method-override", b"DELETE"));
        let long = "word ".repeat(100);
        all.push(("a-000", long.as_bytes()));
        all.push(("a-000", b"\x1b[31m\xe2\x80\xaered\xff"));
        let Fields { shown, more } = Fields::of(all.into_iter());
        assert_eq!((shown.len(), more), (MOST, 203 - MOST));
        assert_eq!(shown[0].name, "x-method-override");
        assert!(shown[2].value.ends_with("...") && shown[2].value.len() <= LONG, "{shown:?}");
        assert!(
            shown.iter().all(|field| field.value.chars().all(|letter| letter == '\u{fffd}' || matches!(letter, ' '..='~')))
        );
    }
}
