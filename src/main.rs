//! The `nexus` command: parse, dispatch, exit code.

mod cli;

/// A kept request makes some thirty allocations, some of them of kilobytes, which the C libraries are slow at; this one also gives back,
/// by a thread of its own on Linux, what a crowd took once it has left (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    if let Some(code) = cli::run::confined_entry() {
        return code;
    }
    cli::main()
}
