//! What a command of `nexus run` can reach of Nexus's home: the process that shuts itself out, as the kernel holds it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends at the first surprise and says what it skips")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const WAYS: [&str; 2] = ["namespace", "landlock"];

/// A folder like a user's, with Nexus's home in it.
struct User {
    folder: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        // Not in /tmp: with Landlock alone nothing can be made right beside the home and its parents.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let home = folder.path().join(".nexus");
        fs::create_dir_all(home.join("env/php")).unwrap();
        fs::create_dir_all(folder.path().join("project")).unwrap();
        for name in [".env", "nexus.enc", ".salt", "ca.key.enc", "audit.key.enc", "nexus.toml"] {
            fs::write(home.join(name), "hidden").unwrap();
        }
        for name in ["ca.pem", "ca-bundle.pem", "env/preload.cjs", "env/php/nexus.ini"] {
            fs::write(home.join(name), "shown").unwrap();
        }
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join(".nexus")
    }

    /// Runs a script shut out of the home, in the project folder; `$U` is the user's folder and `$N` the home.
    fn run(&self, way: &str, script: &str) -> Output {
        self.run_in(way, script, &self.folder.path().join("project"))
    }

    fn run_in(&self, way: &str, script: &str, folder: &Path) -> Output {
        let mut process = Command::new(env!("CARGO_BIN_EXE_nexus"));
        process.args(["__confined", way]).arg(self.home()).args(["sh", "-c", script]).current_dir(folder);
        process
            .env("TMPDIR", self.folder.path().join("project"))
            .env("U", self.folder.path())
            .env("N", self.home())
            .output()
            .unwrap()
    }

    /// Whether the way works on this kernel. Landlock must: the tests of the other need user namespaces or root.
    fn can(&self, way: &str) -> bool {
        let output = self.run(way, "true");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || said.contains("cannot enter a namespace") || said.contains("cannot "), "{said}");
        if !output.status.success() {
            eprintln!("{way} is not possible here: {said}");
        }
        output.status.success()
    }
}

fn assert_ok(output: &Output) {
    assert!(output.status.success(), "{:?} {}", output.status, String::from_utf8_lossy(&output.stderr));
}

fn on_every_way(test: impl Fn(&User, &str)) {
    for way in WAYS {
        let user = User::new();
        if user.can(way) {
            test(&user, way);
        }
    }
}

#[test]
fn one_of_the_ways_works_here() {
    let user = User::new();
    assert!(WAYS.iter().any(|way| user.can(way)));
}

#[test]
fn secrets_of_the_home_cannot_be_read_changed_or_replaced() {
    on_every_way(|user, way| {
        for name in [".env", "nexus.enc", ".salt", "ca.key.enc", "audit.key.enc", "nexus.toml"] {
            assert!(!user.run(way, &format!("cat $N/{name}")).status.success(), "{way}: {name} was read");
            user.run(
                way,
                &format!("echo x > $N/{name}; rm -f $N/{name}; mv $N/{name} $U/project/; ln $N/{name} $U/project/{name}"),
            );
            assert_eq!(fs::read_to_string(user.home().join(name)).unwrap(), "hidden", "{way}: {name} was changed");
            assert!(!user.folder.path().join("project").join(name).exists());
        }
        user.run(way, "mkdir -p $N/providers; echo x > $N/providers/evil.toml; echo x > $N/new; mv $N $U/moved; rm -rf $N/env");
        assert!(!user.home().join("providers").exists() && !user.home().join("new").exists());
        assert!(user.home().join("env/preload.cjs").exists(), "{way}");
    });
}

#[test]
fn certificates_and_helper_files_can_be_read_but_not_changed() {
    on_every_way(|user, way| {
        assert_ok(&user.run(way, "cat $N/ca.pem $N/ca-bundle.pem $N/env/preload.cjs $N/env/php/nexus.ini && ls $N/env"));
        user.run(way, "echo evil > $N/env/preload.cjs; echo evil > $N/ca-bundle.pem; rm -f $N/ca.pem");
        for name in ["env/preload.cjs", "ca-bundle.pem", "ca.pem"] {
            assert_eq!(fs::read_to_string(user.home().join(name)).unwrap(), "shown", "{way}: {name}");
        }
    });
}

#[test]
fn other_processes_of_the_user_are_no_way_in() {
    on_every_way(|user, way| {
        // This test is such a process: its root folder shows the home as it is.
        let process = format!("/proc/{}", std::process::id());
        for way_in in ["root$N/.env", "environ", "mem", "maps", "fd/0", "ns/mnt"] {
            let output = user.run(way, &format!("exec 3< {process}/{way_in}"));
            assert!(!output.status.success(), "{way}: {way_in}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("ermission denied"), "{way}: {way_in}");
        }
    });
}

#[test]
fn a_link_or_a_working_folder_is_no_way_in() {
    on_every_way(|user, way| {
        std::os::unix::fs::symlink(user.home(), user.folder.path().join("link")).unwrap();
        assert!(!user.run(way, "cat $U/link/.env").status.success(), "{way}");
        assert!(!user.run_in(way, "cat .env", &user.home()).status.success(), "{way}");
    });
}

#[test]
fn the_cover_cannot_be_taken_off() {
    on_every_way(|user, way| {
        let script = "umount $N; umount -l $N; unshare -Um umount $N; unshare -rm umount $N; cat $N/.env";
        assert!(!user.run(way, script).status.success(), "{way}");
    });
}

#[test]
fn the_rest_of_the_world_is_as_before() {
    on_every_way(|user, way| {
        assert_ok(&user.run(way, "echo a > f && cat f && mkdir d && mv f d/ && rm -r d && ls $U && echo > /dev/null"));
        assert_ok(&user.run(way, "t=$(mktemp) && echo b > $t && rm $t && cat /etc/passwd /proc/self/status > /dev/null"));
        assert!(user.run(way, "mktemp -d").status.success());
    });
}

#[test]
fn in_a_namespace_new_files_beside_the_home_can_be_made_and_seen() {
    let user = User::new();
    if user.can("namespace") {
        assert_ok(&user.run("namespace", "echo x > $U/.draft && mv $U/.draft $U/.settings && mkdir -p $U/.cache/tool"));
        assert_eq!(fs::read_to_string(user.folder.path().join(".settings")).unwrap(), "x\n");
    }
}

#[test]
fn exit_codes_are_those_of_env() {
    on_every_way(|user, way| {
        let code = |command: &str| {
            let mut process = Command::new(env!("CARGO_BIN_EXE_nexus"));
            process
                .args(["__confined", way])
                .arg(user.home())
                .arg(command)
                .env("PATH", "/usr/bin:/bin")
                .output()
                .unwrap()
                .status
                .code()
        };
        assert_eq!(code("no-such-command-here"), Some(127));
        assert_eq!(code("/etc/passwd"), Some(126));
        assert_eq!(user.run(way, "exit 9").status.code(), Some(9));
    });
    let mut process = Command::new(env!("CARGO_BIN_EXE_nexus"));
    let output = process.args(["__confined", "landlock", "/no/such/home", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
}
