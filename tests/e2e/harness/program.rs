//! `Program`: an unmodified program (curl, Python, Node, …) with the proxy variables and the CA bundle in its environment, and nothing
//! of ours besides.

use std::ffi::OsStr;
use std::process::Stdio;

use tokio::process::Command;

use super::nexus::Nexus;

/// A program about to run.
pub(crate) struct Program(Command);

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Its output, if it succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

impl Program {
    /// `name` as found in `PATH`; `userinfo` is `agent:token`, where agents are defined.
    pub(crate) fn new(nexus: &Nexus, name: &str, userinfo: Option<&str>) -> Self {
        let userinfo = userinfo.map(|userinfo| format!("{userinfo}@")).unwrap_or_default();
        let proxy = format!("http://{userinfo}{}", nexus.address);
        let mut command = Command::new(name);
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME" || name == "LANG"));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, &proxy);
        }
        for name in ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"] {
            command.env(name, nexus.bundle_file());
        }
        command.env("NODE_USE_ENV_PROXY", "1").env("GIT_TERMINAL_PROMPT", "0");
        Self(command)
    }

    /// One argument more.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// More arguments.
    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    /// One variable more.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end.
    pub(crate) async fn run(mut self) -> Done {
        self.0.stdin(Stdio::null()).kill_on_drop(true);
        let output = self.0.output().await.expect("the program is installed");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
