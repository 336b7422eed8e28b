//! The binaries as files: static, and at home in an image made FROM scratch.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use fixture::workspace::{SHIPPED, shipped};
use fixture::{ANN, Pool};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;

/// `PT_INTERP` of the ELF specification: the program header that names a dynamic loader.
const PT_INTERP: u32 = 3;

#[test]
fn each_is_a_static_program() {
    for name in SHIPPED {
        let elf = fs::read(shipped(name)).unwrap();
        assert_eq!(elf[..5], *b"\x7fELF\x02", "{name} is a 64-bit ELF file");
        let number = |at: usize, bytes: usize| {
            elf[at..at + bytes].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
        };
        let (table, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
        let loads_a_loader = (0..count).any(|n| number(table + n * size, 4) == PT_INTERP as usize);
        assert!(count > 0 && !loads_a_loader, "{name} is linked dynamically");
    }
}

/// A root directory with one program in it and nothing else, not even `/proc`.
fn from_scratch(name: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::copy(shipped(name), root.path().join(name)).unwrap();
    root
}

fn run(root: &Path, name: &str) -> Command {
    // Users that are not root can change their root in a user namespace of their own.
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "chroot"])
        .arg(root)
        .arg(format!("/{name}"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

#[test]
fn rotate_once_works_from_scratch() {
    let root = from_scratch("rotate-once");
    let volume = root.path().join("chatgpt-auth");
    fs::create_dir(&volume).unwrap();
    run(root.path(), "rotate-once")
        .arg("--init")
        .assert()
        .success()
        .stderr(contains("published a placeholder"));
    assert!(fs::read_to_string(volume.join("auth.json")).unwrap().contains("placeholder"));
    let names: Vec<_> = fs::read_dir(&volume).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "auth.json, pool.json and .lock, and nothing half-written: {names:?}");
}

#[test]
fn names_resolve_from_scratch() {
    let root = from_scratch("rotate-once");
    let pool = Pool::new();
    pool.put_login_for(1, ANN, 60);
    for directory in ["etc", "chatgpt-auth"] {
        fs::create_dir(root.path().join(directory)).unwrap();
    }
    fs::write(root.path().join("etc/hosts"), "127.0.0.1 issuer.test\n").unwrap();
    fs::copy(pool.file("auth-1.json"), root.path().join("chatgpt-auth/auth-1.json")).unwrap();
    run(root.path(), "rotate-once")
        .env(
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
            pool.openai.refresh_url().replace("127.0.0.1", "issuer.test"),
        )
        .assert()
        .success()
        .stderr(contains("account-1 refreshed"));
    run(root.path(), "rotate-once")
        .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "https://nowhere.test/oauth/token")
        .args(["--refresh-before", "20d"])
        .assert()
        .success()
        .stderr(
            contains("account-1 not refreshed: ").and(contains("its refresh token is as good as before")),
        );
}

#[test]
fn idle_works_from_scratch_and_reports_its_command() {
    let root = from_scratch("idle");
    run(root.path(), "idle")
        .args(["--every", "30m", "--", "/absent"])
        .assert()
        .code(127)
        .stderr(contains("cannot run /absent"));
}

#[test]
fn accounts_works_from_scratch() {
    let root = from_scratch("accounts");
    fs::create_dir(root.path().join("chatgpt-auth")).unwrap();
    run(root.path(), "accounts").assert().success().stdout(
        "no account has signed in: run auth-login 1\n\
         there is no auth.json: LiteLLM would begin a login of its own and hang: run rotate-once --init\n",
    );
}

#[test]
fn accounts_serve_works_from_scratch() {
    let root = from_scratch("accounts-serve");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(root.path(), "accounts-serve")
        .args(["--listen", &address])
        .assert()
        .code(78)
        .stderr(contains("cannot listen on"));
}

#[test]
fn auth_login_works_from_scratch_and_misses_codex() {
    let root = from_scratch("auth-login");
    run(root.path(), "auth-login").arg("1").assert().code(78).stderr(
        contains("no codex program \"codex\": install codex, or set CODEX_BIN to its path")
            .and(contains("\n").count(1)),
    );
}

#[test]
fn seed_codex_config_works_from_scratch() {
    let root = from_scratch("seed-codex-config");
    run(root.path(), "seed-codex-config")
        .args(["--codex-home", "/home", "--base-url", "http://litellm:4000/v1"])
        .assert()
        .success();
    assert!(
        fs::read_to_string(root.path().join("home/config.toml")).unwrap().contains("http://litellm:4000/v1")
    );
}
