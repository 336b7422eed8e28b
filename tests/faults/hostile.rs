//! A live directory of its own, in which LiteLLM's container leaves anything under every name that we use.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use fixture::strace::Strace;
use fixture::{ANN, BEN, LONG, codex_that};
use nix::sys::stat::Mode;
use records::Slot;

use crate::faults::dice::Dice;
use crate::faults::figures::Figures;
use crate::faults::judge::{has_token, is_well_formed};
use crate::faults::volume::Volume;

/// No command takes longer, whatever lies there.
const SOON: Duration = Duration::from_secs(5);

/// The most that a pass may have of memory: what a sidecar is given.
const MEMORY: u64 = 16 << 10;

/// How many commands are run while it changes.
const RACES: usize = 140;

/// How many mixtures are tried, and how many names in one directory.
const MIXTURES: usize = 12;
const MANY: usize = 20_000;

/// The names that mean something to us, in the one directory or in the other.
const NAMES: [&str; 22] = [
    "auth.json",
    "rotate-now",
    ".rotate-now.taken-1",
    ".rotate-now.taken-1795439506000-7",
    "rotate-now.unreadable",
    "callback.json",
    ".auth.json.before",
    ".auth.json.new",
    ".auth.json.00000000-1-1-0.new",
    ".auth-7.json.new",
    ".auth-7.json.00000000-1-1-0.new",
    "auth-7.json",
    "auth.json.found-1",
    "rotator_state.json",
    "events.json",
    "audit.jsonl",
    ".last-pass",
    ".lock",
    ".proof",
    ".trial",
    ".grant-0011223344556677.sent",
    ".grant-0011223344556677.ended",
];

/// What lies there.
type Thing = fn(&Path) -> io::Result<()>;

const THINGS: [(&str, Thing); 13] = [
    ("an empty directory", |path| fs::create_dir(path)),
    ("a directory with something in it", |path| {
        fs::create_dir_all(path.join("x/y"))?;
        fs::write(path.join("auth.json"), "{}")
    }),
    ("a pipe", |path| Ok(nix::unistd::mkfifo(path, Mode::S_IRWXU)?)),
    ("a socket", |path| UnixListener::bind(path).map(drop)),
    ("a link to nowhere", |path| symlink("/nonexistent/nowhere", path)),
    ("a link to itself", |path| symlink(path.file_name().unwrap(), path)),
    ("a link to what never ends", |path| symlink("/dev/zero", path)),
    ("a link to a master", |path| symlink("../auth/auth-1.json", path)),
    ("a second name of a master", |path| fs::hard_link(path.with_file_name("../auth/auth-1.json"), path)),
    ("a huge file", |path| File::create(path)?.set_len(3 << 30)),
    ("much that is no JSON", |path| fs::write(path, "[".repeat(1 << 16))),
    ("nothing", |path| fs::write(path, "")),
    ("a login", |path| {
        let eve = r#"{"access_token": "at-eve", "refresh_token": "rt-eve", "account_id": "acct-eve", "expires_at": 9999999999}"#;
        fs::write(path, eve)
    }),
];

/// Each command, in an order in which each has something to do.
const COMMANDS: [&[&str]; 14] = [
    &["rotate-once", "--init"],
    &["rotate-once"],
    &["rotate-once", "--dry-run"],
    &["rotate-once", "--json", "--policy", "round-robin"],
    &["accounts"],
    &["accounts", "list", "--json"],
    &["accounts", "why"],
    &["accounts", "doctor"],
    &["accounts", "park", "2"],
    &["accounts", "unpark", "2"],
    &["accounts", "use", "1"],
    &["accounts", "pin", "1"],
    &["accounts", "unpin"],
    &["auth-login", "3"],
];

/// Two directories, and a codex that signs carl in.
struct Pod {
    volume: Volume,
    codex: PathBuf,
    masters: [Vec<u8>; 2],
}

impl Pod {
    fn new() -> Self {
        let volume = Volume::new();
        for directory in ["auth", "live", "home"] {
            fs::create_dir(volume.file(directory)).unwrap();
        }
        for (slot, email) in [(1, ANN), (2, BEN)] {
            volume.put_login_for(slot, email, LONG);
            let name = format!("auth-{slot}.json");
            fs::rename(volume.file(&name), volume.file("auth").join(name)).unwrap();
        }
        fs::write(volume.file("login"), volume.login("carl@example.test").to_string()).unwrap();
        let codex = codex_that(volume.path(), "cp \"$LOGIN\" \"$CODEX_HOME/auth.json\"");
        let masters =
            ["auth-1.json", "auth-2.json"].map(|name| fs::read(volume.file("auth").join(name)).unwrap());
        Self { volume, codex, masters }
    }

