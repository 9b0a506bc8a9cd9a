//! `nexus init`, `nexus status`, and files that nobody should trust.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;

use crate::world::{World, eventually};

fn files(world: &World) -> BTreeMap<String, (Vec<u8>, u32)> {
    let entries = std::fs::read_dir(world.home("")).unwrap().map(|entry| entry.unwrap());
    let plain = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let about = |entry: &std::fs::DirEntry| {
        (std::fs::read(entry.path()).unwrap(), entry.metadata().unwrap().permissions().mode() & 0o777)
    };
    plain.map(|entry| (entry.file_name().into_string().unwrap(), about(&entry))).collect()
}

#[test]
fn init_makes_a_home_for_its_owner_alone() {
    let world = World::bare();
    let done = world.nexus(&["--json", "init"]).json();
    assert_eq!(done["made"].as_array().unwrap().len(), 5, "{done}");
    assert_eq!(done["ca_sha256"].as_str().unwrap().len(), 95);
    let mode = |name: &str| std::fs::metadata(world.home(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode(".env"), mode("ca.key.enc"), mode("ca.pem")), (0o700, 0o600, 0o600, 0o644));
    assert!(
        world.read(".env").contains("NEXUS_SECRET=")
            && world.read(".env").contains("NEXUS_GATEWAY_URL=")
            && world.read(".env").contains("NEXUS_RETURN_URL=")
    );
    assert!(!world.read("ca.key.enc").contains("PRIVATE"));
}

#[test]
fn i9_a_second_init_changes_nothing() {
    let world = World::bare();
    world.nexus(&["init"]).ok();
    let before = files(&world);
    let done = world.nexus(&["init", "--json"]).json();
    assert_eq!(done["made"].as_array().unwrap().len(), 0, "{done}");
    assert_eq!(files(&world), before);
}

#[test]
fn init_says_what_to_type_next() {
    let done = World::bare().nexus(&["init"]);
    assert!(done.err.contains("nexus register ") && done.err.contains("nexus run -- "), "{}", done.err);
    assert!(done.out.contains("CA SHA-256"), "{}", done.out);
}

#[test]
fn without_a_home_each_command_says_how_to_make_one_and_makes_none() {
    let world = World::bare();
    for command in [
        &["list"][..],
        &["up"],
        &["env"],
        &["status"],
        &["register", "github", "--api-key", "x"],
        &["agent", "list"],
        &["ca", "show"],
        &["audit", "tail"],
        &["explain", "https://a.example"],
    ] {
        let said = world.nexus(command).failed(1);
        assert!(said.contains("nexus: hint: run `nexus init`"), "{command:?} {said}");
    }
    assert!(!world.home("").exists());
}

#[test]
fn the_home_folder_is_where_it_is_said_to_be() {
    let world = World::bare();
    let elsewhere = world.path("else where");
    world.nexus(&["--home", elsewhere.to_str().unwrap(), "init"]).ok();
    assert!(elsewhere.join("ca.pem").exists() && !world.home("").exists());
    let world = world.with("NEXUS_HOME", elsewhere.to_str().unwrap());
    assert_eq!(world.nexus(&["status", "--json"]).json()["home"], elsewhere.to_str().unwrap());
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let world = World::new().with("NEXUS_HOME", "").with("NEXUS_SECRET", "");
    assert_eq!(world.nexus(&["status", "--json"]).json()["home"], world.home("").to_str().unwrap().trim_end_matches('/'));
}

#[test]
fn a_secret_that_does_not_fit_is_told_of_with_what_to_do() {
    let world = World::new();
    world.register(&["stripe"], "api_key=sk_test_0123456789\n");
    for (variable, value) in
        [("NEXUS_SECRET", "wrong"), ("NEXUS_SECRET_FILE", "/nonexistent/secret"), ("NEXUS_SECRET_FD", "99")]
    {
        for arguments in [&["list"][..], &["up"], &["run", "true"], &["show", "stripe"]] {
            let done = crate::world::Done::from(world.command(arguments).env(variable, value).output().unwrap());
            let said = done.failed(1);
            assert!(said.contains("nexus: hint: the secret comes from NEXUS_SECRET"), "{variable} {arguments:?}: {said}");
        }
    }
    assert_eq!(world.nexus(&["list", "--json"]).json()["connections"].as_array().map(Vec::len), Some(1));
}

