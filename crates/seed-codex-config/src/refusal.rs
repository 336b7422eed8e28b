//! Why a `config.toml` is left as it is, told without a word of what stands in it but key names.

use std::path::Path;

use toml_edit::TomlError;

/// How many tables and arrays may lie in each other. Nobody writes ten, and each one costs stack wherever a document is
/// copied, compared or printed; the parser alone would let dotted keys multiply its own bound.
pub(crate) const DEEPEST: usize = 64;

/// A file that cannot be merged into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not parse. Lines and columns count from 1, columns in characters.
    Malformed { line: usize, column: usize, message: String },
    /// Another thing stands where a key must go.
    InTheWay { key: String, is: &'static str, needed: &'static str },
    /// More tables and arrays lie in each other than anybody writes.
    TooDeep,
    /// No base URL was given, and the file has none.
    NoBaseUrl,
}

impl Refusal {
    /// Only the parser's own words: its full report quotes the line, which may hold a secret.
    pub(crate) fn malformed(text: &str, error: &TomlError) -> Self {
        if is_too_deep(error) {
            return Self::TooDeep;
        }
        let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        Self::at(text, error.span().map_or(text.len(), |span| span.start), message)
    }

    /// For bytes that are no text at all; `before` is the text up to the first of them.
    pub(crate) fn not_utf8(before: &str) -> Self {
        Self::at(before, before.len(), "not UTF-8".to_owned())
    }

    fn at(text: &str, offset: usize, message: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self::Malformed { line, column, message }
    }

    /// The one line for the operator.
    pub(crate) fn about(&self, file: &Path) -> String {
        let file = file.display();
        match self {
            Self::Malformed { line, column, message } => {
                format!("cannot parse {file}: line {line}, column {column}: {message}; mend or remove it")
            }
            Self::InTheWay { key, is, needed } => format!(
                "cannot merge into {file}: {key} is of type {is} and has to be {needed}; mend or remove it"
            ),
            Self::TooDeep => format!(
                "cannot parse {file}: more than {DEEPEST} tables or arrays lie in each other; mend or remove it"
            ),
            Self::NoBaseUrl => format!(
                "no base URL, and none in {file}: pass --base-url or set LITELLM_BASE_URL, as in http://litellm:4000/v1"
            ),
        }
    }
}

/// Whether the parser's own bound of depth was met, of which it does not always say where.
pub(crate) fn is_too_deep(error: &TomlError) -> bool {
    ["recursion limit", "cannot recurse further"].iter().any(|bound| error.message().contains(bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Refusal {
        Refusal::malformed(text, &toml_edit::Document::parse(text).unwrap_err())
    }

    #[test]
    fn counts_lines_and_columns_from_one_and_columns_in_characters() {
        let refusal = refusal("a = 1\n# ü\n\"ü\" = tru\n");
        assert!(matches!(refusal, Refusal::Malformed { line: 3, column: 7, .. }), "{refusal:?}");
    }

    #[test]
    fn counts_the_same_with_windows_line_ends() {
        let refusal = refusal("a = 1\r\n\r\nb = tru\r\n");
        assert!(matches!(refusal, Refusal::Malformed { line: 3, column: 5, .. }), "{refusal:?}");
    }

    #[test]
    fn names_the_end_of_a_file_that_stops_too_early() {
        let refusal = refusal("a = [1,");
        assert!(matches!(refusal, Refusal::Malformed { line: 1, column: 8, .. }), "{refusal:?}");
    }

    #[test]
    fn never_repeats_what_the_line_holds() {
        for text in [
            "key = sk-secret",
            "key = \"sk-secret",
            "sk-secret",
            "key = \"x\" sk-secret",
            "[sk-secret",
            "key = 2026-sk-secret",
            "a=1\na=\"sk-secret\"",
            "a.b=1\na=\"sk-secret\"",
        ] {
            let told = refusal(text).about(Path::new("/c.toml"));
            assert!(!told.contains("secret") && !told.contains('\n'), "{told}");
        }
    }

    #[test]
    fn knows_the_parsers_own_bound_of_depth() {
        let dotted = vec!["a"; 100_000].join(".");
        for text in [
            "a=".to_owned() + &"[".repeat(100_000),
            "a=".to_owned() + &"{a=".repeat(100_000),
            format!("{dotted}=1"),
            format!("[{dotted}]"),
        ] {
            assert_eq!(refusal(&text), Refusal::TooDeep, "{}", &text[..9]);
        }
    }

    #[test]
    fn tells_where_text_ends_and_other_bytes_begin() {
        let expected = Refusal::Malformed { line: 2, column: 3, message: "not UTF-8".to_owned() };
        assert_eq!(Refusal::not_utf8("a = 1\nb "), expected);
    }
}
