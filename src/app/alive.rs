//! Whether a process is there, and not just its exit code, which waits for a parent that never asks for it.

use rustix::process::{Pid, test_kill_process};

/// Whether the process of this number runs.
pub(super) fn is_alive(process: i32) -> bool {
    let there = Pid::from_raw(process).filter(|_| process > 0).is_some_and(|process| test_kill_process(process).is_ok());
    // Where there is no /proc, whoever can be signalled counts as alive.
    there && !std::fs::read(format!("/proc/{process}/stat")).is_ok_and(|line| has_ended(&line))
}

/// By proc_pid_stat(5): the state follows the name, which stands in parentheses and may hold any others.
fn has_ended(line: &[u8]) -> bool {
    let behind = line.iter().rposition(|byte| *byte == b')').and_then(|at| line.get(at + 1..));
    behind.is_some_and(|rest| matches!(rest.trim_ascii_start().first(), Some(b'Z' | b'X' | b'x')))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn the_state_is_read_behind_any_name() {
        for (line, ended) in [
            ("7 (nexus) S 1 7 7 0", false),
            ("7 (nexus) Z 1 7 7 0", true),
            ("7 (a) Z) R 1 7 7 0", false),
            ("7 (Z) X 1", true),
            ("7 (nexus) D", false),
            ("", false),
            ("7 (nexus)", false),
        ] {
            assert_eq!(has_ended(line.as_bytes()), ended, "{line}");
        }
    }

    #[test]
    fn a_process_that_nobody_has_asked_for_its_end_is_not_alive() {
        assert!(is_alive(std::process::id().cast_signed()) && !is_alive(0) && !is_alive(-1));
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("a process");
        let number = child.id().cast_signed();
        assert!(is_alive(number));
        drop(child.stdin.take());
        let id = WaitId::Pid(Pid::from_raw(number).expect("its number"));
        waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("its end, which nobody has asked for");
        assert!(!cfg!(target_os = "linux") || !is_alive(number));
        child.wait().expect("its code");
        assert!(!is_alive(number));
    }
}
