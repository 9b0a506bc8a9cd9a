//! `nexus completions` and `nexus man`: made from the definitions that parse the command line.

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use super::arguments::Arguments;
use super::terminal::Terminal;

pub(super) fn completions(terminal: &Terminal, shell: Shell) -> anyhow::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "nexus", &mut text);
    terminal.data(&String::from_utf8(text)?)
}

pub(super) fn pages(terminal: &Terminal, folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else {
        let mut text = Vec::new();
        Man::new(Arguments::command()).render(&mut text)?;
        return terminal.data(&String::from_utf8(text)?);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    clap_mangen::generate_to(Arguments::command(), folder)
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    terminal.data(&format!("{}\n", folder.join("nexus.1").display()))
}
