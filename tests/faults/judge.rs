//! What must hold after a fault, whatever the fault.

use std::process::Output;

use auth_volume::{Layout, clock};
use durable_file::draft::Draft;
use fixture::files_below;
use records::grant::GrantStatus;
use records::{Login, Slot};
use serde_json::Value;
use stand_in::AccountGrants;

use crate::faults::figures::Figures;
use crate::faults::volume::Volume;

/// The codes that `rotate-once --help` names, and that tell what to do. `accounts` also fails with a line of its own.
const DOCUMENTED: [i32; 5] = [0, 69, 73, 75, 78];

/// The end of the published record, far enough that LiteLLM never refreshes.
const EXPIRES_AT: i64 = 4_102_444_800;

/// A pass that a fault has befallen, and what was there before it.
pub(crate) struct Case<'a> {
    pub(crate) volume: &'a Volume,
    /// What to call it in a complaint.
    pub(crate) name: String,
    /// What was served before the fault.
    pub(crate) served: Vec<u8>,
    /// Whether an answer of the issuer can have died before anybody had it.
    pub(crate) may_be_lost_on_the_wire: bool,
}

impl Case<'_> {
    /// Judges what is there at once, before anybody mends anything.
    pub(crate) fn at_once(&self, output: &Output, figures: &mut Figures) {
        figures.passes += 1;
        let served = self.volume.bytes("auth.json");
        if served != self.served && !is_well_formed(&served) {
            figures.records_torn += 1;
            self.complain(figures, "auth.json is torn");
        }
        self.no_secret_is_out(output, figures);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let has_failed = |code: i32| code == 1 && said.contains("accounts: ");
        if output.status.code().is_some_and(|code| !DOCUMENTED.contains(&code) && !has_failed(code)) {
            self.complain(figures, &format!("{}: {said}", output.status));
        }
        if said.contains("panicked") {
            self.complain(figures, &said);
        }
    }

    /// Lets a pass mend what it can, and judges what is there then.
    pub(crate) fn once_mended(&self, figures: &mut Figures) {
        let output = self.volume.pass(&[]);
        self.at_once(&output, figures);
        if !output.status.success() {
            self.complain(figures, &format!("the next pass: {}", String::from_utf8_lossy(&output.stderr)));
        }
        if !is_well_formed(&self.volume.bytes("auth.json")) {
            self.complain(figures, "auth.json is not one of ours after the next pass");
        }
        let mut names: Vec<_> = files_below(self.volume.path())
            .into_keys()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        names.retain(|name| {
            !matches!(
                name.as_str(),
                ".last-pass"
                    | ".lock"
                    | "audit.jsonl"
                    | "auth.json"
                    | "pool.json"
                    | "rotator_state.json"
                    | "rotator_state.json.broken"
                    | "rotate-now.unreadable"
            )
        });
        names.retain(|name| Slot::from_file_name(name).is_none());
        // What is known of grants, and what a harvest replaced, is meant to stay.
        names.retain(|name| !name.starts_with(".grant-") && !name.contains(".json.before-"));
        if !names.is_empty() {
            self.complain(figures, &format!("left behind: {names:?}"));
        }
        self.every_login_can_be_refreshed(figures);
        self.no_grant_was_sent_twice(figures);
    }

    pub(crate) fn no_grant_was_sent_twice(&self, figures: &mut Figures) {
        let sent_again = self.volume.sent_again();
        figures.sent_twice += sent_again;
        if sent_again > 0 {
            self.complain(figures, &format!("{sent_again} refresh tokens were sent twice"));
        }
    }

    pub(crate) fn every_login_can_be_refreshed(&self, figures: &mut Figures) {
        let layout = Layout::new(self.volume.path().to_owned(), None);
        let masters = auth_volume::Volume::open(layout).unwrap().masters().unwrap();
        let accounts = self.volume.openai.grants().len();
        if masters.len() != accounts {
            self.complain(figures, &format!("{} masters of {accounts} accounts", masters.len()));
        }
        for master in masters {
            let Ok(login) = master.login else {
                figures.refresh_tokens_lost += 1;
                self.complain(figures, &format!("{} cannot be read", master.slot));
                continue;
            };
            let token = login.refresh_token.as_ref().map_or("", |token| token.expose());
            let standing = self.volume.openai.refreshable(token);
            if standing.good {
                continue;
            }
            match self.why_not_excused(&login) {
                None if self.may_be_lost_on_the_wire => figures.lost_on_the_wire += 1,
                why => {
                    figures.refresh_tokens_lost += 1;
                    let why = why.unwrap_or("nothing can have been lost on the wire");
                    self.complain(figures, &format!("{} lost: {}; {why}", master.slot, standing.why));
                }
            }
        }
    }

    /// An answer that nobody got is no loss of ours if the login is still served while its access token lives,
    /// and the grant, which may be used up, is not tried again meanwhile.
    fn why_not_excused(&self, login: &Login) -> Option<&'static str> {
        let record = self.volume.json_or_null("auth.json");
        let of_account = |grants: &AccountGrants| Some(&grants.email) == login.email.as_ref();
        let grants = self.volume.openai.grants().into_iter().find(of_account);
        let ours = auth_volume::Volume::open(Layout::new(self.volume.path().to_owned(), None)).unwrap();
        let known = ours.grants().unwrap().status(&login.grant(), clock::now());
        if !matches!(known, GrantStatus::Unanswered(_)) {
            Some("no marker says so")
        } else if !login.is_live(clock::now()) || record["access_token"] != login.access_token.expose() {
            Some("it is not served any more")
        } else if self.volume.refreshes_of(login.email.as_deref().unwrap_or_default()) != 1 {
            Some("it was asked about again")
        } else if grants.is_none_or(|grants| grants.logins.iter().any(|login| login.ended.is_some())) {
            Some("the issuer has ended it")
        } else {
            None
        }
    }

    fn no_secret_is_out(&self, output: &Output, figures: &mut Figures) {
        for (stream, bytes) in [("stderr", &output.stderr), ("stdout", &output.stdout)] {
            if has_token(bytes) {
                figures.secrets_out += 1;
                self.complain(figures, &format!("a token on {stream}"));
            }
        }
        for (path, content) in files_below(self.volume.path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let whole = Draft::target(&name).unwrap_or(&name);
            let whole = whole.split_once(".before-").map_or(whole, |(master, _)| master);
            // The last is a second name of the record, for the moment in which it loses its first.
            let is_record = ["auth.json", ".auth.json.before"].contains(&whole);
            if has_token(&content) && !is_record && Slot::from_file_name(whole).is_none() {
                figures.secrets_out += 1;
                self.complain(figures, &format!("a token in {name}"));
            }
        }
    }

    pub(crate) fn complain(&self, figures: &mut Figures, what: &str) {
        figures.complain(format!("{}: {what}", self.name));
    }
}

/// Whether LiteLLM can be left alone with these bytes.
pub(crate) fn is_well_formed(record: &[u8]) -> bool {
    let record: Value = serde_json::from_slice(record).unwrap_or_default();
    let is_text = |name: &str| record[name].as_str().is_some_and(|text| !text.is_empty());
    is_text("access_token")
        && is_text("account_id")
        && record["expires_at"].as_i64() == Some(EXPIRES_AT)
        && record.get("refresh_token").is_none()
}

/// Whether a token of the stand-in is in it: each is one of these.
pub(crate) fn has_token(bytes: &[u8]) -> bool {
    bytes.windows(12).any(|bytes| bytes == b"rt-stand-in-") || bytes.windows(4).any(|bytes| bytes == b"eyJh")
}
