//! Logins around a codex that does what each test says; those around the real one are in the workspace's
//! `tests/sign_in.rs`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _, pipe};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fixture::{ANN, Running, Volume, codex_that, jwt, names, wait_within};
use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;

/// What a stand-in for codex does after the person has approved.
const LOG_IN: &str = "cp $LOGIN $CODEX_HOME/auth.json";

/// What it does until then.
const WAIT: &str = "echo the link; exec sleep 60";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How soon a login has to end that is stopped.
const SOON: Duration = Duration::from_secs(5);

/// A volume, a directory for private homes, and a codex that runs a shell's commands.
struct Scene {
    volume: Volume,
    /// What lies beside it: private homes in `memory`, `codex`, and the `login` that it will write.
    beside: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { volume: Volume::new(), beside: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.beside("memory")).unwrap();
        scene.put_login(ANN);
        scene
    }

    /// What codex will write.
    fn put_login(&self, email: &str) {
        let auth = json!({"chatgpt_account_id": "acct-ann"});
        let claims = json!({"exp": 4_000_000_000_i64, "email": email, "https://api.openai.com/auth": auth});
        let login = json!({"tokens": {"access_token": jwt(&claims), "refresh_token": "rt"}});
        fs::write(self.beside("login"), login.to_string()).unwrap();
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.beside.path().join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.volume.file(name)
    }

    /// `auth-login`, whose codex does this.
    fn auth_login(&self, args: &[&str], codex: &str) -> Command {
        let mut command = self.volume.command(env!("CARGO_BIN_EXE_auth-login"));
        command
            .args(args)
            .env("PATH", "/usr/bin:/bin")
            .env("CODEX_BIN", codex_that(self.beside.path(), codex));
        command.env("TMPDIR", self.beside("memory"));
        command.env("LOGIN", self.beside("login")).env("VOLUME", self.volume.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A login that has shown its link and waits.
    fn waiting(&self, set_up: impl FnOnce(&mut Command)) -> Login {
        let mut command = self.auth_login(&["1"], WAIT);
        set_up(&mut command);
        let mut login = Login(Running(command.spawn().unwrap()));
        let shown = login.0.0.stdout.as_mut().unwrap();
        let mut link = String::new();
        BufReader::with_capacity(1, shown).read_line(&mut link).unwrap();
        assert_eq!(link, "the link\n");
        login
    }

    fn names(&self) -> Vec<String> {
        self.volume.names()
    }

    /// The bytes that are used on the volume.
    fn used(&self) -> u64 {
        let files = fs::read_dir(self.volume.path()).unwrap();
        files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
    }

    fn nothing_is_left(&self) {
        wait_within(PATIENCE, "everything is removed", || {
            names(&self.beside("memory")).is_empty() && self.names() == [".lock"]
        });
    }

    fn is_stored(&self) {
        assert_eq!(fs::read(self.file("auth-1.json")).unwrap(), fs::read(self.beside("login")).unwrap());
        assert_eq!(self.names(), [".lock", "auth-1.json", "rotate-now"]);
        assert_eq!(names(&self.beside("memory")), [""; 0]);
    }
}

/// A login under way, ended with the test.
struct Login(Running);

impl Login {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.0.id().try_into().unwrap()), signal).unwrap();
    }

    /// Its exit code, once it has ended by itself.
    fn code(&mut self) -> Option<i32> {
        let mut status = None;
        wait_within(PATIENCE, "the login has ended", || {
            status = self.0.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    fn said(&mut self) -> String {
        let mut said = String::new();
        self.0.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }

    fn is_still_waiting(&mut self) {
        sleep(Duration::from_secs(1));
        assert!(self.0.0.try_wait().unwrap().is_none(), "it has ended: {}", self.said());
    }
}

/// A terminal and its screen. It is no process's controlling one, so that no signal says that it is closed.
fn terminal() -> (PtyMaster, File) {
    let screen = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let flags = OFlag::O_NOCTTY.bits();
    let terminal =
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(ptsname_r(&screen).unwrap());
    (screen, terminal.unwrap())
}

/// A pipe without a reader.
fn no_reader() -> Stdio {
    pipe().unwrap().1.into()
}

#[test]
fn a_login_is_stored_even_if_standard_output_has_no_reader() {
    let scene = Scene::new();
    let ended = scene.auth_login(&["1"], LOG_IN).stdout(no_reader()).output().unwrap();
    assert!(ended.status.success());
    let said = String::from_utf8(ended.stderr).unwrap();
    let begins = "auth-login: standard output cannot be written (Broken pipe (os error 32)): account-1: signed in as ann@";
    assert!(said.starts_with(begins), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    scene.is_stored();
}

#[test]
fn a_login_is_stored_even_if_neither_output_has_a_reader() {
    let scene = Scene::new();
    let status = scene.auth_login(&["1"], LOG_IN).stdout(no_reader()).stderr(no_reader()).status().unwrap();
    assert!(status.success());
    scene.is_stored();
}

#[test]
fn a_script_that_reads_the_link_and_closes_the_pipe_gets_its_login() {
    for with_errors in [false, true] {
        let scene = Scene::new();
        let mut command = scene.auth_login(&["1"], &format!("echo the link; sleep 1; {LOG_IN}"));
        let (mut link, theirs) = pipe().unwrap();
        if with_errors {
            command.stderr(theirs.try_clone().unwrap());
        }
        let mut login = Login(Running(command.stdout(theirs).spawn().unwrap()));
        drop(command);
        link.read_exact(&mut [0; 9]).unwrap();
        drop(link);
        assert_eq!(login.code(), Some(0));
        scene.is_stored();
    }
}

#[test]
fn a_login_ends_when_its_input_is_closed() {
    let scene = Scene::new();
    let mut login = scene.waiting(|command| {
        command.stdin(Stdio::piped());
    });
    login.is_still_waiting();
    let closed = Instant::now();
    drop(login.0.0.stdin.take());
    assert_eq!(login.code(), Some(129));
    assert!(closed.elapsed() < SOON);
    assert_eq!(
        login.said(),
        "auth-login: stopped: account-1 is as it was (the terminal or the connection is gone: run auth-login 1 again)\n"
    );
    scene.nothing_is_left();
}

#[test]
fn a_login_ends_when_both_outputs_have_lost_their_readers() {
    let scene = Scene::new();
    let mut login = scene.waiting(|_| ());
    drop(login.0.0.stdout.take());
    login.is_still_waiting();
    let closed = Instant::now();
    drop(login.0.0.stderr.take());
    assert_eq!(login.code(), Some(129));
    assert!(closed.elapsed() < SOON);
    scene.nothing_is_left();
}

#[test]
fn a_login_ends_when_its_terminal_is_gone() {
    let scene = Scene::new();
    let (mut shown, terminal) = terminal();
    let mut command = scene.auth_login(&["1"], WAIT);
    command.stdin(terminal.try_clone().unwrap()).stdout(terminal.try_clone().unwrap());
    let mut login = Login(Running(command.stderr(terminal).spawn().unwrap()));
    drop(command);
    shown.read_exact(&mut [0; 9]).unwrap();
    login.is_still_waiting();
    let closed = Instant::now();
    drop(shown);
    assert_eq!(login.code(), Some(129));
    assert!(closed.elapsed() < SOON);
    scene.nothing_is_left();
}

#[test]
fn a_login_whose_input_was_empty_from_the_start_goes_on() {
    let scene = Scene::new();
    let (empty, writer) = pipe().unwrap();
    drop(writer);
    for input in [Stdio::null(), empty.into(), File::open(scene.beside("login")).unwrap().into()] {
        let mut login = scene.waiting(|command| {
            command.stdin(input);
        });
        login.is_still_waiting();
        login.signal(Signal::SIGTERM);
        assert_eq!(login.code(), Some(143));
    }
}

#[test]
fn a_codex_that_ignores_sigterm_is_killed() {
    let scene = Scene::new();
    let stubborn = "trap '' TERM; echo the link; while :; do sleep 0.1; done";
    let mut login = Login(Running(scene.auth_login(&["1"], stubborn).spawn().unwrap()));
    login.0.0.stdout.as_mut().unwrap().read_exact(&mut [0; 9]).unwrap();
    let stopped = Instant::now();
    login.signal(Signal::SIGTERM);
    assert_eq!(login.code(), Some(143));
    assert!(stopped.elapsed() < SOON);
    scene.nothing_is_left();
}

#[test]
fn a_login_is_ended_from_another_terminal() {
    let scene = Scene::new();
    fs::write(scene.file("auth-1.json"), "the old one").unwrap();
    let mut login = scene.waiting(|_| ());
    let refused = scene.auth_login(&["1"], LOG_IN).output().unwrap();
    assert_eq!(refused.status.code(), Some(75));
    assert_eq!(
        String::from_utf8(refused.stderr).unwrap(),
        "auth-login: another login into account-1 is under way: finish it, or end it with auth-login --abort 1\n"
    );
    let abort = scene.auth_login(&["--abort", "1"], WAIT).output().unwrap();
    assert!(abort.status.success());
    assert_eq!(
        String::from_utf8(abort.stdout).unwrap(),
        "account-1: the login under way was ended; the slot is as it was\n"
    );
    assert_eq!(login.code(), Some(143));
    assert_eq!(
        login.said(),
        "auth-login: stopped: account-1 is as it was (requested by auth-login --abort 1)\n"
    );
    assert_eq!(scene.names(), [".lock", "auth-1.json"]);
    assert_eq!(fs::read_to_string(scene.file("auth-1.json")).unwrap(), "the old one");
}

#[test]
fn a_login_into_another_slot_is_not_ended() {
    let scene = Scene::new();
    let mut login = scene.waiting(|_| ());
    let abort = scene.auth_login(&["--abort", "2"], WAIT).output().unwrap();
    assert!(abort.status.success());
    assert_eq!(String::from_utf8(abort.stdout).unwrap(), "no login into account-2 is under way\n");
    login.is_still_waiting();
}

#[test]
fn a_request_that_was_left_behind_ends_no_later_login() {
    let scene = Scene::new();
    fs::write(scene.file(".login-1.abort"), "").unwrap();
    assert!(scene.auth_login(&["1"], LOG_IN).status().unwrap().success());
    scene.is_stored();

    fs::write(scene.file(".login-1.abort"), "").unwrap();
    let abort = scene.auth_login(&["--abort", "1"], WAIT).output().unwrap();
    assert!(abort.status.success());
    scene.is_stored();
}

#[test]
fn abort_goes_with_no_other_option() {
    for args in [&["--abort", "--replace", "1"][..], &["--abort", "1", "--", "--with-api-key"]] {
        let usage = Scene::new().auth_login(args, WAIT).output().unwrap();
        assert_eq!(usage.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_finished_login_waits_for_another_writer_and_says_so() {
    let scene = Scene::new();
    let lock = File::create(scene.file(".lock")).unwrap();
    let mut login = Login(Running(
        scene.auth_login(&["1"], &format!("echo the link; sleep 1; {LOG_IN}")).spawn().unwrap(),
    ));
    login.0.0.stdout.as_mut().unwrap().read_exact(&mut [0; 9]).unwrap();
    lock.lock().unwrap();
    let mut said = String::new();
    BufReader::with_capacity(1, login.0.0.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    let expected = format!(
        "auth-login: the login is finished and waits for the volume: another process has held {} for 10 s; ^C gives it up\n",
        scene.file(".lock").display()
    );
    assert_eq!(said, expected);
    login.signal(Signal::SIGHUP);
    login.is_still_waiting();
    drop(lock);
    assert_eq!(login.code(), Some(0));
    scene.is_stored();
}

#[test]
fn a_finished_login_that_waits_can_be_given_up() {
    for (by, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let scene = Scene::new();
        let lock = File::create(scene.file(".lock")).unwrap();
        let finish = format!("echo the link; sleep 0.5; {LOG_IN}; echo logged in");
        let mut login = Login(Running(scene.auth_login(&["1"], &finish).spawn().unwrap()));
        let shown = login.0.0.stdout.as_mut().unwrap();
        shown.read_exact(&mut [0; 9]).unwrap();
        lock.lock().unwrap();
        shown.read_exact(&mut [0; 10]).unwrap();
        login.is_still_waiting();
        login.signal(by);
        assert_eq!(login.code(), Some(code));
        assert_eq!(login.said(), "auth-login: stopped: account-1 is as it was\n");
        scene.nothing_is_left();
        drop(lock);
    }
}

#[test]
fn a_finished_login_outlasts_a_volume_that_cannot_store_it() {
    let scene = Scene::new();
    // Nothing can be renamed to a directory that has something in it, not even by root.
    let obstacle = format!("mkdir -p $VOLUME/auth-1.json/full; {LOG_IN}");
    let mut login = Login(Running(scene.auth_login(&["1"], &obstacle).spawn().unwrap()));
    let mut said = String::new();
    BufReader::with_capacity(1, login.0.0.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    let path = scene.file("auth-1.json");
    let begins = format!(
        "auth-login: the login is finished and waits for the volume: cannot write {}",
        path.display()
    );
    assert!(said.starts_with(&begins), "{said}");
    assert!(said.ends_with("it is tried again each second; ^C gives it up\n"), "{said}");
    login.is_still_waiting();
    fs::remove_dir_all(path).unwrap();
    assert_eq!(login.code(), Some(0));
    scene.is_stored();
    assert_eq!(login.said(), "", "it is logged once");
}

#[test]
fn room_for_the_login_is_reserved_while_the_person_is_at_the_browser() {
    let scene = Scene::new();
    let mut login = scene.waiting(|_| ());
    assert!(scene.used() >= 16 << 10, "no room is reserved: {:?}", scene.names());
    login.signal(Signal::SIGTERM);
    assert_eq!(login.code(), Some(143));
    scene.nothing_is_left();
}

#[test]
fn a_killed_login_leaves_no_room_behind() {
    let scene = Scene::new();
    let mut login = scene.waiting(|_| ());
    assert!(scene.used() >= 16 << 10);
    login.signal(Signal::SIGKILL);
    login.0.0.wait().unwrap();
    scene.nothing_is_left();
}

#[test]
fn a_slot_that_holds_no_file_is_named_with_the_command_that_empties_it() {
    type Make = fn(&Path);
    let kinds: [(&str, Make); 3] = [
        ("a symbolic link, not a regular file", |path| {
            std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
        }),
        ("not a regular file", |path| fs::create_dir(path).unwrap()),
        ("larger than 1 MiB", |path| {
            File::create(path).unwrap().set_len(2 << 20).unwrap();
        }),
    ];
    for (what, make) in kinds {
        let scene = Scene::new();
        let path = scene.file("auth-1.json");
        make(&path);
        let ended = scene.auth_login(&["1"], WAIT).output().unwrap();
        assert_eq!(ended.status.code(), Some(78));
        assert_eq!(
            String::from_utf8(ended.stderr).unwrap(),
            format!("auth-login: {}: {what}: run accounts remove 1 first\n", path.display())
        );
    }
}

#[test]
fn no_text_of_a_login_or_of_codex_controls_the_terminal() {
    let scene = Scene::new();
    scene.put_login("\u{1b}[2Jann\nrotate-once: active account-9");
    let codex = format!("printf '\\033]0;title\\007warning\\n' >&2; {LOG_IN}");
    let ended = scene.auth_login(&["1"], &codex).output().unwrap();
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert!(
        shown.starts_with("account-1: signed in as  [2Jann rotate-once: active account-9 (account"),
        "{shown}"
    );
    assert_eq!(shown.lines().count(), 1);
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "warning\n");
}

#[test]
fn a_pipe_in_the_place_of_a_private_home_stops_no_login() {
    let scene = Scene::new();
    let pipe = scene.beside("memory").join("auth-login-1-1");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(scene.auth_login(&["1"], LOG_IN).status().unwrap().success());
    assert_eq!(names(&scene.beside("memory")), ["auth-login-1-1"]);
}

#[test]
fn what_a_login_left_that_was_killed_with_its_cleanup_process_is_removed_by_the_next() {
    let scene = Scene::new();
    let left = scene.beside("memory").join("auth-login-1-1");
    fs::create_dir(&left).unwrap();
    File::create(left.join("auth.json")).unwrap().write_all(b"token").unwrap();
    assert!(scene.auth_login(&["1"], LOG_IN).status().unwrap().success());
    scene.is_stored();
}
