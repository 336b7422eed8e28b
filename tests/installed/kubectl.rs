//! `kubectl codex`, run by the real kubectl against a server that lists pods and refuses to run anything in them.

use std::env;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use fixture::http::{Request, answer};
use fixture::workspace::{repository, shipped, tool};
use serde_json::{Value, json};

/// An API server with some pods. It keeps what it was asked to run.
struct Api {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    home: tempfile::TempDir,
}

impl Api {
    fn with_pods(pods: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (pods, heard) = (pods.clone(), Arc::clone(&heard));
                thread::spawn(move || serve(stream.unwrap(), &pods, &heard));
            }
        });
        let home = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "clusters": [{"name": "here", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "ann", "user": {}}],
            "contexts": [{"name": "ann at work", "context": {"cluster": "here", "user": "ann", "namespace": "agents"}}],
        });
        fs::write(home.path().join("config"), kubeconfig.to_string()).unwrap();
        Self { address, asked, home }
    }

    fn kubectl(&self, words: &[&str]) -> Output {
        let path = env::join_paths(
            [repository().join("scripts"), tool("kubectl/bin")]
                .into_iter()
                .chain(env::split_paths(&env::var_os("PATH").unwrap())),
        );
        Command::new("kubectl")
            .args(words)
            .env("PATH", path.unwrap())
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .output()
            .unwrap()
    }

    /// What `kubectl codex` complains of, as an operator types it.
    fn complaint(&self, words: &[&str]) -> String {
        let output = self.codex(words);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(*self.asked.lock().unwrap(), Vec::<String>::new(), "nothing is run");
        String::from_utf8(output.stderr).unwrap()
    }

    fn codex(&self, words: &[&str]) -> Output {
        self.kubectl(&[&["codex", "--context", "ann at work"], words].concat())
    }

    /// What is run in which pod, when `kubectl codex` is given these words.
    fn runs(&self, words: &[&str]) -> String {
        let output = self.codex(words);
        let refused = String::from_utf8_lossy(&output.stderr);
        assert!(refused.contains("not in this test"), "{output:?}");
        self.asked.lock().unwrap().drain(..).next().unwrap()
    }
}

/// Answers what kubectl asks: which kinds there are, which pods, and that nothing may be run in them.
fn serve(mut stream: TcpStream, pods: &Value, asked: &Mutex<Vec<String>>) {
    use std::io::Write as _;
    while let Ok(request) = Request::read(&mut stream) {
        let target = request.head.split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (status, body) = match path {
            "/api" => ("200 OK", json!({"kind": "APIVersions", "versions": ["v1"]})),
            "/apis" => ("200 OK", json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})),
            "/api/v1" => (
                "200 OK",
                json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [{
                    "name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["get", "list"],
                }]}),
            ),
            _ if path.ends_with("/pods") => ("200 OK", listed(pods, path, query)),
            _ if path.ends_with("/exec") => {
                asked.lock().unwrap().push(what(path, query));
                ("403 Forbidden", refusal())
            }
            _ => ("200 OK", named(pods, path)),
        };
        stream.write_all(answer(status, "application/json", &body.to_string()).as_bytes()).unwrap();
    }
}

fn refusal() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "reason": "Forbidden",
           "message": "not in this test"})
}

/// The pods as a namespace shows them, which is in the path.
fn in_namespace(pods: &Value, path: &str) -> Vec<Value> {
    let mut pods = pods.as_array().unwrap().clone();
    for pod in &mut pods {
        pod["metadata"]["namespace"] = path.split('/').nth(4).unwrap().into();
    }
    pods
}

fn named(pods: &Value, path: &str) -> Value {
    let name = path.rsplit('/').next().unwrap();
    in_namespace(pods, path).into_iter().find(|pod| pod["metadata"]["name"] == name).unwrap()
}

/// The pods of a release if the query asks for one.
fn listed(pods: &Value, path: &str, query: &str) -> Value {
    let release = query.split("instance%3D").nth(1).map(|rest| rest.split('&').next().unwrap());
    let mut items = in_namespace(pods, path);
    if let Some(release) = release {
        items.retain(|pod| pod["metadata"]["labels"]["app.kubernetes.io/instance"] == release);
    }
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
}

/// Namespace, pod, container and command of a request.
fn what(path: &str, query: &str) -> String {
    let [_, _, _, _, namespace, _, pod, _] = path.split('/').collect::<Vec<_>>()[..] else {
        panic!("{path}")
    };
    let all = |key: &str| {
        let values = query.split('&').filter_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        values.collect::<Vec<_>>().join(" ")
    };
    format!("{namespace} {pod} {}: {}", all("container"), all("command"))
}

