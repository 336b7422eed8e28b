//! The release archives: unpacked as users do, and read with the shells and the `man` that they have.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use fixture::workspace::{SHIPPED, by_hand, repository};

/// What `scripts/dist` made: an archive for amd64 and one for arm64, and their checksums from either of two runs.
struct Dist {
    archives: [PathBuf; 2],
    sums: [String; 2],
}

static DIST: LazyLock<Dist> = LazyLock::new(|| {
    let first = pack(&mut Command::new("scripts/dist"));
    let archives: Vec<_> = first.lines().map(|archive| repository().join(archive)).collect();
    let archives: [PathBuf; 2] = archives.try_into().unwrap();
    let sums = || fs::read_to_string(archives[0].with_file_name("SHA256SUMS")).unwrap();
    let of_the_first = sums();
    // As somebody with another umask and another time would make it.
    pack(Command::new("sh").args(["-c", "umask 077; exec scripts/dist"]).env("TZ", "Asia/Tokyo"));
    Dist { sums: [of_the_first, sums()], archives }
});

/// What a command says on standard output, when it succeeds and complains of nothing.
fn quietly(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| {
        panic!("no {} ({e}): run scripts/setup-tools, as scripts/test does", command.get_program().display())
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{command:?}: {} {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn pack(command: &mut Command) -> String {
    let output = by_hand(command).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A place like `/usr/local`, with the archive for this machine unpacked as README.md says.
fn installed() -> tempfile::TempDir {
    unpacked(
        DIST.archives.iter().find(|archive| archive.to_str().unwrap().contains(env::consts::ARCH)).unwrap(),
    )
}

fn unpacked(archive: &Path) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    quietly(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(place.path()).args([
        "--strip-components=1",
        "--wildcards",
        "*/bin",
        "*/share",
    ]));
    place
}

fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn the_same_commit_makes_the_same_archive() {
    let [first, second] = &DIST.sums;
    assert_eq!(first, second);
    quietly(
        Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
            .current_dir(DIST.archives[0].parent().unwrap()),
    );
}

#[test]
fn the_archive_for_arm64_differs_in_the_programs_alone() {
    let [amd64, arm64] = DIST.archives.each_ref().map(|archive| unpacked(archive));
    let mut diff = Command::new("diff");
    diff.args(["--recursive", "--brief"]).args([amd64.path(), arm64.path()]);
    let differ = String::from_utf8(diff.output().unwrap().stdout).unwrap();
    let different: Vec<_> = differ.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(different, SHIPPED.map(|name| amd64.path().join("bin").join(name).display().to_string()));
}

#[test]
fn every_utility_is_in_it_with_its_page_and_three_completions() {
    let place = installed();
    let at = |path: &str| place.path().join(path);
    let plugin = ["kubectl-codex", "kubectl_complete-codex"];
    let mut programs = [&SHIPPED[..], &plugin].concat();
    programs.sort_unstable();
    assert_eq!(names(&at("bin")), programs);
    for file in plugin {
        assert_eq!(
            fs::read(at("bin").join(file)).unwrap(),
            fs::read(repository().join("scripts").join(file)).unwrap()
        );
    }
    for (directory, form) in [
        ("share/bash-completion/completions", "NAME.bash"),
        ("share/fish/vendor_completions.d", "NAME.fish"),
        ("share/zsh/site-functions", "_NAME"),
    ] {
        let mut completions = SHIPPED.map(|name| form.replace("NAME", name));
        completions.sort();
        assert_eq!(names(&at(directory)), completions);
    }
    for name in SHIPPED {
        let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(quietly(Command::new(at("bin").join(name)).arg("--version")), version);
        assert!(at("share/man/man1").join(format!("{name}.1")).is_file(), "{name}");
    }
}

/// A page as it is read, a paragraph a line. The formatter's warnings would be on standard error.
fn page(place: &Path, name: &str) -> String {
    quietly(
        Command::new("man")
            .args(["--warnings", "--no-hyphenation", "--no-justification", "--encoding=UTF-8", name])
            .env("MANPATH", place.join("share/man"))
            .env("MANWIDTH", "1000")
            .env("LC_ALL", "C.UTF-8"),
    )
}

#[test]
fn every_page_is_read_without_a_warning_and_says_what_help_says() {
    let place = installed();
    let help = |words: &[&str]| {
        quietly(Command::new(place.path().join("bin").join(words[0])).args(&words[1..]).arg("--help"))
    };
    let commands = help(&["accounts"]);
    let (_, commands) = commands.split_once("Commands:\n").unwrap();
    let commands = commands.lines().map_while(|line| line.split_whitespace().next());
    let commands: Vec<_> = commands.filter(|command| *command != "help").collect();
    assert!(commands.contains(&"park"), "{commands:?}");

    let utilities = SHIPPED.map(|name| vec![name]).into_iter();
    let topics: Vec<_> =
        utilities.chain(commands.into_iter().map(|command| vec!["accounts", command])).collect();
    assert_eq!(names(&place.path().join("share/man/man1")).len(), topics.len());
    for words in topics {
        let (name, help) = (words.join("-"), help(&words));
        let page = page(place.path(), &name);
        let about = format!("{name} - {}\n", help.lines().next().unwrap());
        let usage = help.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap();
        let variables = help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap());
        for said in [&about, usage, "EXIT STATUS\n", "SEE ALSO\n"].into_iter().chain(variables) {
            assert!(page.contains(said), "{name}: no {said:?} in\n{page}");
        }
    }
}

#[test]
fn bash_completes() {
    let place = installed();
    let completed = |words: &[&str]| {
        let script = r#"
            source "$1/share/bash-completion/completions/$2.bash"
            read -r -a registered < <(complete -p "$2")
            shift
            COMP_WORDS=("$@")
            COMP_CWORD=$(($# - 1))
            # As the shell itself calls it: the command, the word, and the word before it.
            "${registered[-2]}" "$1" "${!#}" "${@:$#-1:1}"
            echo "${COMPREPLY[*]}"
        "#;
        quietly(Command::new("bash").args(["-c", script, "bash"]).arg(place.path()).args(words))
    };
    assert_eq!(completed(&["accounts", "pa"]), "park\n");
    assert_eq!(completed(&["accounts", "park", "--fo"]), "--for\n");
    assert_eq!(
        completed(&["rotate-once", "--policy", ""]),
        "sticky round-robin earliest-reset least-used weighted\n"
    );
    for name in SHIPPED {
        assert_eq!(completed(&[name, "--hel"]), "--help\n", "{name}");
    }
}

#[test]
fn fish_completes() {
    let place = installed();
    let completed = |line: &str| {
        // It asks for completions only of commands that are there, and keeps things in its home.
        quietly(
            Command::new("fish")
                .args(["--command", &format!("complete --do-complete '{line}'")])
                .env("HOME", place.path())
                .env("PATH", format!("{}:{}", place.path().join("bin").display(), env::var("PATH").unwrap()))
                .env("XDG_DATA_DIRS", place.path().join("share")),
        )
    };
    assert!(completed("accounts pa").starts_with("park\t"), "{}", completed("accounts pa"));
    for name in SHIPPED {
        assert!(completed(&format!("{name} --hel")).starts_with("--help\t"), "{name}");
    }
}

#[test]
fn zsh_finds_a_completion_for_each() {
    let place = installed();
    let functions = place.path().join("share/zsh/site-functions");
    let script = r#"
        fpath=("$1" $fpath)
        autoload -Uz compinit
        compinit -u -D
        shift
        for name; do print -r -- "$_comps[$name]"; done
    "#;
    let found = quietly(Command::new("zsh").args(["-f", "-c", script, "zsh"]).arg(&functions).args(SHIPPED));
    assert_eq!(found.lines().collect::<Vec<_>>(), SHIPPED.map(|name| format!("_{name}")));
    for name in names(&functions) {
        quietly(Command::new("zsh").arg("-n").arg(functions.join(name)));
    }
}
