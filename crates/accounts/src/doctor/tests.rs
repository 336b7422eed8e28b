use std::path::PathBuf;
use std::time::Duration;

use auth_volume::directory_check::{DirectoryCheck, Fault};
use auth_volume::{Layout, Volume, VolumeError};
use fixture::every_state;
use judgement::quota::Quota;
use overview::Published;
use overview::finding::Id;
use overview::observed::Examined;
use records::Naming;
use records::grant::Marker;
use records::heartbeat::Heartbeat;
use records::limits::Limits;
use records::mirroring::Mirroring;
use records::probe::ProbeResult;
use records::state::{NotAState, ReportedPlan};
use records::writer::Writer;

use super::examination::{examine, tried};
use super::*;

/// One in the morning.
const NOW: i64 = 1_795_482_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds)
}

/// The volume with every state in it, in a pod that is in order otherwise.
fn everything() -> Observed {
    let directory = fixture::Volume::with_every_state(NOW);
    let volume = Volume::open(Layout::new(directory.path().to_owned(), None)).unwrap();
    let observer = Observer {
        naming: Naming::Masked,
        refresh_before: Duration::from_hours(24),
        interval: Duration::from_mins(30),
        quota: Quota::default(),
    };
    let facts = observer.observe(&volume, at(0)).unwrap();
    let args = DoctorArgs { probe: false, codex_bin: "codex".into() };
    let examined = examine(&volume, &facts.overview, &args, at(0));
    assert!(examined.not_tried.is_none() && examined.directories[0].is_tried);
    let whole = DirectoryCheck { faults: Vec::new(), room: Some((1 << 30, Some(1000))) };
    Observed {
        last_pass: Some(at(-600)),
        has_passed: true,
        heartbeat: Some(Heartbeat {
            at: at(-30),
            held: true,
            litellm: "1.106.2".to_owned(),
            cannot_write: None,
        }),
        examined: Some(Examined {
            directories: vec![tried("/chatgpt-auth".into(), &whole)],
            from_the_future: Vec::new(),
            codex: Ok("/usr/local/bin/codex".into()),
            ..examined
        }),
        ..facts
    }
}

/// The same without the slots that have findings.
fn healthy() -> Observed {
    let mut observed = everything();
    observed.overview.rows.retain(|row| ![3, 6, 7, 11, 13].contains(&row.slot.number()));
    observed
}

fn examined(observed: &mut Observed) -> &mut Examined {
    observed.examined.as_mut().unwrap()
}

/// What the doctor prints.
fn text(observed: &Observed) -> String {
    let findings = findings(observed);
    let findings: Vec<_> = findings.iter().filter(|finding| finding.is_actionable()).collect();
    report::text(&findings, Some(observed))
}

fn actionable(observed: &Observed) -> Vec<Finding> {
    findings(observed).into_iter().filter(Finding::is_actionable).collect()
}

#[test]
fn the_doctor_says_of_each_finding_what_to_type() {
    assert_eq!(text(&everything()), std::fs::read_to_string(every_state("doctor")).unwrap());
}

#[test]
fn a_pod_that_is_in_order_has_no_findings() {
    assert_eq!(actionable(&healthy()), [], "{}", text(&healthy()));
}

#[test]
fn two_writers_on_one_volume_are_found_by_their_passes_and_by_their_locks() {
    let writer = |host: &str, first: i64, last: i64| Writer {
        host: host.to_owned(),
        lock: "1:2".to_owned(),
        first: at(first),
        last: at(last),
    };
    let (said, remedy) =
        only_finding(|facts| facts.writers = vec![writer("pod-b", -1800, -20), writer("pod-a", -7200, -600)]);
    assert!(
        said.starts_with("two rotators are at work on this volume: pod-a (last 2026-11-24T00:50:00Z)"),
        "{said}"
    );
    assert!(remedy.contains("second release"), "{remedy}");
    let (said, _) = only_finding(|facts| examined(facts).out_of_reach = vec![Marker::unreadable(at(-3))]);
    assert!(said.contains("their locks do not reach each other"), "{said}");
}

