//! A headless Chromium at the other end of two pipes (the Chrome DevTools Protocol with `--remote-debugging-pipe`: JSON messages that end
//! in a zero byte). Whatever is waited for is an event of the browser, never a time.

use std::{
    collections::VecDeque,
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

/// Where a browser may be: named by `TCPRESS_CHROMIUM`, set up by `cargo xtask setup`, or on PATH.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("TCPRESS_CHROMIUM") {
        return Some(named.into());
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let ours = cache.map(|cache| cache.join("tcpress/tools/bin/chromium"));
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).flat_map(|folder| {
        ["chromium", "chromium-headless-shell", "google-chrome"].map(|name| folder.join(name))
    });
    ours.into_iter().chain(on_path).find(|path| path.is_file())
}

/// A browser that runs, with one page open.
pub(crate) struct Browser {
    child: Child,
    /// `None` once it was told to go.
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    last_id: u64,
    events: VecDeque<Value>,
    home: PathBuf,
}

impl Browser {
    /// Starts one, whose words and files go to a folder.
    pub(crate) fn start(program: &Path, folder: &Path) -> Self {
        let home = folder.join("home");
        fs::create_dir_all(&home).unwrap();
        let said = File::create(folder.join("chromium.log")).unwrap();
        // The protocol wants the descriptors 3 and 4; a browser that hangs is ended.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "exec timeout 300 \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null",
            ])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--hide-scrollbars",
                "--force-device-scale-factor=1",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", home.display()))
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", &home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .expect("a shell can be started");
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().unwrap());
        let mut browser = Self {
            child,
            to,
            from,
            session: None,
            last_id: 0,
            events: VecDeque::new(),
            home,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", target);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        let window = json!({"width": 1200, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        browser.call("Emulation.setDeviceMetricsOverride", window);
        for domain in ["Page", "Log", "Runtime", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// What a method returns.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        let to = self.to.as_mut().expect("it has not been told to go");
        to.write_all(&bytes)
            .and_then(|()| to.flush())
            .expect("the browser listens");
        loop {
            let mut answer = self.read();
            if answer["id"] == self.last_id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.events.push_back(answer);
        }
    }

    /// Opens a page and waits until it is there; what the browser said of it meanwhile.
    pub(crate) fn open(&mut self, page: &Path) -> Vec<Value> {
        self.events.clear();
        let went = self.call(
            "Page.navigate",
            json!({"url": format!("file://{}", page.display())}),
        );
        assert!(went["errorText"].is_null(), "{}: {went}", page.display());
        let mut said = Vec::new();
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.read(),
            };
            let loaded = event["method"] == "Page.loadEventFired";
            said.push(event);
            if loaded {
                break;
            }
        }
        // An answer comes after whatever was said before it.
        self.evaluate("0");
        said.extend(self.events.drain(..));
        said
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let mut result = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "returnByValue": true}),
        );
        assert!(result["exceptionDetails"].is_null(), "{result}");
        result["result"]["value"].take()
    }

    /// Shows the page as somebody who likes `scheme` (light or dark) sees it.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// A picture of the whole page, as PNG in base 64.
    pub(crate) fn picture(&mut self) -> String {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.call("Page.captureScreenshot", params);
        picture["data"].as_str().unwrap().to_owned()
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from
            .read_until(0, &mut bytes)
            .expect("the browser answers");
        assert_eq!(
            bytes.pop(),
            Some(0),
            "the browser ended; its words are in {}",
            self.home.with_file_name("chromium.log").display()
        );
        serde_json::from_slice(&bytes).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(mut to) = self.to.take() {
            let _ = to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.home);
    }
}
