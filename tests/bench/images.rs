//! The images: how large they are, and what starting a container costs, beside one that installs things at its start.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fixture::files_below;
use fixture::workspace::repository;
use support::podman::{podman, said};

use crate::process::script;
use crate::report::{Report, Table};
use crate::samples::{in_seconds, seconds, thousands, time};
use crate::volume;

const ROUNDS: usize = 7;
const DEBIAN: &str = "localhost/codex-podkit-test/base:bookworm";

pub(crate) fn measure() -> Report {
    let mut report = Report::default();
    let ours = |image: &str| format!("localhost/codex-podkit/{image}:{}", env!("CARGO_PKG_VERSION"));
    let mut sizes = Table::new("Images", &["image", "MB", "what is in it"]);
    for (image, what) in [
        (ours("rotator"), "`idle`, `rotate-once`, roots of trust"),
        (ours("codex-cli"), "codex, `idle`, `auth-login`, `accounts`, roots of trust"),
        (ours("accounts-serve"), "`accounts-serve`"),
        (ours("agent"), "codex, ripgrep, `idle`, `seed-codex-config`, on the Debian below"),
        (DEBIAN.to_owned(), "Debian bookworm by debootstrap, with git, Python and CA certificates"),
    ] {
        let bytes: f64 = said(["image", "inspect", "--format", "{{.Size}}", &image]).trim().parse().unwrap();
        let name = image.rsplit('/').next().unwrap();
        sizes.row([format!("`{name}`"), format!("{:.1}", bytes / 1e6), what.to_owned()]);
    }
    report.tables.push(sizes);

    let pod = volume::with_accounts(&volume::disk(), 3);
    // The container's user must be able to write here.
    let chown = Command::new("chown").args(["-R", "65532:65532"]).arg(pod.path()).status();
    assert!(chown.unwrap().success());
    let mount = |path: &Path, at: &str| format!("{}:{at}", path.display());
    let on_volume = mount(pod.path(), "/chatgpt-auth");
    let peers = mount(script("rotate.py").parent().unwrap(), "/peers:ro");
    let mut starts = Table::new(
        &format!("A container from nothing to done and removed, {ROUNDS} runs"),
        &["image", "command", "time"],
    );
    let (rotator, codex_cli) = (ours("rotator"), ours("codex-cli"));
    let runs: [(&str, &str, Vec<&str>); 3] = [
        (
            "rotator",
            "rotate-once",
            vec!["--volume", &on_volume, "--entrypoint", "/bin/rotate-once", &rotator],
        ),
        ("codex-cli", "codex --version", vec!["--entrypoint", "/bin/codex", &codex_cli, "--version"]),
        (
            "a Debian with Python",
            "python3 rotate.py",
            vec![
                "--volume",
                &on_volume,
                "--volume",
                &peers,
                DEBIAN,
                "python3",
                "/peers/rotate.py",
                "/chatgpt-auth",
            ],
        ),
    ];
    for (image, command, run) in &runs {
        let samples = in_seconds((0..=ROUNDS).map(|_| contained(run)).skip(1));
        starts.row([(*image).to_owned(), format!("`{command}`"), seconds(&samples)]);
    }
    let (installing, bytes) = installed_at_start();
    starts.row([
        "a node image that installs codex when it starts".to_owned(),
        format!("`npm install @openai/codex`, {} MB, once", thousands(bytes / 1_000_000)),
        time(installing.as_secs_f64()),
    ]);
    report.tables.push(starts);
    report
}

fn contained(run: &[&str]) -> Duration {
    let begun = Instant::now();
    let output = podman(
        ["run", "--rm", "--network", "none", "--user", "65532"].into_iter().chain(run.iter().copied()),
    )
    .output()
    .unwrap();
    let taken = begun.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    taken
}

/// What the predecessor's containers installed each time they started, with an empty cache.
fn installed_at_start() -> (Duration, u64) {
    let home = tempfile::tempdir().unwrap();
    let pins = fs::read_to_string(repository().join("tests/tools/package.json")).unwrap();
    let pins: serde_json::Value = serde_json::from_str(&pins).unwrap();
    let version = pins["dependencies"]["@openai/codex"].as_str().unwrap();
    let begun = Instant::now();
    let status = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
        .arg(home.path())
        .arg(format!("@openai/codex@{version}"))
        .env("npm_config_cache", home.path().join("cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    let taken = begun.elapsed();
    assert!(status.unwrap().success(), "npm installs codex");
    let files = files_below(&home.path().join("node_modules"));
    (taken, files.values().map(|content| content.len() as u64).sum())
}
