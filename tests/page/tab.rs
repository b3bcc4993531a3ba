//! A tab: what it shows, what a person does in it, and what it did that no test wants.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::{Browser, PATIENCE};

/// Where the agent's page is.
pub(crate) const PAGE: &str = "http://127.0.0.1:5000/";
/// Where the agent's card is.
pub(crate) const WIDGET: &str = "http://127.0.0.1:5000/widget";

/// Width and height of a window on a desk.
pub(crate) const DESK: (u32, u32) = (900, 800);
/// The same of a small phone.
pub(crate) const PHONE: (u32, u32) = (360, 640);

pub(crate) struct Tab<'a> {
    browser: &'a Browser,
    session: String,
    /// The isolated world of a frame inside; the page itself if there is none.
    context: Option<Value>,
}

impl<'a> Tab<'a> {
    /// Opens `url` in a new tab and waits until it is loaded.
    pub(crate) fn open(browser: &'a Browser, url: &str) -> Self {
        let tab = Self::blank(browser);
        tab.go(url);
        tab
    }

    /// A new tab with nothing in it.
    pub(crate) fn blank(browser: &'a Browser) -> Self {
        let created = browser.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": created["targetId"], "flatten": true});
        let attached = browser.call(None, "Target.attachToTarget", attach);
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let tab = Self { browser, session, context: None };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        tab.size(DESK);
        tab
    }

    fn call(&self, method: &str, parameters: Value) -> Value {
        self.browser.call(Some(&self.session), method, parameters)
    }

    /// Loads `url`.
    pub(crate) fn go(&self, url: &str) {
        let mut events = self.browser.follow();
        let gone = self.call("Page.navigate", json!({"url": url}));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        let loaded = |it: &Value| it["method"] == "Page.loadEventFired" && self.is_mine(it);
        assert!(events.find(PATIENCE, loaded).is_some(), "{url} is not loaded");
    }

    fn is_mine(&self, message: &Value) -> bool {
        message["sessionId"] == self.session.as_str()
    }

    /// Runs this script before any of the page's own, in every document that is loaded from now on.
    pub(crate) fn prepare(&self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": script}));
    }

