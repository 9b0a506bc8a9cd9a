//! What a person sees of the device flow: the code, a QR code, and how long there is.

use std::pin::pin;
use std::time::Duration;

use anstyle::{Ansi256Color, Color, Style};
use nexus::app::login::DeviceCode;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cli::terminal::{BOLD, Terminal};
use crate::cli::when;

/// Says where the code is to be entered.
pub(super) fn show(terminal: &Terminal, code: &DeviceCode) {
    let (page, typed) = (code.verification_uri(), code.user_code());
    let line = "\u{2500}".repeat(typed.chars().count() + 6);
    terminal.talk(&format!("Open {BOLD}{page}{BOLD:#} on any device, and enter this code there:\n\n"));
    terminal.talk(&format!(
        "  \u{250c}{line}\u{2510}\n  \u{2502}   {BOLD}{typed}{BOLD:#}   \u{2502}\n  \u{2514}{line}\u{2518}\n\n"
    ));
    let columns = terminal.columns().unwrap_or_default();
    // Where the service has no address that holds the code, the picture leads to the page where it is typed.
    if let Some(picture) = picture(code.complete().unwrap_or(page), columns, terminal.coloured_talk()) {
        terminal.talk(&format!("{picture}\n"));
    }
    terminal.say(&format!("The code is good for {}. Ctrl-C ends it.", when::span(code.left())));
}

/// Black on white, whatever the terminal's own colours are.
const PAPER: Style =
    Style::new().fg_color(Some(Color::Ansi256(Ansi256Color(16)))).bg_color(Some(Color::Ansi256(Ansi256Color(231))));

/// `url` as a QR code (ISO/IEC 18004) of half blocks, with its quiet zone; `None` where it is wider than `columns`. Without colours the
/// terminal is taken for a dark one.
fn picture(url: &str, columns: usize, coloured: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(url, EcLevel::L).ok()?;
    // Four modules of quiet zone on either side.
    if code.width() + 8 + 2 > columns {
        return None;
    }
    let (ink, paper) = if coloured { (Dense1x2::Dark, Dense1x2::Light) } else { (Dense1x2::Light, Dense1x2::Dark) };
    let blocks = code.render::<Dense1x2>().dark_color(ink).light_color(paper).build();
    Some(blocks.lines().map(|line| format!("  {PAPER}{line}{PAPER:#}\n")).collect())
}

/// Waits for `work`, and shows on a terminal how long there still is.
pub(super) async fn while_waiting<T>(terminal: &Terminal, ends: Instant, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if terminal.columns().is_none() {
        return work.await;
    }
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            done = &mut work => {
                terminal.talk("\r\u{1b}[2K");
                return done;
            }
            _ = ticks.tick() => {
                let left = ends.saturating_duration_since(Instant::now()).as_secs();
                terminal.talk(&format!("\r\u{1b}[2Kwaiting for the code to be entered, {}:{:02} left", left / 60, left % 60));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_shown_where_it_fits() {
        let url = "https://example.com/device?user_code=WDJB-MJHT";
        let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
        let shown = plain(&picture(url, 39, true).unwrap());
        let widths: Vec<usize> = shown.lines().map(|line| line.chars().count()).collect();
        // 46 bytes take version 3: 29 modules, two in a line of text, and the quiet zone; indented by two.
        assert_eq!((widths.len(), widths.iter().all(|width| *width == 39)), (19, true), "{shown}");
        assert!(picture(url, 38, true).is_none() && picture(&"x".repeat(9000), 200, true).is_none());
        // The quiet zone is light: paper, or the blocks of a dark terminal.
        let corner = |coloured: bool| plain(&picture(url, 80, coloured).unwrap()).chars().nth(2);
        assert_eq!((corner(true), corner(false)), (Some(' '), Some('\u{2588}')));
    }
}
