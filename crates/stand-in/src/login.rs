//! Logins and their tokens. A login is a family: all tokens that descend from one sign-in live and die with it.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::Account;
use crate::token::{CLIENT_ID, jwt, now, random};

/// What one grant hands out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// The identity JWT.
    pub id_token: String,
    /// The bearer JWT.
    pub access_token: String,
    /// Opaque; good for one refresh.
    pub refresh_token: String,
    /// Seconds until the access token expires.
    pub expires_in: i64,
    /// The workspace the tokens are for.
    pub account_id: String,
    /// The login they belong to, as `Request::login` and `LoginView::login` count it.
    pub login: usize,
}

impl Tokens {
    /// The `auth.json` that codex 0.169.0 writes for these tokens after a login at `issuer`.
    #[must_use]
    pub fn codex_auth_json(&self, issuer: &str) -> Value {
        json!({
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": null,
            "tokens": {
                "id_token": self.id_token,
                "access_token": self.access_token,
                "refresh_token": self.refresh_token,
                "oauth_provenance": {"issuer": issuer, "client_id": CLIENT_ID},
                "login_owner_id": format!("login-{}", self.login),
                "account_id": self.account_id,
            },
            "last_refresh": humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
        })
    }
}

/// The logins of one account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountGrants {
    /// Whose they are.
    pub email: String,
    /// Oldest first.
    pub logins: Vec<LoginView>,
}

/// One login as the control API shows it: no token in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginView {
    /// Counted from 0 in the order of sign-in, over all accounts.
    pub login: usize,
    /// Whether its newest refresh token would be accepted.
    pub refreshable: bool,
    /// Whether its unexpired access tokens are accepted.
    pub access: bool,
    /// The code that ended it.
    pub ended: Option<String>,
    /// How often it was refreshed.
    pub refreshes: u32,
    /// False when the newest refresh token went into an answer that was cut off.
    pub delivered: bool,
}

/// What stands behind a bearer.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) login: usize,
    pub(crate) email: String,
    pub(crate) account_id: String,
    expires: i64,
}

/// Why a refresh token would be refused; `Good` when it would not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Spent,
    Ended(String),
    Unknown,
}

#[derive(Default)]
pub(crate) struct Logins {
    families: Vec<Family>,
    refresh_tokens: HashMap<String, RefreshToken>,
    access_tokens: HashMap<String, Access>,
}

struct Family {
    email: String,
    ended: Option<String>,
    access: bool,
    refreshes: u32,
    delivered: bool,
}

struct RefreshToken {
    login: usize,
    spent: bool,
    sent: u32,
}

impl Logins {
    /// A new login of `account`.
    pub(crate) fn begin(&mut self, account: &Account) -> Tokens {
        let family =
            Family { email: account.email.clone(), ended: None, access: true, refreshes: 0, delivered: true };
        self.families.push(family);
        self.issue(self.families.len() - 1, account)
    }

    /// Counts that a refresh token was sent, and tells how often it had been before.
    pub(crate) fn sent(&mut self, token: &str) -> Option<u32> {
        let token = self.refresh_tokens.get_mut(token)?;
        token.sent += 1;
        Some(token.sent - 1)
    }

    /// Uses up `token`, which must be in good standing, for the next tokens of its login.
    pub(crate) fn refresh(&mut self, token: &str, account: &Account) -> Option<Tokens> {
        let refresh_token = self.refresh_tokens.get_mut(token)?;
        refresh_token.spent = true;
        let login = refresh_token.login;
        self.families[login].refreshes += 1;
        self.families[login].delivered = true;
        Some(self.issue(login, account))
    }

    pub(crate) fn standing(&self, token: &str) -> Standing {
        match self.refresh_tokens.get(token) {
            None => Standing::Unknown,
            Some(token) if token.spent => Standing::Spent,
            Some(token) => self.families[token.login].ended.clone().map_or(Standing::Good, Standing::Ended),
        }
    }

    /// Ends a login; its access tokens go with it unless they are spared.
    pub(crate) fn end(&mut self, login: usize, code: &str, access: bool) {
        let family = &mut self.families[login];
        family.ended.get_or_insert_with(|| code.to_owned());
        family.access &= access;
    }

    /// Notes that the newest tokens never reached the client.
    pub(crate) fn lost(&mut self, login: usize) {
        self.families[login].delivered = false;
    }

    /// The login and e-mail that a refresh or access token belongs to, dead or alive.
    pub(crate) fn owner(&self, token: &str) -> Option<(usize, String)> {
        let login = match self.refresh_tokens.get(token) {
            Some(token) => token.login,
            None => self.access_tokens.get(token)?.login,
        };
        Some((login, self.families[login].email.clone()))
    }

    /// Who `bearer` is, and the code of the 401 it earns if it is no longer good.
    pub(crate) fn bearer(&self, bearer: &str) -> Option<(Access, Option<&'static str>)> {
        let access = self.access_tokens.get(bearer)?.clone();
        let refused = if !self.families[access.login].access {
            Some("token_invalidated")
        } else if access.expires <= now() {
            Some("token_expired")
        } else {
            None
        };
        Some((access, refused))
    }

    /// Whether `email` has a login whose access tokens are accepted, as long as they live.
    pub(crate) fn is_signed_in(&self, email: &str) -> bool {
        self.families.iter().any(|family| family.email == email && family.access)
    }

    /// Every account that ever signed in, with its logins.
    pub(crate) fn grants(&self) -> Vec<AccountGrants> {
        let mut by_account: BTreeMap<&str, Vec<LoginView>> = BTreeMap::new();
        for (login, family) in self.families.iter().enumerate() {
            by_account.entry(&family.email).or_default().push(LoginView {
                login,
                refreshable: family.ended.is_none(),
                access: family.access,
                ended: family.ended.clone(),
                refreshes: family.refreshes,
                delivered: family.delivered,
            });
        }
        let grants = by_account.into_iter();
        grants.map(|(email, logins)| AccountGrants { email: email.to_owned(), logins }).collect()
    }

    fn issue(&mut self, login: usize, account: &Account) -> Tokens {
        let (access_token, expires) = jwt(account);
        let refresh_token = format!("rt-stand-in-{}", random());
        let access =
            Access { login, email: account.email.clone(), account_id: account.account_id.clone(), expires };
        self.access_tokens.insert(access_token.clone(), access);
        self.refresh_tokens.insert(refresh_token.clone(), RefreshToken { login, spent: false, sent: 0 });
        Tokens {
            id_token: jwt(account).0,
            access_token,
            refresh_token,
            expires_in: account.token_lifetime_seconds,
            account_id: account.account_id.clone(),
            login,
        }
    }
}
