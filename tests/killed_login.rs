//! A login that is killed at any moment leaves no token outside `auth-N.json`, and never takes the old login along.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Instant;

use fixture::strace::Strace;
use fixture::{ANN, wait_until};
use support::pod::Pod;

/// How many moments are tried while codex runs, evenly spread over the time that a login takes.
const MOMENTS: u32 = 10;

#[test]
fn killed_at_every_system_call_a_first_login_is_all_there_or_not_at_all() {
    kill_at_every_system_call(false);
}

#[test]
fn killed_at_every_system_call_a_second_login_leaves_a_login_that_works() {
    kill_at_every_system_call(true);
}

#[test]
fn killed_while_codex_runs_a_login_takes_codex_along() {
    let pod = pod(false);
    let start = Instant::now();
    pod.sign_in(1, ANN);
    let whole = start.elapsed();
    let killed = (0..MOMENTS).filter(|moment| {
        killed_login_leaves_order(false, |pod| {
            let mut login = silent(pod.auth_login(&["1"])).spawn().unwrap();
            sleep(whole * *moment / MOMENTS);
            let _ = login.kill();
            login.wait().unwrap();
        })
    });
    assert!(killed.count() > 0, "every login was done before it was killed");
}

fn kill_at_every_system_call(second: bool) {
    let (mut killed, mut stored) = (0, 0);
    // Only the first process is followed: codex and the cleanup process are left alone.
    for call in Strace::new().trace("file,desc,process").calls(&pod(second).auth_login(&["1"])) {
        let kept_old = killed_login_leaves_order(second, |pod| {
            let login = Strace::new().spoil(&call, "signal=SIGKILL").command(&pod.auth_login(&["1"]));
            let status = silent(login).status().unwrap();
            killed += u32::from(status.signal() == Some(9));
            let at = format!("{} {}", call.name, call.nth);
            assert!(status.signal() == Some(9) || status.success(), "killed at {at}: {status}");
        });
        stored += u32::from(!kept_old);
    }
    println!(
        "killed at {killed} system calls; the login was stored before {stored} of them, and none was lost"
    );
    assert!(killed > 100 && stored > 10, "the calls were not traced to the end");
}

/// Signs in while `kill` does its worst, and tells whether the login did *not* get stored.
fn killed_login_leaves_order(second: bool, kill: impl FnOnce(&Pod)) -> bool {
    let pod = pod(second);
    let old = second.then(|| pod.read("auth-1.json"));
    kill(&pod);
    wait_until("the cleanup process has finished", || {
        pod.memory_is_empty()
            && pod.files_with_tokens().iter().all(|file| file == "auth-1.json")
            && pod
                .names_without_ended_grants()
                .iter()
                .all(|name| name == "auth-1.json" || !name.contains("auth-1"))
    });
    if !pod.file("auth-1.json").exists() {
        assert!(!second, "the old login is gone");
        return true;
    }
    let login = pod.json("auth-1.json");
    assert!(pod.openai.refreshable(login["tokens"]["refresh_token"].as_str().unwrap()).good);
    old == Some(pod.read("auth-1.json"))
}

fn pod(second: bool) -> Pod {
    let pod = Pod::new();
    pod.openai.poll_every(0);
    if second {
        pod.put_login(1, ANN);
    }
    pod.openai.approve_next(ANN);
    pod
}

fn silent(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
