//! `seed-codex-config` and the real codex.

use std::fs;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use support::pod::{Pod, codex};

fn seed(pod: &Pod, home: &std::path::Path, args: &[&str]) -> Command {
    let mut command = pod.command("seed-codex-config");
    command.env("HOME", home).env("LITELLM_BASE_URL", "http://litellm:4000/v1").args(args);
    Command::from_std(command)
}

#[test]
fn the_real_codex_accepts_what_was_seeded() {
    let (pod, home) = (Pod::new(), tempfile::tempdir().unwrap());
    let nasty = "`touch here` $HOME $(id) \"quoted\" 'too' back\\slash ünïcode # no comment";
    seed(
        &pod,
        home.path(),
        &["--set", "approval_policy=\"never\"", "--set", "sandbox_mode=\"danger-full-access\""],
    )
    .args([
        "--set",
        "mcp_servers.house={ command = 'true' }",
        "--set-env",
        "mcp_servers.house.env.TOKEN=NASTY",
    ])
    .env("NASTY", nasty)
    .env("LITELLM_API_KEY", "sk-1")
    .current_dir(home.path())
    .args(["--"])
    .arg(codex())
    .args(["mcp", "list", "--json"])
    .assert()
    .success()
    .stdout(contains(serde_json::to_string(nasty).unwrap()));
    assert!(!home.path().join("here").exists(), "nothing in a value is run");
}

#[test]
fn codex_would_stop_without_the_key_and_the_agent_is_told_before() {
    let (pod, home) = (Pod::new(), tempfile::tempdir().unwrap());
    let exec = ["--", codex().to_str().unwrap(), "exec", "--skip-git-repo-check", "hello"].map(str::to_owned);
    seed(&pod, home.path(), &[]).current_dir(home.path()).args(exec).assert().code(1).stderr(
        contains("LITELLM_API_KEY is not set")
            .and(contains("Missing environment variable: `LITELLM_API_KEY`")),
    );
}

#[test]
fn a_file_that_codex_could_not_read_either_is_left_alone() {
    let (pod, home) = (Pod::new(), tempfile::tempdir().unwrap());
    let config = home.path().join(".codex/config.toml");
    fs::create_dir(config.parent().unwrap()).unwrap();
    fs::write(&config, "model = \"a\"\nmodel_provider = [\n").unwrap();
    seed(&pod, home.path(), &[]).assert().code(78).stderr(contains("config.toml: line 2, column "));
    assert_eq!(fs::read_to_string(&config).unwrap(), "model = \"a\"\nmodel_provider = [\n");
}
