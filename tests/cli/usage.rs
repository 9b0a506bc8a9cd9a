//! Misuse, help, completions and manual pages.

use crate::world::World;

#[test]
fn misuse_is_exit_code_2_one_line_and_a_hint() {
    let world = World::bare();
    for (arguments, error, hint) in [
        (&["regster"][..], "unrecognized subcommand 'regster'", "'register'"),
        (&["register"], "<PROVIDER>", "nexus register --help"),
        (&["list", "--josn"], "unexpected argument '--josn'", "--json"),
        (&["env", "--format", "cmd"], "invalid value 'cmd'", "nexus env --help"),
        (&["run"], "<COMMAND>", "nexus run --help"),
        (&["agent", "ad"], "unrecognized subcommand 'ad'", "'add'"),
        (&["run", "--confine", "magic", "true"], "invalid value 'magic'", "nexus run --help"),
    ] {
        let done = world.nexus(arguments);
        assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{arguments:?}");
        let lines: Vec<&str> = done.err.lines().collect();
        assert!(lines[0].starts_with("nexus: error: ") && lines[0].contains(error), "{}", done.err);
        assert!(lines[1..].iter().all(|line| line.starts_with("nexus: hint: ")) && done.err.contains(hint), "{}", done.err);
    }
    assert!(!world.home("").exists());
}

#[test]
fn an_argument_that_is_no_head_time_status_or_name_is_misuse() {
    let world = World::bare();
    for (arguments, error) in [
        (&["audit", "verify", "--head", "zz"][..], "a line's number, a colon and 64 hex digits"),
        (&["audit", "verify", "--key", "zz"], "as `nexus audit key` prints them"),
        (&["audit", "search", "--since", "soon"], "write 7d, 12h"),
        (&["audit", "search", "--until", "soon"], "write 7d, 12h"),
        (&["audit", "search", "--status", "2x"], "'2x' for '--status"),
        (&["audit", "export", "--since", "soon"], "write 7d, 12h"),
        (&["audit", "export", "--format", "xml"], "'xml' for '--format"),
        (&["policy", "suggest", "--since", "soon"], "write 7d, 12h"),
        (&["policy", "suggest", "--agent", "a b"], "agent name"),
        (&["explain", "--agent", "a b", "https://a.test"], "agent name"),
        (&["agent", "show", "a b"], "agent name"),
        (&["agent", "lease", "a", "--for", "soon"], "write 30d, 12h"),
        (&["approve", "x", "--for", "soon"], "write 30d, 12h"),
        (&["register", "github", "--expires", "2020-01-01T00:00:00Z"], "is in the past"),
        (&["login", "github", "--timeout", "-"], "is not a time"),
        (&["list", "--user", "a b"], "user name"),
        (&["open", "--name", "a b"], "agent name"),
    ] {
        let said = world.nexus(arguments).failed(2);
        assert!(said.contains(error) && said.contains("--help"), "{arguments:?}: {said}");
    }
}

#[test]
fn help_and_version_are_data() {
    let world = World::bare();
    let help = world.nexus(&["--help"]).ok();
    for word in ["explain", "Exit codes:", "it could not be shut out", "125", "NO_COLOR"] {
        assert!(help.contains(word), "{word} in {help}");
    }
    assert!(world.nexus(&["--version"]).ok().starts_with("nexus 0."));
    assert!(world.nexus(&["run", "--help"]).ok().contains("--confine"));
    let none = world.nexus(&[]);
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("Usage: nexus"), "{}", none.err);
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    let world = World::bare();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(world.command(&["--help"]).stdout(full).status().unwrap().code(), Some(1));
    assert_eq!(world.command(&["--version"]).stdout(std::process::Stdio::null()).status().unwrap().code(), Some(0));
}

#[test]
fn a_table_fits_a_terminal_of_eighty_columns_and_cuts_no_word() {
    let world = World::new();
    let line = format!("stty cols 80; exec {} providers list --color never", env!("CARGO_BIN_EXE_nexus"));
    let shown = world.on_terminal(&line, &[]).out.replace('\r', "");
    let longest = shown.lines().map(|line| line.chars().count()).max();
    assert!(longest.is_some_and(|longest| longest <= 80), "{shown}");
    assert!(shown.split_whitespace().any(|word| word == "sage_business_cloud_accounting"), "{shown}");
    // Without a terminal one entry is one line.
    let piped = world.nexus(&["providers", "list"]).ok();
    assert!(
        piped.lines().any(|line| line.starts_with("development ")
            && line.contains(" github ")
            && line.contains("oauth2, bearer, basic")),
        "{piped}"
    );
}

#[test]
fn every_command_has_help_of_its_own() {
    let world = World::bare();
    let folder = world.path("man");
    world.nexus(&["man", "--dir", folder.to_str().unwrap()]).ok();
    let mut pages = 0;
    for page in std::fs::read_dir(&folder).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        // `import` and `jarviscore`, not `import-jarviscore`: no command has a hyphen in its name.
        let words: Vec<&str> = name.trim_end_matches(".1").split('-').skip(1).chain(["--help"]).collect();
        let help = world.nexus(&words).ok();
        assert!(help.contains("Usage: nexus") && help.contains("[env: NEXUS_HOME]"), "{name}: {help}");
        assert!(!help.contains("[METHOD] URL>"), "{help}");
        pages += 1;
    }
    assert!(pages > 25, "{pages}");
}

#[test]
fn completions_are_taken_by_their_shells() {
    let world = World::bare();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(world.nexus(&["completions", shell]).ok().contains("register"), "{shell}");
    }
    let script = world.nexus(&["completions", "bash"]).ok();
    std::fs::write(world.path("nexus.bash"), &script).unwrap();
    let line = format!(". {}; complete -p nexus", world.path("nexus.bash").display());
    let done = crate::world::Done::from(world.program("bash", &["-c", &line]).output().unwrap());
    assert!(done.ok().contains("_nexus"));
    world.nexus(&["completions", "cmd"]).failed(2);
}

#[test]
fn manual_pages_are_printed_or_written() {
    let world = World::bare();
    let page = world.nexus(&["man"]).ok();
    assert!(page.contains(".TH nexus 1"), "{page}");
    let folder = world.path("man");
    world.nexus(&["man", "--dir", folder.to_str().unwrap()]).ok();
    for name in ["nexus.1", "nexus-run.1", "nexus-agent-add.1", "nexus-import-jarviscore.1"] {
        assert!(folder.join(name).exists(), "{name}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let world = World::new();
    let line = format!("{} ca export --bundle | head -c 10; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_nexus"));
    let done = crate::world::Done::from(world.program("bash", &["-c", &line]).output().unwrap());
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
}
