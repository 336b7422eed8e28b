//! Serving: the routes, and the process of its own.

use std::fs::File;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::fault::Wire;
use crate::journal::{self, Journal};
use crate::world::{Shared, World};
use crate::{backend, control, device, oauth, page};

/// What a stand-in starts with.
#[derive(Default)]
pub struct Options {
    /// Accounts that approve the device codes in order, each after one pending poll; the last repeats.
    pub approve: Vec<String>,
    /// Where each request is appended as a line of JSON.
    pub log: Option<File>,
}

/// Serves on `listener` until the process ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, options: Options) -> std::io::Result<()> {
    let journal = Journal { file: options.log, ..Journal::default() };
    let app = app(Shared::new(World::new(options.approve, journal)));
    axum::serve(listener, app.into_make_service_with_connect_info::<Wire>()).await
}

pub(crate) fn app(world: Shared) -> Router {
    Router::new()
        .route("/api/accounts/deviceauth/usercode", post(device::usercode))
        .route("/api/accounts/deviceauth/token", post(device::poll))
        .route("/codex/device", get(page::device))
        .route("/oauth/token", post(oauth::token))
        .route("/oauth/revoke", post(oauth::revoke))
        .route("/backend-api/codex/responses", post(backend::responses))
        .route("/backend-api/wham/usage", get(backend::usage))
        // What codex asks where its base has no `/backend-api`.
        .route("/api/codex/usage", get(backend::usage))
        .merge(control::routes())
        // An agent's turn carries its whole conversation.
        .layer(DefaultBodyLimit::max(64 << 20))
        .fallback(|| async { (StatusCode::NOT_FOUND, "stand-in: nothing here\n") })
        .layer(from_fn_with_state(world.clone(), journal::record))
        .with_state(world)
}

pub(crate) fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build()
}
