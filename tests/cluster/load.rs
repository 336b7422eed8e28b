//! Agents at work: conversations that go on through whatever happens meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::installed::{KEY, Namespace};
use crate::node::inside;

/// How many agents there are, and how long each thinks between two turns if it does.
const AGENTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(150);

/// How many turns a conversation has.
const TURNS: usize = 25;

/// How often codex tries again after a connection broke, and how long it waits before the first time.
const RETRIES: u32 = 4;
const BACKOFF: Duration = Duration::from_millis(200);

/// All agents, until they are told to end.
pub(crate) struct Load {
    agents: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    end: AtomicBool,
    work: Mutex<Work>,
}

/// What agents have met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    /// How long each turn took that was answered.
    pub(crate) took: Vec<Duration>,
    /// When a connection could not be made, or broke before the whole answer had come; the turn was asked again.
    pub(crate) broken: Vec<Instant>,
    /// Turns that have failed, as the agent sees it.
    pub(crate) failed: Vec<String>,
}

impl Load {
    /// Agents that ask LiteLLM at its Service.
    pub(crate) fn on<Node>(cluster: &Namespace<Node>) -> Self {
        Self::with_a_pause(cluster, PAUSE)
    }

    /// Agents that never think.
    pub(crate) fn without_a_pause<Node>(cluster: &Namespace<Node>) -> Self {
        Self::with_a_pause(cluster, Duration::ZERO)
    }

    fn with_a_pause<Node>(cluster: &Namespace<Node>, pause: Duration) -> Self {
        let url = format!("http://{}:4000/v1/responses", cluster.service_ip());
        let shared = Arc::new(Shared::default());
        let agents = (0..AGENTS).map(|number| {
            let agent = Agent { url: url.clone(), pause, shared: Arc::clone(&shared) };
            thread::spawn(move || inside(|| agent.works(number)))
        });
        Self { agents: agents.collect(), shared }
    }

    /// Waits until this many turns more are answered; none may have failed.
    pub(crate) fn goes_on(&self, turns: usize) {
        let enough = self.answered() + turns;
        fixture::wait_within(Duration::from_mins(4), "agents are answered", || self.answered() >= enough);
        assert_eq!(self.shared.work().failed, [""; 0]);
    }

    /// How many turns were answered up to now.
    pub(crate) fn answered(&self) -> usize {
        self.shared.work().took.len()
    }

    /// What all agents have met, after the turns in which they are.
    pub(crate) fn ends(self) -> Work {
        self.shared.end.store(true, Ordering::Relaxed);
        for agent in self.agents {
            agent.join().unwrap();
        }
        let mut work = self.shared.work().clone();
        work.took.sort_unstable();
        work
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap()
    }
}

/// One agent.
struct Agent {
    url: String,
    /// How long it thinks between two turns.
    pause: Duration,
    shared: Arc<Shared>,
}

impl Agent {
    /// A conversation after another, each with what it was answered before.
    fn works(&self, number: usize) {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        // Each request may go to another replica.
        let config = config.max_idle_connections(0).timeout_global(Some(Duration::from_mins(1)));
        let client: ureq::Agent = config.build().into();
        for conversation in 0.. {
            let session = format!("0199aaaa-{number:04}-7ccc-8ddd-{conversation:012}");
            let mut input = vec![];
            for turn in 0..TURNS {
                if self.shared.end.load(Ordering::Relaxed) {
                    return;
                }
                input.push(json!({"role": "user", "content": format!("Turn {turn}: who are you?")}));
                let began = Instant::now();
                match self.asks(&client, &session, &input) {
                    Ok(output) => {
                        self.shared.work().took.push(began.elapsed());
                        input.extend(output);
                    }
                    Err(why) => self.shared.work().failed.push(format!("{session}, turn {turn}: {why}")),
                }
                thread::sleep(self.pause);
            }
        }
    }

    /// What one turn is answered.
    fn asks(&self, client: &ureq::Agent, session: &str, input: &[Value]) -> Result<Vec<Value>, String> {
        let question = json!({
            "model": "gpt-5.6-sol",
            "input": input,
            "store": false,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": session,
        });
        for retry in 0..=RETRIES {
            let request = client.post(&self.url).header("Authorization", format!("Bearer {KEY}"));
            let answer = request.header("x-litellm-session-id", session).send_json(&question);
            let answer = answer
                .and_then(|mut answer| Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?)));
            match answer {
                Ok((200, body)) => {
                    let answer: Value = serde_json::from_str(&body).map_err(|e| format!("{e}: {body}"))?;
                    return Ok(answer["output"].as_array().cloned().unwrap_or_default());
                }
                Ok((status, body)) => return Err(format!("{status} {body}")),
                Err(_) => self.shared.work().broken.push(Instant::now()),
            }
            thread::sleep(BACKOFF * 2_u32.pow(retry));
        }
        Err("the connection broke, and again at each retry".to_owned())
    }
}
