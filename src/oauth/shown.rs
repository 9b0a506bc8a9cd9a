//! Text of a service, as it may be shown to a person.

/// The most letters of it.
const LENGTH: usize = 200;

/// `text` without control characters and those that turn or hide what is written, and not longer than a line or two.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(LENGTH).map(|letter| if steers(letter) { '\u{fffd}' } else { letter }).collect();
    if text.chars().nth(LENGTH).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and what Unicode calls format characters, as far as they change how a line reads (UTS 55).
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_or_turns_a_line_is_not_shown() {
        assert_eq!(
            shown("no\u{1b}[2J\r\nsorry \u{202e}lived\u{200b}"),
            "no\u{fffd}[2J\u{fffd}\u{fffd}sorry \u{fffd}lived\u{fffd}"
        );
        assert_eq!(shown("Zugriff verweigert: für Ärzte, 医者 🩺"), "Zugriff verweigert: für Ärzte, 医者 🩺");
        let long = shown(&"é".repeat(5000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (201, true));
    }
}
