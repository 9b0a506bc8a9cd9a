//! What is pasted where an agent's program runs: the proxy with its token, and whom to trust, as shells, Docker, compose and Kubernetes
//! take them. They are the few variables that most programs need; `nexus env` prints all.

use serde::Serialize;
use utoipa::ToSchema;

use super::roster::Door;
use crate::agent::{ADDED_ROOTS, BUNDLES};
use crate::model::{AgentName, Secret};

/// Where the bundle lies inside a container.
const INSIDE: &str = "/etc/nexus/ca-bundle.pem";
/// Variables that name the proxy.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
/// What is not reached by it.
const UNPROXIED: [(&str, &str); 2] = [("NO_PROXY", "localhost,127.0.0.1"), ("no_proxy", "localhost,127.0.0.1")];
/// Where a container of this machine finds a proxy that has no name of its own.
const SERVICE: &str = "nexus:8091";

/// What is pasted where a program runs. Each holds the agent's token.
#[derive(Serialize, ToSchema)]
pub(super) struct Pasted {
    /// A POSIX shell of the proxy's own machine and user.
    sh: String,
    /// A shell elsewhere, without Nexus.
    elsewhere: String,
    /// A container of Docker's or Podman's.
    docker: String,
    /// A service of a compose file.
    compose: String,
    /// A secret of Kubernetes's, and the container that takes it.
    kubernetes: String,
    /// What has to be done besides, in words.
    notes: Vec<String>,
}

/// What is pasted for `name`, which shows `token`, so that it comes by `door`.
pub(super) fn lines(name: &AgentName, token: &Secret<String>, door: &Door) -> Pasted {
    let text = token.expose();
    let place = door.elsewhere.as_deref().unwrap_or(SERVICE);
    // Both are letters that no client encodes.
    let url = format!("http://{name}:{text}@{place}");
    let variables = variables(&url);
    let mut notes =
        vec![format!("Containers and other machines need a copy of {}: the roots that a program trusts.", door.bundle)];
    if door.elsewhere.is_none() {
        notes.push(format!(
            "This proxy listens on {} alone. For other machines and containers it needs another address in proxy.listen; {SERVICE} stands for it here.",
            door.here
        ));
    }
    Pasted {
        sh: format!("eval \"$(NEXUS_AGENT_TOKEN={text} nexus env --agent {name})\"\n"),
        elsewhere: elsewhere(&variables),
        docker: docker(name, &variables, &door.bundle),
        compose: compose(&variables, &door.bundle),
        kubernetes: kubernetes(name, &variables, &door.bundle),
        notes,
    }
}

/// Name and value, the proxy's first.
fn variables(url: &str) -> Vec<(&'static str, String)> {
    let proxy = PROXY.iter().map(|name| (*name, url.to_owned()));
    let unproxied = UNPROXIED.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let roots = BUNDLES.iter().chain(&ADDED_ROOTS).map(|name| (*name, INSIDE.to_owned()));
    // Node before 24 reads no proxy variable, and later ones only if they are told to.
    proxy.chain(unproxied).chain(roots).chain([("NODE_USE_ENV_PROXY", "1".to_owned())]).collect()
}

fn elsewhere(variables: &[(&str, String)]) -> String {
    variables.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect()
}

/// By a file: what stands in a command line, every process of the machine can read.
fn docker(name: &AgentName, variables: &[(&str, String)], bundle: &str) -> String {
    let file: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let mount = shell_word(&format!("{bundle}:{INSIDE}:ro"));
    format!("(umask 077; cat > {name}.env) <<'NEXUS'\n{file}NEXUS\ndocker run --env-file {name}.env --volume {mount} IMAGE\n")
}

fn compose(variables: &[(&str, String)], bundle: &str) -> String {
    let environment: String = variables.iter().map(|(name, value)| format!("      {name}: {}\n", yaml(value))).collect();
    let mount = yaml(&format!("{bundle}:{INSIDE}:ro"));
    format!("services:\n  agent:\n    image: IMAGE\n    environment:\n{environment}    volumes:\n      - {mount}\n")
}

