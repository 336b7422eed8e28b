//! The images: what is in them, what they may do, and that the same inputs make the same image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::workspace::{by_hand, repository, tool};
use serde_json::Value;
use support::podman::{does, podman, said, text_of};

pub(crate) const IMAGES: [&str; 5] = ["codex-cli", "rotator", "accounts-serve", "replication", "agent"];

/// The base of the agent's image in the tests.
const BASE: &str = "localhost/codex-podkit-test/base:bookworm";

fn name_of(image: &str) -> String {
    format!("localhost/codex-podkit/{image}:{}", env!("CARGO_PKG_VERSION"))
}

fn described(image: &str) -> Value {
    described_as(&name_of(image))
}

pub(crate) fn described_as(name: &str) -> Value {
    let list: Value = serde_json::from_str(&said(["image", "inspect", name])).unwrap();
    list[0].clone()
}

/// `scripts/build-images IMAGES` with podman's store of the tests. It says which names it has made.
pub(crate) fn build(images: &[&str], repository_name: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let built = by_hand(&mut Command::new("scripts/build-images"))
        .args(images)
        .env("CONTAINERS_CONF", tool("podman/containers.conf"))
        .env("CONTAINERS_STORAGE_CONF", tool("podman/storage.conf"))
        .env("IMAGE_REPOSITORY", repository_name)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    text_of(&built).lines().map(str::to_owned).collect()
}

/// Does something with the files of an image.
pub(crate) fn inside<T>(name: &str, does_what: impl FnOnce(&Path) -> T) -> T {
    let root = PathBuf::from(said(["image", "mount", name]).trim());
    let done = does_what(&root);
    does(["image", "unmount", name]);
    done
}

/// The paths in an image, sorted; directories end in a slash, links show where they lead.
fn content(image: &str) -> Vec<String> {
    let found =
        inside(&name_of(image), |root| {
            let mut find = Command::new("find");
            find.arg(root)
                .args(["-mindepth", "1"])
                .args(["(", "-type", "d", "-printf", "/%P/\n", ")"])
                .args(["-o", "(", "-type", "l", "-printf", "/%P -> %l\n", ")", "-o", "-printf", "/%P\n"]);
            text_of(&find.output().unwrap())
        });
    let mut paths: Vec<_> = found.lines().map(str::to_owned).collect();
    paths.sort();
    paths
}

/// What an image says is in it: the package URLs, and the base.
fn bill(image: &str) -> Vec<String> {
    let path = format!("usr/share/sbom/{image}.cdx.json");
    let text = inside(&name_of(image), |root| fs::read_to_string(root.join(path)).unwrap());
    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["name"], image);
    let components = bill["components"].as_array().unwrap().iter();
    components
        .map(|component| {
            let known = [&component["purl"], &component["name"]].into_iter().find_map(Value::as_str);
            known.unwrap().to_owned()
        })
        .collect()
}

/// Runs an agent's pod by hand: read-only, without a right, its home in memory.
fn agent(environment: &[&str], command: &[&str]) -> std::process::Output {
    let mut run = podman(["run", "--rm", "--read-only", "--cap-drop", "all", "--network", "none"]);
    run.args(["--security-opt", "no-new-privileges", "--volume", "/home/agent"]);
    run.args(["--env", "LITELLM_BASE_URL=http://litellm:4000/v1"]);
    run.args(environment.iter().flat_map(|variable| ["--env", variable]));
    run.arg(name_of("agent")).args(command).output().unwrap()
}

#[test]
fn hadolint_finds_nothing() {
    let files = IMAGES.map(|image| format!("images/{image}/Containerfile"));
    let lint = Command::new(tool("chart/bin/hadolint"))
        .args(files)
        .arg("tests/images/litellm/Containerfile")
        .current_dir(repository())
        .output()
        .unwrap();
    assert_eq!(text_of(&lint), "");
}

