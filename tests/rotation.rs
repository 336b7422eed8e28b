//! `idle` running `rotate-once`, as the sidecar does.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pod::{Pod, wait_until};

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