    fn live(&self, name: &str) -> PathBuf {
        self.volume.file("live").join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.volume.command(args[0]);
        command.args(&args[1..]).env("PATH", "/usr/bin:/bin");
        command
            .env("CHATGPT_AUTH_DIR", self.volume.file("auth"))
            .env("CHATGPT_LIVE_DIR", self.volume.file("live"));
        command.env("CODEX_BIN", &self.codex).env("LOGIN", self.volume.file("login"));
        command.env("TMPDIR", self.volume.file("home"));
        command
    }

    /// Leaves something under each name, in a directory that had nothing in it.
    fn leave(&self, thing: &mut dyn FnMut(&Path) -> io::Result<()>) {
        fs::remove_dir_all(self.volume.file("live")).unwrap();
        fs::create_dir(self.volume.file("live")).unwrap();
        for name in NAMES {
            thing(&self.live(name)).unwrap();
        }
    }

    /// Runs every command, each after the same was left again, and gives what each ended with.
    fn run_all(
        &self,
        name: &str,
        thing: &mut dyn FnMut(&Path) -> io::Result<()>,
        figures: &mut Figures,
    ) -> Vec<i32> {
        let run = |args: &&[&str]| {
            self.leave(thing);
            let what = format!("{name}: {}", args.join(" "));
            let code = if let Some(output) = run_in_time(self.command(args)) {
                self.judged(&what, &output, args, figures)
            } else {
                figures.complain(format!("{what}: it hung"));
                -1
            };
            let _ = fs::remove_file(self.volume.file("auth").join("auth-3.json"));
            code
        };
        COMMANDS.iter().map(run).collect()
    }

    fn judged(&self, what: &str, output: &Output, args: &[&str], figures: &mut Figures) -> i32 {
        figures.passes += 1;
        figures.struck += 1;
        let said = self.keep_to_themselves(what, output, args, figures);
        let only_looks = matches!(
            args,
            ["rotate-once", "--dry-run"]
                | ["accounts"]
                | ["accounts", "list" | "why" | "doctor", ..]
                | ["auth-login", ..]
        );
        if !only_looks && !is_well_formed(&fs::read(self.live("auth.json")).unwrap_or_default()) {
            figures.records_torn += 1;
            figures.complain(format!("{what}: auth.json is none of ours: {said}"));
        }
        output.status.code().unwrap_or(-1)
    }

    /// The logins are nothing to whoever writes into the live directory.
    fn keep_to_themselves(
        &self,
        what: &str,
        output: &Output,
        args: &[&str],
        figures: &mut Figures,
    ) -> String {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if has_token(&output.stderr) || has_token(&output.stdout) {
            figures.secrets_out += 1;
            figures.complain(format!("{what}: a token is out"));
        }
        if said.contains("panicked") || said.contains('\u{1b}') {
            figures.complain(format!("{what}: {said}"));
        }
        let auth = self.volume.file("auth");
        for (nth, master) in (1..).zip(&self.masters) {
            if fs::read(auth.join(format!("auth-{nth}.json"))).ok().as_ref() != Some(master) {
                figures.refresh_tokens_lost += 1;
                figures.complain(format!("{what}: the master of slot {nth} is another one: {said}"));
            }
        }
        let names =
            fs::read_dir(&auth).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let slots: Vec<_> = names.filter_map(|name| Slot::from_file_name(&name)).map(Slot::number).collect();
        let expected = if args[0] == "auth-login" { 3 } else { 2 };
        if slots.len() != expected {
            figures.complain(format!("{what}: there are the slots {slots:?}: {said}"));
        }
        said
    }
}

