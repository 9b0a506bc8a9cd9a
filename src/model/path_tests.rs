//! Tests of `path`: whatever a router makes of a path is one of its readings.

use proptest::prelude::*;

use super::*;

/// The segments by which a router goes, each as its handler sees it; `None` where it refuses the path.
type Router = fn(&str) -> Option<Vec<String>>;

fn decoded(text: &str) -> String {
    percent_decode(text.as_bytes()).decode_utf8_lossy().into_owned()
}

fn split(path: &str) -> Vec<String> {
    path.split('/').skip(1).map(str::to_owned).collect()
}

fn bare(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default()
}

/// `//`, `.` and `..` as most servers resolve them.
fn clean(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()?),
            _ => kept.push(segment),
        }
    }
    Some(format!("/{}", kept.join("/")))
}

/// `%uXXXX` undone as IIS does it, before all else.
fn wide(path: &str) -> String {
    path.replace("%u0061", "a")
}

const ROUTERS: [(&str, Router); 16] = [
    ("IIS: wide letters and escapes at once, then cleaned", |path| Some(split(&clean(&decoded(&wide(path)))?))),
    ("segments without blanks", |path| Some(split(&decoded(path)).iter().map(|segment| segment.trim().to_owned()).collect())),
    ("split, decoded, without blanks", |path| {
        Some(split(path).iter().map(|segment| decoded(segment).trim().to_owned()).collect())
    }),
    ("Express: as sent", |path| Some(split(path))),
    ("Django, FastAPI: decoded, then split", |path| Some(split(&decoded(path)))),
    ("nginx: decoded, then cleaned", |path| Some(split(&clean(&decoded(path))?))),
    ("nginx before a router that decodes again", |path| Some(split(&decoded(&clean(&decoded(path))?)))),
    ("Mustermann: split, then decoded", |path| Some(split(path).iter().map(|segment| decoded(segment)).collect())),
    ("Go's ServeMux: cleaned, split, then decoded", |path| {
        Some(split(&clean(path)?).iter().map(|segment| decoded(segment)).collect())
    }),
    ("nginx before Mustermann", |path| Some(split(&clean(&decoded(path))?).iter().map(|segment| decoded(segment)).collect())),
    ("Spring: split, without parameters, then decoded", |path| {
        Some(split(path).iter().map(|segment| decoded(bare(segment))).collect())
    }),
    ("Spring behind a proxy that cleans", |path| {
        Some(split(&clean(path)?).iter().map(|segment| decoded(bare(segment))).collect())
    }),
    ("Tomcat: without parameters, decoded, cleaned", |path| {
        let bare: Vec<&str> = path.split('/').map(bare).collect();
        Some(split(&clean(&decoded(&bare.join("/")).replace('\\', "/"))?))
    }),
    ("parameters taken off what is decoded", |path| {
        Some(split(&decoded(path)).iter().map(|segment| bare(segment).to_owned()).collect())
    }),
    ("Kestrel: decoded but for slashes, then cleaned", |path| {
        let kept = path.replace("%2f", "%252f").replace("%2F", "%252F");
        Some(split(&clean(&decoded(&kept))?))
    }),
    ("split, then decoded twice", |path| Some(split(path).iter().map(|segment| decoded(&decoded(segment))).collect())),
];

/// Whether some reading leads to `/a/*/b`, but for a slash at the end.
fn may_lead_there(path: &str) -> bool {
    readings(path)
        .map_or(true, |all| all.iter().any(|reading| leads_there(&split(reading.strip_suffix('/').unwrap_or(reading)))))
}

fn leads_there(segments: &[String]) -> bool {
    matches!(segments, [first, middle, last] if first == "a" && !middle.is_empty() && last == "b")
}

fn all(path: &str) -> Vec<String> {
    readings(path).expect("readable").iter().map(str::to_owned).collect()
}

#[test]
fn i1_a_slash_within_a_segment_may_stay_there_while_the_rest_is_decoded() {
    for path in [
        "/a/x%2Fy/%62",
        "/%61/x%2fy/b",
        "/a/x%2Fy/b;v=1",
        "/a;v/x%5cy/%62;v",
        "/a/x%252Fy/%2562",
        "//a//x%2Fy//%62",
        "/a/.%2e/a/x%2Fy/%62",
        "/a/%2e/x%2Fy/b",
        "/a\\x%2Fy\\%62",
        "/a/x%2Fy/b%3Bv",
    ] {
        assert!(may_lead_there(path), "{path}: {:?}", readings(path));
    }
}

