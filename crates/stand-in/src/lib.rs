//! A stand-in for `auth.openai.com` and `chatgpt.com` on loopback, for tests and the demo; never shipped.
//!
//! It keeps the rules that cost real users their logins: a refresh token works once, a second use ends the
//! whole login, a bearer must belong to the account named beside it. Where public reports differ it is the stricter:
//! encrypted reasoning is accepted only from the account that made it, and a used-up window refuses at once.
//! It misbehaves only when told to.
//!
//! ```no_run
//! let stand_in = stand_in::StandIn::start();
//! stand_in.approve_next("ann@example.test");
//! stand_in.set("ann@example.test", stand_in::Behaviour::Capped);
//! println!("codex login --device-auth --experimental_issuer {}", stand_in.url());
//! ```
//!
//! An account has windows of usage that requests fill, and families of windows for some models ([`UsageRequest`]).
//! It is refused when a window is full, when its [`Behaviour`] says so, or in any [`Way`] that a [`RefusalRequest`]
//! names. Each request is logged with its account, its conversation and what it replayed ([`Turn`]), and a refusal
//! for a limit with the accounts that would have served.

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
mod reading;
mod reasoning;
mod refusal;
mod server;
mod stand_in;
mod token;
mod turn;
mod usage;
mod way;
mod wording;
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
pub use reasoning::ReasoningRequest;
pub use refusal::{Place, RefusalRequest};
pub use server::{Options, serve};
pub use stand_in::StandIn;
pub use token::CLIENT_ID;
pub use turn::Turn;
pub use usage::{Family, Usage, UsageRequest, Window, WindowRequest};
pub use way::Way;