    /// Makes the window as large as this.
    pub(crate) fn size(&self, (width, height): (u32, u32)) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Has the system prefer this, for example `prefers-color-scheme` `dark`.
    pub(crate) fn prefer(&self, feature: &str, value: &str) {
        let features = json!({"features": [{"name": feature, "value": value}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        let mut parameters =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        if let Some(context) = &self.context {
            parameters["contextId"] = context.clone();
        }
        let session = Some(self.session.as_str());
        // Asked while one document makes room for the next, it is asked of the next.
        let mut attempts = (0..5)
            .map(|_| self.browser.attempt(session, "Runtime.evaluate", parameters.clone()))
            .skip_while(|it| it.as_ref().is_err_and(|why| why.contains("navigated")));
        let result = attempts.next().expect("a document that stays").expect("an expression");
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression in the page is true.
    pub(crate) fn wait(&self, expression: &str) {
        let ms = PATIENCE.as_millis() - 5_000;
        let found = self.value(&format!(
            "new Promise((resolve) => {{ \
               const end = performance.now() + {ms}; \
               const look = () => ({expression}) ? resolve(true) \
                 : performance.now() > end ? resolve(false) : setTimeout(look, 30); \
               look(); }})"
        ));
        assert!(found == true, "never {expression}; the page says:\n{}", self.text("body"));
    }

    /// Waits until the element that the selector names shows `text`.
    pub(crate) fn shows(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.wait(&format!(
            "[...document.querySelectorAll({selector})].some((it) => it.checkVisibility() && \
             it.innerText.includes({text}))"
        ));
    }

    /// What an element shows.
    pub(crate) fn text(&self, selector: &str) -> String {
        let selector = json!(selector);
        let text = self.value(&format!("document.querySelector({selector})?.innerText ?? ''"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks with the mouse on the middle of an element.
    pub(crate) fn click(&self, selector: &str) {
        let place = self.value(&format!(
            "(() => {{ const it = document.querySelector({}); it.scrollIntoView({{block: 'center'}}); \
             const box = it.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left",
                               "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Presses a key: its name, its code, and the text it types.
    pub(crate) fn press(&self, key: &str, code: u32, text: &str) {
        let mut event = json!({"type": "keyDown", "key": key, "code": key,
                               "windowsVirtualKeyCode": code});
        if !text.is_empty() {
            event["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", event);
    }

    /// The first frame in the page, to be looked into as a tab.
    pub(crate) fn frame(&self) -> Self {
        let tree = self.call("Page.getFrameTree", json!({}));
        let frame = &tree["frameTree"]["childFrames"][0]["frame"]["id"];
        assert!(frame.is_string(), "no frame: {tree}");
        let world = self.call("Page.createIsolatedWorld", json!({"frameId": frame}));
        let context = Some(world["executionContextId"].clone());
        Self { browser: self.browser, session: self.session.clone(), context }
    }

    /// Waits until no request was sent for this long; a few may still follow from what went before.
    pub(crate) fn falls_silent(&self, during: Duration) {
        let mut events = self.browser.follow();
        let silent = (0..3).any(|_| events.find(during, |it| self.is_request(it)).is_none());
        assert!(silent, "it goes on asking");
    }

    /// Waits for a request that follows from what `act` does.
    pub(crate) fn asks(&self, act: impl FnOnce()) {
        let mut events = self.browser.follow();
        act();
        events.expect("request", PATIENCE, |it| self.is_request(it));
    }

    fn is_request(&self, message: &Value) -> bool {
        message["method"] == "Network.requestWillBeSent" && self.is_mine(message)
    }

    /// Addresses of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        let messages = self.browser.messages().into_iter();
        messages
            .filter(|it| self.is_request(it))
            .map(|it| it["params"]["request"]["url"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Whatever the page, or the browser about it, complained of so far.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let messages = self.browser.messages().into_iter().filter(|it| self.is_mine(it));
        messages
            .filter_map(|it| {
                let said = &it["params"];
                let bad = match it["method"].as_str()? {
                    "Runtime.exceptionThrown" => true,
                    "Runtime.consoleAPICalled" => said["type"] != "log",
                    "Log.entryAdded" => said["entry"]["level"] != "info",
                    _ => false,
                };
                bad.then(|| said.to_string())
            })
            .collect()
    }

    /// Makes sure that the page complained of nothing, and asked nobody but its agent.
    pub(crate) fn is_clean(&self) {
        assert_eq!(self.complaints(), Vec::<String>::new());
        self.keeps_to_its_agent();
    }

    /// Makes sure that the page asked nobody but its agent.
    pub(crate) fn keeps_to_its_agent(&self) {
        let requests = self.requests();
        assert!(!requests.is_empty());
        let foreign = requests.iter().find(|it| !it.starts_with(PAGE) && *it != "data:,");
        assert_eq!(foreign, None);
    }

    /// Writes what the whole page looks like to `target/page/NAME.png`.
    pub(crate) fn picture(&self, name: &str) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page");
        fs::create_dir_all(&directory).expect("create target/page");
        let whole = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        self.picture_to(&directory.join(name).with_extension("png"), &whole["height"]);
    }

    /// What the page looks like down to `height`, to a file of this name in the format that it names.
    pub(crate) fn picture_to(&self, file: &Path, height: &Value) {
        let width = self.value("document.documentElement.scrollWidth");
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let format = file.extension().and_then(|it| it.to_str()).unwrap_or_default();
        let shot = json!({"format": format, "quality": 90, "captureBeyondViewport": true,
                          "clip": clip});
        let shot = self.call("Page.captureScreenshot", shot);
        let bytes = decode(shot["data"].as_str().expect("a picture"));
        fs::write(file, bytes).expect("write a picture");
    }
}

/// RFC 4648 §4.
fn decode(text: &str) -> Vec<u8> {
    let digit = |char: u8| match char {
        b'A'..=b'Z' => char - b'A',
        b'a'..=b'z' => char - b'a' + 26,
        b'0'..=b'9' => char - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    let text = text.trim_end_matches('=').as_bytes();
    for four in text.chunks(4) {
        let bits = four.iter().fold(0, |bits, char| bits << 6 | u32::from(digit(*char)));
        let bits = bits << (6 * (4 - four.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}
