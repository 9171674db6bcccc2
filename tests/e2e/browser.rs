//! The statistics page in Debian's Chromium, driven over WebDriver.
//!
//! WebDriver is HTTP and JSON on loopback; what little of both is needed here is written here, so
//! that the tests need no crate for it: scripts give back texts, and texts are all that is read.
//! Without Chromium the test says that it is left out; with `CI=true` it fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::support::place::PATIENCE;
use crate::support::{Flavour, flavour, until};
use crate::{OK, Rig, answering, common};

/// A running driver and its one session.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => out += &format!("\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out + "\""
}

/// The JSON string that stands behind `name`.
fn string_after(json: &str, name: &str) -> String {
    let at = json
        .find(name)
        .unwrap_or_else(|| panic!("no {name}: {json}"))
        + name.len();
    let rest = json[at..].trim_start_matches([':', ' ']);
    let mut chars = rest
        .strip_prefix('"')
        .unwrap_or_else(|| panic!("no text: {json}"))
        .chars();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return text,
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).unwrap();
                    text.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                }
                Some(c) => text.push(c),
                None => break,
            },
            c => text.push(c),
        }
    }
    panic!("a text without an end: {json}")
}

impl Browser {
    /// Starts one, or says why not.
    fn start() -> Option<Self> {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = driver else {
            let text = "chromium-driver is not installed: the page is not tried in a browser";
            assert!(std::env::var("CI").is_err(), "{text}");
            eprintln!("{text}");
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.by_ref().find_map(|line| {
            let line = line.ok()?;
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let mut browser = Self {
            driver,
            port: port.expect("the driver tells its port"),
            session: String::new(),
        };
        std::thread::spawn(move || lines.for_each(drop));
        let answer = browser.call(
            "POST",
            "/session",
            "{\"capabilities\":{\"alwaysMatch\":{\"goog:chromeOptions\":{\"args\":[\
             \"--headless=new\",\"--no-sandbox\",\"--disable-gpu\",\"--disable-dev-shm-usage\",\
             \"--no-proxy-server\"]}}}}",
        );
        browser.session = format!("/session/{}", string_after(&answer, "\"sessionId\""));
        Some(browser)
    }

    /// One call of the driver.
    fn call(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            answer += &line;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}{body}");
        body
    }

    fn command(&self, path: &str, body: &str) -> String {
        self.call("POST", &format!("{}{path}", self.session), body)
    }

    fn open(&self, url: &str) {
        self.command("/url", &format!("{{\"url\":{}}}", quoted(url)));
    }

    /// What an expression of the page is, as a text.
    fn text(&self, expression: &str) -> String {
        let script = quoted(&format!("return String({expression})"));
        let answer = self.command(
            "/execute/sync",
            &format!("{{\"script\":{script},\"args\":[]}}"),
        );
        string_after(&answer, "\"value\"")
    }

    /// Waits until an expression of the page is true.
    fn wait(&self, expression: &str) {
        until(expression, || {
            (self.text(expression) == "true").then_some(())
        });
    }

    /// A click with the mouse.
    fn click(&self, selector: &str) {
        let wanted = format!(
            "{{\"using\":\"css selector\",\"value\":{}}}",
            quoted(selector)
        );
        let found = self.command("/element", &wanted);
        // `{"value":{"element-6066-...":"ID"}}`
        let (_, id) = found.rsplit_once(":\"").unwrap();
        let id = id.trim_end_matches(['}', '"', '\n']);
        self.command(&format!("/element/{id}/click"), "{}");
    }

    /// Keys, one after the other, to whatever has the focus.
    fn press(&self, keys: &str) {
        let each = keys.chars().map(|key| {
            let key = quoted(&key.to_string());
            format!(
                "{{\"type\":\"keyDown\",\"value\":{key}}},{{\"type\":\"keyUp\",\"value\":{key}}}"
            )
        });
        let each = each.collect::<Vec<_>>().join(",");
        let body =
            format!("{{\"actions\":[{{\"type\":\"key\",\"id\":\"keys\",\"actions\":[{each}]}}]}}");
        self.command("/actions", &body);
    }

    fn devtools(&self, command: &str, parameters: &str) {
        let body = format!("{{\"cmd\":\"{command}\",\"params\":{parameters}}}");
        self.command("/goog/cdp/execute", &body);
    }

    /// The size of the screen.
    fn size(&self, width: u32, height: u32) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &format!(
                "{{\"width\":{width},\"height\":{height},\"deviceScaleFactor\":1,\"mobile\":true}}"
            ),
        );
    }

    /// Light or dark.
    fn scheme(&self, scheme: &str) {
        self.devtools(
            "Emulation.setEmulatedMedia",
            &format!(
                "{{\"features\":[{{\"name\":\"prefers-color-scheme\",\"value\":\"{scheme}\"}}]}}"
            ),
        );
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &self.session, "");
        }
        // Fails only when it has ended by itself.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';