/// One byte that is no text would else make another secret of it: that of `.env`, or this machine's address.
#[test]
fn i9_a_variable_that_is_no_text_is_refused_instead_of_passed_over() {
    use std::os::unix::ffi::OsStrExt as _;
    let (world, bare) = (World::new(), World::bare());
    let broken = std::ffi::OsStr::from_bytes(b"s3cret-\xff");
    for variable in ["NEXUS_SECRET", "NEXUS_SECRET_FILE", "NEXUS_API_KEY", "NEXUS__PROXY__UNMATCHED"] {
        for arguments in [&["list"][..], &["init"], &["up"], &["run", "true"], &["register", "stripe"]] {
            for world in [&world, &bare] {
                let done = crate::world::Done::from(world.command(arguments).env(variable, broken).output().unwrap());
                let said = done.failed(1);
                assert!(said.contains(&format!("{variable} is not UTF-8")), "{arguments:?}: {said}");
                assert!(!said.contains("s3cret"), "{arguments:?}: {said}");
            }
        }
    }
    assert!(!bare.home("").exists(), "a home was made");
    // What is not ours is nobody's mistake.
    let done = crate::world::Done::from(world.command(&["list"]).env("OTHER", broken).output().unwrap());
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn half_a_certificate_authority_is_named_by_every_command() {
    let world = World::new();
    std::fs::rename(world.home("ca.key.enc"), world.path("kept")).unwrap();
    for arguments in [&["up"][..], &["init"], &["list"], &["run", "true"], &["ca", "show"]] {
        let said = world.nexus(arguments).failed(1);
        assert!(said.contains("ca.key.enc is missing although its other half is there; restore it"), "{arguments:?}: {said}");
    }
    std::fs::rename(world.path("kept"), world.home("ca.key.enc")).unwrap();
    world.nexus(&["list"]).ok();
}

#[test]
fn a_bundle_that_is_gone_is_made_anew_when_the_proxy_starts() {
    let world = World::new();
    let before = world.read("ca-bundle.pem");
    std::fs::remove_file(world.home("ca-bundle.pem")).unwrap();
    let said = world.nexus(&["env"]).failed(1);
    assert!(said.contains("ca-bundle.pem") && said.contains("nexus init"), "{said}");
    let up = world.up();
    assert_eq!(world.read("ca-bundle.pem"), before);
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn listening_beyond_loopback_says_what_it_lacks() {
    let world = World::new();
    world.config("[proxy]\nlisten = [\"0.0.0.0:0\"]\n");
    assert!(world.nexus(&["up"]).failed(1).contains("policy.default: must be written"));
    world.config("[proxy]\nlisten = [\"0.0.0.0:0\"]\n[policy]\ndefault = \"allow\"\n");
    let said = world.nexus(&["up"]).failed(1);
    assert!(said.contains("needs agents") && said.contains("hint: run `nexus agent add NAME`"), "{said}");
}

#[test]
fn status_tells_of_every_part() {
    let world = World::new();
    world.register(&["stripe"], "api_key=sk_test_0123456789\n");
    let status = world.nexus(&["status", "--json"]).json();
    assert_eq!((status["ok"].as_bool(), status["proxy"]["up"].as_bool()), (Some(true), Some(false)), "{status}");
    assert_eq!(
        (status["vault"]["opens"].as_bool(), status["vault"]["connections"].as_u64()),
        (Some(true), Some(1)),
        "{status}"
    );
    assert!(status["ca"]["not_after"].as_str().unwrap().starts_with("20"), "{status}");
    let up = world.up();
    let status = world.nexus(&["status", "--json"]).json();
    assert_eq!(status["proxy"]["addresses"][0], up.address.as_str());
    assert_eq!(up.stop(), Some(0));
    let text = world.nexus(&["status"]).ok();
    assert!(text.contains("not up") && text.contains("hold together"), "{text}");
}

#[test]
fn status_fails_when_the_vault_does_not_open() {
    let world = World::new();
    world.register(&["stripe"], "api_key=sk_test_0123456789\n");
    let world = world.with("NEXUS_SECRET", "another one");
    let done = world.nexus(&["status", "--json"]);
    assert_eq!(done.code, Some(1));
    let status: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert!(status["vault"]["error"].as_str().unwrap().contains("NEXUS_SECRET is not the one"), "{status}");
    assert!(status["ca"]["error"].is_string(), "{status}");
}

#[test]
fn status_notices_a_log_that_was_changed() {
    let world = World::new();
    assert_eq!(world.up().stop(), Some(0), "a signal right after the start drains as well");
    let folder = world.home("audit");
    let segment = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("\"start\"", "\"smart\"", 1)).unwrap();
    let done = world.nexus(&["status"]);
    assert_eq!(done.code, Some(1), "{}", done.out);
    assert!(done.out.contains("broken"), "{}", done.out);
}

#[test]
fn i9_files_that_others_may_read_or_that_lead_elsewhere_are_refused() {
    for (name, command) in
        [("nexus.enc", "list"), (".env", "list"), ("nexus.toml", "env"), (".salt", "list"), ("agents.toml", "env")]
    {
        let world = World::new();
        world.register(&["stripe"], "api_key=sk_test_0123456789\n");
        world.nexus(&["agent", "add", "a"]).ok();
        let file = world.home(name);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let said = world.nexus(&[command]).failed(1);
        assert!(said.contains("open to other users") && said.contains("chmod 600"), "{name}: {said}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let target = world.path("target");
        std::fs::rename(&file, &target).unwrap();
        symlink(&target, &file).unwrap();
        let said = world.nexus(&[command]).failed(1);
        assert!(said.contains("symbolic link"), "{name}: {said}");
    }
}

#[test]
fn a_mistake_in_the_configuration_is_shown_at_its_place() {
    let world = World::new();
    world.config("[proxy]\nlissten = []\n");
    let said = world.nexus(&["up"]).failed(1);
    assert!(said.contains("line 2, column 1") && said.contains("lissten"), "{said}");
    let world = world.with("NEXUS__PROXY__UNMATCHED", "nowhere");
    world.config("");
    let said = world.nexus(&["env"]).failed(1);
    assert!(said.contains("NEXUS__PROXY__UNMATCHED"), "{said}");
}

#[test]
fn what_up_refuses_is_not_called_ok() {
    let world = World::new();
    std::fs::write(world.home("empty.pem"), "").unwrap();
    for (text, words) in [
        ("[upstream]\nproxy = \"ftp://x\"", "upstream.proxy: must begin with http://"),
        ("[upstream]\nproxy = \"\"", "upstream.proxy: must begin with http://"),
        ("[upstream]\nproxy = \"http://u:pw@\"", "upstream.proxy: "),
        (
            "[upstream]\nproxy = \"http://corp:1\"\nproxy_auth_file = \"nope\"",
            "upstream.proxy_auth_file: there is no such file",
        ),
        ("[upstream]\nproxy_except = [\"*.x\"]", "write \".x\""),
        ("[upstream]\nresolve = { \"a b\" = \"127.0.0.1:1\" }", "upstream.resolve: \"a b\" is not a host"),
        ("[upstream]\nextra_roots = [\"nope.pem\"]", "upstream.extra_roots: cannot read "),
        ("[upstream]\nextra_roots = [\"empty.pem\"]", "holds no certificate"),
        ("[proxy]\nagent_listen = { \"a b\" = \"127.0.0.1:0\" }", "proxy.agent_listen: "),
        ("[proxy]\nlisten = [\"0.0.0.0:0\"]\n[policy]\ndefault = \"deny\"", "listening beyond loopback needs agents"),
    ] {
        world.config(&format!("{text}\n"));
        let said = world.nexus(&["up"]).failed(1);
        assert!(said.contains(words) && !said.contains("u:pw"), "{text}: {said}");
        let done = world.nexus(&["status"]);
        let line = done.out.lines().find(|line| line.contains("config")).unwrap();
        assert!(done.code == Some(1) && line.contains("broken") && !done.out.contains("u:pw"), "{text}: {}", done.out);
        assert!(done.out.split_whitespace().collect::<Vec<_>>().join(" ").contains(words), "{text}: {}", done.out);
    }
}

#[test]
fn a_second_proxy_says_that_the_port_is_taken() {
    let world = World::new();
    let up = world.up();
    world.config(&format!("[proxy]\nlisten = [\"{}\"]\n", up.address));
    let said = world.nexus(&["up"]).failed(1);
    assert!(said.contains("the proxy of this home listens there already") && said.contains("nexus status"), "{said}");
    // The one that is up is still announced.
    assert_eq!(world.nexus(&["status", "--json"]).json()["proxy"]["up"], true);
    assert_eq!(up.stop(), Some(0));
    assert!(!world.home("proxy.addr").exists());
}

#[test]
fn a_port_that_another_program_holds_is_told_of_with_the_key_that_names_another() {
    let world = World::new();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.config(&format!("[proxy]\nlisten = [\"{}\"]\n", other.local_addr().unwrap()));
    let said = world.nexus(&["up"]).failed(1);
    assert!(said.contains("another program listens there") && said.contains("NEXUS__PROXY__LISTEN"), "{said}");
}

/// A limit on the size of files stands in for a full disk.
#[test]
fn a_proxy_whose_log_cannot_be_written_is_up_and_its_log_is_what_is_broken() {
    let world = World::new();
    let line = format!("trap '' XFSZ; ulimit -f 8; exec {} up --announce", env!("CARGO_BIN_EXE_nexus"));
    let mut child = world.program("sh", &["-c", &line]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let proxy = line.trim().strip_prefix("listening ").expect("it listens");
    assert_eq!(world.nexus(&["status"]).code, Some(0));
    let asked = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", proxy, "http://nexus.internal/ca.pem"];
    eventually(|| crate::world::Done::from({ world.program("curl", &asked) }.output().unwrap()).out == "503");
    let done = world.nexus(&["status"]);
    let told = done.out.contains("ok      up on") && done.out.contains("broken  the proxy that is up refuses every request");
    assert_eq!((done.code, told), (Some(1), true), "{}", done.out);
    // A command is told so, and not given a proxy of its own that would have the same log.
    let done = world.nexus(&["run", "--", "sh", "-c", "printf %s \"$HTTPS_PROXY\""]);
    assert!(done.out.ends_with(proxy) && done.err.contains("its audit log cannot be written"), "{done:?}");
    crate::world::signal(&child, rustix::process::Signal::TERM);
    child.wait().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn i7_a_proxy_takes_all_open_files_it_may_have_and_says_where_they_are_few() {
    let world = World::new();
    for (hard, few) in [(4096, false), (512, true)] {
        let line = format!("ulimit -Sn 128; ulimit -Hn {hard}; exec {} up --announce", env!("CARGO_BIN_EXE_nexus"));
        let mut child = world.program("sh", &["-c", &line]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let bound = rustix::process::prlimit(
            Some(pid),
            rustix::process::Resource::Nofile,
            rustix::process::Rlimit { current: Some(hard), maximum: Some(hard) },
        );
        assert_eq!(bound.unwrap().current, Some(hard));
        crate::world::signal(&child, rustix::process::Signal::TERM);
        let said = crate::world::Done::from(child.wait_with_output().unwrap()).err;
        assert_eq!(said.contains("128 callers at once take them all"), few, "{said}");
    }
}

#[test]
fn what_a_killed_proxy_wrote_down_is_not_taken_for_another_that_is_up() {
    let world = World::new().with("NEXUS__GATEWAY__ENABLED", "false");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // A process of that number is alive: this one.
    let text = format!("{}\n{gone}\n", std::process::id());
    nexus::disk::write_atomic(&world.home("proxy.addr"), text.as_bytes(), nexus::disk::PRIVATE).unwrap();
    let warned = |world: &World| {
        let mut child = world.command(&["up", "--announce"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        crate::world::signal(&child, rustix::process::Signal::TERM);
        crate::world::Done::from(child.wait_with_output().unwrap()).err.contains("another proxy of this home is up")
    };
    assert!(!warned(&world));
    let up = world.up();
    assert!(warned(&world));
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn two_proxies_of_one_home_leave_each_other_announced() {
    // A home has one gateway.
    let both = World::new();
    let first = both.up();
    let said = both.nexus(&["up"]).failed(1);
    assert!(said.contains("another gateway of this home is up") && said.contains("gateway.enabled = false"), "{said}");
    assert_eq!(first.stop(), Some(0));
    let world = World::new().with("NEXUS__GATEWAY__ENABLED", "false");
    let first = world.up();
    let second = world.up_saying("another proxy of this home is up on ");
    let announced = || world.nexus(&["status", "--json"]).json()["proxy"]["addresses"][0].as_str().map(str::to_owned);
    assert_eq!(announced().as_ref(), Some(&first.address));
    let kept = second.address.clone();
    assert_eq!(second.stop(), Some(0));
    assert_eq!(announced().as_ref(), Some(&first.address), "the one that ended took only its own line back");
    let third = world.up();
    assert_ne!(third.address, kept);
    assert_eq!(first.stop(), Some(0));
    assert_eq!(announced().as_ref(), Some(&third.address));
    // One that was killed leaves its line; the next is found all the same.
    let fourth = world.up();
    third.kill();
    assert_eq!(announced().as_ref(), Some(&fourth.address));
    assert_eq!(fourth.stop(), Some(0));
    assert!(!world.home("proxy.addr").exists());
}

#[test]
fn a_key_that_waits_for_the_next_start_is_named_while_the_proxy_is_up() {
    let world = World::new();
    let up = world.up_saying("listens on");
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:9\"]\n[limits]\ndrain_secs = 1\nhead_size = \"8KiB\"\ntarget_size = \"1KiB\"\n",
    );
    up.hang_up();
    up.says("keys=\"proxy.listen, limits.head_size, limits.target_size\"");
    let status = world.nexus(&["status"]).ok();
    assert!(status.contains("listens elsewhere until it is started again"), "{status}");
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn a_listener_for_an_agent_that_nobody_added_is_told_of() {
    let world = World::new();
    world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\nagent_listen = { ghost = \"127.0.0.1:0\" }\n[limits]\ndrain_secs = 1\n");
    let up = world.up_saying("proxy.agent_listen names ghost, which is no agent");
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn an_empty_or_wrong_log_filter_silences_nothing() {
    let world = World::new().with("NEXUS_LOG", "");
    let up = world.up_saying("the proxy listens on");
    world.config("[proxy]\nlissten = 1\n");
    up.hang_up();
    up.says("nexus.toml was not taken");
    assert_eq!(up.stop(), Some(0));
    let world = World::new().with("NEXUS_LOG", "nexus=loud");
    let up = world.up_saying("NEXUS_LOG is not a filter");
    assert_eq!(up.stop(), Some(0));
}

/// A home without a NEXUS_SECRET, as JarvisCore would have it; `None` where the machine has no hardware address to fall back on.
pub(crate) fn guessable() -> Option<World> {
    let world = World::bare();
    nexus::disk::create_private_dir(&world.home("")).unwrap();
    nexus::disk::write_atomic(&world.home(".env"), b"# no secret\n", nexus::disk::PRIVATE).unwrap();
    let done = world.nexus(&["init"]);
    if done.err.contains("no hardware address") {
        return None;
    }
    done.ok();
    Some(world)
}

#[test]
fn a_proxy_that_hangs_is_not_called_down() {
    let world = World::new();
    world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n");
    let up = world.up();
    up.send(rustix::process::Signal::STOP);
    let status = world.nexus(&["status"]);
    up.send(rustix::process::Signal::CONT);
    assert!(status.out.contains("does not answer: it drains, or hangs"), "{}", status.out);
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn a_reload_says_why_a_file_was_not_taken() {
    let world = World::new();
    let text = "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n";
    world.config(text);
    let up = world.up_saying("the proxy listens on");
    std::fs::set_permissions(world.home("nexus.toml"), std::fs::Permissions::from_mode(0o644)).unwrap();
    up.hang_up();
    up.says("chmod 600");
    assert_eq!(up.stop(), Some(0));
}

/// A shell in which the variable is not set would seal it with this machine's address, and leave a vault that the proxy can't open.
#[test]
fn i9_a_first_credential_is_not_sealed_with_another_secret_than_the_homes() {
    let world = World::bare();
    let mut init = world.command(&["init"]);
    crate::world::Done::from(init.env("NEXUS_SECRET", "correct horse battery staple").output().unwrap()).ok();
    for (arguments, text) in [(&["register", "stripe", "--stdin"][..], "api_key=sk_test_0123456789\n"), (&["list"], "")] {
        let said = world.nexus_with(arguments, text).failed(1);
        let told = said.contains("ca.key.enc does not open with this secret") || said.contains("no hardware address");
        assert!(told && said.contains("NEXUS_SECRET"), "{arguments:?}: {said}");
    }
    assert!(!world.home("nexus.enc").exists());
}

#[test]
fn a_credential_below_a_guessable_secret_is_warned_of() {
    let Some(world) = guessable() else { return eprintln!("this machine has no hardware address") };
    let done = world.nexus_with(&["register", "stripe", "--stdin"], "api_key=sk_test_0123456789\n");
    assert!(done.err.contains("easy to guess"), "{}", done.err);
    done.ok();
}

#[test]
fn t147_a_guessable_secret_is_warned_of_and_refused_beyond_loopback() {
    let Some(world) = guessable() else { return eprintln!("this machine has no hardware address") };
    world.nexus(&["agent", "add", "a"]).ok();
    world.config("[proxy]\nlisten = [\"0.0.0.0:0\"]\n[policy]\ndefault = \"deny\"\n");
    let said = world.nexus(&["up"]).failed(1);
    assert!(said.contains("listening beyond loopback needs a NEXUS_SECRET of its own"), "{said}");
    // A bound listener is one, too.
    world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\nagent_listen = { a = \"0.0.0.0:0\" }\n[policy]\ndefault = \"deny\"\n");
    let said = world.nexus(&["up"]).failed(1);
    assert!(said.contains("needs a NEXUS_SECRET of its own"), "{said}");
    world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n");
    assert_eq!(world.up().stop(), Some(0), "on loopback it goes on");
}

#[test]
fn t131_nobody_listens_beyond_loopback_without_agents() {
    let world = World::new();
    let beyond = "[proxy]\nlisten = [\"0.0.0.0:0\"]\n[policy]\ndefault = \"deny\"\n[limits]\ndrain_secs = 1\n";
    world.config(beyond);
    let said = world.nexus(&["up"]).failed(1);
    assert!(said.contains("listening beyond loopback needs agents"), "{said}");
    world.config(&beyond.replace("[policy]\ndefault = \"deny\"\n", ""));
    let said = world.nexus(&["up"]).failed(1);
    assert!(said.contains("policy.default"), "{said}");
    world.config(beyond);
    world.nexus(&["agent", "add", "a"]).ok();
    assert_eq!(world.up().stop(), Some(0));
}
