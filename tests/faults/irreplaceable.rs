//! Masters that can be read and not be replaced.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fixture::{ANN, BEN};
use tempfile::TempDir;

use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::volume::Volume;

/// Who the rotator is, and who owns the file, on a volume where every user may make files.
const ROTATOR: u32 = 65532;
const OTHER: u32 = 1000;

/// What keeps a file from being replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Something is mounted over it: a Secret's key by `subPath`, say.
    Mount,
    /// It is another user's, and the directory is sticky.
    Sticky,
    /// It may not be changed at all.
    Immutable,
}

/// A volume on which ann's master in slot 1 cannot be replaced, until it is let go.
struct Held {
    hold: Hold,
    volume: Volume,
    beside: TempDir,
}

impl Held {
    /// `None` where this user or this file system cannot do it.
    fn by(hold: Hold) -> Option<Self> {
        let is_root = nix::unistd::geteuid().is_root();
        let volume = Volume::new();
        volume.put_login_for(1, ANN, 3600);
        volume.put_login_for(2, BEN, 3600);
        assert!(volume.pass(&["--refresh-before", "0s"]).status.success());
        let made = Self { hold, volume, beside: tempfile::tempdir().unwrap() };
        let can_be_held = match hold {
            Hold::Mount => fs::copy(made.master(), made.mounted()).is_ok(),
            Hold::Sticky => is_root && made.share(),
            Hold::Immutable => is_root && made.chattr("+i"),
        };
        can_be_held.then_some(made)
    }

    fn master(&self) -> PathBuf {
        self.volume.file("auth-1.json")
    }

    fn mounted(&self) -> PathBuf {
        self.beside.path().join("mounted")
    }

    fn share(&self) -> bool {
        fs::set_permissions(self.volume.path(), Permissions::from_mode(0o1777)).unwrap();
        for entry in fs::read_dir(self.volume.path()).unwrap() {
            let path = entry.unwrap().path();
            let owner = if path == self.master() { OTHER } else { ROTATOR };
            chown(&path, Some(owner), Some(owner)).unwrap();
        }
        fs::set_permissions(self.master(), Permissions::from_mode(0o644)).unwrap();
        true
    }

    fn chattr(&self, how: &str) -> bool {
        let mut chattr = Command::new("chattr");
        let done = chattr.arg(how).arg(self.master()).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    }

    /// A command that finds the file held.
    fn command(&self, args: &[&str]) -> Command {
        let command = self.volume.command(args[0]);
        let mut held = match self.hold {
            Hold::Mount => {
                let mut mounted = Command::new("unshare");
                let over = r#"mount --bind "$MOUNTED" "$CHATGPT_AUTH_DIR/auth-1.json" && exec "$@""#;
                mounted.args(["--map-root-user", "--mount", "sh", "-c", over, "sh"]);
                mounted
            }
            Hold::Sticky => {
                let mut user = Command::new("setpriv");
                let id = ROTATOR.to_string();
                user.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
                user
            }
            Hold::Immutable => Command::new("env"),
        };
        held.arg(command.get_program()).args(&args[1..]).env_clear().stdin(Stdio::null());
        held.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        held.env("MOUNTED", self.mounted()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        held
    }

    fn let_go(&self) {
        match self.hold {
            Hold::Mount => {}
            Hold::Sticky => chown(self.master(), Some(0), Some(0)).unwrap(),
            Hold::Immutable => assert!(self.chattr("-i")),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.hold == Hold::Immutable {
            self.chattr("-i");
        }
    }
}

#[test]
fn a_master_cannot_be_replaced() {
    let mut figures = Figures::of("a master cannot be replaced");
    let mut tried = Vec::new();
    for hold in [Hold::Mount, Hold::Sticky, Hold::Immutable] {
        if let Some(held) = Held::by(hold) {
            tried.push(format!("{hold:?}"));
            nothing_is_sent(&held, &mut figures);
        }
    }
    figures.print(&format!("; tried: {}", tried.join(", ")));
}

fn nothing_is_sent(held: &Held, figures: &mut Figures) {
    let volume = &held.volume;
    let name = format!("held by {:?}", held.hold);
    let case = Case { volume, name, served: volume.bytes("auth.json"), may_be_lost_on_the_wire: false };
    let master = fs::read(held.master()).unwrap();
    let run = |args: &[&str], code: i32, words: &str, figures: &mut Figures| {
        let output = held.command(args).output().unwrap();
        case.at_once(&output, figures);
        let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        if output.status.code() != Some(code) || !said.contains(words) {
            case.complain(figures, &format!("{args:?}: {}, not {words:?}: {said}", output.status));
        }
    };
    figures.struck += 1;
    run(&["rotate-once"], 0, "its refresh token was not sent", figures);
    volume.end_pause();
    run(&["rotate-once"], 0, "account-1 not refreshed: ", figures);
    run(&["accounts"], 0, "not refreshable", figures);
    run(
        &["accounts", "doctor"],
        1,
        "account-1 is not refreshed, because its file cannot be replaced",
        figures,
    );
    run(&["accounts", "refresh", "1", "--yes"], 75, "its refresh token was not sent", figures);
    let refreshes = [ANN, BEN].map(|email| volume.refreshes_of(email));
    if refreshes != [0, 1] {
        case.complain(figures, &format!("ann and ben were refreshed {refreshes:?} times"));
    }
    if fs::read(held.master()).unwrap() != master {
        case.complain(figures, "the master is another one");
    }
    held.let_go();
    volume.end_pause();
    case.once_mended(figures);
    if volume.refreshes_of(ANN) != 1 {
        case.complain(figures, "not refreshed once it was let go");
    }
}
