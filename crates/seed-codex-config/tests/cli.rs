//! What a person or a pod sees of `seed-codex-config`: files, one line of log, an exit code.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its files has to stop there")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use assert_cmd::Command;
use predicates::prelude::*;
use tempfile::TempDir;

const URL: &str = "http://litellm:4000/v1";
const KEY_IS_FINE: (&str, &str) = ("LITELLM_API_KEY", "sk-1");

struct Pod {
    home: TempDir,
}

impl Pod {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn with(config: impl AsRef<[u8]>) -> Self {
        let pod = Self::new();
        fs::create_dir(pod.codex_home()).unwrap();
        fs::write(pod.config(), config).unwrap();
        fs::set_permissions(pod.config(), Permissions::from_mode(0o600)).unwrap();
        pod
    }

    fn seeded() -> Self {
        let pod = Self::new();
        pod.seed(&["--base-url", URL]).assert().success();
        pod
    }

    fn codex_home(&self) -> PathBuf {
        self.home.path().join(".codex")
    }

    fn config(&self) -> PathBuf {
        self.codex_home().join("config.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }

    fn seed<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Command {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("seed-codex-config");
        command.env_clear().env("HOME", self.home.path()).env(KEY_IS_FINE.0, KEY_IS_FINE.1).args(args);
        command
    }

    fn wrote(&self) -> String {
        says(&format!("wrote {} (model gpt-5.6-sol through {URL})", self.config().display()))
    }

    fn is_up_to_date(&self) -> String {
        says(&format!("{} is up to date", self.config().display()))
    }
}

fn says(line: &str) -> String {
    format!("seed-codex-config: {line}\n")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What distinguishes a replaced or rewritten file from an untouched one.
fn identity(path: &Path) -> (u64, i64, i64) {
    let found = fs::metadata(path).unwrap();
    (found.ino(), found.mtime(), found.mtime_nsec())
}

#[test]
fn each_case_becomes_what_its_folder_says_and_stays_so() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut seen = 0;
    for case in fs::read_dir(cases).unwrap() {
        let case = case.unwrap().path();
        let pod = match fs::read(case.join("before.toml")) {
            Ok(before) => Pod::with(before),
            Err(_) => Pod::new(),
        };
        let args = fs::read_to_string(case.join("args")).unwrap();
        let args: Vec<_> = args.strip_suffix('\n').unwrap().split('\n').collect();
        let after = fs::read_to_string(case.join("after.toml")).unwrap();

        pod.seed(&args).assert().success();
        assert_eq!(pod.text(), after, "{}", case.display());
        let written = identity(&pod.config());
        let keys = [("TEAM_KEY", "sk-1"), ("PROXY_KEY", "sk-1")];
        pod.seed(&args).envs(keys).assert().success().stderr(pod.is_up_to_date());
        assert_eq!(identity(&pod.config()), written, "{}", case.display());
        pod.seed(&args).arg("--check").assert().success().stderr(pod.is_up_to_date());
        seen += 1;
    }
    assert_eq!(seen, 7, "a case is a folder with args, after.toml and perhaps before.toml");
}

#[test]
fn makes_a_private_directory_and_a_private_file() {
    let pod = Pod::new();
    pod.seed(&["--base-url", URL]).assert().success().stdout("").stderr(pod.wrote());
    assert_eq!((mode(&pod.codex_home()), mode(&pod.config())), (0o700, 0o600));
    assert_eq!(fs::read_dir(pod.codex_home()).unwrap().count(), 1);
}

#[test]
fn options_may_come_from_the_environment_and_an_empty_variable_counts_as_none() {
    let pod = Pod::new();
    pod.seed::<&str>(&[])
        .env("LITELLM_BASE_URL", "http://x/\n")
        .env("CODEX_MODEL", "m\r\n")
        .assert()
        .success();
    assert!(pod.text().contains("model = \"m\"\n") && pod.text().contains("base_url = \"http://x\"\n"));
    let empty = [("LITELLM_BASE_URL", ""), ("CODEX_MODEL", "\n"), ("CODEX_HOME", "")];
    pod.seed::<&str>(&[]).envs(empty).assert().success().stderr(pod.is_up_to_date());
}

#[test]
fn codex_home_is_where_the_flag_the_variable_or_home_says() {
    let pod = Pod::new();
    let (flag, variable) = (pod.home.path().join("flag"), pod.home.path().join("var"));
    pod.seed(&["--base-url", URL]).env("CODEX_HOME", &variable).assert().success();
    assert!(variable.join("config.toml").is_file());
    let mut both = pod.seed(&["--base-url", URL, "--codex-home"]);
    both.arg(&flag).env("CODEX_HOME", &variable).args(["--", "/bin/sh", "-c", "echo $CODEX_HOME"]);
    both.assert().success().stdout(format!("{}\n", flag.display()));
    assert!(flag.join("config.toml").is_file());
    assert!(!pod.codex_home().exists());

    let nowhere = "no directory for config.toml: pass --codex-home or set CODEX_HOME or HOME";
    pod.seed(&["--base-url", URL]).env_remove("HOME").assert().code(78).stderr(says(nowhere));
}

#[test]
fn says_what_to_pass_when_there_is_no_base_url_anywhere() {
    let pod = Pod::new();
    let message = format!(
        "no base URL, and none in {}: pass --base-url or set LITELLM_BASE_URL, as in {URL}",
        pod.config().display()
    );
    pod.seed::<&str>(&[]).assert().code(78).stderr(says(&message));
    assert!(!pod.config().exists());
}

#[test]
fn an_invalid_base_url_is_refused_and_not_repeated() {
    let pod = Pod::new();
    let message = format!(
        "the base URL (--base-url or LITELLM_BASE_URL) does not start with http:// or https://; it should look like {URL}"
    );
    pod.seed::<&str>(&[]).env("LITELLM_BASE_URL", "sk-1").assert().code(78).stderr(says(&message));
}

#[test]
fn a_file_that_does_not_parse_is_left_alone_and_not_quoted() {
    let before = "a = 1\n\ntoken sk-secret\n";
    let pod = Pod::with(before);
    let message = format!(
        "cannot parse {}: line 3, column 7: key with no value, expected `=`; correct or remove it",
        pod.config().display()
    );
    for check in [&["--check"][..], &[]] {
        pod.seed(&["--base-url", URL]).args(check).assert().code(78).stderr(says(&message));
    }
    assert_eq!(pod.text(), before);
}

#[test]
fn a_file_that_is_not_text_is_left_alone() {
    let before = b"a = 1\nb = \"\xff\"\n";
    let pod = Pod::with(before);
    let message =
        format!("cannot parse {}: line 2, column 6: not UTF-8; correct or remove it", pod.config().display());
    pod.seed(&["--base-url", URL]).assert().code(78).stderr(says(&message));
    assert_eq!(fs::read(pod.config()).unwrap(), before);
}

#[test]
fn a_conflict_is_named_and_the_file_left_alone() {
    let before = "model_providers = 3\n";
    let pod = Pod::with(before);
    let message = format!(
        "cannot merge into {}: model_providers is of type integer and has to be a table; correct or remove it",
        pod.config().display()
    );
    pod.seed(&["--base-url", URL]).assert().code(78).stderr(says(&message));
    assert_eq!(pod.text(), before);
}

#[test]
fn narrows_a_file_that_others_can_read_without_rewriting_it() {
    let pod = Pod::seeded();
    fs::set_permissions(pod.config(), Permissions::from_mode(0o644)).unwrap();
    let written = identity(&pod.config());
    let config = pod.config();
    let would = says(&format!("{} would change: the file's mode (644)", config.display()));
    pod.seed(&["--check"]).assert().code(1).stderr(would);
    let narrowed = says(&format!("narrowed the mode of {} from 644 to 600", config.display()));
    pod.seed::<&str>(&[]).assert().success().stderr(narrowed + &pod.is_up_to_date());
    assert_eq!((mode(&config), identity(&config)), (0o600, written));
}

#[test]
fn writes_through_a_symlink_whether_or_not_its_target_is_there() {
    for before in [Some("# dotfile\n"), None] {
        let pod = Pod::new();
        let dotfiles = pod.home.path().join("dotfiles");
        fs::create_dir(&dotfiles).unwrap();
        fs::create_dir(pod.codex_home()).unwrap();
        if let Some(before) = before {
            fs::write(dotfiles.join("codex.toml"), before).unwrap();
        }
        symlink("../dotfiles/codex.toml", pod.config()).unwrap();
        pod.seed(&["--base-url", URL]).assert().success().stderr(pod.wrote());
        assert_eq!(fs::read_link(pod.config()).unwrap(), Path::new("../dotfiles/codex.toml"));
        let text = fs::read_to_string(dotfiles.join("codex.toml")).unwrap();
        assert!(text.starts_with(before.unwrap_or_default()) && text.contains("wire_api"), "{text}");
    }
}

#[test]
fn a_home_behind_a_link_is_made_where_the_link_leads() {
    let pod = Pod::new();
    symlink("volume/codex", pod.codex_home()).unwrap();
    pod.seed(&["--base-url", URL]).assert().success().stderr(pod.wrote());
    assert!(pod.home.path().join("volume/codex/config.toml").is_file());
    assert_eq!(fs::read_link(pod.codex_home()).unwrap(), Path::new("volume/codex"));
}

#[test]
fn a_link_to_itself_and_a_directory_are_refused() {
    let pod = Pod::new();
    fs::create_dir(pod.codex_home()).unwrap();
    symlink("config.toml", pod.config()).unwrap();
    let message = says(&format!("{} leads through too many symlinks; remove it", pod.config().display()));
    pod.seed(&["--base-url", URL]).assert().code(78).stderr(message);
    fs::remove_file(pod.config()).unwrap();
    fs::create_dir(pod.config()).unwrap();
    let message = says(&format!("{} is not a file; remove it", pod.config().display()));
    pod.seed(&["--base-url", URL]).assert().code(78).stderr(message);
}

#[test]
fn a_file_that_is_too_large_is_left_alone_and_none_is_made_so_large() {
    let mebibyte = 1 << 20;
    let comment = |bytes: usize| format!("#{}\n", "x".repeat(bytes - 2));
    let message = |pod: &Pod, is| {
        let path = pod.config();
        let path = path.display();
        says(&format!("{path} {is} larger than 1 MiB: take out what codex does not need, or remove it"))
    };
    for (bytes, is) in [(mebibyte + 1, "is"), (mebibyte, "would be"), (mebibyte - 10, "would be")] {
        let pod = Pod::with(comment(bytes));
        for check in [&["--check"][..], &[]] {
            pod.seed(&["--base-url", URL]).args(check).assert().code(78).stderr(message(&pod, is));
        }
        assert_eq!(pod.text(), comment(bytes));
    }
    let pod = Pod::with(comment(mebibyte - 1000));
    pod.seed(&["--base-url", URL]).assert().success();
    let sparse = Pod::with("");
    fs::File::options().write(true).open(sparse.config()).unwrap().set_len(300 << 20).unwrap();
    sparse.seed(&["--base-url", URL]).assert().code(78).stderr(message(&sparse, "is"));
}

#[test]
fn a_pipe_or_a_device_is_not_waited_for() {
    let pod = Pod::new();
    fs::create_dir(pod.codex_home()).unwrap();
    let pipe = pod.home.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for target in [&pipe, Path::new("/dev/zero")] {
        let _ = fs::remove_file(pod.config());
        symlink(target, pod.config()).unwrap();
        let message = says(&format!("{} is not a file; remove it", pod.config().display()));
        let mut command = pod.seed(&["--base-url", URL]);
        command.timeout(std::time::Duration::from_secs(10)).assert().code(78).stderr(message);
    }
}

#[test]
fn a_file_with_too_many_nested_tables_is_left_alone() {
    let dotted = vec!["a"; 79].join(".");
    for before in [
        format!("a={}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}=1\n", vec!["a"; 100_000].join(".")),
        format!("[{}]\n", vec!["a"; 100_000].join(".")),
        // Within the parser's bounds, which multiply each other.
        format!("k={}1{}\n", format!("{{{dotted}=").repeat(79), "}".repeat(79)),
        format!("[[{dotted}]]\nk={}1{}\n", format!("[{{{dotted}=").repeat(38), "}]".repeat(38)),
    ] {
        let pod = Pod::with(&before);
        let message = format!(
            "cannot parse {}: more than 64 tables or arrays are nested; correct or remove it",
            pod.config().display()
        );
        for set in ["x=1", "k=1", "k={}"] {
            pod.seed(&["--base-url", URL, "--set", set]).assert().code(78).stderr(says(&message));
        }
        assert_eq!(pod.text(), before);
    }
}

#[test]
fn a_stdout_that_cannot_be_written_causes_no_panic() {
    for argument in ["--help", "--version"] {
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        for stdout in [Stdio::from(closed), Stdio::from(full)] {
            let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("seed-codex-config"));
            let output = command.arg(argument).stdout(stdout).output().unwrap();
            assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        }
    }
}

#[test]
fn a_home_that_cannot_be_written_is_reported_with_its_remedy() {
    let pod = Pod::new();
    // A file where the directory should be stops root too, which no mode does.
    fs::write(pod.codex_home(), "").unwrap();
    let message = format!(
        "cannot make the directory {}: File exists (os error 17); mount a CODEX_HOME that this user can write, \
         with space left",
        pod.codex_home().display()
    );
    pod.seed(&["--base-url", URL]).assert().code(73).stderr(says(&message));

    let message = "cannot make the directory /proc/none: No such file or directory (os error 2); mount a CODEX_HOME \
                that this user can write, with space left";
    pod.seed(&["--base-url", URL, "--codex-home", "/proc/none"]).assert().code(73).stderr(says(message));
}

#[test]
fn check_names_the_keys_and_no_values_and_touches_nothing() {
    let pod = Pod::new();
    let all = "model_provider, model, model_providers.litellm.name, model_providers.litellm.base_url, \
               model_providers.litellm.env_key, model_providers.litellm.wire_api";
    let message = says(&format!("{} would change: {all}", pod.config().display()));
    pod.seed(&["--check", "--base-url", URL]).assert().code(1).stdout("").stderr(message);
    assert!(!pod.codex_home().exists());

    let pod = Pod::seeded();
    let written = identity(&pod.config());
    let message = says(&format!("{} would change: a.\"b c\".d", pod.config().display()));
    pod.seed(&["--check", "--set", "a.'b c'.d='sk-secret'"]).assert().code(1).stderr(message);
    assert_eq!(identity(&pod.config()), written);
    pod.seed(&["--check", "--", "true"]).assert().code(2);
}

#[test]
fn set_env_takes_the_text_as_it_is() {
    let pod = Pod::seeded();
    let nasty = r#"$HOME `id` "q" 'p' \n \u0041 {x=1} [a] # ü💡 '''"""#;
    let mut command = pod.seed(&["--set-env", "mcp_servers.gh.env.TOKEN=NASTY"]);
    command.env("NASTY", format!("{nasty}\r\n")).assert().success();
    let document = toml_edit::Document::parse(pod.text()).unwrap();
    let found = &document["mcp_servers"]["gh"]["env"]["TOKEN"];
    assert_eq!(found.as_str(), Some(nasty));
}

#[test]
fn set_env_leaves_the_key_alone_when_its_variable_is_missing_or_empty() {
    let pod = Pod::seeded();
    fs::write(pod.config(), format!("x.y = \"kept\"\n{}", pod.text())).unwrap();
    let before = pod.text();
    let message = says("A is not set: x.y is left as it is") + &says("B is empty: x.z is left as it is");
    let mut command = pod.seed(&["--set-env", "x.y=A", "--set-env", "x.z=B"]);
    command.env("B", "\n").assert().success().stderr(message + &pod.is_up_to_date());
    assert_eq!(pod.text(), before);
}

#[test]
fn a_wrong_option_is_a_usage_error_without_its_value() {
    let pod = Pod::new();
    for (args, message) in [
        (
            ["--set", "approval_policy=never"],
            "--set approval_policy=…: not a TOML value; a string needs its own quotes, as in --set \
             'approval_policy=\"text\"'",
        ),
        (["--set-env", "a=sk-secret"], "--set-env a=…: not the name of an environment variable"),
        (
            ["--env-key", "sk-secret"],
            "--env-key takes the name of an environment variable, not the key itself",
        ),
        (
            ["--set", &format!("{}=1", vec!["a"; 3000].join("."))],
            "--set takes KEY=TOML: the key has 64 parts or more",
        ),
        (
            ["--set-env", &format!("{}=A", vec!["a"; 30_000].join("."))],
            "--set-env takes KEY=ENVVAR: the key is longer than 8192 bytes",
        ),
    ] {
        pod.seed(&args).args(["--base-url", URL]).assert().code(2).stderr(says(message));
    }
    assert!(!pod.codex_home().exists());
}

#[test]
fn warns_of_a_key_that_is_missing_or_empty_and_goes_on() {
    let pod = Pod::seeded();
    let then = "codex will stop with \"Missing environment variable\"; set it from the LiteLLM key";
    let mut command = pod.seed(&["--", "/bin/sh", "-c", "echo ran"]);
    let message = pod.is_up_to_date() + &says(&format!("LITELLM_API_KEY is not set: {then}"));
    command.env_remove("LITELLM_API_KEY").assert().success().stdout("ran\n").stderr(message);
    let message = pod.is_up_to_date() + &says(&format!("LITELLM_API_KEY is empty: {then}"));
    pod.seed::<&str>(&[]).env("LITELLM_API_KEY", " \n").assert().success().stderr(message);
}

#[test]
fn hands_the_command_a_key_without_the_line_end_in_it() {
    let pod = Pod::seeded();
    let message = "LITELLM_API_KEY has a line end or a space around the key: the command gets it without";
    let mut command = pod.seed(&["--", "/bin/sh", "-c", "printf '<%s>' \"$LITELLM_API_KEY\""]);
    let message = pod.is_up_to_date() + &says(message);
    command.env("LITELLM_API_KEY", " sk-secret\r\n").assert().success().stdout("<sk-secret>").stderr(message);
}

#[test]
fn never_prints_a_key_that_was_given_in_place_of_its_name() {
    let pod = Pod::seeded();
    fs::write(pod.config(), pod.text().replace("LITELLM_API_KEY", "sk-secret")).unwrap();
    let message =
        "env_key in config.toml is not the name of an environment variable; name one with --env-key";
    pod.seed::<&str>(&[]).assert().success().stderr(pod.is_up_to_date() + &says(message));
}

#[test]
fn becomes_the_command_with_its_arguments_and_its_exit_code() {
    let pod = Pod::seeded();
    let mut command =
        pod.seed(&["--", "/bin/sh", "-c", "printf '%s|' \"$@\"; exit 7", "sh", "a b", "--check", "$HOME"]);
    command.assert().code(7).stdout("a b|--check|$HOME|");
}

#[test]
fn a_command_that_cannot_run_ends_as_in_a_shell() {
    let pod = Pod::seeded();
    let message =
        pod.is_up_to_date() + &says("cannot run no-such-thing: No such file or directory (os error 2)");
    pod.seed(&["--", "no-such-thing"]).assert().code(127).stderr(message);
    let config = pod.config();
    let message = format!("cannot run {}: Permission denied (os error 13)", config.display());
    pod.seed(&["--".as_ref(), config.as_os_str()])
        .assert()
        .code(126)
        .stderr(pod.is_up_to_date() + &says(&message));
}

#[test]
fn does_not_run_the_command_when_the_file_is_wrong() {
    let pod = Pod::with("a = [");
    pod.seed(&["--base-url", URL, "--", "/bin/sh", "-c", "echo ran"]).assert().code(78).stdout("");
}

#[test]
fn several_at_the_same_time_lose_none_of_their_keys() {
    let pod = Pod::seeded();
    std::thread::scope(|scope| {
        for n in 0..16 {
            let pod = &pod;
            scope.spawn(move || pod.seed(&["--set", &format!("seeders.n{n}={n}")]).assert().success());
        }
    });
    let document = toml_edit::Document::parse(pod.text()).unwrap();
    assert_eq!(document["seeders"].as_table().unwrap().len(), 16);
}

#[test]
fn help_ends_with_the_exit_codes() {
    let pod = Pod::new();
    pod.seed(&["--help"]).assert().success().stdout(predicate::str::ends_with("otherwise CMD's own\n"));
}
