//! Locks that do not cross: of two nodes that share a volume, and of a lock's file that was removed or replaced.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use fixture::strace::Strace;
use fixture::wait_until;
use fixture::{ANN, BEN, LONG};
use stand_in::OauthFault;
use tempfile::TempDir;

use crate::faults::backup::Backup;
use crate::faults::dice::Dice;
use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::scenario::Scenario;
use crate::faults::volume::Volume;

/// How many times two rotators meet.
const ROUNDS: u64 = 80;

/// How long the issuer takes at the most, in milliseconds, and how much later the second rotator comes.
const SLOW: u64 = 120;

/// How often a refresh syncs what it writes, at the most.
const SYNCS: u32 = 16;

/// What is done on each node.
const DEEDS: [&[&str]; 4] = [
    &["rotate-once", "--refresh-before", "20d"],
    &["rotate-once", "--refresh-before", "20d", "--policy", "round-robin"],
    &["accounts", "refresh", "1", "--yes"],
    &["accounts", "refresh", "2", "--yes"],
];

/// What happens to a volume of which there is a backup.
type Deed = fn(&Volume, &Backup);

/// Another node: another lock is in the place of the volume's, and another boot is running. Namespaces make it, in a user
/// namespace for those who are not root. The locks of drafts and markers still cross, and those of one node must.
struct Node(TempDir);

const ELSEWHERE: &str = r#"mount --bind "$NODE/lock" "$CHATGPT_AUTH_DIR/.lock" &&
    mount --bind "$NODE/boot" /proc/sys/kernel/random/boot_id &&
    exec $SLOW "$@""#;

impl Node {
    fn new() -> Self {
        let node = tempfile::tempdir().unwrap();
        fs::write(node.path().join("lock"), "").unwrap();
        fs::write(node.path().join("boot"), "00000000-0000-4000-8000-000000000000\n").unwrap();
        Self(node)
    }

    /// The same command, run there.
    fn command(&self, command: &Command) -> Command {
        let mut there = Command::new("unshare");
        there.args(["--map-root-user", "--mount", "sh", "-c", ELSEWHERE, "sh"]);
        there.arg(command.get_program()).args(command.get_args()).env_clear();
        there.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        there.env("NODE", self.0.path()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        there
    }
}

#[test]
fn two_rotators_whose_locks_do_not_cross() {
    let mut figures = Figures::of("two rotators whose locks do not cross");
    let (volume, node, mut dice) = (Volume::new(), Node::new(), Dice::of(11));
    volume.put_login_for(1, ANN, LONG);
    volume.put_login_for(2, BEN, LONG);
    assert!(volume.pass(&[]).status.success());
    let mut before = 0;
    for round in 0..ROUNDS {
        volume.end_pause();
        volume.openai.oauth_fault(match dice.below(SLOW) {
            quick if quick < SLOW / 8 => OauthFault::None,
            slow => OauthFault::DelayMs(slow),
        });
        let deeds = [(); 2].map(|()| dice.one_of(&DEEDS));
        let [here, there] = deeds.map(|deed| {
            let mut command = volume.command(deed[0]);
            command.args(&deed[1..]);
            command
        });
        let (mut here, mut there) = (here, node.command(&there));
        let name = format!("round {round}, {deeds:?}");
        let served = volume.bytes("auth.json");
        let case = Case { volume: &volume, name, served, may_be_lost_on_the_wire: false };
        let first = there.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        sleep(Duration::from_millis(dice.below(SLOW)));
        let second = here.output().unwrap();
        let first = first.wait_with_output().unwrap();
        figures.struck += usize::from(volume.refreshes_of(ANN) + volume.refreshes_of(BEN) > before);
        before = volume.refreshes_of(ANN) + volume.refreshes_of(BEN);
        for output in [first, second] {
            case.at_once(&output, &mut figures);
            if !matches!(output.status.code(), Some(0 | 75)) {
                case.complain(&mut figures, &String::from_utf8_lossy(&output.stderr));
            }
        }
        volume.openai.oauth_fault(OauthFault::None);
        case.once_mended(&mut figures);
    }
    assert!(before > usize::try_from(ROUNDS).unwrap() / 2, "only {before} refreshes");
    figures.print(&format!("; {before} refreshes"));
}

#[test]
fn one_is_slow_at_any_sync_while_the_other_refreshes() {
    let mut figures = Figures::of("one is slow at any sync while the other refreshes");
    figures.each(1..=SYNCS, |nth, figures| {
        let (volume, node) = (Scenario::Asked.volume(), Node::new());
        let served = volume.bytes("auth.json");
        let name = format!("slow at sync {nth}");
        let case = Case { volume: &volume, name, served, may_be_lost_on_the_wire: false };
        let mut slow = node.command(&Scenario::Asked.command(&volume));
        let strace = Strace::new().inject("fsync", "delay_enter=1000000", &nth.to_string());
        slow.env("SLOW", strace.words());
        let slow = slow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        sleep(Duration::from_millis(500));
        let quick = Scenario::Asked.command(&volume).output().unwrap();
        figures.struck += 1;
        for output in [quick, slow.wait_with_output().unwrap()] {
            case.at_once(&output, figures);
            if !matches!(output.status.code(), Some(0 | 75)) {
                case.complain(figures, &String::from_utf8_lossy(&output.stderr));
            }
        }
        case.once_mended(figures);
        if volume.refreshes_of(ANN) == 0 {
            case.complain(figures, "neither refreshed it");
        }
    });
    figures.print("");
}

#[test]
fn one_that_stood_still_before_it_sent_a_refresh_token_keeps_it_to_itself() {
    let calls =
        Strace::new().trace("fsync,connect").calls(&Scenario::Asked.command(&Scenario::Asked.volume()));
    let asks = calls.iter().position(|call| call.name == "connect").unwrap();
    let last_sync = calls[..asks].iter().rfind(|call| call.name == "fsync").unwrap();

    let volume = Scenario::Asked.volume();
    let slow =
        Strace::new().spoil(last_sync, "delay_exit=11000000").command(&Scenario::Asked.command(&volume));
    let output = { slow }.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("this process stood still for 11 s before it sent it"), "{said}");
    assert_eq!(volume.refreshes_of(ANN), 0);
    let again = Scenario::Asked.command(&volume).output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(volume.refreshes_of(ANN), 1);
}

