//! What a pass is in the middle of when the fault comes.

use std::process::Command;
use std::time::Duration;

use fixture::{ANN, BEN, LONG, now};
use serde_json::json;

use crate::faults::volume::Volume;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// The login in use is refreshed and published again: a thread does the one, the pass's own the other.
    LoginDue,
    /// An operator has it refreshed: one thread does it all.
    Asked,
    /// A signal says that the account in use was refused.
    Refused,
    /// An operator asks for another account.
    Touched,
    /// `auth.json` holds newer tokens of an account than its master.
    Harvest,
}

impl Scenario {
    pub(crate) const ALL: [Self; 5] =
        [Self::LoginDue, Self::Asked, Self::Refused, Self::Touched, Self::Harvest];

    /// A volume just before the pass: ann in slot 1 and in use, ben in slot 2.
    pub(crate) fn volume(self) -> Volume {
        let volume = Volume::new();
        volume.put_login_for(1, ANN, if self.is_refreshed() { 3600 } else { LONG });
        volume.put_login_for(2, BEN, LONG);
        let first = volume.pass(&["--refresh-before", "0s"]);
        assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
        match self {
            Self::LoginDue | Self::Asked => {}
            Self::Refused => {
                let now = now();
                let signal = json!({
                    "at": now, "status": 429, "account_id": "acct-ann", "user_id": "user-ann",
                    "type": "usage_limit_reached", "resets_at": now + 3600,
                });
                volume.signal(&signal.to_string());
            }
            Self::Touched => {
                // A file's time is that of the last tick of the kernel's clock, and the account is in use since now.
                std::thread::sleep(Duration::from_millis(12));
                volume.signal("");
            }
            Self::Harvest => {
                volume.lifetime(ANN, LONG + 60);
                let record = volume.refresh_as_litellm(ANN, &volume.refresh_token(1));
                volume.write("auth.json", record.to_string());
            }
        }
        volume
    }

    /// Whether ann's login is refreshed.
    pub(crate) fn is_refreshed(self) -> bool {
        matches!(self, Self::LoginDue | Self::Asked)
    }

    /// What the fault befalls.
    pub(crate) fn command(self, volume: &Volume) -> Command {
        if self != Self::Asked {
            return volume.rotate_once();
        }
        let mut command = volume.command("accounts");
        command.args(["refresh", "1", "--yes"]);
        command
    }

    /// What is wrong with the volume once all is done; what every scenario has in common is judged elsewhere.
    pub(crate) fn complaint(self, volume: &Volume) -> Option<String> {
        let state = volume.json_or_null("rotator_state.json");
        let (served, active) =
            (volume.json_or_null("auth.json")["account_id"].clone(), &state["active"]["account_id"]);
        let expected = match self {
            Self::LoginDue | Self::Asked | Self::Harvest => "acct-ann",
            Self::Refused | Self::Touched => "acct-ben",
        };
        if served != expected || *active != expected {
            return Some(format!("served is {served}, remembered {active}, and not {expected}"));
        }
        let is_cooling = state["accounts"][0]["cooldown"].is_object();
        (is_cooling != (self == Self::Refused))
            .then(|| format!("what the signal said is not in the state: {state}"))
    }
}
