//! What codex writes for a terminal, made fit for a log.

/// The text without escape sequences, and printable like all text that is not our own.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => skip_escape_sequence(&mut rest),
            '\u{9b}' => skip_control_sequence(&mut rest),
            _ => shown.push(character),
        }
    }
    records::text::line(&shown)
}

fn skip_escape_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => skip_control_sequence(rest),
        // A string for the terminal, such as a title: up to BEL, or ESC and a backslash.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = rest.next() {
                match character {
                    '\u{7}' | '\u{9c}' => break,
                    '\u{1b}' => {
                        rest.next();
                        break;
                    }
                    _ => {}
                }
            }
        }
        // Such as the choice of a character set: one more.
        Some(' '..='/') => drop(rest.next()),
        _ => {}
    }
}

fn skip_control_sequence(rest: &mut std::str::Chars<'_>) {
    rest.find(|character| ('@'..='~').contains(character));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_sequence_is_left() {
        for (text, shown) in [
            ("ann@example.test, Élodie, 田中", "ann@example.test, Élodie, 田中"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{9b}2Jgone", "gone"),
            ("a\u{1b}]0;title\u{7}b\u{1b}]8;;http://x\u{1b}\\c", "abc"),
            ("\u{1b}(Bplain\u{1b}", "plain"),
            ("plus\nrotate-once: active account-9", "plus rotate-once: active account-9"),
            ("tab\tbell\u{7}null\0", "tab bell null "),
            ("turned \u{202e}dne eht", "turned dne eht"),
            ("\u{1b}]never ended", ""),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }
}
