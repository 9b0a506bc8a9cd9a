//! A line that is typed without being shown, of any length: a terminal's own line editing cuts at 4,095 bytes and leaves echo off when
//! it is interrupted.

use std::io::Read;

use anyhow::bail;
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Longer than any key that is typed or pasted; what has lines comes from a file.
const LIMIT: usize = 64 * 1024;

/// A terminal that shows nothing and gives each key as it comes; as it was before once dropped.
pub(super) struct Unseen(Option<Termios>);

/// What a key does.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Typed,
    End,
    Interrupt,
}

impl Unseen {
    /// From now on nothing is shown that is typed.
    pub(super) fn begin() -> Self {
        let before = tcgetattr(std::io::stdin()).ok();
        let raw = before.clone().map(|mut raw| {
            raw.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
            raw.special_codes[SpecialCodeIndex::VMIN] = 1;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            raw
        });
        let is_set = raw.is_some_and(|raw| tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).is_ok());
        Self(before.filter(|_| is_set))
    }

    /// The line, without its end. An interrupt ends this process as it would anywhere else, the terminal as it was.
    ///
    /// # Errors
    /// Input that ends, can't be read, is too long or no text.
    pub(super) fn line(self) -> anyhow::Result<String> {
        let mut line = Zeroizing::new(Vec::with_capacity(LIMIT));
        for byte in std::io::stdin().lock().bytes() {
            match press(byte?, &mut line) {
                Key::Typed if line.len() >= LIMIT => bail!("more than 64 KiB were typed; use --field-file NAME=PATH"),
                Key::Typed => {}
                Key::End => {
                    let text =
                        std::str::from_utf8(&line).map_err(|_odd| anyhow::anyhow!("what was typed is not UTF-8 text"))?;
                    return Ok(text.to_owned());
                }
                Key::Interrupt => {
                    drop(self);
                    kill_process(getpid(), Signal::INT)?;
                    bail!("interrupted; nothing was stored");
                }
            }
        }
        bail!("the input ended before anything was typed; nothing was stored")
    }
}

/// As terminals have it: backspace, Ctrl-U, Ctrl-C, Ctrl-D.
fn press(byte: u8, line: &mut Vec<u8>) -> Key {
    match byte {
        b'\r' | b'\n' | 0x04 => return Key::End,
        0x03 => return Key::Interrupt,
        0x15 => line.clear(),
        // One letter, however many bytes it has.
        0x08 | 0x7f => while line.pop().is_some_and(|last| last & 0xc0 == 0x80) {},
        _ => line.push(byte),
    }
    Key::Typed
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if let Some(before) = &self.0
            && tcsetattr(std::io::stdin(), OptionalActions::Now, before).is_err()
        {
            // There is nobody left to show an echo to.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_edit_edit() {
        let mut line = Vec::new();
        let typed = "wrong\u{15}s\u{e9}x\u{7f}\u{7f}k\u{8}ecret\r".as_bytes();
        let ends: Vec<Key> = typed.iter().map(|byte| press(*byte, &mut line)).collect();
        assert_eq!((line.as_slice(), ends.last()), (b"secret".as_slice(), Some(&Key::End)));
        assert_eq!(press(0x03, &mut line), Key::Interrupt);
    }
}
