//! A real Chromium, driven by its `DevTools` protocol over two pipes: it needs no port, and ends when its test
//! does.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fixture::workspace::PATIENCE;
use serde_json::{Value, json};

/// A browser with one tab.
pub(crate) struct Browser {
    process: Child,
    /// Taken to say that it may end.
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    last_id: Cell<u64>,
    is_loaded: Cell<bool>,
    tab: Value,
    /// Where it keeps everything, and what it says on standard error. The last to go.
    profile: tempfile::TempDir,
}

/// What the tab is shown on.
#[derive(Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) is_phone: bool,
}

impl Browser {
    /// Asks nobody else anything, and takes `accounts.test` for this machine.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("sh")
            // The protocol is spoken on descriptors 3 and 4.
            .args(["-c", r#"exec chromium "$@" 3<&0 4>&1 </dev/null >&2"#, "chromium"])
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--host-resolver-rules=MAP accounts.test 127.0.0.1",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(profile.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take(), listen(process.stdout.take().unwrap()));
        let (last_id, is_loaded) = (Cell::new(0), Cell::new(false));
        let mut browser = Self { process, to, from, last_id, is_loaded, tab: Value::Null, profile };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        browser.tab = browser.ask("Target.attachToTarget", &attach)["sessionId"].clone();
        browser.ask("Page.enable", &json!({}));
        // As if somebody looked at it, or it may not use the clipboard.
        browser.ask("Emulation.setFocusEmulationEnabled", &json!({"enabled": true}));
        browser
    }

    pub(crate) fn on(self, Screen { width, height, is_phone }: Screen) -> Self {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.ask("Emulation.setDeviceMetricsOverride", &screen);
        self
    }

    /// `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// No page may run a script from its next load on; what `look` asks is answered nevertheless.
    pub(crate) fn without_scripts(self) -> Self {
        self.ask("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
        self
    }

    /// Lets pages do this, in the protocol's words, and nothing else for which a browser asks first.
    pub(crate) fn permit(&self, permissions: &[&str]) {
        self.ask("Browser.grantPermissions", &json!({"permissions": permissions}));
    }

    /// Returns when everything that the page names is there.
    pub(crate) fn open(&self, url: &str) {
        self.is_loaded.set(false);
        let answer = self.ask("Page.navigate", &json!({"url": url}));
        assert_eq!(answer["errorText"], Value::Null, "{url}");
        let give_up = Instant::now() + PATIENCE;
        while !self.is_loaded.get() {
            self.hear("the page to be loaded", give_up);
        }
    }

    /// What an expression of JavaScript comes to in the page.
    pub(crate) fn look(&self, expression: &str) -> Value {
        let question = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", &question);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// A person's click into the middle of the first element that a selector names.
    pub(crate) fn click(&self, selector: &str) {
        let middle = self.look(&format!(
            "(() => {{
                const element = document.querySelector({});
                element.scrollIntoView({{block: 'center'}});
                const box = element.getBoundingClientRect();
                return {{x: box.x + box.width / 2, y: box.y + box.height / 2}};
            }})()",
            Value::from(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let mouse =
                json!({"type": kind, "x": middle["x"], "y": middle["y"], "button": "left", "clickCount": 1});
            self.ask("Input.dispatchMouseEvent", &mouse);
        }
    }

    /// A picture, as PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let answer = self.ask("Page.captureScreenshot", &json!({"format": "png"}));
        STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }

    fn ask(&self, method: &str, params: &Value) -> Value {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.tab.is_null() {
            message["sessionId"] = self.tab.clone();
        }
        let said = self.to.as_ref().unwrap().write_all(format!("{message}\0").as_bytes());
        said.unwrap_or_else(|e| panic!("{method}: {e}: {}", self.complaints()));
        let give_up = Instant::now() + PATIENCE;
        loop {
            let answer = self.hear(method, give_up);
            if answer["id"] == id {
                assert_eq!(answer["error"], Value::Null, "{method} {params}");
                return answer["result"].clone();
            }
        }
    }

    /// The next thing that the browser says.
    fn hear(&self, wanted: &str, give_up: Instant) -> Value {
        let said = self.from.recv_timeout(give_up.saturating_duration_since(Instant::now()));
        let said = said.unwrap_or_else(|e| panic!("waiting for {wanted}: {e}: {}", self.complaints()));
        if said["method"] == "Page.loadEventFired" {
            self.is_loaded.set(true);
        }
        said
    }

    fn complaints(&self) -> String {
        let said = fs::read_to_string(self.profile.path().join("stderr")).unwrap_or_default();
        format!("run scripts/setup-tools chromium, as scripts/test does, if there is none:\n{said}")
    }
}

/// In a thread of its own: a pipe cannot be read with a time limit, a channel can.
fn listen(from: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for message in BufReader::new(from).split(0).map_while(Result::ok) {
            let message = serde_json::from_slice(&message).unwrap_or_default();
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.to.take());
        let give_up = Instant::now() + Duration::from_secs(5);
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
