//! An operator steers with `accounts` while the sidecar runs beside it.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use fixture::strace::Strace;
use fixture::{ANN, BEN, LONG, Running, wait_until};
use support::pod::Pod;

fn accounts(pod: &Pod, line: &str) -> String {
    let Output { status, stdout, stderr } = command(pod, line).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn an_account_that_is_pinned_and_must_be_renewed_first_serves_as_soon_as_the_rotator_has_renewed_it() {
    let pod = Pod::new();
    pod.put_login(1, ANN);
    let _sidecar = pod.sidecar();
    wait_until("ann serves", || pod.logged("active account-1 ").len() == 1);

    pod.lifetime(BEN, -1);
    pod.put_login(2, BEN);
    pod.lifetime(BEN, LONG);
    let said = accounts(&pod, "pin 2");
    assert!(said.contains("serving: account-1") && said.contains("the rotator was woken"), "{said}");
    wait_until("ben serves", || pod.json("auth.json")["account_id"] == "acct-ben");

    // What the operator said outlives a pass, and ends when they say so.
    assert!(accounts(&pod, "park 2 --for 6h").contains("serving: account-1"));
    assert_eq!(pod.json("auth.json")["account_id"], "acct-ann");
    pod.rotate_once(&[]).success();
    assert_eq!(pod.json("auth.json")["account_id"], "acct-ann");
    assert!(accounts(&pod, "unpark 2").contains("serving: account-2"));
}

#[test]
fn what_an_operator_changes_wakes_what_mirrors_the_records_and_it_finds_the_new_ones() {
    let pod = Pod::new();
    for (slot, email) in [(1, ANN), (2, BEN)] {
        pod.put_login(slot, email);
    }
    let lanes = ["--lanes", "2"];
    pod.rotate_once(&lanes).success();
    let mut idle = pod.command("idle");
    idle.current_dir(pod.path()).args(["--every", "1h", "--wake-on"]).arg(pod.file("rotator_state.json"));
    let _mirror = Running(
        idle.args(["--", "sh", "-c", "cat auth.json lane-1.json lane-2.json >mirrored"]).spawn().unwrap(),
    );
    let mirrored = || fs::read_to_string(pod.file("mirrored")).unwrap_or_default();
    let records = || ["auth.json", "lane-1.json", "lane-2.json"].map(|name| pod.read(name)).concat();
    wait_until("the records are mirrored", || mirrored() == records());
    for line in ["refresh 2 --yes", "park 1", "unpark 1", "use 2", "use 1", "refresh 1 --yes", "pin 2"] {
        let (before, begun) = (records(), Instant::now());
        let mut accounts = command(&pod, line);
        accounts.args(lanes);
        assert!(accounts.output().unwrap().status.success(), "{line}");
        assert!(records() != before, "{line} changes a record");
        wait_until(&format!("it is mirrored after {line}"), || mirrored() == records());
        println!("{line}: mirrored after {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(2), "{line}: {:?}", begun.elapsed());
    }
}

fn command(pod: &Pod, line: &str) -> Command {
    let mut command = pod.command("accounts");
    command.args(line.split(' '));
    command
}

/// Two accounts, of which the first serves.
fn pod_of_two() -> Pod {
    let pod = Pod::new();
    pod.put_login(1, ANN);
    pod.put_login(2, BEN);
    pod.rotate_once(&["--to", "1"]).success();
    pod
}

#[test]
fn an_operators_command_that_is_killed_anywhere_loses_no_login_and_can_be_repeated() {
    let mut killed = 0;
    for line in ["park 1", "remove 1 --yes"] {
        for call in Strace::new().trace("file,desc").calls(&command(&pod_of_two(), line)) {
            let pod = pod_of_two();
            let (ann, ben) = (pod.read("auth-1.json"), pod.read("auth-2.json"));
            let output =
                Strace::new().spoil(&call, "signal=SIGKILL").command(&command(&pod, line)).output().unwrap();
            killed += usize::from(output.status.signal() == Some(9));
            let at = format!("{line}, killed at {} {}", call.name, call.nth);

            assert_eq!(pod.read("auth-2.json"), ben, "{at}");
            let served = pod.json("auth.json")["account_id"].clone();
            match fs::read_to_string(pod.file("auth-1.json")) {
                Ok(left) => {
                    assert_eq!(left, ann, "{at}");
                    assert!(served == "acct-ann" || served == "acct-ben", "{at}: {served}");
                    accounts(&pod, line);
                }
                Err(_) => assert_eq!(served, "acct-ben", "{at}: gone before another one served"),
            }
            pod.rotate_once(&[]).success();
            assert_eq!(pod.json("auth.json")["account_id"], "acct-ben", "{at}");
            let mut names = pod.names_without_ended_grants();
            names.retain(|name| name != "auth-1.json" && name != "audit.jsonl");
            assert_eq!(
                names,
                [".last-pass", ".lock", "auth-2.json", "auth.json", "pool.json", "rotator_state.json"],
                "{at}"
            );
        }
    }
    assert!(killed > 100, "only {killed} calls were struck");
}
