//! Presets: which of a provider's requests change nothing, and which delete nothing.

use std::str::FromStr;

use http::Method;

use crate::model::{Fit, Glob, GlobError, Inside, Parts, Preset, Readings, readings};

/// What a provider's file says of its requests besides their methods.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presets {
    /// Whether the file says that its requests can't be told apart by method and path: there is no preset.
    pub none: bool,
    /// Whether methods say nothing here: only what `reads` lists is read.
    pub rpc: bool,
    /// Places that take GraphQL.
    pub graphql: Vec<Glob>,
    /// Places that take many requests in one: in no preset.
    pub batch: Vec<Call>,
    /// What changes nothing although its method could.
    pub reads: Vec<Call>,
    /// What changes something although its method shouldn't.
    pub writes: Vec<Call>,
    /// What deletes, besides DELETE.
    pub deletes: Vec<Call>,
}

/// `POST /search`, or `* /batch/**`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `None` = any method.
    method: Option<Method>,
    path: Glob,
}

/// Not a method and a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No method.
    #[error("expected a method such as POST, or *, a space and a path")]
    Method,
    /// No path.
    #[error(transparent)]
    Path(#[from] GlobError),
}

impl FromStr for Call {
    type Err = CallError;
    fn from_str(text: &str) -> Result<Self, CallError> {
        let (method, path) = text.split_once(' ').ok_or(CallError::Method)?;
        let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
        let method = match (method, known.into_iter().find(|known| known == method)) {
            ("*", _) => None,
            (_, Some(method)) => Some(method),
            (_, None) => return Err(CallError::Method),
        };
        Ok(Self { method, path: path.parse()? })
    }
}

impl Call {
    /// Whether it may be this one, in any reading: some services take `post` for POST.
    fn may_be(&self, method: &str, path: Option<&Readings<'_>>) -> bool {
        self.method.as_ref().is_none_or(|own| own.as_str().eq_ignore_ascii_case(method)) && fit(&self.path, path) > Fit::No
    }

    /// Whether it is this one, in every reading.
    fn is(&self, method: &str, path: Option<&Readings<'_>>) -> bool {
        self.method.as_ref().is_none_or(|own| own == method) && fit(&self.path, path) == Fit::Yes
    }
}

/// What has no reading may be anything.
fn fit(glob: &Glob, path: Option<&Readings<'_>>) -> Fit {
    path.map_or(Fit::Maybe, |readings| glob.fits(readings, &Parts::new()))
}

/// RFC 9110 §9.2.1, but for TRACE, which is never forwarded.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

impl Presets {
    /// Whether `preset` can be had: what deletes is not told by a method where methods say nothing, and nothing is listed.
    pub fn offers(&self, preset: Preset) -> bool {
        match preset {
            _ if self.none => false,
            Preset::ReadOnly => !self.rpc || !self.reads.is_empty(),
            Preset::NoDelete => !self.rpc || !self.deletes.is_empty(),
        }
    }

