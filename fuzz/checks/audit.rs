//! Any bytes as a segment of the log, plain and packed: no panic; what is proven is what is read; what people are shown is plain text,
//! and what is handed over is of its form.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus::audit::{Export, Format, Since, Tail, describe, verify_chain};

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    for name in ["00000001.jsonl", "00000001.jsonl.zst"] {
        let folder = Folder::new();
        fs::write(folder.0.join(name), bytes).unwrap();
        let lines = read(&folder.0);
        if let Ok(proven) = verify_chain(&folder.0) {
            assert_eq!(proven.lines, u64::try_from(lines.len()).unwrap(), "{proven:?}");
        }
        for line in &lines {
            let told = describe(line).map(|summary| summary.to_string()).unwrap_or_default();
            assert!(told.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{told:?}");
        }
        for format in [Format::Lines, Format::Csv, Format::Ocsf, Format::Otlp] {
            handed_over(&folder.0, format);
        }
        assert_eq!(fs::read(folder.0.join(name)).unwrap(), bytes, "reading does not write");
    }
}

/// The lines of the log; none of what can't be read.
fn read(folder: &Path) -> Vec<String> {
    let Ok(mut tail) = Tail::open(folder, Since::Start) else { return Vec::new() };
    std::iter::from_fn(|| tail.next_line(Duration::ZERO).ok().flatten()).collect()
}

fn handed_over(folder: &Path, format: Format) {
    let Ok(mut export) = Export::open(folder, format, None, None) else { return };
    while let Ok(Some(piece)) = export.next_piece() {
        assert!(piece.ends_with('\n'), "{piece:?}");
        match format {
            Format::Lines => {}
            Format::Csv => assert!(!piece.trim_end().chars().any(char::is_control), "{piece:?}"),
            Format::Ocsf | Format::Otlp => assert!(serde_json::from_str::<serde_json::Value>(&piece).is_ok(), "{piece}"),
        }
    }
}

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let thread = format!("{:?}", std::thread::current().id());
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = parent.join(format!("nexus-fuzz-audit-{}-{thread}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}
