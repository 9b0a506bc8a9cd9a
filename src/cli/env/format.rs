//! How each shell or file spells the variables.

use super::Error;

/// What reads the variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// POSIX shells: `eval "$(nexus env)"`.
    Sh,
    /// fish: `nexus env --format fish | source`.
    Fish,
    /// PowerShell: `nexus env --format powershell | Out-String | Invoke-Expression`.
    Powershell,
    /// A `.env` file.
    Dotenv,
    /// Docker's `--env-file`: no quotes, one line each.
    Docker,
    /// One JSON object.
    Json,
    /// What is appended to the file that `GITHUB_ENV` names. `NODE_OPTIONS` is left out, since the runner refuses it there.
    Github,
}

/// The variables as `format` spells them, in their order; every line ends with a line feed.
///
/// # Errors
/// When the format can't hold a value.
pub(crate) fn render(variables: &[(String, String)], format: Format) -> Result<String, Error> {
    if format == Format::Json {
        let object: serde_json::Map<String, serde_json::Value> =
            variables.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        return Ok(serde_json::to_string_pretty(&object)? + "\n");
    }
    let wanted = variables.iter().filter(|(name, _)| format != Format::Github || name != "NODE_OPTIONS");
    wanted.map(|(name, value)| Ok(line(name, value, format)? + "\n")).collect()
}

/// A remark for whoever reads the variables, in the formats that have remarks; else nothing.
pub(crate) fn comment(text: &str, format: Format) -> String {
    if matches!(format, Format::Json | Format::Github) {
        return String::new();
    }
    text.lines().map(|line| format!("# {line}\n")).collect()
}

fn line(name: &str, value: &str, format: Format) -> Result<String, Error> {
    Ok(match format {
        Format::Sh => format!("export {name}='{}'", value.replace('\'', r"'\''")),
        Format::Fish => format!("set -gx {name} '{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
        Format::Powershell => format!("$Env:{name} = '{}'", powershell(value)),
        Format::Dotenv => format!("{name}={}", dotenv(value)),
        Format::Docker if value.contains(['\r', '\n']) => return Err(Error::LineBreak { name: name.to_owned() }),
        Format::Github if value.contains(['\r', '\n']) => github(name, value),
        Format::Docker | Format::Github | Format::Json => format!("{name}={value}"),
    })
}

/// PowerShell takes the typographic single quotes for straight ones; each is doubled.
fn powershell(value: &str) -> String {
    let quoted = |c: char| matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}');
    value.chars().flat_map(|c| std::iter::repeat_n(c, if quoted(c) { 2 } else { 1 })).collect()
}

/// Bare where all readers agree on it, else in single quotes, which they read as it stands; double ones where it holds those.
fn dotenv(value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:@,%+=~".contains(c);
    if value.chars().all(bare) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\r', '\n']) {
        return format!("'{value}'");
    }
    let escaped = value.replace('\\', r"\\").replace('"', r#"\""#).replace('$', r"\$");
    format!("\"{}\"", escaped.replace('\r', r"\r").replace('\n', r"\n"))
}

/// A value of several lines stands between two lines with a word that is none of them.
fn github(name: &str, value: &str) -> String {
    let mut word = "NEXUS_END".to_owned();
    while value.contains(&word) {
        word.push('_');
    }
    format!("{name}<<{word}\n{value}\n{word}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const HARD: &str = r#"it's a "test" $HOME `x` \n \\ %d # * [a] {b,c} !! ; & | > <"#;

    fn render_one(value: &str, format: Format) -> String {
        render(&[("X".to_owned(), value.to_owned())], format).unwrap()
    }

    /// What `program` prints for X after it read the rendered text, which `command` puts before its own words.
    fn read_back(program: &str, rendered: &str, words: &str) -> Option<String> {
        let output = Command::new(program).arg("-c").arg(format!("{rendered}\n{words}")).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn a_posix_shell_reads_back_what_was_meant() {
        for value in [HARD, "two\nlines", "", "-n", "ü"] {
            let printed = read_back("sh", &render_one(value, Format::Sh), r#"printf '%s' "$X""#).unwrap();
            assert_eq!(printed, value);
        }
    }

    #[test]
    fn fish_reads_back_what_was_meant() {
        for value in [HARD, "two\nlines", "", r"\'"] {
            match read_back("fish", &render_one(value, Format::Fish), "printf '%s' $X") {
                Some(printed) => assert_eq!(printed, value),
                None => eprintln!("no fish on this machine"),
            }
        }
    }

    #[test]
    fn powershell_doubles_every_kind_of_single_quote() {
        assert_eq!(render_one("a'b\u{2019}c\"$x", Format::Powershell), "$Env:X = 'a''b\u{2019}\u{2019}c\"$x'\n");
        match Command::new("pwsh")
            .args(["-NoProfile", "-c"])
            .arg(render_one(HARD, Format::Powershell) + "[Console]::Write($Env:X)")
            .output()
        {
            Ok(output) => assert_eq!(String::from_utf8(output.stdout).unwrap(), HARD),
            Err(_) => eprintln!("no pwsh on this machine"),
        }
    }

    #[test]
    fn a_dotenv_value_is_quoted_where_it_must_be() {
        assert_eq!(render_one("http://a:b@127.0.0.1:8091", Format::Dotenv), "X=http://a:b@127.0.0.1:8091\n");
        assert_eq!(render_one("-Xmx1g -Da=b|c", Format::Dotenv), "X='-Xmx1g -Da=b|c'\n");
        assert_eq!(render_one("it's $5\n", Format::Dotenv), "X=\"it's \\$5\\n\"\n");
    }

    #[test]
    fn docker_gets_no_quotes_and_no_second_line() {
        assert_eq!(render_one("a 'b' \"c\"", Format::Docker), "X=a 'b' \"c\"\n");
        assert!(matches!(render(&[("X".into(), "a\nB=1".into())], Format::Docker), Err(Error::LineBreak { .. })));
    }

    #[test]
    fn a_value_cannot_end_githubs_block_early() {
        assert_eq!(render_one("a\nNEXUS_END\nB=1", Format::Github), "X<<NEXUS_END_\na\nNEXUS_END\nB=1\nNEXUS_END_\n");
        assert_eq!(render(&[("NODE_OPTIONS".into(), "x".into())], Format::Github).unwrap(), "");
    }

    #[test]
    fn a_remark_cannot_become_a_command() {
        assert_eq!(comment("a\nexport X=1", Format::Sh), "# a\n# export X=1\n");
        assert_eq!(comment("a", Format::Json), "");
    }

    #[test]
    fn json_is_one_object() {
        let parsed: serde_json::Value = serde_json::from_str(&render_one(HARD, Format::Json)).unwrap();
        assert_eq!(parsed["X"], HARD);
    }
}