fn site() -> Rig {
    let config = common(
        "frontend f\n bind @fe@\n stats uri /stats\n stats admin if TRUE\n default_backend b\n\
         backend b\n server s1 @s@\n server s2 @s@\n",
    );
    Rig::of(answering(OK), &config)
}

/// Waits until the runtime socket tells this administrative state of a server.
fn await_state(rig: &Rig, server: &str, state: &str) {
    until("the server's state", || {
        let told = rig.proxy.command("show servers state b");
        let mut rows = told.lines();
        let row = rows.find(|row| row.split(' ').nth(3) == Some(server))?;
        (row.split(' ').nth(6) == Some(state)).then_some(())
    });
}

#[test]
fn the_page_lives_in_chromium() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut rig = site();
    browser.scheme("light");
    browser.size(1280, 900);
    browser.open(&format!("http://{}/stats", rig.addr()));
    let state = "document.getElementById('state').textContent";
    browser.wait(&format!("{state} === 'Live'"));

    // The counters move, and the page is the one that was loaded.
    browser.text("window.loaded = 1");
    let total = "document.querySelector('[data-name=s1] [data-f=stot]').textContent";
    let before = browser.text(total);
    for _ in 0..4 {
        assert_eq!(rig.ask("GET /x HTTP/1.1\r\nHost: h").text(), "ok");
    }
    browser.wait(&format!("{total} === String(+{before} + 2)"));
    browser.wait("document.querySelector('[data-chart=rate] .line').getAttribute('d').length > 8");
    assert_eq!(browser.text("window.loaded"), "1");

    // A click drains a server; the page shows it and says so.
    browser.click("button[aria-label='Drain s1']");
    await_state(&rig, "s1", "8");
    let status = "document.querySelector('[data-name=s1] [data-f=status]').textContent";
    browser.wait(&format!("{status} === 'DRAIN'"));
    browser.wait("document.getElementById('news').textContent.includes('b/s1 is DRAIN')");

    // The same by the keyboard alone: from the top, each step seen.
    browser.text("document.activeElement.blur()");
    browser.text("window.scrollTo(0, 0)");
    let focused = "document.activeElement.getAttribute('aria-label')";
    let mut steps = 0;
    while browser.text(focused) != "Ready s1" {
        browser.press(&TAB.to_string());
        // Behind the last comes the browser's own frame, of which the page sees nothing.
        let seen = "document.activeElement === document.body ? 'solid' \
                    : getComputedStyle(document.activeElement).outlineStyle";
        let name = "document.activeElement.outerHTML.slice(0, 80)";
        assert_eq!(
            browser.text(seen),
            "solid",
            "no focus seen: {}",
            browser.text(name)
        );
        steps += 1;
        assert!(steps < 40, "not reached by tabs");
    }
    browser.press(&ENTER.to_string());
    await_state(&rig, "s1", "0");
    browser.wait(&format!("{status} === 'no check'"));

    // Shortcuts: pause and on, the filter, the list of keys.
    browser.text("document.activeElement.blur()");
    browser.press("p");
    browser.wait(&format!("{state}.startsWith('Paused')"));
    browser.press("p");
    browser.wait(&format!("{state} === 'Live'"));
    browser.press("/");
    browser.press("zzz");
    let shown = "document.querySelectorAll('article:not([hidden])').length";
    assert_eq!(browser.text(shown), "0");
    browser.press(&ESCAPE.to_string());
    assert_eq!(browser.text(shown), "2");
    browser.press("?");
    assert_eq!(browser.text("document.getElementById('help').open"), "true");

    // Who listens: tables, columns, rows and buttons have names.
    for (selector, name) in [
        ("table", "element.caption.textContent"),
        ("thead th", "element.scope && element.textContent"),
        ("tbody th", "element.scope && element.textContent"),
        (
            "button",
            "element.getAttribute('aria-label') || element.textContent",
        ),
        ("svg", "element.getAttribute('aria-label')"),
        (
            "input:not([type=hidden])",
            "element.labels.length && element.labels[0].textContent",
        ),
    ] {
        let nameless = format!(
            "[...document.querySelectorAll({})].filter((element) => !({name})).length",
            quoted(selector)
        );
        assert_eq!(browser.text(&nameless), "0", "{selector}");
    }

    // Light and dark differ; no width makes the page scroll sideways.
    let paper = "getComputedStyle(document.body).backgroundColor";
    let light = browser.text(paper);
    browser.scheme("dark");
    assert_ne!(browser.text(paper), light);
    for width in [1280, 800, 390, 320] {
        browser.size(width, 800);
        let wide = "document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.text(wide), "true", "{width}");
    }

    // The proxy dies: the page says so, and goes on showing what it knew.
    rig.proxy.signal("KILL");
    rig.proxy.wait();
    browser.wait(&format!("{state}.startsWith('Lost: no connection')"));
    assert_eq!(browser.text(status), "no check");
}
