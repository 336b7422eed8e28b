//! The page in a real browser, in light and dark, and on a phone.

use std::env;
use std::fs;
use std::process::Command;

use crate::served::Served;
use crate::workspace::repository;

/// Chromium with a profile of its own that asks nobody else anything.
fn chromium(url: &str, args: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(args)
        .arg(url)
        .output()
        .unwrap_or_else(|e| {
            panic!("no chromium ({e}): run scripts/setup-tools chromium, as scripts/test does")
        });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_browser_reads_it_and_keeps_it_live() {
    let served = Served::every_state();
    let page = served.get("/");
    let seen = chromium(&served.url, &["--dump-dom", "--virtual-time-budget=10000"]);
    for page in [&page, &seen] {
        assert!(page.contains("a…@example.test") && !page.contains("ann@example.test"), "{page}");
        assert!(page.contains("kubectl exec -it deploy/litellm -c codex-cli -- auth-login 3"), "{page}");
    }
    let is_live = |page: &str| page.contains("live · ");
    assert!(is_live(&seen) && !is_live(&page), "only a script says that it is live: {seen}");
}

/// The pictures in the docs are taken of this page: `UPDATE_SNAPSHOTS=1` takes them anew.
#[test]
fn it_can_be_pictured() {
    let served = Served::every_state();
    let directory = tempfile::tempdir().unwrap();
    for (name, size, scheme) in [("page-light", "1100,1010", 1), ("page-dark-phone", "500,1750", 0)] {
        let file = directory.path().join(name).with_extension("png");
        let (picture, size) = (format!("--screenshot={}", file.display()), format!("--window-size={size}"));
        let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
        chromium(&served.url, &[&picture, &size, &scheme]);
        let bytes = fs::read(&file).unwrap();
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 20_000, "{name}: {} bytes", bytes.len());
        let kept = repository().join("docs").join(name).with_extension("png");
        if env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::copy(&file, &kept).unwrap();
        }
        assert!(kept.exists(), "no {}: run this test with UPDATE_SNAPSHOTS=1", kept.display());
    }
}
