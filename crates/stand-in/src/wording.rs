//! The words of each refusal: as public reports quote the provider, or in the plainest form where none does.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::account::Account;
use crate::answer;
use crate::reading;
use crate::refusal::Refusal;
use crate::token::{now, random};
use crate::way::{Shown, Way};

/// The answer to a request for `model` that `account` makes.
pub(crate) fn refuse(refusal: &Refusal, account: &Account, model: &str) -> Response {
    let full_until = (refusal.shown == Shown::Full).then_some(refusal.until);
    let mut headers = match refusal.shown {
        Shown::Nothing => HeaderMap::new(),
        Shown::AsTheyAre | Shown::Full => reading::headers(account, model, full_until),
    };
    if let Some(pause) = &refusal.request.retry_after
        && let Ok(pause) = HeaderValue::try_from(pause)
    {
        headers.insert(RETRY_AFTER, pause);
    }
    (headers, words(refusal, account, model)).into_response()
}

/// 403 as from the provider's gate: a page that a browser would pass, with a long token in it.
pub(crate) fn challenge() -> Response {
    let token: String = (0..1_875).map(|_| random()).collect();
    let page = format!(
        "<!DOCTYPE html><html lang=\"en-US\"><head><title>Just a moment...</title></head><body>\
         <noscript>Enable JavaScript and cookies to continue</noscript>\
         <script>window._cf_chl_opt = {{cZone: 'chatgpt.com', cType: 'managed', md: '{token}'}};</script></body></html>"
    );
    let headers = [("cf-mitigated", "challenge"), ("server", "cloudflare")];
    (headers, verbatim(403, HTML, &page)).into_response()
}

/// 401, as a bearer that is no good earns it.
pub(crate) fn unauthorized(code: &str, message: &str) -> Response {
    let body = json!({
        "error": {"message": message, "type": "invalid_request_error", "code": code},
        "status": 401,
    });
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

pub(crate) const INVALIDATED: &str =
    "Your authentication token has been invalidated. Please try signing in again.";

fn words(refusal: &Refusal, account: &Account, model: &str) -> Response {
    let too_many = |body: Value| json_of(StatusCode::TOO_MANY_REQUESTS, body);
    match &refusal.request.way {
        Way::UsageLimitReached => {
            let body = format!("{{\"error\":{}}}", usage_limit(refusal, account));
            verbatim(429, "application/json", &body)
        }
        Way::HeadersAlone | Way::NoBody => StatusCode::TOO_MANY_REQUESTS.into_response(),
        Way::Html => verbatim(429, HTML, "<html><head><title>429 Too Many Requests</title></head></html>"),
        Way::Detail => too_many(json!({"detail": "Rate limit exceeded"})),
        Way::MessageOnly => too_many(json!({"error": {"message": "Rate limit exceeded"}})),
        Way::UsageNotIncluded => {
            let message = "Your plan does not include usage of Codex.";
            let error = json!({"type": "usage_not_included", "message": message, "plan_type": account.plan});
            too_many(json!({"error": error}))
        }
        Way::PerMinute => {
            let message = format!(
                "Rate limit reached for {model} on tokens per min (TPM): Limit 30000, Used 29400, Requested 1200. \
                 Please try again in 1.2s."
            );
            too_many(error("tokens", "rate_limit_exceeded", &message))
        }
        Way::RateLimited => {
            let message = "Rate limit reached. Please try again later.";
            too_many(error("requests", "rate_limit_exceeded", message))
        }
        Way::DeactivatedWorkspace => {
            json_of(StatusCode::PAYMENT_REQUIRED, json!({"detail": {"code": "deactivated_workspace"}}))
        }
        Way::ModelNotSupported => {
            let detail =
                format!("The '{model}' model is not supported when using Codex with a ChatGPT account.");
            json_of(StatusCode::BAD_REQUEST, json!({"detail": detail}))
        }
        Way::Invalidated => unauthorized("token_invalidated", INVALIDATED),
        Way::Forbidden => {
            let message = "You do not have access to this resource.";
            json_of(StatusCode::FORBIDDEN, error("permission_error", "forbidden", message))
        }
        Way::Challenge => challenge(),
        Way::ResponseFailed => stream(&answer::failed(model, "")),
        Way::FailedInMidstream => stream(&answer::failed(model, "Hello from")),
        Way::ResponseIncomplete => stream(&answer::incomplete(model)),
        Way::ErrorEvent => stream(&answer::ended_by(model, &error_event(refusal, account, model))),
        Way::Verbatim { status, content_type, body } => verbatim(*status, content_type, body),
        Way::Broken | Way::None => {
            let message = "The server had an error while processing your request.";
            json_of(StatusCode::INTERNAL_SERVER_ERROR, error("server_error", "server_error", message))
        }
    }
}

/// The error object of a cap. It is put together as text, because what stands for the reset need not be JSON.
fn usage_limit(refusal: &Refusal, account: &Account) -> String {
    let field = |name: &str, told: &Option<String>, value: i64| match told.as_deref() {
        None => format!(",\"{name}\":{value}"),
        Some("") => String::new(),
        Some(told) => format!(",\"{name}\":{told}"),
    };
    let request = &refusal.request;
    format!(
        "{{\"type\":\"usage_limit_reached\",\"message\":\"{}\",\"plan_type\":{}{}{}}}",
        answer::USAGE_LIMIT,
        json!(account.plan),
        field("resets_at", &request.resets_at, refusal.until),
        field("resets_in_seconds", &request.resets_in_seconds, refusal.until - now()),
    )
}

fn error_event(refusal: &Refusal, account: &Account, model: &str) -> String {
    let error = usage_limit(refusal, account);
    let headers = match refusal.shown {
        Shown::Nothing => json!({}),
        Shown::AsTheyAre | Shown::Full => reading::headers_in_event(account, model, refusal.until),
    };
    format!("{{\"type\":\"error\",\"status_code\":429,\"error\":{error},\"headers\":{headers}}}")
}

fn error(kind: &str, code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "code": code}})
}

fn json_of(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

fn stream(events: &str) -> Response {
    verbatim(200, "text/event-stream", events)
}

fn verbatim(status: u16, content_type: &str, body: &str) -> Response {
    // A status from the control API may be none.
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, content_type)], body.to_owned()).into_response()
}

const HTML: &str = "text/html; charset=UTF-8";
