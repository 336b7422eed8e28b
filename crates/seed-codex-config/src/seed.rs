//! What codex's `config.toml` must say for a `LiteLLM` proxy, merged into what it already says.

use std::collections::HashSet;

use toml_edit::{DocumentMut, Value};

use crate::edit;
use crate::merge_error::{self, MergeError};
use crate::setting::Setting;

const DEFAULT_MODEL: &str = "gpt-5.6-sol";
const DEFAULT_ENV_KEY: &str = "LITELLM_API_KEY";
const PROVIDER: &str = "model_providers.litellm";

/// What to write into the file, checked and without line ends.
#[derive(Default)]
pub(crate) struct SeedOptions {
    pub(crate) base_url: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) env_key: Option<String>,
    /// The user's own settings take precedence over everything else, and a later one over those before.
    pub(crate) settings: Vec<Setting>,
}

/// The outcome of a merge.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The whole new text.
    pub(crate) text: String,
    /// The keys whose value is new or has changed; if there are none, the text is the old one.
    pub(crate) changed: Vec<String>,
    /// The variable in which codex will look for its key.
    pub(crate) env_key: Option<String>,
    model: String,
    endpoint: String,
}

impl Merged {
    /// The model that codex now uses, and through which proxy, for the log.
    pub(crate) fn route(&self) -> String {
        format!("model {} through {}", self.model, without_credentials(&self.endpoint))
    }
}

/// Merges the options into the text of a `config.toml`.
pub(crate) fn merge(existing: &str, options: &SeedOptions) -> Result<Merged, MergeError> {
    let parsed: DocumentMut = existing.parse().map_err(|e| MergeError::malformed(existing, &e))?;
    if !edit::is_within(parsed.as_item(), merge_error::DEEPEST) {
        return Err(MergeError::TooDeep);
    }
    // If there are only comments, they would end up below the keys.
    let (comments, mut document) =
        if parsed.is_empty() { (existing.trim_end(), DocumentMut::new()) } else { ("", parsed) };
    let mut changed = Vec::new();
    for Setting { key, value } in settings(&document, options) {
        if edit::set(&mut document, &key, &value)? {
            changed.push(edit::dotted(&key));
        }
    }
    if text_at(&document, &in_provider("base_url")).is_none() {
        return Err(MergeError::NoBaseUrl);
    }
    let has = |name| edit::get(&document, &in_provider(name)).is_some();
    if has("auth") && has("env_key") {
        return Err(MergeError::TwoKeys);
    }
    let provider = text_at(&document, &[key("model_provider")]).unwrap_or_default();
    let of_provider = |name| text_at(&document, &[key("model_providers"), provider.clone(), key(name)]);
    Ok(Merged {
        env_key: of_provider("env_key"),
        model: text_at(&document, &[key("model")]).unwrap_or_default(),
        endpoint: of_provider("base_url").unwrap_or_else(|| provider.clone()),
        text: match comments {
            // Printing could change the layout.
            _ if changed.is_empty() => existing.to_owned(),
            "" => document.to_string(),
            comments => format!("{comments}\n{document}"),
        },
        changed,
    })
}

/// Every key to set, in the order of a new file; if a key is given twice, only the later one.
fn settings(document: &DocumentMut, options: &SeedOptions) -> Vec<Setting> {
    let or_default = |given: &Option<String>, key: &[String], default: &str| match given {
        Some(given) => Some(given.clone()),
        None if text_at(document, key).is_some() => None,
        None => Some(default.to_owned()),
    };
    let model = [key("model")];
    let (name, env_key, auth) = (in_provider("name"), in_provider("env_key"), in_provider("auth"));
    // The key comes from a program, and codex takes no variable beside it.
    let has_auth = edit::get(document, &auth).is_some()
        || options.settings.iter().any(|setting| setting.key.starts_with(&auth));
    let env_key_text = match &options.env_key {
        None if has_auth => None,
        given => or_default(given, &env_key, DEFAULT_ENV_KEY),
    };
    let ours = [
        (vec![key("model_provider")], Some(key("litellm"))),
        (model.to_vec(), or_default(&options.model, &model, DEFAULT_MODEL)),
        (name.clone(), or_default(&None, &name, "LiteLLM")),
        (in_provider("base_url"), options.base_url.clone()),
        (env_key, env_key_text),
        // Codex no longer supports "chat", and does not start with it.
        (in_provider("wire_api"), Some(key("responses"))),
    ];
    let ours = ours.into_iter().filter_map(|(key, text)| Some(Setting { key, value: Value::from(text?) }));
    let all: Vec<Setting> = ours.chain(options.settings.iter().cloned()).collect();
    let mut later = HashSet::new();
    let mut last: Vec<Setting> =
        all.iter().rev().filter(|setting| later.insert(&setting.key)).cloned().collect();
    last.reverse();
    last
}