#[test]
fn each_says_what_it_is_and_runs_as_nobody_in_particular() {
    for image in IMAGES {
        let config = described(image)["Config"].clone();
        assert_eq!(config["User"], "65532:65532", "{image}");
        let labels = &config["Labels"];
        for label in ["title", "description", "version", "revision"] {
            let label = format!("org.opencontainers.image.{label}");
            assert!(labels[&label].as_str().is_some_and(|text| !text.is_empty()), "{image}: {label}");
        }
        assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"), "{image}");
    }
}

#[test]
fn what_is_made_from_scratch_holds_its_programs_and_whom_to_trust() {
    let trust = ["/etc/", "/etc/ssl/", "/etc/ssl/certs/", "/etc/ssl/certs/ca-certificates.crt"];
    let with = |image: &str, more: &[&str]| {
        let mut paths: Vec<_> =
            ["/bin/", "/usr/", "/usr/share/", "/usr/share/sbom/"].map(str::to_owned).into();
        paths.push(format!("/usr/share/sbom/{image}.cdx.json"));
        paths.extend(more.iter().map(|path| (*path).to_owned()));
        paths.sort();
        paths
    };
    let rotator = [&trust[..], &["/bin/idle", "/bin/rotate-once"]].concat();
    assert_eq!(content("rotator"), with("rotator", &rotator));
    assert_eq!(content("accounts-serve"), with("accounts-serve", &["/bin/accounts-serve"]));
    // Kubernetes' API is trusted by its own certificate.
    let replication = ["/bin/idle", "/bin/lane-follower", "/bin/lane-mirror", "/bin/signal-receiver"];
    assert_eq!(content("replication"), with("replication", &replication));
    let programs = ["/bin/accounts", "/bin/auth-login", "/bin/codex", "/bin/idle"];
    let predecessor = ["/scripts/", "/scripts/auth-login.sh -> /bin/auth-login"];
    let codex_cli = [&trust[..], &programs, &predecessor].concat();
    assert_eq!(content("codex-cli"), with("codex-cli", &codex_cli));
}

#[test]
fn the_rotator_is_under_8_mb() {
    for image in IMAGES {
        println!("{image}: {:.2} MB", described(image)["Size"].as_f64().unwrap() / 1e6);
    }
    let bytes = described("rotator")["Size"].as_u64().unwrap();
    assert!(bytes < 8_000_000, "{bytes} bytes");
}

#[test]
fn the_same_inputs_make_the_same_image() {
    let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(repository()).output().unwrap();
    let revision = described("rotator")["Config"]["Labels"]["org.opencontainers.image.revision"].clone();
    assert_eq!(revision, text_of(&head).trim(), "of another commit: run scripts/setup-tools pod-images");
    let names = build(&IMAGES, "localhost/codex-podkit-again", &[("AGENT_BASE", BASE)]);
    for (image, again) in IMAGES.into_iter().zip(names) {
        assert_eq!(again, format!("localhost/codex-podkit-again/{image}:{}", env!("CARGO_PKG_VERSION")));
        assert_eq!(described(image)["Digest"], described_as(&again)["Digest"], "{image}");
        does(["rmi", "--force", &again]);
    }
}

#[test]
fn each_has_a_bill_of_what_others_made_and_of_nothing_else() {
    let bills = IMAGES.map(|image| (image, bill(image)));
    for (image, expected, absent) in [
        (
            "codex-cli",
            &["pkg:npm/%40openai/codex@", "pkg:pypi/certifi@", "pkg:cargo/ureq@"][..],
            "pkg:cargo/hyper@",
        ),
        ("rotator", &["pkg:pypi/certifi@", "pkg:cargo/ring@", "pkg:cargo/ureq@"], "pkg:npm/"),
        ("accounts-serve", &["pkg:cargo/hyper@"], "pkg:pypi/"),
        ("agent", &["pkg:npm/%40openai/codex@", "pkg:cargo/toml_edit@", BASE], "pkg:pypi/"),
    ] {
        let (_, bill) = bills.iter().find(|(name, _)| *name == image).unwrap();
        for start in ["pkg:generic/rust-std@", "pkg:generic/glibc@"].iter().chain(expected) {
            assert_eq!(bill.iter().filter(|part| part.starts_with(start)).count(), 1, "{image}: {start}");
        }
        // The last two are of the tests.
        for start in [absent, "pkg:cargo/axum@", "pkg:cargo/tempfile@"] {
            assert!(!bill.iter().any(|part| part.starts_with(start)), "{image}: {start}");
        }
    }
}

