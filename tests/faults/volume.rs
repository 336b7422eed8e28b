//! A volume with logins that the stand-in has issued, and passes of the release binaries over it.

use std::ops::Deref;
use std::process::{Command, Output, Stdio};

use fixture::workspace::shipped;
use fixture::{Pool, now};
use serde_json::{Value, json};
use stand_in::CLIENT_ID;

pub(crate) struct Volume(Pool);

impl Volume {
    /// In memory: the disk's own faults are injected.
    pub(crate) fn new() -> Self {
        Self(Pool::in_memory())
    }

    /// Refreshes as LiteLLM does, and gives the record that it writes then.
    pub(crate) fn refresh_as_litellm(&self, email: &str, refresh_token: &str) -> Value {
        let request =
            json!({"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": refresh_token});
        let mut answer = ureq::post(self.openai.refresh_url()).send_json(request).unwrap();
        let mut record: Value = serde_json::from_slice(&answer.body_mut().read_to_vec().unwrap()).unwrap();
        let name = email.split('@').next().unwrap();
        let record = record.as_object_mut().unwrap();
        let lives = record.remove("expires_in").unwrap().as_i64().unwrap();
        record.remove("token_type");
        record.insert("expires_at".into(), (now() + lives).into());
        record.insert("account_id".into(), format!("acct-{name}").into());
        Value::Object(record.clone())
    }

    /// How often the rotator asked for new tokens of an account.
    pub(crate) fn refreshes_of(&self, email: &str) -> usize {
        let requests = self.openai.requests_to("/oauth/token");
        let of_rotator =
            |agent: &Option<String>| agent.as_ref().is_some_and(|a| a.starts_with("codex-podkit/"));
        requests.iter().filter(|r| r.account.as_deref() == Some(email) && of_rotator(&r.user_agent)).count()
    }

    /// How often refresh tokens were sent that had been sent before.
    pub(crate) fn sent_again(&self) -> usize {
        let requests = self.openai.requests_to("/oauth/token");
        requests.iter().filter(|request| request.sent_before.is_some_and(|times| times > 0)).count()
    }

    pub(crate) fn rotate_once(&self) -> Command {
        self.command("rotate-once")
    }

    pub(crate) fn accounts(&self, args: &[&str]) -> Output {
        self.command("accounts").args(args).output().unwrap()
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = self.0.command(shipped(name));
        command.env("CODEX_ROTATION_POLICY", "sticky").stdin(Stdio::null());
        command
    }

    pub(crate) fn pass(&self, args: &[&str]) -> Output {
        self.rotate_once().args(args).output().unwrap()
    }
}

impl Deref for Volume {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.0
    }
}
