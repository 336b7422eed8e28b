//! Why a `config.toml` cannot be merged into. The messages name keys, and repeat nothing else of the file.

use std::path::Path;

use toml_edit::TomlError;

/// How many tables and arrays may be nested. Ten are hardly ever written, and each costs stack wherever a document is
/// copied, compared or printed. The parser has a bound of its own, but dotted keys multiply it.
pub(crate) const DEEPEST: usize = 64;

/// A file that cannot be merged into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MergeError {
    /// It does not parse. Lines and columns count from 1, columns in characters.
    Malformed { line: usize, column: usize, message: String },
    /// Something of another type is where a key must go.
    Conflict { key: String, is: &'static str, needed: &'static str },
    /// Too many tables and arrays are nested.
    TooDeep,
    /// No base URL was given, and the file has none.
    NoBaseUrl,
    /// The provider has a program that gives its key, beside which codex takes no variable with one.
    TwoKeys,
}

impl MergeError {
    /// Uses only the parser's message: its full report quotes the line, which may hold a secret.
    pub(crate) fn malformed(text: &str, error: &TomlError) -> Self {
        if is_too_deep(error) {
            return Self::TooDeep;
        }
        let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        Self::at(text, error.span().map_or(text.len(), |span| span.start), message)
    }

    /// For bytes that are not text; `before` is the text up to the first of them.
    pub(crate) fn not_utf8(before: &str) -> Self {
        Self::at(before, before.len(), "not UTF-8".to_owned())
    }

    fn at(text: &str, offset: usize, message: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self::Malformed { line, column, message }
    }

    /// The line for the log.
    pub(crate) fn line(&self, file: &Path) -> String {
        let file = file.display();
        match self {
            Self::Malformed { line, column, message } => {
                format!("cannot parse {file}: line {line}, column {column}: {message}; correct or remove it")
            }
            Self::Conflict { key, is, needed } => format!(
                "cannot merge into {file}: {key} is of type {is} and has to be {needed}; correct or remove it"
            ),
            Self::TooDeep => format!(
                "cannot parse {file}: more than {DEEPEST} tables or arrays are nested; correct or remove it"
            ),
            Self::NoBaseUrl => format!(
                "no base URL, and none in {file}: pass --base-url or set LITELLM_BASE_URL, as in http://litellm:4000/v1"
            ),
            Self::TwoKeys => format!(
                "cannot merge into {file}: model_providers.litellm has auth, beside which codex takes no env_key; remove one of them"
            ),
        }
    }
}

/// Whether the parser's own bound of depth was reached. It does not always say where.
pub(crate) fn is_too_deep(error: &TomlError) -> bool {
    ["recursion limit", "cannot recurse further"].iter().any(|bound| error.message().contains(bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> MergeError {
        MergeError::malformed(text, &toml_edit::Document::parse(text).unwrap_err())
    }

    #[test]
    fn counts_lines_and_columns_from_one_and_columns_in_characters() {
        let error = error("a = 1\n# ü\n\"ü\" = tru\n");
        assert!(matches!(error, MergeError::Malformed { line: 3, column: 7, .. }), "{error:?}");
    }

    #[test]
    fn counts_the_same_with_windows_line_ends() {
        let error = error("a = 1\r\n\r\nb = tru\r\n");
        assert!(matches!(error, MergeError::Malformed { line: 3, column: 5, .. }), "{error:?}");
    }

    #[test]
    fn names_the_end_of_a_file_that_stops_too_early() {
        let error = error("a = [1,");
        assert!(matches!(error, MergeError::Malformed { line: 1, column: 8, .. }), "{error:?}");
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
            let message = error(text).line(Path::new("/c.toml"));
            assert!(!message.contains("secret") && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn recognizes_the_parsers_own_bound_of_depth() {
        let dotted = vec!["a"; 100_000].join(".");
        for text in [
            "a=".to_owned() + &"[".repeat(100_000),
            "a=".to_owned() + &"{a=".repeat(100_000),
            format!("{dotted}=1"),
            format!("[{dotted}]"),
        ] {
            assert_eq!(error(&text), MergeError::TooDeep, "{}", &text[..9]);
        }
    }

    #[test]
    fn says_where_text_ends_and_other_bytes_begin() {
        let expected = MergeError::Malformed { line: 2, column: 3, message: "not UTF-8".to_owned() };
        assert_eq!(MergeError::not_utf8("a = 1\nb "), expected);
    }
}
