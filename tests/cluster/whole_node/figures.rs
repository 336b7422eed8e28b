//! What docs/scale.md says in figures. They are measured by hand, as they take half an hour, and on a node that was started
//! without `syncFrequency` in kubelet.yaml, so that it has the kubelet's own:
//!
//! `cargo test --package end-to-end --test cluster -- --ignored --nocapture figures`

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fixture::wait_within;
use serde_json::json;
use stand_in::Behaviour;

use super::replicas::email_of;
use crate::installed::Namespace;
use crate::load::Load;
use crate::node;

/// How often a lane changes where the records are mounted, and as often where they are followed.
const CHANGES: u32 = 20;

/// How long a change may take.
const PATIENCE: Duration = Duration::from_mins(4);

/// How long requests are counted.
const COUNTED: Duration = Duration::from_secs(30);

/// The directories in which the replicas have the records of the lanes.
fn records<Node>(cluster: &Namespace<Node>, volume: &str) -> Vec<PathBuf> {
    let pods = ["get", "pods", "--selector", "app=litellm", "--output", "jsonpath={.items[*].metadata.uid}"];
    let kubelet = PathBuf::from(format!("/proc/{}/root/run/node/kubelet/pods", node::process("kubelet")));
    let directory = |uid: &str| kubelet.join(uid).join("volumes").join(volume);
    cluster.says(&pods).split_whitespace().map(directory).collect()
}

/// How long after an account was first refused no replica has it in a lane any more, in seconds.
fn seconds_to_another_account<Node>(cluster: &Namespace<Node>, volume: &str) -> f64 {
    let account = cluster.lanes().pop().unwrap();
    let email = email_of(&account);
    node::wait_until("the replicas before these have gone", || records(cluster, volume).len() == 3);
    let directories = records(cluster, volume);
    let has_it = |directory: &PathBuf| {
        (1..=3).any(|lane| {
            fs::read_to_string(directory.join(format!("lane-{lane}.json")))
                .is_ok_and(|record| record.contains(&format!("\"{account}\"")))
        })
    };
    assert!(directories.iter().all(has_it), "{directories:?}");
    cluster.set(&email, Behaviour::Capped);
    wait_within(PATIENCE, "no replica has it", || !directories.iter().any(has_it));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let requests = cluster.requests();
    let is_refused = |it: &&stand_in::Request| it.account.as_ref() == Some(&email) && it.status == Some(429);
    now - requests.iter().find(is_refused).unwrap().at
}

fn print(how: &str, mut seconds: Vec<f64>) {
    seconds.sort_by(f64::total_cmp);
    let at = |percent: usize| seconds[(seconds.len() - 1) * percent / 100];
    println!("{how}, {} times: median {:.2} s, 99 % {:.2} s", seconds.len(), at(50), at(99));
}

#[test]
#[ignore = "it measures for half an hour"]
fn figures() {
    let cluster = Namespace::on(node::alone(), "figures");
    let values = |followed: bool| {
        json!({"litellm": {
            "image": {"tag": "1.109.1"},
            "lanes": 3,
            "replicas": 3,
            "follower": {"enabled": followed},
            "chatgptAuth": {"persistence": {"enabled": true}},
        }})
    };
    let person = |number| format!("person-{number}@example.test");
    cluster.install_with_followers(&values(true), (1..=3 + 2 * CHANGES).map(person));

    for replicas in 1..=3 {
        cluster.says(&["scale", "deployment/litellm", "--replicas", &replicas.to_string()]);
        cluster.is_rolled_out();
        sleep(Duration::from_secs(10));
        let agents = Load::without_a_pause(&cluster);
        sleep(COUNTED);
        let answered = u32::try_from(agents.ends().took.len()).unwrap();
        println!("{replicas} replicas: {:.1} requests a second", f64::from(answered) / COUNTED.as_secs_f64());
    }

    let agents = Load::on(&cluster);
    agents.goes_on(100);
    let often = |volume: &str| -> Vec<f64> {
        let once = |_| {
            sleep(Duration::from_secs(3));
            seconds_to_another_account(&cluster, volume)
        };
        (0..CHANGES).map(once).collect()
    };
    print("followed", often("kubernetes.io~empty-dir/chatgpt-live"));
    cluster.upgrade(&values(false));
    print("mounted", often("kubernetes.io~secret/codex-lanes"));
    assert_eq!(agents.ends().failed, [""; 0]);
}