fn pod(name: &str, release: &str, phase: &str, containers: &[&str]) -> Value {
    let containers: Vec<_> = containers.iter().map(|name| json!({"name": name, "image": "i"})).collect();
    json!({
        "kind": "Pod", "apiVersion": "v1", "status": {"phase": phase}, "spec": {"containers": containers},
        "metadata": {"name": name, "namespace": "agents", "labels": {"app.kubernetes.io/instance": release}},
    })
}

/// A release with its agents, and a pod of it that is just going.
fn one_release() -> Api {
    let mut going = pod("litellm-1", "one", "Running", &["litellm", "codex-cli", "rotator"]);
    going["metadata"]["deletionTimestamp"] = "2026-11-27T10:00:00Z".into();
    Api::with_pods(json!([
        pod("agent-ann-1", "one", "Running", &["agent"]),
        going,
        pod("litellm-2", "one", "Running", &["litellm", "codex-cli", "rotator"]),
    ]))
}

#[test]
fn it_runs_in_the_pod_that_has_the_logins() {
    let api = one_release();
    for (words, command) in [
        (&["login", "1"][..], "auth-login 1"),
        (&["login", "--replace", "2"], "auth-login --replace 2"),
        (&[], "accounts"),
        (&["accounts"], "accounts"),
        (&["why", "--json"], "accounts why --json"),
        (&["doctor"], "accounts doctor"),
        (&["park", "3", "--for", "6h"], "accounts park 3 --for 6h"),
    ] {
        assert_eq!(api.runs(words), format!("agents litellm-2 codex-cli: {command}"), "{words:?}");
    }
    let elsewhere = api.runs(&["--namespace", "other", "--request-timeout=9s", "pin", "1"]);
    assert_eq!(elsewhere, "other litellm-2 codex-cli: accounts pin 1", "kubectl's own options are kubectl's");
}

#[test]
fn of_several_releases_it_names_each_and_runs_in_the_one_that_is_chosen() {
    let api = Api::with_pods(json!([
        pod("litellm-1", "one", "Running", &["litellm", "codex-cli"]),
        pod("codex-accounts-0", "two", "Running", &["codex-cli"]),
    ]));
    assert_eq!(
        api.complaint(&["why"]),
        "kubectl codex: several pods have logins: litellm-1 (release one), codex-accounts-0 (release two); please choose \
         with --release or --selector\n"
    );
    assert_eq!(api.runs(&["--release", "two", "why"]), "agents codex-accounts-0 codex-cli: accounts why");
    assert_eq!(
        api.runs(&["-l", "app.kubernetes.io/instance=one", "why"]),
        "agents litellm-1 codex-cli: accounts why"
    );
}

#[test]
fn without_a_pod_that_runs_it_says_what_to_do() {
    let none = Api::with_pods(json!([pod("agent-ann-1", "one", "Running", &["agent"])]));
    assert_eq!(
        none.complaint(&["why"]),
        "kubectl codex: no pod here has the container codex-cli; please give its --namespace, or another --release or \
         --selector\n"
    );
    let pending = Api::with_pods(json!([pod("litellm-1", "one", "Pending", &["codex-cli"])]));
    assert_eq!(
        pending.complaint(&["why"]),
        "kubectl codex: not running: litellm-1; kubectl describe pod says why\n"
    );
    let gone = one_release();
    gone.kubectl(&["config", "set-cluster", "here", "--server", "http://127.0.0.1:1"]);
    let refused = gone.complaint(&["why"]);
    assert!(refused.contains("was refused"), "{refused}: kubectl's own error is enough");
    assert!(!refused.contains(&gone.address), "{refused}");
}

#[test]
fn an_option_that_it_does_not_know_is_not_a_command() {
    let api = one_release();
    for words in [&["--frobnicate"][..], &["-n"], &["--release"]] {
        let output = api.codex(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).ends_with("see kubectl codex --help\n"),
            "{output:?}"
        );
    }
}

#[test]
fn kubectl_completes_every_command_of_accounts_and_the_help_names_it() {
    let api = one_release();
    let help = Command::new(shipped("accounts")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().map_while(|line| line.split_whitespace().next());
    let mut expected: Vec<_> = commands.filter(|command| *command != "help").collect();
    let own_help = String::from_utf8(api.kubectl(&["codex", "--help"]).stdout).unwrap();
    for command in &expected {
        assert!(own_help.contains(&format!(" {command}")), "{command} in\n{own_help}");
    }
    expected.insert(0, "login");
    let completed = String::from_utf8(api.kubectl(&["__complete", "codex", ""]).stdout).unwrap();
    assert_eq!(completed.lines().collect::<Vec<_>>(), [&expected[..], &[":4"]].concat());
}