#[test]
fn the_live_directory_is_hostile() {
    let mut figures = Figures::of("the live directory is hostile");
    let clean = Pod::new().run_all("an empty directory", &mut |_| Ok(()), &mut figures);
    let compare = |name: &str, codes: Vec<i32>, figures: &mut Figures| {
        for (args, (code, clean)) in COMMANDS.iter().zip(codes.iter().zip(&clean)) {
            if code != clean {
                figures
                    .complain(format!("{name}: {} ends with {code}, and with {clean} else", args.join(" ")));
            }
        }
    };
    figures.each(THINGS, |(name, thing), figures| {
        let codes = Pod::new().run_all(name, &mut |path| thing(path), figures);
        compare(name, codes, figures);
    });
    figures.each(0..MIXTURES, |nth, figures| {
        let name = format!("mixture {nth}");
        let mut dice = Dice::of(nth as u64);
        let codes = Pod::new().run_all(&name, &mut |path| dice.one_of(&THINGS).1(path), figures);
        compare(&name, codes, figures);
    });
    let codes = Pod::new().run_all("many names", &mut many, &mut figures);
    compare("many names", codes, &mut figures);

    let mut most = 0;
    for (name, thing) in THINGS.into_iter().chain([("many names", many as Thing)]) {
        let pod = Pod::new();
        pod.leave(&mut |path| thing(path));
        let peak = peak(&pod.command(&["rotate-once"]));
        most = peak.max(most);
        if !(1..=MEMORY).contains(&peak) {
            figures.complain(format!("{name}: a pass had {peak} KiB of memory"));
        }
    }
    figures.print(&format!("; at most {most} KiB of memory"));
}

#[test]
fn the_live_directory_changes_all_the_time() {
    let mut figures = Figures::of("the live directory changes all the time");
    let (pod, is_over) = (Pod::new(), AtomicBool::new(false));
    let changes = scope(|scope| {
        let changing = scope.spawn(|| {
            let (mut dice, mut changes) = (Dice::of(7), 0);
            while !is_over.load(Ordering::Relaxed) {
                let path = pod.live(dice.one_of(&NAMES));
                let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
                // Others may have taken the name again.
                changes += usize::from(dice.one_of(&THINGS).1(&path).is_ok());
            }
            changes
        });
        for nth in 0..RACES {
            let args = COMMANDS[nth % COMMANDS.len()];
            let Some(output) = run_in_time(pod.command(args)) else {
                figures.complain(format!("{}: it hung", args.join(" ")));
                continue;
            };
            figures.passes += 1;
            figures.struck += 1;
            pod.keep_to_themselves(&args.join(" "), &output, args, &mut figures);
            let _ = fs::remove_file(pod.volume.file("auth").join("auth-3.json"));
        }
        is_over.store(true, Ordering::Relaxed);
        changing.join().unwrap()
    });
    pod.leave(&mut |_| Ok(()));
    let output = run_in_time(pod.command(&["rotate-once"])).unwrap();
    pod.judged("when all is over", &output, &["rotate-once"], &mut figures);
    assert!(changes > RACES, "only {changes} changes");
    figures.print(&format!("; {changes} changes"));
}

/// Signals without end, and names that mean nothing.
fn many(path: &Path) -> io::Result<()> {
    if path.ends_with("rotate-now") {
        for number in 0..MANY {
            let name = [".rotate-now.taken-", "x", ".auth.json.", "auth-"][number % 4];
            File::create(path.with_file_name(format!("{name}{number:0>190}")))?;
        }
        fs::write(path, " ".repeat(1 << 16))?;
    }
    Ok(())
}

fn run_in_time(mut command: Command) -> Option<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let give_up = Instant::now() + SOON;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= give_up {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        sleep(Duration::from_millis(2));
    }
    Some(child.wait_with_output().unwrap())
}

/// The most memory that a program had, in KiB: strace lets it linger at its end, so that it can be asked.
fn peak(command: &Command) -> u64 {
    let lingers =
        Strace::new().beside().trace("exit_group").inject_always("exit_group", "delay_enter=200000");
    let mut lingering = lingers.command(command);
    let mut child = lingering.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let name = Path::new(command.get_program()).file_name().unwrap().to_string_lossy().into_owned();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let field = |field: &str| status.lines().find_map(|line| line.strip_prefix(field)).map(str::trim);
        let most = field("VmHWM:").and_then(|most| most.split(' ').next()?.parse().ok());
        if field("Name:") == Some(&name) {
            peak = most.unwrap_or(peak);
        }
        sleep(Duration::from_millis(5));
    }
    peak
}
