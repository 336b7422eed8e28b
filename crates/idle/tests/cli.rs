//! What a container sees of `idle`, with real processes, signals and files.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);

/// Longer than the time between idle's checks without an event.
const SLOW_CHECK: Duration = Duration::from_millis(2500);

/// Logs whether the wake-up file was there, and consumes it.
const CONSUME: &str = "if rm rotate-now 2>/dev/null; then echo woken >>log; else echo unasked >>log; fi";

/// The same, but the run lasts until the file `go` is there.
const CONSUME_AND_HOLD: &str =
    "if rm rotate-now 2>/dev/null; then echo woken >>log; else echo unasked >>log; fi
    until [ -e go ]; do sleep 0.02; done";

#[test]
fn sigterm_and_sigint_end_it_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let scene = Scene::new();
        let mut idle = scene.idle(&[]);
        idle.send(signal);
        assert_eq!(idle.end().code(), Some(0), "after {signal}");
        assert_eq!(scene.stderr(), "");
    }
}

#[test]
fn sigterm_between_two_runs_ends_it_with_0() {
    let scene = Scene::new();
    let mut idle = scene.idle_sh(&["--every", "30m", "--wake-on", "rotate-now"], CONSUME);
    scene.log_becomes("unasked\n");
    idle.is_between_runs();
    idle.send(Signal::SIGTERM);
    assert_eq!(idle.end().code(), Some(0));
    assert_eq!(scene.stderr(), "");
}

#[test]
fn a_stderr_without_a_reader_does_not_change_how_it_ends() {
    let (reader, stderr) = std::io::pipe().unwrap();
    drop(reader);
    let ended = Command::new(cargo_bin("idle")).args(["--", "/absent"]).stderr(stderr).status().unwrap();
    assert_eq!((ended.signal(), ended.code()), (None, Some(127)));
}

#[test]
fn other_signals_do_not_end_it() {
    let scene = Scene::new();
    let mut idle = scene.idle(&[]);
    for signal in [Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2] {
        idle.send(signal);
    }
    idle.send(Signal::SIGTERM);
    assert_eq!(idle.end().code(), Some(0), "SIGTERM ended it, and nothing before");
}

#[test]
fn without_a_command_it_waits_for_signals_and_nothing_else() {
    let scene = Scene::new();
    let idle = scene.idle(&[]);
    let waits_on: Vec<String> = fs::read_dir(format!("/proc/{}/fd", idle.pid()))
        .expect("open files of a running process")
        .map(|entry| fs::read_link(entry.expect("an entry").path()).expect("a link").display().to_string())
        .filter(|file| file.starts_with("anon_inode:"))
        .collect();
    assert_eq!(waits_on, ["anon_inode:[signalfd]"]);
    assert_eq!(children(idle.pid()), Vec::<Pid>::new());
}

#[test]
fn an_interval_in_the_environment_does_not_concern_a_plain_idle() {
    for value in ["1800", "0", "", "soon"] {
        let scene = Scene::new();
        let mut idle = started(scene.command(&[]).env("CODEX_ROTATION_INTERVAL_SEC", value));
        idle.send(Signal::SIGTERM);
        assert_eq!(idle.end().code(), Some(0), "with {value:?}");
        assert_eq!(scene.stderr(), "");
    }
}

#[test]
fn as_pid_1_it_reaps_orphans() {
    let scene = Scene::new();
    // Root has the rights for this; any other user gets them in a user namespace.
    let (as_user, into_user): (&[&str], &[&str]) = if geteuid().is_root() {
        (&[], &[])
    } else {
        (&["--user", "--map-root-user"], &["--user", "--preserve-credentials"])
    };
    let mut unshare = scene.tool("unshare");
    unshare.args(as_user).args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(cargo_bin!("idle"));
    let outer = Running(unshare.spawn().expect("unshare (util-linux) is installed"));
    until("idle runs as PID 1", || {
        children(outer.pid()).first().is_some_and(|pid| name_of(*pid) == "idle" && takes_signals(*pid))
    });
    let pid_1 = children(outer.pid())[0];

    let orphan = "(sleep 0.2; echo orphan ended >>log) & echo parent ended >>log";
    let entered = scene
        .tool("nsenter")
        .args(["--target", &pid_1.to_string(), "--pid"])
        .args(into_user)
        .args(["sh", "-c", orphan])
        .status()
        .expect("nsenter (util-linux) is installed");
    assert!(entered.success());

    until("the orphan is PID 1's", || !children(pid_1).is_empty());
    scene.log_becomes("parent ended\norphan ended\n");
    until("no zombie is left", || children(pid_1).is_empty());

    kill(pid_1, Signal::SIGTERM).expect("PID 1 is still there");
    assert_eq!({ outer }.end().code(), Some(0));
}

