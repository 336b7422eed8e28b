//! What goes wrong before codex runs; the logins themselves are in the workspace's `tests/sign_in.rs`.

use std::os::unix::fs::PermissionsExt as _;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use predicates::str::contains;

fn auth_login(args: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("auth-login");
    command.env_clear().args(args);
    command
}

#[test]
fn a_slot_is_a_number_from_one_on() {
    for slot in ["0", "x", "1.5", "auth-1.json", ""] {
        auth_login(&[slot])
            .assert()
            .code(2)
            .stdout("")
            .stderr(contains("a slot is a whole number from 1 on"));
    }
    auth_login(&[]).assert().code(2).stderr(contains("<N>"));
}

#[test]
fn a_missing_codex_is_reported_with_its_remedy() {
    auth_login(&["1"]).env("PATH", "/nonexistent").assert().code(78).stderr(
        "auth-login: no codex program \"codex\": install codex, or set CODEX_BIN to its path: cannot find binary path\n",
    );
    auth_login(&["1", "--codex-bin", "/nonexistent/codex"])
        .assert()
        .code(78)
        .stderr(contains("no codex program \"/nonexistent/codex\""));
}

#[test]
fn another_program_is_not_taken_for_codex() {
    auth_login(&["1"])
        .env("CODEX_BIN", "/bin/true")
        .assert()
        .code(78)
        .stderr("auth-login: /bin/true is not codex: set CODEX_BIN to the path of codex\n");
}

#[test]
fn a_codex_for_another_machine_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("codex");
    std::fs::write(&program, "\u{7f}not a program").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    auth_login(&["1"]).env("CODEX_BIN", &program).assert().code(78).stderr(format!(
        "auth-login: cannot run {}: set CODEX_BIN to a codex for this machine: Exec format error (os error 8)\n",
        program.display()
    ));
}

#[test]
fn help_ends_with_the_exit_codes() {
    auth_login(&["--help"]).assert().success().stdout(contains("Exit codes: 0 signed in"));
}
