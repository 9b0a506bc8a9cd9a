//! `nexus audit verify` and `nexus audit key`: that the log is as it was written, and what that rests on.

use std::process::ExitCode;

use nexus::audit::{Against, Error, HeadKey, PublicKey, Verified, verify};
use serde_json::{Value, json};

use super::super::arguments::Verify;
use super::super::context::Context;
use super::super::terminal::Terminal;

/// The log is not as it was written.
const BROKEN: u8 = 3;
/// As many of the times that unsigned lines were carried on are shown to people.
const CARRIED: usize = 5;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Verify) -> anyhow::Result<ExitCode> {
    let keys = if options.keys.is_empty() { own_key(context)?.into_iter().collect() } else { options.keys.clone() };
    match verify(&context.home.audit(), &Against { keys, head: options.head }) {
        Ok(found) => {
            let unproven = found.unproven(options.head.is_some());
            terminal.either(&value(&found, &unproven), || text(&found, &unproven))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ Error::Broken { segment, line, what }) => {
            let broken = json!({ "segment": segment, "line": line, "what": what });
            if terminal.json {
                terminal.either(&json!({ "holds": false, "broken": broken }), String::new)?;
            }
            terminal.error(&error.to_string());
            terminal.hint("keep a copy of the folder as it is; what was written before that line can still be read with `nexus audit tail`");
            Ok(ExitCode::from(BROKEN))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn key(context: &Context, terminal: &Terminal, pem: bool) -> anyhow::Result<()> {
    // Whoever notes the key before the first line is written can prove that line, too.
    let key = HeadKey::open_or_make(&context.home.audit_key(), &context.key()?)?.public();
    if pem {
        return terminal.data(&key.pem());
    }
    terminal.either(&json!({ "algorithm": "Ed25519", "key": key.to_string() }), || format!("{key}\n"))
}

/// The public half of the key that is sealed in this home: whoever has not the secret can't have exchanged it.
fn own_key(context: &Context) -> anyhow::Result<Option<PublicKey>> {
    Ok(HeadKey::open(&context.home.audit_key(), &context.key()?)?.map(|key| key.public()))
}

fn value(found: &Verified, unproven: &[String]) -> Value {
    let signed = found.signed.as_ref();
    json!({
        "holds": true,
        "segments": found.segments,
        "lines": found.lines,
        "first": found.first,
        "last": found.last,
        "head": found.head.to_string(),
        "signed": signed.map(|signed| json!({ "line": signed.line, "time": signed.time, "lines_after": signed.after })),
        "carried": found.carried.iter().map(|one| json!({ "from": one.from, "through": one.through, "time": one.time })).collect::<Vec<_>>(),
        "torn": found.torn,
        "waiting_bytes": found.waiting,
        "unproven": unproven,
    })
}

fn text(found: &Verified, unproven: &[String]) -> String {
    let lines = match found.lines {
        0 => "the log is empty".to_owned(),
        lines => format!("{lines} lines (numbers {} to {}, segments: {})", found.first, found.last, found.segments),
    };
    let mut rows = vec![("Holds", lines)];
    if let Some(signed) = &found.signed {
        rows.push(("Signed", format!("up to line {}, at {}", signed.line, signed.time)));
    }
    rows.push(("Head", found.head.to_string()));
    if found.first > 1 {
        rows.push(("Not kept", format!("lines 1 to {}", found.first - 1)));
    }
    rows.extend(carried(found).map(|text| ("Carried on", text)));
    if found.torn {
        rows.push(("Torn", "the last line has no end: it is being written, or its writer died".to_owned()));
    }
    rows.extend(unproven.iter().map(|what| ("Not proven", what.clone())));
    Terminal::pairs(&rows)
}

/// Lines that somebody else may have written, the last ones first.
fn carried(found: &Verified) -> impl Iterator<Item = String> {
    let told = found.carried.iter().rev().take(CARRIED).map(|one| {
        let (from, through, time) = (one.from, one.through, &one.time);
        format!(
            "lines {from} to {through} had no head when they were found at {time}: a proxy was killed, or somebody added them"
        )
    });
    let more = found.carried.len().saturating_sub(CARRIED);
    told.chain((more > 0).then(|| format!("lines of {more} times before (`--json` names them)")))
}
