//! A finding: something that is wrong or worth knowing, and its remedy.

use judgement::phrases::with_remedy;
use records::Slot;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// Something that is wrong or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub id: Id,
    /// The slot that it is about, if it is about one.
    pub slot: Option<Slot>,
    /// A sentence without a full stop.
    pub message: String,
    /// Why it is so, or more about it.
    pub why: Option<String>,
    /// The command that resolves it, if there is one, as it is typed where the volume is mounted.
    pub command: Option<String>,
    /// What to do elsewhere, or in other ways.
    pub advice: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// There is nothing to do.
    Notice,
    /// An operator should act before it becomes worse.
    Warning,
    /// Agents are refused.
    Critical,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// What the page knows.
    Page,
    /// The directories.
    Volume,
    Slots,
    /// The rotator's state.
    State,
    Clock,
    Rotator,
    /// The published record.
    Record,
    /// LiteLLM's callback.
    Callback,
    /// The Secret with the records of the lanes, for LiteLLM's replicas.
    Mirror,
    /// The codex program.
    Codex,
    /// The provider's answer, if it was asked.
    Provider,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident $name:literal $area:ident $severity:ident,)*) => {
        /// Which kind of finding it is. The names are public: scripts, metrics and alerts use them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Id {
            $($(#[$doc])* $id,)*
        }

        impl Id {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$id,)*];

            /// The name that scripts, metrics and alerts use.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// What it is about.
            #[must_use]
            pub fn area(self) -> Area {
                match self { $(Self::$id => Area::$area,)* }
            }

            /// How bad it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$id => Severity::$severity,)* }
            }
        }
    };
}

ids! {
    /// The page has no digest.
    DigestMissing "digest-missing" Page Warning,
    /// The page's digest cannot be read.
    DigestUnreadable "digest-unreadable" Page Warning,
    /// The page's digest is too old.
    DigestLate "digest-late" Page Warning,
    /// The directory of the logins is not there.
    VolumeMissing "volume-missing" Volume Critical,
    /// The logins or the state cannot be read.
    VolumeUnreadable "volume-unreadable" Volume Critical,
    /// The volume's directories could not be checked.
    VolumeNotTried "volume-not-tried" Volume Warning,
    /// A directory is a Secret or a `ConfigMap`, which the kubelet overwrites.
    VolumeProjected "volume-projected" Volume Warning,
    /// A directory cannot do what writers rely on.
    VolumeFault "volume-fault" Volume Warning,
    /// A directory has no room for another login.
    VolumeFull "volume-full" Volume Warning,
    /// No account has ever signed in.
    NoLogin "no-login" Slots Critical,
    /// No account can serve, and waiting does not help.
    PoolExhausted "pool-exhausted" Slots Critical,
    /// Every account that could serve is capped.
    PoolCapped "pool-capped" Slots Warning,
    /// The pool will be exhausted within hours, if its accounts are used as in the last ones.
    PoolRunsOut "pool-runs-out" Slots Warning,
    /// A grant has ended.
    NeedsLogin "needs-login" Slots Warning,
    /// A grant has been sent, and the issuer's answer is not known.
    RefreshUnanswered "refresh-unanswered" Slots Warning,
    /// The issuer has refused to refresh a login for a day.
    RefreshRefused "refresh-refused" Slots Warning,
    /// A new login could not be stored, so the grant is not sent.
    NotStorable "not-storable" Slots Warning,
    /// A slot's file is no login.
    SlotBroken "slot-broken" Slots Warning,
    /// What is in a slot is no file that a login could replace.
    SlotBlocked "slot-blocked" Slots Warning,
    /// A refresh brought the tokens of another account.
    OtherAccount "other-account" Slots Warning,
    /// Two slots hold the same account.
    Duplicate "duplicate" Slots Warning,
    /// Others than its owner can read a login.
    FileTooOpen "file-too-open" Slots Warning,
    /// A file looks like a login, and is in no slot.
    MisnamedLogin "misnamed-login" Slots Warning,
    /// An operator has parked an account, and has said why.
    Parked "parked" Slots Notice,
    /// Something that the rotator will report about files at its next pass.
    Note "note" State Notice,
    /// The state cannot be read, and the next pass begins a new one.
    StateBroken "state-broken" State Warning,
    /// The state was written by a later release, or is too large.
    StateUnusable "state-unusable" State Critical,
    /// The pinned account is in no slot.
    PinLost "pin-lost" State Warning,
    /// Clocks differ.
    ClockDiffers "clock-differs" Clock Warning,
    /// A signal waits for the rotator.
    SignalWaits "signal-waits" Rotator Warning,
    /// The last pass is too long ago.
    PassLate "pass-late" Rotator Warning,
    /// Two rotators are at work on one volume.
    TwoRotators "two-rotators" Rotator Warning,
    /// The published record is of an account that must not serve.
    RecordNotToServe "record-not-to-serve" Record Warning,
    /// The published record is of an account that no slot holds.
    RecordUnknown "record-unknown" Record Warning,
    /// The placeholder is published.
    RecordPlaceholder "record-placeholder" Record Warning,
    /// There is no published record.
    RecordMissing "record-missing" Record Critical,
    /// Another program has written the published record.
    RecordForeign "record-foreign" Record Warning,
    /// No LiteLLM has loaded the callback.
    CallbackMissing "callback-missing" Callback Warning,
    /// The callback's heartbeat is too old.
    CallbackLate "callback-late" Callback Warning,
    /// LiteLLM has imported the callback, and does not call it.
    CallbackNotCalled "callback-not-called" Callback Warning,
    /// The callback could not leave its last signal.
    CallbackBlocked "callback-blocked" Callback Warning,
    /// `lane-mirror` fails, and has for longer than an API server may be away.
    MirrorFailing "mirror-failing" Mirror Warning,
    /// The last run of `lane-mirror` is too long ago.
    MirrorLate "mirror-late" Mirror Warning,
    /// There is no codex program to sign in with.
    CodexMissing "codex-missing" Codex Warning,
    /// The provider refuses an access token.
    TokenRefused "token-refused" Provider Warning,
    /// The provider could not be asked.
    ProviderUnknown "provider-unknown" Provider Warning,
}

