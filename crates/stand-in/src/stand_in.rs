//! A stand-in inside a test, on a thread of its own: the control API as methods.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::account::{Account, Behaviour};
use crate::control::{AccountRequest, DeviceRequest, OauthFaultRequest, Refreshable};
use crate::device::{DeviceBehaviour, WaitingCode};
use crate::fault::{OauthFault, Wire};
use crate::journal::{Journal, Request};
use crate::login::{AccountGrants, Tokens};
use crate::refusal::RefusalRequest;
use crate::server::{app, runtime};
use crate::usage::{Usage, UsageRequest};
use crate::world::{Shared, World};

/// A stand-in that runs inside a test, on a free port of loopback; dropped, it is gone with its connections.
pub struct StandIn {
    url: String,
    world: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts on a free port.
    ///
    /// # Panics
    /// When the machine has no port, thread or descriptor left.
    #[must_use]
    pub fn start() -> Self {
        let world = Shared::new(World::new(Vec::new(), Journal::default()));
        let app = app(world.clone()).into_make_service_with_connect_info::<Wire>();
        let runtime = runtime().expect("a runtime can be built");
        let bind = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = runtime.block_on(bind).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = async { axum::serve(listener, app).await } => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Self { url: format!("http://{address}"), world, stop: Some(stop), thread: Some(thread) }
    }

    /// Is reached on this listener as well, until the process ends: one in the network of a pod, say.
    ///
    /// # Panics
    /// When it is not on loopback, where a stand-in stays, or the machine has no thread left.
    pub fn serve_also_on(&self, listener: std::net::TcpListener) {
        let address = listener.local_addr().expect("a bound listener has an address");
        assert!(address.ip().is_loopback(), "{address} is not loopback");
        listener.set_nonblocking(true).expect("a listener can be made so");
        let app = app(self.world.clone()).into_make_service_with_connect_info::<Wire>();
        std::thread::spawn(move || {
            runtime().expect("a runtime can be built").block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener has a descriptor");
                axum::serve(listener, app).await
            })
        });
    }

    /// `http://127.0.0.1:PORT`, the issuer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The refresh endpoint, for `CODEX_REFRESH_TOKEN_URL_OVERRIDE`.
    #[must_use]
    pub fn refresh_url(&self) -> String {
        format!("{}/oauth/token", self.url)
    }

    /// The backend, for `CHATGPT_API_BASE`.
    #[must_use]
    pub fn api_base(&self) -> String {
        format!("{}/backend-api/codex", self.url)
    }

    /// The next device code that is asked for will be approved by `email`, after one pending poll.
    pub fn approve_next(&self, email: &str) {
        self.world.lock().devices.approve_next(email.to_owned());
    }

    /// Approves a code that is on show; false if none such waits.
    #[must_use]
    pub fn approve(&self, user_code: &str, email: &str) -> bool {
        self.world.lock().devices.approve(user_code, email)
    }

    /// The codes that wait for somebody.
    #[must_use]
    pub fn waiting_codes(&self) -> Vec<WaitingCode> {
        self.world.lock().devices.waiting()
    }

    /// Signs `email` in without the ceremony.
    #[must_use]
    pub fn sign_in(&self, email: &str) -> Tokens {
        self.world.lock().sign_in(email)
    }

    /// How the backend treats `email` from now on.
    pub fn set(&self, email: &str, behaviour: Behaviour) {
        let email = email.to_owned();
        let request = AccountRequest { email, behaviour: Some(behaviour), ..AccountRequest::default() };
        self.world.lock().alter_account(&request);
    }

    /// Makes or alters an account.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does; the account is a courtesy")]
    pub fn account(&self, request: &AccountRequest) -> Account {
        self.world.lock().alter_account(request)
    }

    /// Sets the limits of an account, or one family of them.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does; the usage is a courtesy")]
    pub fn limit(&self, request: &UsageRequest) -> Usage {
        self.world.lock().alter_usage(request)
    }

    /// What `email` has used at this moment.
    #[must_use]
    pub fn usage(&self, email: &str) -> Usage {
        self.world.lock().account_now(email).usage
    }

    /// How requests to the backend are refused from now on.
    pub fn refuse(&self, request: RefusalRequest) {
        self.world.lock().refusals.set(request);
    }

    /// Whether encrypted reasoning of another account is accepted from now on.
    pub fn accept_foreign_reasoning(&self, lenient: bool) {
        self.world.lock().reasoning.lenient = lenient;
    }

    /// How the device flow goes from now on.
    pub fn device(&self, behaviour: DeviceBehaviour) {
        let request = DeviceRequest { behaviour: Some(behaviour), ..DeviceRequest::default() };
        self.world.lock().alter_devices(&request);
    }

    /// How often a login is asked to poll from now on.
    pub fn poll_every(&self, seconds: u64) {
        let request = DeviceRequest { interval_seconds: Some(seconds), ..DeviceRequest::default() };
        self.world.lock().alter_devices(&request);
    }

    /// How `/oauth/token` misbehaves from now on, for everybody.
    pub fn oauth_fault(&self, fault: OauthFault) {
        self.oauth_fault_for(OauthFaultRequest { fault, ..OauthFaultRequest::default() });
    }

    /// The same for one account, or for so many requests.
    pub fn oauth_fault_for(&self, request: OauthFaultRequest) {
        self.world.lock().set_fault(request);
    }

    /// Every request so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.world.lock().journal.requests.clone()
    }

    /// The requests to one path.
    #[must_use]
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path == path).collect()
    }

    /// Every login so far, by account.
    #[must_use]
    pub fn grants(&self) -> Vec<AccountGrants> {
        self.world.lock().logins.grants()
    }

    /// Whether a refresh with this token would succeed; asking does not use it up.
    #[must_use]
    pub fn refreshable(&self, refresh_token: &str) -> Refreshable {
        self.world.lock().refreshable(refresh_token)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