#[test]
fn a_path_has_as_many_readings_as_it_needs() {
    assert_eq!(all("/a/b"), ["/a/b"]);
    assert_eq!(all("/a/100%"), ["/a/100%"]);
    assert_eq!(all("/a/b%20c"), ["/a/b%20c", "/a/b c"]);
    assert_eq!(all("/a/b%2Fc"), ["/a/b%2Fc", "/a/b/c"]);
    assert_eq!(all("/a/b;c"), ["/a/b;c", "/a/b"]);
    assert_eq!(all("/a/b%2F%63"), ["/a/b%2F%63", "/a/b/c", "/a/b%2Fc"]);
    assert_eq!(all("/a.b/.c/d.e"), ["/a.b/.c/d.e"]);
    assert_eq!(all("/caf%C3%A9"), ["/caf%C3%A9", "/caf\u{e9}"]);
    assert_eq!(all("/voil%C3%A0"), ["/voil%C3%A0", "/voil\u{e0}"], "its last byte is a blank of ISO 8859-1");
    assert_eq!(all("/a%u00zz%u"), ["/a%u00zz%u"]);
    assert_eq!(all("/%u0062%ud800"), ["/%u0062%ud800", "/b%ud800"]);
}

#[test]
fn i1_what_some_services_cut_off_a_path_is_a_reading_of_it() {
    for path in [
        "/a/x/b%20",
        "/a/x/b.",
        "/a/x/b...",
        "/a/x/b%2e",
        "/a/x/b.%20.",
        "/a/x/b%20/",
        "/a/x%20/%20b",
        "/a./x./b",
        "/a/x/b%3Fc",
        "/a/x/b%3f/../c",
        "/a/x/b%23c",
        "/a/x/b%253Fc=d%2523",
        "/a/x/b;c%3fd",
        "/a/x/b%20%3fd",
        "/a/x/b%00",
        "/a/x/b%09",
        "/a/x/b%0a",
        "/a/x/b%c2%a0",
        "/a%e3%80%80/x/b",
        "/a/x/%e1%9a%80b%c2%85",
        "/a/x%e2%80%a8/%e2%80%8ab%e2%80%af.",
        "/%ef%bb%bfa/x/b%25e2%2581%259f",
        "/a/x/b%a0",
        "/%a0a/x/b%85.%20",
        "/%f0%80%81%a1/x/b",
        "/%f8%80%80%81%a1/x/b",
        "/%fc%80%80%80%81%a1/x/b",
        "/%25f0%2580%2581%25a1/x/b",
        "/%u0061/x/b",
        "/a%u002Fx%u002fb",
        "/a/x/%uff42",
        "/%25u0061/x/%U0062",
        "/%u0025u0061/x/b",
        "/a/x/b%u00a0",
        "/a/x/b%u0000",
    ] {
        assert!(may_lead_there(path), "{path}: {:?}", readings(path));
    }
}

#[test]
fn i7_the_readings_of_a_path_are_few_or_none() {
    assert_eq!(readings("/%25252561").map(drop), Err(PathError::TooDeep));
    assert!(readings("/%252561").is_ok());
    let honest = "/proxy/https%3A%2F%2Fexample.com%2Fa%2520b%2F%2Fc%3Bd%3D1%3Fe%3Df";
    assert!(readings(honest).is_ok_and(|all| all.iter().count() <= MAX_READINGS / 2));
}

proptest! {
    #[test]
    fn i1_no_router_reads_a_path_otherwise_than_its_readings(
        path in "(/|//|%2[Ff]|\\\\|a|%61|%u0061|x|b|%62|%2562|;|%3b|;v|\\.\\.|\\.|%2e%2E|%252[Ff]|%5c|%|%c2%a0){1,10}"
    ) {
        let path = format!("/{path}");
        for (router, read) in ROUTERS {
            if read(&path).is_some_and(|segments| leads_there(&segments)) {
                prop_assert!(may_lead_there(&path), "{path} by {router}");
            }
        }
    }

    #[test]
    fn i1_a_route_in_any_spelling_is_known(
        slashes in proptest::collection::vec("/|//|/\\./|/x/\\.\\./|/;/", 3),
        first in "(a|%61|%2561)(;|;v=1)?",
        middle in "[xy](%2[fF]|%5c|%20|%252f|;)[xy](;v)?",
        last in "(b|%62|%2562)(;|;v|%3Bv)?",
    ) {
        let path = format!("{}{first}{}{middle}{}{last}", slashes[0], slashes[1], slashes[2]);
        prop_assert!(may_lead_there(&path), "{path}: {:?}", readings(&path));
    }

    #[test]
    fn what_most_services_read_is_a_reading(path in "/[/a-c.%25;\\\\]{0,16}") {
        if let Ok(all) = readings(&path) {
            let read = normalised(&path).expect("a meaning");
            prop_assert!(all.iter().any(|reading| reading == read), "{path}: {read}");
        }
    }
}
