//! Many rotators at once, beside a LiteLLM that still held refresh tokens and signals that keep coming.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use auth_volume::Layout;
use fixture::{LONG, now};
use records::{Slot, Timestamp};
use serde_json::json;

use crate::faults::figures::Figures;
use crate::faults::judge::{Case, has_token, is_well_formed};
use crate::faults::volume::Volume;

/// How many passes are run in all.
const PASSES: usize = 10_000;

/// How many rotators run at once.
const ROTATORS: usize = 8;

/// Refreshed by operators beside the rotators.
const OPERATORS: [&str; 2] = ["ann@example.test", "ben@example.test"];

/// Not due for days; LiteLLM refreshes them.
const LITELLMS: [&str; 2] = ["carl@example.test", "dora@example.test"];

/// How often LiteLLM refreshes.
const REFRESH_EVERY: Duration = Duration::from_millis(50);

/// How often a signal is left.
const SIGNAL_EVERY: Duration = Duration::from_millis(15);

/// What the rotators did.
#[derive(Debug, Default)]
struct Rotated {
    exits: BTreeMap<Option<i32>, usize>,
    refreshed: usize,
    /// Refreshes by operators that others had begun or done already.
    too_late: usize,
    secrets: usize,
    failures: Vec<String>,
}

/// What LiteLLM met.
#[derive(Debug, Default)]
struct Met {
    reads: usize,
    torn: usize,
    refreshes: usize,
    brought_home: usize,
    /// Its write went into a file that was replaced meanwhile: nobody can see such a write.
    written_to_nowhere: usize,
    /// What it wrote stood in auth.json, whole, and was replaced unread.
    replaced_unread: usize,
}

