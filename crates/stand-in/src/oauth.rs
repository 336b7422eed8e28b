//! `auth.openai.com`, the tokens: authorization codes and refresh tokens are each good for one use.

use axum::Json;
use axum::extract::{Form, FromRequest, Request, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fault::{Fate, OauthFault};
use crate::journal::Note;
use crate::login::{Standing, Tokens};
use crate::world::{Shared, World};

/// What codex and `LiteLLM` send, the one as a form or JSON, the other as JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenRequest {
    grant_type: String,
    client_id: String,
    code: String,
    code_verifier: String,
    refresh_token: String,
}

#[derive(Deserialize)]
struct RevokeRequest {
    token: String,
}

/// Why a grant was refused: the status, the code, and the body that carries it.
struct Refusal(StatusCode, String, Value);

/// `POST /oauth/token`
pub(crate) async fn token(State(world): State<Shared>, request: Request) -> Response {
    match read::<TokenRequest>(request).await {
        Ok(request) => grant(&mut world.lock(), &request),
        Err(refusal) => Note::default().failing("invalid_request").on(refusal),
    }
}

/// `POST /oauth/revoke`: either token of a login ends it.
pub(crate) async fn revoke(State(world): State<Shared>, request: Request) -> Response {
    let note = Note { grant: Some("revoke".to_owned()), ..Note::default() };
    let request = match read::<RevokeRequest>(request).await {
        Ok(request) => request,
        Err(refusal) => return note.failing("invalid_request").on(refusal),
    };
    let mut world = world.lock();
    // RFC 7009: a token nobody knows is as good as revoked.
    let Some((login, email)) = world.logins.owner(&request.token) else { return note.on(Json(json!({}))) };
    world.logins.end(login, "token_revoked", false);
    Note { account: Some(email), login: Some(login), ..note }.on(Json(json!({})))
}

fn grant(world: &mut World, request: &TokenRequest) -> Response {
    let (login, email) = owner(world, request);
    let fault = world.take_fault(email.as_deref());
    let mut note = Note {
        account: email,
        login,
        grant: Some(request.grant_type.clone()),
        sent_before: world.logins.sent(&request.refresh_token),
        client_id: Some(request.client_id.clone()).filter(|id| !id.is_empty()),
        fault: (fault != OauthFault::None).then(|| json!(fault).to_string()),
        ..Note::default()
    };

    let outcome = match &fault {
        OauthFault::Status(status) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Err(refusal(status, "server_error"))
        }
        OauthFault::TerminalCode(code) => {
            if let Some(login) = login {
                world.logins.end(login, code, true);
            }
            Err(refusal(StatusCode::UNAUTHORIZED, code))
        }
        OauthFault::CloseBeforeAnswer => Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "connection_closed")),
        OauthFault::None
        | OauthFault::DelayMs(_)
        | OauthFault::CloseAfterConsuming
        | OauthFault::HalfAnswer => consume(world, request),
    };
    let fate = Fate::of(&fault);
    let mut response = match outcome {
        Ok(tokens) => {
            if matches!(fate, Some(Fate::Cut | Fate::Half)) {
                world.logins.lost(tokens.login);
            }
            note.login = Some(tokens.login);
            note.on(Json(answer(&tokens)))
        }
        Err(Refusal(status, code, body)) => note.failing(&code).on((status, Json(body))),
    };
    if let Some(fate) = fate {
        response.extensions_mut().insert(fate);
    }
    response
}

/// Whose tokens are asked for, before anything is used up.
fn owner(world: &World, request: &TokenRequest) -> (Option<usize>, Option<String>) {
    if request.grant_type == "refresh_token" {
        world
            .logins
            .owner(&request.refresh_token)
            .map(|(login, email)| (Some(login), Some(email)))
            .unwrap_or_default()
    } else {
        (None, world.devices.approver(&request.code))
    }
}

fn consume(world: &mut World, request: &TokenRequest) -> Result<Tokens, Refusal> {
    if request.client_id.is_empty() {
        return Err(plain("invalid_client"));
    }
    match request.grant_type.as_str() {
        "authorization_code" => {
            let redeemed = world.devices.redeem(&request.code, &request.code_verifier);
            redeemed.map(|email| world.sign_in(&email)).ok_or_else(|| plain("invalid_grant"))
        }
        "refresh_token" => refresh(world, &request.refresh_token),
        _ => Err(plain("unsupported_grant_type")),
    }
}

fn refresh(world: &mut World, token: &str) -> Result<Tokens, Refusal> {
    let Some((login, email)) = world.logins.owner(token) else { return Err(plain("invalid_grant")) };
    match world.logins.standing(token) {
        Standing::Good => {
            let account = world.account(&email).clone();
            world.logins.refresh(token, &account).ok_or_else(|| plain("invalid_grant"))
        }
        Standing::Spent => {
            world.logins.end(login, REUSED, false);
            Err(refusal(StatusCode::UNAUTHORIZED, REUSED))
        }
        Standing::Ended(code) if code == REUSED => {
            Err(refusal(StatusCode::UNAUTHORIZED, "refresh_token_invalidated"))
        }
        Standing::Ended(code) => Err(refusal(StatusCode::UNAUTHORIZED, &code)),
        Standing::Unknown => Err(plain("invalid_grant")),
    }
}

fn answer(tokens: &Tokens) -> Value {
    json!({
        "id_token": tokens.id_token,
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "expires_in": tokens.expires_in,
        "token_type": "Bearer",
    })
}

const REUSED: &str = "refresh_token_reused";

/// The body as `OpenAI` writes it.
fn refusal(status: StatusCode, code: &str) -> Refusal {
    let message = match code {
        REUSED => {
            "Your refresh token has already been used to generate a new access token. Please try signing in again."
        }
        _ => "Could not validate your token. Please try signing in again.",
    };
    let body =
        json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}});
    Refusal(status, code.to_owned(), body)
}

/// The body as RFC 6749 writes it: `error` is a string.
fn plain(code: &str) -> Refusal {
    let body = json!({"error": code, "error_description": format!("stand-in: {code}")});
    Refusal(StatusCode::BAD_REQUEST, code.to_owned(), body)
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Response> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        Json::from_request(request, &()).await.map(|Json(body)| body).map_err(IntoResponse::into_response)
    } else {
        Form::from_request(request, &()).await.map(|Form(body)| body).map_err(IntoResponse::into_response)
    }
}
