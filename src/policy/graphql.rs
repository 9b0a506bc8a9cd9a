//! What a GraphQL request does, told by its document: whatever is not without doubt is a change.

use std::collections::BTreeSet;

use apollo_parser::Parser;
use apollo_parser::cst::{CstNode as _, Definition, OperationDefinition, Selection};
use percent_encoding::percent_decode;

use crate::model::{Charset, Members, Preset};

/// What a request does at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Does {
    /// Nothing but queries.
    Reads,
    /// A mutation, or a subscription.
    Changes,
    /// A mutation that deletes by its name, or nobody knows what.
    Anything,
}

impl Does {
    /// Whether it is one of `preset`.
    pub(crate) fn is_inside(self, preset: Preset) -> bool {
        match preset {
            Preset::ReadOnly => self == Self::Reads,
            Preset::NoDelete => self < Self::Anything,
        }
    }
}

/// How many requests one body may hold.
const MAX_BATCH: usize = 100;
/// How deep a document may nest, and of how many tokens it may be.
const MAX_DEPTH: usize = 100;
const MAX_TOKENS: usize = 20_000;
/// Longer ones are nobody's.
const MAX_DOCUMENT: usize = 256 * 1024;

/// Words in the names of mutations that delete.
const DELETING: [&str; 8] = ["delete", "destroy", "drop", "erase", "purge", "remove", "trash", "wipe"];

/// What a request does: its `Content-Type`, its query and its body, neither of which is encoded in any way.
pub(crate) fn does(kind: Option<&[u8]>, query: Option<&str>, body: &[u8]) -> Does {
    let by_query = query.filter(|query| !query.is_empty()).map(of_query);
    let by_body = (!body.is_empty()).then(|| of_body(kind, body));
    // A page that asks for nothing is read.
    by_query.into_iter().chain(by_body).map(|does| does.unwrap_or(Does::Anything)).max().unwrap_or(Does::Reads)
}

/// `query=…&variables=…` (GraphQL over HTTP, "GET"). `None`: no meaning.
fn of_query(query: &str) -> Option<Does> {
    let mut seen = BTreeSet::new();
    let mut document = None;
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let name = decoded(name)?;
        let known = matches!(name.as_str(), "query" | "variables" | "operationName");
        if !known || !seen.insert(name.clone()) {
            return None;
        }
        if name == "query" {
            document = Some(decoded(value)?);
        }
    }
    of_document(&document?)
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    String::from_utf8(percent_decode(spaced.as_bytes()).collect()).ok()
}