    /// Whether a request of these `methods` (the one that was sent, and one that a parameter puts in its place) is one of `preset`. What opens
    /// a stream of another protocol (`upgrade`) is in none.
    pub(crate) fn inside<'m>(
        &self,
        preset: Preset,
        methods: impl Iterator<Item = &'m str> + Clone,
        path: &str,
        upgrade: bool,
    ) -> Inside {
        let all = readings(path).ok();
        let path = all.as_ref();
        let listed = |list: &[Call]| methods.clone().any(|method| list.iter().any(|call| call.may_be(method, path)));
        if upgrade || !self.offers(preset) || listed(&self.batch) {
            return Inside::No;
        }
        if self.graphql.iter().any(|place| fit(place, path) > Fit::No) {
            return Inside::IfBody;
        }
        let inside = match preset {
            Preset::ReadOnly => self.reads_only(methods, path),
            Preset::NoDelete => !listed(&self.deletes) && !methods.clone().any(|method| method.eq_ignore_ascii_case("DELETE")),
        };
        if inside { Inside::Yes } else { Inside::No }
    }

    fn reads_only<'m>(&self, mut methods: impl Iterator<Item = &'m str>, path: Option<&Readings<'_>>) -> bool {
        methods.all(|method| {
            let safe = SAFE.contains(&method) && !self.rpc && !self.writes.iter().any(|call| call.may_be(method, path));
            safe || self.reads.iter().any(|call| call.is(method, path))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(texts: &[&str]) -> Vec<Call> {
        texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).collect()
    }

    fn inside(presets: &Presets, preset: Preset, methods: &[&'static str], path: &str) -> Inside {
        presets.inside(preset, methods.iter().copied(), path, false)
    }

    #[test]
    fn a_file_that_says_nothing_is_read_by_methods() {
        let presets = Presets::default();
        for (methods, reads, deletes) in [
            (&["GET"][..], Inside::Yes, Inside::Yes),
            (&["HEAD"], Inside::Yes, Inside::Yes),
            (&["POST"], Inside::No, Inside::Yes),
            (&["get"], Inside::No, Inside::Yes),
            (&["DELETE"], Inside::No, Inside::No),
            (&["delete"], Inside::No, Inside::No),
            (&["GET", "DELETE"], Inside::No, Inside::No),
            (&["PURGE"], Inside::No, Inside::Yes),
        ] {
            assert_eq!(inside(&presets, Preset::ReadOnly, methods, "/x"), reads, "{methods:?}");
            assert_eq!(inside(&presets, Preset::NoDelete, methods, "/x"), deletes, "{methods:?}");
        }
        assert_eq!(presets.inside(Preset::ReadOnly, ["GET"].into_iter(), "/x", true), Inside::No, "a WebSocket");
    }

    #[test]
    fn what_a_file_lists_is_refused_in_any_reading_and_let_on_in_all() {
        let presets = Presets {
            graphql: vec!["/graphql".parse().expect("a path")],
            batch: listed(&["* /batch/**"]),
            reads: listed(&["POST /search"]),
            writes: listed(&["GET /logout"]),
            deletes: listed(&["POST /items/*/delete"]),
            ..Presets::default()
        };
        let read = |method, path| inside(&presets, Preset::ReadOnly, &[method], path);
        assert_eq!(
            (read("POST", "/search"), read("POST", "/Search"), read("POST", "/x/../search")),
            (Inside::Yes, Inside::No, Inside::No)
        );
        assert_eq!(
            (read("GET", "/logout"), read("GET", "/LogOut/"), read("GET", "/%6cogout")),
            (Inside::No, Inside::No, Inside::No)
        );
        assert_eq!((read("GET", "/batch/x"), read("GET", "//batch")), (Inside::No, Inside::No));
        assert_eq!((read("POST", "/graphql"), read("GET", "/graphql/")), (Inside::IfBody, Inside::IfBody));
        let kept = |method, path| inside(&presets, Preset::NoDelete, &[method], path);
        for path in ["/items/1%2f2/delete", "/items/1%2f2/%64elete", "/items/1%2f2/delete;x", "/%69tems/1%5c2/delete"] {
            assert_eq!(kept("POST", path), Inside::No, "{path}");
        }
        assert_eq!(
            (kept("POST", "/items/1/delete"), kept("POST", "/items/1"), kept("POST", "/batch")),
            (Inside::No, Inside::Yes, Inside::No)
        );
    }

    #[test]
    fn where_methods_say_nothing_only_lists_do() {
        let presets = Presets { rpc: true, reads: listed(&["* /api/users.list"]), ..Presets::default() };
        assert_eq!(inside(&presets, Preset::ReadOnly, &["POST"], "/api/users.list"), Inside::Yes);
        assert_eq!(inside(&presets, Preset::ReadOnly, &["GET"], "/api/chat.postMessage"), Inside::No);
        assert!(!presets.offers(Preset::NoDelete));
        assert!(!Presets { none: true, ..Presets::default() }.offers(Preset::ReadOnly));
    }
}

#[cfg(test)]
#[path = "preset_tests.rs"]
mod shipped;
