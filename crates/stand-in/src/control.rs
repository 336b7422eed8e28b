//! The control API, `/_control/…`: what tests and scripts tell the stand-in, and ask it.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request as HttpRequest, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::{Account, Behaviour};
use crate::device::{DeviceBehaviour, WaitingCode};
use crate::fault::OauthFault;
use crate::journal::Request;
use crate::login::{AccountGrants, Standing, Tokens};
use crate::page;
use crate::reasoning::ReasoningRequest;
use crate::refusal::RefusalRequest;
use crate::usage::{Usage, UsageRequest};
use crate::world::{Shared, World};

/// `POST /_control/approve`: somebody signs in with a code that is on show. Also as a form, from the page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApproveRequest {
    /// As shown by the login, `XXXX-XXXXX`.
    pub user_code: String,
    /// Who signs in.
    pub email: String,
}

/// `POST /_control/approve_next`: the next code that is asked for will be approved, after one pending poll.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApproveNextRequest {
    /// Who signs in.
    pub email: String,
}

/// `POST /_control/account`: makes or alters an account; what is left out stays as it was. Answers [`Account`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRequest {
    /// Which account.
    pub email: String,
    /// Another `chatgpt_account_id`, in tokens issued from now on.
    pub account_id: Option<String>,
    /// Another `chatgpt_user_id`, in tokens issued from now on.
    pub user_id: Option<String>,
    /// Another plan.
    pub plan: Option<String>,
    /// How the backend treats the account from now on.
    pub behaviour: Option<Behaviour>,
    /// When its cap ends, counted from now; 5432 after each change of behaviour.
    pub resets_in_seconds: Option<i64>,
    /// How long access tokens issued from now on live; negative for expired at birth.
    pub token_lifetime_seconds: Option<i64>,
    /// How much of the first window is used; [`UsageRequest`] sets the rest.
    pub used_percent: Option<f64>,
}

/// `POST /_control/device`: how the device flow goes; what is left out stays as it was.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceRequest {
    /// How it goes from now on.
    pub behaviour: Option<DeviceBehaviour>,
    /// How often a login is asked to poll.
    pub interval_seconds: Option<u64>,
}

/// `POST /_control/oauth_fault`: how `/oauth/token` misbehaves; replaces the last fault for the same `email`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthFaultRequest {
    /// The fault, or `none`.
    pub fault: OauthFault,
    /// Only for grants of this account; it goes before the fault for all.
    #[serde(default)]
    pub email: Option<String>,
    /// For so many requests; until changed if absent.
    #[serde(default)]
    pub times: Option<u32>,
}

/// `POST /_control/refreshable`: is this refresh token still good? Asking does not use it up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefreshableRequest {
    /// The token.
    pub refresh_token: String,
}

/// The answer to [`RefreshableRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshable {
    /// Whether a refresh with it would succeed.
    pub good: bool,
    /// `live`, `spent`, `unknown`, or `ended: CODE` when its whole login is over.
    pub why: String,
}

/// `POST /_control/sign_in`: a login without the ceremony. Answers [`Tokens`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignInRequest {
    /// Who signs in.
    pub email: String,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/_control/approve", post(approve))
        .route("/_control/approve_next", post(approve_next))
        .route("/_control/account", post(account))
        .route("/_control/codes", get(codes))
        .route("/_control/device", post(device))
        .route("/_control/oauth_fault", post(oauth_fault))
        .route("/_control/reasoning", post(reasoning))
        .route("/_control/refusal", post(refusal))
        .route("/_control/requests", get(requests))
        .route("/_control/grants", get(grants))
        .route("/_control/refreshable", post(refreshable))
        .route("/_control/sign_in", post(sign_in))
        .route("/_control/usage", get(usages).post(usage))
}

impl World {
    pub(crate) fn alter_account(&mut self, request: &AccountRequest) -> Account {
        let account = self.account(&request.email);
        account.alter(request);
        account.clone()
    }

    pub(crate) fn alter_usage(&mut self, request: &UsageRequest) -> Usage {
        self.account(&request.email).usage.alter(request);
        self.account_now(&request.email).usage
    }

