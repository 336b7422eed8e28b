//! A stand-in for `auth.openai.com` and `chatgpt.com` on loopback, for tests and the demo; never shipped.
//!
//! It keeps the rules that cost real users their logins: a refresh token works once, a second use ends the
//! whole login, a bearer must belong to the account named beside it. It misbehaves only when told to.
//!
//! ```no_run
//! let stand_in = stand_in::StandIn::start();
//! stand_in.approve_next("ann@example.test");
//! stand_in.set("ann@example.test", stand_in::Behaviour::Capped);
//! println!("codex login --device-auth --experimental_issuer {}", stand_in.url());
//! ```

mod account;
mod answer;
mod backend;
mod control;
mod device;
mod fault;
mod journal;
mod login;
mod oauth;
mod page;
mod server;
mod token;
mod world;

pub use account::{Account, Behaviour};
pub use control::{
    AccountRequest, ApproveNextRequest, ApproveRequest, DeviceRequest, OauthFaultRequest, Refreshable,
    RefreshableRequest, SignInRequest,
};
pub use device::{DeviceBehaviour, WaitingCode};
pub use fault::OauthFault;
pub use journal::Request;
pub use login::{AccountGrants, LoginView, Tokens};
pub use server::{Options, StandIn, serve};
pub use token::CLIENT_ID;