#[test]
fn an_agent_without_a_key_boots_with_a_warning() {
    let booted = agent(&[], &["cat", "/home/agent/.codex/config.toml"]);
    assert!(text_of(&booted).contains("model_provider = \"litellm\""));
    let warned = String::from_utf8_lossy(&booted.stderr);
    assert!(warned.contains("LITELLM_API_KEY is not set"), "{warned}");
}

#[test]
fn an_agent_gets_its_keys_without_line_ends() {
    let environment = ["LITELLM_API_KEY=sk-1\r\n", "GIT_PAT=pat-1\r\n", "GITHUB_PAT=pat-2\n"];
    let booted =
        agent(&environment, &["sh", "-c", "printf '<%s>' \"$LITELLM_API_KEY\" \"$GIT_PAT\" \"$GITHUB_PAT\""]);
    assert_eq!(text_of(&booted), "<sk-1><pat-1><pat-2>");
}

#[test]
fn an_agents_options_before_the_dashes_are_for_its_config() {
    let command =
        ["--set", "model_reasoning_effort=\"high\"", "--", "sh", "-c", "cat ~/.codex/config.toml; exit 7"];
    let booted = agent(&[], &command);
    assert_eq!(booted.status.code(), Some(7), "it becomes the command");
    assert!(String::from_utf8_lossy(&booted.stdout).contains("model_reasoning_effort = \"high\""));
}

#[test]
fn git_gets_the_pat_for_its_host_alone_and_it_is_written_nowhere() {
    let fill = |url: &str, environment: &[&str]| {
        let script = "printf 'url=%s\n\n' \"$0\" | GIT_TERMINAL_PROMPT=0 git credential fill 2>&1; \
                      grep -rlE 'pat-s3cret' / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr 2>/dev/null; true";
        text_of(&agent(environment, &["sh", "-c", script, url]))
    };
    let ours = fill("https://github.com/team/code", &["GIT_PAT=pat-s3cret\n"]);
    assert_eq!(
        ours, "protocol=https\nhost=github.com\nusername=x-access-token\npassword=pat-s3cret\n",
        "git has it, and no file does"
    );
    let own = ["GITHUB_PAT=pat-s3cret", "GIT_HOST=git.example.test", "GIT_USERNAME=ann"];
    assert!(fill("https://git.example.test/x", &own).contains("username=ann\npassword=pat-s3cret\n"));
    for (url, environment) in [
        ("https://evil.example.test/x", &["GIT_PAT=pat-s3cret"][..]),
        ("http://github.com/x", &["GIT_PAT=pat-s3cret"]),
        ("https://github.com/x", &own),
        ("https://github.com/x", &[]),
    ] {
        let asked = fill(url, environment);
        assert!(!asked.contains("pat-s3cret"), "{url}: {asked}");
    }
}

#[test]
fn an_agents_image_has_git_codex_and_ripgrep() {
    for (program, says) in [("git", "git version 2."), ("rg", "ripgrep "), ("codex", "codex-cli ")] {
        let version = agent(&[], &[program, "--version"]);
        assert!(text_of(&version).starts_with(says), "{program}");
    }
    let pinned = fs::read_to_string(repository().join("tests/tools/package.json")).unwrap();
    let pinned: Value = serde_json::from_str(&pinned).unwrap();
    let version = text_of(&agent(&[], &["codex", "--version"]));
    assert_eq!(
        version.trim(),
        format!("codex-cli {}", pinned["dependencies"]["@openai/codex"].as_str().unwrap())
    );
}