#[test]
fn eight_rotators_beside_a_litellm_that_writes() {
    let mut figures = Figures::of("eight rotators beside a LiteLLM that writes");
    let volume = Volume::new();
    for (slot, email) in (1..).zip(OPERATORS) {
        volume.put_login_for(slot, email, LONG);
    }
    for (slot, email) in (3..).zip(LITELLMS) {
        volume.put_login_for(slot, email, LONG);
    }
    assert!(volume.pass(&[]).status.success());

    let (passes, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let rotated = Mutex::new(Rotated::default());
    let is_over = || ended.load(Ordering::Relaxed) == ROTATORS;
    let (met, last_reset) = scope(|scope| {
        for _ in 0..ROTATORS {
            scope.spawn(|| {
                rotate(&volume, &passes, &rotated);
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        let litellm = scope.spawn(|| be_litellm(&volume, &is_over));
        let last_reset = leave_signals(&volume, &is_over);
        (litellm.join().unwrap(), last_reset)
    });

    let rotated = rotated.into_inner().unwrap();
    figures.passes += PASSES;
    figures.records_torn += met.torn;
    figures.secrets_out += rotated.secrets;
    figures.refresh_tokens_lost += met.replaced_unread;
    rotated.failures.iter().for_each(|failure| figures.complain(failure.clone()));
    let served = volume.bytes("auth.json");
    let name = "when all is over".to_owned();
    let case = Case { volume: &volume, name, served, may_be_lost_on_the_wire: false };
    case.once_mended(&mut figures);
    for (count, what) in [
        (met.torn, "records torn"),
        (rotated.secrets, "passes that printed a token"),
        (met.replaced_unread, "records of LiteLLM that were replaced unread"),
    ] {
        if count > 0 {
            case.complain(&mut figures, &format!("{count} {what}"));
        }
    }
    let state = volume.json_or_null("rotator_state.json");
    let until = Timestamp::from_json(&state["accounts"][0]["cooldown"]["until"]);
    if until.map(Timestamp::seconds) != last_reset {
        case.complain(&mut figures, &format!("a signal was lost: {last_reset:?} is not in {state}"));
    }
    assert!(rotated.refreshed > PASSES / 30 && met.brought_home > 0, "{rotated:?} {met:?}");
    figures.print(&format!(
        "; exits {:?}, {} refreshes and {} that came too late; LiteLLM: {} reads, {} refreshes, {} brought home, {} written to nowhere",
        rotated.exits, rotated.refreshed, rotated.too_late, met.reads, met.refreshes, met.brought_home, met.written_to_nowhere
    ));
}

fn rotate(volume: &Volume, passes: &AtomicUsize, rotated: &Mutex<Rotated>) {
    loop {
        let nth = passes.fetch_add(1, Ordering::Relaxed);
        if nth >= PASSES {
            return;
        }
        let output = if nth.is_multiple_of(10) {
            volume.accounts(&["refresh", ["1", "2"][nth / 10 % 2], "--yes"])
        } else {
            let policy = ["round-robin", "sticky", "earliest-reset"][nth % 3];
            volume.pass(&["--policy", policy, "--refresh-before", "0s"])
        };
        let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said)).concat();
        let mut rotated = rotated.lock().unwrap();
        *rotated.exits.entry(output.status.code()).or_default() += 1;
        rotated.refreshed += said.matches(" refreshed (").count();
        let too_late = ["is being refreshed", "was changed meanwhile"];
        rotated.too_late += usize::from(too_late.iter().any(|words| said.contains(words)));
        rotated.secrets += usize::from(has_token(&output.stderr) || has_token(&output.stdout));
        // Who waited in vain for the others says so, and nothing has happened.
        if !matches!(output.status.code(), Some(0 | 75))
            || said.contains("panicked")
            || said.contains("not refreshed")
        {
            rotated.failures.push(format!("{}: {said}", output.status));
        }
    }
}

/// Leaves signals of every kind, and gives the end of ann's cooldown as the last one about her says.
fn leave_signals(volume: &Volume, is_over: &dyn Fn() -> bool) -> Option<i64> {
    let (start, mut last) = (now(), None);
    for nth in 0.. {
        if is_over() {
            break;
        }
        let resets_at = start + 3600 + nth;
        let refused = |name: &str| {
            json!({"at": now(), "status": 429, "account_id": format!("acct-{name}"),
                "type": "usage_limit_reached", "resets_at": resets_at})
            .to_string()
        };
        let signal = match nth % 5 {
            0 => refused("ann"),
            1 => String::new(),
            2 => refused("ben"),
            3 => json!({"status": 200, "account_id": "acct-ben"}).to_string(),
            _ => "{half".to_owned(),
        };
        if volume.signal_unless_one_waits(&signal) && nth % 5 == 0 {
            last = Some(resets_at);
        }
        sleep(SIGNAL_EVERY);
    }
    last
}

/// Reads the record as LiteLLM does on every request, and now and then writes one as LiteLLM does.
fn be_litellm(volume: &Volume, is_over: &dyn Fn() -> bool) -> Met {
    let (mut met, mut written, mut refreshed) = (Met::default(), None::<Written>, Instant::now());
    while !is_over() || written.is_some() {
        let record = volume.bytes("auth.json");
        met.reads += 1;
        let is_own = written.as_ref().is_some_and(|written| written.record == record);
        met.torn += usize::from(!is_own && !is_well_formed(&record));
        if written.as_ref().is_some_and(|written| written.is_settled(volume, &mut met)) || is_over() {
            written = None;
        }
        if written.is_none() && refreshed.elapsed() > REFRESH_EVERY {
            written = Some(refresh(volume, &mut met));
            refreshed = Instant::now();
        }
    }
    met
}

/// Tokens that LiteLLM has written where the record is.
struct Written {
    slot: Slot,
    email: &'static str,
    record: Vec<u8>,
    refresh_token: String,
    /// Whether the file still was auth.json after the write.
    was_seen: bool,
}

/// Refreshes one account and writes its tokens as LiteLLM does: opened, truncated, written.
fn refresh(volume: &Volume, met: &mut Met) -> Written {
    let email = LITELLMS[met.refreshes % LITELLMS.len()];
    let number = 3 + u32::from(email == LITELLMS[1]);
    met.refreshes += 1;
    // The tokens of each generation end later than the last one's.
    volume.lifetime(email, LONG + i64::try_from(met.refreshes).unwrap() * 10);
    let record = volume.refresh_as_litellm(email, &volume.refresh_token(number));
    let refresh_token = record["refresh_token"].as_str().unwrap().to_owned();
    let record = record.to_string().into_bytes();
    let mut file = OpenOptions::new();
    let mut file = file.write(true).create(true).truncate(true).open(volume.file("auth.json")).unwrap();
    file.write_all(&record).unwrap();
    let was_seen = file.metadata().unwrap().nlink() > 0;
    Written { slot: number.to_string().parse().unwrap(), email, record, refresh_token, was_seen }
}

impl Written {
    /// Whether the tokens came home, or never will: then the account is signed in again.
    fn is_settled(&self, volume: &Volume, met: &mut Met) -> bool {
        let ours = auth_volume::Volume::open(Layout::new(volume.path().to_owned(), None)).unwrap();
        // No rotator is at work meanwhile.
        let locked = ours.lock_within(Duration::from_mins(1)).unwrap();
        if volume.refresh_token(self.slot.number()) == self.refresh_token {
            met.brought_home += 1;
            return true;
        }
        if volume.bytes("auth.json") == self.record {
            return false;
        }
        met.replaced_unread += usize::from(self.was_seen);
        met.written_to_nowhere += usize::from(!self.was_seen);
        let login = volume.login(self.email);
        locked.install(self.slot, login.to_string().as_bytes()).unwrap();
        true
    }
}
