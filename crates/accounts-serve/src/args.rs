//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use cli::Listen;

use crate::exec::Exec;

/// Shows the accounts as a page, as metrics for Prometheus, and as JSON
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER_HELP)]
pub struct Args {
    /// Where to listen: an address and a port, or a port on every address, such as :9095
    #[arg(long, value_name = "ADDRESS", env = "ACCOUNTS_LISTEN", default_value = "127.0.0.1:9095", value_parser = Listen::parse)]
    pub(crate) listen: Listen,

    /// A name to answer to, such as an Ingress's; may be repeated, or hold several separated by commas
    ///
    /// IP addresses, localhost, names without a dot and those of the cluster's Services (….svc) are always
    /// answered. Any other name is refused, because otherwise a page elsewhere could make a browser read this
    /// one.
    #[arg(long = "host", value_name = "NAME", env = "ACCOUNTS_HOSTS", value_parser = hosts)]
    pub(crate) hosts: Vec<Names>,

    /// The directory in which rotate-once --digest leaves what is shown
    // `OsString`, because clap refuses an empty path, and charts set variables without a value.
    #[arg(long, value_name = "DIR", env = "ACCOUNTS_DIGEST_DIR", default_value = DIGEST_DIR)]
    digest: OsString,

    #[command(flatten)]
    pub(crate) exec: Exec,
}

const DIGEST_DIR: &str = "/accounts-digest";

const AFTER_HELP: &str = "\
Paths: / is the page; /metrics; /accounts.json, the document that accounts --json prints; /healthz, /readyz

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 usage, 78 cannot listen at that address";

impl Args {
    /// The digest's directory. A variable without a value counts as not set.
    pub(crate) fn digest_dir(&self) -> PathBuf {
        if self.digest.is_empty() { DIGEST_DIR.into() } else { PathBuf::from(&self.digest) }
    }
}

/// Names of one flag, or of the variable.
pub(crate) type Names = Vec<String>;

fn hosts(text: &str) -> Result<Names, String> {
    let names = text.split([',', '\n', ' ']).map(str::trim).filter(|name| !name.is_empty());
    names.map(host).collect()
}

fn host(text: &str) -> Result<String, String> {
    let wrong =
        || format!("expected a name without scheme and port, such as accounts.example.com, not '{text}'");
    name(text).map(str::to_ascii_lowercase).ok_or_else(wrong)
}

/// A host's name as it may stand in a URL, without the dot that may end it.
pub(crate) fn name(text: &str) -> Option<&str> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_part)).then_some(name)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn names_are_one_or_several_without_port_and_scheme() {
        let names = |text: &str| hosts(text).map(|names| names.join(" "));
        assert_eq!(names("Accounts.Example.COM."), Ok("accounts.example.com".to_owned()));
        assert_eq!(names("a.example, b.example,\n"), Ok("a.example b.example".to_owned()));
        assert_eq!(names(""), Ok(String::new()));
        for text in [
            "https://a.example",
            "a.example:443",
            "a.example/",
            "*.example",
            "*",
            ".",
            "a..b",
            "ü.example",
            "[::1]",
        ] {
            assert!(hosts(text).is_err(), "{text}");
        }
    }
}
