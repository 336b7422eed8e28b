//! A volume with logins that the stand-in has issued, and passes over it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use auth_volume::clock;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use stand_in::{AccountRequest, CLIENT_ID, StandIn};
use tempfile::TempDir;

use crate::pod::shipped;

pub(crate) const ANN: &str = "ann@example.test";
pub(crate) const BEN: &str = "ben@example.test";

/// A token that lives so long is not due.
pub(crate) const LONG: i64 = 864_000;

pub(crate) struct Volume {
    pub(crate) openai: StandIn,
    dir: TempDir,
}

impl Volume {
    pub(crate) fn new() -> Self {
        // The disk's own faults are injected; waiting for a real one to sync proves nothing here.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { openai: StandIn::start(), dir: dir.unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_default()
    }

    /// What a file holds; `Null` if that is not JSON.
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap_or_default()
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.file(name), content).unwrap();
        fs::set_permissions(self.file(name), Permissions::from_mode(0o600)).unwrap();
    }

    /// How long tokens of an account live that are issued from now on.
    pub(crate) fn lifetime(&self, email: &str, seconds: i64) {
        let lifetime = Some(seconds);
        let email = email.to_owned();
        self.openai.account(&AccountRequest {
            email,
            token_lifetime_seconds: lifetime,
            ..AccountRequest::default()
        });
    }

    /// Puts a login into a slot whose access token lives so long; those it is renewed with live long.
    pub(crate) fn put_login(&self, slot: u32, email: &str, seconds: i64) {
        self.lifetime(email, seconds);
        let login = self.openai.sign_in(email).codex_auth_json(self.openai.url());
        self.write(&format!("auth-{slot}.json"), &login.to_string());
        self.lifetime(email, LONG);
    }

    /// Lets a slot's access token end, as if days had passed.
    pub(crate) fn end_access_token(&self, slot: u32) {
        let name = format!("auth-{slot}.json");
        let mut master = self.json(&name);
        let token = &mut master["tokens"]["access_token"];
        let parts: Vec<_> = token.as_str().unwrap().split('.').map(str::to_owned).collect();
        let mut claims: Value =
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(&parts[1]).unwrap()).unwrap();
        claims["exp"] = (clock::now().seconds() - 10).into();
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        *token = format!("{}.{claims}.{}", parts[0], parts[2]).into();
        self.write(&name, &master.to_string());
    }

    pub(crate) fn refresh_token(&self, slot: u32) -> String {
        let master = self.json(&format!("auth-{slot}.json"));
        master["tokens"]["refresh_token"].as_str().unwrap_or_default().to_owned()
    }

    /// Leaves a signal as the callback does: whole at once, and never in the place of one that waits.
    pub(crate) fn signal(&self, signal: &str) -> bool {
        let whole = self.file(".signal-on-its-way");
        fs::write(&whole, signal).unwrap();
        let left = fs::hard_link(&whole, self.file("rotate-now")).is_ok();
        fs::remove_file(whole).unwrap();
        left
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
        record.insert("expires_at".into(), (clock::now().seconds() + lives).into());
        record.insert("account_id".into(), format!("acct-{name}").into());
        Value::Object(record.clone())
    }

    /// How often the rotator asked for new tokens of an account.
    pub(crate) fn refreshes(&self, email: &str) -> usize {
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

    /// Lets a refresh be tried again at once that failed or was in vain.
    pub(crate) fn end_pause(&self) {
        let mut state = self.json("rotator_state.json");
        for account in state["accounts"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut)
        {
            account.remove("refresh_failed");
            account.remove("not_prolonged");
        }
        self.write("rotator_state.json", &state.to_string());
    }

    pub(crate) fn rotate_once(&self) -> Command {
        self.command("rotate-once")
    }

    pub(crate) fn accounts(&self, args: &[&str]) -> Output {
        self.command("accounts").args(args).output().unwrap()
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(shipped(name));
        command
            .env_clear()
            .env("CHATGPT_AUTH_DIR", self.path())
            .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", self.openai.refresh_url())
            .env("CODEX_ROTATION_POLICY", "sticky")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn pass(&self, args: &[&str]) -> Output {
        self.rotate_once().args(args).output().unwrap()
    }
}
