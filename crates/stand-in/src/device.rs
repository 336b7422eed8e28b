//! `auth.openai.com`, the device flow: a code is asked for, approved elsewhere, and polled for.

use std::collections::VecDeque;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::journal::Note;
use crate::token::random;
use crate::world::Shared;

/// How the device flow goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceBehaviour {
    /// Codes are handed out and can be approved.
    #[default]
    Ok,
    /// Polling answers 401, as when the person refuses.
    Denied,
    /// Polling answers 429.
    TooMany,
    /// Polling answers 500.
    Broken,
    /// No code is handed out: 429, as after asking too often.
    NoCodes,
    /// No code is handed out: 403 and a page for a browser, as to an address that is not let through.
    Challenged,
}

/// A code that nobody has approved yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingCode {
    /// What the person types, `XXXX-XXXXX`.
    pub user_code: String,
}

pub(crate) struct Devices {
    pub(crate) behaviour: DeviceBehaviour,
    /// How often codex is asked to poll.
    pub(crate) interval_seconds: u64,
    approvals: VecDeque<String>,
    /// Approves every code once `approvals` is empty.
    standing_approval: Option<String>,
    attempts: Vec<Attempt>,
}

/// One login under way, known by three codes.
struct Attempt {
    device_auth_id: String,
    user_code: String,
    authorization_code: String,
    verifier: String,
    stage: Stage,
}

enum Stage {
    Waiting,
    /// A code approved in advance still meets one poll as pending, as a person takes time to type.
    Approved {
        email: String,
        pending_polls: u32,
    },
    Answered {
        email: String,
    },
    Redeemed,
}

#[derive(Deserialize)]
pub(crate) struct UsercodeRequest {
    client_id: String,
}

#[derive(Deserialize)]
pub(crate) struct PollRequest {
    device_auth_id: String,
    user_code: String,
}

impl Devices {
    /// Approves the first codes with these accounts in order, and all later ones with the last.
    pub(crate) fn approving(accounts: Vec<String>) -> Self {
        Self {
            behaviour: DeviceBehaviour::Ok,
            interval_seconds: 1,
            standing_approval: accounts.last().cloned(),
            approvals: accounts.into(),
            attempts: Vec::new(),
        }
    }

    /// The next code that is asked for will be approved.
    pub(crate) fn approve_next(&mut self, email: String) {
        self.approvals.push_back(email);
    }

    /// Approves a code that waits; false if there is none such.
    pub(crate) fn approve(&mut self, user_code: &str, email: &str) -> bool {
        let typed = user_code.trim();
        let waiting = self.attempts.iter_mut().find(|attempt| {
            attempt.user_code.eq_ignore_ascii_case(typed) && matches!(attempt.stage, Stage::Waiting)
        });
        let Some(attempt) = waiting else { return false };
        attempt.stage = Stage::Approved { email: email.to_owned(), pending_polls: 0 };
        true
    }

    pub(crate) fn waiting(&self) -> Vec<WaitingCode> {
        let waiting = self.attempts.iter().filter(|attempt| matches!(attempt.stage, Stage::Waiting));
        waiting.map(|attempt| WaitingCode { user_code: attempt.user_code.clone() }).collect()
    }

    /// Who approved the code behind an authorization code that is still good.
    pub(crate) fn approver(&self, authorization_code: &str) -> Option<String> {
        let attempt =
            self.attempts.iter().find(|attempt| attempt.authorization_code == authorization_code)?;
        match &attempt.stage {
            Stage::Answered { email } => Some(email.clone()),
            Stage::Waiting | Stage::Approved { .. } | Stage::Redeemed => None,
        }
    }

    /// Uses up an authorization code for the account that approved it.
    pub(crate) fn redeem(&mut self, authorization_code: &str, code_verifier: &str) -> Option<String> {
        let email = self.approver(authorization_code)?;
        let attempt =
            self.attempts.iter_mut().find(|attempt| attempt.authorization_code == authorization_code)?;
        if attempt.verifier != code_verifier {
            return None;
        }
        attempt.stage = Stage::Redeemed;
        Some(email)
    }

