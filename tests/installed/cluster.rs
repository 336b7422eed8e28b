//! Podman as the tests' cluster: it runs the pods that the chart renders.

use std::fs::{self, File};
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Output;
use std::sync::{Mutex, MutexGuard};
use std::thread;

use base64::prelude::{BASE64_STANDARD as STANDARD, Engine as _};
use nix::sched::{CloneFlags, setns};
use stand_in::StandIn;
use support::podman::{does, podman, said};
use tempfile::TempDir;

/// One pod of a name at a time.
static CLUSTER: Mutex<()> = Mutex::new(());

/// The one cluster, empty at first.
pub(crate) struct Cluster {
    /// Where manifests lie while podman reads them.
    files: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        // A test that failed leaves no state that matters: everything is removed here.
        let alone = CLUSTER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        empty();
        Self { files: tempfile::tempdir().unwrap(), _alone: alone }
    }

    /// A file for podman to read.
    fn file(&self, content: &str) -> String {
        let file = self.files.path().join("file");
        fs::write(&file, content).unwrap();
        file.into_os_string().into_string().unwrap()
    }

    /// A Secret, in the form in which this podman reads one.
    pub(crate) fn secret(&self, name: &str, entries: &[(&str, &str)]) {
        let encoded = |(key, value): &(&str, &str)| ((*key).to_owned(), STANDARD.encode(value).into());
        let json: serde_json::Map<_, _> = entries.iter().map(encoded).collect();
        does(["secret", "create", name, &self.file(&serde_json::Value::from(json).to_string())]);
    }

    /// Runs manifests, as `kubectl apply` would; claims that are there stay as they are.
    pub(crate) fn play(&self, manifests: &str) {
        let volumes = said(["volume", "ls", "--quiet"]);
        let is_there = |manifest: &&str| {
            !manifest.contains("kind: PersistentVolumeClaim")
                || !volumes.lines().any(|name| manifest.contains(&format!("\n  name: {name}\n")))
        };
        let manifests: Vec<_> = manifests.split("---\n").filter(is_there).collect();
        // Else this podman removes an init container when it has ended, and fails when it is too quick about it.
        let keep = "kind: Deployment\nmetadata:\n  annotations: {io.podman.annotations.init.container.type: always}\n";
        let manifests = manifests.join("---\n").replace("kind: Deployment\nmetadata:\n", keep);
        does(["kube", "play", &self.file(&manifests)]);
    }

    /// Deletes the pod that these manifests made, and all that is no claim with it.
    pub(crate) fn delete(&self, manifests: &str) {
        does(["kube", "down", &self.file(manifests)]);
        // An emptyDir is a volume to this podman, which it may forget.
        for directory in manifests.split("emptyDir").filter_map(|before| before.rsplit_once("- name: ")) {
            let name = directory.1.lines().next().unwrap();
            if podman(["volume", "exists", name]).status().unwrap().success() {
                does(["volume", "rm", name]);
            }
        }
    }
}

fn empty() {
    for args in [
        &["pod", "rm", "--all", "--force", "--time", "0"][..],
        &["rm", "--all", "--force", "--time", "0"],
        &["volume", "rm", "--all", "--force"],
        &["secret", "rm", "--all"],
    ] {
        let _ = podman(args.iter().copied()).output();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !thread::panicking() {
            empty();
        }
    }
}

/// A container of a Deployment's pod.
#[derive(Clone)]
pub(crate) struct Container(String);

impl Container {
    pub(crate) fn of(deployment: &str, name: &str) -> Self {
        Self(format!("{deployment}-pod-0-{name}"))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// `kubectl exec`, as a person types it.
    pub(crate) fn exec(&self, command: &[&str]) -> Output {
        podman(["exec", &self.0].into_iter().chain(command.iter().copied())).output().unwrap()
    }

    /// All it wrote, on stdout and stderr.
    pub(crate) fn log(&self) -> String {
        let output = podman(["logs", &self.0]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    /// One field of its description.
    pub(crate) fn inspect(&self, format: &str) -> String {
        said(["inspect", "--format", format, &self.0]).trim().to_owned()
    }

    pub(crate) fn pid(&self) -> i32 {
        self.inspect("{{.State.Pid}}").parse().unwrap()
    }

    /// A line of its first process's status, as the kernel tells it.
    pub(crate) fn status(&self, key: &str) -> Vec<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    }
}

/// The network of a pod, in which loopback is the pod's own.
pub(crate) struct Network(String);

impl Network {
    pub(crate) fn of(container: &Container) -> Self {
        Self(format!("/proc/{}/ns/net", container.pid()))
    }

    /// Does something there.
    pub(crate) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let network = File::open(&self.0).unwrap();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(network, CloneFlags::CLONE_NEWNET).unwrap();
                act()
            });
            thread.join().unwrap()
        })
    }

    /// Makes a port of this pod's loopback lead to the same one of another's, as a Service would.
    pub(crate) fn leads_to(&self, other: &Self, port: u16) {
        let listener = self.inside(move || TcpListener::bind(("127.0.0.1", port)).unwrap());
        let other = Self(other.0.clone());
        thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                // A pod that is gone refuses, as a Service without one does.
                if let Ok(called) = other.inside(|| TcpStream::connect(("127.0.0.1", port))) {
                    let backwards = (called.try_clone().unwrap(), caller.try_clone().unwrap());
                    thread::spawn(move || pour(caller, called));
                    thread::spawn(move || pour(backwards.0, backwards.1));
                }
            }
        });
    }

    /// Lets the stand-in be the internet of this pod: it answers on the pod's loopback.
    pub(crate) fn reaches(&self, openai: &StandIn, port: u16) {
        openai.serve_also_on(self.inside(move || TcpListener::bind(("127.0.0.1", port)).unwrap()));
    }
}

/// Hands on what comes, to its end.
fn pour(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
