//! The user's own settings: `--set KEY=TOML` and `--set-env KEY=ENVVAR`.

use std::ffi::OsStr;

use anyhow::{Context as _, anyhow, bail};
use toml_edit::{InlineTable, Key, TomlError, Value};

use crate::edit::{dotted, value_is_within};
use crate::merge_error::{DEEPEST, is_too_deep};

/// The longest key, in bytes, and the most equals signs in it. A key may hold a path, and each sign is tried as its
/// end.
const LONGEST_KEY: usize = 8192;
const MOST_SIGNS: usize = 64;

/// One key and the value it must have.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) key: Vec<String>,
    /// Without spaces or comments around it.
    pub(crate) value: Value,
}

/// Reads `KEY=TOML`. A table is split into its keys, so that it adds to one that is there and replaces nothing else in
/// it.
///
/// No message repeats the value: an argument may hold a secret, and logs are kept.
pub(crate) fn from_toml(argument: &str) -> anyhow::Result<Vec<Setting>> {
    let (key, text) = split(argument).context("--set takes KEY=TOML")?;
    let text = text.trim();
    let too_deep = || anyhow!("--set {}=…: more than {DEEPEST} tables or arrays are nested", dotted(&key));
    let mut value: Value = text.parse().map_err(|e: TomlError| {
        if is_too_deep(&e) {
            return too_deep();
        }
        // For a bare word the parser's message is only about the number that it resembles.
        let is_bare_word = !text.starts_with(['"', '\'', '[', '{']);
        let why = if is_bare_word { String::new() } else { format!(" ({})", e.message()) };
        anyhow!(
            "--set {key}=…: not a TOML value{why}; a string needs its own quotes, as in --set '{key}=\"text\"'",
            key = dotted(&key),
        )
    })?;
    if !value_is_within(&value, DEEPEST - key.len()) {
        bail!(too_deep());
    }
    value.decor_mut().clear();
    let mut settings = Vec::new();
    split_table(key, value, &mut settings);
    Ok(settings)
}

/// Reads `KEY=ENVVAR`: the key and the name of the variable.
pub(crate) fn from_env(argument: &str) -> anyhow::Result<(Vec<String>, &str)> {
    let (key, variable) = split(argument).context("--set-env takes KEY=ENVVAR")?;
    if !is_variable_name(variable) {
        bail!("--set-env {}=…: not the name of an environment variable", dotted(&key));
    }
    Ok((key, variable))
}

/// Letters, digits and underscores: a manifest can set such a variable, and no key or token looks like one.
pub(crate) fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A value from a flag or a variable, without the line end that `echo` or an editor put into its Secret; `None` if
/// nothing is left.
pub(crate) fn clean(text: &str) -> Option<String> {
    let text = text.replace(['\r', '\n'], "");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// As [`clean`], for an environment variable that may be missing.
///
/// # Errors
/// It is not text.
pub(crate) fn clean_variable(content: Option<&OsStr>) -> Result<Option<String>, &'static str> {
    content.map_or(Ok(None), |content| content.to_str().map(clean).ok_or("is not UTF-8"))
}

/// Splits at the first `=` that has a whole key before it, because a quoted part may hold one as well.
fn split(argument: &str) -> anyhow::Result<(Vec<String>, &str)> {
    let Some(first) = argument.find('=') else {
        bail!("there is no = in {argument}");
    };
    if first > LONGEST_KEY {
        bail!("the key is longer than {LONGEST_KEY} bytes");
    }
    let key_before = |at: usize| Key::parse(&argument[..at]).ok().filter(|key| !key.is_empty());
    let (key, rest) = argument
        .match_indices('=')
        .take(MOST_SIGNS)
        .take_while(|(at, _)| *at <= LONGEST_KEY)
        .find_map(|(at, _)| Some((key_before(at)?, &argument[at + 1..])))
        .with_context(|| not_a_key(&argument[..first]))?;
    if key.len() >= DEEPEST {
        bail!(too_many_parts());
    }
    Ok((key.iter().map(|part| part.get().to_owned()).collect(), rest))
}

fn not_a_key(text: &str) -> String {
    if Key::parse(text).is_err_and(|e| is_too_deep(&e)) {
        return too_many_parts();
    }
    format!(
        "{text}=… does not start with a TOML key; a part with dots or spaces needs quotes, as in \
         'mcp_servers.\"my server\".command'"
    )
}

fn too_many_parts() -> String {
    format!("the key has {DEEPEST} parts or more")
}

