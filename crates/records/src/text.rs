//! Text from outside, made printable. Tokens, signals and files may hold characters that steer a terminal, start another
//! line, or reverse a line; everything that is shown of them passes through here.

use serde_json::Value;

/// The longest name, plan or reason that is shown, in characters.
const LONGEST_TEXT: usize = 256;

/// The longest line that is shown, in characters.
const LONGEST_LINE: usize = 4096;

/// A name, a plan, a code or a reason: printable, and of 256 characters at most.
#[must_use]
pub fn printable(text: &str) -> String {
    bounded(text, LONGEST_TEXT)
}

/// A whole line, as in a log: printable, and of 4096 characters at most.
#[must_use]
pub fn line(text: &str) -> String {
    bounded(text, LONGEST_LINE)
}

/// A document for scripts, with every text in it as [`line()`] gives it, so that a script may print it.
#[must_use]
pub fn document(value: Value) -> Value {
    match value {
        Value::String(text) => line(&text).into(),
        Value::Array(values) => values.into_iter().map(document).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, document(value))).collect(),
        value => value,
    }
}

fn bounded(text: &str, longest: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(longest));
    let mut before = ' ';
    // One more than fits, to see whether the text is too long.
    for c in text.chars().filter_map(|c| fit(c, &mut before)).take(longest + 1) {
        shown.push(c);
    }
    if let Some((end, _)) = shown.char_indices().nth(longest) {
        shown.truncate(end);
        shown.pop();
        shown.push('…');
    }
    shown
}

/// The character that is shown for a character, if any is.
fn fit(c: char, before: &mut char) -> Option<char> {
    let fit = match c {
        c if c.is_control() => Some(' '),
        '\u{2028}' | '\u{2029}' => Some(' '),
        // Persian, Indic scripts and emoji need joiners; between ASCII letters they only hide.
        '\u{200c}' | '\u{200d}' => Some(c).filter(|_| !before.is_ascii()),
        c if is_invisible(c) => None,
        c => Some(c),
    };
    // Of several joiners in a row only the first follows a letter.
    *before = if matches!(fit, Some('\u{200c}' | '\u{200d}')) { ' ' } else { fit.unwrap_or(*before) };
    fit
}

/// Whether a character reverses text, has no width or looks like nothing: Unicode's ignorable characters except the
/// variation selectors of emoji.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_steers_a_terminal_or_hides_is_not_shown() {
        for (text, shown) in [
            ("ann@example.test", "ann@example.test"),
            ("名前@例え.jp", "名前@例え.jp"),
            ("plus\nrotate-once: active account-9", "plus rotate-once: active account-9"),
            ("a\x1b[31mb\x07\x7f", "a [31mb  "),
            ("a\u{9b}31mb\u{85}c", "a 31mb c"),
            ("a\u{2028}b\u{2029}c", "a b c"),
            ("\u{202e}tset\u{202c} \u{2066}x\u{2069}\u{200e}\u{200f}\u{61c}", "tset x"),
            ("\u{feff}pl\u{200b}us\u{2060}\u{ad}", "plus"),
            ("pro\u{e0041}\u{e0042}\u{e007f}", "pro"),
            ("an\u{200d}n\u{200c}", "ann"),
            // A word of Persian and a family.
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("👩\u{200d}👧 ❤\u{fe0f}", "👩\u{200d}👧 ❤\u{fe0f}"),
            ("👩\u{200d}\u{200d}\u{200d}👧", "👩\u{200d}👧"),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
            assert_eq!(line(text), shown, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_ends_in_an_ellipsis() {
        let long = "é".repeat(300);
        assert_eq!(printable(&long[..512]).chars().count(), 256, "what just fits is whole");
        assert!(printable(&long[..512]).ends_with('é'));
        assert_eq!(printable(&long), "é".repeat(255) + "…");
        assert_eq!(line(&long), long);
        assert_eq!(line(&"x".repeat(5000)), "x".repeat(4095) + "…");
    }

    #[test]
    fn a_document_is_clean_all_the_way_down() {
        let dirty = json!({"a": ["\u{202e}x", {"b": "y\u{1b}", "c": 1, "d": null}]});
        assert_eq!(document(dirty), json!({"a": ["x", {"b": "y ", "c": 1, "d": null}]}));
    }

    proptest! {
        #[test]
        fn what_was_made_printable_stays_as_it_is(text in "[ -~é…👩\u{1b}\u{200d}\u{202e}\u{fe0f}\u{feff}]{0,300}|\\PC*|.*") {
            let shown = printable(&text);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_invisible(c)));
            prop_assert!(shown.chars().count() <= LONGEST_TEXT);
            prop_assert_eq!(printable(&shown), shown);
        }
    }
}
