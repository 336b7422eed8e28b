//! `chatgpt.com`: who is admitted, and what the model and the usage endpoint answer.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::account::Account;
use crate::journal::{ACCOUNT_MISMATCH, Note};
use crate::refusal::Place;
use crate::turn::Turn;
use crate::way::Way;
use crate::world::{Shared, World};
use crate::{answer, reading, reasoning, wording};

/// `POST /backend-api/codex/responses`
pub(crate) async fn responses(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut turn = Turn::of(&headers, &request);
    let mut world = world.lock();
    let (note, admitted) = admit(&mut world, &headers, Place::Responses);
    let account = match admitted {
        Ok(account) => account,
        Err(refused) => return note.about(turn).on(*refused),
    };
    let replay = world.reasoning.check(&account, &turn, &request["input"]);
    turn = turn.replaying(&replay);
    if request["stream"] != true {
        let detail = Json(json!({"detail": "Stream must be set to true"}));
        return note.failing("stream_required").about(turn).on((StatusCode::BAD_REQUEST, detail));
    }
    let model = turn.model().to_owned();
    if let Some(refusal) = world.take_refusal(Place::Responses, &account, Some(&model)) {
        let way = &refusal.request.way;
        turn.refusal = Some(way.name());
        if way.is_a_limit() {
            turn.quota_elsewhere = world.quota_elsewhere(&account.email, &model);
        }
        return note.failing(&way.code()).about(turn).on(wording::refuse(&refusal, &account, &model));
    }
    if let Some(message) = &replay.refused {
        turn.refusal = Some(reasoning::INVALID.to_owned());
        turn.refused_again = world.reasoning.refuse(&account, &request["input"]);
        return note.failing(reasoning::INVALID).about(turn).on(reasoning::refused(message));
    }
    world.account(&account.email).usage.spend(&model);
    let encrypted = request["include"].as_array().is_some_and(|include| include.contains(&json!(ENCRYPTED)));
    let reasoning = encrypted.then(|| world.reasoning.seal(&account, &turn));
    let events = answer::completed(&account, &model, reasoning.as_ref());
    // As the headers of a stream leave before its tokens are counted, they do not show what it costs itself.
    let headers = reading::headers(&account, &model, None);
    note.about(turn).on((headers, [(CONTENT_TYPE, "text/event-stream")], events))
}

/// `GET /backend-api/wham/usage`
pub(crate) async fn usage(State(world): State<Shared>, headers: HeaderMap) -> Response {
    let mut world = world.lock();
    let (note, admitted) = admit(&mut world, &headers, Place::Usage);
    let account = match admitted {
        Ok(account) => account,
        Err(refused) => return note.on(*refused),
    };
    match world.take_refusal(Place::Usage, &account, None) {
        Some(refusal) => {
            note.failing(&refusal.request.way.code()).on(wording::refuse(&refusal, &account, "unknown"))
        }
        None => note.on(Json(reading::usage(&account))),
    }
}

/// The account behind the bearer, as it is now; else the answer, and the log says why.
fn admit(world: &mut World, headers: &HeaderMap, place: Place) -> (Note, Result<Account, Box<Response>>) {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let named = text(HeaderName::from_static("chatgpt-account-id")).map(str::to_owned);
    let bearer = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let access = bearer.and_then(|bearer| world.logins.bearer(bearer));
    let mut note = Note { account_id: named.clone(), ..Note::default() };
    if let Some((access, _)) = &access {
        note.account = Some(access.email.clone());
        note.login = Some(access.login);
    }
    if world.take_challenge(place) {
        return (note.failing(&Way::Challenge.code()), Err(Box::new(wording::challenge())));
    }
    let refused = match (access, named) {
        (None, _) => "invalid_token",
        (Some((_, Some(code))), _) => code,
        (Some(_), None) => "account_missing",
        (Some((access, None)), Some(named)) if named != access.account_id => ACCOUNT_MISMATCH,
        (Some((access, None)), Some(_)) => return (note, Ok(world.account_now(&access.email))),
    };
    (note.failing(refused), Err(Box::new(unauthorized(refused))))
}

fn unauthorized(code: &str) -> Response {
    let message = match code {
        "token_invalidated" => wording::INVALIDATED,
        "token_expired" => "Provided authentication token is expired. Please try signing in again.",
        ACCOUNT_MISMATCH | "account_missing" => "The token does not belong to the account named.",
        _ => "Could not parse your authentication token. Please try signing in again.",
    };
    wording::unauthorized(code, message)
}

/// What `include` names when the client wants to replay reasoning, as codex and `LiteLLM` do.
const ENCRYPTED: &str = "reasoning.encrypted_content";
