//! The cluster's one node, which all tests share.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use fixture::wait_within;
use fixture::workspace::repository;
use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;
use support::podman::{podman_within, text_of};

/// Where pods find the loopback of the cluster's network.
pub(crate) const LOOPBACK: &str = "10.77.0.2";

/// All images of a pod, under the names that the store of `scripts/setup-tools pod-images` has for them.
const IMAGES: [&str; 7] = [
    "codex-podkit-test/litellm:1.106.2",
    "codex-podkit-test/litellm:1.109.1",
    concat!("codex-podkit/codex-cli:", env!("CARGO_PKG_VERSION")),
    concat!("codex-podkit/rotator:", env!("CARGO_PKG_VERSION")),
    concat!("codex-podkit/accounts-serve:", env!("CARGO_PKG_VERSION")),
    concat!("codex-podkit/agent:", env!("CARGO_PKG_VERSION")),
    concat!("codex-podkit/replication:", env!("CARGO_PKG_VERSION")),
];

/// Held by each test for reading, and for writing by one that stops the node for all.
static NODE: RwLock<()> = RwLock::new(());

/// The node has the images, once for all tests; docs/laptop.md has the same commands.
static HAS_IMAGES: LazyLock<()> = LazyLock::new(|| {
    let names = IMAGES.map(|image| format!("localhost/{image}"));
    let save = ["save", "--quiet", "--multi-image-archive"].into_iter();
    // They are more than 2 GB, and the node unpacks them meanwhile.
    let mut save = podman_within(Duration::from_mins(10), save.chain(names.iter().map(String::as_str)));
    let mut save = save.stdout(Stdio::piped()).spawn().unwrap();
    let import = run(["ctr", "images", "import", "-"]).stdin(save.stdout.take().unwrap()).output().unwrap();
    let _ = text_of(&import);
    assert!(save.wait().unwrap().success(), "run scripts/setup-tools pod-images");
});

/// The node with its images, for a test among others.
pub(crate) fn shared() -> RwLockReadGuard<'static, ()> {
    let node = NODE.read().unwrap_or_else(PoisonError::into_inner);
    LazyLock::force(&HAS_IMAGES);
    node
}

/// The same, while no other test runs.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    let node = NODE.write().unwrap_or_else(PoisonError::into_inner);
    LazyLock::force(&HAS_IMAGES);
    node
}

/// Waits until something is so, for which a busy machine may take minutes.
pub(crate) fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let is_true_by_now = || {
        is_true() || {
            // Each look is a kubectl of its own.
            thread::sleep(Duration::from_millis(300));
            false
        }
    };
    wait_within(Duration::from_mins(4), what, is_true_by_now);
}

fn script<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut script = Command::new(repository().join("scripts/cluster"));
    script.args(args);
    script
}

/// A command in the cluster's network.
pub(crate) fn run<'a>(command: impl IntoIterator<Item = &'a str>) -> Command {
    script(["run"].into_iter().chain(command))
}

/// `kubectl`, as a person types it.
pub(crate) fn kubectl<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    script(["kubectl"].into_iter().chain(args))
}

/// The cluster's network.
fn network() -> PathBuf {
    let pid = fs::read_to_string(repository().join("target/cluster/pid"));
    let pid = pid.expect("no cluster: run scripts/cluster up");
    Path::new("/proc").join(pid.trim()).join("ns/net")
}

/// Sends a signal to the first process of a container, by the id that Kubernetes has for it.
pub(crate) fn signal_container(id: &str, signal: &str) -> Output {
    let id = id.strip_prefix("containerd://").unwrap();
    run(["ctr", "tasks", "kill", "--signal", signal, id]).output().unwrap()
}

/// The node's process of this name.
pub(crate) fn process(name: &str) -> Pid {
    let network = fs::read_link(network()).unwrap();
    let is_it = |process: &PathBuf| {
        fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim() == name)
            && fs::read_link(process.join("ns/net")).is_ok_and(|other| other == network)
    };
    let process = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()).find(is_it);
    let process = process.unwrap_or_else(|| panic!("no {name} runs"));
    Pid::from_raw(process.file_name().unwrap().to_str().unwrap().parse().unwrap())
}

/// Does something in the cluster's network.
pub(crate) fn inside<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    let network = File::open(network()).unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(network, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

/// Makes a volume of a storage class that has had none; another one each time.
pub(crate) fn has_volume(class: &str) {
    let volume = include_str!("node/volume.yaml")
        .replace("storageClassName: local", &format!("storageClassName: {class}"));
    let number = std::process::id().to_string();
    fs::create_dir(repository().join("target/cluster/volumes").join(&number)).unwrap();
    let mut apply = kubectl(["create", "--filename", "-"]);
    let mut apply =
        apply.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    apply.stdin.take().unwrap().write_all(volume.replace("NUMBER", &number).as_bytes()).unwrap();
    let _ = text_of(&apply.wait_with_output().unwrap());
}
