//! The log of requests: who came, with which grant, and how it ended. No token ever gets into it.

use std::fs::File;
use std::io::Write;

use axum::extract::{ConnectInfo, State};
use axum::http::header::USER_AGENT;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::fault::{Fate, Wire};
use crate::token::now_exact;
use crate::turn::Turn;
use crate::world::Shared;

/// One request to `auth.openai.com` or `chatgpt.com`; those to the control API are not recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Seconds since the epoch, when the answer was decided.
    pub at: f64,
    /// As in `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Absent when the connection was closed without an answer.
    pub status: Option<u16>,
    /// E-mail of the account that the grant or bearer belongs to.
    pub account: Option<String>,
    /// The login (family) that the grant or bearer belongs to.
    pub login: Option<usize>,
    /// `authorization_code` or `refresh_token` on `/oauth/token`, `revoke` on `/oauth/revoke`.
    pub grant: Option<String>,
    /// How often its refresh token had been sent before, whatever was answered.
    #[serde(default)]
    pub sent_before: Option<u32>,
    /// The client id in the body.
    pub client_id: Option<String>,
    /// The header `ChatGPT-Account-Id`.
    pub account_id: Option<String>,
    /// Why it was refused: the code answered, or `account_mismatch` and its like.
    pub error: Option<String>,
    /// The fault that befell the answer.
    pub fault: Option<String>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// What it was about, on `/backend-api/codex/responses`.
    #[serde(default)]
    pub turn: Option<Turn>,
}

impl Request {
    /// Whether the bearer belonged to another account than `ChatGPT-Account-Id` named.
    #[must_use]
    pub fn mixes_accounts(&self) -> bool {
        self.error.as_deref() == Some(ACCOUNT_MISMATCH)
    }

    /// Whether it was refused for a limit while another account would have served it.
    #[must_use]
    pub fn was_refused_needlessly(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| !turn.quota_elsewhere.is_empty())
    }
}

pub(crate) const ACCOUNT_MISMATCH: &str = "account_mismatch";

/// What a handler knows about its request; travels in the response's extensions.
#[derive(Clone, Default)]
pub(crate) struct Note {
    pub(crate) account: Option<String>,
    pub(crate) login: Option<usize>,
    pub(crate) grant: Option<String>,
    pub(crate) sent_before: Option<u32>,
    pub(crate) client_id: Option<String>,
    pub(crate) account_id: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) fault: Option<String>,
    pub(crate) turn: Option<Turn>,
}

impl Note {
    pub(crate) fn failing(self, code: &str) -> Self {
        Self { error: Some(code.to_owned()), ..self }
    }

    pub(crate) fn about(self, turn: Turn) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// Fastens the note to an answer.
    pub(crate) fn on(self, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) requests: Vec<Request>,
    pub(crate) file: Option<File>,
}

impl Journal {
    fn add(&mut self, request: Request) {
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_vec(&request).expect("a request is plain data");
            line.push(b'\n');
            if let Err(error) = file.write_all(&line) {
                eprintln!("stand-in: cannot write the log, going on without it: {error}");
                self.file = None;
            }
        }
        self.requests.push(request);
    }
}

/// Records each request before its answer leaves, so that whoever has the answer finds it in the log.
pub(crate) async fn record(
    State(world): State<Shared>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with("/_control/") {
        return next.run(request).await;
    }
    let method = request.method().to_string();
    let user_agent =
        request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);

    let mut response = next.run(request).await;
    let note: Note = response.extensions_mut().remove().unwrap_or_default();
    let fate: Option<Fate> = response.extensions_mut().remove();
    world.lock().journal.add(Request {
        at: now_exact(),
        method,
        path,
        status: (!matches!(fate, Some(Fate::Cut))).then(|| response.status().as_u16()),
        account: note.account,
        login: note.login,
        grant: note.grant,
        sent_before: note.sent_before,
        client_id: note.client_id,
        account_id: note.account_id,
        error: note.error,
        fault: note.fault,
        user_agent,
        turn: note.turn,
    });
    match fate {
        None => response,
        Some(fate) => fate.befall(response, &wire).await,
    }
}
