//! scratch
mod cli;
fn main() -> anyhow::Result<std::process::ExitCode> {
    if let Some(code) = cli::run::confined_entry() {
        return Ok(code);
    }
    cli::main()
}
