//! How a command reaches the pod.

use clap::Args;
use records::remedy;

/// What is put before each command, or in its place.
#[derive(Clone, Debug, Args)]
pub(crate) struct Exec {
    /// What to put before each command to copy; {container} becomes codex-cli or rotator
    #[arg(id = "exec", long = "exec", value_name = "PREFIX", env = "ACCOUNTS_EXEC", default_value = Exec::DEFAULT)]
    prefix: String,

    /// The command to copy for running the rotator at once, if that is not rotate-once in its container
    #[arg(long, value_name = "COMMAND", env = "ACCOUNTS_ROTATE")]
    rotate: Option<String>,
}

impl Exec {
    const DEFAULT: &str = "kubectl exec -it deploy/litellm -c {container} --";

    /// The whole command to type. `rotate-once` is in the rotator's container, everything else in codex-cli.
    pub(crate) fn whole(&self, command: &str) -> String {
        let rotates = command.split(' ').next() == Some(remedy::PASS);
        if let Some(rotate) =
            self.rotate.as_deref().map(str::trim).filter(|rotate| rotates && !rotate.is_empty())
        {
            return rotate.to_owned();
        }
        let container = if rotates { "rotator" } else { "codex-cli" };
        format!("{} {command}", self.prefix.trim().replace("{container}", container)).trim_start().to_owned()
    }
}

#[cfg(test)]
impl Default for Exec {
    fn default() -> Self {
        Self { prefix: Self::DEFAULT.to_owned(), rotate: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_goes_where_its_program_is() {
        let exec = Exec::default();
        assert_eq!(
            exec.whole("auth-login 3"),
            "kubectl exec -it deploy/litellm -c codex-cli -- auth-login 3"
        );
        assert_eq!(exec.whole("rotate-once"), "kubectl exec -it deploy/litellm -c rotator -- rotate-once");
    }

    #[test]
    fn without_a_prefix_a_command_stays_as_it_is() {
        let exec = Exec { prefix: String::new(), rotate: Some(String::new()) };
        assert_eq!(exec.whole("accounts"), "accounts");
        assert_eq!(exec.whole("rotate-once"), "rotate-once");
    }

    #[test]
    fn the_rotator_may_be_run_in_another_way() {
        let exec = Exec { rotate: Some("kubectl create job".to_owned()), ..Exec::default() };
        assert_eq!(exec.whole("rotate-once"), "kubectl create job");
        assert_eq!(exec.whole("accounts"), Exec::default().whole("accounts"));
    }
}
