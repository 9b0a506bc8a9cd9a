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
fn help_and_version_are_data() {
    let world = World::bare();
    let help = world.nexus(&["--help"]).ok();
    for word in ["explain", "Exit codes: 0 done", "125", "NO_COLOR"] {
        assert!(help.contains(word), "{word} in {help}");
    }
    assert!(world.nexus(&["--version"]).ok().starts_with("nexus 0."));
    assert!(world.nexus(&["run", "--help"]).ok().contains("--confine"));
    let none = world.nexus(&[]);
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("Usage: nexus"), "{}", none.err);
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