#[test]
fn a_mirror_that_fails_or_stands_still_is_found_after_three_minutes_and_none_where_there_is_none() {
    let mirroring = |at_, succeeded: Option<i64>, failed: Option<&str>| Mirroring {
        at: at(at_),
        succeeded: succeeded.map(at),
        failed: failed.map(str::to_owned),
    };
    let ahead = "the Secret codex-lanes has generation 12 of the records";
    let (said, remedy) =
        only_finding(|facts| facts.mirroring = Some(mirroring(-30, Some(-181), Some(ahead))));
    let since = "the Secret of the lanes has not been what it should be since 2026-11-24T00:56:59Z: LiteLLM's replicas \
                 serve on with the records that they have";
    assert_eq!(said, format!("{since} ({ahead})"));
    assert!(remedy.starts_with("look at kubectl logs sts/codex-accounts -c lane-mirror; "), "{remedy}");
    let waits = |facts: &mut Observed| {
        (facts.mirroring, facts.waiting_since) = (Some(mirroring(-1, Some(-1), None)), Some(at(-121)));
    };
    let (_, remedy) = only_finding(waits);
    assert_eq!(remedy, "rotate-once; then look at kubectl logs sts/codex-accounts -c rotator");
    let (said, _) = only_finding(|facts| facts.mirroring = Some(mirroring(-1, None, Some(ahead))));
    assert!(said.starts_with("the Secret of the lanes has not got their records: "), "{said}");
    let (said, _) = only_finding(|facts| facts.mirroring = Some(mirroring(-181, Some(-181), None)));
    assert!(
        said.starts_with(
            "lane-mirror has not run since 2026-11-24T00:56:59Z, and a run is due each minute: "
        ),
        "{said}"
    );
    for is_fine in [mirroring(-180, Some(-180), None), mirroring(-1, Some(-180), Some(ahead))] {
        let observed = Observed { mirroring: Some(is_fine), ..healthy() };
        assert_eq!(actionable(&observed), []);
        assert!(text(&observed).contains("ok       mirror    the Secret of the lanes has their records, "));
    }
    assert!(!text(&healthy()).contains("mirror"), "none is used");
}

/// The only finding, and what to do.
fn only_finding(change: impl FnOnce(&mut Observed)) -> (String, String) {
    let mut observed = healthy();
    change(&mut observed);
    let mut findings = actionable(&observed);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = findings.remove(0);
    (finding.description(), finding.remedy())
}

fn trial(trial: DirectoryCheck) -> impl FnOnce(&mut Observed) {
    move |facts| examined(facts).directories = vec![tried("/chatgpt-auth".into(), &trial)]
}

fn fault(fault: Fault) -> impl FnOnce(&mut Observed) {
    trial(DirectoryCheck { faults: vec![fault], room: Some((1 << 30, Some(1000))) })
}

#[test]
fn a_volume_that_cannot_do_what_writers_rely_on_is_named() {
    let read_only = std::io::Error::from_raw_os_error(30);
    let (said, remedy) = only_finding(fault(Fault::Write(read_only)));
    assert_eq!(said, "/chatgpt-auth cannot be written: Read-only file system (os error 30)");
    assert_eq!(remedy, "mount it writable for this user (fsGroup), or make room");
    let (said, remedy) = only_finding(fault(Fault::NoLocks));
    assert_eq!(said, "/chatgpt-auth does not lock: two writers would not exclude each other");
    assert_eq!(remedy, "use a volume of another storage class");
    let (said, _) = only_finding(fault(Fault::NoModes(0o777)));
    assert_eq!(said, "/chatgpt-auth does not keep modes: a file of mode 600 has 777");
    let (said, remedy) = only_finding(|facts| examined(facts).directories[0].is_projected = true);
    assert!(said.starts_with("/chatgpt-auth is a Secret or a ConfigMap"), "{said}");
    assert_eq!(remedy, "mount a PersistentVolumeClaim there");
    let (said, _) = only_finding(trial(DirectoryCheck { faults: Vec::new(), room: Some((4096, None)) }));
    assert_eq!(said, "/chatgpt-auth is full");
}

