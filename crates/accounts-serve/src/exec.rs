//! How a command reaches the pod.

use std::convert::Infallible;
use std::str::FromStr;

/// What stands before a command, with a place for the container's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exec(String);

impl Exec {
    pub(crate) const DEFAULT: &str = "kubectl exec -it deploy/litellm -c {container} --";

    /// The whole of what to type. `rotate-once` is in the rotator's container, everything else in the operator's.
    pub(crate) fn whole(&self, command: &str) -> String {
        let container = if command.starts_with("rotate-once") { "rotator" } else { "codex-cli" };
        format!("{} {command}", self.0.replace("{container}", container)).trim_start().to_owned()
    }
}

impl FromStr for Exec {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_goes_where_its_program_is() {
        let exec: Exec = Exec::DEFAULT.parse().unwrap();
        assert_eq!(
            exec.whole("auth-login 3"),
            "kubectl exec -it deploy/litellm -c codex-cli -- auth-login 3"
        );
        assert_eq!(exec.whole("rotate-once"), "kubectl exec -it deploy/litellm -c rotator -- rotate-once");
        assert_eq!("".parse::<Exec>().unwrap().whole("accounts"), "accounts");
    }
}