#[test]
fn the_lock_is_removed_or_a_backup_laid_over_it_during_a_refresh() {
    let mut figures = Figures::of("the lock is removed, or a backup laid over it, during a refresh");
    let removed = |volume: &Volume, _: &Backup| fs::remove_file(volume.file(".lock")).unwrap();
    let replaced = |volume: &Volume, _: &Backup| volume.write(".lock", "");
    let laid_over = |volume: &Volume, backup: &Backup| backup.lay_over(volume);
    let both = |volume: &Volume, backup: &Backup| {
        backup.lay_over(volume);
        fs::remove_file(volume.file(".lock")).unwrap();
    };
    let deeds: [(&str, Deed); 4] = [
        ("the lock is removed", removed),
        ("the lock is replaced", replaced),
        ("a backup is laid over it", laid_over),
        ("a backup is laid over it and the lock removed", both),
    ];
    for scenario in [Scenario::LoginDue, Scenario::Asked] {
        figures.each(deeds, |(name, deed), figures| {
            let volume = scenario.volume();
            // Markers of before are in the backup, too.
            assert!(volume.accounts(&["refresh", "2", "--yes"]).status.success());
            let backup = Backup::of(&volume);
            volume.openai.oauth_fault(OauthFault::DelayMs(3000));
            let name = format!("{scenario:?}: {name}");
            let served = volume.bytes("auth.json");
            let case = Case { volume: &volume, name, served, may_be_lost_on_the_wire: false };
            let mut first = scenario.command(&volume);
            let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            wait_until("the issuer is asked", || volume.refreshes_of(ANN) == 1);
            deed(&volume, &backup);
            figures.struck += 1;
            case.at_once(&volume.pass(&[]), figures);
            let by_hand = volume.accounts(&["refresh", "1", "--yes"]);
            case.at_once(&by_hand, figures);
            if by_hand.status.code() != Some(75) {
                case.complain(figures, "it was refreshed by hand while it was being refreshed");
            }
            let first = first.wait_with_output().unwrap();
            case.at_once(&first, figures);
            if !first.status.success() {
                case.complain(figures, &String::from_utf8_lossy(&first.stderr));
            }
            volume.openai.oauth_fault(OauthFault::None);
            case.once_mended(figures);
        });
    }
    figures.print("");
}
