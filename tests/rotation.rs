//! `idle` running `rotate-once`, as the sidecar does.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pod::{Pod, Running, wait_until};

fn sidecar(pod: &Pod) -> Running {
    let log = fs::File::create(pod.file("log")).unwrap();
    let mut idle = pod.command("idle");
    idle.args(["--every", "30m", "--wake-on"]).arg(pod.file("rotate-now")).args(["--", "rotate-once"]);
    Running(idle.stdin(Stdio::null()).stderr(log).spawn().unwrap())
}

fn lines(pod: &Pod, word: &str) -> usize {
    pod.read("log").lines().filter(|line| line.contains(word)).count()
}

#[test]
fn signing_in_publishes_at_once_and_a_touch_moves_on() {
    let pod = Pod::new();
    let sidecar = sidecar(&pod);
    wait_until("the first pass found nothing", || lines(&pod, "run auth-login 1") > 0);
    assert_eq!(pod.json("auth.json")["access_token"], "placeholder");

    pod.sign_in(1, "ann@example.test");
    wait_until("ann is active", || lines(&pod, "active account-1 (expires ") == 1);
    pod.sign_in(2, "ben@example.test");
    wait_until("the pass after ben's login", || lines(&pod, "active account-1") == 2);
    assert_eq!(
        pod.json("auth.json")["account_id"],
        "acct-ann",
        "a login is no reason to leave an account that serves"
    );

    fs::write(pod.file("rotate-now"), "").unwrap();
    wait_until("ben is active", || lines(&pod, "active account-2") == 1);
    assert_eq!(pod.json("auth.json")["account_id"], "acct-ben");
    wait_until("the signal is consumed", || !pod.file("rotate-now").exists());

    kill(Pid::from_raw(sidecar.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let mut sidecar = sidecar;
    assert_eq!(sidecar.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_login_of_the_account_in_use_is_published_at_once() {
    let pod = Pod::new();
    let _sidecar = sidecar(&pod);
    pod.sign_in(1, "ann@example.test");
    wait_until("ann is active", || lines(&pod, "active account-1") == 1);
    let old = pod.read("auth.json");
    pod.sign_in(1, "ann@example.test");
    wait_until("her new token is published", || pod.read("auth.json") != old);
    let login = pod.json("auth-1.json");
    assert_eq!(pod.json("auth.json")["access_token"], login["tokens"]["access_token"]);
}
