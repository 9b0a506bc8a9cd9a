//! A Unix socket as a door, and who is at its other end: the kernel's word.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest path: systems take 104 bytes or 108, one of them the end, four the name until it is ready.
pub(crate) const LONGEST: usize = 99;

/// A bound socket; its file goes when it does, unless somebody else's lies there.
#[derive(Debug)]
pub(crate) struct UnixDoor {
    pub(super) socket: UnixListener,
    _file: File,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Device and number.
    id: (u64, u64),
}

impl Drop for File {
    fn drop(&mut self) {
        if id_of(&self.path).is_ok_and(|id| id == self.id)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "the file of a socket stays");
        }
    }
}

fn id_of(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|about| (about.dev(), about.ino()))
}

impl UnixDoor {
    /// Listens at `path`, for those whom `mode` lets in. What a process that is gone left there is replaced.
    ///
    /// # Errors
    /// Where somebody listens there, or lies there that is no socket, or as the system says.
    pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        refuse_taken(path)?;
        // It is nobody's before it has its mode, and there at once.
        let mut ready = path.as_os_str().to_owned();
        ready.push(".new");
        if std::fs::symlink_metadata(&ready).is_ok_and(|about| about.file_type().is_socket()) {
            std::fs::remove_file(&ready)?;
        }
        let socket = UnixListener::bind(&ready)?;
        std::fs::set_permissions(&ready, std::fs::Permissions::from_mode(mode))?;
        let id = id_of(Path::new(&ready))?;
        std::fs::rename(&ready, path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, _file: File { path: path.to_owned(), id } })
    }

    /// For a runtime, with what goes when it ends.
    pub(super) fn split(self) -> io::Result<(tokio::net::UnixListener, impl Drop)> {
        Ok((tokio::net::UnixListener::from_std(self.socket)?, self._file))
    }
}

fn refuse_taken(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(about) if !about.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"))
        }
        Ok(_) if UnixStream::connect(path).is_ok() => Err(io::ErrorKind::AddrInUse.into()),
        _ => Ok(()),
    }
}

/// The process at the other end, as it was when it connected.
#[derive(Debug, Clone)]
pub(crate) struct UnixPeer {
    /// Its user.
    pub(crate) uid: u32,
    /// Its number, where the system says.
    pub(crate) pid: Option<i32>,
    /// When its stream was accepted, since the machine was started.
    accepted: Duration,
}

impl fmt::Display for UnixPeer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "uid={}", self.uid)?;
        self.pid.map_or(Ok(()), |pid| write!(formatter, " pid={pid}"))
    }
}

impl UnixPeer {
    /// Who is at the other end of `stream` (`SO_PEERCRED`, `LOCAL_PEERCRED`).
    pub(super) fn of(stream: &tokio::net::UnixStream) -> io::Result<Self> {
        let told = stream.peer_cred()?;
        Ok(Self { uid: told.uid(), pid: told.pid(), accepted: since_boot() })
    }

    /// Whether it is the user who runs this process.
    pub(crate) fn is_ours(&self) -> bool {
        self.uid == rustix::process::geteuid().as_raw()
    }

    /// Its control group (version 2), as `/proc` has it. `None` where there is none, or its process has gone: the number may be
    /// another's by now, who then began after the stream was accepted.
    pub(crate) fn cgroup(&self) -> Option<String> {
        let pid = self.pid.filter(|pid| *pid > 0)?;
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        let began = began(&read("stat")?)?;
        let text = read("cgroup")?;
        // The same process before and after, and no later one.
        let same = self::began(&read("stat")?)? == began && began <= self.accepted + TICK;
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
        same.then(|| path.to_owned())
    }
}

/// The unit of times in `/proc` (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// When a process began, since the machine was started: the 22nd field of proc_pid_stat(5), the 20th behind its name.
fn began(stat: &str) -> Option<Duration> {
    let (_name, rest) = stat.rsplit_once(')')?;
    let ticks: u32 = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some(TICK * ticks)
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Boottime)).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    Duration::ZERO
}

/// A Unix stream for those who serve TCP streams: they read, write, splice and shut down, which every stream socket can.
pub(super) fn as_stream(stream: tokio::net::UnixStream) -> io::Result<std::net::TcpStream> {
    Ok(std::net::TcpStream::from(OwnedFd::from(stream.into_std()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("proxy.sock");
        drop(UnixListener::bind(&path).expect("one that is left behind"));
        let door = UnixDoor::bind(&path, 0o600).expect("a door");
        assert_eq!(std::fs::metadata(&path).expect("a file").mode() & 0o777, 0o600);
        assert_eq!(UnixDoor::bind(&path, 0o600).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
        drop(door);
        assert!(!path.exists());
        std::fs::write(&path, "a person's").expect("a file");
        assert_eq!(UnixDoor::bind(&path, 0o600).expect_err("a file").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "a person's");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn i6_a_number_that_another_process_has_by_now_has_no_cgroup() {
        let own = i32::try_from(std::process::id()).expect("a number");
        let peer = |pid, accepted| UnixPeer { uid: 0, pid: Some(pid), accepted };
        assert!(peer(own, since_boot()).cgroup().is_some_and(|path| path.starts_with('/')));
        assert_eq!(peer(own, Duration::from_secs(1)).cgroup(), None, "it began after the stream was accepted");
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let gone = i32::try_from(child.id()).expect("a number");
        child.wait().expect("its end");
        assert_eq!(peer(gone, since_boot()).cgroup(), None);
    }
}