impl Id {
    /// Whether it can be observed without the lock and without asking the provider. Only the doctor has the others.
    #[must_use]
    pub fn is_seen_without_the_lock(self) -> bool {
        self.hides_the_others() || !matches!(self.area(), Area::Volume | Area::Codex | Area::Provider)
    }

    /// Whether it says that the volume cannot be read, so that nothing is known of the other kinds.
    #[must_use]
    pub fn hides_the_others(self) -> bool {
        matches!(self, Self::VolumeMissing | Self::VolumeUnreadable | Self::StateUnusable)
    }

    /// Whether it is known whether there are findings of this kind, though there is one that hides others.
    #[must_use]
    pub fn is_known_beside(self, hiding: Self) -> bool {
        self.area() == Area::Page || hiding.area() != Area::Page && self.hides_the_others()
    }
}

impl Finding {
    /// A finding with its message, and nothing else yet.
    #[must_use]
    pub fn new(id: Id, message: impl Into<String>) -> Self {
        Self { id, slot: None, message: message.into(), why: None, command: None, advice: None }
    }

    /// This finding, about a slot.
    #[must_use]
    pub fn of(self, slot: Slot) -> Self {
        Self { slot: Some(slot), ..self }
    }

    /// This finding, with a reason.
    #[must_use]
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    /// This finding, with the command that resolves it.
    #[must_use]
    pub fn run(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }

    /// This finding, with advice in the place of a command or beside it.
    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// Whether an operator should do something.
    #[must_use]
    pub fn is_actionable(&self) -> bool {
        self.id.severity() > Severity::Notice
    }

    /// The finding as a line: `account-3 needs login: run auth-login 3 (refresh_token_reused)`.
    #[must_use]
    pub fn line(&self) -> String {
        with_remedy(&self.message, self.command.as_deref(), self.why.as_deref())
    }

    /// What is wrong and why, without the remedy.
    #[must_use]
    pub fn description(&self) -> String {
        Self { command: None, ..self.clone() }.line()
    }

    /// The remedy, as a line.
    #[must_use]
    pub fn remedy(&self) -> String {
        let parts = [self.command.as_deref(), self.advice.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// The document for scripts.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({
            "id": self.id.name(),
            "severity": self.id.severity().name(),
            "area": self.id.area().name(),
            "slot": self.slot,
            "message": self.message,
            "why": self.why,
            "command": self.command,
            "advice": self.advice,
        })
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|id| id.name() == name);
        known.copied().ok_or_else(|| serde::de::Error::custom(format!("no finding is called {name}")))
    }
}

impl Severity {
    /// The word that scripts and metrics use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Area {
    /// Every area that the doctor checks, in that order.
    pub const ALL: [Self; 10] = [
        Self::Volume,
        Self::Slots,
        Self::State,
        Self::Clock,
        Self::Rotator,
        Self::Record,
        Self::Callback,
        Self::Mirror,
        Self::Codex,
        Self::Provider,
    ];

    /// The word that people and scripts use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Volume => "volume",
            Self::Slots => "slots",
            Self::State => "state",
            Self::Clock => "clock",
            Self::Rotator => "rotator",
            Self::Record => "record",
            Self::Callback => "callback",
            Self::Mirror => "mirror",
            Self::Codex => "codex",
            Self::Provider => "provider",
        }
    }
}
