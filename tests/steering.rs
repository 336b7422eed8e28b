//! An operator steers with `accounts` while the sidecar runs beside it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

use stand_in::AccountRequest;

use crate::pod::{Pod, shipped, wait_until};

const ANN: &str = "ann@example.test";
const BEN: &str = "ben@example.test";

fn accounts(pod: &Pod, line: &str) -> String {
    let Output { status, stdout, stderr } = pod.command("accounts").args(line.split(' ')).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// How long access tokens live that are issued to this account from now on.
fn tokens_live(pod: &Pod, email: &str, seconds: i64) {
    pod.openai.account(&AccountRequest {
        email: email.into(),
        token_lifetime_seconds: Some(seconds),
        ..AccountRequest::default()
    });
}

#[test]
fn an_account_that_is_pinned_and_must_be_renewed_first_serves_as_soon_as_the_rotator_has_renewed_it() {
    let pod = Pod::new();
    pod.put_login(1, ANN);
    let _sidecar = pod.sidecar();
    wait_until("ann serves", || pod.logged("active account-1 ").len() == 1);

    tokens_live(&pod, BEN, -1);
    pod.put_login(2, BEN);
    tokens_live(&pod, BEN, 864_000);
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

/// `accounts LINE` under strace.
fn traced(pod: &Pod, expression: &str, log: &str, line: &str) -> Output {
    let mut strace = Command::new("strace");
    strace.args(["-o", log, "-e", expression]).arg(shipped("accounts")).args(line.split(' '));
    strace.env_clear().env("PATH", "/usr/bin:/bin").env("CHATGPT_AUTH_DIR", pod.volume()).output().unwrap()
}

/// The calls of `accounts LINE` that touch files, by name, and how many there are of each.
fn calls(pod: &Pod, line: &str) -> BTreeMap<String, u32> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = traced(pod, "trace=file,desc", log.path().to_str().unwrap(), line);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut calls = BTreeMap::new();
    let text = fs::read_to_string(log.path()).unwrap();
    for (name, _) in text.lines().filter_map(|line| line.split_once('(')) {
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
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
        for (name, count) in calls(&pod_of_two(), line) {
            for nth in 1..=count {
                let pod = pod_of_two();
                let (ann, ben) = (pod.read("auth-1.json"), pod.read("auth-2.json"));
                let expression = format!("inject={name}:signal=SIGKILL:when={nth}");
                let output = traced(&pod, &expression, "/dev/null", line);
                killed += usize::from(output.status.signal() == Some(9));
                let at = format!("{line}, killed at {name} {nth}");

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
                let mut names = pod.names();
                names.retain(|name| name != "auth-1.json" && name != "audit.jsonl");
                assert_eq!(
                    names,
                    [".last-pass", ".lock", "auth-2.json", "auth.json", "rotator_state.json"],
                    "{at}"
                );
            }
        }
    }
    assert!(killed > 100, "only {killed} calls were struck");
}
