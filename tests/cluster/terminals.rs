//! What a person at `kubectl exec -it` sees, until the terminal ends in whatever way.

use std::process::Command;

use fixture::ANN;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use rexpect::session::PtySession;
use serde_json::json;
use support::podman::text_of;

use crate::installed::Namespace;
use crate::node::wait_until;

/// Makes the window of a terminal this large.
fn resize(terminal: &PtySession, rows: &str, columns: &str) {
    let window = terminal.process().get_file_handle().unwrap();
    let stty = Command::new("stty").args(["rows", rows, "columns", columns]).stdin(window).output();
    let _ = text_of(&stty.unwrap());
}

#[test]
fn a_terminal_in_an_agent_has_the_size_of_the_window() {
    let cluster = Namespace::new("window");
    cluster.install(&json!({
        "litellm": {"enabled": false},
        "agents": {"ann": {"baseUrl": "http://litellm.elsewhere:4000/v1", "persistence": {"enabled": false}}},
    }));
    let mut terminal = cluster.terminal(&["deploy/agent-ann"], &["sh"]);
    terminal.exp_string("$ ").unwrap();
    for (rows, columns) in [("40", "120"), ("24", "80")] {
        resize(&terminal, rows, columns);
        // The new size is on its way for a moment.
        wait_until("the terminal has the window's size", || {
            terminal.send_line("stty size").unwrap();
            terminal.exp_string("stty size\r\n").unwrap();
            terminal.read_line().unwrap() == format!("{rows} {columns}")
        });
    }
    terminal.send_line("exit 7").unwrap();
    terminal.exp_eof().unwrap();
    assert!(matches!(terminal.process().wait(), Ok(WaitStatus::Exited(_, 7))));
}

#[test]
fn a_login_ends_with_control_c_and_one_whose_kubectl_died_is_ended_by_the_next_person() {
    let cluster = Namespace::new("terminals");
    cluster.install(&json!({}));

    let mut stopped = cluster.login(1);
    stopped.send_control('c').unwrap();
    stopped.exp_string("auth-login: stopped: account-1 is as it was").unwrap();
    stopped.exp_eof().unwrap();
    assert!(matches!(stopped.process().wait(), Ok(WaitStatus::Exited(_, 130))));

    // kubectl ends without ^C. The container's runtime holds the terminal open, so nobody in the pod can tell, and the
    // next one is told how to end the login.
    for signal in [Signal::SIGHUP, Signal::SIGKILL] {
        let mut dying = cluster.login(2);
        dying.process_mut().signal(signal).unwrap();
        dying.exp_eof().unwrap();
        let refused = cluster.operator(&["auth-login", "2"]);
        assert_eq!(refused.status.code(), Some(75));
        let why = String::from_utf8_lossy(&refused.stderr);
        assert!(why.contains("auth-login --abort 2"), "{why}");
        let ended = text_of(&cluster.operator(&["auth-login", "--abort", "2"]));
        assert!(ended.contains("account-2: the login under way was ended"), "{ended}");
    }
    cluster.sign_in(2, ANN);
}
