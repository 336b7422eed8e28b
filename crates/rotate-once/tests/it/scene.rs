//! A pool, and passes of `rotate-once` over it.

use std::ops::Deref;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use fixture::{ANN, BEN, Pool, wait_within};

/// How soon what is waited for has to happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) struct Scene {
    pool: Pool,
    /// Where tokens are refreshed.
    pub(crate) url: String,
}

impl Scene {
    /// A pool to which no account has signed in.
    pub(crate) fn new() -> Self {
        let pool = Pool::new();
        Self { url: pool.openai.refresh_url(), pool }
    }

    /// With ann in slot 1 and ben in slot 2, whose access tokens live this long; new ones live long.
    pub(crate) fn living(seconds: i64) -> Self {
        let scene = Self::new();
        scene.put_login_for(1, ANN, seconds);
        scene.put_login_for(2, BEN, seconds);
        scene
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = self.pool.command(cargo_bin("rotate-once"));
        command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", &self.url);
        command
    }

    /// What a pass logs.
    pub(crate) fn pass(&self, args: &[&str]) -> String {
        logged(self.command().args(args).output().unwrap())
    }

    /// What a pass that ends with this code logs, with times made equal.
    pub(crate) fn pass_to(&self, exit: i32, args: &[&str]) -> String {
        let output = self.command().args(args).output().unwrap();
        let code = output.status.code();
        let logged = logged(output);
        assert_eq!(code, Some(exit), "{logged}");
        let words = logged.split_inclusive(' ').map(|word| {
            let is_time = word.len() > 19 && word.as_bytes()[..2] == *b"20" && word.contains('T');
            if is_time {
                word.get(20..).map(|rest| format!("TIME{rest}")).unwrap_or_default()
            } else {
                word.to_owned()
            }
        });
        words.collect()
    }

    /// Starts a pass, and waits until a grant is with the issuer.
    pub(crate) fn waiting_for_the_issuer(&self) -> Child {
        let pass = self.command().stderr(Stdio::piped()).spawn().unwrap();
        let before = self.refreshes();
        let is_sent = || self.names().iter().any(|name| name.contains(".sent"));
        wait_within(SOON, "a refresh is sent", is_sent);
        wait_within(SOON, "the issuer has it", || self.refreshes() > before || before > 0);
        pass
    }
}

impl Deref for Scene {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

/// What a pass that was started logs until it ends.
pub(crate) fn said(pass: Child) -> String {
    logged(pass.wait_with_output().unwrap())
}

fn logged(output: Output) -> String {
    let logged = String::from_utf8(output.stderr).unwrap();
    assert!(!logged.contains("eyJ") && !logged.contains("rt-stand-in"), "a token in the log: {logged}");
    logged
}
