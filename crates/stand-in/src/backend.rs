//! `chatgpt.com`: the answers of the model, and how much of the cap is used up.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::account::{Account, Behaviour};
use crate::answer;
use crate::journal::{ACCOUNT_MISMATCH, Note};
use crate::token::now;
use crate::world::{Shared, World};

/// `POST /backend-api/codex/responses`
pub(crate) async fn responses(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let (account, note) = match admit(&mut world.lock(), &headers) {
        Ok(admitted) => admitted,
        Err(refused) => return *refused,
    };
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    if request["stream"] != true {
        let detail = Json(json!({"detail": "Stream must be set to true"}));
        return note.failing("stream_required").on((StatusCode::BAD_REQUEST, detail));
    }
    let model = request["model"].as_str().unwrap_or("unknown");
    let events = |events: String| (usage_headers(&account), [(CONTENT_TYPE, "text/event-stream")], events);
    match account.behaviour_now() {
        Behaviour::Ok => note.on(events(answer::completed(&account, model))),
        Behaviour::CappedInStream => note.failing("usage_limit_reached").on(events(answer::failed(model))),
        refusing => refuse(&account, refusing, note),
    }
}

/// `GET /backend-api/wham/usage`
pub(crate) async fn usage(State(world): State<Shared>, headers: HeaderMap) -> Response {
    let (account, note) = match admit(&mut world.lock(), &headers) {
        Ok(admitted) => admitted,
        Err(refused) => return *refused,
    };
    let capped = is_capped(&account);
    let window = |used: f64, seconds: i64, reset: i64| {
        json!({
            "used_percent": used,
            "limit_window_seconds": seconds,
            "reset_at": reset,
            "reset_after_seconds": reset - now(),
        })
    };
    note.on(Json(json!({
        "user_id": account.user_id,
        "account_id": account.account_id,
        "email": account.email,
        "plan_type": account.plan,
        "rate_limit": {
            "allowed": !capped,
            "limit_reached": capped,
            "primary_window": window(used_percent(&account), PRIMARY_MINUTES * 60, account.resets_at),
            "secondary_window": window(SECONDARY_PERCENT, SECONDARY_MINUTES * 60, now() + 259_200),
        },
    })))
}

/// The account behind the bearer; else a 401, and the log says why.
fn admit(world: &mut World, headers: &HeaderMap) -> Result<(Account, Note), Box<Response>> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let named = text(HeaderName::from_static("chatgpt-account-id")).map(str::to_owned);
    let bearer = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let mut note = Note { account_id: named.clone(), ..Note::default() };

    let Some((access, refused)) = bearer.and_then(|bearer| world.logins.bearer(bearer)) else {
        return Err(Box::new(unauthorized(note, "invalid_token")));
    };
    note.account = Some(access.email.clone());
    note.login = Some(access.login);
    if let Some(code) = refused {
        return Err(Box::new(unauthorized(note, code)));
    }
    match named {
        None => Err(Box::new(unauthorized(note, "account_missing"))),
        Some(named) if named != access.account_id => Err(Box::new(unauthorized(note, ACCOUNT_MISMATCH))),
        Some(_) => Ok((world.account(&access.email).clone(), note)),
    }
}

fn unauthorized(note: Note, code: &str) -> Response {
    let message = match code {
        "token_invalidated" => "Your authentication token has been invalidated. Please try signing in again.",
        "token_expired" => "Provided authentication token is expired. Please try signing in again.",
        ACCOUNT_MISMATCH | "account_missing" => "The token does not belong to the account named.",
        _ => "Could not parse your authentication token. Please try signing in again.",
    };
    let body = json!({
        "error": {"message": message, "type": "invalid_request_error", "code": code},
        "status": 401,
    });
    note.failing(code).on((StatusCode::UNAUTHORIZED, Json(body)))
}

fn refuse(account: &Account, behaviour: Behaviour, note: Note) -> Response {
    let error = |status: StatusCode, kind: &str, code: &str, message: &str| {
        (status, Json(json!({"error": {"message": message, "type": kind, "code": code}}))).into_response()
    };
    match behaviour {
        Behaviour::Invalidated => unauthorized(note, "token_invalidated"),
        Behaviour::RateLimited => note.failing("rate_limit_exceeded").on(error(
            StatusCode::TOO_MANY_REQUESTS,
            "requests",
            "rate_limit_exceeded",
            "Rate limit reached. Please try again later.",
        )),
        Behaviour::Forbidden => note.failing("forbidden").on(error(
            StatusCode::FORBIDDEN,
            "permission_error",
            "forbidden",
            "You do not have access to this resource.",
        )),
        Behaviour::Broken => note.failing("server_error").on(error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "server_error",
            "The server had an error while processing your request.",
        )),
        Behaviour::Capped | Behaviour::Ok | Behaviour::CappedInStream => {
            let body = json!({"error": {
                "type": "usage_limit_reached",
                "message": "The usage limit has been reached",
                "plan_type": account.plan,
                "resets_at": account.resets_at,
                "resets_in_seconds": account.resets_at - now(),
            }});
            let status = StatusCode::TOO_MANY_REQUESTS;
            note.failing("usage_limit_reached").on((status, usage_headers(account), Json(body)))
        }
    }
}

/// `x-codex-*`: two windows, of which the first is the one that caps.
fn usage_headers(account: &Account) -> HeaderMap {
    let primary = (used_percent(account), PRIMARY_MINUTES, account.resets_at);
    let secondary = (SECONDARY_PERCENT, SECONDARY_MINUTES, now() + 259_200);
    let mut headers = HeaderMap::new();
    let mut add = |name: String, value: String| {
        let name = HeaderName::try_from(name).expect("the names below are header names");
        // A plan from the control API may hold anything; what no header can carry is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    for (window, (used, minutes, reset)) in [("primary", primary), ("secondary", secondary)] {
        add(format!("x-codex-{window}-used-percent"), format!("{used:.1}"));
        add(format!("x-codex-{window}-window-minutes"), minutes.to_string());
        add(format!("x-codex-{window}-reset-at"), reset.to_string());
        add(format!("x-codex-{window}-reset-after-seconds"), (reset - now()).to_string());
    }
    add("x-codex-plan-type".to_owned(), account.plan.clone());
    headers
}

const PRIMARY_MINUTES: i64 = 300;
const SECONDARY_MINUTES: i64 = 10_080;
const SECONDARY_PERCENT: f64 = 42.0;

fn used_percent(account: &Account) -> f64 {
    if is_capped(account) { 100.0 } else { account.used_percent }
}

fn is_capped(account: &Account) -> bool {
    matches!(account.behaviour_now(), Behaviour::Capped | Behaviour::CappedInStream)
}
