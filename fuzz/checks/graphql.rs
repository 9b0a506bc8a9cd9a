//! Any bytes as the body of a GraphQL request: no panic; a document that only reads does not once a mutation stands behind it, and a body
//! that is none of JSON is nothing that reads.

use nexus::fuzzing::graphql;

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    for kind in ["application/json", "application/graphql"] {
        let query = std::str::from_utf8(bytes).ok();
        let (alone, with_query) = (graphql(kind, None, bytes), graphql(kind, query, bytes));
        assert!(alone != "Changes" || with_query != "Reads", "{bytes:?}");
        assert!(alone != "Anything" || with_query == "Anything", "{bytes:?}");
    }
    if graphql("application/graphql", None, bytes) == "Reads" {
        let longer = [bytes, b"\nmutation { a }"].concat();
        assert_ne!(graphql("application/graphql", None, &longer), "Reads", "{bytes:?}");
    }
    let json = std::str::from_utf8(bytes).is_ok_and(|text| text.trim_start().starts_with(['{', '[']));
    assert!(json || graphql("application/json", None, bytes) == "Anything", "{bytes:?}");
}
