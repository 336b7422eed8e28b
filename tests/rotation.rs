//! `idle` running `rotate-once`, as the sidecar does.

use std::fs;
use std::time::{Duration, Instant};

use fixture::{Running, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::pod::Pod;

#[test]
fn signing_in_publishes_at_once_and_a_touch_moves_on() {
    let pod = Pod::new();
    let sidecar = pod.sidecar();
    wait_until("the first pass found nothing", || !pod.logged("run auth-login 1").is_empty());
    assert_eq!(pod.json("auth.json")["access_token"], "placeholder");

    pod.sign_in(1, "ann@example.test");
    wait_until("ann is active", || pod.logged("active account-1 (expires ").len() == 1);
    pod.sign_in(2, "ben@example.test");
    wait_until("the pass after ben's login", || pod.logged("active account-1").len() == 2);
    assert_eq!(
        pod.json("auth.json")["account_id"],
        "acct-ann",
        "a login is no reason to leave an account that serves"
    );

    fs::write(pod.file("rotate-now"), "").unwrap();
    wait_until("ben is active", || pod.logged("active account-2").len() == 1);
    assert_eq!(pod.json("auth.json")["account_id"], "acct-ben");
    wait_until("the signal is consumed", || !pod.file("rotate-now").exists());

    // Told to stop during a pass, idle would pass the pass's own end on.
    let pid = sidecar.0.id();
    let children = format!("/proc/{pid}/task/{pid}/children");
    wait_until("the pass has ended", || fs::read_to_string(&children).unwrap().is_empty());
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGTERM).unwrap();
    let mut sidecar = sidecar;
    assert_eq!(sidecar.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_login_of_the_account_in_use_is_published_at_once() {
    let pod = Pod::new();
    let _sidecar = pod.sidecar();
    pod.sign_in(1, "ann@example.test");
    wait_until("ann is active", || pod.logged("active account-1").len() == 1);
    let old = pod.read("auth.json");
    pod.sign_in(1, "ann@example.test");
    wait_until("her new token is published", || pod.read("auth.json") != old);
    let login = pod.json("auth-1.json");
    assert_eq!(pod.json("auth.json")["access_token"], login["tokens"]["access_token"]);
}

/// A sidecar that is telling a command of a broken slot, which the command never takes in.
fn stuck_in_telling(pod: &Pod) -> Running {
    pod.put_login(1, "ann@example.test");
    pod.put_login(2, "ben@example.test");
    fs::write(pod.file("auth-3.json"), "{half").unwrap();
    let (hook, pids) = (pod.file("hook"), pod.file("pids"));
    fs::write(&hook, format!("sleep 600 & echo $! $$ > {}; sleep 600", pids.display())).unwrap();
    let sidecar = pod.sidecar_that_tells(&format!("sh {}", hook.display()));
    wait_until("the command runs", || fs::read_to_string(&pids).is_ok_and(|pids| pids.ends_with('\n')));
    assert_eq!(pod.json("auth.json")["account_id"], "acct-ann", "published before anybody is told");
    sidecar
}

fn is_gone(pod: &Pod) -> bool {
    let pids = pod.read("pids");
    pids.split_whitespace().all(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie waits for nothing but to be counted.
        stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.starts_with(" Z"))
    })
}

#[test]
fn a_receiver_that_hangs_keeps_no_refusal_waiting() {
    let pod = Pod::new();
    let _sidecar = stuck_in_telling(&pod);
    let called = Instant::now();
    fs::write(pod.file("rotate-now"), "").unwrap();
    wait_until("ben is active", || pod.logged("active account-2").len() == 1);
    assert!(called.elapsed() < Duration::from_secs(5), "{:?}", called.elapsed());
    wait_until("the command is gone", || is_gone(&pod));
}

#[test]
fn a_pod_that_stops_while_somebody_is_told_stops_at_once() {
    let pod = Pod::new();
    let mut sidecar = stuck_in_telling(&pod);
    let told = Instant::now();
    kill(Pid::from_raw(sidecar.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(sidecar.0.wait().unwrap().code(), Some(143), "the pass's own end");
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    wait_until("the command is gone", || is_gone(&pod));
}