/// The string at a path; an empty one counts as none.
fn text_at(document: &DocumentMut, path: &[String]) -> Option<String> {
    edit::get(document, path)?.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn key(name: &str) -> String {
    name.to_owned()
}

fn in_provider(name: &str) -> Vec<String> {
    PROVIDER.split('.').chain([name]).map(str::to_owned).collect()
}

/// A URL may carry `user:password@` and a query; neither belongs in a log.
fn without_credentials(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or_default())
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::from_toml;

    const URL: &str = "http://litellm:4000/v1";

    fn options(settings: &[&str]) -> SeedOptions {
        let settings = settings.iter().flat_map(|argument| from_toml(argument).unwrap()).collect();
        SeedOptions { base_url: Some(URL.to_owned()), settings, ..SeedOptions::default() }
    }

    #[test]
    fn writes_a_whole_new_file() {
        let merged = merge("", &options(&[])).unwrap();
        let expected = "model_provider = \"litellm\"\nmodel = \"gpt-5.6-sol\"\n\n[model_providers.litellm]\n\
            name = \"LiteLLM\"\nbase_url = \"http://litellm:4000/v1\"\nenv_key = \"LITELLM_API_KEY\"\nwire_api = \"responses\"\n";
        assert_eq!(merged.text, expected);
        assert_eq!(merged.route(), "model gpt-5.6-sol through http://litellm:4000/v1");
    }

    #[test]
    fn a_second_merge_changes_nothing() {
        let once = merge("# mine\n[tools]\nx = 1", &options(&["a.b={c = [1]}", "tools.y='z'"])).unwrap();
        let twice = merge(&once.text, &options(&["a.b={c = [1]}", "tools.y='z'"])).unwrap();
        assert_eq!(twice.text, once.text);
        assert!(twice.changed.is_empty());
    }

    #[test]
    fn names_the_keys_that_changed_and_no_others() {
        let before = merge("", &options(&[]))
            .unwrap()
            .text
            .replace("litellm:4000", "old")
            .replace("responses", "chat");
        let merged = merge(&before, &options(&[])).unwrap();
        assert_eq!(merged.changed, ["model_providers.litellm.base_url", "model_providers.litellm.wire_api"]);
    }

    #[test]
    fn the_last_setting_for_a_key_wins() {
        let settings = ["model='a'", "wire_api=1", "model='b'", "model_providers.litellm={wire_api='c'}"];
        let merged = merge("model = 'b'\n", &options(&settings)).unwrap();
        assert!(merged.text.starts_with("model = 'b'\n"), "{}", merged.text);
        assert!(merged.text.contains("wire_api = 'c'"), "{}", merged.text);
        assert!(!merged.changed.contains(&"model".to_owned()));
    }

    #[test]
    fn a_value_that_is_empty_in_the_file_counts_as_none() {
        let before = "model = ' '\n[model_providers.litellm]\nbase_url = ''\nenv_key = ''\n";
        let merged = merge(before, &options(&[])).unwrap();
        assert_eq!(merged.env_key.as_deref(), Some("LITELLM_API_KEY"));
        assert_eq!(merged.route(), "model gpt-5.6-sol through http://litellm:4000/v1");
        assert_eq!(merge(before, &SeedOptions::default()).unwrap_err(), MergeError::NoBaseUrl);
    }

    #[test]
    fn a_base_url_may_also_come_from_the_file_or_a_setting() {
        merge("model_providers.litellm.base_url = 'http://x'", &SeedOptions::default()).unwrap();
        let settings = from_toml("model_providers.litellm.base_url='http://x'").unwrap();
        merge("", &SeedOptions { settings, ..SeedOptions::default() }).unwrap();
    }

    #[test]
    fn the_key_is_the_one_of_the_provider_in_use() {
        let settings = ["model_provider='other'", "model_providers.other.env_key='OTHER_KEY'"];
        let merged = merge("", &options(&settings)).unwrap();
        assert_eq!(merged.env_key.as_deref(), Some("OTHER_KEY"));
        assert_eq!(merged.route(), "model gpt-5.6-sol through other");
        assert_eq!(merge("", &options(&["model_provider='openai'"])).unwrap().env_key, None);
    }

    #[test]
    fn a_provider_whose_key_comes_from_a_program_gets_no_variable_for_it() {
        let auth = "[model_providers.litellm]\nauth = { command = '/bin/key' }\n";
        let merged = merge(auth, &options(&[])).unwrap();
        assert!(!merged.text.contains("env_key"), "{}", merged.text);
        assert_eq!(merged.env_key, None);
        let merged = merge("", &options(&["model_providers.litellm.auth.command='/bin/key'"])).unwrap();
        assert!(!merged.text.contains("env_key"), "{}", merged.text);
    }

    #[test]
    fn what_codex_would_refuse_for_two_keys_is_refused_here() {
        let both = "[model_providers.litellm]\nauth = { command = '/bin/key' }\nenv_key = 'KEY'\n";
        assert_eq!(merge(both, &options(&[])).unwrap_err(), MergeError::TwoKeys);
        let auth = "[model_providers.litellm.auth]\ncommand = '/bin/key'\n";
        let asked = SeedOptions { env_key: Some("KEY".to_owned()), ..options(&[]) };
        assert_eq!(merge(auth, &asked).unwrap_err(), MergeError::TwoKeys);
    }

    #[test]
    fn no_credentials_of_a_url_reach_the_log() {
        for (url, shown) in [
            ("http://user:secret@litellm:4000/v1?key=secret", "http://litellm:4000/v1"),
            ("https://litellm#secret", "https://litellm"),
            ("http://a@b@litellm/v1/@x", "http://litellm/v1/@x"),
            ("openai", "openai"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
