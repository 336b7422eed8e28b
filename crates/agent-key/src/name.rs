//! What an agent is called.

use std::fmt;
use std::str::FromStr;

/// The name of an agent, as in the chart's `agents` and in `LiteLLM`'s directory of hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentName(String);

impl AgentName {
    /// The Secret from which the chart gives the agent its key.
    pub(crate) fn secret(&self) -> String {
        format!("agent-{}-litellm-key", self.0)
    }

    /// The file by which `LiteLLM` knows the agent.
    pub(crate) fn file(&self) -> String {
        format!("{}.json", self.0)
    }
}

impl FromStr for AgentName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = (1..=53).contains(&text.len())
            && text.bytes().all(is_inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if !is_name {
            return Err(
                "expected at most 53 lower-case letters, digits and inner dashes, such as ann".to_owned()
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_kubernetes_takes_in_names_of_its_own() {
        for name in ["ann", "a", "ann-2", "7", &"a".repeat(53)] {
            assert_eq!(name.parse::<AgentName>().unwrap().to_string(), name);
        }
        for text in ["", "Ann", "-ann", "ann-", "ann_1", "ann.json", "../ann", "ann\n", &"a".repeat(54)] {
            assert!(text.parse::<AgentName>().is_err(), "{text:?}");
        }
    }
}