    fn issue(&mut self) -> Value {
        let approval = self.approvals.pop_front().or_else(|| self.standing_approval.clone());
        let drawn = random().to_uppercase();
        let attempt = Attempt {
            device_auth_id: format!("deviceauth-{}", random()),
            user_code: format!("{}-{}", &drawn[..4], &drawn[4..9]),
            authorization_code: format!("ac-{}", random()),
            verifier: format!("cv-{}", random()),
            stage: approval.map_or(Stage::Waiting, |email| Stage::Approved { email, pending_polls: 1 }),
        };
        let answer = json!({
            "device_auth_id": attempt.device_auth_id,
            "user_code": attempt.user_code,
            "interval": self.interval_seconds.to_string(),
        });
        self.attempts.push(attempt);
        answer
    }

    /// The answer to one poll, and who approved.
    fn poll(&mut self, request: &PollRequest) -> (StatusCode, Value, Option<String>) {
        let attempt = self.attempts.iter_mut().find(|attempt| {
            attempt.device_auth_id == request.device_auth_id && attempt.user_code == request.user_code
        });
        let Some(attempt) = attempt else {
            return (StatusCode::BAD_REQUEST, error("unknown_device_code"), None);
        };
        match &mut attempt.stage {
            Stage::Waiting => (StatusCode::FORBIDDEN, error("authorization_pending"), None),
            Stage::Approved { pending_polls, .. } if *pending_polls > 0 => {
                *pending_polls -= 1;
                (StatusCode::FORBIDDEN, error("authorization_pending"), None)
            }
            Stage::Approved { email, .. } => {
                let email = email.clone();
                attempt.stage = Stage::Answered { email: email.clone() };
                let answer = json!({
                    "authorization_code": attempt.authorization_code,
                    "code_challenge": "stand-in",
                    "code_verifier": attempt.verifier,
                });
                (StatusCode::OK, answer, Some(email))
            }
            Stage::Answered { .. } | Stage::Redeemed => {
                (StatusCode::BAD_REQUEST, error("device_code_used"), None)
            }
        }
    }
}

/// `POST /api/accounts/deviceauth/usercode`
pub(crate) async fn usercode(State(world): State<Shared>, Json(request): Json<UsercodeRequest>) -> Response {
    let mut world = world.lock();
    let note = Note { client_id: Some(request.client_id), ..Note::default() };
    match world.devices.behaviour {
        DeviceBehaviour::NoCodes => {
            note.failing("too_many_codes").on((StatusCode::TOO_MANY_REQUESTS, Json(error("too_many_codes"))))
        }
        DeviceBehaviour::Challenged => {
            note.failing("challenge").on((StatusCode::FORBIDDEN, Html("<title>Just a moment...</title>")))
        }
        _ => note.on((StatusCode::OK, Json(world.devices.issue()))),
    }
}

/// `POST /api/accounts/deviceauth/token`
pub(crate) async fn poll(State(world): State<Shared>, Json(request): Json<PollRequest>) -> Response {
    let refuse = |status, code| Note::default().failing(code).on((status, Json(error(code))));
    let mut world = world.lock();
    match world.devices.behaviour {
        DeviceBehaviour::Denied => refuse(StatusCode::UNAUTHORIZED, "access_denied"),
        DeviceBehaviour::TooMany => refuse(StatusCode::TOO_MANY_REQUESTS, "slow_down"),
        DeviceBehaviour::Broken => refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        DeviceBehaviour::Ok | DeviceBehaviour::NoCodes | DeviceBehaviour::Challenged => {
            let (status, answer, account) = world.devices.poll(&request);
            Note { account, ..Note::default() }.on((status, Json(answer)))
        }
    }
}

fn error(code: &str) -> Value {
    json!({"error": {"code": code, "message": format!("stand-in: {code}")}})
}
