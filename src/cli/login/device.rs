//! What a person sees of the device flow: the code, a QR code, and how long there is.

use std::pin::pin;
use std::time::Duration;

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
    if let Some(picture) = code.complete().and_then(|url| picture(url, columns)) {
        terminal.talk(&format!("{picture}\n\n"));
    }
    terminal.say(&format!("The code is good for {}. Ctrl-C ends it.", when::span(code.left())));
}

/// `url` as a QR code (ISO/IEC 18004) of half blocks, light on dark, with its quiet zone; `None` where it is wider than `columns`.
fn picture(url: &str, columns: usize) -> Option<String> {
    let code = QrCode::with_error_correction_level(url, EcLevel::L).ok()?;
    // Four modules of quiet zone on either side.
    if code.width() + 8 > columns {
        return None;
    }
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build())
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
        let picture = picture(url, 80).unwrap();
        let widths: Vec<usize> = picture.lines().map(|line| line.chars().count()).collect();
        // 46 bytes take version 3: 29 modules, two in a line of text, and the quiet zone.
        assert_eq!((widths.len(), widths.iter().all(|width| *width == 37)), (19, true), "{picture}");
        assert!(super::picture(url, 36).is_none() && super::picture(&"x".repeat(9000), 200).is_none());
    }
}