#[test]
fn a_rotator_that_does_not_run_is_noticed_by_what_it_leaves_undone() {
    let (said, remedy) = only_finding(|facts| facts.waiting_since = Some(at(-121)));
    assert!(said.starts_with("a signal has waited since 2026-11-24T00:57:59Z"), "{said}");
    assert_eq!(remedy, "rotate-once; then look at kubectl logs deploy/litellm -c rotator");
    let (said, _) = only_finding(|facts| facts.last_pass = Some(at(-2 * 3600)));
    assert_eq!(said, "the last pass was 2h ago, and one is due every 30m");
    let (said, _) = only_finding(|facts| (facts.last_pass, facts.has_passed) = (Some(at(-2 * 3600)), false));
    assert_eq!(said, "no pass has ended since auth.json was written 2h ago, and one is due every 30m");
    assert!(actionable(&Observed { last_pass: Some(at(-3720)), ..healthy() }).is_empty());
    assert_eq!(actionable(&Observed { last_pass: Some(at(-3721)), ..healthy() }).len(), 1);
    // It matters most while no account can serve.
    let mut capped = healthy();
    capped.overview.rows.retain(|row| row.slot.number() == 2);
    capped.last_pass = Some(at(-2 * 3600));
    assert!(text(&capped).contains("the last pass was 2h ago"));
    let mut slow = healthy();
    slow.last_pass = Some(at(-2 * 3600));
    slow.interval = Duration::from_hours(6);
    slow.waiting_since = Some(at(-60));
    assert!(actionable(&slow).is_empty());
}

#[test]
fn a_clock_that_disagrees_is_noticed() {
    let (said, _) = only_finding(|facts| facts.files[0].issued = Some(at(3600)));
    assert_eq!(
        said,
        "the token of account-1 was made 2026-11-24T02:00:00Z, and it is 2026-11-24T01:00:00Z here: this clock is \
         behind, or that one ahead"
    );
    let path = PathBuf::from("/chatgpt-auth/auth.json");
    let (said, _) = only_finding(|facts| examined(facts).from_the_future = vec![(path, at(7200))]);
    assert!(said.starts_with("/chatgpt-auth/auth.json was written 2026-11-24T03:00:00Z"), "{said}");
}

#[test]
fn the_published_record_is_judged() {
    let serving = |serving| only_finding(move |facts: &mut Observed| facts.overview.published = serving);
    assert_eq!(serving(Published::Nothing).1, "rotate-once --init");
    assert_eq!(serving(Published::Placeholder).1, "rotate-once");
    assert_eq!(serving(Published::Unknown).1, "rotate-once");
    assert_eq!(
        serving(Published::Foreign("a reason".to_owned())).0,
        "auth.json was not written by us (a reason)"
    );
    assert_eq!(
        serving(Published::Account("4".parse().unwrap())).0,
        "auth.json is of account-4, which must not serve"
    );
}

#[test]
fn a_callback_that_is_not_called_is_distinguished_from_one_that_is_gone() {
    let callback =
        |change: fn(&mut Heartbeat)| only_finding(move |facts| change(facts.heartbeat.as_mut().unwrap())).0;
    assert_eq!(
        callback(|heartbeat| heartbeat.held = false),
        "LiteLLM 1.106.2 has imported the callback, and does not call it"
    );
    assert!(
        callback(|heartbeat| heartbeat.at = at(-600))
            .starts_with("the last heartbeat of the callback in LiteLLM 1.106.2")
    );
    let beating = |seconds: i64| {
        let mut observed = healthy();
        observed.heartbeat.as_mut().unwrap().at = at(-seconds);
        actionable(&observed).len()
    };
    assert_eq!([beating(180), beating(181)], [0, 1]);
    let (said, remedy) = only_finding(|facts| facts.heartbeat = None);
    assert_eq!(said, "no LiteLLM has loaded the callback: the rotator does not learn of refusals");
    assert!(remedy.starts_with("set callbacks: rotate_now.handler"), "{remedy}");
}

