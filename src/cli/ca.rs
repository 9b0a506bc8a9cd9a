//! `nexus ca`: what callers trust, and how one root gives way to the next.

use std::time::{Duration, SystemTime};

use nexus::app::{InitError, Rotated, drop_old, rotate, trusted};
use nexus::ca::{About, describe};
use nexus::disk;
use nexus::seal::DataKey;
use serde_json::{Value, json};

use super::arguments::Ca;
use super::context::{Context, Hint};
use super::init::host_name;
use super::terminal::Terminal;
use super::{surroundings, when};

pub(super) fn run(context: &Context, terminal: &Terminal, action: &Ca) -> anyhow::Result<()> {
    context.require_home()?;
    match action {
        Ca::Show => show(context, terminal),
        Ca::Export { bundle } => export(context, terminal, *bundle),
        Ca::Rotate { drop_old: true, .. } => forget(context, terminal),
        Ca::Rotate { finish, .. } => turn(context, terminal, *finish),
    }
}

/// The roots that callers trust, each with its part in a rotation.
fn roots(context: &Context) -> anyhow::Result<Vec<(&'static str, About)>> {
    let home = &context.home;
    let mut all = Vec::new();
    for (part, file) in [("signs", home.ca()), ("next", home.next_ca()), ("retired", home.retired_ca())] {
        let Some(text) = disk::read_regular(&file, 1024 * 1024)? else { continue };
        all.extend(describe(&String::from_utf8_lossy(&text))?.into_iter().map(|about| (part, about)));
    }
    Ok(all)
}

fn show(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    let (roots, now) = (roots(context)?, SystemTime::now());
    let value = |(part, about): &(&str, About)| -> Value {
        json!({
            "part": part,
            "subject": about.subject,
            "sha256": about.sha256,
            "not_before": when::show(about.not_before),
            "not_after": when::show(about.not_after),
        })
    };
    let files = json!({ "ca": context.home.ca(), "bundle": context.home.bundle() });
    terminal.either(&json!({ "roots": roots.iter().map(value).collect::<Vec<_>>(), "files": files }), || {
        let text = roots.iter().map(|(part, about)| {
            Terminal::pairs(&[
                ("Root", format!("{} ({part})", about.subject)),
                ("SHA-256", about.sha256.clone()),
                ("Valid until", when::day(about.not_after, now)),
            ])
        });
        let files = Terminal::pairs(&[
            ("ca.pem", context.home.ca().display().to_string()),
            ("bundle", context.home.bundle().display().to_string()),
        ]);
        text.chain([files]).collect::<Vec<_>>().join("\n")
    })
}

fn export(context: &Context, terminal: &Terminal, bundle: bool) -> anyhow::Result<()> {
    let text = if bundle {
        let bytes = disk::read_regular(&context.home.bundle(), 16 * 1024 * 1024)?;
        String::from_utf8(bytes.ok_or(InitError::HalfCa("ca-bundle.pem"))?)?
    } else {
        trusted(&context.home)?.concat()
    };
    terminal.either(&json!({ "pem": text }), || text.clone())
}

fn overlap(context: &Context) -> anyhow::Result<Duration> {
    Ok(Duration::from_secs(u64::from(context.config()?.ca.overlap_days) * 24 * 60 * 60))
}

fn turn(context: &Context, terminal: &Terminal, finish: bool) -> anyhow::Result<()> {
    if finish && !context.home.next_ca().exists() {
        anyhow::bail!(Hint::new("no rotation is under way, so there is nothing to finish", "nexus ca rotate"));
    }
    let done = rotate(&context.home, &context.key()?, overlap(context)?, finish, &host_name())?;
    let now = SystemTime::now();
    let (word, from, text) = match done {
        Rotated::Begun { signs_from } => {
            ("begun", Some(signs_from), "a new root is in ca-bundle.pem and in what `nexus env` writes; it does not sign yet")
        }
        Rotated::Waiting { signs_from } => ("waiting", Some(signs_from), "the new root is known, but does not sign yet"),
        Rotated::Finished => ("finished", None, "the new root signs; the old one stays trusted until it expires"),
    };
    let due = from.map(|from| format!("; from {}", when::day(from, now))).unwrap_or_default();
    terminal.either(&json!({ "rotation": word, "signs_from": from.map(when::show) }), || format!("{text}{due}\n"))?;
    terminal.hint(match done {
        Rotated::Begun { .. } => "restart programs that read the bundle at their start before that day",
        Rotated::Waiting { .. } => {
            "`nexus ca rotate --finish` lets it sign now; programs that have not read the new bundle will fail"
        }
        Rotated::Finished => {
            "once every program has read the new bundle, `nexus ca rotate --drop-old` ends the trust in the old root"
        }
    });
    Ok(())
}

/// Ends the overlap after a rotation.
fn forget(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    let dropped = describe(&drop_old(&context.home)?)?;
    surroundings::write_roots(context)?;
    if dropped.is_empty() {
        let (message, next) = match context.home.next_ca().exists() {
            true => (
                "there is no old root: the rotation is under way, and the current root still signs",
                "nexus ca rotate --finish",
            ),
            false => ("there is no old root: what signs now is all that callers trust", "nexus ca show"),
        };
        anyhow::bail!(Hint::new(message, next));
    }
    let value = json!({ "rotation": "ended", "dropped": dropped.iter().map(|about| &about.sha256).collect::<Vec<_>>() });
    terminal.either(&value, || {
        dropped.iter().map(|about| format!("{} is trusted no more (SHA-256 {})\n", about.subject, about.sha256)).collect()
    })?;
    terminal.hint(
        "take it out of every other trust store you put it into; programs that run keep trusting it until they start anew",
    );
    Ok(())
}

/// At the start of the proxy: a new root whose time has come signs from now on.
pub(super) fn finish_if_due(context: &Context, terminal: &Terminal, key: &DataKey) -> anyhow::Result<()> {
    if !context.home.next_ca().exists() {
        return Ok(());
    }
    if rotate(&context.home, key, overlap(context)?, false, &host_name())? == Rotated::Finished {
        terminal.say("nexus: the rotation of the certificate authority is finished: the new root signs");
    }
    Ok(())
}
