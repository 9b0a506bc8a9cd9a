//! Signals that reach us and are meant for the command.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{self, SignalKind};

/// Those that end or steer a program and can be caught.
const PASSED: [Signal; 7] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH];

/// Those that a terminal sends to every process of its foreground group, the command included.
const BY_TERMINAL: [Signal; 3] = [Signal::INT, Signal::QUIT, Signal::WINCH];

/// The signals we listen for.
pub(super) struct Signals {
    streams: Vec<(Signal, unix::Signal)>,
    terminal: Option<File>,
}

impl Signals {
    /// Starts to listen. To be called before the command starts, so that none is lost and none ends us alone.
    ///
    /// A signal that we were started to ignore (`nohup`) is left ignored, so that the command inherits that.
    pub(super) fn listen() -> io::Result<Self> {
        let ignored = ignored();
        let wanted = PASSED.into_iter().filter(|signal| ignored & (1 << (signal.as_raw() - 1)) == 0);
        let open = |signal: Signal| Ok((signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?));
        Ok(Self { streams: wanted.map(open).collect::<io::Result<_>>()?, terminal: File::open("/dev/tty").ok() })
    }

    /// The next signal that the command did not get by itself.
    pub(super) async fn next(&mut self) -> Signal {
        loop {
            let signal = self.any().await;
            if !(BY_TERMINAL.contains(&signal) && self.in_foreground()) {
                return signal;
            }
        }
    }

    async fn any(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The command stays in our process group: when that is the terminal's, a ^C has reached it already.
    fn in_foreground(&self) -> bool {
        self.terminal.as_ref().and_then(|terminal| tcgetpgrp(terminal).ok()) == Some(getpgrp())
    }
}

/// Sends `signal` to the command. It may have ended meanwhile; then there is nothing to do.
pub(super) fn pass(signal: Signal, id: u32) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

/// The mask of ignored signals (proc(5), `SigIgn`), where the system tells it.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