#[test]
fn a_command_without_options_runs_once_and_idle_stays() {
    let scene = Scene::new();
    let mut idle = scene.idle_sh(&[], "echo run >>log");
    scene.log_becomes("run\n");
    idle.is_between_runs();
    idle.send(Signal::SIGTERM);
    assert_eq!(idle.end().code(), Some(0));
    assert_eq!((scene.log(), scene.stderr()), ("run\n".to_owned(), String::new()));
}

#[test]
fn the_command_runs_at_start_and_on_each_tick() {
    let scene = Scene::new();
    let start = Instant::now();
    let _idle = scene.idle_sh(&["--every", "1"], "echo run >>log");
    scene.log_reaches(3);
    assert!(start.elapsed() >= Duration::from_secs(2), "three runs span two intervals");
}

#[test]
fn the_interval_may_come_from_the_environment() {
    let scene = Scene::new();
    let mut command = scene.command(&["--", "sh", "-c", "echo run >>log"]);
    let _idle = started(command.env("CODEX_ROTATION_INTERVAL_SEC", "1"));
    scene.log_reaches(2);
}

#[test]
fn an_empty_interval_in_the_environment_is_none() {
    let scene = Scene::new();
    let mut command = scene.command(&["--", "sh", "-c", "exit 1"]);
    let _idle = started(command.env("CODEX_ROTATION_INTERVAL_SEC", ""));
    scene.stderr_becomes("idle: sh exited with 1; it will not run again\n");
}