fn of_body(kind: Option<&[u8]>, body: &[u8]) -> Option<Does> {
    let kind = std::str::from_utf8(kind?).ok()?.to_ascii_lowercase();
    let mut words = kind.split(';').map(str::trim);
    let essence = words.next()?;
    if !words.all(|word| word.is_empty() || word.starts_with("charset")) || Charset::of(kind.as_bytes()) != Charset::Utf8 {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    match essence {
        "application/graphql" => of_document(text),
        "application/json" => of_json(text),
        _ => None,
    }
}

fn of_json(text: &str) -> Option<Does> {
    if !text.trim_start().starts_with('[') {
        return of_members(&serde_json::from_str(text).ok()?);
    }
    let batch: Vec<Members<'_>> = serde_json::from_str(text).ok()?;
    if batch.is_empty() || batch.len() > MAX_BATCH {
        return None;
    }
    batch.iter().map(of_members).try_fold(Does::Reads, |most, does| Some(most.max(does?)))
}

/// A request in JSON. A member that is there twice, or that names a document which is not there, has no meaning.
fn of_members(Members(members): &Members<'_>) -> Option<Does> {
    let mut seen = BTreeSet::new();
    let mut document: Option<String> = None;
    for (name, value) in members {
        let known = match name.as_str() {
            "query" => {
                document = Some(serde_json::from_str(value.get()).ok()?);
                true
            }
            "extensions" => !value.get().contains("persistedQuery") && !value.get().contains('\\'),
            "variables" | "operationName" => true,
            _ => false,
        };
        if !known || !seen.insert(name.as_str()) {
            return None;
        }
    }
    of_document(&document?)
}

/// Whichever of its operations is asked for. `None` where it is no document of operations.
fn of_document(text: &str) -> Option<Does> {
    if text.len() > MAX_DOCUMENT {
        return None;
    }
    let parsed = Parser::new(text).recursion_limit(MAX_DEPTH).token_limit(MAX_TOKENS).parse();
    if parsed.errors().len() > 0 {
        return None;
    }
    let mut most = None;
    for definition in parsed.document().definitions() {
        match definition {
            Definition::OperationDefinition(operation) => most = most.max(Some(of_operation(&operation))),
            Definition::FragmentDefinition(_) => {}
            _ => return None,
        }
    }
    most
}

fn of_operation(operation: &OperationDefinition) -> Does {
    let Some(kind) = operation.operation_type() else { return Does::Reads };
    if kind.query_token().is_some() {
        return Does::Reads;
    }
    let selections = operation.selection_set().into_iter().flat_map(|set| set.selections());
    let deletes = |selection: Selection| match selection {
        Selection::Field(field) => field.name().is_none_or(|name| {
            let name = name.source_string().to_ascii_lowercase();
            DELETING.iter().any(|word| name.contains(word))
        }),
        // What a fragment holds may be anything.
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => true,
    };
    if selections.into_iter().any(deletes) { Does::Anything } else { Does::Changes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> Does {
        does(Some(b"application/json; charset=utf-8"), None, body.as_bytes())
    }

    #[test]
    fn queries_are_told_from_mutations() {
        for (body, expected) in [
            (r#"{"query":"{ viewer { login } }"}"#, Does::Reads),
            (
                r#"{"query":"query A($n: Int!) { a(first: $n) { ...f } } fragment f on B { c }","variables":{"n":1},"operationName":"A"}"#,
                Does::Reads,
            ),
            (r#"{"query":"{ a(text: \"mutation { x }\") # mutation { y }\n}"}"#, Does::Reads),
            (r#"[{"query":"{a}"},{"query":"{b}"}]"#, Does::Reads),
            (r#"{"query":"mutation { addStar(id: 1) { id } }"}"#, Does::Changes),
            (r#"{"query":"query A { a } mutation B { addStar }","operationName":"A"}"#, Does::Changes),
            (r#"{"query":"\u006dutation { addStar }"}"#, Does::Changes),
            (r#"{"query":"\ufeff,,, mutation { addStar }"}"#, Does::Changes),
            (r##"{"query":"#\n mutation{addStar}"}"##, Does::Changes),
            (r#"{"query":"subscription { a }"}"#, Does::Changes),
            (r#"[{"query":"{a}"},{"query":"mutation{addStar}"}]"#, Does::Changes),
            (r#"{"query":"mutation { gone: deleteRepo(id: 1) }"}"#, Does::Anything),
            (r#"{"query":"mutation { ...f } fragment f on Mutation { deleteRepo }"}"#, Does::Anything),
        ] {
            assert_eq!(json(body), expected, "{body}");
        }
    }

    #[test]
    fn what_has_no_one_meaning_may_be_anything() {
        for body in [
            "",
            "{}",
            "[]",
            "nope",
            r#"{"query":"{a}","query":"mutation{b}"}"#,
            r#"{"query":"{a}","que\u0072y":"mutation{b}"}"#,
            r#"{"query":"{a}","extensions":{"persistedQuery":{"sha256Hash":"x"}}}"#,
            r#"{"query":"{a}","extensions":{"\u0070ersistedQuery":{}}}"#,
            r#"{"extensions":{"persistedQuery":{"sha256Hash":"x"}}}"#,
            r#"{"id":"1","query":"{a}"}"#,
            r#"{"query":["{a}"]}"#,
            r#"{"query":"{a"}"#,
            r#"{"query":"type A { b: C }"}"#,
            r#"{"query":""}"#,
        ] {
            let expected = if body.is_empty() { Does::Reads } else { Does::Anything };
            assert_eq!(json(body), expected, "{body}");
        }
        let query = b"{\"query\":\"{a}\"}";
        for kind in [
            "text/plain",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-16",
            "application/json; charset=utf-8; v=1",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
        ] {
            assert_eq!(does(Some(kind.as_bytes()), None, query), Does::Anything, "{kind}");
        }
        assert_eq!(does(None, None, query), Does::Anything);
        assert_eq!(json(&format!("{{\"query\":\"{}a{}\"}}", "{a".repeat(5000), "}".repeat(5001))), Does::Anything);
        assert_eq!(json(&format!("{{\"query\":\"{{ {} }}\"}}", "a ".repeat(30_000))), Does::Anything);
        let many = format!("[{}]", vec![r#"{"query":"{a}"}"#; 101].join(","));
        assert_eq!(json(&many), Does::Anything);
    }

    #[test]
    fn a_query_in_the_url_counts_beside_the_body() {
        let by_url = |query: &str| does(None, Some(query), b"");
        assert_eq!(by_url("query=%7Bviewer%7Blogin%7D%7D"), Does::Reads);
        assert_eq!(by_url("query=mutation+%7BaddStar%7D"), Does::Changes);
        assert_eq!(by_url("query=%7Ba%7D&query=mutation%7Bb%7D"), Does::Anything);
        assert_eq!(by_url("extensions=%7B%7D"), Does::Anything);
        assert_eq!(does(Some(b"application/graphql"), Some("query=mutation+%7BaddStar%7D"), b"{a}"), Does::Changes);
        assert_eq!(does(Some(b"application/graphql"), None, b"{a}"), Does::Reads);
    }

    #[test]
    fn presets_take_what_they_say() {
        assert!(Does::Reads.is_inside(Preset::ReadOnly) && !Does::Changes.is_inside(Preset::ReadOnly));
        assert!(Does::Changes.is_inside(Preset::NoDelete) && !Does::Anything.is_inside(Preset::NoDelete));
    }
}