fn split_table(key: Vec<String>, value: Value, settings: &mut Vec<Setting>) {
    match value {
        Value::InlineTable(table) if !table.is_empty() => {
            for (name, mut value) in table {
                value.decor_mut().clear();
                split_table([key.as_slice(), &[name]].concat(), value, settings);
            }
        }
        Value::InlineTable(_) => settings.push(Setting { key, value: InlineTable::new().into() }),
        value => settings.push(Setting { key, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(argument: &str) -> Vec<(String, String)> {
        let settings = from_toml(argument).unwrap();
        settings.iter().map(|setting| (dotted(&setting.key), setting.value.to_string())).collect()
    }

    fn one(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
    }

    #[test]
    fn reads_a_key_and_a_value() {
        assert_eq!(parsed("a=1"), one("a", "1"));
        assert_eq!(parsed(" a . b = 'x' "), one("a.b", "'x'"));
        assert_eq!(
            parsed("mcp_servers.gh.args=[\"a\", \"b=c\"]"),
            one("mcp_servers.gh.args", "[\"a\", \"b=c\"]")
        );
        assert_eq!(parsed("a={}"), one("a", "{}"));
    }

    #[test]
    fn splits_behind_a_quoted_part_that_holds_an_equals_sign() {
        assert_eq!(parsed("\"a=b\".'c.d'=true"), one("\"a=b\".\"c.d\"", "true"));
    }

    #[test]
    fn splits_a_table_into_its_keys() {
        let expected = [("a.b", "1"), ("a.c.d", "'x'"), ("a.e.f", "[{ g = 1 }]")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(parsed("a={ b = 1, c.d = 'x', e = {f = [{ g = 1 }]} }"), expected);
    }

    #[test]
    fn explains_a_wrong_argument_without_its_value() {
        for (argument, expected) in [
            ("abc", "--set takes KEY=TOML: there is no = in abc"),
            (
                "approval_policy=never",
                "--set approval_policy=…: not a TOML value; \
                 a string needs its own quotes, as in --set 'approval_policy=\"text\"'",
            ),
            (
                "a=[word]",
                "--set a=…: not a TOML value (string values must be quoted, expected literal string); a string \
                 needs its own quotes, as in --set 'a=\"text\"'",
            ),
            (
                "a b=sk-secret",
                "--set takes KEY=TOML: a b=… does not start with a TOML key; a part with dots or spaces needs \
                 quotes, as in 'mcp_servers.\"my server\".command'",
            ),
            (
                "=sk-secret",
                "--set takes KEY=TOML: =… does not start with a TOML key; a part with dots or spaces needs \
                 quotes, as in 'mcp_servers.\"my server\".command'",
            ),
        ] {
            assert_eq!(format!("{:#}", from_toml(argument).unwrap_err()), expected);
        }
        for argument in ["a=", "a=1 2", "a=\"x", "a=[1", "a=sk-secret", "a=1\nb=2"] {
            let message = format!("{:#}", from_toml(argument).unwrap_err());
            assert!(
                message.starts_with("--set a=…: not a TOML value") && !message.contains("secret"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_key_and_a_value_have_bounds() {
        let dotted = |parts| vec!["a"; parts].join(".");
        assert!(from_toml(&format!("{}=1", dotted(DEEPEST - 1))).is_ok());
        let long = format!("--set takes KEY=TOML: the key is longer than {LONGEST_KEY} bytes");
        for (argument, expected) in [
            (format!("{}=1", dotted(DEEPEST)), "--set takes KEY=TOML: the key has 64 parts or more"),
            (format!("{}=1", dotted(1000)), "--set takes KEY=TOML: the key has 64 parts or more"),
            (format!("{}=1", dotted(30_000)), &long),
            (format!("\"{}\"=1", "a".repeat(LONGEST_KEY)), &long),
            (format!("a={}", "[".repeat(60_000)), "--set a=…: more than 64 tables or arrays are nested"),
            (
                format!("a={}1{}", "[".repeat(64), "]".repeat(64)),
                "--set a=…: more than 64 tables or arrays are nested",
            ),
            (
                format!("a={}1{}", format!("{{{}=", dotted(20)).repeat(20), "}".repeat(20)),
                "--set a=…: more than 64 tables or arrays are nested",
            ),
        ] {
            assert_eq!(format!("{:#}", from_toml(&argument).unwrap_err()), expected);
        }
        assert_eq!(parsed(&format!("a={}1{}", "[".repeat(63), "]".repeat(63))).len(), 1);
    }

    #[test]
    fn very_many_equals_signs_take_little_time() {
        let begun = std::time::Instant::now();
        for argument in ["a b".to_owned() + &"=".repeat(100_000), "\"".to_owned() + &"=".repeat(100_000)] {
            assert!(
                from_toml(&argument)
                    .unwrap_err()
                    .chain()
                    .any(|e| e.to_string().contains("does not start with a TOML key"))
            );
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(parsed("\"a==b==c\".d=1"), one("\"a==b==c\".d", "1"));
    }

    #[test]
    fn takes_the_name_of_a_variable_and_not_its_value() {
        assert_eq!(from_env("a.b=GH_TOKEN").unwrap(), (vec!["a".to_owned(), "b".to_owned()], "GH_TOKEN"));
        for argument in ["a.b=", "a.b=ghp-secret", "a.b=1X", "a.b=A B"] {
            let message = format!("{:#}", from_env(argument).unwrap_err());
            assert_eq!(message, "--set-env a.b=…: not the name of an environment variable");
        }
    }

    #[test]
    fn cleans_what_an_editor_or_echo_left() {
        assert_eq!(clean(" sk-1\r\n"), Some("sk-1".to_owned()));
        assert_eq!(clean("sk-\n1"), Some("sk-1".to_owned()));
        assert_eq!(clean(" \n"), None);
        assert_eq!(clean(""), None);
    }
}
