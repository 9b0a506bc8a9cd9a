//! A yes that lasts: the rule that somebody may write instead of answering again and again.

use serde::Serialize;
use utoipa::ToSchema;

use super::grant::fits;
use super::question::Question;
use crate::model::Glob;
use crate::policy::Narrow;

/// A rule that would let on what a question asks about, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalRule)]
pub(crate) struct Lasting {
    /// The rule, as TOML.
    pub(crate) text: String,
    /// Which paths it speaks of.
    pub(crate) paths: String,
    /// Whether that is more than the path of this one request.
    pub(crate) wider: bool,
    /// The rule that asks: it goes directly before that one.
    pub(crate) before: String,
    /// The file where that one stands.
    pub(crate) file: String,
    /// Its line there, from 1.
    pub(crate) line: usize,
}

/// Letters of a segment that stand for themselves in a pattern.
fn is_plain(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || b"._~!$&'()+,:=@-".contains(&letter)
}

/// The path as a pattern: what it hides from people, and what can't stand in one, is any one segment.
fn pattern(path: &str, shown: &str) -> String {
    let shown: Vec<&str> = shown.split('?').next().unwrap_or_default().split('/').collect();
    let segment = |(at, segment): (usize, &str)| {
        let hidden = shown.get(at).is_none_or(|shown| *shown != segment);
        if !hidden && segment.bytes().all(is_plain) { segment.to_owned() } else { "*".to_owned() }
    };
    path.split('/').enumerate().map(segment).collect::<Vec<_>>().join("/")
}

impl Question {
    /// The rule that lets on this request, or those whose paths fit `paths`. `None` where no rule can say it.
    pub(super) fn lasting(&self, paths: Option<&Glob>) -> Option<Lasting> {
        let path = self.target.path.path();
        let own = || pattern(path, &self.path).parse::<Glob>().ok();
        let paths = paths.cloned().or_else(own).filter(|paths| fits(paths, &self.target))?;
        let (authority, method) = (&self.target.authority, self.target.method.as_str());
        let text = self.rule.allowing(&Narrow { agent: &self.agent.name, authority, method, paths: &paths })?;
        let (paths, (file, line)) = (paths.to_string(), self.rule.place());
        let wider = paths != path;
        Some(Lasting { text, paths, wider, before: self.rule.name().to_string(), file: file.to_owned(), line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_pattern_that_tells_nothing_hidden() {
        for (path, shown, wanted) in [
            ("/v1/orders", "/v1/orders?x=", "/v1/orders"),
            ("/hooks/T0/s3cr3t", "/hooks/T0/***", "/hooks/T0/*"),
            ("/bot12:ab/send", "/***", "/*/*"),
            ("/a/*/{x}/b%20c", "/a/*/{x}/b%20c", "/a/*/*/*"),
            ("/", "/", "/"),
        ] {
            assert_eq!(pattern(path, shown), wanted, "{path}");
        }
    }
}