fn kubernetes(name: &AgentName, variables: &[(&str, String)], bundle: &str) -> String {
    let name = label(name);
    let data: String = variables.iter().map(|(name, value)| format!("  {name}: {}\n", yaml(value))).collect();
    let file = shell_word(bundle);
    format!(
        "# Once for the namespace: kubectl create configmap nexus-ca --from-file=ca-bundle.pem={file}\n\
         apiVersion: v1\nkind: Secret\nmetadata:\n  name: nexus-{name}\nstringData:\n{data}---\n\
         # In the pod of the agent:\nspec:\n  containers:\n    - name: agent\n      image: IMAGE\n      envFrom:\n        - secretRef:\n\
         \x20           name: nexus-{name}\n      volumeMounts:\n        - name: nexus-ca\n          mountPath: {folder}\n          readOnly: true\n\
         \x20 volumes:\n    - name: nexus-ca\n      configMap:\n        name: nexus-ca\n",
        folder = INSIDE.rsplit_once('/').map_or(INSIDE, |(folder, _)| folder),
    )
}

/// What Kubernetes takes for a name (RFC 1123 section 2.1): small letters, digits and inner hyphens.
fn label(name: &AgentName) -> String {
    let fold = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let folded: String = name.as_str().chars().map(fold).collect();
    match folded.trim_matches('-') {
        "" => "agent".to_owned(),
        name => name.to_owned(),
    }
}

/// One word of a POSIX shell's line.
fn shell_word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@,%+=~".contains(letter);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A scalar of YAML 1.2, which any JSON text is.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, bundle: &str, elsewhere: Option<&str>) -> Pasted {
        let door = Door { here: "127.0.0.1:8091".into(), elsewhere: elsewhere.map(str::to_owned), bundle: bundle.to_owned() };
        lines(&name.parse().expect("a name"), &Secret::new("nxa_0".to_owned()), &door)
    }

    #[test]
    fn a_shell_reads_back_what_is_pasted() {
        let made = made("ci", "/home/it's me/ca-bundle.pem", Some("nexus.example:8091"));
        let folder = tempfile::tempdir().expect("a folder");
        let docker = made.docker.replace("docker run", "printf '%s\\n'");
        let run = |script: String| {
            let done =
                std::process::Command::new("sh").arg("-euc").arg(script).current_dir(folder.path()).output().expect("sh");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            String::from_utf8(done.stdout).expect("text")
        };
        let words = run(docker);
        assert!(words.lines().any(|word| word == "/home/it's me/ca-bundle.pem:/etc/nexus/ca-bundle.pem:ro"), "{words}");
        let file = std::fs::read_to_string(folder.path().join("ci.env")).expect("the file");
        assert!(
            file.contains("HTTPS_PROXY=http://ci:nxa_0@nexus.example:8091\n") && file.contains("SSL_CERT_FILE=/etc/nexus"),
            "{file}"
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(folder.path().join("ci.env")).expect("it").permissions(),
        );
        assert_eq!(mode & 0o077, 0, "it holds the token");
        let seen = run(format!("{}printf '%s' \"$HTTPS_PROXY $NODE_EXTRA_CA_CERTS\"", made.elsewhere));
        assert_eq!(seen, "http://ci:nxa_0@nexus.example:8091 /etc/nexus/ca-bundle.pem");
    }

    #[test]
    fn a_name_that_kubernetes_would_not_take_is_spelled_so_that_it_does() {
        for (name, wanted) in [("CI_build.7~", "nexus-ci-build-7"), ("~", "nexus-agent"), ("a", "nexus-a")] {
            let made = made(name, "/x", None);
            assert!(made.kubernetes.contains(&format!("\n  name: {wanted}\n")), "{}", made.kubernetes);
        }
    }

    #[test]
    fn who_listens_on_loopback_alone_is_told_so() {
        assert_eq!(made("a", "/x", Some("10.0.0.5:8091")).notes.len(), 1);
        let notes = made("a", "/x", None).notes;
        assert!(notes.iter().any(|note| note.contains("127.0.0.1:8091 alone")), "{notes:?}");
    }
}
