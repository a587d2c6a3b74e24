//! A headless Chromium that does as it is told: DevTools' messages over a pair of pipes, ended by zeros.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

pub(crate) struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    number: u64,
    _folder: tempfile::TempDir,
}

/// One tab.
pub(crate) struct Tab<'a> {
    browser: &'a mut Browser,
    session: String,
}

impl Browser {
    /// Starts one; none where there is none on this machine.
    pub(crate) fn start() -> Option<Self> {
        let there = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(there)?;
        let folder = tempfile::tempdir().unwrap();
        let [to, from, profile] = ["to", "from", "profile"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").arg(&to).arg(&from).status().unwrap().success());
        let script = "exec \"$0\" --headless --no-sandbox --disable-gpu --no-first-run --window-size=1200,900 \
                      --user-data-dir=\"$3\" --remote-debugging-pipe about:blank 3<\"$1\" 4>\"$2\"";
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(program).args([&to, &from, &profile]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let to = OpenOptions::new().write(true).open(&to).unwrap();
        let from = BufReader::new(File::open(&from).unwrap());
        Some(Self { child, to, from, number: 0, _folder: folder })
    }

    pub(crate) fn open(&mut self, address: &str) -> Tab<'_> {
        let made = self.call(None, "Target.createTarget", json!({ "url": address }));
        let attach = json!({"targetId": made["targetId"], "flatten": true});
        let session = self.call(None, "Target.attachToTarget", attach)["sessionId"].as_str().unwrap().to_owned();
        Tab { browser: self, session }
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        let message = self.answer(session, method, params);
        assert!(message["error"].is_null(), "{method}: {message}");
        message["result"].clone()
    }

    fn answer(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).unwrap();
            assert_eq!(bytes.pop(), Some(0), "the browser has gone");
            let message: Value = serde_json::from_slice(&bytes).unwrap();
            if message["id"] == self.number {
                return message;
            }
        }
    }
}

impl Tab<'_> {
    /// What an expression is, once its promise is kept.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let found = self.browser.call(Some(&self.session), "Runtime.evaluate", params);
        assert!(found["exceptionDetails"].is_null(), "{expression}: {found}");
        found["result"]["value"].clone()
    }

    /// Waits until an expression holds; a page that is still loading is none.
    pub(crate) fn wait(&mut self, expression: &str) {
        let poll = format!(
            "new Promise((done) => {{ const look = () => {{ let holds = false; try {{ holds = {expression}; }} catch {{}} \
             if (holds) done(true); else setTimeout(look, 10); }}; look(); }})"
        );
        loop {
            let params = json!({"expression": poll, "returnByValue": true, "awaitPromise": true});
            // Where the page is not there yet, or is replaced meanwhile, that is an error, and it is asked again.
            let answer = self.browser.answer(Some(&self.session), "Runtime.evaluate", params);
            if answer["result"]["result"]["value"] == true {
                return;
            }
        }
    }

    /// Presses the mouse at the first of these points, and lets it go at the last.
    pub(crate) fn drag(&mut self, points: &[[f64; 2]]) {
        let mut mouse = |kind: &str, [x, y]: [f64; 2]| {
            let params = json!({"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1});
            self.browser.call(Some(&self.session), "Input.dispatchMouseEvent", params);
        };
        mouse("mousePressed", points[0]);
        points.iter().skip(1).for_each(|point| mouse("mouseMoved", *point));
        mouse("mouseReleased", points[points.len() - 1]);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
