//! A login that is killed at any moment leaves no token outside `auth-N.json`, and never takes the old login along.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::pod::{Pod, wait_until};

/// How many moments of a login are tried, evenly spread from its start to its end.
const MOMENTS: u32 = 40;

#[test]
fn a_killed_first_login_is_all_there_or_not_at_all() {
    kill_at_every_moment(false);
}

#[test]
fn a_killed_renewal_leaves_a_login_that_works() {
    kill_at_every_moment(true);
}

fn kill_at_every_moment(renewal: bool) {
    let whole = duration_of_a_login(renewal);
    let (mut before, mut after) = (0, 0);
    for moment in 0..=MOMENTS {
        let pod = Pod::new();
        if renewal {
            pod.put_login(1, "ann@example.test");
        }
        let old = renewal.then(|| pod.read("auth-1.json"));
        pod.openai.approve_next("ann@example.test");
        let mut login = pod.auth_login(&["1"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(whole * moment / MOMENTS);
        // SIGKILL, which nobody can prepare for.
        let _ = login.kill();
        login.wait().unwrap();

        wait_until("the keeper has put things in order", || {
            pod.memory_is_empty() && pod.files_with_tokens().iter().all(|file| file == "auth-1.json")
        });
        if !pod.file("auth-1.json").exists() {
            assert!(!renewal, "the old login is gone");
            before += 1;
            continue;
        }
        let login = pod.json("auth-1.json");
        let refresh_token = login["tokens"]["refresh_token"].as_str().unwrap();
        assert!(pod.openai.refreshable(refresh_token).good);
        if old.is_some_and(|old| old == pod.read("auth-1.json")) {
            before += 1;
        } else {
            after += 1;
        }
    }
    println!("killed {} logins: {before} before and {after} after the login was stored", MOMENTS + 1);
    assert!(before > 0, "no login was killed before it was done");
}

fn duration_of_a_login(renewal: bool) -> Duration {
    let pod = Pod::new();
    if renewal {
        pod.put_login(1, "ann@example.test");
    }
    let start = Instant::now();
    pod.sign_in(1, "ann@example.test");
    start.elapsed()
}