#[test]
fn the_rest_is_named_too() {
    let (said, remedy) = only_finding(|facts| examined(facts).codex = Err("codex".to_owned()));
    assert_eq!(said, "no codex program \"codex\": no account can sign in from here");
    assert_eq!(remedy, "install codex, or set CODEX_BIN to its path");
    let (said, remedy) = only_finding(|facts| facts.overview.pin_is_lost = true);
    assert_eq!(said, "the pinned account is in no slot");
    assert!(remedy.starts_with("accounts unpin"));
    let (_, remedy) = only_finding(|facts| {
        examined(facts).probed =
            vec![("2".parse().unwrap(), ProbeResult::Refused("token_invalidated".to_owned()))];
    });
    assert_eq!(remedy, "auth-login 2");
    let (said, remedy) = only_finding(|facts| facts.files[0].too_open = true);
    assert!(said.starts_with("others can read ") && remedy == "rotate-once", "{said}: {remedy}");
}

#[test]
fn files_that_are_almost_in_a_slot_are_named_in_a_short_printable_line() {
    let named = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        only_finding(move |facts| facts.misnamed_logins = names)
    };
    let (said, remedy) = named(&["auth-01.json"]);
    assert_eq!(
        said,
        "\"auth-01.json\" looks like a login and is in no slot: a slot's file is auth-N.json, with N from 1 on and \
         without leading zeros"
    );
    assert_eq!(remedy, "copy one to auth-N.json, or delete it");
    let (said, _) = named(&["auth-0\u{1b}.json", "auth-1 (1).json"]);
    assert!(
        said.starts_with("\"auth-0 .json\" and \"auth-1 (1).json\" look like logins and are in"),
        "{said}"
    );
    let (said, _) = named(&["auth-a", "auth-b", "auth-c", "auth-d", "auth-e"]);
    assert!(said.starts_with("\"auth-a\", \"auth-b\", \"auth-c\" and 2 more look like logins"), "{said}");
    let mut empty = healthy();
    empty.overview.rows.clear();
    empty.misnamed_logins = vec!["auth-1.json.bak".to_owned()];
    let text = text(&empty);
    assert!(text.contains("no account has signed in") && text.contains("auth-1.json.bak"), "{text}");
}

#[test]
fn a_state_that_cannot_be_used_is_named_with_what_to_do() {
    let finding = |error: VolumeError| unreadable(&error);
    let newer = finding(VolumeError::State("state".into(), NotAState::Newer(2)));
    assert_eq!(newer.id, Id::StateUnusable);
    assert!(newer.remedy().starts_with("use the newest release"), "{newer:?}");
    let large = finding(VolumeError::StateTooLarge("state".into()));
    assert!(large.remedy().contains("move the state away"), "{large:?}");
}

#[test]
fn the_plan_that_the_provider_reports_is_shown_with_that_of_the_token_if_they_differ() {
    let said = |plan: &str| {
        let plan = ReportedPlan::new(plan, at(0));
        let mut observed = healthy();
        examined(&mut observed).probed =
            vec![("2".parse().unwrap(), ProbeResult::Accepted(Limits::default(), plan))];
        text(&observed).lines().last().unwrap().replace("ok       provider  ", "")
    };
    assert_eq!(said("pro"), "the provider accepts account-2 (plan pro)");
    assert_eq!(
        said("team"),
        "the provider accepts account-2 (plan team, and pro in its token until that is refreshed)"
    );
    assert_eq!(said(""), "the provider accepts account-2");
}

#[test]
fn when_no_account_can_serve_the_doctor_says_that_agents_are_refused() {
    let (said, remedy) = only_finding(|facts| {
        facts.overview.rows.retain(|row| row.slot.number() == 2);
    });
    assert_eq!(
        said,
        "no account can serve: account-2 comes back first, 2026-11-24T04:40:00Z; wait, or sign in one more account"
    );
    assert_eq!(remedy, "auth-login 1");
    let (said, remedy) = only_finding(|facts| {
        facts.overview.rows.retain(|row| row.slot.number() == 4);
    });
    assert_eq!(said, "no account can serve: agents are refused until one can");
    assert_eq!(remedy, "accounts why; repair one of the accounts, or sign in one more: auth-login 1");
}
