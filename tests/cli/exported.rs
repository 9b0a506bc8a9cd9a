//! `nexus audit export`, held against what others publish of its forms.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::service::{ask, service};
use crate::world::{Done, World};

/// Three requests to a service, one to an address that is refused, and one page of the proxy's own.
fn logged() -> (World, String) {
    let world = World::new();
    let (service, _served) = service();
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nallow_private = [\"127.0.0.0/8\"]\n[audit]\nsegment = \"64KiB\"\n",
    );
    let up = world.up();
    for _ in 0..3 {
        assert!(ask(&up.address, &service).starts_with("http/1.1 204"));
    }
    assert!(ask(&up.address, "10.0.0.1:80").starts_with("http/1.1 403"));
    assert!(ask(&up.address, "nexus.internal").starts_with("http/1.1 404"));
    up.stop();
    (world, service.split(':').next().unwrap().to_owned())
}

/// What the program that knows the form read of it.
fn read_by_others(form: &str, text: &str) -> Vec<Value> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut command = Command::new(target.join("test-venv/bin/python"));
    command.arg(tests.join("exported.py")).arg(form).arg(tests.join("ocsf-http-activity-1.6.0.json"));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("tests/install.sh makes target/test-venv");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    serde_json::from_str(&Done::from(child.wait_with_output().unwrap()).ok()).unwrap()
}

#[test]
fn the_log_is_handed_over_in_forms_that_others_read() {
    let (world, host) = logged();
    let export = |form: &str| world.nexus(&["audit", "export", "--format", form]).ok();
    let requests = read_by_others("ocsf", &export("ocsf"));
    assert_eq!(requests.len(), 5, "{requests:#?}");
    // Each worker has a spool of its own, so they may come in another order.
    let of = |status: &str| requests.iter().find(|request| request["status_code"] == status).expect("a request");
    let first = of("204");
    assert_eq!(
        (&first["activity_id"], &first["status_id"], &first["action_id"]),
        (&3.into(), &1.into(), &1.into()),
        "{first:#}"
    );
    assert_eq!(
        (&first["http_response"]["code"], &first["dst_endpoint"]["ip"]),
        (&204.into(), &host.clone().into()),
        "{first:#}"
    );
    assert_eq!(
        (&first["http_request"]["url"]["path"], &first["http_request"]["url"]["query_string"]),
        (&"/items".into(), &"page=".into())
    );
    assert!(first["start_time"].as_u64() <= first["time"].as_u64() && first["src_endpoint"]["ip"] == "127.0.0.1", "{first:#}");
    let refused = of("403");
    assert_eq!(
        (&refused["action"], &refused["status_code"], &refused["status_detail"]),
        (&"Denied".into(), &"403".into(), &"private-address".into())
    );

    let records = read_by_others("otlp", &export("otlp"));
    let named = |name: &str| records.iter().filter(|record| record["event"] == format!("nexus.audit.{name}").as_str()).count();
    // What was not dialled was opened and closed like the rest.
    assert_eq!((named("close"), named("start"), named("stop"), named("open"), named("head")), (5, 1, 1, 0, 0), "{records:#?}");
    assert_eq!(records.iter().filter(|record| record["host"] == host.as_str()).count(), 3);

    let rows = read_by_others("csv", &export("csv"));
    assert_eq!(rows.len(), records.len());
    assert!(
        rows.iter().any(|row| row["host"] == host.as_str() && row["path"] == "/items?page=" && row["status"] == "204"),
        "{rows:#?}"
    );
}

#[test]
fn the_logs_own_lines_are_handed_over_as_they_are() {
    let (world, _host) = logged();
    let text = world.nexus(&["audit", "export"]).ok();
    assert_eq!(text, world.read("audit/00000001.jsonl"));
    assert_eq!(world.nexus(&["audit", "export", "--until", "1h"]).ok(), "");
    assert_eq!(world.nexus(&["audit", "export", "--since", "1h"]).ok(), text);
    let csv = world.nexus(&["audit", "export", "--format", "csv", "--until", "1h"]).ok();
    assert!(csv.starts_with("time,event,id,") && csv.lines().count() == 1, "{csv}");
}

/// A request by a lease, and one of a process that came by a Unix socket.
const WHOSE: &str = r#"{"v":1,"event":"refuse","id":"01J00000000000000000000001","time":"2026-11-22T00:50:05.152907Z","agent":"ci","lease":"L1","method":"GET","scheme":"https","host":"a.test","port":443,"path":"/x","verdict":"refuse","process":"uid=1000 pid=42","door":"absolute","refusal":"policy","status":403,"bytes_up":0,"bytes_down":9,"duration_us":12,"src":"00-1:9","seq":1,"prev":"0000000000000000000000000000000000000000000000000000000000000000"}
{"v":1,"event":"refuse","id":"01J00000000000000000000002","time":"2026-11-22T00:50:06.152907Z","agent":"ci","method":"GET","scheme":"https","host":"b.test","port":443,"path":"/x","verdict":"refuse","refusal":"policy","status":403,"bytes_up":0,"bytes_down":9,"duration_us":12,"src":"00-1:18","seq":2,"prev":"0000000000000000000000000000000000000000000000000000000000000000"}
"#;

#[test]
fn lease_and_process_are_searched_for_shown_and_handed_over() {
    let world = World::new();
    world.audit_segment(WHOSE);
    let found = world.nexus(&["audit", "search", "--lease", "L1"]).ok();
    assert!(found.contains("a.test/x") && found.contains("[lease L1] [process uid=1000 pid=42]"), "{found}");
    assert!(!found.contains("b.test"), "{found}");
    let both = world.nexus(&["audit", "search", "--lease", "L1", "--host", "b.test"]).ok();
    assert_eq!(both, "");

    let export = |form: &str| world.nexus(&["audit", "export", "--format", form]).ok();
    let events = read_by_others("ocsf", &export("ocsf"));
    let actor = serde_json::json!({
        "user": { "name": "ci" }, "session": { "uid": "L1" }, "process": { "pid": 42, "user": { "uid": "1000" } },
    });
    assert_eq!((&events[0]["actor"], &events[1]["actor"]), (&actor, &serde_json::json!({ "user": { "name": "ci" } })));
    let rows = read_by_others("csv", &export("csv"));
    assert_eq!((&rows[0]["lease"], &rows[0]["process"]), (&"L1".into(), &"uid=1000 pid=42".into()));
    assert_eq!(read_by_others("otlp", &export("otlp")).len(), 2);
    let otlp = export("otlp");
    for part in [
        "{\"key\":\"nexus.lease\",\"value\":{\"stringValue\":\"L1\"}}",
        "{\"key\":\"nexus.process.pid\",\"value\":{\"intValue\":\"42\"}}",
    ] {
        assert!(otlp.contains(part), "{part}: {otlp}");
    }
}