#[test]
fn the_command_gets_arguments_environment_and_output_unchanged() {
    let scene = Scene::new();
    let mut command =
        scene.command(&["--", "sh", "-c", r#"echo "$0|$1|$KEY"; echo said >&2"#, "a b", "--every"]);
    command.env("KEY", "line 1\nline 2").stdout(scene.create("log"));
    let _idle = started(&mut command);
    scene.log_becomes("a b|--every|line 1\nline 2\n");
    scene.stderr_becomes("said\n");
}

#[test]
fn the_command_starts_with_no_signal_blocked_or_ignored() {
    let scene = Scene::new();
    let mut command = scene.command(&["--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    let _idle = started(command.stdout(scene.create("log")));
    scene.log_reaches(2);
    // 32 and 33 are glibc's own; its posix_spawn leaves them ignored and no program can use them.
    let masks = scene.log().replace("0000000180000000", "0000000000000000");
    assert_eq!(masks, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

#[test]
fn two_runs_never_overlap() {
    let scene = Scene::new();
    let script = "mkdir running || echo overlap >>log
        echo start >>log; rm -f rotate-now; sleep 1.3; echo end >>log; rmdir running";
    let _idle = scene.idle_sh(&["--every", "1", "--wake-on", "rotate-now"], script);
    scene.log_becomes("start\n");
    scene.touch("rotate-now");
    until("three runs are over", || scene.log().starts_with("start\nend\nstart\nend\nstart\nend\n"));
    assert!(!scene.log().contains("overlap"));
}

#[test]
fn the_command_runs_on_though_idle_was_started_with_sigchld_ignored() {
    let scene = Scene::new();
    let mut env = scene.tool("env");
    env.arg("--ignore-signal=CHLD").arg(cargo_bin!("idle"));
    let _idle = started(env.args(["--every", "3s", "--", "sh", "-c", "echo run >>log"]));
    scene.log_becomes("run\nrun\n");
    scene.stderr_becomes("idle: sh ended, with what status is not known; next run now\n");
}

#[test]
fn the_command_runs_when_the_file_is_touched_or_moved_there() {
    let scene = Scene::new();
    let idle = scene.idle_sh(&["--wake-on", "rotate-now"], CONSUME);
    let mut expected = String::from("unasked\n");
    scene.log_becomes(&expected);

    let start = Instant::now();
    for round in 0..10 {
        idle.is_between_runs();
        if round % 2 == 0 {
            scene.touch("rotate-now");
        } else {
            scene.move_there("rotate-now");
        }
        expected.push_str("woken\n");
        scene.log_becomes(&expected);
    }
    assert!(start.elapsed() < PATIENCE, "checks every 2 s without events would take twice that");
}

#[test]
fn the_file_may_be_given_with_its_directory() {
    let scene = Scene::new();
    let file = scene.path("rotate-now").display().to_string();
    let _idle = scene.idle_sh(&["--wake-on", &file], CONSUME);
    scene.log_becomes("unasked\n");
    scene.move_there("rotate-now");
    scene.log_becomes("unasked\nwoken\n");
}

#[test]
fn other_files_in_the_directory_cause_no_run() {
    let scene = Scene::new();
    let _idle = scene.idle_sh(&["--wake-on", "rotate-now"], CONSUME);
    scene.log_becomes("unasked\n");
    scene.touch("rotate-now.tmp");
    scene.move_there("auth.json");
    scene.touch("rotate-now");
    scene.log_becomes("unasked\nwoken\n");
}

#[test]
fn a_file_that_is_there_at_start_is_for_the_first_run() {
    let scene = Scene::new();
    scene.touch("rotate-now");
    let _idle = scene.idle_sh(&["--wake-on", "rotate-now"], CONSUME);
    scene.log_becomes("woken\n");
    scene.touch("rotate-now");
    scene.log_becomes("woken\nwoken\n");
}

#[test]
fn a_file_left_behind_unchanged_runs_the_command_once() {
    let scene = Scene::new();
    scene.write("rotate-now", "first\n");
    let _idle = scene.idle_sh(&["--wake-on", "rotate-now"], "cat rotate-now >>log");
    scene.log_becomes("first\n");
    sleep(SLOW_CHECK);
    scene.write("rotate-now", "second\n");
    scene.log_becomes("first\nsecond\n");
    sleep(SLOW_CHECK);
    assert_eq!(scene.log(), "first\nsecond\n");
}

#[test]
fn a_burst_during_a_run_leads_to_just_one_more() {
    let scene = Scene::new();
    let idle = scene.idle_sh(&["--wake-on", "rotate-now"], CONSUME_AND_HOLD);
    scene.log_becomes("unasked\n");
    for _ in 0..20 {
        scene.touch("rotate-now");
        scene.move_there("rotate-now");
    }
    scene.touch("go");
    scene.log_becomes("unasked\nwoken\n");
    idle.is_between_runs();
    scene.touch("rotate-now");
    scene.log_becomes("unasked\nwoken\nwoken\n");
}

#[test]
fn a_file_that_came_during_a_failing_run_means_the_next_is_now() {
    let scene = Scene::new();
    let script = "rm -f rotate-now; echo run >>log; until [ -e go ]; do sleep 0.02; done; exit 75";
    let _idle = scene.idle_sh(&["--wake-on", "rotate-now"], script);
    scene.log_becomes("run\n");
    scene.touch("rotate-now");
    scene.touch("go");
    scene.stderr_becomes(
        "idle: sh exited with 75; next run now\nidle: sh exited with 75; next run when rotate-now appears\n",
    );
}

#[test]
fn a_file_that_came_and_went_during_a_run_causes_no_other() {
    let scene = Scene::new();
    let idle = scene.idle_sh(&["--wake-on", "rotate-now"], CONSUME_AND_HOLD);
    scene.log_becomes("unasked\n");
    scene.touch("rotate-now");
    fs::remove_file(scene.path("rotate-now")).expect("just touched");
    scene.touch("go");
    idle.is_between_runs();
    scene.touch("rotate-now");
    scene.log_becomes("unasked\nwoken\n");
}

#[test]
fn a_writer_that_never_stops_costs_a_run_a_second_in_the_end_and_its_last_signal_counts() {
    let scene = Scene::new();
    let script = "cat rotate-now >last; rm -f rotate-now; echo run >>log";
    scene.write("rotate-now", "");
    let _idle = scene.idle_sh(&["--wake-on", "rotate-now"], script);
    scene.log_becomes("run\n");

    let start = Instant::now();
    let mut written = 0;
    while start.elapsed() < Duration::from_millis(1500) {
        written += 1;
        scene.write("being-written", &written.to_string());
        fs::rename(scene.path("being-written"), scene.path("rotate-now")).expect("renamed");
    }
    let last = || fs::read_to_string(scene.path("last")).unwrap_or_default();
    until("a run has taken the last signal", || last() == written.to_string());
    // The first, a burst, then one each second.
    let most = 7 + start.elapsed().as_secs();
    let runs = scene.log().lines().count();
    assert!((2..=usize::try_from(most).expect("a few")).contains(&runs), "{runs} runs of {most} at most");
}

#[test]
fn a_floor_of_its_own_is_kept_and_neither_a_tick_nor_a_stop_waits_for_it() {
    for variable in [false, true] {
        let scene = Scene::new();
        let floor: &[&str] = if variable { &[] } else { &["--wake-floor", "1s"] };
        let words = [&["--wake-on", "rotate-now"], floor, &["--", "sh", "-c", CONSUME]].concat();
        let mut command = scene.command(&words);
        if variable {
            command.env("CODEX_WAKE_FLOOR_SEC", "1");
        }
        let start = Instant::now();
        let mut idle = started(&mut command);
        scene.log_becomes("unasked\n");
        scene.touch("rotate-now");
        scene.log_becomes("unasked\nwoken\n");
        assert!(start.elapsed() >= Duration::from_secs(1), "woken after {:?}", start.elapsed());
        scene.touch("rotate-now");
        idle.send(Signal::SIGTERM);
        assert_eq!(idle.end().code(), Some(0));
        assert_eq!(scene.log(), "unasked\nwoken\n");
    }
    let scene = Scene::new();
    let _idle = scene.idle_sh(&["--every", "1s", "--wake-on", "rotate-now", "--wake-floor", "1h"], CONSUME);
    scene.log_becomes("unasked\n");
    scene.touch("rotate-now");
    scene.log_becomes("unasked\nwoken\nunasked\n");
}

#[test]
fn a_directory_that_is_made_after_the_start_is_noticed() {
    let scene = Scene::new();
    let _idle = scene.idle_sh(&["--wake-on", "live/rotate-now"], "rm -f live/rotate-now; echo run >>log");
    scene.log_becomes("run\n");
    fs::create_dir(scene.path("live")).expect("a new directory");
    scene.touch("live/rotate-now");
    scene.log_becomes("run\nrun\n");
    scene.touch("live/rotate-now");
    scene.log_becomes("run\nrun\nrun\n");
    assert_eq!(scene.stderr(), "");
}

#[test]
fn a_directory_that_is_replaced_is_watched_anew() {
    let scene = Scene::new();
    fs::create_dir(scene.path("live")).expect("a new directory");
    let _idle = scene.idle_sh(&["--wake-on", "live/rotate-now"], "rm -f live/rotate-now; echo run >>log");
    scene.log_becomes("run\n");

    fs::rename(scene.path("live"), scene.path("old")).expect("moved away");
    fs::create_dir(scene.path("live")).expect("another of the same name");
    scene.touch("old/rotate-now");
    scene.touch("live/rotate-now");
    scene.log_becomes("run\nrun\n");

    fs::remove_dir(scene.path("live")).expect("empty again");
    fs::create_dir(scene.path("live")).expect("a third");
    scene.touch("live/rotate-now");
    scene.log_becomes("run\nrun\nrun\n");
}

#[test]
fn a_failure_is_one_line_that_says_when_the_next_run_is() {
    let both = ["--every", "30m", "--wake-on", "/nowhere/rotate-now"];
    for (options, script, line) in [
        (&both[..2], "exit 69", "idle: sh exited with 69; next run in 30m\n"),
        (&both[2..], "exit 1", "idle: sh exited with 1; next run when /nowhere/rotate-now appears\n"),
        (
            &both[..],
            "exit 255",
            "idle: sh exited with 255; next run in 30m or when /nowhere/rotate-now appears\n",
        ),
        (&both[..0], "exit 2", "idle: sh exited with 2; it will not run again\n"),
        (&both[..2], "kill -KILL $$", "idle: sh was killed by SIGKILL; next run in 30m\n"),
    ] {
        let scene = Scene::new();
        let mut idle = scene.idle_sh(options, script);
        scene.stderr_becomes(line);
        idle.send(Signal::SIGTERM);
        assert_eq!(idle.end().code(), Some(0), "a failure long past is not idle's");
        assert_eq!(scene.stderr(), line);
    }
}

#[test]
fn a_command_that_can_never_run_ends_idle_at_once() {
    let scene = Scene::new();
    scene.write("plain.txt", "not a program");
    scene.write("script", "#!/nowhere/sh\n");
    scene.make_executable("script");
    for (command, code, line) in [
        ("rotate-onc", 127, "not found on PATH; check its spelling or give its full path"),
        ("./rotate-once", 127, "no such file, or the interpreter it names is missing"),
        ("./script", 127, "no such file, or the interpreter it names is missing"),
        ("./plain.txt", 126, "permission denied; make it executable for this user"),
    ] {
        cargo_bin_cmd!("idle")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(scene.dir.path())
            .args(["--every", "30m", "--", command])
            .timeout(PATIENCE)
            .assert()
            .code(code)
            .stdout("")
            .stderr(format!("idle: cannot run {command}: {line}\n"));
    }
}

#[test]
fn a_later_failure_to_start_is_reported_and_idle_goes_on() {
    let scene = Scene::new();
    let job = "#!/bin/sh\necho run >>log\nrm \"$0\"\n";
    scene.write("job", job);
    scene.make_executable("job");
    let _idle = scene.idle(&["--every", "2s", "--", "./job"]);
    scene.log_becomes("run\n");
    scene.stderr_becomes(
        "idle: cannot run ./job: no such file, or the interpreter it names is missing; next run in 2s\n",
    );
    scene.write("job.tmp", job);
    scene.make_executable("job.tmp");
    fs::rename(scene.path("job.tmp"), scene.path("job")).expect("put back");
    scene.log_becomes("run\nrun\n");
}

#[test]
fn sigterm_reaches_the_command_and_all_it_started() {
    let scene = Scene::new();
    let mut idle = scene.idle_sh(&[], "sleep 300 & echo $$ $! >>log; wait");
    until("both run", || scene.log().ends_with('\n'));
    idle.send(Signal::SIGTERM);
    assert_eq!(idle.end().code(), Some(128 + Signal::SIGTERM as i32));
    for pid in scene.log().split_whitespace() {
        until(&format!("{pid} is gone"), || is_gone(pid));
    }
    assert_eq!(scene.stderr(), "");
}

#[test]
fn a_command_that_is_stopped_is_ended_all_the_same() {
    let scene = Scene::new();
    let mut idle = scene.idle_sh(&[], "echo $$ >>log; exec sleep 300");
    until("it runs", || scene.log().ends_with('\n'));
    let command = Pid::from_raw(scene.log().trim().parse().expect("a process id"));
    kill(command, Signal::SIGSTOP).expect("it runs");
    idle.send(Signal::SIGTERM);
    assert_eq!(idle.end().code(), Some(128 + Signal::SIGTERM as i32));
}

#[test]
fn what_the_command_leaves_behind_on_sigint_is_ended_too() {
    let scene = Scene::new();
    // What a shell starts in the background ignores SIGINT.
    let mut idle = scene.idle_sh(&[], "trap 'exit 8' INT; sleep 300 & echo $! >>log; wait");
    until("it runs", || scene.log().ends_with('\n'));
    idle.send(Signal::SIGINT);
    assert_eq!(idle.end().code(), Some(8));
    until("the sleep is gone", || is_gone(scene.log().trim()));
}

#[test]
fn a_command_that_ends_well_on_sigterm_ends_idle_well() {
    for code in [0, 7] {
        let scene = Scene::new();
        let script = format!("trap 'exit {code}' TERM; echo ready >>log; while :; do :; done");
        let mut idle = scene.idle_sh(&["--every", "1"], &script);
        scene.log_becomes("ready\n");
        idle.send(Signal::SIGTERM);
        assert_eq!(idle.end().code(), Some(code));
        assert_eq!(scene.stderr(), "");
    }
}

#[test]
fn idle_waits_for_the_command_and_passes_a_second_signal_on() {
    let scene = Scene::new();
    let script = "trap 'n=$((n+1)); echo term $n >>log' TERM; n=0; echo ready >>log
        while [ $n -lt 2 ]; do sleep 0.02; done; exit 3";
    let mut idle = scene.idle_sh(&[], script);
    scene.log_becomes("ready\n");
    idle.send(Signal::SIGTERM);
    scene.log_becomes("ready\nterm 1\n");
    assert!(idle.0.try_wait().expect("a child of ours").is_none(), "it left before its command did");
    idle.send(Signal::SIGTERM);
    assert_eq!(idle.end().code(), Some(3));
    assert_eq!(scene.log(), "ready\nterm 1\nterm 2\n");
}

#[test]
fn signals_that_do_not_end_idle_go_to_the_command() {
    let scene = Scene::new();
    let script = "for s in HUP QUIT USR1 USR2; do trap \"echo $s >>log\" $s; done
        echo ready >>log; while :; do sleep 0.02; done";
    let idle = scene.idle_sh(&[], script);
    let mut expected = String::from("ready\n");
    scene.log_becomes(&expected);
    for signal in [Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2] {
        idle.send(signal);
        expected.extend([&signal.as_str()["SIG".len()..], "\n"]);
        scene.log_becomes(&expected);
    }
}

#[test]
fn wrong_usage_is_explained() {
    for (words, line) in [
        (
            &["--every", "30m"][..],
            "--every needs a command to run: add it after --, as in idle --every 30m -- rotate-once",
        ),
        (
            &["--wake-on", "/v/rotate-now", "--"],
            "--wake-on needs a command to run: add it after --, as in idle --wake-on FILE -- rotate-once",
        ),
        (&["--every", "0", "--", "true"], "--every: '0' would run CMD without a pause; write at least 1s"),
        (
            &["--every", "soon", "--", "true"],
            "--every: 'soon' is not a duration; write 30m, 1h30m, 90s or plain seconds",
        ),
        (
            &["--every", "18446744073709551615", "--", "true"],
            "--every: '18446744073709551615' is longer than 10 years; write 30m, 1h30m, 90s or plain seconds",
        ),
        (&["--wake-on", "f", "--wake-floor", "-1", "--", "true"], "unexpected argument '-1' found"),
        (
            &["--wake-on", "f", "--wake-floor", "1e400", "--", "true"],
            "--wake-floor: '1e400' is not a duration; write 30m, 1h30m, 90s or plain seconds",
        ),
        (
            &["--wake-floor", "1s", "--", "true"],
            "--wake-floor needs --wake-on FILE: it is between runs that FILE causes",
        ),
        (&["--wake-on", "/", "--", "true"], "--wake-on needs the path of a file"),
        (&["rotate-once"], "unexpected argument 'rotate-once' found"),
    ] {
        cargo_bin_cmd!("idle")
            .env_clear()
            .args(words)
            .timeout(PATIENCE)
            .assert()
            .code(2)
            .stdout("")
            .stderr(starts_with(format!("error: {line}\n")))
            .stderr(contains(
                "Usage: idle [--every DURATION] [--wake-on FILE [--wake-floor DURATION]] [-- CMD ARGS…]\n",
            ));
    }
}

#[test]
fn a_wrong_duration_in_the_environment_is_named_by_its_variable() {
    let run = |variable: &str, value: &OsStr| {
        let mut idle = cargo_bin_cmd!("idle");
        idle.env_clear()
            .env(variable, value)
            .args(["--wake-on", "f", "--", "true"])
            .timeout(PATIENCE)
            .assert()
    };
    for variable in ["CODEX_ROTATION_INTERVAL_SEC", "CODEX_WAKE_FLOOR_SEC"] {
        for (value, said) in [
            (OsStr::new("soon"), "'soon' is not a duration; write 30m"),
            (OsStr::new("-1"), "'-1' is not a duration; write 30m"),
            (OsStr::new("18446744073709551615"), "'18446744073709551615' is longer than 10 years; write 30m"),
            (OsStr::from_bytes(b"\xff"), "'\u{fffd}' is not a duration; write 30m"),
        ] {
            run(variable, value).code(2).stderr(starts_with(format!("error: {variable}: {said}")));
        }
    }
}

#[test]
fn a_stdout_that_cannot_be_written_causes_no_panic() {
    for argument in ["--help", "--version"] {
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        let full = File::options().write(true).open("/dev/full").unwrap();
        for stdout in [Stdio::from(closed), Stdio::from(full)] {
            let idle = Command::new(cargo_bin("idle")).arg(argument).stdout(stdout).output().unwrap();
            assert_eq!(
                (idle.status.signal(), String::from_utf8(idle.stderr).unwrap()),
                (None, String::new())
            );
        }
    }
}

#[test]
fn help_ends_with_the_exit_codes() {
    cargo_bin_cmd!("idle").env_clear().arg("--help").timeout(PATIENCE).assert().success().stdout(
        contains("\nExit codes:\n")
            .and(contains("CODEX_ROTATION_INTERVAL_SEC"))
            .and(contains("CODEX_WAKE_FLOOR_SEC")),
    );
}

/// A directory in which idle works, with the log that its commands write and its stderr.
struct Scene {
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary directory") }
    }

    fn idle(&self, words: &[&str]) -> Running {
        started(&mut self.command(words))
    }

    fn idle_sh(&self, options: &[&str], script: &str) -> Running {
        self.idle(&[options, &["--", "sh", "-c", script]].concat())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.tool(cargo_bin!("idle"));
        command.args(words);
        command
    }

    fn tool(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stderr(self.create("stderr"));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn create(&self, name: &str) -> File {
        File::create(self.path(name)).expect("a file in the temporary directory")
    }

    fn touch(&self, name: &str) {
        let file = File::options().create(true).append(true).open(self.path(name)).expect("touched");
        file.set_modified(std::time::SystemTime::now()).expect("touched");
    }

    fn move_there(&self, name: &str) {
        self.write("being-written", "");
        fs::rename(self.path("being-written"), self.path(name)).expect("renamed");
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn make_executable(&self, name: &str) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).expect("our own file");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    fn log_becomes(&self, expected: &str) {
        becomes("the log", expected, || self.log());
    }

    /// For a log that grows on with each tick.
    fn log_reaches(&self, lines: usize) {
        until(&format!("the log has {lines} lines"), || self.log().lines().count() >= lines);
    }

    fn stderr_becomes(&self, expected: &str) {
        becomes("stderr", expected, || self.stderr());
    }
}

/// Starts idle and waits until signals to it are not lost.
fn started(command: &mut Command) -> Running {
    let running = Running(command.spawn().expect("idle starts"));
    until("idle takes signals", || takes_signals(running.pid()));
    running
}

/// A started process that does not outlive its test.
struct Running(Child);

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().expect("process ids are positive"))
    }

    fn send(&self, signal: Signal) {
        kill(self.pid(), signal).expect("idle is still there");
    }

    fn is_between_runs(&self) {
        until("no command runs", || children(self.pid()).is_empty());
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        until("it ends", || {
            status = self.0.try_wait().expect("a child of ours");
            status.is_some()
        });
        let status = status.expect("until has seen it");
        assert_eq!(status.signal(), None, "idle itself was killed");
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // SIGTERM first, which idle passes on; some commands here ignore it, so each group is killed as well.
            let groups = children(self.pid());
            let _ = kill(self.pid(), Signal::SIGTERM);
            sleep(Duration::from_millis(50));
            for group in groups {
                let _ = nix::sys::signal::killpg(group, Signal::SIGKILL);
            }
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "timed out waiting until {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Waits until a text has grown into what is expected, and fails as soon as it cannot any more.
fn becomes(what: &str, expected: &str, text: impl Fn() -> String) {
    until(&format!("{what} is {expected:?}"), || {
        let now = text();
        assert!(expected.starts_with(&now), "{what} is {now:?}, expected {expected:?}");
        now == expected
    });
}

fn children(pid: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .map(|child| Pid::from_raw(child.parse().expect("process ids are numbers")))
        .collect()
}

fn name_of(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Whether SIGTERM is blocked there, which is what idle does first.
fn takes_signals(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap_or("0");
    let blocked = u64::from_str_radix(blocked.trim(), 16).expect("a mask in hexadecimal");
    blocked & (1 << (Signal::SIGTERM as i32 - 1)) != 0
}

/// Whether the process has ended. It may still wait to be reaped by its new parent, which is not idle's business.
fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}
