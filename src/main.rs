//! The `nexus` command: parse, dispatch, exit code.

mod cli;

fn main() -> std::process::ExitCode {
    if let Some(code) = cli::run::confined_entry() {
        return code;
    }
    cli::main()
}