    pub(crate) fn alter_devices(&mut self, request: &DeviceRequest) {
        self.devices.behaviour = request.behaviour.unwrap_or(self.devices.behaviour);
        self.devices.interval_seconds = request.interval_seconds.unwrap_or(self.devices.interval_seconds);
    }

    pub(crate) fn refreshable(&self, refresh_token: &str) -> Refreshable {
        let why = match self.logins.standing(refresh_token) {
            Standing::Good => return Refreshable { good: true, why: "live".to_owned() },
            Standing::Spent => "spent".to_owned(),
            Standing::Ended(code) => format!("ended: {code}"),
            Standing::Unknown => "unknown".to_owned(),
        };
        Refreshable { good: false, why }
    }
}

async fn approve(State(world): State<Shared>, request: HttpRequest) -> Response {
    let json = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if json {
        match Json::<ApproveRequest>::from_request(request, &()).await {
            Ok(Json(request)) if approves(&world, &request) => {
                Json(json!({"approved": true})).into_response()
            }
            Ok(_) => (StatusCode::NOT_FOUND, Json(json!({"error": "no such code waits"}))).into_response(),
            Err(refused) => refused.into_response(),
        }
    } else {
        match Form::<ApproveRequest>::from_request(request, &()).await {
            Ok(Form(request)) if approves(&world, &request) => {
                page::outcome(&format!("{} is signed in. You may close this page.", request.email))
                    .into_response()
            }
            Ok(Form(request)) => {
                let sentence = format!("No login waits for the code {}.", request.user_code);
                (StatusCode::NOT_FOUND, page::outcome(&sentence)).into_response()
            }
            Err(refused) => refused.into_response(),
        }
    }
}

fn approves(world: &Shared, request: &ApproveRequest) -> bool {
    let mut world = world.lock();
    world.account(&request.email);
    world.devices.approve(&request.user_code, &request.email)
}

async fn approve_next(State(world): State<Shared>, Json(request): Json<ApproveNextRequest>) -> Json<Value> {
    world.lock().devices.approve_next(request.email);
    Json(json!({}))
}

async fn account(State(world): State<Shared>, Json(request): Json<AccountRequest>) -> Json<Account> {
    Json(world.lock().alter_account(&request))
}

async fn codes(State(world): State<Shared>) -> Json<Vec<WaitingCode>> {
    Json(world.lock().devices.waiting())
}

async fn device(State(world): State<Shared>, Json(request): Json<DeviceRequest>) -> Json<Value> {
    world.lock().alter_devices(&request);
    Json(json!({}))
}

async fn oauth_fault(State(world): State<Shared>, Json(request): Json<OauthFaultRequest>) -> Json<Value> {
    world.lock().set_fault(request);
    Json(json!({}))
}

async fn requests(State(world): State<Shared>) -> Json<Vec<Request>> {
    Json(world.lock().journal.requests.clone())
}

async fn grants(State(world): State<Shared>) -> Json<Vec<AccountGrants>> {
    Json(world.lock().logins.grants())
}

async fn refreshable(
    State(world): State<Shared>,
    Json(request): Json<RefreshableRequest>,
) -> Json<Refreshable> {
    Json(world.lock().refreshable(&request.refresh_token))
}

async fn reasoning(State(world): State<Shared>, Json(request): Json<ReasoningRequest>) -> Json<Value> {
    world.lock().reasoning.lenient = request.lenient;
    Json(json!({}))
}

async fn refusal(State(world): State<Shared>, Json(request): Json<RefusalRequest>) -> Json<Value> {
    world.lock().refusals.set(request);
    Json(json!({}))
}

async fn usage(State(world): State<Shared>, Json(request): Json<UsageRequest>) -> Json<Usage> {
    Json(world.lock().alter_usage(&request))
}

async fn usages(State(world): State<Shared>) -> Json<BTreeMap<String, Usage>> {
    Json(world.lock().usages())
}

async fn sign_in(State(world): State<Shared>, Json(request): Json<SignInRequest>) -> Json<Tokens> {
    Json(world.lock().sign_in(&request.email))
}
