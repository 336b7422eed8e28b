//! The binaries for arm64, and codex's, run by qemu: what other tests ask of any processor's, asked again.

use std::env;
use std::fs;
use std::process::Command;

use fixture::workspace::{SHIPPED, repository, tool};

/// In namespaces of its own: this kernel runs programs for arm64 by qemu, and codex is the one for arm64.
const EMULATED: &str = r#"
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    printf %s "$1" >/proc/sys/fs/binfmt_misc/register
    mount --bind "$2" "$3"
    shift 3
    exec "$@"
"#;

/// How the kernel knows a program for arm64 (64-bit ELF, little-endian, `EM_AARCH64`), and what runs it. qemu is opened
/// now, so that it need not be in a root that a program changes to.
const AARCH64: &str = r":aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:OCF";

/// Runs tests of this program with the binaries for arm64.
fn again(tests: &[&str]) {
    let binaries = repository().join("target/binaries/aarch64-unknown-linux-gnu");
    assert!(binaries.is_dir(), "no {}: run scripts/build arm64, as scripts/test does", binaries.display());
    for name in SHIPPED {
        let elf = fs::read(binaries.join(name)).unwrap();
        assert_eq!(elf[18], 0xb7, "{name} is for arm64");
    }
    let codex = |name: &str| fs::canonicalize(tool(name)).unwrap();
    let output = Command::new("timeout")
        .args([
            "--kill-after",
            "1",
            "300",
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-euc",
            EMULATED,
            "sh",
            AARCH64,
        ])
        .args([codex("codex-arm64/codex"), codex("codex/codex"), env::current_exe().unwrap()])
        .args(tests)
        .env("CODEX_PODKIT_BIN", binaries)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let passed = said.matches(" ... ok\n").count();
    let names = tests.iter().take_while(|name| **name != "--skip").count();
    assert!(passed >= names, "{said}");
}

#[test]
fn each_is_static_and_works_from_scratch() {
    // qemu does not let a program know that what it starts is absent, which is what is asked of idle there.
    again(&["binaries::", "--skip", "binaries::idle_works_from_scratch_and_reports_its_command"]);
}

// Not a login: auth-login must be alone in its process when it starts, and qemu has a thread of its own in it.
#[test]
fn they_work_together_and_codex_for_arm64_takes_what_is_seeded() {
    again(&[
        "rotation::a_receiver_that_hangs_keeps_no_refusal_waiting",
        "steering::an_account_that_is_pinned_and_must_be_renewed_first_serves_as_soon_as_the_rotator_has_renewed_it",
        "agent::the_real_codex_accepts_what_was_seeded",
    ]);
}
