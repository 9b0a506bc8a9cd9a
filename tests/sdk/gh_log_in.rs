//! `gh auth login` itself: it shows a code, asks again and again, and asks the API who it is as soon as it has a token.

use std::process::Stdio;

use http::Response;
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::{Authority, Body, Offers, Seen, Upstream, answer, eventually, run_within};
use crate::world::World;
use crate::{DEADLINE, LIMIT, Way, command, trust};

const HOSTS: [&str; 2] = ["github.com", "api.github.com"];
const TOKEN: &str = "gho_what_github_gave_0123456789abcdefgh";

/// What GitHub says, in forms where nobody asks for JSON ("Authorizing OAuth apps": device flow).
fn github(seen: &Seen) -> Response<Body> {
    let path = seen.path.split('?').next().unwrap_or_default();
    let (kind, text) = match path {
        "/login/device/code" => (
            "application/x-www-form-urlencoded; charset=utf-8",
            "device_code=0123456789abcdef&user_code=ABCD-1234&verification_uri=https%3A%2F%2Fgithub.com%2Flogin%2Fdevice&expires_in=900&interval=1"
                .to_owned(),
        ),
        "/login/oauth/access_token" => (
            "application/x-www-form-urlencoded; charset=utf-8",
            format!("access_token={TOKEN}&scope=gist%2Cread%3Aorg%2Crepo&token_type=bearer"),
        ),
        _ if seen.bearer() != Some(TOKEN) => return answer(401, r#"{"message":"Bad credentials"}"#),
        "/graphql" => ("application/json", r#"{"data":{"viewer":{"login":"octo"}}}"#.to_owned()),
        _ => ("application/json", r#"{"login":"octo"}"#.to_owned()),
    };
    let mut response = answer(200, text);
    let headers = response.headers_mut();
    headers.insert("content-type", kind.parse().expect("a value"));
    headers.insert("x-oauth-scopes", "gist, read:org, repo".parse().expect("a value"));
    response
}

fn gh(world: &World, arguments: &[&str]) -> Command {
    let mut line = vec!["gh"];
    line.extend(arguments);
    let mut command = Command::from(command(world, Way::Env, &line));
    command
        .env("GH_CONFIG_DIR", world.path("gh"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[test]
fn i6_gh_logs_in_by_itself_and_works_once_a_person_has_approved() {
    run_within(LIMIT, async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &HOSTS, Offers::Both, |mut call| async move {
            drop(call.read().await);
            github(&call.seen)
        });
        let (service, world) = (service.await, World::new());
        trust(&world, &ca, HOSTS, service.address);
        let _up = world.up();
        let mut log_in = gh(&world, &["auth", "login", "--hostname", "github.com", "--web", "--git-protocol", "https"]);
        let log_in = tokio::spawn(timeout(DEADLINE, log_in.spawn().expect("gh is installed").wait_with_output()));
        let pending = || world.nexus(&["list", "--json"]).ok().contains("github:local.1").then_some(());
        eventually("a connection that waits", pending).await;
        world.nexus(&["approve", "github:local.1"]).ok();
        let done = log_in.await.expect("its task").expect("in time").expect("its output");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let who = gh(&world, &["api", "user", "--jq", ".login"]).output().await.expect("gh");
        assert_eq!(String::from_utf8_lossy(&who.stdout).trim(), "octo", "{}", String::from_utf8_lossy(&who.stderr));
        let kept = std::fs::read_to_string(world.path("gh").join("hosts.yml")).expect("what gh keeps");
        assert!(kept.contains("oauth_token: ghu_") && !kept.contains(TOKEN), "{kept}");
        let spent = service.seen().iter().filter(|seen| seen.path.starts_with("/login/oauth/access_token")).count();
        assert_eq!(spent, 1, "a device code is spent once");
    });
}
